"""The documentation of the graph is current, a database holds what it says and no more, and its queries are right."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pyarrow as pa
import pytest

from etgraph.model import TABLES, AttributeWriter, Columns, DependencyKind, Metadata, Source, Trace
from etgraph.model.accuracy import Score
from etgraph.model.schema import Column, Table
from etgraph.queries import artefact_of, critical_path, save_simulation, slack
from etgraph.store import Store
from etgraph.store.neo4j.artefacts import rows as artefact_rows
from etgraph.store.neo4j.graph.documentation import PAGE, PICTURE, page
from etgraph.store.neo4j.graph.examples import EXAMPLES
from etgraph.store.neo4j.graph.picture import PLACES, arrows_of, box_size, picture
from etgraph.store.neo4j.graph.schema import BYTES, GRAPH_NODES, GRAPH_RELATIONSHIPS, Node, Property, node_of
from etgraph.store.neo4j.migrations import INDEXES, KEYED
from model.tables import columns_of
from support.build import build
from support.predictions import predicted

DOCS = Path(__file__).resolve().parents[2] / "docs"
HOW = "run: python -m etgraph.store.neo4j.graph.documentation docs"

# The page and its picture


def test_the_page_is_current() -> None:
    assert (DOCS / PAGE).read_text("utf-8") == page(), HOW


def test_the_picture_is_current() -> None:
    assert (DOCS / PICTURE).read_text("utf-8") == picture(), HOW


def test_the_page_has_every_label_type_property_and_index() -> None:
    text = page()
    for node in GRAPH_NODES:
        section = text.split(f"\n### `{node.label}`\n")[1].split("\n## ")[0].split("\n### ")[0]
        assert all(f"\n| `{p.name}` | " in section for p in node.properties)
    for relationship in GRAPH_RELATIONSHIPS:
        assert f"| `{relationship.type}` |" in text
    assert all(f"| `{index.name}` | `{index.label}` |" in text for index in INDEXES)


def test_every_line_of_a_table_has_as_many_cells() -> None:
    for block in page().split("\n\n"):
        if block.startswith("|"):
            assert len({len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}) == 1


def test_declarations_are_well_formed() -> None:
    labels = [node.label for node in GRAPH_NODES]
    assert len(set(labels)) == len(labels)
    assert set(KEYED) <= set(labels)
    for node in GRAPH_NODES:
        names = [p.name for p in _properties(node)]
        assert len(set(names)) == len(names)
        assert re.fullmatch(r"([A-Z][a-z]+)+", node.label)
    for relationship in GRAPH_RELATIONSHIPS:
        assert {relationship.source, relationship.target} <= set(labels)
        assert re.fullmatch(r"[A-Z]+(_[A-Z]+)*", relationship.type)


def test_the_picture_shows_every_label_and_relationship() -> None:
    drawn = [element.text or "" for element in ElementTree.fromstring(picture()).iter() if element.text]
    for node in GRAPH_NODES:
        assert drawn.count(node.label) == 1
    types = {name for text in drawn for name in text.split(" · ")}
    assert {relationship.type for relationship in GRAPH_RELATIONSHIPS} <= types
    assert sum(len(arrow.types) for arrow in arrows_of()) <= len(GRAPH_RELATIONSHIPS)


def test_boxes_of_the_picture_do_not_overlap() -> None:
    boxes = list(PLACES)
    for at, one in enumerate(boxes):
        for other in boxes[at + 1 :]:
            (ax, ay), (bx, by) = PLACES[one], PLACES[other]
            (aw, ah), (bw, bh) = box_size(one), box_size(other)
            assert abs(ax - bx) > aw + bw or abs(ay - by) > ah + bh, (one, other)


# A real database


@pytest.fixture
def store(new_neo4j_store: Callable[[], Store]) -> Any:
    """The empty database of the tests' server."""
    with new_neo4j_store() as opened:
        yield opened


ONLY_AFTER_A_CRASH = {("Loader", "taken"), ("Artefact", "taken")}
"""Properties that nothing here makes a store write."""

FOUND_NODES = """
MATCH (n) UNWIND keys(n) AS name
WITH DISTINCT labels(n) AS labels, name, valueType(n[name]) AS type
RETURN labels, name, type"""
FOUND_RELATIONSHIPS = """
MATCH (a)-[r]->(b)
WITH DISTINCT labels(a) AS a, type(r) AS type, labels(b) AS b, [k IN keys(r) | [k, valueType(r[k])]] AS properties
RETURN a, type, b, properties"""


class _Seen:
    """What a database held whenever it was looked at: (label, property, type), and the same of relationships."""

    def __init__(self) -> None:
        self.nodes: set[tuple[str, str, str]] = set()
        self.relationships: set[tuple[str, str, str]] = set()
        self.properties: set[tuple[tuple[str, str, str], str, str]] = set()

    def look(self, store: Store) -> None:
        for labels, name, type in store.cypher(FOUND_NODES).rows():
            self.nodes.add((_most_special(labels), name, _plain(type)))
        for a, type, b, properties in store.cypher(FOUND_RELATIONSHIPS).rows():
            place = (_most_special(a), type, _most_special(b))
            self.relationships.add(place)
            self.properties |= {(place, name, _plain(kind)) for name, kind in properties}


def _most_special(labels: list[str]) -> str:
    declared = [node_of(label) for label in labels]
    bases = {node.base for node in declared}
    (label,) = (node.label for node in declared if node.label not in bases)
    return label


def _fits(type: str, declared: tuple[str, ...]) -> bool:
    """Whether a value of the type that the server tells may stand there; it tells bytes as a list of integers."""
    if type == "LIST<NOTHING>":
        return any(name.startswith("LIST<") for name in declared)
    return type in declared or (type == "LIST<INTEGER>" and BYTES in declared)


def _plain(type: str) -> str:
    return type.replace(" NOT NULL", "")


def _properties(node: Node) -> tuple[Property, ...]:
    return (node_of(node.base).properties if node.base else ()) + node.properties


def _fill(store: Store, monkeypatch: pytest.MonkeyPatch) -> _Seen:
    """Do everything that a store does, and look at the database now and then."""
    seen = _Seen()
    whole = _whole_trace()
    store.publish(
        whole, workload="w", team="ml", labels={"gpu": "h100"}, commit="3f9c21e", branch="main",
        progress=lambda *_: seen.look(store),
    )  # fmt: skip
    store.tag("w", "baseline")
    trace = _built()
    store.publish(trace, team="ml", labels={"gpu": "a100"}, commit="0000000", branch="main")
    written = artefact_rows.rows
    monkeypatch.setattr(artefact_rows, "rows", lambda *given: seen.look(store) or written(*given))
    store.put_artefact(trace.trace_id, "test", "k", pa.table({"a": [1, None], "b": ["x", "y"], "c": [[1], [2]]}))
    measured = critical_path(trace, rank=0, iteration=0)
    for name, path, which in (("slack", slack(trace), {}), ("critical-path", measured, {"rank": 0})):
        kind, key, table = artefact_of(name, path, revision=trace.revision, iteration=0, **which)
        store.put_artefact(trace.trace_id, kind, key, table)
    identity = save_simulation(store, trace.trace_id, predicted(trace, profile="dgx-h100"))
    on_it = {"iteration": 0, "simulation": identity}
    store.put_artefact(trace.trace_id, *artefact_of("critical-path", measured, revision=trace.revision, **on_it))
    score = Score("step", 200, 100, 1.0, 8, 0.5, 0.25, 1, 2)
    store.put_validation(trace.trace_id, identity, whole.trace_id, score)
    told = table.set_column(table.column_names.index("via"), "via", pa.array(["STREAM"] * len(table)))
    store.put_artefact(trace.trace_id, kind, "all", told)
    store.records.put("job", "1", {"state": "queued"})
    seen.look(store)
    return seen


def _built() -> Trace:
    """Two launches on rank 0, and a collective to which rank 1 comes late."""
    trace = build("""
        rank 0 | thread 1 | iteration ProfilerStep#1  0..100
        rank 1 | thread 1 | iteration ProfilerStep#1  0..100
        rank 0 | thread 1 | aten::linear              0..20
        rank 0 | thread 1 | aten::mm                  2..18
        rank 0 | thread 1 | l0: cudaLaunchKernel      5..10   -> g0
        rank 0 | thread 1 | l1: cudaLaunchKernel     22..25   -> g1
        rank 0 | stream 7 | g0: gemm                 15..60
        rank 0 | stream 7 | g1: gemm                 60..65
        rank 0 | stream 9 | a0: all_reduce 4MB       40..90
        rank 1 | stream 7 | a1: all_reduce 4MB       70..90
    """)
    operators = trace.operators.replace({"source": [0] * len(trace)}, {"source": ["train.py:1"]})
    return replace(trace, operators=operators, trace_id="4" * 64)


def _whole_trace() -> Trace:
    """A trace with a value in every column of every table, and every kind of dependency."""
    documents = [b'{"odd":"\xff"}', *(b'{"a":%d}' % at for at in range(20))]
    taken = iter(range(len(documents)))

    def rows(table: Table) -> Columns:
        given = {"rank": [0, 0, 1], "index": [0, 1, 0], "parent": [None, 0, None]} if table.name == "operators" else {}
        found = []
        for at in range(3):
            row = {column.name: _value(column, at, taken) for column in table.columns}
            found.append(row | {name: values[at] for name, values in given.items()})
        return columns_of(found, table)

    tables = {name: rows(table) for name, table in TABLES.items() if name not in ("dependencies", "group_members")}
    kinds = [kind for kind in DependencyKind if kind != DependencyKind.COLLECTIVE]
    dependency = {"src": 0, "dst": 1, "inferred": True, "method": "test", "confidence": 0.5}
    tables["dependencies"] = columns_of([dependency | {"kind": kind} for kind in kinds], TABLES["dependencies"])
    tables["group_members"] = columns_of([{"group": 0, "rank": rank} for rank in (0, 1)], TABLES["group_members"])
    with AttributeWriter() as writer:
        writer.extend(documents)
    sources = (
        Source("odd\udcff", "kineto", 0, 1, "0" * 64),
        Source("rank1.json", "kineto", 1, 1, "1" * 64, document={"schemaVersion": 1}),
    )
    metadata = Metadata(sources, 2, "GPU", "2026-01-02T03:04:05Z", 5, {0: 0, 1: -5})
    return Trace(**tables, attributes=writer.attributes, metadata=metadata, trace_id="6" * 64, revision=1)


def _value(column: Column, at: int, attributes: Any) -> Any:
    if column.name == "attrs":
        return next(attributes)
    if column.values is not None:
        return 99 if at == 2 else next(iter(column.values))
    if column.type == "uint64":
        return 2**63 if at == 2 else at
    return {"text": "x", "bool": True, "row": 0, "float32": 0.5, "float64": 0.5}.get(column.type, 1 if at else 0)


@pytest.mark.neo4j
def test_a_database_holds_what_the_page_says(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = _fill(store, monkeypatch)

    declared = {(n.label, p.name) for n in GRAPH_NODES for p in _properties(n)}
    found = {(label, name) for label, name, _ in seen.nodes if not node_of(label).more or (label, name) in declared}
    assert sorted(found - declared) == [], "undocumented"
    own = {(n.label, p.name) for n in GRAPH_NODES for p in n.properties}
    assert sorted(own - found - ONLY_AFTER_A_CRASH) == [], "documented, but not there"
    types = {(n.label, p.name): p.types for n in GRAPH_NODES for p in _properties(n)}
    for label, name, type in seen.nodes:
        if (label, name) in types:
            assert _fits(type, types[label, name]), (label, name, type)

    places = {(r.source, r.type, r.target): r for r in GRAPH_RELATIONSHIPS}
    assert sorted(seen.relationships - places.keys()) == []
    assert sorted(places.keys() - seen.relationships) == []
    on = {(place, p.name): p.types for place, r in places.items() for p in r.properties}
    there = {(place, name) for place, name, _ in seen.properties if not name.startswith("label.")}
    assert sorted(there - on.keys()) == []
    assert sorted(on.keys() - there) == []
    for place, name, type in seen.properties:
        assert type in on.get((place, name), ("STRING",)), (place, name)
        assert not name.startswith("label.") or places[place].more


@pytest.mark.neo4j
def test_what_is_not_optional_is_everywhere(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    _fill(store, monkeypatch)
    for node in GRAPH_NODES:
        for name in (p.name for p in _properties(node) if not p.optional):
            text = f"MATCH (n:{node.label}) WHERE n.`{name}` IS NULL RETURN count(*)"
            assert list(store.cypher(text).rows()) == [[0]], (node.label, name)
    for relationship in GRAPH_RELATIONSHIPS:
        ends = f"MATCH (:{relationship.source})-[r:{relationship.type}]->(:{relationship.target})"
        for name in (p.name for p in relationship.properties if not p.optional):
            assert list(store.cypher(f"{ends} WHERE r.`{name}` IS NULL RETURN count(*)").rows()) == [[0]], (ends, name)


# The examples


@pytest.fixture
def trace(store: Store) -> Trace:
    """A published trace of a workload of team `ml`, with a critical path beside it; another team has another one."""
    trace = _built()
    store.publish(trace, workload="gpt", team="ml", commit="3f9c21e")
    store.publish(replace(trace, trace_id="5" * 64), workload="gpt", team="ads")
    kind, key, table = artefact_of("critical-path", critical_path(trace, rank=0), revision=trace.revision, rank=0)
    store.put_artefact(trace.trace_id, kind, key, table)
    save_simulation(store, trace.trace_id, predicted(trace, 3.0, never=[5]))
    return trace


@pytest.fixture
def ask(store: Store, trace: Trace) -> Callable[..., list[list[Any]]]:
    """`ask(name, parameters)`: the rows of an example."""

    def asked(name: str, **parameters: Any) -> list[list[Any]]:
        (example,) = (e for e in EXAMPLES if e.name == name)
        values = {"trace": trace.trace_id} if "trace" in example.parameters else {}
        assert {*values, *parameters} == set(re.findall(r"\$(\w+)", example.text)) == set(example.parameters)
        return list(store.cypher(example.text, {**values, **parameters}, write=example.writes).rows())

    return asked


@pytest.mark.neo4j
def test_the_examples_are_right(ask: Callable[..., list[list[Any]]], store: Store, trace: Trace) -> None:
    newest = ask("newest_traces", workload="gpt")
    assert [(trace, commit, count) for trace, _, commit, count in newest] == [
        ("5" * 64, None, 8), ("4" * 64, "3f9c21e", 8)
    ]  # fmt: skip
    assert ask("workloads_of_team", team="ml") == [["gpt", 1]]
    longest = ask("longest_operators")
    assert [row[3] for row in longest] == [50, 45, 20, 20, 16, 5, 5, 3]
    assert longest[:2] == [[0, 5, "all_reduce", 50], [0, 3, "gemm", 45]]
    assert ask("launches", rank=0, kernel="gemm") == [
        [3, 10, ["cudaLaunchKernel", "aten::mm", "aten::linear"]],
        [6, 38, ["cudaLaunchKernel"]],
    ]
    assert ask("time_by_lane") == [[0, "7", 2, 50], [0, "9", 1, 50], [1, "7", 1, 20]]
    assert ask("late_ranks") == [["ALL_REDUCE", 4 << 20, 1, 30]]
    worst = ask("predicted_durations")
    assert [row[1:] for row in worst[:2]] == [[0, 3, "gemm", 45, 135], [0, 0, "aten::linear", 20, 60]]
    segments = [s for s in critical_path(trace, rank=0).segments.to_pylist() if s["index"] is not None]
    path = ask("critical_path")
    assert len(path) > 2
    assert [row[2:] for row in path] == [
        [s["rank"], s["name"], s["category"], s["end_ns"] - s["start_ns"]] for s in segments
    ]


@pytest.mark.neo4j
def test_a_changed_duration_is_loaded(ask: Callable[..., list[list[Any]]], store: Store, trace: Trace) -> None:
    assert ask("change_duration", rank=1, index=0, durationNs=25) == [["all_reduce", 25]]
    changed = store.load(trace.trace_id).operators["duration_ns"] - trace.operators["duration_ns"]
    assert changed.tolist() == [0] * 7 + [5]


def test_every_example_is_on_the_page() -> None:
    for example in EXAMPLES:
        assert f"```cypher\n{example.text}\n```" in page()
