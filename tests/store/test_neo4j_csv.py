"""Files for `neo4j-admin database import`: what is in them, and that the graph is the one that publishing makes."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from etgraph.cli.main import main
from etgraph.ingest import read, samples
from etgraph.model import TABLES, AttributeWriter, Columns, Source, Trace
from etgraph.model.errors import UsageError
from etgraph.model.property_graph import Values
from etgraph.store import Store, TraceInfo, connect
from etgraph.store.neo4j.address import Address
from etgraph.store.neo4j.connection import Connection
from etgraph.store.neo4j.migrations import missing
from etgraph.store.neo4j.offline.export import prepare, write_import
from etgraph.store.neo4j.offline.files import ImportFiles
from etgraph.store.neo4j.reading import read_trace
from etgraph.store.neo4j_server import importing, process, server
from etgraph.store.neo4j_server.errors import ServerError
from etgraph.store.neo4j_server.state import USER, read_password
from support.neo4j import Neo4jUnderTest

MakeTrace = Callable[..., Trace]
CELL = re.compile(r'(?:"((?:[^"]|"")*)"|([^",\n]*))(,|\n)')
ODD_NAMES = [
    "",
    'a "quoted" name',
    "two\nlines\r\nor three",
    "a,b;c\\",
    "größe 🙂 \u2028",
    "\x00\uffff",
    " ",
    "null",
    "'",
]


def cells(path: Path) -> list[dict[str, str | None]]:
    """A file as the tool reads it: what stands in no quotes and has no characters is null."""
    rows: list[list[str | None]] = [[]]
    for match in CELL.finditer(path.read_bytes().decode()):
        quoted, plain, end = match.groups()
        rows[-1].append(plain or None if quoted is None else quoted.replace('""', '"'))
        if end == "\n":
            rows.append([])
    header, *body = rows[:-1]
    return [dict(zip(map(str, header), row, strict=True)) for row in body]


def etgraph(*arguments: str | Path) -> Result:
    """One call of the command line."""
    return CliRunner().invoke(main, list(map(str, arguments)), prog_name="etgraph")


@pytest.fixture
def odd(make_trace: MakeTrace) -> Trace:
    """A trace with all that a column of one type, or a line of text, cannot hold."""
    trace = make_trace("odd", each=20)
    count = len(trace)
    operators = trace.operators.replace(
        {
            "name": np.arange(count) % len(ODD_NAMES),
            "scope": np.where(np.arange(count) % 3 == 0, -1, np.arange(count) % len(ODD_NAMES)),
            "kind": np.where(np.arange(count) % 7 == 0, 99, 4),
            "node_id": np.arange(count, dtype=np.uint64) * np.uint64(2**59),
            "flops": np.where(np.arange(count) % 2 == 0, 2**63 - 1, 1 - 2**63),
            "attrs": np.arange(count),
        },
        {"name": ODD_NAMES, "scope": ODD_NAMES},
        {"node_id": np.arange(count) % 5 != 0},
    )
    with AttributeWriter() as writer:
        writer.extend([b'{"a":"%s",\n "row":%d}' % (b"\xff" if row % 4 else b"\xc3\xa9", row) for row in range(count)])
    values = [float("inf"), float("-inf"), -0.0, 5e-324, 0.1, 1.7976931348623157e308]
    return replace(
        trace,
        operators=operators,
        attributes=writer.attributes,
        process_groups=Columns(TABLES["process_groups"], {"name": [0, 1, 0]}, {"name": ["tp", ""]}),
        group_members=Columns(TABLES["group_members"], {"group": [0, 0, 2], "rank": [1, 0, 1]}),
        counters=Columns(
            TABLES["counters"],
            {"rank": [0] * 6, "name": [0] * 6, "time_ns": [1 - 2**63, 2**63 - 1, 0, 1, 2, 3], "value": values},
            {"name": ["bytes"]},
        ),
        memory_events=Columns(
            TABLES["memory_events"],
            {"rank": [0, 9], "time_ns": [1, 2], "address": np.array([2**64 - 1, 5], dtype=np.uint64), "bytes": [1, -1]},
        ),
        metadata=replace(
            trace.metadata,
            sources=(*trace.metadata.sources, Source("odd \udcff.json", "kineto", 1, 5, "1" * 64)),
        ),
    )


@pytest.fixture
def bare(make_trace: MakeTrace) -> Trace:
    """A trace without attributes and sources."""
    trace = make_trace("bare", ranks=1, attributes=False)
    return replace(trace, metadata=replace(trace.metadata, sources=()))


@given(st.lists(st.text(), min_size=1))
def test_texts_come_back_as_they_were(texts: list[str]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        with ImportFiles(Path(folder)) as files:
            files.nodes("Name", range(len(texts)), {"name": "string"}, {"name": Values([*texts])})
        assert [row["name:string"] for row in cells(Path(folder) / "Name.csv")] == texts
        assert any("multiline" in option for option in files.arguments()) == bool({"\n", "\r"} & set("".join(texts)))


def test_an_empty_text_is_no_null(tmp_path: Path) -> None:
    with ImportFiles(tmp_path) as files:
        files.nodes("Name", [1, 2], {"key": "long", "name": "string"}, {"name": Values(["", None])})
    assert (tmp_path / "Name.csv").read_text() == '"key:ID(Name)","name:string"\n1,""\n2,\n'


def test_values_of_every_type(tmp_path: Path) -> None:
    fields = {"l": "long", "d": "double", "b": "boolean", "s": "string", "r": "long[]"}
    values: dict[str, list[Any]] = {
        "l": [2**63 - 1, -(2**63), "18446744073709551615"],
        "d": [float("nan"), float("-inf"), 5e-324],
        "b": [True, False, None],
        "s": ["a", b"\x00\xff\x7f", 7],
        "r": [[3, -1], None, [0]],
    }
    with ImportFiles(tmp_path) as files:
        files.nodes("N", [0, 1, 2], fields, {name: Values(listed) for name, listed in values.items()})
    assert {path.name: cells(path) for path in tmp_path.iterdir()} == {
        "N.csv": [
            {":ID(N)": "0", "l:long": "9223372036854775807", "d:double": "NaN", "b:boolean": "true", "s:string": "a",
             "r:long[]": "3;-1"},
        ],
        "N-s-bytes.csv": [
            {":ID(N)": "1", "l:long": "-9223372036854775808", "d:double": "-Infinity", "b:boolean": "false",
             "s:byte[]": "0;-1;127", "r:long[]": None},
        ],
        "N-l-string-s-long.csv": [
            {":ID(N)": "2", "l:string": "18446744073709551615", "d:double": "5e-324", "b:boolean": None, "s:long": "7",
             "r:long[]": "0"},
        ],
    }  # fmt: skip


def test_the_tool_is_told_of_rows_that_are_longer_than_it_expects(tmp_path: Path) -> None:
    with ImportFiles(tmp_path) as files:
        files.nodes("N", [0], {"s": "string"}, {"s": Values(["x" * (5 << 20)])})
    (size,) = (option.partition("=")[2] for option in files.arguments() if option.startswith("--read-buffer-size="))
    assert int(size) >= 10 << 20


def test_the_catalogue_comes_along(make_trace: MakeTrace, tmp_path: Path) -> None:
    a, b, c = (make_trace(name) for name in "abc")
    entries = [
        TraceInfo(a.trace_id, 1, "2026-01-01T00:00:00Z", "gpt", "nlp", "c0ffee", None, {"a:b": "1"}, ("base", "x")),
        TraceInfo(b.trace_id, 1, "2026-01-02T00:00:00Z", "gpt", "nlp", None, "main", {"z": "2"}, ("base",)),
        TraceInfo(a.trace_id, 1, "2026-01-03T00:00:00Z", "t5"),
        TraceInfo("f" * 64, 1, "2026-01-03T00:00:00Z", "elsewhere"),
    ]
    assert write_import(tmp_path, [a, b, a, c], entries).traces == 3
    assert cells(tmp_path / "Store.csv") == [
        {":ID(Store)": "1", "name:string": "etgraph", "format:long": "0", "changes:long": "4", "loads:long": "3"}
    ]
    entered = cells(tmp_path / "Workload-HAS_TRACE-Trace.csv")
    assert [(row[":END_ID(Trace)"], row["order:long"], row["label.a:b:string"]) for row in entered] == [
        ("1", "1", "1"), ("2", "2", None), ("1", "3", None)
    ]  # fmt: skip
    assert [row[":END_ID(Trace)"] for row in cells(tmp_path / "Store-HAS_TRACE-Trace.csv")] == ["3"]
    assert [row["name:string"] for row in cells(tmp_path / "Workload.csv")] == ["gpt", "t5"]
    assert len(cells(tmp_path / "Team-OWNS-Workload.csv")) == 1
    assert [row["name:string"] for row in cells(tmp_path / "Tag.csv")] == ["base", "x", "base"]


def test_what_the_import_cannot_tell_is_refused(make_trace: MakeTrace, tmp_path: Path) -> None:
    trace = make_trace("a")
    with pytest.raises(UsageError, match=r"label 'a\{b': found '\{', expected none of \{ \} \( \)"):
        write_import(tmp_path, [trace], [TraceInfo(trace.trace_id, 1, workload="w", labels={"a{b": "1"})])
    with pytest.raises(UsageError, match="expected 64 hexadecimal digits"):
        write_import(tmp_path, [replace(trace, trace_id="")])


def test_the_script_calls_the_tool(make_trace: MakeTrace, tmp_path: Path) -> None:
    folder = tmp_path / "a, b"
    folder.mkdir()
    write_import(folder, [make_trace("a")])
    tool = tmp_path / "admin"
    tool.write_text('#!/bin/sh\npwd\nprintf "%s\\n" "$@"\n', "utf-8")
    tool.chmod(0o755)
    call = ["sh", str(folder / "import.sh"), "fleet", "--overwrite-destination"]
    environment = os.environ | {"NEO4J_ADMIN": str(tool)}
    done = subprocess.run(call, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    place, *arguments, told = done.stdout.splitlines()
    assert place == str(folder)
    assert arguments == [
        "database", "import", "full", "fleet", f"--report-file={tmp_path}/import.report", "--overwrite-destination",
        "@import.args",
    ]  # fmt: skip
    assert "cypher-shell -d fleet -f" in told
    assert "--nodes=Operator=./Operator.csv" in (folder / "import.args").read_text("utf-8").splitlines()


def test_the_command_takes_several_traces(tmp_path: Path) -> None:
    paths = [samples.path("gpt_ddp") / f"kineto_rank{rank}.json.gz" for rank in (0, 1)]
    result = etgraph("export", *paths, "--format", "neo4j-csv", "-o", tmp_path / "x")
    assert result.exit_code == 0, result.stderr
    assert result.stderr.startswith("wrote 7,")
    assert f"etgraph neo4j import {tmp_path / 'x'}" in result.stderr
    again = etgraph("export", *paths, "--format", "neo4j-csv", "-o", tmp_path / "x", "--json")
    assert json.loads(again.stdout)["export"]["format"] == "neo4j-csv"
    assert len(cells(tmp_path / "x" / "Trace.csv")) == 2
    assert list(tmp_path.iterdir()) == [tmp_path / "x"]


def test_stored_traces_come_with_their_entries(make_trace: MakeTrace, tmp_path: Path) -> None:
    whole, other = make_trace("a"), make_trace("b")
    with connect(tmp_path / "store") as store:
        store.publish(whole, workload="gpt", team="nlp")
        store.publish(other, workload="t5")
        store.tag("gpt", "baseline")
    options = ["--store", tmp_path / "store", "--format", "neo4j-csv", "-o", tmp_path / "x"]
    result = etgraph("export", "gpt@baseline", "gpt", "gpt#0", *options)
    assert result.exit_code == 0, result.stderr
    assert [row["operators:long"] for row in cells(tmp_path / "x" / "Trace.csv")] == ["12", "6"]
    assert [row["name:string"] for row in cells(tmp_path / "x" / "Workload.csv")] == ["gpt"]
    assert [row["name:string"] for row in cells(tmp_path / "x" / "Tag.csv")] == ["baseline"]
    assert [row[":END_ID(Trace)"] for row in cells(tmp_path / "x" / "Store-HAS_TRACE-Trace.csv")] == ["2"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["a", "b", "--format", "dot", "-o", "x"], "found 2 traces, expected one for format 'dot'"),
        (["a", "--format", "neo4j-csv", "-o", "-"], "cannot be written to a stream"),
        (["a", "--format", "neo4j-csv", "--for", "astra-sim", "-o", "x"], "no workloads for astra-sim"),
    ],
)
def test_calls_that_are_wrong(arguments: list[str], says: str) -> None:
    result = etgraph("export", *arguments)
    assert (result.exit_code, says in result.stderr) == (2, True)


def test_only_an_export_is_imported_and_nothing_is_overwritten_unasked(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"found no import\.args"):
        importing.import_files(tmp_path, folder=tmp_path)
    (tmp_path / "import.args").touch()
    (tmp_path / "5.26" / "data" / "databases" / "neo4j").mkdir(parents=True)
    with pytest.raises(ServerError, match="exists already"):
        importing.import_files(tmp_path, folder=tmp_path)


# With the tool itself, and servers


@pytest.fixture
def imported(tmp_path: Path, neo4j_parts: None) -> Iterator[Callable[[Path], Connection]]:
    """A function that imports a folder and returns a connection to the server of the database."""
    home = tmp_path / "server"
    opened = []

    def run(folder: Path) -> Connection:
        importing.import_files(folder, folder=home)
        ports = {"port": process.free_port(), "http_port": process.free_port()}
        now = server.start(folder=home, memory="1g", **ports)
        with pytest.raises(ServerError, match="can only be imported while it does not"):
            importing.import_files(folder, folder=home)
        password = read_password(home)
        assert now.uri is not None
        assert password is not None
        prepare(now.uri.replace("://", f"://{USER}:{password}@"))
        opened.append(Connection(Address(now.uri, None, USER, password)))
        return opened[0]

    yield run
    for connection in opened:
        connection.close()
    server.stop(home, seconds=0.1)  # nobody will ask for what it holds


def graph(connection: Connection) -> tuple[Counter[Any], Counter[Any]]:
    """All nodes and all relationships, but for what counts the changes of a catalogue."""
    name = "[labels({0}), coalesce({0}.key, {0}.workload + {0}.name, {0}.name)]"
    nodes = connection.rows("MATCH (n) WHERE NOT n:Store RETURN labels(n), properties(n)")
    edges = connection.rows(f"MATCH (a)-[r]->(b) RETURN type(r), {name.format('a')}, {name.format('b')}, properties(r)")
    return (
        Counter(f"{labels} {sorted((k, repr(v)) for k, v in held.items())}" for labels, held in nodes),
        Counter(
            f"{kind} {a} {b} {sorted((k, repr(v)) for k, v in held.items() if (kind, k) != ('HAS_TRACE', 'order'))}"
            for kind, a, b, held in edges
        ),
    )


def test_an_imported_database_is_as_a_published_one(
    odd: Trace,
    bare: Trace,
    make_trace: MakeTrace,
    same: Callable[[Trace, Trace], None],
    tmp_path: Path,
    imported: Callable[[Path], Connection],
    neo4j_server: Neo4jUnderTest,
    new_neo4j_store: Callable[[], Store],
) -> None:
    real = [read(samples.path("dlrm_alltoall") / f"{kind}_rank0.json.gz") for kind in ("kineto", "et")]
    traces = [odd, bare, *real]
    with new_neo4j_store() as store:
        for trace, name in zip(traces, ("odd", None, "dlrm", "gpt"), strict=True):
            store.publish(trace, workload=name, team=name and "nlp", labels={"a:b": "é"} if name else None)
        store.publish(odd, workload="gpt", commit="c0ffee")
        store.tag("odd", "baseline")
        entries = store.traces()[::-1]
    (tmp_path / "files").mkdir()
    write_import(tmp_path / "files", traces, entries)

    connection = imported(tmp_path / "files")
    published = Connection(Address(neo4j_server.uri, None, neo4j_server.user, neo4j_server.password))
    try:
        keys = dict(connection.rows("MATCH (t:Trace {state: 'ready'}) RETURN t.id, t.key"))
        for trace in traces:
            found = read_trace(connection, keys[trace.trace_id])
            assert found is not None
            assert [n for n, columns in trace.tables.items() if found.tables[n].differences(columns)] == []
            assert found.metadata == trace.metadata
            rows = np.arange(len(trace.attributes))
            assert found.attributes.texts(rows) == trace.attributes.texts(rows)
        assert missing(connection) == []
        nodes, edges = graph(connection)
        expected_nodes, expected_edges = graph(published)
    finally:
        published.close()
    nodes = Counter(
        {text.replace("('attributeRows', '[0]')", "('attributeRows', '[]')"): n for text, n in nodes.items()}
    )
    assert nodes - expected_nodes == expected_nodes - nodes == Counter()
    assert edges - expected_edges == expected_edges - edges == Counter()

    address = connection.address
    with connect(address.uri.replace("://", f"://{USER}:{address.password}@")) as store:
        assert (store.find("gpt").id, len(store.traces())) == (odd.trace_id, 5)
        assert store.find("odd@baseline").labels == {"a:b": "é"}
        assert store.verify() == []
        more = make_trace("more")
        store.publish(more, workload="odd")
        same(store.load("odd"), more)
    ((load,),) = connection.rows("MATCH (t:Trace {id: $id}) RETURN t.key", {"id": more.trace_id})
    assert load == len(keys) + 1
