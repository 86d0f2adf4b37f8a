"""Which operators of two files are one: by recorded ids, names, shapes, order of communication."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from etgraph.ingest.draft import NULL
from etgraph.ingest.linking import link
from etgraph.model import LinkMethod
from etgraph.model.errors import InputError
from support.linked import BETWEEN, STEP, linked, names
from support.pairs import Op, device_draft, host_draft, truth


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


def test_communication_that_would_start_before_it_was_issued_is_not_linked(tmp_path: Path) -> None:
    """As many in both files, but the first of the one is missing in the other, which has one more at its end."""
    host = GLOO + "1 | gloo:all_reduce 42..43 key=12\n 1 | gloo:all_reduce 92..93 key=13\n"
    device = GLOO + "2 | gloo:all_reduce 15..70 key=11\n 3 | gloo:all_reduce 45..60 key=12\n"
    trace = linked(tmp_path, host, device).trace
    assert trace.metadata.report.counts["communicationNotLinked"] == 2
    assert trace.metadata.report.linked_operators == 5


def test_an_operator_that_could_be_either_of_two_is_not_linked(tmp_path: Path) -> None:
    host = BETWEEN + "1 | aten::t  60..65\n 1 | aten::sum  80..85\n"
    device = BETWEEN + "1 | aten::t  60..65\n 1 | aten::t  70..75\n 1 | aten::sum  80..85\n"
    trace = linked(tmp_path, host, device).trace
    assert trace.metadata.report.linked_operators == 4
    assert names(trace).count("aten::t") == 3


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
