"""Groups that no file names: told by who waits for whom, and left open where nothing tells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from etgraph.ingest.communication.candidates import _covers
from etgraph.ingest.communication.communicators import Communicators
from support.meetings import matched, meetings

BLOCKS = {"0": [0, 1, 2, 3], "1": [0, 1], "2": [2, 3], "3": [0, 2], "4": [1, 3]}


def rounds(cover: Sequence[Sequence[int]], count: int, *, early: int = 50_000, transfer: int = 5_000) -> str:
    """Collectives of groups that come at different times; in each round another rank of a group comes late."""
    lines = []
    for k in range(count):
        for number, group in enumerate(cover):
            last = 1_000_000 * (k + 1) + 300_000 * number
            for place, rank in enumerate(group):
                start = last if place == k % len(group) else last - early - 10 * place
                lines.append(f"rank {rank} | stream 7 | all_reduce 4MB  {start}..{last + transfer}")
    return "\n".join(lines)


def groups_of(text: str, declared: Mapping[str, Sequence[int]] | None = BLOCKS) -> set[tuple[int, ...]]:
    """The groups that the text's collectives were found to be of."""
    trace = matched(text, declared, world_size=4)
    return {trace.group_ranks[row] for row in trace.collectives["group"].tolist()}


@pytest.mark.parametrize(
    "cover", [[(0, 1), (2, 3)], [(0, 2), (1, 3)], [(0, 1, 2, 3)]], ids=["neighbours", "equal distances", "all"]
)
@pytest.mark.parametrize("declared", [BLOCKS, None], ids=["declared", "not declared"])
def test_the_group_is_the_one_whose_members_wait(
    cover: list[tuple[int, ...]], declared: Mapping[str, Sequence[int]] | None
) -> None:
    assert groups_of(rounds(cover, 6), declared) == set(cover)


def test_groups_that_are_found_are_named_by_their_ranks() -> None:
    trace = matched(rounds([(0, 2), (1, 3)], 6), world_size=4)
    assert [trace.process_groups.value("name", row) for row in range(2)] == ["ranks 0,2", "ranks 1,3"]
    assert trace.operators["group"].tolist() == trace.collectives["group"][trace.operators["collective"]].tolist()
    assert trace.metadata.report.counts["collectivesOfFoundGroups"] == 12


def test_all_ranks_that_come_together_may_be_of_several_groups() -> None:
    """Everyone arrives within the time of a transfer, so that smaller groups fit as well as the whole."""
    trace = matched(rounds([(0, 1, 2, 3)], 6, early=1_000), BLOCKS, world_size=4)
    assert not len(trace.collectives)
    assert trace.metadata.report.counts["unmatchedOfSeveralGroups"] == 24


def test_without_declared_groups_the_default_is_all_ranks() -> None:
    """Two sizes of two rounds each show together what neither shows by itself."""
    text = rounds([(0, 1, 2, 3)], 2)
    more = _later(rounds([(0, 1, 2, 3)], 2).replace("4MB", "8MB"), 10_000_000)
    assert not len(matched(text, world_size=4).collectives)
    trace = matched(text + "\n" + more, world_size=4)
    assert meetings(trace) == [[(r, k) for r in range(4)] for k in range(4)]
    assert trace.process_groups.value("name", 0) == "0"


def test_three_ranks_have_no_smaller_groups_that_cover_them() -> None:
    text = "\n".join(f"rank {rank} | stream 7 | all_reduce 4MB  10..50" for rank in range(3))
    assert meetings(matched(text, world_size=3)) == [[(0, 0), (1, 0), (2, 0)]]


def test_a_single_round_of_groups_of_two_shows_nothing() -> None:
    """One pair that overlaps does so by chance as well."""
    trace = matched(rounds([(0, 1), (2, 3)], 1), BLOCKS, world_size=4)
    assert not len(trace.collectives)


@pytest.mark.parametrize(("count", "found"), [(3, 0), (4, 4)])
def test_four_waits_show_a_group(count: int, found: int) -> None:
    assert len(matched(rounds([(0, 1)], count), BLOCKS, world_size=4).collectives) == found


def test_a_single_round_takes_the_groups_that_another_size_shows() -> None:
    text = rounds([(0, 1), (2, 3)], 6)
    more = rounds([(0, 1), (2, 3)], 1).replace("4MB", "8MB")
    trace = matched(text + "\n" + _later(more, 10_000_000), BLOCKS, world_size=4)
    assert len(trace.collectives) == 14


def _later(text: str, by: int) -> str:
    lines = []
    for line in text.splitlines():
        head, _, times = line.rpartition("  ")
        start, end = times.split("..")
        lines.append(f"{head}  {int(start) + by}..{int(end) + by}")
    return "\n".join(lines)


def test_one_size_in_groups_of_two_kinds_fits_none() -> None:
    text = rounds([(0, 1), (2, 3)], 6) + "\n" + _later(rounds([(0, 2), (1, 3)], 6), 20_000_000)
    trace = matched(text, BLOCKS, world_size=4)
    assert not len(trace.collectives)
    assert trace.metadata.report.counts["unmatchedWithoutGroup"] == 48


def test_members_on_devices_end_together() -> None:
    """Pairs that overlap, but of which one ends much later, are no pairs; on host threads that is usual."""
    lines = []
    for k in range(6):
        for rank in range(2):
            start = 1_000_000 * k + (40_000 if rank == k % 2 else 0)
            lines.append(f"rank {rank} | LANE | all_reduce 4MB  {start}..{1_000_000 * k + 45_000 + 400_000 * rank}")
    text = "\n".join(lines)
    assert not len(matched(text.replace("LANE", "stream 7"), world_size=2).collectives)
    host = text.replace("LANE", "thread 1").replace("all_reduce", "gloo:all_reduce")
    assert len(matched(host, world_size=2).collectives) == 6


def test_order_alone_shows_groups_where_messages_lead_through_them() -> None:
    """All four at once would need the second stage before the first has sent to it."""
    lines = []
    for rank in range(4):
        for k in range(3):
            work = 100 * k + (50 if rank < 2 else 70)
            lines.append(f"rank {rank} | thread 1 | gloo:all_reduce 4MB  {work}..{work + 5}")
            message = f"send>{rank + 2}#0" if rank < 2 else f"recv<{rank - 2}#0"
            at = 100 * k + 60
            lines.append(f"rank {rank} | thread 1 | {message} 4MB  {at}..{at + 5}")
    declared = {"0": [0, 1, 2, 3], "1": [0, 1], "2": [2, 3]}
    trace = matched("\n".join(lines), declared, world_size=4, timed=False)
    found = [[(r, 2 * k + (r > 1)) for r in pair] for pair in ((0, 1), (2, 3)) for k in range(3)]
    assert sorted(meetings(trace)) == found
    assert not len(matched("\n".join(x for x in lines if "gloo" in x), declared, timed=False).collectives)


def test_of_several_groups_that_fit_none_is_taken_because_others_use_it() -> None:
    more = _later(rounds([(0, 1, 2, 3)], 1, early=1_000).replace("4MB", "8MB"), 20_000_000)
    trace = matched(rounds([(0, 1, 2, 3)], 6) + "\n" + more, BLOCKS, world_size=4)
    assert len(trace.collectives) == 6
    assert trace.metadata.report.counts["unmatchedOfSeveralGroups"] == 4


def test_order_alone_is_not_believed_where_ranks_have_different_ones() -> None:
    lines = []
    for rank, types in ((0, ("all_reduce", "all_gather")), (1, ("all_gather", "all_reduce"))):
        for k in range(6):
            lines.append(f"rank {rank} | stream 7 | {types[k // 3]} 4MB  {10 * k}..{10 * k + 5}")
    trace = matched("\n".join(lines), {"0": [0, 1], "1": [0, 2]}, world_size=3, timed=False)
    assert trace.metadata.report.counts == {"unmatchedOfSeveralGroups": 12}


@pytest.mark.parametrize(("numbers", "found"), [((1, 2), 2), ((1, 1), 0)])
def test_numbers_that_occur_twice_are_of_several_groups(numbers: tuple[int, int], found: int) -> None:
    """Without times, names and declared groups, numbers show one group only where each occurs once."""
    lines = [
        f"rank {rank} | stream 7 | all_reduce!{number} 4MB  {10 * k}..{10 * k + 5}"
        for rank in range(2)
        for k, number in enumerate(numbers)
    ]
    assert len(matched("\n".join(lines), world_size=2, timed=False).collectives) == found


def test_ranks_of_any_number() -> None:
    """A damaged file may say that it is rank two billion; that costs no more than rank two."""
    text = rounds([(0, 1)], 6).replace("rank 1", "rank 2147483646")
    assert len(matched(text).collectives) == 6


def test_what_covers_are_is_worked_out_once_whatever_the_number_of_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    present = Communicators.present

    def counted(self: Communicators, number: int) -> tuple[int, ...]:
        asked.append(number)
        return present(self, number)

    monkeypatch.setattr(Communicators, "present", counted)
    cost = []
    for sizes in (1, 20):
        asked.clear()
        parts = [rounds([(0, 1), (2, 3)], 1).replace("4MB", f"{size + 1}KB") for size in range(sizes)]
        matched("\n".join(_later(part, 10_000_000 * n) for n, part in enumerate(parts)), BLOCKS, world_size=4)
        cost.append(len(asked))
    assert cost[1] <= cost[0] + 10


def test_which_covers_are_finer() -> None:
    """The pairs of neighbours lie within all ranks and within themselves; those at equal distances only in all."""
    every = [(0,), (1, 2), (3, 4)]
    numbers = [tuple(ranks) for ranks in BLOCKS.values()]
    sizes, world = [len(n) for n in numbers], (0, 1, 2, 3)
    c = Communicators(np.zeros(0, dtype=np.int64), list(range(5)), numbers, sizes, world, world, True)
    assert _covers(c, every).finer.tolist() == [[True, True, True], [False, True, False], [False, False, True]]
