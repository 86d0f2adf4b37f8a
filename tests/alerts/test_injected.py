"""Known regressions in a recorded run: how they spread, that checks find them by name, and that noise alone is none."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from etgraph.alerts.rules import load
from etgraph.ingest import read, samples
from support.build import build

REPOSITORY = Path(__file__).resolve().parents[2]
RUNS = 4


@pytest.fixture(scope="module", autouse=True)
def _benchmarks() -> Iterator[None]:
    sys.path.insert(0, str(REPOSITORY))
    yield
    sys.path.remove(str(REPOSITORY))


@pytest.fixture(scope="module")
def ground(_benchmarks: None):  # type: ignore[no-untyped-def]
    from benchmarks.injected.trying import ground_of

    return ground_of("dlrm_alltoall", read(samples.path("dlrm_alltoall")), "quiet", RUNS)


@pytest.mark.parametrize("sample", ["dlrm_alltoall", "gpt_tp2_pp2"])
def test_an_unchanged_run_has_its_own_times(sample: str) -> None:
    from benchmarks.injected.spread import spread_of

    trace = read(samples.path(sample))
    spread = spread_of(trace)
    again = spread.again(spread.own_ns)
    assert again is not None
    assert np.array_equal(again.operators["start_ns"], trace.operators["start_ns"])
    assert np.array_equal(again.end_ns, trace.end_ns)


def test_a_delay_waits_for_nobody_and_is_taken_up_by_slack() -> None:
    from benchmarks.injected.spread import spread_of

    trace = build("""
        rank 0 | thread 1 | iteration ProfilerStep#0  0..100
        rank 0 | thread 1 | aten::mm                  0..30
        rank 0 | thread 1 | gloo:all_reduce 4MB      30..90
        rank 0 | thread 1 | aten::add                90..100
        rank 1 | thread 1 | iteration ProfilerStep#0  0..100
        rank 1 | thread 1 | aten::mm                  0..80
        rank 1 | thread 1 | gloo:all_reduce 4MB      80..90
        rank 1 | thread 1 | aten::add                90..100
    """)
    spread = spread_of(trace)

    def ends(rank: int, more: int) -> list[int]:
        """The ends of all operators where the product of a rank takes so much longer."""
        product = next(row for row in range(len(trace)) if trace.operators.row(row)["rank"] == rank)
        own = spread.own_ns.copy()
        own[2 * product + 1] += more
        again = spread.again(own)
        assert again is not None
        again.validate()
        return [int(end) for end in again.end_ns]

    assert ends(0, 40) == [70, 90, 100, 80, 90, 100]  # rank 1 is still the last one
    assert ends(0, 60) == [90, 100, 110, 80, 100, 110]
    assert ends(1, 20) == [30, 110, 120, 100, 110, 120]


def test_every_kind_of_regression_that_is_large_enough_is_caught_by_name(ground) -> None:  # type: ignore[no-untyped-def]
    from benchmarks.injected.trying import cases_of, tried

    rules = [placed for placed in load([]) if placed.rule.needs_baseline]
    first = {}
    for case in cases_of(ground):
        if case.counts:
            first.setdefault((case.injection.kind, case.on_path), case)
    assert {kind for kind, _ in first} == {
        "slower operator", "late rank", "extra sync", "dropped overlap", "halved bandwidth",
    }  # fmt: skip
    missed = [case.injection.what for case in first.values() if not tried(case, rules, RUNS).caught]
    assert missed == []


def test_noise_alone_is_no_regression(ground) -> None:  # type: ignore[no-untyped-def]
    from benchmarks.injected.trying import unchanged

    rules = [placed for placed in load([]) if placed.rule.needs_baseline]
    for number in range(2):
        result, _ = unchanged(ground, rules, RUNS, number)
        assert result.status in ("ok", "undecided")


def test_inserted_operators_leave_a_valid_trace(ground) -> None:  # type: ignore[no-untyped-def]
    from benchmarks.injected.trying import cases_of

    for case in cases_of(ground):
        injection = case.injection
        changed = injection.spread.again(injection.spread.own_ns + injection.added_ns, injection.extra)
        assert changed is not None
        changed.validate()
        assert case.effect > -0.001
