"""Known regressions in a recorded run: how they spread, that checks find them by name, and that noise alone is none."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from etgraph.alerts.rules import load
from etgraph.ingest import read, samples
from support.build import build

REPOSITORY = Path(__file__).resolve().parents[2]
RUNS = 4
KINDS = {"slower operator", "late rank", "extra sync", "dropped overlap", "halved bandwidth"}


@pytest.fixture(scope="module", autouse=True)
def _benchmarks() -> Iterator[None]:
    sys.path.insert(0, str(REPOSITORY))
    yield
    sys.path.remove(str(REPOSITORY))


@pytest.fixture(scope="module")
def ground(_benchmarks: None):  # type: ignore[no-untyped-def]
    from benchmarks.injected.trying import ground_of

    return ground_of("dlrm_alltoall", read(samples.path("dlrm_alltoall")), "quiet", RUNS)


def test_an_unchanged_run_has_its_own_times(ground) -> None:  # type: ignore[no-untyped-def]
    spread, trace = ground.spread, ground.spread.trace
    again = spread.again(spread.own_ns)
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
        again.validate()
        return [int(end) for end in again.end_ns]

    assert ends(0, 40) == [70, 90, 100, 80, 90, 100]  # rank 1 is still the last one
    assert ends(0, 60) == [90, 100, 110, 80, 100, 110]
    assert ends(1, 20) == [30, 110, 120, 100, 110, 120]


@pytest.fixture(scope="module")
def largest(ground) -> dict[str, Any]:  # type: ignore[no-untyped-def]
    """Of every kind the regression that costs most."""
    from benchmarks.injected.trying import cases_of

    found: dict[str, Any] = {}
    for case in sorted(cases_of(ground), key=lambda case: case.effect):
        found[case.injection.kind] = case
    return found


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_regression_of_every_kind_is_caught_by_name(largest: dict[str, Any], kind: str) -> None:
    from benchmarks.injected.trying import tried

    assert set(largest) == KINDS
    rules = [placed for placed in load([]) if placed.rule.needs_baseline]
    found = tried(largest[kind], rules, RUNS)
    found.runs[0].trace.validate()
    assert found.caught, found.broken


def test_noise_alone_is_no_regression(ground) -> None:  # type: ignore[no-untyped-def]
    from benchmarks.injected.trying import unchanged

    rules = [placed for placed in load([]) if placed.rule.needs_baseline]
    assert [unchanged(ground, rules, RUNS, number)[0] for number in range(3)] == [(), (), ()]
