"""Exports read back by other tools: every operator and dependency with every value, and nothing left of a failure."""

from __future__ import annotations

import errno
import io
import json
import math
import os
import re
import shutil
import stat
import subprocess
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import networkx as nx
import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etgraph.ingest import read, samples
from etgraph.ingest.writers import FOLDERS, TIMELINES, WRITERS, ExportError, check, write
from etgraph.ingest.writers.dot import STYLES
from etgraph.ingest.writers.rows import NOT_XML
from etgraph.model import TABLES, AttributeWriter, Columns, DependencyKind, Metadata, Source, Trace
from etgraph.model.errors import EtgraphError, UsageError
from support.build import build
from support.random_traces import traces

ONE_FILE = [name for name in WRITERS if name not in FOLDERS]
GRAPHS = [name for name in ONE_FILE if name not in TIMELINES]
NAMES = [
    'say "hi"', "back\\slash\\", "line\nfeed\r\nand return\r", "tab\t", "bell\x07 nul\x00 \x1b[31m", "\x7f\x85\u2028",
    "\U0001f600 \U00010348", "\ufffe\uffff\ufffd", "<a href='x'>&amp; &#10; &notanentity ]]>", "100%s %(x)d %", "",
    "  spaces  ", "ünïcödé", "{,[]}", "\\N\\G\\l", "\\", '"', "a" * 5000, "*/ // # <!-- -->",
]  # fmt: skip
FACTS = ("lanes", "collectives", "process_groups", "group_members", "iterations")
NAMESPACE = "{http://graphml.graphdrawing.org/xmlns}"


def plain(value: Any) -> Any:
    """An enumeration's member by its name; everything else as it is."""
    return getattr(value, "name", value)


def rows_of(columns: Columns) -> list[dict[str, Any]]:
    """The rows without nulls, read one value at a time."""
    rows = [columns.row(i) for i in range(len(columns))]
    return [{k: plain(v) for k, v in row.items() if v is not None} for row in rows]


def graph_of(trace: Trace) -> tuple[dict[tuple[int, int], dict[str, Any]], dict[int, tuple[Any, Any, dict[str, Any]]]]:
    """Nodes by key and edges by row, as an export should hold them."""
    keys = list(zip(trace.operators["rank"].tolist(), trace.operators["index"].tolist()))
    nodes = {}
    for key, row in zip(keys, rows_of(trace.operators)):
        row.pop("attrs", None)
        if "parent" in row:
            row["parent"] = keys[row["parent"]]
        if "lane" in row:
            row["lane_label"] = trace.lane_label(row["lane"])
        nodes[key] = row
    edges = {}
    for number, row in enumerate(rows_of(trace.dependencies)):
        edges[number] = (keys[row.pop("src")], keys[row.pop("dst")], row)
    return nodes, edges


def mended(value: Any) -> Any:
    """A text as XML can hold it."""
    return NOT_XML.sub("\ufffd", value) if isinstance(value, str) else value


def exported(trace: Trace, format: str) -> bytes:
    stream = io.BytesIO()
    written = write(trace, stream, format)
    data = stream.getvalue()
    assert (written.format, written.path, written.bytes) == (format, None, len(data))
    assert (written.operators, written.dependencies) == (len(trace), len(trace.dependencies))
    return data


def check_networkx(trace: Trace) -> None:
    document = json.loads(exported(trace, "networkx"), parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    graph = nx.node_link_graph(document, edges="edges")
    assert isinstance(graph, nx.MultiDiGraph)
    nodes, edges = graph_of(trace)
    for values in nodes.values():
        values |= {"parent": list(values["parent"])} if "parent" in values else {}
    assert dict(graph.nodes(data=True)) == nodes
    assert {k: (u, v, data) for u, v, k, data in graph.edges(keys=True, data=True)} == edges
    assert (graph.graph["trace"], graph.graph["revision"]) == (trace.trace_id, trace.revision)
    check_facts(trace, graph.graph)


def check_facts(trace: Trace, facts: dict[str, Any]) -> None:
    assert facts["metadata"] == json.loads(json.dumps(trace.metadata.to_json()))
    for name in FACTS:
        assert facts[name] == rows_of(trace.tables[name])


def check_graphml(trace: Trace) -> None:
    data = exported(trace, "graphml")
    check_structure(ElementTree.fromstring(data))
    graph = nx.read_graphml(io.BytesIO(data), force_multigraph=True)
    nodes, edges = graph_of(trace)
    for values in nodes.values():
        for name, value in values.items():
            values[name] = mended(value)
        values |= {"parent": "{}:{}".format(*values["parent"])} if "parent" in values else {}
        values |= {"node_id": str(values["node_id"])} if "node_id" in values else {}
        values |= {name: str(values[name]) for name in ("kind", "category", "comm_type") if name in values}
    assert dict(graph.nodes(data=True)) == {f"{r}:{i}": values for (r, i), values in nodes.items()}
    found = {k: (u, v, values) for u, v, k, values in graph.edges(keys=True, data=True)}
    assert found == {
        number: ("{}:{}".format(*u), "{}:{}".format(*v), {k: mended(x) for k, x in values.items()})
        for number, (u, v, values) in edges.items()
    }
    assert (graph.graph["trace"], graph.graph["revision"]) == (trace.trace_id, trace.revision)
    check_facts(trace, {name: json.loads(graph.graph[name]) for name in ("metadata", *FACTS)})


def check_structure(root: ElementTree.Element) -> None:
    """What GraphML's schema demands: keys first, ids that are name tokens, values of the types that are declared."""
    token = re.compile(r"[\w.:-]+\Z")
    keys = {k.get("id"): k for k in root.findall(f"{NAMESPACE}key")}
    assert [child.tag for child in root] == [f"{NAMESPACE}key"] * len(keys) + [f"{NAMESPACE}graph"]
    (graph,) = root.findall(f"{NAMESPACE}graph")
    assert graph.get("edgedefault") == "directed"
    nodes = [node.get("id") or "" for node in graph.findall(f"{NAMESPACE}node")]
    edges = graph.findall(f"{NAMESPACE}edge")
    assert len(set(nodes)) == len(nodes) == int(graph.get("parse.nodes") or -1)
    assert len({edge.get("id") for edge in edges}) == len(edges) == int(graph.get("parse.edges") or -1)
    assert all(token.match(i) for i in (*nodes, *(edge.get("id") or "" for edge in edges), *map(str, keys)))
    assert {edge.get(end) for edge in edges for end in ("source", "target")} <= set(nodes)
    limits = {"int": 2**31, "long": 2**63}
    for element in (graph, *graph):
        scope = element.tag.removeprefix(NAMESPACE)
        for data in element.findall(f"{NAMESPACE}data"):
            key = keys[data.get("key")]
            assert key.get("for") == scope
            kind, text = key.get("attr.type") or "", data.text or ""
            if kind in limits:
                assert -limits[kind] <= int(text) < limits[kind]
            elif kind == "boolean":
                assert text in ("true", "false")
            elif kind == "double":
                assert math.isfinite(float(text)) or text in ("INF", "-INF")
            else:
                assert kind == "string"


TOKEN = re.compile(
    r'\s*(?:(?P<text>"(?:[^"\\]|\\.)*")|(?P<id>[A-Za-z_]\w*)|(?P<number>-?\d+)|(?P<sign>->|[{}\[\]=,]))', re.DOTALL
)


def tokens(text: str) -> Iterator[tuple[str, str]]:
    """Kind and text of every token; anything else in the file is an error."""
    place = 0
    text = text.rstrip()
    while place < len(text):
        match = TOKEN.match(text, place)
        assert match, f"no DOT: {text[place : place + 40]!r}"
        place = match.end()
        yield str(match.lastgroup), match[str(match.lastgroup)]


def meant(kind: str, text: str) -> Any:
    """What a literal stands for: Graphviz' escape strings and entities undone, numbers and truth values as such."""
    if kind == "number":
        return int(text)
    if kind == "id":
        return {"true": True, "false": False}.get(text, text)
    body = re.sub(r"\\(.)", lambda m: {"n": "\n"}.get(m[1], m[1]), text[1:-1], flags=re.DOTALL)
    return re.sub(r"&amp;(?=#?\w+;)", "&", body)


class Drawing:
    """A strict reader of the part of DOT that is written: nested subgraphs, nodes, edges, attributes."""

    def __init__(self, text: str) -> None:
        self.nodes: dict[str, dict[str, Any]] = {}
        self.edges: list[tuple[str, str, dict[str, Any]]] = []
        self.clusters: dict[tuple[str, ...], dict[str, Any]] = {}
        self.place: dict[str, tuple[str, ...]] = {}
        self._tokens = [*tokens(text), ("end", "")]
        self._at = 0
        assert [self._next()[1] for _ in range(3)] == ["digraph", "trace", "{"]
        self._statements(())
        assert self._next()[0] == "end"

    def _next(self) -> tuple[str, str]:
        self._at += 1
        return self._tokens[self._at - 1]

    def _statements(self, cluster: tuple[str, ...]) -> None:
        self.clusters[cluster] = {}
        while (token := self._next())[1] != "}" or token[0] != "sign":
            if token == ("id", "subgraph"):
                name = meant(*self._next())
                assert self._next() == ("sign", "{")
                assert (*cluster, name) not in self.clusters
                self._statements((*cluster, name))
            elif self._tokens[self._at] == ("sign", "="):
                self._next()
                self.clusters[cluster][token[1]] = meant(*self._next())
            elif self._tokens[self._at] == ("sign", "->"):
                self._next()
                target = meant(*self._next())
                self.edges.append((meant(*token), target, self._attributes()))
            else:
                attributes = self._attributes()
                if token != ("id", "node"):
                    assert meant(*token) not in self.nodes
                    self.nodes[meant(*token)] = attributes
                    self.place[meant(*token)] = cluster

    def _attributes(self) -> dict[str, Any]:
        assert self._next() == ("sign", "[")
        found: dict[str, Any] = {}
        while True:
            name, equals, value, after = self._next()[1], self._next(), self._next(), self._next()
            assert equals == ("sign", "=")
            assert name not in found
            found[name] = meant(*value)
            if after == ("sign", "]"):
                return found
            assert after == ("sign", ",")


def check_dot(trace: Trace) -> None:
    drawing = Drawing(exported(trace, "dot").decode())
    nodes, edges = graph_of(trace)
    expected = {}
    for (rank, index), values in nodes.items():
        lane = values.pop("lane_label", None)
        values["label"] = values.pop("name")
        values |= {"process_group": values.pop("group")} if "group" in values else {}
        values |= {"parent": "{}:{}".format(*values["parent"])} if "parent" in values else {}
        expected[f"{rank}:{index}"] = {name: mended(value) for name, value in values.items()}
        around, *inner = [drawing.clusters[drawing.place[f"{rank}:{index}"][: n + 1]]
                          for n in range(len(drawing.place[f"{rank}:{index}"]))]  # fmt: skip
        assert around == {"label": f"rank {rank}"}
        assert inner == ([{"label": mended(lane)}] if lane is not None else [])
    for values in drawing.nodes.values():
        values |= {"waves": float(values["waves"])} if "waves" in values else {}
    assert drawing.nodes == expected
    found = {}
    for source, target, values in drawing.edges:
        style = {k: values.pop(k) for k in ("color", "style", "constraint") if k in values}
        written = ",".join(f'{k}="{v}"' for k, v in style.items())
        assert written == STYLES[DependencyKind[values["kind"]]]
        key = values.pop("key")
        found[key] = (source, target, {**values, "confidence": float(values["confidence"])})
    assert found == {
        number: ("{}:{}".format(*u), "{}:{}".format(*v), {k: mended(x) for k, x in values.items()})
        for number, (u, v, values) in edges.items()
    }
    assert drawing.clusters[()]["trace"] == trace.trace_id
    assert json.loads(drawing.clusters[()]["metadata"]) == json.loads(json.dumps(trace.metadata.to_json()))


def check_parquet(trace: Trace, folder: Path) -> None:
    written = write(trace, folder, "parquet")
    assert written.bytes == sum(path.stat().st_size for path in folder.iterdir())
    about = json.loads((folder / "etgraph.json").read_text("utf-8"))
    assert {path.name for path in folder.iterdir()} == {f"{name}.parquet" for name in about["tables"]} | {
        "etgraph.json"
    }
    assert (about["trace"], about["metadata"]) == (trace.trace_id, json.loads(json.dumps(trace.metadata.to_json())))
    for name, columns in trace.tables.items():
        table = pq.read_table(folder / f"{name}.parquet")
        assert table.column_names == [column.name for column in columns.table.columns]
        assert len(table) == about["tables"][name] == len(columns)
        expected = [{k: str(v) if k in ENUMS[name] and isinstance(v, int) else v for k, v in row.items()}
                    for row in rows_of(columns)]  # fmt: skip
        assert [{k: v for k, v in row.items() if v is not None} for row in table.to_pylist()] == expected
        for column in columns.table.columns:
            about_column = {k.decode(): v.decode() for k, v in table.field(column.name).metadata.items()}
            assert about_column["meaning"] == column.meaning
            assert about_column.get("unit", "") == column.unit
            assert about_column.get("refers", "") == column.refers
            assert table.field(column.name).nullable == column.nullable
    texts = pq.read_table(folder / "attributes.parquet").column("attrs").to_pylist()
    assert texts == [trace.attributes.text(row).decode() for row in range(len(trace.attributes))]


ENUMS = {name: {c.name for c in table.columns if c.values is not None} for name, table in TABLES.items()}
CHECKS = {"networkx": check_networkx, "graphml": check_graphml, "dot": check_dot}


@st.composite
def odd_traces(draw: st.DrawFn) -> Trace:
    """A random trace with texts of all characters, nulls in every column that may have them, and extreme numbers."""
    trace = draw(traces())
    count, table = len(trace), TABLES["operators"]
    texts = st.lists(st.one_of(st.sampled_from(NAMES), st.text(max_size=8)), min_size=1, max_size=6, unique=True)
    data: dict[str, Any] = {}
    dictionaries: dict[str, Any] = {}
    for name in draw(st.sets(st.sampled_from(["name", "scope", "source", "shapes"]))):
        dictionaries[name] = draw(texts)
        low = -1 if table.column(name).nullable else 0
        data[name] = draw(st.lists(st.integers(low, len(dictionaries[name]) - 1), min_size=count, max_size=count))
    for name in draw(st.sets(st.sampled_from(["start_ns", "duration_ns", "flops", "bytes", "peer", "comm_type"]))):
        limits = np.iinfo(table.column(name).dtype)
        low = 0 if name == "duration_ns" else int(limits.min)
        data[name] = draw(st.lists(st.integers(low, int(limits.max)), min_size=count, max_size=count))
    if draw(st.booleans()):
        waves = st.just(np.nan) | st.floats(0, allow_nan=False, width=32)
        data["waves"] = draw(st.lists(waves, min_size=count, max_size=count))
    masks = {}
    if draw(st.booleans()):
        ids = st.lists(st.integers(0, 2**64 - 1), min_size=count, max_size=count)
        data["node_id"] = np.array(draw(ids), dtype=np.uint64)
        masks["node_id"] = np.array(draw(st.lists(st.booleans(), min_size=count, max_size=count)))
    if draw(st.booleans()):
        data["kind"] = draw(st.lists(st.sampled_from([0, 4, 7, 99]), min_size=count, max_size=count))
    edges = len(trace.dependencies)
    confidence = draw(st.lists(st.floats(0, 1, width=32), min_size=edges, max_size=edges))
    dependencies = trace.dependencies.replace({"confidence": confidence}) if edges else trace.dependencies
    return replace(trace, operators=trace.operators.replace(data, dictionaries, masks), dependencies=dependencies)


@pytest.mark.parametrize("format", GRAPHS)
@settings(max_examples=40)
@given(trace=st.one_of(traces(), odd_traces()))
def test_random_traces_come_back(format: str, trace: Trace) -> None:
    CHECKS[format](trace)


@settings(max_examples=30)
@given(trace=odd_traces())
def test_random_traces_come_back_from_parquet(tmp_path_factory: pytest.TempPathFactory, trace: Trace) -> None:
    check_parquet(trace, tmp_path_factory.mktemp("parquet") / "trace")


def named(*names: str) -> Trace:
    """A trace with one operator of each name, in a row."""
    trace = build("\n".join(f"rank 0 | thread 1 | op{n}: x  {n * 10}..{n * 10 + 5}" for n in range(len(names))))
    operators = trace.operators.replace({"name": np.arange(len(names))}, {"name": list(names)})
    lanes = trace.lanes.replace({"id": [0]}, {"id": ['7 "a"\\\x01<&>']})
    return replace(trace, operators=operators, lanes=lanes)


def special() -> dict[str, Trace]:
    """Traces that lack something, or have something odd."""
    plain_trace = build("""
        rank 0 | thread 1 | aten::mm           0..20
        rank 0 | thread 1 | cudaLaunchKernel   5..10   -> gemm
        rank 0 | stream 7 | gemm              15..60   -OCCUPANCY-> k2
        rank 0 | stream 9 | k2: add           61..70
        rank 0 | stream 7 | all_reduce 4MB    70..90
        rank 1 | stream 7 | all_reduce 4MB    70..95
        rank 0 | thread 1 | iteration ProfilerStep#1  0..100
    """)
    nothing = Columns.empty(TABLES["dependencies"])
    timeless = plain_trace.operators.replace({"start_ns": np.full(6, -(2**63)), "duration_ns": np.full(6, -(2**63))})
    source = Source("\n\"'<", "x", 0, 1, "", "", {"é": "\\", "deep": {"er": [None, "\x00"]}})
    with AttributeWriter() as writer:
        writer.extend([b'{"a":1}', b"{}", '{"b":"ü"}'.encode()])
    parallel = plain_trace.dependencies.take(np.array([0, 0, 0]))
    return {
        "plain": plain_trace,
        "parallel edges": replace(plain_trace, dependencies=parallel),
        "without times": replace(plain_trace, operators=timeless),
        "without dependencies": replace(plain_trace, dependencies=nothing),
        "without operators": Trace(Columns.empty(TABLES["operators"])),
        "without lanes": replace(plain_trace, operators=plain_trace.operators.replace({"lane": np.full(6, -1)})),
        "odd names": named(*NAMES),
        "attributes": replace(plain_trace, attributes=writer.attributes),
        "odd metadata": replace(plain_trace, metadata=Metadata(sources=(source,))),
    }  # fmt: skip


@pytest.mark.parametrize("case", sorted(special()))
def test_special_traces_come_back(case: str, tmp_path: Path) -> None:
    trace = special()[case]
    for check_format in CHECKS.values():
        check_format(trace)
    check_parquet(trace, tmp_path / "trace")


@pytest.mark.parametrize("format", [*GRAPHS, "parquet"])
def test_metadata_that_is_no_unicode_or_no_json_is_written(format: str, tmp_path: Path) -> None:
    source = Source("rank\udcff0.json", "kineto", 0, 1, "", document={"nan": float("nan")})
    write(replace(named("x"), metadata=Metadata(sources=(source,))), tmp_path / "x", format)
    target = tmp_path / "x"
    text = (target / "etgraph.json" if target.is_dir() else target).read_bytes().decode("utf-8")
    assert "\\udcff" in text
    assert "NaN" not in text


def test_replaced_characters_are_counted() -> None:
    trace = named("a\x00b\x01", "plain", "\uffff")
    trace = replace(trace, lanes=trace.lanes.replace({"id": [0]}, {"id": ["7"]}))
    trace = replace(trace, operators=trace.operators.replace({"name": [0, 0, 2]}))
    counts = {format: write(trace, io.BytesIO(), format).replaced for format in GRAPHS}
    assert counts == {"networkx": 0, "graphml": 5, "dot": 5}


def test_texts_beyond_what_is_remembered_are_right() -> None:
    """More different names than the writers keep encoded, over several blocks."""
    count = 40_000
    names = [f"kernel {n}" for n in range(count)]
    rows, same = np.arange(count), np.ones(count)
    data = {"rank": 0 * same, "index": rows, "name": rows[::-1], "kind": same, "category": same}
    trace = Trace(Columns(TABLES["operators"], data, {"name": names}))
    document = json.loads(exported(trace, "networkx"))
    assert [node["name"] for node in document["nodes"]] == names[::-1]
    assert [node["id"] for node in document["nodes"]] == [[0, n] for n in range(count)]


@pytest.mark.parametrize("sample", ["gpt_ddp/kineto_rank0.json.gz", "gpt_ddp/et_rank0.json.gz", "gpt_tp2_pp2"])
def test_samples_come_back(sample: str, tmp_path: Path) -> None:
    name, _, file = sample.partition("/")
    path = samples.path(name) / file
    trace = read(path if file else sorted(path.glob("*.json.gz"))[0])
    for check_format in CHECKS.values():
        check_format(trace)
    check_parquet(trace, tmp_path / "trace")


def test_several_ranks_come_back() -> None:
    trace = read(samples.path("gpt_ddp_regressed"))
    assert trace.ranks == (0, 1, 2, 3)
    check_networkx(trace)
    check_dot(trace)


@pytest.mark.parametrize("folder", ["hta", "param", "tracelens", "recorded"])
def test_traces_of_the_collection_come_back(folder: str, collection_dir: Path, tmp_path: Path) -> None:
    files = sorted((f for f in (collection_dir / folder).rglob("*.json*") if 20_000 < f.stat().st_size < 600_000),
                   key=lambda f: f.stat().st_size)  # fmt: skip
    for file in files[::-1]:
        try:
            trace = read(file)
        except EtgraphError:
            continue
        if 0 < len(trace) < 12_000:
            for check_format in CHECKS.values():
                check_format(trace)
            check_parquet(trace, tmp_path / "trace")
            return
    pytest.fail("no trace of a fitting size")


@pytest.mark.skipif(shutil.which("nop") is None, reason="needs Graphviz")
@pytest.mark.parametrize("case", ["plain", "odd names", "without operators", "odd metadata"])
def test_graphviz_reads_it(case: str) -> None:
    data = exported(special()[case], "dot")
    result = subprocess.run(["nop"], input=data, capture_output=True, check=False, timeout=60)
    assert (result.returncode, result.stderr) == (0, b"")
    assert result.stdout.count(b"subgraph") == data.count(b"subgraph")


# Targets


@pytest.fixture
def trace() -> Trace:
    """A small trace."""
    return special()["plain"]


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("format", list(WRITERS))
def test_an_export_is_replaced_by_the_next(format: str, trace: Trace, tmp_path: Path) -> None:
    first = write(trace, tmp_path / "x", format)
    assert first.path == str(tmp_path / "x")
    again = write(special()["without dependencies"].select_ranks([0]), str(tmp_path / "x"), format)
    assert again.bytes < first.bytes
    assert again.dependencies == 0
    assert names_in(tmp_path) == {"x"}


class Stop(Exception):
    """What a test raises in the middle."""


@pytest.mark.parametrize("format", list(WRITERS))
@pytest.mark.parametrize(
    "error", [Stop(), KeyboardInterrupt(), MemoryError(), OSError(errno.ENOSPC, "No space left on device")]
)
def test_nothing_is_left_of_a_failure(format: str, error: BaseException, trace: Trace, tmp_path: Path) -> None:
    def fail(step: str, done: int = 0, total: int | None = None) -> None:
        if "dependencies" in step or step == "writing rank 1":
            raise error

    expected = ExportError if isinstance(error, OSError) else type(error)
    with pytest.raises(expected, match="No space left" if isinstance(error, OSError) else None):
        write(trace, tmp_path / "x", format, fail)
    assert names_in(tmp_path) == set()
    write(trace, tmp_path / "x", format)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(expected):
        write(trace, tmp_path / "x", format, fail)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    assert names_in(tmp_path) == {"x"}


def test_a_folder_that_cannot_take_its_place_leaves_the_old_one(
    trace: Trace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(trace, tmp_path / "x", "parquet")
    before = {path: path.read_bytes() for path in (tmp_path / "x").iterdir()}
    rename, calls = Path.replace, []

    def fails_once(self: Path, target: Path) -> Path:
        calls.append(target)
        if len(calls) == 2:
            raise OSError(errno.EIO, "Input/output error")
        return rename(self, target)

    monkeypatch.setattr(Path, "replace", fails_once)
    with pytest.raises(ExportError, match="Input/output error"):
        write(trace, tmp_path / "x", "parquet")
    assert {path: path.read_bytes() for path in (tmp_path / "x").iterdir()} == before
    assert names_in(tmp_path) == {"x"}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("format", ONE_FILE)
def test_a_full_disk_is_told(format: str, trace: Trace) -> None:
    with pytest.raises(ExportError, match="No space left on device"):
        write(trace, "/dev/full", format)
    assert stat.S_ISCHR(os.stat("/dev/full").st_mode)


def test_a_device_takes_the_text_and_stays(trace: Trace) -> None:
    assert write(trace, os.devnull, "dot").bytes > 0
    assert stat.S_ISCHR(os.stat(os.devnull).st_mode)


def test_a_link_stays_and_what_it_leads_to_keeps_its_mode(trace: Trace, tmp_path: Path) -> None:
    (tmp_path / "real").write_text("old")
    (tmp_path / "real").chmod(0o640)
    (tmp_path / "link").symlink_to("real")
    write(trace, tmp_path / "link", "dot")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text("utf-8").startswith("digraph")
    assert stat.S_IMODE((tmp_path / "real").stat().st_mode) == 0o640


@pytest.mark.parametrize("format", list(WRITERS))
def test_a_target_that_cannot_be_is_refused(format: str, trace: Trace, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "precious.parquet").write_text("mine")
    for target, says in ((tmp_path / "no" / "x", "there is no folder"),
                         (tmp_path / ("file" if format in FOLDERS else "folder"), "this format is"),
                         (tmp_path / "folder", "no export" if format in FOLDERS else "is a folder")):  # fmt: skip
        for call in (lambda t=target: check(t, format), lambda t=target: write(trace, t, format)):  # type: ignore[misc]
            with pytest.raises(ExportError, match=says):
                call()
    assert (tmp_path / "folder" / "precious.parquet").read_text() == "mine"


def test_an_unknown_format_and_a_stream_for_a_folder_are_refused(trace: Trace) -> None:
    known = "chakra, chakra-json, networkx, graphml, dot, parquet, perfetto, chrome, speedscope"
    with pytest.raises(UsageError, match=f"no format 'svg': there are {known}"):
        write(trace, io.BytesIO(), "svg")
    with pytest.raises(UsageError, match="cannot be written to a stream"):
        write(trace, io.BytesIO(), "parquet")


@pytest.mark.parametrize("format", list(WRITERS))
def test_progress_ends_with_all_rows_done(format: str, trace: Trace, tmp_path: Path) -> None:
    told: list[tuple[int, int | None]] = []
    write(trace, tmp_path / "x", format, lambda step, done=0, total=None: told.append((done, total)))
    assert told == sorted(told)
    assert told[-1][0] == told[-1][1]


def repeated(times: int) -> Trace:
    """A trace of that many times ten thousand operators and as many dependencies."""
    count = times * 10_000
    rows = np.arange(count, dtype=np.int32)
    operators = {"rank": np.zeros(count), "index": rows, "name": rows % 100, "kind": np.full(count, 4),
                 "category": np.ones(count), "lane": rows % 3, "start_ns": rows * 10, "duration_ns": rows % 7,
                 "parent": np.where(rows % 4, rows - 1, -1)}  # fmt: skip
    dependencies = {"src": rows[:-1], "dst": rows[1:], "kind": rows[1:] % 6, "inferred": rows[1:] % 2 == 0,
                    "method": np.zeros(count - 1), "confidence": np.ones(count - 1)}  # fmt: skip
    lanes = {"rank": [0] * 3, "kind": [0, 0, 1], "process": [0] * 3, "id": [0, 1, 2]}
    return Trace(
        Columns(TABLES["operators"], operators, {"name": [f"n{i}" for i in range(100)]}),
        Columns(TABLES["dependencies"], dependencies, {"method": ["drawn"]}),
        Columns(TABLES["lanes"], lanes, {"process": ["0"], "id": ["0", "1", "7"]}),
    )


@pytest.mark.parametrize("format", GRAPHS)
def test_memory_does_not_grow_with_the_trace(format: str) -> None:
    peaks = []
    for times in (4, 10):
        trace = repeated(times)
        write(trace, os.devnull, format)
        tracemalloc.start()
        write(trace, os.devnull, format)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert (peaks[1] - peaks[0]) / 60_000 < 6
