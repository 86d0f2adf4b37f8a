"""What a host and a device file of one rank become: each column, attribute and dependency on a small pair."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from etgraph.ingest import read as read_trace
from etgraph.ingest import writers
from etgraph.ingest.linking import add_data, host_attributes, link
from etgraph.ingest.linking.attributes import join
from etgraph.model import AttributeWriter, DependencyKind, LinkMethod, NodeType
from support.linked import BETWEEN, STEP, edges, linked, names, row_of
from support.pairs import Op, device_draft, host_draft, program, read_draft, truth, without_ids


@pytest.mark.parametrize("recorded", [True, False])
def test_times_are_the_devices_and_ids_the_hosts(tmp_path: Path, recorded: bool) -> None:
    draft = linked(tmp_path, STEP, STEP, recorded=recorded)
    trace = draft.trace
    trace.validate()
    assert truth(draft) == (6, 6)
    mm = row_of(trace, "aten::addmm")
    row = trace.operators.row(mm)
    assert (row["start_ns"], row["duration_ns"], row["node_id"]) == (3_000, 17_000, 4)
    assert row["link"] is (LinkMethod.RECORDED_ID if recorded else LinkMethod.ALIGNED_16)
    assert trace.metadata.report.pairs == {0: "same process and iteration"}
    assert {s.format for s in trace.metadata.sources} == {"pytorch-et", "kineto"}
    assert edges(trace, DependencyKind.CALL) >= {("aten::linear", "aten::addmm"), ("ReluBackward", "aten::mul")}


def test_the_report_counts_links(tmp_path: Path) -> None:
    report = linked(tmp_path, STEP, STEP).trace.metadata.report
    assert report.linked_operators == 8
    assert report.counts["recordsOfHostFile"] == 8
    assert report.counts["linkedAnnotations"] == 2
    assert report.host_operators == 6 + 3  # the process and two threads are the host's alone
    assert not report.warnings


def test_attributes_are_the_union_and_each_file_has_its_own(tmp_path: Path) -> None:
    trace = linked(tmp_path, STEP, STEP).trace
    attributes = trace.operator_attributes(row_of(trace, "aten::relu"))
    assert attributes["Sequence number"] == 8
    assert attributes["pytorch_et"]["id"] == 5
    assert "pytorch_et_identity" not in attributes
    assert host_attributes(attributes)["name"] == "aten::relu"
    assert host_attributes(trace.operator_attributes(row_of(trace, "[pytorch|profiler|execution_trace|thread]")))["id"]


def test_texts_of_any_shape_are_joined(tmp_path: Path) -> None:
    texts = [b'{"a":1}', b"{ }", b'{\n  "b": {}\n}']
    with AttributeWriter() as device, AttributeWriter() as host:
        device.extend(texts)
        host.extend([b'{"id":%d}' % n for n in range(5)])
    joined, rows, alone = join(
        device.attributes,
        host.attributes,
        np.array([2, -1, 1, 0]),
        np.array([3, 0, 1, 2]),
        np.array([4, -1]),
        "unknown",
    )
    assert [joined.get(row) for row in rows.tolist()] == [
        {**kept, "pytorch_et": {"id": id}, "pytorch_et_identity": "unknown"}
        for kept, id in (({"b": {}}, 3), ({}, 0), ({}, 1), ({"a": 1}, 2))
    ]
    assert [joined.get(row) for row in alone.tolist()] == [{"id": 4}, {}]
    assert [joined.text(row) for row in range(3)] == texts


def test_an_annotation_stays_one_and_gets_the_hosts_node(tmp_path: Path) -> None:
    trace = linked(tmp_path, STEP, STEP).trace
    assert "## forward ##" not in names(trace)
    a = trace.annotations
    row = [a.value("name", r) for r in range(len(a))].index("## forward ##")
    assert trace.attributes.get(int(a["attrs"][row]))["pytorch_et"]["id"] == 2
    assert trace.operators.value("scope", row_of(trace, "aten::relu")) == "## forward ##"


def test_what_one_file_alone_records_is_kept(tmp_path: Path) -> None:
    host = BETWEEN + "1 | aten::only_host  12..14  key=7\n"
    device = BETWEEN + "1 | aten::only_device  42..44  key=8\n"
    draft = linked(tmp_path, host, device)
    trace = draft.trace
    trace.validate()
    assert truth(draft) == (3, 3)
    assert [n for n in names(trace) if n.startswith("aten")] == [
        "aten::linear", "aten::mm", "aten::only_host", "aten::relu", "aten::only_device",
    ]  # fmt: skip
    alone = row_of(trace, "aten::only_host")
    row = trace.operators.row(alone)
    assert (row["start_ns"], row["link"], row["node_id"]) == (None, None, 7)
    assert ("aten::linear", "aten::only_host") in edges(trace, DependencyKind.CALL)
    assert trace.operators["lane"][alone] == trace.operators["lane"][alone - 1]
    assert trace.metadata.report.counts["recordsOfHostFileOnly"] == 1
    assert trace.metadata.report.counts["recordsOfDeviceFileOnly"] == 1


def test_what_only_the_host_records_comes_after_what_it_is_nested_in(tmp_path: Path) -> None:
    """Also where the one that started last before it in the host's file ran first of all in the device's."""
    host = """
        1 | aten::outer   0..100
        2 | aten::other   5..50
        1 | aten::alone  10..20
        1 | aten::within 12..15  key=7
    """
    device = """
        1 | aten::outer  30..100 key=1
        2 | aten::other   5..50  key=2
    """
    trace = linked(tmp_path, host, device).trace
    trace.validate()
    assert [n for n in names(trace) if n.startswith("aten")] == [
        "aten::other", "aten::outer", "aten::alone", "aten::within"
    ]  # fmt: skip
    parent = trace.operators["parent"]
    assert (parent < np.arange(len(trace))).all()


def test_nesting_is_the_devices_where_the_hosts_is_another(tmp_path: Path) -> None:
    """As after asynchronous gloo, when PyTorch takes the wrong operator for the parent."""
    host = "1 | aten::first  0..100\n 1 | aten::linear  10..12\n 1 | aten::mm  20..25\n"
    device = "1 | aten::first  0..5\n 1 | aten::linear  10..30\n 1 | aten::mm  20..25\n"
    trace = link(host_draft(tmp_path, host), device_draft(tmp_path, device)).trace
    calls = edges(trace, DependencyKind.CALL)
    assert ("aten::linear", "aten::mm") in calls
    assert ("aten::first", "aten::mm") not in calls
    assert trace.metadata.report.linked_operators == 3
    trace.validate()


def test_the_hosts_own_operators_are_on_the_thread_that_its_others_are_linked_to(tmp_path: Path) -> None:
    host = STEP + "1 | aten::first  10..12 key=20\n 2 | aten::second  52..54 key=21\n"
    trace = linked(tmp_path, host, STEP).trace
    lanes = trace.operators["lane"]
    for name, beside in (("aten::first", "aten::relu"), ("aten::second", "aten::mul")):
        assert lanes[row_of(trace, name)] == lanes[row_of(trace, beside)]


def test_a_thread_of_the_host_alone_is_added(tmp_path: Path) -> None:
    trace = linked(tmp_path, BETWEEN + "5 | aten::elsewhere  60..70  key=9\n", BETWEEN).trace
    trace.validate()
    assert trace.lanes.value("id", int(trace.operators["lane"][row_of(trace, "aten::elsewhere")])) == "5"


def test_the_call_that_spawned_the_backward_pass_stays_known(tmp_path: Path) -> None:
    host = host_draft(tmp_path, STEP.replace("50..60 ", "50..60  forward=3"))
    trace = link(host, device_draft(tmp_path, STEP)).trace
    assert edges(trace, DependencyKind.SPAWN) == {("aten::linear", "ReluBackward")}
    assert "hostDependenciesLeft" not in trace.metadata.report.counts
    late = STEP.replace("50..60", "1..2").replace("51..55", "1..1")
    against = link(host, without_ids(device_draft(tmp_path, late))).trace
    against.validate()
    assert not edges(against, DependencyKind.SPAWN)
    assert against.metadata.report.counts["hostDependenciesLeft"] == 1


@st.composite
def operators(draw: st.DrawFn) -> tuple[list[Op], list[Op]]:
    """A program as two files tell it: the same names in other places, some missing, memory and threads at random."""
    count = draw(st.integers(1, 12))
    times = st.tuples(st.integers(0, 30), st.integers(0, 12))
    numbers = st.lists(st.integers(1, 3), max_size=2).map(tuple)
    both: tuple[list[Op], list[Op]] = ([], [])
    for key in range(1, count + 1):
        name, thread = (
            draw(st.sampled_from(["aten::a", "aten::b", "## c ##", "gloo:all_reduce"])),
            draw(st.integers(1, 2)),
        )
        reads, writes = draw(numbers), draw(numbers)
        forward = draw(st.integers(0, count))
        for ops in both:
            start, length = draw(times)
            if draw(st.integers(0, 5)):
                ops.append(Op(thread, name, start, start + length, key, None, None, reads, writes, "", forward))
    return both


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(operators())
def test_whatever_the_files_say_the_result_is_a_trace(tmp_path: Path, both: tuple[list[Op], list[Op]]) -> None:
    host, device = host_draft(tmp_path, both[0]), device_draft(tmp_path, both[1])
    draft = add_data(link(host, device))
    trace = draft.trace
    trace.validate()
    recorded = host.trace.operators["node_id"]
    kept = trace.operators["node_id"][~trace.operators.is_null("node_id")]
    spans = trace.metadata.report.counts.get("linkedAnnotations", 0)
    assert len(kept) + spans == len(recorded)
    assert set(kept.tolist()) <= set(recorded.tolist())
    starts = trace.operators["start_ns"][~trace.operators.is_null("start_ns")]
    assert np.array_equal(starts, device.trace.operators["start_ns"])
    d = trace.dependencies
    timed = ~trace.operators.is_null("start_ns")
    end_start = np.isin(d["kind"], [int(DependencyKind.DATA), int(DependencyKind.THREAD)])
    known = end_start & timed[d["src"]] & timed[d["dst"]]
    assert (trace.end_ns[d["src"]] <= trace.operators["start_ns"][d["dst"]])[known].all()


def test_a_linked_trace_is_written_as_chakra_and_read_again(tmp_path: Path) -> None:
    trace = add_data(linked(tmp_path, STEP, STEP)).trace
    writers.write(trace, tmp_path / "out", "chakra")
    again = read_trace(tmp_path / "out")
    assert set(again.operators.differences(trace.operators)) <= {"attrs"}
    assert again.dependency_counts == trace.dependency_counts


def test_the_kernel_is_the_communication_and_gets_what_the_host_says(tmp_path: Path) -> None:
    call = {"collective_name": "allreduce", "dtype": "Float", "in_msg_nelems": 6, "out_msg_nelems": 6, "pg_name": "0"}
    text = """
        1 | c10d::allreduce_    0..100
        1 | record_param_comms  5..90
        1 | nccl:all_reduce     6..80
    """
    host_path, device_path = tmp_path / "et.json", tmp_path / "kineto.json"
    host_draft(tmp_path, text)
    document = json.loads(host_path.read_text())
    for node in document["nodes"]:
        if node["name"] == "record_param_comms":
            node["inputs"] = {"values": [[[1, 2, 0, 6, 4, "cuda:0"]], 5, ["0", "default_pg"], 0, "allreduce", [], []],
                              "shapes": [], "types": []}  # fmt: skip
            node["attrs"] += [{"name": k, "type": "", "value": v} for k, v in call.items()]
    host_path.write_text(json.dumps(document))
    device_draft(
        tmp_path, text,
        events=[
            {"ph": "X", "cat": "cuda_runtime", "name": "cudaLaunchKernel", "pid": 100, "tid": 100, "ts": 10, "dur": 5,
             "args": {"correlation": 3}},
            {"ph": "X", "cat": "kernel", "name": "ncclDevKernel_AllReduce_Sum_f32", "pid": 0, "tid": 7, "ts": 40,
             "dur": 30, "args": {"correlation": 3, "stream": 7, "device": 0}},
        ],
    )  # fmt: skip
    trace = link(read_draft(host_path), read_draft(device_path)).trace
    trace.validate()
    kernel = trace.operators.row(row_of(trace, "ncclDevKernel_AllReduce_Sum_f32"))
    assert (kernel["kind"], kernel["comm_bytes"], kernel["group"]) == (NodeType.COMM_COLL, 24, 0)
    asked = trace.operators.row(row_of(trace, "record_param_comms"))
    assert (asked["kind"], asked["comm_bytes"]) == (NodeType.COMP, None)
    host_only = device_draft(tmp_path, text)
    alone = link(read_draft(host_path), host_only).trace
    assert alone.operators.value("kind", row_of(alone, "record_param_comms")) is NodeType.COMM_COLL


def test_the_program_notation_says_which_line_it_cannot_read() -> None:
    with pytest.raises(ValueError, match="cannot read"):
        program("1 | aten::mm 0-20")
