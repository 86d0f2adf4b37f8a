"""EVENT and OCCUPANCY: each rule on a trace of one screen, with its exception and its false friend."""

from __future__ import annotations

import numpy as np
import pytest

from etgraph.ingest.draft import NULL
from etgraph.ingest.inference import infer
from etgraph.ingest.inference.ready import EARLY
from etgraph.ingest.inference.timeline import survey
from etgraph.model import DependencyKind
from support.drafts import drawn_draft, inferred

EVENT, OCCUPANCY, STREAM = DependencyKind.EVENT, DependencyKind.OCCUPANCY, DependencyKind.STREAM

RECORDED = """
    rank 0 | thread 1 | cudaLaunchKernel           0..4000      -> a
    rank 0 | thread 1 | cudaLaunchKernel        5000..9000      -> late
    rank 0 | thread 1 | cudaEventRecord        10000..11000
    rank 0 | thread 1 | cudaLaunchKernel       12000..16000     -> after
    rank 0 | thread 1 | cudaStreamWaitEvent    17000..18000
    rank 0 | thread 1 | cudaLaunchKernel       19000..23000     -> b
    rank 0 | stream 7 | a                       6000..30000
    rank 0 | stream 7 | late                   31000..60000
    rank 0 | stream 7 | after                  61000..90000
    rank 0 | stream 9 | b                      63000..70000
"""


def recorded(**changes: int) -> list[tuple[str, str, str]]:
    ids = {"stream": 2, "event_stream": 1, "event_record": 77} | changes
    draft = drawn_draft(RECORDED, **{name: {"cudaStreamWaitEvent": value} for name, value in ids.items()})
    names = [draft.trace.operators.value("name", row) for row in range(len(draft.trace))]
    draft.ids["correlation"][names.index("cudaEventRecord")] = 77
    return inferred(draft, EVENT)


def test_a_recorded_wait_joins_what_was_issued_before_the_event_with_what_follows_the_wait() -> None:
    assert recorded() == [("late", "b", "event wait as recorded")]


def test_an_event_that_was_recorded_before_the_recording_orders_nothing() -> None:
    assert recorded(event_record=5) == []


def test_a_wait_whose_event_has_no_number_is_for_the_last_one_of_the_thread() -> None:
    assert recorded(event_record=NULL) == [("late", "b", "event wait on a recorded stream")]


def test_without_any_recording_call_the_event_is_recorded_right_before_the_wait() -> None:
    text = RECORDED.replace("cudaEventRecord        10000", "cudaStreamIsCapturing  10000")
    text = text.replace("b                      63000..70000", "b                      93000..99000")
    ids = {"stream": 2, "event_stream": 1, "event_record": NULL}
    draft = drawn_draft(text, **{name: {"cudaStreamWaitEvent": value} for name, value in ids.items()})
    assert inferred(draft, EVENT) == [("after", "b", "event wait on a recorded stream")]


def test_a_wait_of_a_stream_for_itself_is_its_order() -> None:
    assert recorded(stream=1) == []


def test_a_recorded_wait_that_the_times_refute_is_counted_and_not_stored() -> None:
    text = RECORDED.replace("b                      63000..70000", "b                      25000..28000")
    ids = {"stream": 2, "event_stream": 1, "event_record": 77}
    draft = drawn_draft(text, **{name: {"cudaStreamWaitEvent": value} for name, value in ids.items()})
    names = [draft.trace.operators.value("name", row) for row in range(len(draft.trace))]
    draft.ids["correlation"][names.index("cudaEventRecord")] = 77
    assert inferred(draft, EVENT) == []
    counts = infer(draft).trace.metadata.report.counts
    assert counts["EVENT:event wait as recorded:contradicted by times"] == 1


COLLECTIVE = """
    rank 0 | thread 1 | cudaLaunchKernel           0..4000      -> a
    rank 0 | thread 1 | record_param_comms      5000..20000
    rank 0 | thread 1 | cudaStreamWaitEvent     6000..7000
    rank 0 | thread 1 | cudaLaunchKernel        8000..12000     -> all_reduce
    rank 0 | thread 1 | w1: cudaStreamWaitEvent   13000..14000
    rank 0 | thread 1 | cudaLaunchKernel       21000..25000     -> b
    rank 0 | stream 7 | a                       6000..30000
    rank 0 | stream 7 | b                      31000..35000
    rank 0 | stream 9 | all_reduce             34000..90000
"""


def test_communication_waits_for_the_stream_that_its_caller_uses() -> None:
    assert inferred(drawn_draft(COLLECTIVE), EVENT) == [("a", "all_reduce", "wait before communication")]


def test_a_known_wait_is_not_betrayed_once_more_where_it_took_long_to_end() -> None:
    """The kernel is late, 6 µs after what it is known to have waited for, and nothing else ended."""
    text = COLLECTIVE.replace("all_reduce             34000", "all_reduce             36000")
    text = text.replace("31000..35000", "200000..210000")
    assert inferred(drawn_draft(text), EVENT) == [("a", "all_reduce", "wait before communication")]


def test_a_wait_after_the_launch_of_communication_is_no_evidence() -> None:
    text = COLLECTIVE.replace("cudaStreamWaitEvent     6000..7000", "cudaStreamIsCapturing   6000..7000")
    assert not [e for e in inferred(drawn_draft(text), EVENT) if e[2] == "wait before communication"]


AWAITED = """
    rank 0 | thread 1 | cudaLaunchKernel           0..4000      -> first
    rank 0 | thread 1 | record_param_comms      5000..20000
    rank 0 | thread 1 | cudaLaunchKernel        8000..12000     -> all_reduce
    rank 0 | thread 1 | wait: record_param_comms  25000..30000
    rank 0 | thread 1 | cudaStreamWaitEvent    26000..27000
    rank 0 | thread 1 | cudaLaunchKernel       31000..35000     -> b
    rank 0 | stream 7 | first                   6000..9000
    rank 0 | stream 7 | b                     200000..210000
    rank 0 | stream 9 | all_reduce             14000..90000
"""


def test_a_wait_for_the_only_communication_under_way_needs_no_times() -> None:
    assert inferred(drawn_draft(AWAITED), EVENT) == [("all_reduce", "b", "wait for communication")]


TWO = """
    rank 0 | thread 1 | cudaLaunchKernel           0..4000      -> first
    rank 0 | thread 1 | record_param_comms      5000..10000
    rank 0 | thread 1 | cudaLaunchKernel        6000..8000      -> all_reduce
    rank 0 | thread 1 | c: record_param_comms  11000..16000
    rank 0 | thread 1 | cudaLaunchKernel       12000..14000     -> all_gather
    rank 0 | thread 1 | d: record_param_comms  25000..30000
    rank 0 | thread 1 | cudaStreamWaitEvent    26000..27000
    rank 0 | thread 1 | cudaLaunchKernel       31000..35000     -> b
    rank 0 | stream 7 | first                   6000..9000
    rank 0 | stream 7 | b                     200000..210000
    rank 0 | stream 9 | all_reduce             10000..60000
    rank 0 | stream 9 | all_gather             61000..90000
"""


def test_a_wait_with_two_under_way_is_left_alone() -> None:
    assert inferred(drawn_draft(TWO), EVENT) == []


def test_what_other_threads_have_under_way_is_their_own() -> None:
    other = """
        rank 0 | thread 0 | e: record_param_comms  -1..4000
        rank 0 | thread 0 | cudaLaunchKernel     1000..2000      -> all_gather
        rank 0 | stream 9 | all_gather           4000..13000
    """
    assert inferred(drawn_draft(other + AWAITED), EVENT) == [("all_reduce", "b", "wait for communication")]


@pytest.mark.parametrize(("row", "source"), [(1, "all_reduce"), (3, "all_gather")])
def test_a_sequence_number_says_which_of_two_is_awaited(row: int, source: str) -> None:
    draft = drawn_draft(TWO, communication={})
    rows = [
        i for i in range(len(draft.trace)) if draft.trace.operators.value("name", i) == "record_param_comms"
    ]  # fmt: skip
    draft.ids["communication"][rows] = [40, 41, 40 if row == 1 else 41]
    assert inferred(draft, EVENT) == [(source, "b", "wait for communication")]


BETRAYED = """
    rank 0 | thread 1 | cudaLaunchKernel           0..4000      -> a
    rank 0 | thread 1 | cudaLaunchKernel        5000..9000      -> b0
    rank 0 | thread 1 | cudaStreamWaitEvent    17000..18000
    rank 0 | thread 1 | cudaLaunchKernel       19000..23000     -> b
    rank 0 | stream 7 | a                       6000..60000
    rank 0 | stream 9 | b0                     11000..13000
    rank 0 | stream 9 | b                      63000..70000
"""


def test_a_late_start_right_after_another_streams_work_betrays_a_wait() -> None:
    assert inferred(drawn_draft(BETRAYED), EVENT) == [("a", "b", "wait betrayed by times")]
    edge = infer(drawn_draft(BETRAYED)).trace.dependencies
    assert edge["inferred"][-1]
    assert edge["confidence"][-1] == np.float32(0.9)


@pytest.mark.parametrize(
    ("what", "old", "new"),
    [
        ("no wait was called", "cudaStreamWaitEvent    17000", "cudaStreamIsCapturing  17000"),
        ("it started long after", "63000..70000", "90000..97000"),
        ("it is not late", "63000..70000", "25000..31000"),
        ("the wait came before the other work", "cudaStreamWaitEvent    17000..18000", ""),
    ],
)
def test_no_wait_is_betrayed(what: str, old: str, new: str) -> None:
    text = BETRAYED.replace(old, new)
    if not new:
        text = text.replace("    rank 0 | thread 1 | \n", "").replace("-> b0", "-> b0\n")
        text = text.replace("0..4000      -> a", "1..2\n    rank 0 | thread 1 | cudaLaunchKernel  3000..4000 -> a")
        text = text.replace("| cudaLaunchKernel           1..2", "| cudaStreamWaitEvent  1..2")
    assert text != BETRAYED, what
    assert inferred(drawn_draft(text), EVENT) == [], what


def test_the_wait_must_come_before_what_follows_the_source() -> None:
    """The last operator issued before the wait is `a`; `c` ended at the right moment, but was issued after it."""
    text = (
        BETRAYED.replace("a                       6000..60000", "a                       6000..30000")
        + """
        rank 0 | thread 1 | cudaLaunchKernel       24000..28000     -> c
        rank 0 | stream 7 | c                      31000..60000
    """
    )
    assert inferred(drawn_draft(text), EVENT) == []


def test_communication_has_an_event_of_its_own_whatever_was_launched_after_it() -> None:
    text = TWO.replace("200000..210000", "63000..70000")
    assert inferred(drawn_draft(text), EVENT) == [("all_reduce", "b", "wait betrayed by times")]


def test_a_wait_that_ended_while_the_device_was_held_is_betrayed_by_what_ended_then() -> None:
    text = (
        BETRAYED.replace("b                      63000..70000", "b                     160000..170000")
        + """
        rank 0 | thread 1 | cudaLaunchKernel       30000..34000     -> holder
        rank 0 | stream 5 | holder                 50000..165000
    """
    )
    draft = drawn_draft(text, waves={"holder": 3})
    assert inferred(draft, EVENT) == [("a", "b", "wait betrayed by times")]
    assert inferred(draft, OCCUPANCY) == [("holder", "b", "device held by another stream")]


HELD = """
    rank 0 | thread 1 | cudaLaunchKernel           0..4000      -> big
    rank 0 | thread 1 | cudaLaunchKernel        5000..9000      -> b0
    rank 0 | thread 1 | cudaLaunchKernel       19000..23000     -> b
    rank 0 | stream 7 | big                     6000..506000
    rank 0 | stream 9 | b0                     10000..11000
    rank 0 | stream 9 | b                     500000..510000
"""


def test_a_kernel_of_many_waves_holds_the_device_until_its_tail() -> None:
    held = inferred(drawn_draft(HELD, waves={"big": 100}), OCCUPANCY)
    assert held == [("big", "b", "device held by another stream")]


@pytest.mark.parametrize(
    ("waves", "old", "new"),
    [
        (1, "", ""),  # one wave: its blocks may leave room
        (100, "b                     500000..510000", "b                     400000..410000"),  # before the tail
        (100, "b                     500000..510000", "b                     509000..519000"),  # long after it
        (100, "stream 9 | b  ", "stream 9 | all_reduce"),  # communication that was not ready all the while
    ],
)
def test_what_does_not_hold_the_device(waves: int, old: str, new: str) -> None:
    text = HELD.replace(old, new) if old else HELD
    if "all_reduce" in text:
        text = text.replace("-> b\n", "-> all_reduce\n").replace(
            "big                     6000", "big                    90000"
        )
    assert text != HELD or not old
    assert inferred(drawn_draft(text, waves={"big": waves}), OCCUPANCY) == []


def test_a_kernel_of_few_waves_holds_only_what_was_ready_while_it_ran() -> None:
    assert inferred(drawn_draft(HELD, waves={"big": 3}), OCCUPANCY)
    later = HELD.replace("big                     6000..506000", "big                   100000..506000")
    assert not inferred(drawn_draft(later, waves={"big": 3}), OCCUPANCY)


GRAPH = """
    rank 0 | thread 1 | g: cudaGraphLaunch         0..4000      -> a -> b -> c
    rank 0 | thread 1 | cudaLaunchKernel        5000..9000      -> after
    rank 0 | stream 7 | a                       6000..20000
    rank 0 | stream 7 | b                      10000..15000
    rank 0 | stream 9 | c                      21000..26000
    rank 0 | stream 7 | after                  22000..30000
"""


def test_what_follows_a_graph_follows_all_its_branches() -> None:
    assert inferred(drawn_draft(GRAPH), STREAM) == [("b", "after", "end of a graph launch")]


def test_a_branch_of_a_graph_on_another_stream_starts_as_its_source_ends() -> None:
    text = GRAPH.replace("-> a -> b -> c", "-> a -> b -> c -> d") + "rank 0 | stream 9 | d  7000..8000"
    assert inferred(drawn_draft(text), EVENT) == [("a", "c", "branch of a graph launch")]


def test_what_ends_in_another_graph_is_no_branch_of_this_one() -> None:
    text = """
        rank 0 | thread 1 | g: cudaGraphLaunch         0..4000      -> a -> b
        rank 0 | thread 1 | h: cudaGraphLaunch      5000..9000      -> c -> d
        rank 0 | stream 7 | a                       6000..15000
        rank 0 | stream 7 | b                      16000..40000
        rank 0 | stream 9 | c                      10000..12000
        rank 0 | stream 9 | d                      41000..50000
    """
    assert inferred(drawn_draft(text), EVENT) == []


def test_operators_are_issued_to_a_stream_in_its_order() -> None:
    draft = drawn_draft("""
        rank 0 | thread 1 | cudaLaunchKernel   5000..6000  -> a
        rank 0 | thread 2 | cudaLaunchKernel   1000..2000  -> b
        rank 0 | stream 7 | before                0..500
        rank 0 | stream 7 | a                  7000..8000
        rank 0 | stream 7 | b                  9000..9500
        rank 0 | stream 7 | unknown            9600..9700
    """)
    t = survey(draft)
    names = [draft.trace.operators.value("name", int(row)) for row in t.device]
    assert dict(zip(names, t.issued[t.device].tolist(), strict=True)) == {
        "before": EARLY, "a": 5000, "b": 5000, "unknown": 5000,
    }  # fmt: skip
