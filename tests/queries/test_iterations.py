"""Step times: known answers on small traces, series that fool a rule, bad input, and real traces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from etgraph.ingest import read, samples
from etgraph.model import Trace
from etgraph.model.errors import MissingData, UsageError
from etgraph.queries import iterations
from etgraph.queries.unusual import FEWEST, most_usual, outliers, unsettled
from etgraph.queries.windows import window_of
from support.build import build
from support.collection import read_once

MS = 1_000_000


def series(*lengths: int, rank: int = 0, late: int = 0) -> str:
    """Steps of those lengths in ms, one after another, each with one operator that fills it."""
    ends = (late + np.cumsum(lengths)) * MS
    return "\n".join(
        f"rank {rank} | thread 1 | iteration ProfilerStep#{number + 5} {end - length * MS}..{end}\n"
        f"rank {rank} | thread 1 | op{number}_{rank}: aten::mm {end - length * MS}..{end}"
        for number, (length, end) in enumerate(zip(lengths, ends.tolist()))
    )


def marks(*lengths: int) -> str:
    """The steps in a row: w for warm-up, o for an outlier, a dot for others, a question mark where nobody can tell."""
    rows = iterations(build(series(*lengths))).rows
    return "".join("w" if row.warm_up else "o" if row.outlier else "?" if row.outlier is None else "." for row in rows)


@pytest.mark.parametrize(
    ("lengths", "expected"),
    [
        ((100, 101, 99, 100, 102), "....."),
        ((100, 101, 99, 100, 102, 99, 100, 150), ".......o"),
        ((100, 101, 99, 100, 60, 99, 100, 102), "....o..."),
        ((400, 150, 100, 101, 99, 100, 102), "ww....."),
        ((400, 101, 99, 250, 102, 99, 100, 100), "w..o...."),
        ((35, 72, 96, 96, 96), "ww???"),
        ((850, 100, 160), "w??"),
        ((850, 100), "??"),
        ((320, 334, 329, 388, 447), "....."),
        ((100, 170, 100, 171, 113, 168, 121, 185, 112, 189), ".........."),
        ((100, 100, 100, 100, 100, 101), "......"),
        ((100, 100, 100, 100, 100, 103), ".....o"),
        ((400, 300, 200, 100), "????"),
        ((10_000, 1000, 100, 10, 10), "ww???"),
    ],
)
def test_what_is_unlike_the_others(lengths: Sequence[int], expected: str) -> None:
    """Few steps, steps that get slower, two kinds in turn, and equal steps with a nanosecond's noise fool nobody."""
    assert marks(*lengths) == expected


def test_the_distribution_is_that_of_the_settled_steps() -> None:
    found = iterations(build(series(400, 100, 110, 120, 130, 140, 150)))
    assert (found.count, found.warm_up_steps, found.outliers) == (7, 1, 0)
    assert (found.min_ns, found.median_ns, found.p95_ns, found.max_ns) == (100 * MS, 125 * MS, 150 * MS, 150 * MS)
    assert found.mean_ns == 125 * MS
    assert found.variation == pytest.approx(np.std([100, 110, 120, 130, 140, 150], ddof=1) / 125)
    assert [row.excess_ns // MS for row in found.rows[:2]] == [275, -25]
    assert [one.rank for one in found.by_rank] == [0]


def test_one_step_has_no_variation_and_no_verdict() -> None:
    found = iterations(build(series(100)))
    (row,) = found.rows
    assert (found.count, found.median_ns, found.variation, found.outliers) == (1, 100 * MS, None, None)
    assert (row.warm_up, row.outlier, row.cause, row.excess_ns) == (None, None, None, 0)
    assert (row.name, row.index, row.rank, row.slowest_rank, row.spread_ns) == ("ProfilerStep#5", 0, 0, None, None)


def test_a_step_of_all_ranks_goes_from_the_earliest_start_to_the_latest_end() -> None:
    trace = build(f"{series(100, 100)}\n{series(110, 130, rank=1, late=20)}")
    rows = iterations(trace).rows
    assert [(row.index, row.rank, row.start_ns // MS, row.duration_ns // MS) for row in rows] == [
        (0, None, 0, 130), (0, 0, 0, 100), (0, 1, 20, 110), (1, None, 100, 160), (1, 0, 100, 100), (1, 1, 130, 130),
    ]  # fmt: skip
    assert [(row.slowest_rank, row.spread_ns) for row in rows[::3]] == [(1, 10 * MS), (1, 30 * MS)]
    assert [one.rank for one in iterations(trace).by_rank] == [None, 0, 1]
    assert {row.rank for row in iterations(trace, rank=1).rows} == {1}
    assert iterations(trace, rank=1).median_ns == 120 * MS


def test_of_equally_slow_ranks_the_first_is_named() -> None:
    trace = build(f"{series(100)}\n{series(100, rank=1)}\n{series(90, rank=2)}")
    row = iterations(trace).rows[0]
    assert (row.slowest_rank, row.spread_ns) == (0, 10 * MS)


def test_a_step_that_only_some_ranks_have() -> None:
    rows = iterations(build(f"{series(100, 100)}\n{series(110, rank=1)}")).rows
    assert [(row.index, row.rank) for row in rows] == [(0, None), (0, 0), (0, 1), (1, None), (1, 0)]
    assert (rows[3].slowest_rank, rows[3].spread_ns) == (0, 0)


def slow_step(extra: str) -> Trace:
    """Eight steps of 100 ms: 60 of aten::mm and a pause; the sixth lasts 200 ms and has `extra` in it."""
    lines, start = [], 0
    for number in range(8):
        length = 200 if number == 5 else 100
        lines.append(f"rank 0 | thread 1 | iteration ProfilerStep#{number} {start * MS}..{(start + length) * MS}")
        lines.append(f"rank 0 | thread 1 | mm{number}: aten::mm {start * MS}..{(start + 60) * MS}")
        if number == 5:
            lines.append(extra.format(*((start + at) * MS for at in (60, 150))))
        start += length
    return build("\n".join(lines))


def test_the_cause_is_what_the_path_has_more_of() -> None:
    trace = slow_step("rank 0 | thread 1 | aten::save {}..{}")
    (slow,) = [row for row in iterations(trace).rows if row.outlier]
    assert slow.cause is not None
    assert (slow.cause.category, slow.cause.detail, slow.cause.ns) == ("computation", "cpu-kernel", 90 * MS)
    assert (slow.cause.name, slow.cause.operator_ns) == ("aten::save", 90 * MS)
    assert str(slow.cause) == "+90.000 ms computation: cpu-kernel, +90.000 ms in aten::save"
    assert slow.excess_ns == 100 * MS


def test_a_pause_is_a_cause_without_an_operator() -> None:
    trace = slow_step("rank 0 | thread 1 | aten::small {}..{}".replace("{}..{}", "{0}..{0}"))
    (slow,) = [row for row in iterations(trace).rows if row.outlier]
    assert slow.cause is not None
    assert (slow.cause.category, slow.cause.detail, slow.cause.name) == ("idle", "host-gap", None)
    assert (slow.cause.ns, slow.cause.operator_ns) == (100 * MS, None)
    assert str(slow.cause) == "+100.000 ms idle: host-gap"


def test_a_faster_step_has_less_of_something() -> None:
    (fast,) = [row for row in iterations(build(series(100, 101, 99, 100, 60, 99, 100, 102))).rows if row.outlier]
    assert fast.cause is not None
    assert (fast.cause.detail, fast.cause.name, fast.cause.ns) == ("cpu-kernel", "aten::mm", -40 * MS)


def test_time_that_many_operators_share_is_said_to_be_theirs() -> None:
    parts = "\n".join(f"rank 0 | thread 1 | aten::x{k} {{}}..{{}}" for k in range(3))
    lines = parts.format(*[(560 + 30 * k + side) * MS for k in range(3) for side in (0, 30)])
    (slow,) = [row for row in iterations(slow_step(lines)).rows if row.outlier]
    assert str(slow.cause) == "+90.000 ms computation: cpu-kernel, in many operators, +30.000 ms in aten::x2"


@pytest.mark.parametrize(("limit", "value"), [("MOST_CAUSES", 1), ("LOOKED_AT", 0)])
def test_only_the_most_unusual_of_many_steps_are_explained(
    limit: str, value: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_module("etgraph.queries.iterations"), limit, value)
    found = iterations(build(series(100, 101, 99, 150, 100, 60, 99, 102, 101, 100, 99)))
    assert [(row.index, row.cause is not None) for row in found.rows if row.outlier] == [(3, True), (5, False)]
    assert found.trust.warnings == (
        "1 more step is unlike the others, of which no cause is told; ask with an iteration",
    )
    assert iterations(build(series(100, 101, 99, 150, 100, 60, 99, 102)), iteration=5).rows[0].cause is not None


def test_steps_are_judged_beside_all_others() -> None:
    trace = build(series(100, 101, 99, 100, 102, 99, 100, 150))
    found = iterations(trace, iteration=[6, 7])
    assert [(row.index, row.outlier) for row in found.rows] == [(6, False), (7, True)]
    assert found.count == 8


DEVICE = """
    rank 0 | thread 1 | iteration ProfilerStep#1     0..100
    rank 0 | thread 1 | iteration ProfilerStep#2   100..200
    rank 0 | thread 1 | iteration ProfilerStep#3   200..300
    rank 0 | thread 1 | cudaLaunchKernel    0..10   -> a
    rank 0 | thread 1 | cudaLaunchKernel  120..130  -> b
    rank 0 | stream 7 | a                  10..140
    rank 0 | stream 7 | b                 140..170
"""


@pytest.mark.parametrize(("window", "expected"), [("device", [130, 30]), ("launch", [140, 100])])
def test_windows_of_the_device(window: str, expected: list[int]) -> None:
    trace = build(DEVICE)
    found = iterations(trace, window=window)  # type: ignore[arg-type]
    assert [row.duration_ns for row in found.rows] == expected
    assert found.trust.warnings == ("1 step of a rank has no time in such a window: left out",)
    for row in found.rows:
        same = window_of(trace, 0, row.index, window)  # type: ignore[arg-type]
        assert (same.start_ns, same.end_ns) == (row.start_ns, row.start_ns + row.duration_ns)


@pytest.mark.parametrize(
    ("text", "question", "error", "message"),
    [
        ("", {}, MissingData, "the trace has no iterations"),
        ("rank 0 | thread 1 | aten::mm 0..5", {}, MissingData, "the trace has no iterations"),
        (DEVICE, {"rank": 4}, MissingData, "no rank 4: the trace holds ranks 0"),
        (DEVICE, {"iteration": 7}, MissingData, "no iteration 7 with times: there are 0, 1, 2"),
        (DEVICE, {"iteration": 2, "window": "device"}, MissingData, "no iteration 2 with times: there are 0, 1"),
        (series(100), {"window": "device"}, MissingData, "no iteration has measured times in the device window"),
        (DEVICE, {"window": "week"}, UsageError, "no window 'week'"),
    ],
)
def test_what_is_not_there_is_said(
    text: str, question: dict[str, object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        iterations(build(text), **question)  # type: ignore[arg-type]


def test_iterations_without_times_are_left_out() -> None:
    trace = build(series(100, 100, 100))
    null = trace.iterations.table.column("end_ns").null
    some = replace(trace, iterations=trace.iterations.replace({"end_ns": [null, *trace.iterations["end_ns"][1:]]}))
    assert [row.index for row in iterations(some).rows] == [1, 2]
    none = replace(trace, iterations=trace.iterations.replace({"end_ns": [null] * 3}))
    with pytest.raises(MissingData, match="no iteration has measured times"):
        iterations(none)


def test_a_data_frame_has_a_row_for_each_step() -> None:
    found = iterations(build(series(100, 101, 99, 100, 102, 99, 100, 150)))
    assert found.to_pandas()["outlier"].tolist() == [False] * 7 + [True]
    assert "8 steps, median 100.000 ms" in found._repr_html_()


# Series


@pytest.mark.parametrize("count", [5, 8, 20, 60])
def test_a_series_without_outliers_has_none_in_nineteen_of_twenty_cases(count: int) -> None:
    random = np.random.default_rng(count)
    flagged = [bool(np.any(outliers(random.normal(100, 10, count)))) for _ in range(2_000)]
    assert 0.02 < np.mean(flagged) < 0.07
    assert most_usual(10**6) == pytest.approx(3.5, abs=1e-4)


@pytest.mark.parametrize("count", range(5))
def test_short_series(count: int) -> None:
    values = np.array([100, 100, 100, 100])[:count]
    assert outliers(values) is None
    assert unsettled(values) == (0 if count >= 3 else None)
    assert count < FEWEST


# Real traces


def test_the_last_of_five_steps_was_slow_on_one_rank() -> None:
    """Step 4 takes 494 ms on rank 1 and 447 on rank 0, where the step before was slow too: no outlier among five."""
    found = iterations(read(samples.path("gpt_ddp_5steps")))
    assert [(row.index, row.rank) for row in found.rows if row.outlier] == [(4, None), (4, 1)]
    assert (found.count, found.warm_up_steps) == (5, 0)
    assert [round(one.median_ns / MS, 1) for one in found.by_rank] == [334.8, 334.8, 333.0]
    (slow,) = [row for row in found.rows if row.index == 4 and row.rank == 1]
    assert slow.cause is not None
    assert (slow.cause.category, slow.cause.detail) == ("computation", "cpu-kernel")
    assert 0 < slow.cause.ns <= slow.excess_ns
    assert found.rows[-3].slowest_rank == 1


def test_steps_before_the_queue_is_full_have_not_settled(collection_dir: Path) -> None:
    """The host runs ahead through step 101, and is held back from step 103 on."""
    trace = read_once(collection_dir / "hta" / "ns_resolution_trace")
    found = iterations(trace)
    assert [row.warm_up for row in found.rows] == [True, True, False, False, False]
    assert [row.cause.ns < 0 for row in found.rows if row.cause] == [True, True]
    assert found.variation is not None
    assert found.variation < 0.001
    assert iterations(trace, window="device").warm_up_steps == 0
