"""Random programs whose communication is known: nothing is matched wrongly, and what is known is found."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etgraph.ingest.communication.matching import match
from etgraph.model import DependencyKind, Trace
from support.distributed_programs import Program, Recorded, program, record, score

TOLERANCE = 2_000


def violations(trace: Trace) -> int:
    """Members that end before the last of their collective starts, and receives that end before their send starts."""
    o, d = trace.operators, trace.dependencies
    against = 0
    for row in range(len(trace.collectives)):
        members = np.flatnonzero(o["collective"] == row)
        against += int((trace.end_ns[members] + TOLERANCE < o["start_ns"][members].max()).sum())
    pairs = np.flatnonzero(d["kind"] == int(DependencyKind.COMM))
    return against + int((o["start_ns"][d["src"][pairs]] > trace.end_ns[d["dst"][pairs]] + TOLERANCE).sum())


def unlucky(p: Program, seed: int) -> dict[str, dict[int, int]]:
    """Operators that each rank lost at the beginning."""
    rng = random.Random(seed)
    return {"dropped": {rank: rng.randrange(5) for rank in range(p.ranks)}}


@settings(max_examples=40)
@given(st.integers(0, 2**32), st.booleans(), st.booleans())
def test_with_groups_recorded_everything_is_matched(seed: int, numbers: bool, device: bool) -> None:
    p = program(seed)
    draft, truth = record(p, Recorded(numbers=numbers, device=device, hosts=True))
    trace = match(draft).trace
    found = score(trace, truth)
    assert (found.wrong, found.matched) == (0, found.possible)
    assert violations(trace) == 0
    trace.validate()


@settings(max_examples=40)
@given(st.integers(0, 2**32), st.booleans())
def test_lost_operators_and_missing_ranks_mislead_nothing(seed: int, numbers: bool) -> None:
    p = program(seed, steps=20)
    missing = (seed % p.ranks,) if p.ranks > 2 else ()
    draft, truth = record(p, Recorded(numbers=numbers, hosts=True, missing=missing, **unlucky(p, seed)))
    trace = match(draft).trace
    assert score(trace, truth).wrong == 0
    assert violations(trace) == 0
    trace.validate()


@settings(max_examples=25)
@given(st.integers(0, 2**32))
def test_clocks_that_are_apart_are_put_together(seed: int) -> None:
    """Whatever the hosts' clocks say, the same collectives are found as on one clock."""
    rng = random.Random(seed)
    p = program(seed, steps=40, messages=False)
    clocks = {rank: rng.randrange(-(10**9), 10**9) for rank in range(p.ranks)}
    draft, truth = record(p, Recorded(clocks=clocks))
    trace = match(draft).trace
    found = score(trace, truth)
    assert (found.wrong, found.matched) == (0, found.possible)
    added = trace.metadata.clock_offsets_ns
    for rank in trace.ranks:
        assert abs(clocks[rank] + added[rank] - clocks[0]) <= TOLERANCE


@pytest.mark.parametrize("regular", [True, False])
@pytest.mark.parametrize("declared", [True, False])
@pytest.mark.parametrize("times", [True, False])
def test_groups_that_are_found_are_right(regular: bool, declared: bool, times: bool) -> None:
    """Of forty programs without a recorded group; where several groups would do, none is taken."""
    matched = possible = 0
    for seed in range(1_000, 1_040):
        p = program(seed, steps=24, regular=regular)
        how = Recorded(groups=False, declared=declared, hosts=True, times=times)
        draft, truth = record(p, how)
        trace = match(draft).trace
        found = score(trace, truth)
        assert found.wrong == 0, seed
        if times:
            assert violations(trace) == 0
        matched, possible = matched + found.matched, possible + found.possible
    assert matched / possible > (0.6 if regular and times else 0.15)


@pytest.mark.parametrize(("seed", "steps", "device"), [(100_092, 60, True), (100_074, 24, False)])
def test_few_operators_take_no_cover_that_they_are_not_seen_to_wait_in(seed: int, steps: int, device: bool) -> None:
    """One cover fits by chance, and other sizes have it: the true one lost its first operators, or is of several."""
    p = program(seed, steps=steps, regular=device)
    how = Recorded(groups=False, hosts=True, device=device, **(unlucky(p, seed) if device else {}))
    draft, truth = record(p, how)
    found = score(match(draft).trace, truth)
    assert found.wrong == 0
    assert found.matched > found.possible // 4
