"""Clocks of several hosts: told by collectives on devices, which end together; never by those on host threads."""

from __future__ import annotations

import numpy as np
import pytest

from support.meetings import matched

HOSTS = ["a", "b"]
GROUP = {"0": [0, 1]}


def rounds(offset: int, *, lane: str = "stream 7", jitter: int = 0, count: int = 6) -> str:
    """Collectives of two ranks of which the second's clock is ahead by the offset; the ranks come late in turn."""
    lines = []
    for k in range(count):
        last = 1_000_000 * (k + 1)
        for rank in range(2):
            start = last - (300_000 if rank == k % 2 else 0)
            end = last + 50_000 + (jitter * (k % 3) if rank else 0)
            name = "gloo:all_reduce" if lane.startswith("thread") else "all_reduce"
            shift = offset * rank
            lines.append(f"rank {rank} | {lane} | {name}@0 4MB  {start + shift}..{end + shift}")
    return "\n".join(lines)


@pytest.mark.parametrize("offset", [40_000_000, -700_000, 12_000])
def test_times_are_moved_to_the_lowest_ranks_clock(offset: int) -> None:
    trace = matched(rounds(offset), GROUP, hosts=HOSTS)
    assert len(trace.collectives) == 6
    assert trace.metadata.clock_offsets_ns == {0: 0, 1: -offset}
    same = matched(rounds(0), GROUP, hosts=HOSTS)
    assert np.array_equal(trace.operators["start_ns"], same.operators["start_ns"])
    assert "times were moved" in " ".join(trace.metadata.report.warnings)


def test_an_offset_within_its_uncertainty_is_left() -> None:
    trace = matched(rounds(1_500), GROUP, hosts=HOSTS)
    assert trace.metadata.clock_offsets_ns == {0: 0, 1: 0}
    assert not trace.metadata.report.warnings


def test_ends_that_scatter_make_an_offset_unsure() -> None:
    trace = matched(rounds(12_000, jitter=9_000), GROUP, hosts=HOSTS)
    assert trace.metadata.clock_offsets_ns == {0: 0, 1: 0}


def test_ranks_of_one_host_share_its_clock() -> None:
    """What looks like an offset of theirs is the collective's own."""
    trace = matched(rounds(12_000), GROUP, hosts=["a", "a"])
    assert trace.metadata.clock_offsets_ns == {0: 0, 1: 0}


@pytest.mark.parametrize("host", [{}, {"name": "a"}, ["a"], 7, None, ""])
def test_a_host_without_a_name_is_none(host: object) -> None:
    trace = matched(rounds(12_000), GROUP, hosts=[host, host])
    assert trace.metadata.clock_offsets_ns == {0: 0, 1: -12_000}


def test_host_threads_tell_nothing_of_clocks() -> None:
    """Those of different hosts are then matched by order alone, and the report says so."""
    trace = matched(rounds(40_000_000, lane="thread 1"), GROUP, hosts=HOSTS)
    assert trace.metadata.clock_offsets_ns == {0: 0, 1: 0}
    assert len(trace.collectives) == 6
    assert any("cannot be compared" in w for w in trace.metadata.report.warnings)


def test_two_collectives_are_too_few() -> None:
    trace = matched(rounds(40_000_000, count=2), GROUP, hosts=HOSTS)
    assert trace.metadata.clock_offsets_ns == {0: 0, 1: 0}


def test_offsets_are_passed_on_from_group_to_group() -> None:
    """Rank 2 meets rank 1 only, and rank 1 meets rank 0."""
    first = rounds(5_000_000)
    second = rounds(3_000_000).replace("rank 1", "rank 2").replace("rank 0", "rank 1").replace("@0", "@1")
    moved = []
    for line in second.splitlines():
        head, _, times = line.rpartition("  ")
        start, end = (int(t) + 5_000_000 + 400_000 for t in times.split(".."))
        moved.append(f"{head}  {start}..{end}")
    trace = matched(first + "\n" + "\n".join(moved), {"0": [0, 1], "1": [1, 2]}, hosts=["a", "b", "c"])
    assert trace.metadata.clock_offsets_ns == {0: 0, 1: -5_000_000, 2: -8_000_000}
