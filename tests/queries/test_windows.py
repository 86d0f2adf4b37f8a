"""Which steps a question is about: what names them, and steps that do not follow each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etgraph.model import Trace
from etgraph.model.errors import MissingData, UsageError
from etgraph.queries import breakdown, comm_matrix, hotspots, iterations, operators, stragglers
from etgraph.queries.breakdown import BreakdownPart
from etgraph.queries.questions import QUESTIONS, question
from etgraph.queries.saving import place_of
from etgraph.queries.windows import _runs, on_lanes, runs_of, windows_of
from support.build import build

THREE_STEPS = """
    rank 0 | thread 1 | iteration ProfilerStep#3      0..100
    rank 0 | thread 1 | aten::a                       0..30
    rank 0 | stream 7 | all_reduce 4MB               10..60
    rank 0 | thread 1 | iteration ProfilerStep#4    100..200
    rank 0 | thread 1 | aten::b                     110..120
    rank 0 | stream 7 | gemm                        120..130
    rank 0 | stream 7 | all_reduce 2MB              130..140
    rank 0 | thread 1 | iteration ProfilerStep#5    200..300
    rank 0 | thread 1 | aten::c                     210..280
    rank 0 | stream 7 | all_reduce 8KB              270..290
    rank 1 | thread 1 | iteration ProfilerStep#3      0..100
    rank 1 | stream 7 | all_reduce 4MB               20..60
    rank 1 | thread 1 | iteration ProfilerStep#4    100..200
    rank 1 | stream 7 | all_reduce 2MB              130..140
    rank 1 | thread 1 | iteration ProfilerStep#5    200..300
    rank 1 | stream 7 | all_reduce 8KB              280..290
"""
BETWEEN = """
    rank 0 | thread 2 | aten::in_the_first          40..50
    rank 0 | thread 2 | aten::in_the_second       150..160
"""
"""Of no step, by launch: each belongs to the step in which it starts."""
ABOUT_STEPS = sorted(QUESTIONS.keys() - {"memory"})  # of which the trace records nothing


@pytest.mark.parametrize("name", ABOUT_STEPS)
@pytest.mark.parametrize("iteration", [[], 1.5, True, [0, True], "0", [None], np.array([0.5])], ids=repr)
def test_what_is_no_index_of_a_step_is_told(name: str, iteration: Any) -> None:
    with pytest.raises(UsageError, match="expected the index of a step"):
        question(name)(build(THREE_STEPS), iteration=iteration)
    with pytest.raises(UsageError, match="expected the index of a step"):
        place_of(name, iteration=iteration)


@pytest.mark.parametrize("name", ABOUT_STEPS)
def test_numbers_of_numpy_are_indices(name: str) -> None:
    trace, ask = build(THREE_STEPS), question(name)
    one, two = ask(trace, iteration=np.int64(1)), ask(trace, iteration=np.array([1, 0, 1]))
    assert (str(one), str(two)) == (str(ask(trace, iteration=1)), str(ask(trace, iteration=(0, 1))))
    assert str(one) != str(two)


def without_steps(trace: Trace, *names: str) -> Trace:
    """The trace with those operators launched by no step."""
    step = trace.operators["iteration"].copy()
    step[[trace.operators.value("name", row) in names for row in range(len(trace))]] = -1
    return replace(trace, operators=trace.operators.replace({"iteration": step}))


def names(trace: Trace, **question: Any) -> set[str]:
    return set(operators(trace, **question).rows["key"].to_pylist())


def test_operators_of_steps_with_others_between_them() -> None:
    trace = without_steps(build(THREE_STEPS + BETWEEN), "aten::in_the_first", "aten::in_the_second")
    assert names(trace, iteration=(0, 2)) == {"aten::a", "aten::c", "aten::in_the_first", "all_reduce"}
    assert names(trace, iteration=(0, 1, 2)) == names(trace)


def test_an_operator_of_no_step_that_starts_in_two_windows_counts_once() -> None:
    """The device window of the first step reaches into that of the third."""
    trace = build("""
        rank 0 | thread 1 | iteration ProfilerStep#3      0..100
        rank 0 | thread 1 | cudaLaunchKernel             10..20   -> first
        rank 0 | stream 7 | first                        30..280
        rank 0 | thread 1 | iteration ProfilerStep#4    100..200
        rank 0 | thread 1 | iteration ProfilerStep#5    200..300
        rank 0 | thread 1 | cudaLaunchKernel            210..220  -> third
        rank 0 | stream 8 | third                       230..290
        rank 0 | stream 9 | of_no_step                  240..250
    """)
    rows = operators(without_steps(trace, "of_no_step"), iteration=(0, 2), window="device").rows.to_pylist()
    assert {row["key"]: row["count"] for row in rows}["of_no_step"] == 1


def totals(rows: Iterable[BreakdownPart], of: str) -> Counter[str]:
    return Counter({row.key: getattr(row, of) for row in rows})


def test_a_row_for_each_of_steps_with_others_between_them() -> None:
    trace = build(THREE_STEPS)
    found = breakdown(trace, rank=0, iteration=(0, 2), each=True, by="family")
    assert [(w.iteration, w.start_ns, w.end_ns) for w in found.windows] == [(0, 0, 100), (2, 200, 300)]
    both = breakdown(trace, iteration=(0, 2), each=True).windows
    assert both == tuple(w for w in breakdown(trace, each=True).windows if w.iteration != 1)
    alone = [breakdown(trace, rank=0, iteration=step, by="family").rows for step in (0, 2)]
    for of in ("count", "total_ns", "exposed_ns"):
        assert totals(found.rows, of) == sum((totals(rows, of) for rows in alone), Counter())


@pytest.mark.parametrize("name", ["breakdown", "critical-path", "device-use", "slack"])
def test_what_needs_one_stretch_of_time_says_so(name: str) -> None:
    with pytest.raises(UsageError, match="iterations 0, 2 have 1 between them") as told:
        question(name)(build(THREE_STEPS), iteration=(0, 2))
    assert "breakdown --each" in (told.value.hint or "")


def test_communication_of_steps_with_others_between_them_is_that_of_each() -> None:
    trace = build(THREE_STEPS)
    both, first, third = (hotspots(trace, iteration=steps, by="size", window="device").rows for steps in ((0, 2), 0, 2))
    assert len(both) == 2
    assert {row.key: row for row in both} == {row.key: row for row in (*first, *third)}
    assert sum(row.critical_ns for row in both) > 0
    sent = [comm_matrix(trace, iteration=steps).bytes for steps in ((0, 2), 0, 2)]
    assert sent[0].tolist() == (sent[1] + sent[2]).tolist()


def test_stragglers_and_times_of_steps_with_others_between_them() -> None:
    trace = build(THREE_STEPS)
    met = stragglers(trace, iteration=(0, 2)).collectives
    assert [(one.iteration, one.last_rank, one.waited_ns) for one in met] == [(0, 1, 10), (2, 1, 10)]
    assert {step.index for step in iterations(trace, iteration=(0, 2)).rows} == {0, 2}


def test_a_rank_without_all_of_the_steps_is_left_out() -> None:
    lines = [line for line in THREE_STEPS.splitlines() if "rank 1 | thread 1 | iteration ProfilerStep#5" not in line]
    found = hotspots(build("\n".join(lines)), iteration=(0, 2))
    assert "rank 1 left out, without operators in such a window" in found.trust.warnings


def test_steps_of_one_rank_follow_each_other_where_only_others_have_one_between() -> None:
    lines = [line for line in THREE_STEPS.splitlines() if "rank 1 | thread 1 | iteration ProfilerStep#4" not in line]
    trace = build("\n".join(lines))
    steps = trace.iterations["index"].copy()
    steps[-1] = 2  # of rank 1, whose second step is the third of rank 0
    trace = replace(trace, iterations=trace.iterations.replace({"index": steps}))
    assert [(w.rank, w.start_ns, w.end_ns) for w in breakdown(trace, rank=1, iteration=(0, 2)).windows] == [(1, 0, 300)]
    assert runs_of(trace, 1, (0, 2)) == ((0, 2),)
    assert runs_of(trace, None, (0, 2)) == ((0,), (2,))


@given(st.sets(st.integers(0, 12), min_size=1), st.sets(st.integers(0, 12)))
def test_runs_hold_every_step_once_and_no_other_lies_within_one(wanted: set[int], others: set[int]) -> None:
    held = wanted | others
    runs = _runs(sorted(wanted), sorted(held))
    assert [step for run in runs for step in run] == sorted(wanted)
    assert all(step in wanted for run in runs for step in held if run[0] <= step <= run[-1])
    assert all(any(a[-1] < step < b[0] for step in held - wanted) for a, b in pairwise(runs))


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 9), st.booleans()), min_size=1, max_size=20),
    st.sets(st.integers(0, 9), min_size=1),
)
def test_windows_of_steps_are_those_of_a_look_at_every_row(rows: list[tuple[int, int, bool]], wanted: set[int]) -> None:
    """Iterations in any order, with indices that repeat and some without an end."""
    lines = ("iteration s#0  0..9", "op  0..9")
    trace = build("\n".join(f"rank {rank} | thread 1 | {line}" for rank in range(3) for line in lines))
    first = np.array([rank for rank, _, _ in rows])
    i = trace.iterations.take(first)
    places = np.arange(len(rows))
    trace = replace(trace, iterations=i.replace(
        {
            "index": np.array([index for _, index, _ in rows], dtype=np.int32), "start_ns": 10 * places,
            "end_ns": np.where([ended for _, _, ended in rows], 10 * places + 9, i.table.column("end_ns").null),
        }
    ))  # fmt: skip
    for rank in range(3):
        held = sorted({index for one, index, ended in rows if one == rank and ended})
        if not wanted <= set(held):
            with pytest.raises(MissingData):
                windows_of(trace, rank, tuple(wanted), "annotation", contiguous=False)
            continue
        runs = _runs(sorted(wanted), held)
        meant = [
            tuple(at for at, (one, index, ended) in enumerate(rows) if one == rank and ended and index in run)
            for run in runs
        ]
        found = windows_of(trace, rank, tuple(wanted), "annotation", contiguous=False)
        assert [one.iterations for one in found] == meant
        assert [(one.start_ns, one.end_ns) for one in found] == [(10 * min(run), 10 * max(run) + 9) for run in meant]


def test_a_moment_of_each_rank_is_one_of_its_lanes() -> None:
    trace = build(THREE_STEPS)
    windows = windows_of(trace, 1, None, "annotation")
    ranks = trace.lanes["rank"].tolist()
    assert on_lanes(trace, windows, [7], -1).tolist() == [7 if rank == 1 else -1 for rank in ranks]
    both = windows_of(trace, None, None, "annotation")
    assert on_lanes(trace, both[::-1], [8, 9], -1).tolist() == [9 if rank == 0 else 8 for rank in ranks]
