"""Linking of a host and a device file of one rank: each rule, its exception and its false friend on a small pair."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from etgraph.ingest import read as read_trace
from etgraph.ingest import samples, writers
from etgraph.ingest.draft import NULL, Draft
from etgraph.ingest.linking import Identity, add_data, host_attributes, link
from etgraph.ingest.linking.attributes import join
from etgraph.model import AttributeWriter, Category, DependencyKind, LinkMethod, NodeType, Trace
from etgraph.model.errors import InputError
from support.pairs import Op, device_draft, host_draft, program, read_draft, truth, without_ids

STEP = """
    1 | ProfilerStep#3    0..100
    1 | ## forward ##     1..40
    1 | aten::linear      2..30    seq=7
    1 | aten::addmm       3..20    dims=[[2,3],[3,4]]
    1 | aten::relu       31..39    seq=8
    2 | ReluBackward     50..60    seq=8
    2 | aten::mul        51..55
    2 | LinearBackward   60..80    seq=7
"""
BETWEEN = """
    1 | aten::linear   0..30
    1 | aten::mm       1..10
    1 | aten::relu    40..50
"""


def names(trace: Trace) -> list[str]:
    return [trace.operators.value("name", row) for row in range(len(trace))]


def row_of(trace: Trace, name: str) -> int:
    return names(trace).index(name)


def edges(trace: Trace, kind: DependencyKind) -> set[tuple[str, str]]:
    d, known = trace.dependencies, names(trace)
    chosen = d["kind"] == int(kind)
    return {(known[a], known[b]) for a, b in zip(d["src"][chosen].tolist(), d["dst"][chosen].tolist())}


def linked(folder: Path, host: str, device: str, *, recorded: bool = False) -> Draft:
    return link(host_draft(folder, host), device_draft(folder, device, recorded=recorded))


# What becomes of the two files


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


# Identity


def shifted(text: str, by: int, step: int) -> str:
    ops = text.replace("#3", f"#{step}")
    for number in (7, 8):
        ops = ops.replace(f"seq={number}", f"seq=@{number + by}")
    return ops.replace("@", "")


def test_another_iteration_of_the_process_lends_structure_and_says_so(tmp_path: Path) -> None:
    draft = linked(tmp_path, STEP, shifted(STEP, 40, 4))
    trace = draft.trace
    assert truth(draft) == (6, 6)
    assert trace.metadata.report.pairs == {0: Identity.OTHER_ITERATION}
    (warning,) = trace.metadata.report.warnings
    assert "40 sequence numbers apart" in warning
    row = row_of(trace, "aten::relu")
    assert trace.operator_attributes(row)["pytorch_et_identity"] == "other iteration"
    assert draft.id("sequence")[row] == 48
    assert draft.id("host_sequence")[row] == 8


def test_without_sequence_numbers_the_steps_names_tell(tmp_path: Path) -> None:
    bare = STEP.replace("seq=7", "").replace("seq=8", "")
    assert linked(tmp_path, bare, bare).trace.metadata.report.pairs == {0: "same process and iteration"}
    assert linked(tmp_path, bare, bare.replace("#3", "#4")).trace.metadata.report.pairs == {0: "other iteration"}
    nothing = "\n".join(line for line in bare.splitlines() if "Step" not in line)
    assert linked(tmp_path, nothing, nothing).trace.metadata.report.pairs == {0: "unknown"}
    shared = linked(tmp_path, nothing, nothing, recorded=True)
    assert shared.trace.metadata.report.pairs == {0: "same process and iteration"}


def test_another_process_is_named_although_everything_links(tmp_path: Path) -> None:
    trace = link(host_draft(tmp_path, STEP, pid=1), device_draft(tmp_path, STEP, pid=2)).trace
    assert trace.metadata.report.pairs == {0: "other process"}
    assert trace.metadata.report.linked_operators == 8
    assert "other process" in trace.metadata.report.warnings[0]


@pytest.mark.parametrize("recorded", [True, False])
def test_another_rank_is_refused_although_everything_links(tmp_path: Path, recorded: bool) -> None:
    host = host_draft(tmp_path, STEP, name="et_rank0.json", pid=1)
    device = device_draft(tmp_path, STEP, name="kineto_rank1.json", pid=2, recorded=recorded)
    with pytest.raises(
        InputError, match=r"et_rank0\.json and kineto_rank1\.json: found process 1 and 2, ranks 0 and 1"
    ):
        link(host, device)


@pytest.mark.parametrize(
    ("pid", "time", "refused"),
    [(100, "2026-01-05 03:04:05", False), (100, "2025-01-02 03:04:05", True), (7, "2026-01-08 03:04:05", True)],
)
def test_files_of_different_times_are_no_run(tmp_path: Path, pid: int, time: str, refused: bool) -> None:
    """A process id comes back; that a process runs for days is no contradiction."""
    host, device = host_draft(tmp_path, STEP, pid=pid, time=time), device_draft(tmp_path, STEP)
    if not refused:
        assert link(host, device).trace.metadata.report.pairs == {0: "same process and iteration"}
        return
    with pytest.raises(InputError, match="days apart"):
        link(host, device)


def test_files_of_other_programs_are_refused_where_nothing_says_they_are_one_run(tmp_path: Path) -> None:
    other = "\n".join(f"1 | aten::other{n}  {n}..{n + 1}" for n in range(20))
    with pytest.raises(InputError, match="0 of 8 operators alike"):
        link(host_draft(tmp_path, STEP, pid=1), device_draft(tmp_path, other, pid=2))


def test_only_a_host_and_a_device_file_are_a_pair(tmp_path: Path) -> None:
    host, device = host_draft(tmp_path, STEP), device_draft(tmp_path, STEP)
    with pytest.raises(InputError, match="formats kineto and pytorch-et"):
        link(device, host)


def test_the_rank_is_that_of_the_file_which_knows_it(tmp_path: Path) -> None:
    host, device = host_draft(tmp_path, STEP, name="et_rank3.json"), device_draft(tmp_path, STEP)
    trace = link(host, device).trace
    trace.validate()
    assert trace.ranks == (3,)
    assert {s.rank for s in trace.metadata.sources} == {3}
    assert set(trace.lanes["rank"].tolist() + trace.annotations["rank"].tolist()) == {3}


# Recorded ids and alignment


def test_what_starts_at_one_time_is_in_the_order_of_the_recording(tmp_path: Path) -> None:
    """Times of whole microseconds have many ties, and the longer of two is not always the outer one."""
    ops = """
        1 | ## a ##        0..90
        1 | aten::linear   0..50
        1 | aten::mm       0..20
        1 | aten::t        0..0
        1 | ## b ##       60..80
        1 | aten::relu    60..70
    """
    draft = linked(tmp_path, ops, ops)
    assert truth(draft) == (4, 4)
    assert draft.trace.metadata.report.linked_operators == 6


def test_what_has_no_recorded_id_is_aligned_beside_what_has(tmp_path: Path) -> None:
    device = device_draft(tmp_path, STEP, recorded=True)
    bare = {**device.annotation_ids, "record_function": np.full(len(device.trace.annotations), NULL)}
    report = link(host_draft(tmp_path, STEP), replace(device, annotation_ids=bare)).trace.metadata.report
    assert (report.linked_operators, report.counts["linkedAnnotations"]) == (8, 2)


def test_ids_that_agree_by_chance_link_nothing(tmp_path: Path) -> None:
    """Two recordings may both number their calls from 1: their names tell whether the ids are the same ones."""
    device = """
        1 | aten::linear    0..10  key=11
        1 | aten::tanh     20..30  key=12
        1 | aten::bmm      40..50  key=13
        1 | aten::linear  100..130 key=1
        1 | aten::mm      101..110 key=2
        1 | aten::relu    140..150 key=3
    """
    trace = linked(tmp_path, BETWEEN, device, recorded=True).trace
    assert int(LinkMethod.RECORDED_ID) not in trace.operators["link"].tolist()
    assert trace.metadata.report.linked_operators == 3


def test_shapes_that_contradict_reject_a_link(tmp_path: Path) -> None:
    trace = linked(tmp_path, STEP, STEP.replace("[[2,3],[3,4]]", "[[9,3],[3,4]]")).trace
    assert trace.metadata.report.counts["linksAgainstShapes"] == 1
    assert names(trace).count("aten::addmm") == 2
    assert trace.metadata.report.linked_operators == 7
    trace.validate()


def test_links_near_one_that_shapes_reject_are_less_sure(tmp_path: Path) -> None:
    ops = [Op(1, f"aten::x{n}", 10 * n, 10 * n + 5, n + 1, None, [[n + 2, 3]]) for n in range(41)]
    other = [replace(op, dims=[[99, 3]]) if op.key == 21 else op for op in ops]
    trace = link(host_draft(tmp_path, ops), device_draft(tmp_path, other)).trace
    o = trace.operators
    timed = np.flatnonzero(~o.is_null("start_ns"))
    methods = [o.value("link", row) for row in timed.tolist()]
    assert methods[20] is None
    assert methods[19] is methods[21] is LinkMethod.ALIGNED_1
    assert methods[18] is methods[22] is LinkMethod.ALIGNED_2
    assert methods[4] is methods[36] is LinkMethod.ALIGNED_16
    assert methods[5] is methods[35] is LinkMethod.ALIGNED_8
    by_id = link(host_draft(tmp_path, ops), device_draft(tmp_path, other, recorded=True)).trace
    assert (by_id.operators["link"] == int(LinkMethod.RECORDED_ID)).sum() == 40


def test_dims_that_only_one_file_knows_contradict_nothing(tmp_path: Path) -> None:
    trace = linked(tmp_path, STEP, STEP.replace("[[2,3],[3,4]]", "[[2,3],[]]")).trace
    assert trace.metadata.report.linked_operators == 8


GLOO = """
    1 | aten::add          0..5
    1 | c10d::allreduce_  10..20
    1 | aten::mul         30..35
    1 | c10d::allreduce_  40..50
    1 | aten::sub         90..95
"""


def test_communication_is_linked_by_order_over_all_threads(tmp_path: Path) -> None:
    """The host's file shows the library's work on the thread that asked for it, the device's on its own threads."""
    host = GLOO + "1 | gloo:all_reduce 12..13 key=11\n 1 | gloo:all_reduce 42..43 key=12\n"
    device = GLOO + "2 | gloo:all_reduce 15..70 key=11\n 3 | gloo:all_reduce 45..60 key=12\n"
    draft = linked(tmp_path, host, device)
    assert truth(draft) == (7, 7)
    assert (draft.trace.operators["link"] == int(LinkMethod.COMMUNICATION_ORDER)).sum() == 2
    draft.trace.validate()


def test_communication_of_other_numbers_is_not_linked(tmp_path: Path) -> None:
    host = GLOO + "1 | gloo:all_reduce 12..13 key=11\n"
    device = GLOO + "2 | gloo:all_reduce 15..70 key=11\n 3 | gloo:all_reduce 45..60 key=12\n"
    trace = linked(tmp_path, host, device).trace
    assert trace.metadata.report.counts["communicationNotLinked"] == 1
    assert names(trace).count("gloo:all_reduce") == 3


def test_threads_that_differ_too_much_are_not_linked_and_it_is_said(tmp_path: Path) -> None:
    """One process may well record other work in the one file than in the other."""
    evaluation, training_ = ("\n".join(f"1 | aten::{what}{n}  {n}..{n + 1}" for n in range(600)) for what in "et")
    trace = linked(tmp_path, evaluation, training_).trace
    trace.validate()
    assert trace.metadata.report.pairs == {0: "unknown"}
    assert "600 operators of the host's file are on threads that are like none" in trace.metadata.report.warnings[-1]
    assert len(trace) == 1200 + 2


def test_a_host_file_without_operators_adds_nothing_but_itself(tmp_path: Path) -> None:
    trace = linked(tmp_path, "", STEP).trace
    trace.validate()
    assert trace.metadata.report.linked_operators == 0
    assert len(trace) == 6 + 1
    empty = linked(tmp_path, STEP, "").trace
    empty.validate()
    assert len(empty) == 3 + 8


def test_a_host_file_that_is_linked_already_is_no_host_file(tmp_path: Path) -> None:
    kernel = {"id": 77, "name": "gemm", "ctrl_deps": 3, "inputs": {}, "outputs": {}, "attrs": [], "cat": "kernel",
              "stream": 7, "ts": 5, "dur": 1}  # fmt: skip
    with pytest.raises(InputError, match="linked already"):
        link(host_draft(tmp_path, STEP, extra=[kernel]), device_draft(tmp_path, STEP))


# Several iterations


def training(steps: int, *, sequence: bool = True, first: int = 0, numbers: bool = True) -> list[Op]:
    """Steps of a loop on two threads, each of 200 operators, all alike but for the numbers that count them."""
    ops: list[Op] = []
    for step in range(first, first + steps):
        zero, key = step * 10_000, step * 1000
        label = f"ProfilerStep#{step}" if numbers else "## step ##"
        ops.append(Op(1, label, zero, zero + 9_000, key))
        for n in range(120):
            ops.append(
                Op(1, f"aten::f{n % 7}_{n // 40}", zero + 10 + n * 20, zero + 20 + n * 20, key + 1 + n,
                   step * 80 + n // 2 if sequence and n % 2 else None)
            )  # fmt: skip
        for n in range(80):
            ops.append(Op(2, f"aten::b{n % 5}_{n // 40}", zero + 3000 + n * 20, zero + 3010 + n * 20, key + 200 + n))
    return ops


def steps_linked(draft: Draft) -> set[int]:
    o = draft.trace.operators
    rows = np.flatnonzero(~o.is_null("link")).tolist()
    return {draft.trace.operator_attributes(row)["External id"] // 1000 for row in rows}


@pytest.mark.parametrize("which", [0, 2, 4])
def test_one_step_is_found_among_many_by_sequence_numbers(tmp_path: Path, which: int) -> None:
    host = host_draft(tmp_path, training(1, first=which, numbers=False))
    draft = link(host, device_draft(tmp_path, training(5, numbers=False)))
    assert truth(draft) == (200, 200)
    assert steps_linked(draft) == {which}
    assert draft.trace.metadata.report.pairs == {0: "same process and iteration"}
    draft.trace.validate()


def test_one_step_is_found_among_many_by_its_name(tmp_path: Path) -> None:
    host = host_draft(tmp_path, training(1, first=3, sequence=False))
    draft = link(host, device_draft(tmp_path, training(5, sequence=False)))
    assert truth(draft) == (200, 200)
    assert steps_linked(draft) == {3}


def test_a_step_that_could_be_any_gets_no_times(tmp_path: Path) -> None:
    host = host_draft(tmp_path, training(1, first=3, sequence=False, numbers=False))
    draft = link(host, device_draft(tmp_path, training(5, sequence=False, numbers=False)))
    assert truth(draft) == (0, 0)
    (warning,) = draft.trace.metadata.report.warnings
    assert "iteration ambiguous, 5 candidates" in warning
    assert draft.trace.metadata.report.pairs == {0: "unknown"}
    assert len(draft.trace) == 5 * 200 + 3 + 201  # everything is kept: threads, the step, its operators
    draft.trace.validate()


def test_a_step_that_was_not_recorded_is_taken_for_the_nearest(tmp_path: Path) -> None:
    host = host_draft(tmp_path, training(1, first=9, numbers=False))
    draft = link(host, device_draft(tmp_path, training(5, numbers=False)))
    assert steps_linked(draft) == {4}
    assert draft.trace.metadata.report.pairs == {0: "other iteration"}


def test_a_device_file_of_one_step_links_within_a_longer_host_file(tmp_path: Path) -> None:
    draft = link(host_draft(tmp_path, training(4)), device_draft(tmp_path, training(1, first=2)))
    assert truth(draft) == (200, 200)
    assert steps_linked(draft) == {2}
    draft.trace.validate()


def repeated(
    body: int, steps: Iterable[int], *, layers: int = 1, named: bool = False, numbered: bool = False
) -> list[Op]:
    """Steps on one thread of `layers` times `body` operators, alike but for the step's name and sequence numbers."""
    ops: list[Op] = []
    for step in steps:
        zero, size = step * 10_000, body * layers
        if named:
            ops.append(Op(1, f"ProfilerStep#{step}", zero, zero + 9_000, step * 1000))
        for n in range(size):
            start = zero + 5 + 5 * n
            ops.append(
                Op(1, f"aten::x{n % body}", start, start + 4, step * 1000 + 1 + n,
                   step * size + n if numbered else None)
            )  # fmt: skip
    return ops


@pytest.mark.parametrize(("named", "numbered"), [(True, False), (False, True), (True, True)])
@pytest.mark.parametrize(
    ("body", "layers", "host", "device"),
    [
        (15, 1, range(3, 4), range(1, 5)),
        (60, 1, range(1, 2), range(2)),
        (15, 1, range(20, 21), range(40)),
        (60, 1, range(1, 30), range(30)),
        (20, 10, range(2, 3), range(4)),
    ],
    ids=["few-short", "one-of-two", "short", "late", "layers"],
)
def test_what_tells_the_iteration_decides_however_alike_they_are(
    tmp_path: Path, body: int, layers: int, host: range, device: range, named: bool, numbered: bool
) -> None:
    both = [repeated(body, steps, layers=layers, named=named, numbered=numbered) for steps in (host, device)]
    draft = link(host_draft(tmp_path, both[0]), device_draft(tmp_path, both[1]))
    assert truth(draft) == (len(host) * body * layers,) * 2
    assert draft.trace.metadata.report.pairs == {0: "same process and iteration"}
    turned = link(host_draft(tmp_path, both[1]), device_draft(tmp_path, both[0]))
    assert truth(turned) == (len(host) * body * layers,) * 2


def test_short_steps_that_nothing_tells_apart_are_ambiguous(tmp_path: Path) -> None:
    draft = link(host_draft(tmp_path, repeated(15, [3])), device_draft(tmp_path, repeated(15, range(1, 5))))
    assert truth(draft) == (0, 0)
    assert "iteration ambiguous, 4 candidates" in draft.trace.metadata.report.warnings[0]


def test_edited_steps_that_nothing_tells_apart_are_ambiguous(tmp_path: Path) -> None:
    """No step holds the other exactly, and the first that fits is as good as the last."""
    host = [op for op in repeated(15, [3]) if op.name != "aten::x7"]
    draft = link(host_draft(tmp_path, host), device_draft(tmp_path, repeated(15, range(1, 5))))
    assert truth(draft) == (0, 0)
    assert "iteration ambiguous" in draft.trace.metadata.report.warnings[0]


def test_a_part_of_a_step_is_not_moved_by_a_repetition_at_its_ends(tmp_path: Path) -> None:
    """Only the middle has numbers; what is before and after it repeats, in the step and in its neighbours."""

    def step(number: int, first: int = 0, last: int = 400) -> list[Op]:
        return [
            Op(1, f"aten::{'mid' if 150 <= n < 200 else 'rep'}{n % 4}", number * 9000 + 9 * n,
               number * 9000 + 9 * n + 5, number * 1000 + n + 1, number * 1000 + n if 150 <= n < 200 else None)
            for n in range(first, last)
        ]  # fmt: skip

    host = host_draft(tmp_path, step(2, 100, 320))
    draft = link(host, device_draft(tmp_path, [op for number in range(4) for op in step(number)]))
    assert truth(draft) == (220, 220)


def test_an_ambiguity_on_a_later_thread_leaves_the_first_linked(tmp_path: Path) -> None:
    main = [Op(1, f"aten::m{n % 37}_{n % 11}", 10 * n, 10 * n + 5, n + 1) for n in range(500)]
    call = [Op(3, "gloo:all_reduce", 52, 55, 9000)]
    second = [Op(2, f"aten::s{n % 20}", 10 * n + 1, 10 * n + 5, 1000 + n) for n in range(160)]
    draft = link(host_draft(tmp_path, main + second[:20] + call), device_draft(tmp_path, main + second + call))
    report = draft.trace.metadata.report
    assert truth(draft)[0] >= 500
    assert report.linked_operators == 501
    assert not any("ambiguous" in warning for warning in report.warnings)
    assert "20 operators of the host's file are on threads" in report.warnings[-1]


@pytest.mark.parametrize("seed", range(4))
def test_edits_of_either_file_cost_only_what_they_touch(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    ops = [Op(1 + n % 2, f"aten::f{rng.integers(40)}", 10 * n, 10 * n + 5, n) for n in range(600)]
    kept = [np.ones(len(ops), dtype=bool) for _ in range(2)]
    for mask in kept:
        for first in rng.integers(0, len(ops), 6):
            mask[first : first + rng.integers(1, 9)] = False
    host, device = ([op for op, keep in zip(ops, mask) if keep] for mask in kept)
    draft = link(host_draft(tmp_path, host), device_draft(tmp_path, device))
    found, right = truth(draft)
    both = int((kept[0] & kept[1]).sum())
    assert right >= 0.99 * both
    assert right >= 0.99 * found
    o = draft.trace.operators
    sure = np.flatnonzero(o["link"] == int(LinkMethod.ALIGNED_16)).tolist()
    assert all(draft.trace.operator_attributes(r)["External id"] == int(o["node_id"][r]) for r in sure)
    draft.trace.validate()


def test_a_linked_trace_is_written_as_chakra_and_read_again(tmp_path: Path) -> None:
    trace = add_data(linked(tmp_path, STEP, STEP)).trace
    writers.write(trace, tmp_path / "out", "chakra")
    again = read_trace(tmp_path / "out")
    assert set(again.operators.differences(trace.operators)) <= {"attrs"}
    assert again.dependency_counts == trace.dependency_counts


# Communication that a kernel does


def test_the_kernel_is_the_communication_and_gets_what_the_host_says(tmp_path: Path) -> None:
    call = {"collective_name": "allreduce", "dtype": "Float", "in_msg_nelems": 6, "out_msg_nelems": 6, "pg_name": "0"}
    text = """
        1 | c10d::allreduce_    0..100
        1 | record_param_comms  5..90
        1 | nccl:all_reduce     6..80
    """
    host_path, device_path = tmp_path / "et.json", tmp_path / "kineto.json"
    host_draft(tmp_path, text)
    import json

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


# Real traces


@pytest.mark.parametrize("name", ["dlrm_alltoall", "gpt_ddp", "gpt_tp2_pp2"])
@pytest.mark.parametrize("rank", [0, 3])
def test_samples_link_alike_with_and_without_recorded_ids(name: str, rank: int) -> None:
    host, device = (read_draft(samples.path(name) / f"{kind}_rank{rank}.json.gz") for kind in ("et", "kineto"))
    by_id, blind = link(host, device), link(host, without_ids(device))
    records = by_id.trace.metadata.report.counts["recordsOfHostFile"]
    assert by_id.trace.metadata.report.linked_operators == records
    o, b = by_id.trace.operators, blind.trace.operators
    mine, theirs = ~o.is_null("link"), ~b.is_null("link")
    assert np.array_equal(mine, theirs)
    assert np.array_equal(o["node_id"][mine], b["node_id"][mine])
    assert (
        by_id.trace.metadata.report.pairs == blind.trace.metadata.report.pairs == {rank: "same process and iteration"}
    )
    blind.trace.validate()
    left = [n for n, linked in zip(names(by_id.trace), mine.tolist()) if not linked]
    assert all(n.startswith("[pytorch|profiler|") or n == "## process_group:init ##" for n in left)


def test_every_recorded_pair_links_whole(collection_dir: Path) -> None:
    files = sorted((collection_dir / "recorded").glob("*/et_rank*"))
    assert len(files) >= 16
    for file in files:
        host, device = read_draft(file), read_draft(file.with_name(file.name.replace("et_", "kineto_")))
        by_id, blind = link(host, device).trace, link(host, without_ids(device)).trace
        for trace in (by_id, blind):
            report = trace.metadata.report
            assert report.linked_operators == report.counts["recordsOfHostFile"], file
            assert "recordsOfHostFileOnly" not in report.counts
        mine, theirs = by_id.operators, blind.operators
        assert np.array_equal(mine["node_id"], theirs["node_id"]), file


def test_dlrm_links_whole_as_another_iteration(collection_dir: Path) -> None:
    found = records = launched = 0
    for rank in range(8):
        host = read_draft(collection_dir / "param" / "dlrm_pytorch_et" / f"dlrm_eg_{rank}.json.gz")
        (file,) = (collection_dir / "param" / "dlrm_kineto").glob(f"worker{rank}_*")
        device = read_draft(file)
        trace = link(host, device).trace
        trace.validate()
        report = trace.metadata.report
        found, records = found + report.linked_operators, records + report.counts["recordsOfHostFile"]
        assert trace.metadata.report.pairs == {rank: "other iteration"}
        assert report.launched_device_operators == device.trace.metadata.report.launched_device_operators
        launched += trace.dependency_counts["LAUNCH"]
        kernels = trace.operators["category"] == int(Category.KERNEL)
        collectives = kernels & (trace.operators["kind"] == int(NodeType.COMM_COLL))
        assert collectives.sum() == 8
        assert not trace.operators.is_null("comm_bytes")[collectives].any()
        assert not trace.operators.is_null("comm_type")[collectives].any()
    assert (found, records) == (13_376, 13_376)
    assert launched > 2000


@pytest.mark.parametrize("name", ["dlrm_alltoall", "gpt_ddp", "gpt_tp2_pp2"])
def test_files_of_two_ranks_are_refused_although_they_agree(name: str) -> None:
    host, device = (
        read_draft(samples.path(name) / "et_rank0.json.gz"),
        read_draft(samples.path(name) / "kineto_rank1.json.gz"),
    )
    with pytest.raises(InputError, match="ranks 0 and 1"):
        link(host, device)


def test_files_of_two_runs_are_refused(collection_dir: Path) -> None:
    host = read_draft(collection_dir / "param" / "resnet_1gpu_et.json.gz")
    device = read_draft(collection_dir / "param" / "resnet_kineto.json.gz")
    with pytest.raises(InputError, match=r"process 177708 and 23442, recorded 392 days apart"):
        link(host, device)


def test_the_program_notation_says_which_line_it_cannot_read() -> None:
    with pytest.raises(ValueError, match="cannot read"):
        program("1 | aten::mm 0-20")
