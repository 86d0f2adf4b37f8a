"""The Neo4j store beyond what every store does: the graph itself, edits in Cypher, real traces, errors of servers."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import neo4j.exceptions
import pyarrow as pa
import pytest

from etgraph.ingest import read, samples
from etgraph.ingest.writers import write
from etgraph.model import Trace, path_tables
from etgraph.model.errors import CorruptStore, EtgraphError, NotFound, UsageError
from etgraph.queries import artefact_of, critical_path, slack
from etgraph.store import Store, connect
from etgraph.store.errors import UnknownFormat
from etgraph.store.neo4j.writing import loading
from etgraph.store.neo4j.writing.batches import units_of
from support.build import build

MakeTrace = Callable[..., Trace]
Same = Callable[[Trace, Trace], None]

pytestmark = pytest.mark.neo4j


@pytest.fixture
def store(new_neo4j_store: Callable[[], Store]) -> Any:
    """The empty database of the tests' server."""
    with new_neo4j_store() as opened:
        yield opened


def counted(store: Store, text: str, **values: Any) -> int:
    ((count,),) = store.cypher(text, values).rows()
    return int(count)


# Nothing is lost


@pytest.mark.parametrize("rows", [1, 7, 4000])
def test_units_of_any_size_make_the_same_graph(
    store: Store, make_trace: MakeTrace, same: Same, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    trace = make_trace(each=20) if rows == 1 else read(samples.path("dlrm_alltoall") / "kineto_rank0.json.gz")
    monkeypatch.setattr(loading, "ROWS", rows)
    store.publish(trace)
    same(store.load(trace.trace_id), trace)


def test_real_traces_come_back_equal(store: Store, same: Same, traces_dir: Path) -> None:
    files = [
        path for pattern in ("*.json.gz", "*.json", "*.et", "*.pt.trace.json.gz") for path in traces_dir.rglob(pattern)
    ]
    tried = 0
    for file in sorted(set(files))[:: max(1, len(set(files)) // 14)]:
        try:
            trace = read(file)
        except EtgraphError:  # what the collection holds beside traces
            continue
        if len(trace) > 100_000:
            continue
        store.publish(trace)
        same(store.load(trace.trace_id), trace)
        store.remove(trace.trace_id)
        tried += 1
    assert tried >= 8


def test_chakra_files_come_back_as_they_were(
    store: Store, collection_dir: Path, reference_dir: Path, tmp_path: Path
) -> None:
    files = [*collection_dir.glob("chakra/*.et"), *sorted(reference_dir.glob("astra_sim/*/*.et"))[::25]]
    assert len(files) > 5
    for file in files:
        store.publish(read(file), workload="chakra")
        write(store.load("chakra"), tmp_path / "out.et", "chakra")
        assert (tmp_path / "out.et").read_bytes() == file.read_bytes(), file
        store.remove("chakra")


# The graph is the trace


def test_an_edit_in_cypher_changes_the_critical_path(store: Store) -> None:
    trace = replace(
        build("""
            rank 0 | thread 1 | l0: cudaLaunchKernel  0..5   -> g0
            rank 0 | stream 7 | g0: gemm             10..60
        """),
        trace_id="4" * 64,
    )  # fmt: skip
    store.publish(trace, workload="w")
    assert slack(store.load("w")).length_ns == 50
    store.cypher("MATCH (o:Operator {name: 'gemm'}) SET o.durationNs = 500", write=True)
    assert slack(store.load("w")).length_ns == 500
    store.cypher("MATCH (o:Operator {name: 'gemm'}) SET o.durationNs = 2.5", write=True)
    with pytest.raises(CorruptStore, match=r"Operator, property durationNs: found 2\.5"):
        store.load("w")
    (problem,) = store.verify("w")
    assert "durationNs" in problem.detail
    store.cypher("MATCH (o:Operator {name: 'gemm'}) DETACH DELETE o", write=True)
    assert {p.detail for p in store.verify("w")} >= {"found 1 operators, expected 2"}


def test_an_added_dependency_is_read(store: Store) -> None:
    trace = replace(
        build("rank 0 | thread 1 | a: aten::mm  0..5\nrank 0 | thread 2 | b: aten::add  7..9"), trace_id="5" * 64
    )
    store.publish(trace, workload="w")
    store.cypher(
        "MATCH (a:Operator {name: 'aten::mm'}), (b:Operator {name: 'aten::add'}) CREATE (a)-[:JOINS_THREAD]->(b)",
        write=True,
    )
    loaded = store.load("w")
    assert loaded.dependency_counts["JOIN"] == trace.dependency_counts.get("JOIN", 0) + 1
    assert loaded.dependencies.value("method", len(loaded.dependencies) - 1) == "edited"


def test_the_database_holds_no_serialised_columns_and_no_file(store: Store) -> None:
    trace = read(samples.path("gpt_ddp") / "kineto_rank0.json.gz")
    store.publish(trace, workload="w")
    found = store.cypher(
        "CALL db.schema.nodeTypeProperties() YIELD nodeType, propertyName, propertyTypes "
        "RETURN nodeType, propertyName, propertyTypes"
    )
    types = {(label, name): kinds for label, name, kinds in found.rows()}
    assert not [place for place, kinds in types.items() if "ByteArray" in kinds]
    longest = counted(
        store,
        "MATCH (n) UNWIND keys(n) AS k WITH n[k] AS v WHERE v IS :: STRING NOT NULL RETURN max(size(v))",
    )
    assert longest < len(trace), "no text grows with the trace"


def test_every_dependency_is_a_relationship_of_its_kind(store: Store) -> None:
    from etgraph.model import DEPENDENCIES, DependencyKind

    trace = read(samples.path("gpt_ddp") / "kineto_rank0.json.gz")
    store.publish(trace, workload="w")
    for kind, count in trace.dependency_counts.items():
        relationship = DEPENDENCIES[DependencyKind[kind]].neo4j
        text = f"MATCH (:Operator)-[r:{relationship}]->(:Operator) WHERE r.method IS NOT NULL RETURN count(r)"
        assert counted(store, text) == count


# Critical paths and tables beside a trace


def test_a_saved_critical_path_is_in_the_graph(store: Store) -> None:
    trace = read(samples.path("gpt_ddp") / "kineto_rank1.json.gz")
    store.publish(trace, workload="w")
    path = critical_path(trace, rank=1, iteration=0)
    for _ in range(2):
        kind, key, table = artefact_of("critical-path", path, revision=trace.revision, rank=1, iteration=0)
        store.put_artefact(trace.trace_id, kind, key, table, revision=trace.revision)
    kept = store.get_artefact(trace.trace_id, kind, key)
    assert kept is not None
    assert kept.to_pydict() == table.to_pydict()
    assert kept.schema.equals(table.schema)
    assert counted(store, "MATCH (p:CriticalPath) RETURN count(*)") == 1
    ((rank, iteration, window, length),) = store.cypher(
        "MATCH (p:CriticalPath)-[:OF]->(:Trace {id: $id}) RETURN p.rank, p.iteration, p.window, p.lengthNs",
        {"id": trace.trace_id},
    ).rows()
    assert (rank, iteration, window, length) == (1, 0, "annotation", path.length_ns)
    on_operators = counted(store, "MATCH (:CriticalPath)-[s:PASSES]->(:Operator) RETURN sum(s.endNs - s.startNs)")
    in_pauses = counted(
        store,
        "MATCH (p:CriticalPath) UNWIND range(0, size(p.pauseOrder) - 1) AS i "
        "RETURN sum(p.pauseEndNs[i] - p.pauseStartNs[i])",
    )
    assert 0 < in_pauses < on_operators
    assert on_operators + in_pauses == path.window_ns
    wrong = counted(
        store,
        "MATCH (p:CriticalPath)-[s:PASSES]->(o) WHERE s.startNs < o.startNs OR s.endNs > o.startNs + o.durationNs "
        "RETURN count(*)",
    )
    assert wrong == 0


def test_a_model_path_is_kept_apart(store: Store) -> None:
    trace = read(samples.path("gpt_ddp") / "kineto_rank1.json.gz")
    store.publish(trace, workload="w")
    kind, key, table = artefact_of("slack", slack(trace), revision=trace.revision)
    store.put_artefact(trace.trace_id, kind, key, table)
    kept = store.get_artefact(trace.trace_id, path_tables.MODEL, key)
    assert kept is not None
    assert kept.to_pydict() == table.to_pydict()
    store.remove("w")
    assert counted(store, "MATCH (n) WHERE NOT n:Store RETURN count(*)") == 0


def test_a_path_through_unknown_operators_is_refused(store: Store, make_trace: MakeTrace) -> None:
    trace = make_trace()
    store.publish(trace, workload="w")
    table = pa.table({"rank": pa.array([0]), "index": pa.array([99]), "name": pa.array(["x"])})
    with pytest.raises(UsageError, match="found operator 0:99"):
        store.put_artefact(trace.trace_id, path_tables.MEASURED, "k", table)
    assert store.artefacts(trace.trace_id) == []
    assert counted(store, "MATCH (p:CriticalPath) RETURN count(*)") == 0


def test_tables_of_many_types_come_back_equal(store: Store, make_trace: MakeTrace) -> None:
    trace = make_trace()
    store.publish(trace, workload="w")
    table = pa.table(
        {
            "key": [1, None, -(2**63)],
            "": ["", None, "größe"],
            "u": pa.array([2**64 - 1, None, 0], pa.uint64()),
            "f": [float("inf"), None, 0.1],
            "f32": pa.array([0.1, None, -0.0], pa.float32()),
            "b": [True, None, False],
            "bytes": [b"\x00\xff", None, b""],
            "at": pa.array([1767323045123456789, None, -1], pa.timestamp("ns", "UTC")),
            "day": pa.array([1, None, -1], pa.date32()),
            "long": pa.array([1, None, -1], pa.duration("us")),
            "price": pa.array([Decimal("1.20"), None, Decimal("-0.01")]),
            "list": [[1, None], None, []],
            "struct": [{"a": "x", "b": [1.5]}, None, {"a": None, "b": []}],
            "texts": pa.array(["a", None, "b"]).dictionary_encode(),
            "none": pa.nulls(3),
            "`odd` {name}": [1, 2, 3],
        }
    ).replace_schema_metadata({"who": "test"})
    for times in (1, 4000):
        big = pa.concat_tables([table] * times)
        store.put_artefact(trace.trace_id, "any", "types", big)
        kept = store.get_artefact(trace.trace_id, "any", "types")
        assert kept is not None
        assert kept.schema.equals(big.schema, check_metadata=True)
        assert kept.equals(big)
    for empty in (table.slice(0, 0), pa.table({})):
        store.put_artefact(trace.trace_id, "any", "empty", empty)
        kept = store.get_artefact(trace.trace_id, "any", "empty")
        assert kept is not None
        assert kept.equals(empty)
    with pytest.raises(UsageError, match="column m: found the type map"):
        store.put_artefact(
            trace.trace_id, "any", "m", pa.table({"m": pa.array([[("a", 1)]], pa.map_("string", "int8"))})
        )
    assert store.verify() == []
    store.cypher("MATCH (r:ArtefactRow) WITH r LIMIT 1 DETACH DELETE r", write=True)
    assert "rows, expected 12000" in store.verify()[0].detail
    store.remove("w")
    assert counted(store, "MATCH (n) WHERE NOT n:Store RETURN count(*)") == 0


# The same answers as the local store's


def test_both_stores_answer_alike(store: Store, tmp_path: Path) -> None:
    with connect(tmp_path / "store") as local:
        for number, name in enumerate(("gpt_ddp_regressed", "dlrm_alltoall")):
            trace = read(samples.path(name) / "kineto_rank0.json.gz")
            for each in (local, store):
                each.publish(trace, workload=f"w{number % 2}", team="t", labels={"n": name}, commit=f"c0ffee{number}")
                each.tag(f"w{number % 2}", "newest")

        def told(each: Store) -> Any:
            return [replace(info, created=None, bytes=None) for info in each.traces()]

        assert told(store) == told(local)
        assert [(w.name, w.traces, w.teams, w.tags) for w in store.workloads()] == [
            (w.name, w.traces, w.teams, w.tags) for w in local.workloads()
        ]
        for reference in ("w0", "w1@newest", "w0@n=gpt_ddp_regressed", "w0@c0ffee0"):
            here, there = store.load(reference), local.load(reference)
            assert critical_path(here, iteration=0).segments.to_pydict() == (
                critical_path(there, iteration=0).segments.to_pydict()
            )
            assert slack(here).operators.to_pydict() == slack(there).operators.to_pydict()
        for reference in ("w0@nothing", "w2", "abcdef"):
            with pytest.raises(NotFound) as one:
                store.find(reference)
            with pytest.raises(NotFound) as other:
                local.find(reference)
            assert [re.sub(r"\d\d:\d\d:\d\d", "", str(error.value)) for error in (one, other)] == [
                re.sub(r"\d\d:\d\d:\d\d", "", str(other.value))
            ] * 2


# Preparing a database


def test_the_database_gets_its_constraints_once(store: Store, make_trace: MakeTrace) -> None:
    assert [check.name for check in store.health()] == ["server", "store"]
    store.publish(make_trace(), workload="w")
    health = {check.name: check for check in store.health()}
    assert all(check.ok for check in health.values())
    assert {"server", "store", "writable", "format", "constraints", "publishers"} == set(health)
    store.cypher("DROP CONSTRAINT etgraph_iteration", write=True)
    assert "etgraph_iteration" in {c.name: c for c in store.health()}["constraints"].detail
    store.cypher("MATCH (s:Store) SET s.format = 0", write=True)
    with connect(store.url) as another:
        another.publish(make_trace("b"), workload="w")
        assert all(check.ok for check in another.health())


def test_a_newer_format_is_left_alone(store: Store, make_trace: MakeTrace) -> None:
    store.publish(make_trace(), workload="w")
    store.cypher("MATCH (s:Store) SET s.format = 99", write=True)
    with pytest.raises(UnknownFormat, match="format 99"):
        connect(store.url)
    store.cypher("MATCH (s:Store) SET s.format = 1", write=True)


def test_progress_is_told(store: Store) -> None:
    trace = read(samples.path("gpt_ddp") / "kineto_rank0.json.gz")
    told: list[tuple[int, int | None]] = []
    store.publish(trace, progress=lambda step, done=0, total=None: told.append((done, total)))
    assert told == sorted(told)
    assert told[0][0] == 0
    assert told[-1][0] == told[-1][1] >= len(trace)  # type: ignore[operator]
    assert len(told) > 2


# Batches


def test_too_large_a_transaction_is_halved(store: Store, same: Same, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server whose memory for transactions holds 100 rows, and no more."""
    trace = read(samples.path("gpt_ddp") / "kineto_rank0.json.gz")
    sizes = []

    class TooMuch(neo4j.exceptions.TransientError):
        code = "Neo.TransientError.General.MemoryPoolOutOfMemoryError"

    transact = loading._Filling._transact

    def limited(self: Any, tx: Any, slot: int, job: Any, statements: Any) -> None:
        rows = sum(unit.last - unit.first for unit in job)
        sizes.append(rows)
        if rows > 100 and job[0].table == "operators":
            raise loading._TooLarge(TooMuch("too much"))
        transact(self, tx, slot, job, statements)

    monkeypatch.setattr(loading._Filling, "_transact", limited)
    store.publish(trace)
    same(store.load(trace.trace_id), trace)
    assert len(sizes) > 40
    assert sum(1 for rows in sizes if rows > 100) < 15, "later transactions are made small from the start"


def test_units_cover_a_table_once() -> None:
    found = list(units_of("operators", 5, 20_000, 300))
    assert [unit.first for unit in found[1:]] == [unit.last for unit in found[:-1]]
    assert (found[0].first, found[-1].last) == (5, 20_000)
    assert max(unit.last - unit.first for unit in found) == 300
