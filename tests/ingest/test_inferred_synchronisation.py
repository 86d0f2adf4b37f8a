"""SYNC: blocking calls, copies and full queues, each on a trace of one screen, with exceptions and false friends."""

from __future__ import annotations

import pytest

from etgraph.ingest.inference import infer
from etgraph.model import DependencyKind
from support.drafts import drawn_draft, inferred

SYNC = DependencyKind.SYNC

BLOCKED = """
    rank 0 | thread 1 | cudaLaunchKernel           0..4000      -> a
    rank 0 | thread 1 | cudaLaunchKernel        5000..9000      -> b
    rank 0 | thread 1 | {name}                 10000..60000
    rank 0 | thread 1 | cudaLaunchKernel       61000..65000     -> c
    rank 0 | stream 7 | a                       6000..30000
    rank 0 | stream 9 | b                      10000..50000
    rank 0 | stream 9 | c                      66000..70000
"""


@pytest.mark.parametrize("name", ["cudaStreamSynchronize", "hipStreamSynchronize", "cuStreamSynchronize"])
def test_a_stream_is_waited_for_that_the_thread_launched_to_last(name: str) -> None:
    text = BLOCKED.format(name=name)
    if name.startswith("cu") and not name.startswith("cuda"):
        text = text.replace(name, "cudaStreamSynchronize")  # the notation knows runtime calls by cuda and hip
        name = "cudaStreamSynchronize"
    assert inferred(drawn_draft(text), SYNC) == [("b", name, "stream synchronisation")]


def test_the_recorded_stream_is_waited_for_and_no_other() -> None:
    draft = drawn_draft(BLOCKED.format(name="cudaStreamSynchronize"), stream={"cudaStreamSynchronize": 1})
    assert inferred(draft, SYNC) == [("a", "cudaStreamSynchronize", "stream synchronisation")]


def test_a_device_is_waited_for_on_every_stream() -> None:
    found = inferred(drawn_draft(BLOCKED.format(name="cudaDeviceSynchronize")), SYNC)
    assert [e[:2] for e in found] == [("a", "cudaDeviceSynchronize"), ("b", "cudaDeviceSynchronize")]


def test_what_a_device_synchronisation_waited_for_the_next_one_does_not() -> None:
    text = BLOCKED.format(name="cudaDeviceSynchronize") + "rank 0 | thread 1 | hipDeviceSynchronize  71000..80000"
    assert [e[:2] for e in inferred(drawn_draft(text), SYNC)] == [
        ("a", "cudaDeviceSynchronize"), ("b", "cudaDeviceSynchronize"), ("c", "hipDeviceSynchronize"),
    ]  # fmt: skip


ON_DEVICE = """
    rank 0 | thread 1 | cudaLaunchKernel           0..4000      -> a
    rank 0 | stream 7 | a                       6000..300000
    rank 0 | thread 1 | cudaDeviceSynchronize   8000..305000
"""


@pytest.mark.parametrize(
    ("other", "found"),
    [
        ("9000..306000", ["cudaDeviceSynchronize", "hipDeviceSynchronize"]),
        ("7000..306000", ["hipDeviceSynchronize", "cudaDeviceSynchronize"]),
        ("7000..7500", ["cudaDeviceSynchronize"]),
        ("9000..9500", ["cudaDeviceSynchronize"]),
        ("305500..306000", ["cudaDeviceSynchronize"]),
    ],
)
def test_each_call_within_which_the_work_ended_waited_for_it(other: str, found: list[str]) -> None:
    """Two threads wait at a time; one call returns at once, for it asks of another device; one comes too late."""
    text = ON_DEVICE + f"rank 0 | thread 2 | hipDeviceSynchronize  {other}"
    assert [e[:2] for e in inferred(drawn_draft(text), SYNC)] == [("a", call) for call in found]


@pytest.mark.parametrize("name", ["cudaMalloc", "cudaFree", "cudaEventQuery", "cudaMemcpyAsync", "aten::item"])
def test_calls_that_do_not_say_that_they_wait(name: str) -> None:
    assert inferred(drawn_draft(BLOCKED.format(name=name)), SYNC) == []


def test_a_call_that_returned_before_the_work_ended_is_counted_and_not_stored() -> None:
    text = BLOCKED.format(name="cudaStreamSynchronize").replace("10000..50000", "10000..60500")
    draft = drawn_draft(text)
    assert inferred(draft, SYNC) == []
    assert infer(draft).trace.metadata.report.counts["SYNC:stream synchronisation:contradicted by times"] == 1


def test_an_event_is_waited_for_as_recorded() -> None:
    text = (
        BLOCKED.format(name="cudaEventSynchronize").replace("5000..9000 ", "5000..7000  -> b")
        + """
        rank 0 | thread 1 | cudaEventRecord     4200..4800
    """
    )
    text = text.replace("-> b     -> b", "-> b")
    ids = {"event_stream": 1, "event_record": 55}
    draft = drawn_draft(text, **{k: {"cudaEventSynchronize": v} for k, v in ids.items()})
    names = [draft.trace.operators.value("name", row) for row in range(len(draft.trace))]
    draft.ids["correlation"][names.index("cudaEventRecord")] = 55
    assert inferred(draft, SYNC) == [("a", "cudaEventSynchronize", "event synchronisation as recorded")]


@pytest.mark.parametrize(("end", "found"), [("50000", True), ("30500", False)])
def test_an_event_that_is_not_recorded_is_what_ended_right_before_the_call_did(end: str, found: bool) -> None:
    text = BLOCKED.format(name="cudaEventSynchronize").replace("10000..50000", f"10000..{end}")
    expected = [("b", "cudaEventSynchronize", "event synchronisation by times")] if found else []
    assert inferred(drawn_draft(text), SYNC) == expected


COPY = """
    rank 0 | thread 1 | cudaLaunchKernel           0..4000      -> a
    rank 0 | thread 1 | {call}                  5000..60000     -> copy
    rank 0 | stream 7 | a                       6000..30000
    rank 0 | stream 7 | copy: {copy}           31000..50000
"""


@pytest.mark.parametrize(
    ("call", "copy", "source"),
    [
        ("cudaMemcpyAsync", "Memcpy_DtoH_(Device->Pageable)", "copy"),
        ("cudaMemcpy", "Memcpy_DtoH_(Device->Pinned)", "copy"),
        ("hipMemcpyWithStream", "Memcpy_DtoD", "copy"),
        ("cudaMemcpyAsync", "Memcpy_HtoD_(Pageable->Device)", "a"),
        ("cudaMemcpyAsync", "Memcpy_DtoH_(Device->Pinned)", ""),
        ("cudaMemcpyAsync", "Memcpy_HtoD_(Pinned->Device)", ""),
        ("cudaMemcpy", "Memcpy_DtoD_(Device->Device)", ""),
    ],
)
def test_copies_that_their_callers_wait_for(call: str, copy: str, source: str) -> None:
    found = [e[:2] for e in inferred(drawn_draft(COPY.format(call=call, copy=copy)), SYNC)]
    assert found == ([(copy if source == "copy" else source, call)] if source else [])


def test_a_copy_from_pageable_memory_did_not_wait_for_what_had_ended() -> None:
    text = COPY.format(call="cudaMemcpyAsync", copy="Memcpy_HtoD_(Pageable->Device)").replace(
        "6000..30000", "1000..4500"
    )
    assert inferred(drawn_draft(text), SYNC) == []


def test_a_blocking_call_without_a_cause_is_said() -> None:
    report = infer(drawn_draft("rank 0 | thread 1 | cudaStreamSynchronize  0..90000")).trace.metadata.report
    assert report.counts["blockingCallsWithoutCause"] == 1
    assert "1 blocking calls waited for something" in report.warnings[0]


SLOW = """
    rank 0 | thread 1 | {first}            0..{took}           -> copy
    rank 0 | stream 7 | copy: {copy}  {start}..9000000
    rank 0 | thread 1 | cudaEventQuery  9100000..9200000
"""


def warned(text: str) -> str:
    """The warnings about calls."""
    return " ".join(infer(drawn_draft(text)).trace.metadata.report.warnings)


def test_a_call_that_copies_from_pageable_memory_itself_has_its_reason() -> None:
    slow = {"first": "cudaMemcpyAsync", "took": 8_000_000, "copy": "Memcpy_HtoD_(Pageable->Device)", "start": 200_000}
    assert "runtime calls took" not in warned(SLOW.format(**slow))
    assert "runtime calls took 8 ms" in warned(SLOW.format(**slow | {"start": 8_500_000}))
    assert "runtime calls took 8 ms" in warned(SLOW.format(**slow | {"copy": "Memcpy_HtoD_(Pinned->Device)"}))


def test_only_the_first_calls_are_start_up() -> None:
    calls = [f"rank 0 | thread 1 | cudaEventQuery  {at}..{at + 9}" for at in range(0, 1000, 10)]
    slow = "rank 0 | thread 1 | cudaMalloc  {}..{}"
    assert "(start-up?)" in warned("\n".join([slow.format(-9_000_000, -100), *calls]))
    late = warned("\n".join([*calls, slow.format(2_000, 9_000_000)]))
    assert "1 runtime calls took 9 ms in all without a recorded reason" in late
    assert "start-up" not in late


def test_a_blocking_call_that_is_short_in_its_window_is_counted_only() -> None:
    text = "rank 0 | thread 1 | cudaStreamSynchronize  0..90000\nrank 0 | thread 1 | aten::mm  90000..9100000"
    report = infer(drawn_draft(text)).trace.metadata.report
    assert report.counts["blockingCallsWithoutCause"] == 1
    assert not report.warnings


def queue(depth: int, launches: int, *, long: str = "full") -> str:
    """Launches that wait for the one `depth` before; or long ones that have nothing to do with it."""
    lines, now, done = [], 0, 0
    ends: list[int] = []
    for number in range(launches):
        took = 4_000
        if len(ends) >= depth:
            took = max(took, ends[-depth] + 5_000 - now) if long == "full" else 4_000 + 50_000 * (number % 7 == 0)
        lines.append(f"rank 0 | thread 1 | cudaLaunchKernel  {now}..{now + took}  -> k{number}")
        begin = max(now + took + 1_000, done + 1_000)
        done = begin + 30_000
        ends.append(done)
        lines.append(f"rank 0 | stream 7 | k{number}  {begin}..{done}")
        now += took + 1_000
    return "\n".join(lines)


def test_a_launch_waits_for_room_in_the_queue() -> None:
    draft = drawn_draft(queue(8, 60))
    found = inferred(draft, SYNC)
    assert {m for _, _, m in found} == {"launch queue full"}
    assert [s for s, _, _ in found][-1] == "k51"
    assert infer(draft).trace.metadata.report.counts["launchQueueLength:8"] == 1


def test_long_launches_at_any_depth_do_not_show_a_queue() -> None:
    draft = drawn_draft(queue(8, 200, long="chance"))
    assert inferred(draft, SYNC) == []
    assert "launchQueueLength" not in "".join(infer(draft).trace.metadata.report.counts)


def test_too_few_long_launches_show_nothing() -> None:
    assert inferred(drawn_draft(queue(8, 14)), SYNC) == []
