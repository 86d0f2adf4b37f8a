"""PyTorch execution traces: real files against an independent reading, made-up nodes against the rules."""

from __future__ import annotations

import gzip
import json
import os
from collections import Counter, defaultdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from etgraph.ingest import read
from etgraph.ingest.iterations import STEP
from etgraph.model import Category, CommType, DependencyKind, LaneKind, NodeType, Trace
from etgraph.model.errors import CycleError, InputError
from support.as_recorded import as_recorded

ROOT = Path(__file__).resolve().parents[2]
ATTRIBUTES = ("rf_id", "fw_parent", "seq_id", "scope", "tid", "fw_tid", "op_schema")
JSON = dict[str, Any]


# Real files


def recorded_files() -> list[Path]:
    """Execution traces of the collection, or of the bundled samples."""
    folder = Path(os.environ.get("ETGRAPH_TRACES") or ROOT / "ingest" / "etgraph" / "ingest" / "samples")
    names = ("*_et.json*", "*_eg_*.json*", "et_rank*.json*", "1.0.*-chakra*.json*", "*_et_*.json*")
    return sorted({path for name in names for path in folder.rglob(name) if path.is_file()})


def plain(path: Path) -> JSON:
    text = path.read_bytes()
    document: JSON = json.loads(gzip.decompress(text) if text[:2] == b"\x1f\x8b" else text)
    return document


def facts(node: JSON) -> JSON:
    """A node's attributes whichever the schema, with `parent` as the id of the node that encloses it."""
    found = {a["name"]: a["value"] for a in node["attrs"]} if "attrs" in node else dict(node)
    return found | {"parent": node.get("ctrl_deps", node.get("parent"))}


@pytest.mark.parametrize("path", recorded_files(), ids=lambda p: f"{p.parent.name}-{p.name}")
def test_a_recorded_file_against_an_independent_reading(path: Path) -> None:
    document = plain(path)
    trace = as_recorded(path)
    trace.validate()
    nodes = sorted(document["nodes"], key=lambda n: (facts(n)["rf_id"], n["id"]))
    assert len(trace) == len(nodes)
    o = trace.operators
    assert o["node_id"].tolist() == [n["id"] for n in nodes]
    assert [o.texts("name")[code].as_py() for code in o["name"].tolist()] == [n["name"] for n in nodes]
    row_of = {n["id"]: row for row, n in enumerate(nodes)}
    parents = [-1 if facts(n)["parent"] == n["id"] else row_of[facts(n)["parent"]] for n in nodes]
    assert o["parent"].tolist() == parents

    texts = [text for _, batch in trace.attributes.batches() for text in batch.to_pylist()]
    assert [json.loads(texts[row]) for row in o["attrs"].tolist()] == nodes
    for row in (0, len(nodes) // 2, len(nodes) - 1):
        assert trace.operator_attributes(row) == nodes[row]

    threads = [facts(n)["tid"] for n in nodes]
    expected = Counter(
        "CALL" if threads[row] == threads[parent] or threads[parent] == 0 else "SPAWN"
        for row, parent in enumerate(parents)
        if parent >= 0
    )
    expected["THREAD"] = len(sibling_pairs(parents, threads))
    for row, node in enumerate(nodes):
        caller = row_of.get(facts(node)["fw_parent"])
        expected["SPAWN"] += caller is not None and threads[caller] != threads[row]
    expected["SPAWN"] -= trace.metadata.report.counts.get("forwardParentsAgainstOrder", 0)
    assert trace.dependency_counts == {kind: count for kind, count in expected.items() if count}

    steps = [n["name"] for n in nodes if n["name"].startswith(STEP.rstrip("*"))]
    assert [r["name"] for r in map(trace.iterations.row, range(len(trace.iterations)))] == steps
    assert trace.metadata.sources[0].document == {k: v for k, v in document.items() if k != "nodes"}
    assert trace.metadata.report.dangling_dependencies == 0
    assert "schema" not in " ".join(trace.metadata.report.warnings)


def sibling_pairs(parents: list[int], threads: list[Any]) -> list[tuple[int, int]]:
    """Rows that follow each other under one parent on one thread."""
    families: dict[tuple[int, Any], list[int]] = defaultdict(list)
    for row, (parent, thread) in enumerate(zip(parents, threads, strict=True)):
        if parent >= 0 and thread != 0:
            families[parent, thread].append(row)
    return [pair for family in families.values() for pair in pairwise(family)]


def recorded(part: str) -> Trace:
    found = [p for p in recorded_files() if part in str(p)]
    if not found:
        pytest.skip(f"needs {part} of the full trace collection (ETGRAPH_TRACES)")
    return read(found[0])


def communication(trace: Trace) -> Counter[tuple[Any, ...]]:
    o = trace.operators
    rows = np.flatnonzero(o["kind"] >= int(NodeType.COMM_SEND)).tolist()
    values = ("name", "comm_type", "comm_bytes", "group", "peer")
    return Counter(tuple(o.value(v, row) for v in values) for row in rows)


def test_collectives_of_a_recorded_nccl_run() -> None:
    found = communication(recorded("param/resnet_1gpu_et.json.gz"))
    assert sum(found.values()) == 21  # 27 records, of which 6 only wait
    assert found["record_param_comms", CommType.ALL_REDUCE, 8_196_000, 0, None] == 3  # 2 049 000 floats
    assert found["record_param_comms", CommType.BROADCAST, 212_480, 0, None] == 3


def test_an_all_gather_of_two_ranks_counts_the_gathered_size() -> None:
    trace = recorded("chakra/1.0.2-chakra.0.0.4.json.gz")
    assert communication(trace) == {("record_param_comms", CommType.ALL_GATHER, 8, 0, None): 10}
    assert trace.process_groups.row(0) == {"name": "0", "description": None, "backend": "cuda:nccl", "size": 2}
    assert trace.group_members["rank"].tolist() == [0, 1]


def test_messages_of_a_recorded_gloo_run() -> None:
    found = communication(recorded("gpt_tp2_pp2/et_rank0"))
    assert found["gloo:send", None, 262_144, None, 2] == 4
    assert found["gloo:recv", None, 262_144, None, 2] == 4
    assert found["gloo:all_reduce", CommType.ALL_REDUCE, 262_144, None, None] == 16


def test_every_step_of_a_recorded_run_holds_its_backward_thread() -> None:
    trace = recorded("param/resnet_1gpu_et.json.gz")
    counts = np.unique(trace.operators["iteration"], return_counts=True)
    assert [c.tolist() for c in counts] == [[-1, 0, 1, 2], [4, 4796, 4796, 4796]]


# Made-up nodes


def node(id: int, name: str, parent: int | None = 2, *, tid: Any = 1, values: Any = (), **facts: Any) -> JSON:
    """A node of schema 1.0.2 and later; `rf_id` follows the id."""
    known = {"rf_id": 0 if id < 3 else id, "fw_parent": 0, "seq_id": -1, "scope": 0, "tid": tid}
    more = {key: facts.pop(key) for key in ("outputs", "ts", "dur", "cat", "stream", "shapes", "types") if key in facts}
    inputs = {"values": list(values), "shapes": more.pop("shapes", []), "types": more.pop("types", [])}
    attrs = [{"name": k, "type": "", "value": v} for k, v in (known | facts).items()]
    head = {"id": id, "name": name} | ({} if parent is None else {"ctrl_deps": parent})
    outputs = {"values": more.pop("outputs", []), "shapes": [], "types": []}
    return head | {"inputs": inputs, "outputs": outputs, "attrs": attrs} | more


def flat(id: int, name: str, parent: int = 2, *, tid: int = 1, **facts: Any) -> JSON:
    """A node of schema 1.0.1."""
    lists = ("inputs", "input_shapes", "input_types", "outputs", "output_shapes", "output_types")
    known = {"rf_id": 0 if id < 3 else id, "parent": parent, "fw_parent": 0, "seq_id": -1, "scope": 0, "tid": tid}
    return {"name": name, "id": id} | known | {key: [] for key in lists} | facts


def roots(make: Any = node, word: str = "trace") -> list[JSON]:
    name = f"[pytorch|profiler|execution_{word}|{{}}]"
    process = make(1, name.format("process"), 1, tid=0, scope=7)
    return [make(2, name.format("thread"), 1, scope=7), process]


def write(folder: Path, nodes: list[JSON], *, schema: Any = "1.1.1-chakra.0.0.4", name: str = "et.json") -> Path:
    path = folder / name
    path.write_text(json.dumps({"schema": schema, "pid": 77, "time": "2024-01-02 03:04:05", "nodes": nodes}))
    return path


def make(folder: Path, *nodes: JSON, **top: Any) -> Trace:
    trace = read(write(folder, [*nodes, *roots()], **top))
    trace.validate()
    return trace


def names(trace: Trace) -> list[str]:
    return [trace.operators.value("name", row) for row in range(len(trace))]


def edges(trace: Trace, kind: str) -> set[tuple[str, str]]:
    d, name = trace.dependencies, names(trace)
    rows = [d.row(i) for i in range(len(d))]
    return {(name[r["src"]], name[r["dst"]]) for r in rows if r["kind"].name == kind}


def only(trace: Trace, name: str) -> JSON:
    (row,) = [row for row, n in enumerate(names(trace)) if n == name]
    return trace.operators.row(row)


def test_nodes_in_completion_order_become_operators_in_starting_order(tmp_path: Path) -> None:
    trace = make(tmp_path, node(5, "inner", 4), node(4, "outer"), node(9, "last", rf_id=6))
    assert names(trace)[2:] == ["outer", "inner", "last"]
    assert edges(trace, "CALL") == {
        ("[pytorch|profiler|execution_trace|process]", "[pytorch|profiler|execution_trace|thread]"),
        ("[pytorch|profiler|execution_trace|thread]", "outer"),
        ("[pytorch|profiler|execution_trace|thread]", "last"),
        ("outer", "inner"),
    }
    assert edges(trace, "THREAD") == {("outer", "last")}
    methods = {(r["kind"].name, r["method"], r["inferred"]) for r in map(trace.dependencies.row, range(5))}
    assert methods == {("CALL", "ctrl_deps", False), ("THREAD", "sibling order", True)}


def test_the_flat_schema_says_the_same(tmp_path: Path) -> None:
    nodes = [flat(5, "inner", 4, seq_id=3), flat(4, "outer"), *roots(flat, "graph")]
    trace = read(write(tmp_path, nodes, schema="1.0.1"))
    assert names(trace)[2:] == ["outer", "inner"]
    assert [r["method"] for r in map(trace.dependencies.row, range(3))] == ["parent"] * 3
    assert trace.metadata.report.warnings == ()


@pytest.mark.parametrize("schema", ["1.0.2-chakra.0.0.4", "1.0.3", "1.0.3-chakra.0.0.4", "1.1.0", "1.1.1-chakra.1.0.0"])
def test_known_schemas_are_read_without_a_warning(schema: str, tmp_path: Path) -> None:
    assert make(tmp_path, node(3, "a"), schema=schema).metadata.report.warnings == ()


@pytest.mark.parametrize(("schema", "found"), [("2.7.0", "schema '2.7.0'"), (None, "no schema"), (3, "schema 3")])
def test_an_unknown_schema_is_read_with_a_warning_that_names_it(schema: Any, found: str, tmp_path: Path) -> None:
    trace = make(tmp_path, node(3, "a"), schema=schema)
    assert len(trace) == 3
    (warning,) = trace.metadata.report.warnings
    assert warning.startswith(f"{found}: known are 1.0.1")


def test_threads_are_lanes_and_the_process_has_none(tmp_path: Path) -> None:
    trace = make(tmp_path, node(3, "a"), node(4, "b", tid=5), node(5, "c", 1, tid="worker"))
    assert [trace.lanes.value("id", row) for row in range(len(trace.lanes))] == ["1", "5", "worker"]
    assert trace.lanes.value("process", 0) == "77"
    assert trace.lanes.value("kind", 0) is LaneKind.THREAD
    assert only(trace, "[pytorch|profiler|execution_trace|process]")["lane"] is None
    assert [only(trace, n)["lane"] for n in "abc"] == [0, 1, 2]


def test_a_child_on_another_thread_is_spawned(tmp_path: Path) -> None:
    trace = make(tmp_path, node(3, "a"), node(4, "b", 3, tid=5), node(5, "c", 3), node(6, "d", 3))
    assert edges(trace, "SPAWN") == {("a", "b")}
    assert edges(trace, "THREAD") == {("c", "d")}
    assert only(trace, "b")["parent"] == only(trace, "a")["index"]


def test_a_forward_parent_on_another_thread_spawned_the_operator(tmp_path: Path) -> None:
    thread = node(9, "[pytorch|profiler|execution_trace|thread]", 1, tid=2, scope=7, rf_id=0)
    trace = make(tmp_path, node(3, "backward()"), thread, node(10, "MmBackward", 9, tid=2, scope=1, fw_parent=3))
    assert edges(trace, "SPAWN") == {("backward()", "MmBackward")}


def test_a_forward_parent_on_the_same_thread_adds_nothing(tmp_path: Path) -> None:
    trace = make(tmp_path, node(3, "evaluate"), node(4, "MmBackward", 3, scope=1, fw_parent=3))
    assert edges(trace, "SPAWN") == set()


def test_forward_parents_that_contradict_the_order_are_counted(tmp_path: Path) -> None:
    trace = make(tmp_path, node(3, "early", fw_parent=5), node(4, "lost", fw_parent=99), node(5, "late", tid=2))
    assert edges(trace, "SPAWN") == {("[pytorch|profiler|execution_trace|thread]", "late")}
    assert trace.metadata.report.counts["forwardParentsAgainstOrder"] == 2


def test_a_parent_that_starts_later_than_its_child_is_kept(tmp_path: Path) -> None:
    trace = make(tmp_path, node(3, "child", 4), node(4, "parent"), node(5, "after"))
    assert names(trace)[2:] == ["child", "parent", "after"]
    assert ("parent", "child") in edges(trace, "CALL")


def test_a_missing_parent_is_counted_and_kept_in_the_attributes(tmp_path: Path) -> None:
    trace = make(tmp_path, node(3, "a", 99), node(4, "b", None))
    assert trace.metadata.report.dangling_dependencies == 1
    assert only(trace, "a")["parent"] is None
    assert trace.operator_attributes(only(trace, "a")["index"])["ctrl_deps"] == 99


def test_a_cycle_of_parents_names_its_members(tmp_path: Path) -> None:
    path = write(tmp_path, [node(3, "a", 4), node(4, "b", 5), node(5, "c", 3), node(6, "d", 5), *roots()])
    with pytest.raises(CycleError) as error:
        read(path)
    assert sorted(error.value.members) == ["node 3 (a)", "node 4 (b)", "node 5 (c)"]
    assert str(error.value).startswith(f"{path}: found 3 nodes that enclose each other, expected a tree: ")


def test_an_id_that_occurs_twice_names_both_places(tmp_path: Path) -> None:
    path = write(tmp_path, [node(7, "a"), node(4, "b"), node(7, "c"), *roots()])
    with pytest.raises(InputError) as error:
        read(path)
    assert str(error.value) == f"{path}: found id 7 in node 0 and in node 2, expected one node for each id"


def test_a_hundred_thousand_nested_nodes_are_no_recursion(tmp_path: Path) -> None:
    depth = 100_000
    nodes = [{"id": i, "name": "deep", "ctrl_deps": i - 1 if i > 1 else 1} for i in range(depth, 0, -1)]
    trace = read(write(tmp_path, nodes))
    assert trace.operators["parent"].tolist() == list(range(-1, depth - 1))
    assert trace.dependency_counts == {"CALL": depth - 1}


def test_optional_fields_may_be_absent(tmp_path: Path) -> None:
    path = tmp_path / "et.json"
    path.write_text('{"nodes": [{"id": 18446744073709551615}, {"id": 0, "attrs": [], "inputs": null}]}')
    trace = read(path)
    assert trace.operators["node_id"].tolist() == [0, 2**64 - 1]
    assert names(trace) == ["", ""]
    assert len(trace.lanes) == 0


def test_shapes_of_inputs_are_written_as_for_kineto(tmp_path: Path) -> None:
    types = ["Tensor(float)", "GenericList[Tensor(half)]"]
    trace = make(tmp_path, node(3, "a", shapes=[[2, 3], [[4]]], types=types), node(4, "b"))
    assert only(trace, "a")["shapes"] == '{"dims":[[2,3],[[4]]],"types":["float","GenericList[Tensor(half)]"]}'
    assert only(trace, "b")["shapes"] is None


def test_categories_kinds_and_scopes(tmp_path: Path) -> None:
    trace = make(
        tmp_path,
        node(3, "ProfilerStep#4", scope=7),
        node(4, "## forward ##", 3, scope=7),
        node(5, "Module", 4, scope=7),
        node(6, "aten::mm", 5),
        node(7, "aten::add", 3),
    )
    rows = {n: only(trace, n) for n in ("ProfilerStep#4", "## forward ##", "Module", "aten::mm", "aten::add")}
    assert [(r["category"], r["kind"]) for r in rows.values()] == [(Category.ANNOTATION, NodeType.METADATA)] * 3 + [
        (Category.CPU_OP, NodeType.COMP)
    ] * 2
    assert [r["scope"] for r in rows.values()] == [None, None, "## forward ##", "## forward ##/Module", None]
    assert [trace.operators.value("category", row) for row in (0, 1)] == [Category.METADATA] * 2


def tensor(elements: int, *, width: int = 4) -> list[Any]:
    return [12, 13, 0, elements, width, "cuda:0"]


def test_an_address_names_its_group_before_schema_1_0_3(tmp_path: Path) -> None:
    groups = json.dumps([{"pg_name": "tp", "backend_id": 4711, "ranks": [2, 3], "group_size": 2}])
    trace = make(
        tmp_path,
        node(3, "## process_group:init ##", scope=7, values=[groups]),
        node(4, "record_param_comms", values=[[tensor(10)], 1, 4711, 0, "allreduce", [], [], 2]),
        schema="1.0.2-chakra.0.0.4",
    )
    row = only(trace, "record_param_comms")
    assert (row["kind"], row["comm_type"], row["comm_bytes"]) == (NodeType.COMM_COLL, CommType.ALL_REDUCE, 40)
    assert trace.process_groups.value("name", row["group"]) == "tp"
    assert trace.group_members["rank"].tolist() == [2, 3]
    assert only(trace, "## process_group:init ##")["kind"] is NodeType.METADATA
    assert trace.metadata.world_size is None


def test_a_pair_names_the_group_since_schema_1_0_3(tmp_path: Path) -> None:
    values = [[tensor(10)], 1, ["7", "dp"], 0, "_allgather_base", [], [], 0, 1, 4]
    trace = make(tmp_path, node(3, "record_param_comms", values=values), schema="1.0.3")
    row = only(trace, "record_param_comms")
    assert (row["comm_type"], row["comm_bytes"]) == (CommType.ALL_GATHER, 160)
    assert trace.process_groups.row(row["group"]) == {"name": "7", "description": "dp", "backend": None, "size": 4}


def test_attributes_describe_the_collective_since_schema_1_1_0(tmp_path: Path) -> None:
    facts: JSON = {"collective_name": "reduce_scatter", "dtype": "BFloat16", "in_msg_nelems": 80, "out_msg_nelems": 20,
             "pg_name": "7", "pg_desc": "dp", "pg_size": 4}  # fmt: skip
    row = only(make(tmp_path, node(3, "record_param_comms", **facts)), "record_param_comms")
    assert (row["comm_type"], row["comm_bytes"], row["group"]) == (CommType.REDUCE_SCATTER, 160, 0)


@pytest.mark.parametrize("name", ["wait", "init"])
def test_a_record_that_moves_nothing_is_computation(name: str, tmp_path: Path) -> None:
    trace = make(tmp_path, node(3, "record_param_comms", values=[47, ["", ""], 0, name, [], [], -1, -1, 1]))
    assert only(trace, "record_param_comms")["kind"] is NodeType.COMP
    assert len(trace.process_groups) == 0


@pytest.mark.parametrize(("name", "kind"), [("send", NodeType.COMM_SEND), ("recv", NodeType.COMM_RECV)])
def test_a_message_names_its_peer_by_its_place_in_the_group(name: str, kind: NodeType, tmp_path: Path) -> None:
    groups = json.dumps([{"pg_name": "pp", "ranks": [1, 5], "group_size": 2}])
    values = [[tensor(10)], 1, ["pp", ""], 1, name, [], [], 1, 4, 2]
    trace = make(
        tmp_path, node(3, "## process_group:init ##", values=[groups]), node(4, "record_param_comms", values=values)
    )
    row = only(trace, "record_param_comms")
    assert (row["kind"], row["peer"], row["comm_bytes"], row["comm_type"]) == (kind, 5, 40, None)


def test_gloo_takes_peer_tag_and_gathered_size_from_the_operator_around_it(tmp_path: Path) -> None:
    trace = make(
        tmp_path,
        node(3, "c10d::send", values=[[tensor(10)], "<Object>", 2, 9]),
        node(4, "gloo:send", 3, scope=7, values=[tensor(10)]),
        node(5, "c10d::allgather_", outputs=[[[tensor(10), tensor(10)]], "<Object>"]),
        node(6, "gloo:all_gather", 5, scope=7, values=[tensor(10)]),
    )
    send, gather = only(trace, "gloo:send"), only(trace, "gloo:all_gather")
    assert (send["kind"], send["peer"], send["tag"], send["comm_bytes"]) == (NodeType.COMM_SEND, 2, 9, 40)
    assert (gather["kind"], gather["comm_bytes"]) == (NodeType.COMM_COLL, 80)
    assert send["category"] is Category.ANNOTATION
    assert only(trace, "c10d::send")["kind"] is NodeType.COMP


def test_nccl_communicates_by_itself_only_outside_of_its_record(tmp_path: Path) -> None:
    trace = make(
        tmp_path,
        node(3, "record_param_comms", values=[[tensor(1)], 1, ["0", ""], 0, "allreduce", [], [], 0, 1, 2]),
        node(4, "nccl:all_reduce", 3, scope=7, values=[tensor(1)]),
        node(5, "nccl:broadcast", scope=7, values=[tensor(2)]),
    )
    assert only(trace, "nccl:all_reduce")["kind"] is NodeType.METADATA
    alone = only(trace, "nccl:broadcast")
    assert (alone["kind"], alone["comm_type"], alone["comm_bytes"]) == (NodeType.COMM_COLL, CommType.BROADCAST, 8)


def test_the_group_of_all_ranks_gives_the_world_size(tmp_path: Path) -> None:
    groups = json.dumps(
        [{"pg_name": "1", "pg_desc": "tp", "ranks": [0, 1], "group_size": 2},
         {"pg_name": "0", "ranks": [], "group_size": 4}]
    )  # fmt: skip
    trace = make(tmp_path, node(3, "## process_group:init ##", values=[groups]))
    assert trace.metadata.world_size == 4
    assert trace.group_members["rank"].tolist() == [0, 1, 0, 1, 2, 3]


@pytest.mark.parametrize("text", ["[{", "3", "[[]]"])
def test_process_groups_that_cannot_be_read_are_counted(text: str, tmp_path: Path) -> None:
    trace = make(tmp_path, node(3, "## process_group:init ##", values=[text]))
    assert trace.metadata.report.counts == {"unreadProcessGroups": 1}


def test_a_group_of_absurd_size_is_not_written_out(tmp_path: Path) -> None:
    groups = json.dumps([{"pg_name": "0", "ranks": [], "group_size": 2_000_000_000}])
    trace = make(tmp_path, node(3, "## process_group:init ##", values=[groups]))
    assert len(trace.group_members) == 0


def test_steps_hold_what_they_enclose_and_what_other_threads_do_meanwhile(tmp_path: Path) -> None:
    thread = node(20, "[pytorch|profiler|execution_trace|thread]", 1, tid=2, scope=7, rf_id=0)
    trace = make(
        tmp_path, thread, node(3, "before"), node(4, "meanwhile 0", 20, tid=2),
        node(5, "ProfilerStep#7", scope=7), node(6, "in 7", 5), node(7, "meanwhile 7", 20, tid=2),
        node(8, "ProfilerStep#8", scope=7), node(9, "meanwhile 8", 20, tid=2), node(10, "in 8", 8),
        node(11, "after"), node(12, "meanwhile after", 20, tid=2),
    )  # fmt: skip
    steps = [trace.iterations.row(row) for row in range(2)]
    assert [(s["index"], s["name"], s["start_ns"], trace.lane_label(s["lane"])) for s in steps] == [
        (0, "ProfilerStep#7", None, "thread 1"),
        (1, "ProfilerStep#8", None, "thread 1"),
    ]
    belongs = dict(zip(names(trace), trace.operators["iteration"].tolist(), strict=True))
    assert {n for n, step in belongs.items() if step == 0} == {"ProfilerStep#7", "in 7", "meanwhile 7"}
    assert {n for n, step in belongs.items() if step == 1} == {"ProfilerStep#8", "in 8", "meanwhile 8"}


def test_a_chosen_annotation_marks_the_steps_and_none_inside_another(tmp_path: Path) -> None:
    nodes = [node(3, "## LOOP 1 ##", scope=7), node(4, "## LOOP 9 ##", 3, scope=7), node(5, "## LOOP 2 ##"), *roots()]
    trace = read(write(tmp_path, nodes), iteration="## LOOP*")
    assert [trace.iterations.value("name", row) for row in range(len(trace.iterations))] == ["## LOOP 1 ##"]


def test_times_and_device_operators_of_a_linked_trace(tmp_path: Path) -> None:
    gpu = {"cat": "kernel", "ts": 1712.5, "dur": 3, "stream": 7}
    kernels = [{"id": 90, "name": "gemm", "ctrl_deps": 3} | gpu]
    kernels += [{"id": 91, "name": "ncclDevKernel_AllReduce", "ctrl_deps": 4} | gpu | {"ts": 1720}]
    trace = make(tmp_path, node(3, "aten::mm", ts=1700, dur=10.25), node(4, "b", ts=1705, dur=1), *kernels)
    gemm = only(trace, "gemm")
    assert (gemm["start_ns"], gemm["duration_ns"], gemm["category"]) == (12_500, 3000, Category.KERNEL)
    assert trace.lanes.value("kind", gemm["lane"]) is LaneKind.STREAM
    assert only(trace, "ncclDevKernel_AllReduce")["kind"] is NodeType.COMM_COLL
    assert edges(trace, "LAUNCH") == {("aten::mm", "gemm"), ("b", "ncclDevKernel_AllReduce")}
    assert names(trace)[2:] == ["aten::mm", "gemm", "b", "ncclDevKernel_AllReduce"]
    assert (trace.metadata.zero_ns, trace.metadata.report.device_operators) == (1_700_000, 2)


def test_the_rank_comes_from_the_file_name(tmp_path: Path) -> None:
    source = read(write(tmp_path, roots(), name="et_rank3.json")).metadata.sources[0]
    assert (source.rank, source.rank_from, source.format) == (3, "name", "pytorch-et")


def test_ranks_of_a_folder_are_one_trace(tmp_path: Path) -> None:
    for rank in (0, 1):
        write(tmp_path, [node(3, "ProfilerStep#5", scope=7), *roots()], name=f"et_rank{rank}.json")
    trace = read(tmp_path)
    assert (trace.ranks, trace.iteration_indices, len(trace.iterations)) == ((0, 1), (0,), 2)
    trace.validate()


# What a linked trace (ET+) says of waiting


def waits(trace: Trace) -> set[tuple[str, str, str, str]]:
    """Kind, method, source and target of what ET+ recorded."""
    d, name = trace.dependencies, names(trace)
    rows = [d.row(i) for i in range(len(d))]
    return {
        (r["kind"].name, r["method"], name[r["src"]], name[r["dst"]])
        for r in rows
        if r["method"] in ("inter_thread_dep", "sync_dep")
    }


def linked(id: int, name: str, start: float | None, duration: float = 1, parent: int = 2, **more: Any) -> JSON:
    """A node as the linker writes it; one on a stream has no attributes."""
    times = {} if start is None else {"ts": start, "inclusive_dur": duration, "exclusive_dur": duration, "ph": "X"}
    if "stream" in more:
        return {"id": id, "name": name, "ctrl_deps": parent, "cat": "kernel"} | times | more
    return node(id, name, parent, tid=more.pop("tid", 1)) | times | more


def test_waits_of_a_linked_trace(tmp_path: Path) -> None:
    trace = make(
        tmp_path,
        linked(3, "launch", 0), linked(4, "prepare", 0, tid=2), linked(5, "use", 5, inter_thread_dep=4),
        linked(6, "synchronize", 6, 4, sync_dep=[20, 21]), linked(7, "read", 12, sync_dep=21),
        linked(8, "copy", 13, tid=2, sync_dep=[7]),
        linked(20, "gemm", 2, 3, parent=3, stream=7, inter_thread_dep=None, sync_dep=[]),
        linked(21, "add", 6, 3, parent=3, stream=8, sync_dep=[20]),
    )  # fmt: skip
    assert waits(trace) == {
        ("JOIN", "inter_thread_dep", "prepare", "use"),
        ("SYNC", "sync_dep", "gemm", "synchronize"),
        ("SYNC", "sync_dep", "add", "synchronize"),
        ("SYNC", "sync_dep", "add", "read"),
        ("JOIN", "sync_dep", "read", "copy"),
        ("EVENT", "sync_dep", "gemm", "add"),
    }
    assert not trace.metadata.report.counts
    assert trace.operator_attributes(only(trace, "use")["index"])["exclusive_dur"] == 1
    assert not trace.dependencies["inferred"][trace.dependencies["kind"] == int(DependencyKind.SYNC)].any()


def test_a_wait_that_is_named_twice_is_one(tmp_path: Path) -> None:
    trace = make(tmp_path, linked(3, "a", 0, tid=2), linked(4, "b", 5, sync_dep=[3, 3], inter_thread_dep=3))
    assert trace.dependency_counts["JOIN"] == 2  # one a method
    assert {w[1] for w in waits(trace)} == {"inter_thread_dep", "sync_dep"}


def test_waits_for_nodes_that_are_not_there_are_counted_and_kept_in_the_attributes(tmp_path: Path) -> None:
    trace = make(
        tmp_path, linked(3, "a", 0, inter_thread_dep=99), linked(4, "b", 1, 1, 88, sync_dep=[3, 98, 2**64 - 1])
    )
    assert trace.metadata.report.dangling_dependencies == 4  # with the parent 88
    assert waits(trace) == {("JOIN", "sync_dep", "a", "b")}
    assert trace.operator_attributes(only(trace, "a")["index"])["inter_thread_dep"] == 99


def test_waits_against_the_recorded_times_are_left_out(tmp_path: Path) -> None:
    trace = make(
        tmp_path,
        linked(3, "a", 0, 5, tid=2), linked(4, "too early", 4.999, inter_thread_dep=3, sync_dep=4),
        linked(5, "in time", 5, inter_thread_dep=3), linked(6, "returns too early", 10, 1.999, sync_dep=20),
        linked(7, "returns in time", 10, 2, tid=2, sync_dep=20), linked(20, "gemm", 8, 4, parent=5, stream=7),
        linked(21, "overlaps", 11, parent=5, stream=8, sync_dep=20),
    )  # fmt: skip
    assert waits(trace) == {
        ("JOIN", "inter_thread_dep", "a", "in time"),
        ("SYNC", "sync_dep", "gemm", "returns in time"),
    }
    assert trace.metadata.report.counts == {"recordedDependenciesAgainstTime": 4}


def test_waits_that_close_a_cycle_are_left_out_where_there_are_no_times(tmp_path: Path) -> None:
    trace = make(
        tmp_path,
        linked(3, "outer", None, inter_thread_dep=4), linked(4, "inner", None, parent=3, sync_dep=[3, 4]),
        linked(5, "x", None, inter_thread_dep=6), linked(6, "y", None, tid=2, inter_thread_dep=5),
        linked(7, "late", None, tid=2), linked(8, "z", None, inter_thread_dep=7),
    )  # fmt: skip
    found = waits(trace)
    assert ("JOIN", "inter_thread_dep", "late", "z") in found
    assert len({("JOIN", "inter_thread_dep", *pair) for pair in (("x", "y"), ("y", "x"))} & found) == 1
    assert len(found) == 2
    assert trace.metadata.report.counts == {"recordedDependenciesAgainstTime": 4}


@pytest.mark.parametrize(
    "nodes",
    [
        (linked(3, "outer", 0, 0), linked(4, "inner", 1, 0, 3, sync_dep=[3])),
        (linked(3, "outer", 0, 0), linked(4, "between", None, 0, 3), linked(5, "inner", 1, 0, 4, sync_dep=[3])),
        (linked(3, "outer", 5, 4, inter_thread_dep=4), linked(4, "inner", 0, 1, 3)),
        (linked(3, "recorded first", 5, inter_thread_dep=4), linked(4, "ran first", 0)),
        (linked(3, "spawns", 5, sync_dep=[4]), linked(4, "spawned", 0, 1, 3, tid=2)),
    ],
    ids=["an operator around", "one further out", "an operator inside", "a later sibling", "another thread"],
)
def test_a_wait_that_only_times_allow_is_left_out(tmp_path: Path, nodes: tuple[JSON, ...]) -> None:
    """What encloses, precedes or starts the operator that waits was recorded against the times."""
    trace = make(tmp_path, *nodes)
    assert not waits(trace)
    assert trace.metadata.report.counts == {"recordedDependenciesAgainstTime": 1}


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_is_recorded_of_waiting_leaves_a_valid_trace(data: st.DataObject, tmp_path: Path) -> None:
    ids = range(3, 3 + data.draw(st.integers(1, 12)))
    other = st.sampled_from([*ids, 99])
    nodes = []
    for id in ids:
        start = data.draw(st.none() | st.integers(0, 9))
        place = data.draw(st.sampled_from([{"tid": 1}, {"tid": 2}, {"stream": 7}, {"stream": 8}]))
        said = {"inter_thread_dep": data.draw(st.none() | other), "sync_dep": data.draw(st.lists(other, max_size=3))}
        parent = data.draw(st.integers(2, id - 1))
        nodes.append(linked(id, f"op {id}", start, data.draw(st.integers(0, 4)), parent, **place, **said))
    trace = make(tmp_path, *nodes)
    named = {(1, n["inter_thread_dep"], n["id"]) for n in nodes if n["inter_thread_dep"] is not None}
    named |= {(2, id, n["id"]) for n in nodes for id in n["sync_dep"]}
    left_out = trace.metadata.report.counts.get("recordedDependenciesAgainstTime", 0)
    assert len(waits(trace)) + left_out == len([1 for _, source, _ in named if source != 99])


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ({"inter_thread_dep": "4"}, "field inter_thread_dep: found `str`"),
        ({"inter_thread_dep": [4]}, "field inter_thread_dep: found `array`"),
        ({"inter_thread_dep": -1}, "inter_thread_dep: found -1"),
        ({"sync_dep": [3, 2**64]}, f"sync_dep: found {2**64}"),
        ({"sync_dep": [None]}, "found `null`"),
        ({"sync_dep": True}, "field sync_dep: found `bool`"),
    ],
)
def test_a_wait_that_is_no_id_names_node_and_key(said: JSON, found: str, tmp_path: Path) -> None:
    path = write(tmp_path, [linked(3, "a", 0), linked(4, "b", 1, **said), *roots()])
    with pytest.raises(InputError) as error:
        read(path)
    message = str(error.value)
    assert message.startswith(f"{path}: ")
    assert "node 1 " in message or "element 1 " in message
    assert found in message
