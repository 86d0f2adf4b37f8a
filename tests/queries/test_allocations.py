"""Allocations: what is in use after each event, beside an allocator that only keeps a dictionary."""

from __future__ import annotations

from itertools import groupby

from hypothesis import given, settings

from etgraph.queries.allocations import pools
from support.build import build
from support.memory_events import programs, with_memory


def allocator(text: str) -> dict[str, tuple[list[int], list[dict[str, int]], list[int]]]:
    """By device: after each event the blocks in use, by address, and the bytes that were lost of those before."""
    found = {}
    lines = sorted((line.split("|") for line in text.splitlines()), key=lambda line: line[2].split()[0])
    for device, group in groupby(lines, key=lambda line: line[2].split()[0]):
        blocks: dict[str, int] = {}
        moments, states, lost = [], [], [0]
        for _, _, event in group:
            _, ns, address, size, *_ = event.split()
            gone = 0
            if int(size) > 0:
                blocks[address] = int(size)
            elif address in blocks:
                del blocks[address]
            else:
                gone = -int(size)
            moments.append(int(ns))
            states.append(dict(blocks))
            lost.append(lost[-1] + gone)
        found[device] = moments, states, lost[1:]
    return found


@settings(max_examples=100)
@given(programs())
def test_levels_are_those_of_an_allocator(text: str) -> None:
    trace = with_memory(build("rank 0 | thread 1 | a 0..400"), text)
    simulated = allocator(text)
    assert {pool.label for pool in pools(trace, [0])} == set(simulated)
    for pool in pools(trace, [0]):
        moments, states, lost = simulated[pool.label]
        assert pool.ns.tolist() == moments
        assert pool.known.tolist() == [sum(state.values()) for state in states]
        for position, state in enumerate(states):
            assert sorted(pool.size[pool.alive(position)].tolist()) == sorted(state.values())
        recorded = trace.memory_events["allocated"][pool.rows]
        if pool.faults.totals:
            assert pool.total.tolist() == recorded.tolist()
        else:
            assert pool.before.tolist() == [lost[-1] - gone for gone in lost]
            assert pool.total.tolist() == (pool.before + pool.known).tolist()
