"""Collectives over all ranks: who meets, by number, by order, by times; each rule with its exception."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etgraph.ingest.communication.gather import Operators, _anchored, by_order
from etgraph.ingest.communication.matching import match
from etgraph.model import CommType, NodeType, Trace
from support.meetings import draft_of, matched, meetings


def counts(trace: Trace) -> dict[str, int]:
    """The report's counts of what was and was not matched."""
    return {name: n for name, n in trace.metadata.report.counts.items() if name != "collectivesByOrder"}


def test_the_kth_of_each_rank_is_one() -> None:
    trace = matched(
        """
        rank 0 | stream 7 | all_reduce@0 4MB  10..50
        rank 1 | stream 7 | all_reduce@0 4MB  30..50
        rank 0 | stream 7 | all_reduce@0 4MB  60..90
        rank 1 | stream 7 | all_reduce@0 4MB  80..90
        """,
        {"0": [0, 1]},
    )
    assert meetings(trace) == [[(0, 0), (1, 0)], [(0, 1), (1, 1)]]
    assert trace.collectives.row(0) == {
        "type": CommType.ALL_REDUCE, "group": 0, "bytes": 4 << 20, "size": 2, "sequence": None
    }  # fmt: skip
    report = trace.metadata.report
    assert (report.collectives_matched, report.collectives_unmatched) == (2, 0)
    assert not report.warnings


def test_types_and_sizes_are_told_apart() -> None:
    """Two streams run in another order on the second rank; what they do decides."""
    trace = matched(
        """
        rank 0 | stream 7 | all_reduce@0 4MB  10..90
        rank 0 | stream 8 | all_reduce@0 8MB  20..90
        rank 0 | stream 9 | all_gather@0 4MB  30..90
        rank 1 | stream 9 | all_gather@0 4MB  10..90
        rank 1 | stream 8 | all_reduce@0 8MB  20..90
        rank 1 | stream 7 | all_reduce@0 4MB  30..90
        """,
        {"0": [0, 1]},
    )
    assert sorted(meetings(trace)) == [[(0, 0), (1, 2)], [(0, 1), (1, 1)], [(0, 2), (1, 0)]]


def test_what_a_rank_gives_to_an_all_to_all_is_its_own() -> None:
    trace = matched(
        """
        rank 0 | stream 7 | all_to_all@0 4KB  10..50
        rank 1 | stream 7 | all_to_all@0 6KB  30..50
        """,
        {"0": [0, 1]},
    )
    assert meetings(trace) == [[(0, 0), (1, 0)]]
    assert trace.collectives.value("bytes", 0) == 6 << 10


def test_numbers_go_before_order() -> None:
    """The second rank's recording begins one collective later, which its times alone would not show."""
    trace = matched(
        """
        rank 0 | stream 7 | all_reduce@0!4 4MB  10..50
        rank 0 | stream 7 | all_reduce@0!5 4MB  51..90
        rank 1 | stream 7 | all_reduce@0!5 4MB  49..90
        """,
        {"0": [0, 1]},
    )
    assert meetings(trace) == [[(0, 1), (1, 0)]]
    assert trace.collectives.value("sequence", 0) == 5
    assert counts(trace) == {"collectivesBySequence": 1, "unmatchedByNumber": 1}


def test_equal_numbers_of_different_types_are_no_meeting() -> None:
    trace = matched(
        """
        rank 0 | stream 7 | all_reduce@0!4 4MB  10..50
        rank 1 | stream 7 | all_gather@0!4 4MB  10..50
        """,
        {"0": [0, 1]},
    )
    assert not len(trace.collectives)
    assert counts(trace) == {"unmatchedAgainstTime": 2}


def test_nobody_leaves_before_the_last_has_come() -> None:
    trace = matched(
        """
        rank 0 | stream 7 | all_reduce@0 4MB  10000..20000
        rank 1 | stream 7 | all_reduce@0 4MB  23000..30000
        """,
        {"0": [0, 1]},
    )
    assert not len(trace.collectives)
    assert counts(trace) == {"unmatchedAgainstTime": 2}
    assert "a member would end before the last one starts" in trace.metadata.report.warnings[0]


def test_clocks_of_one_host_may_differ_by_two_microseconds() -> None:
    trace = matched(
        """
        rank 0 | stream 7 | all_reduce@0 4MB  10000..20000
        rank 1 | stream 7 | all_reduce@0 4MB  22000..30000
        """,
        {"0": [0, 1]},
    )
    assert len(trace.collectives) == 1


LOST_AT_THE_BEGINNING = """
    rank 0 | stream 7 | all_reduce@0 4MB  100000..150000
    rank 0 | stream 7 | all_reduce@0 4MB  200000..250000
    rank 0 | stream 7 | all_reduce@0 4MB  300000..350000
    rank 1 | stream 7 | all_reduce@0 4MB  220000..250000
    rank 1 | stream 7 | all_reduce@0 4MB  310000..350000
"""


def test_operators_lost_at_the_beginning_shift_nothing() -> None:
    """Each of the later ones overlaps one operator of the other rank, and only one."""
    trace = matched(LOST_AT_THE_BEGINNING, {"0": [0, 1]})
    assert meetings(trace) == [[(0, 1), (1, 0)], [(0, 2), (1, 1)]]
    assert counts(trace) == {"unmatchedByNumber": 1}


def test_without_times_different_numbers_tell_nothing() -> None:
    trace = matched(LOST_AT_THE_BEGINNING, {"0": [0, 1]}, timed=False)
    assert not len(trace.collectives)
    assert counts(trace) == {"unmatchedByNumber": 5}


def test_back_to_back_operators_are_matched_between_two_that_are_certain() -> None:
    """The two in the middle overlap each other's neighbours within the tolerance; each rank has two of them."""
    lines = ["rank 0 | stream 7 | all_reduce@0 4MB  10000..20000"]
    for rank in (0, 1):
        for start, end in ((100_000, 150_000), (200_000, 240_000), (240_500, 260_000), (400_000, 450_000)):
            lines.append(f"rank {rank} | stream 7 | all_reduce@0 4MB  {start}..{end}")
    trace = matched("\n".join(lines), {"0": [0, 1]})
    assert meetings(trace) == [[(0, k + 1), (1, k)] for k in range(4)]


def test_back_to_back_operators_of_which_one_is_lost_stay_apart() -> None:
    trace = matched(
        """
        rank 0 | stream 7 | all_reduce@0 4MB  200000..240000
        rank 0 | stream 7 | all_reduce@0 4MB  240500..260000
        rank 0 | stream 7 | all_reduce@0 4MB  400000..450000
        rank 1 | stream 7 | all_reduce@0 4MB  239500..260000
        rank 1 | stream 7 | all_reduce@0 4MB  410000..450000
        """,
        {"0": [0, 1]},
    )
    assert meetings(trace) == [[(0, 2), (1, 1)]]
    assert counts(trace) == {"unmatchedByNumber": 3}


def test_an_operator_that_overlaps_two_of_another_rank_is_not_certain() -> None:
    """Rank 2's overlaps both of rank 0's, though only one of rank 1's."""
    trace = matched(
        """
        rank 0 | stream 7 | all_reduce@0 4MB  100000..150000
        rank 0 | stream 7 | all_reduce@0 4MB  160000..200000
        rank 1 | stream 7 | all_reduce@0 4MB  100000..130000
        rank 1 | stream 7 | all_reduce@0 4MB  160000..200000
        rank 2 | stream 7 | all_reduce@0 4MB  145000..200000
        """,
        {"0": [0, 1, 2]},
    )
    assert not len(trace.collectives)
    assert counts(trace) == {"unmatchedByNumber": 5}


def communicating(text: str, name: str, *, timed: bool) -> Trace:
    """The matched trace of the text, in which the host operator of that name communicates too, in the same group."""
    draft = draft_of(text, {"0": [0]}, timed=timed)
    o = draft.trace.operators
    its = np.array([o.value("name", row) == name for row in range(len(o))])
    kinds = np.where(its, int(NodeType.COMM_COLL), o["kind"])
    types = np.where(its, int(CommType.ALL_REDUCE), o["comm_type"])
    return match(draft.with_operators({"kind": kinds, "comm_type": types, "group": np.where(its, 0, o["group"])})).trace


def test_of_a_call_and_what_it_encloses_one_meets() -> None:
    text = """
        rank 0 | thread 1 | record_param_comms      0..90
        rank 0 | thread 1 | gloo:all_reduce@0 4MB  10..80
    """
    assert communicating(text, "record_param_comms", timed=False).operators["collective"].tolist() == [-1, 0]


def test_operators_that_seem_to_lie_in_one_of_gloos_meet_as_well() -> None:
    """Execution traces write what follows an asynchronous operator of gloo's as its child."""
    text = """
        rank 0 | thread 1 | gloo:all_reduce@0 4MB   0..90
        rank 0 | thread 1 | gloo:all_reduce@0 4MB  10..80
    """
    assert matched(text, {"0": [0]}, timed=False).operators["collective"].tolist() == [0, 1]


def test_a_timed_call_that_only_issues_meets_nobody() -> None:
    trace = communicating("rank 0 | thread 1 | record_param_comms  0..90", "record_param_comms", timed=True)
    assert not len(trace.collectives)
    assert trace.metadata.report.counts == {"callsWithoutKernel": 1}


def test_missing_ranks_leave_what_is_there() -> None:
    trace = matched(
        """
        rank 0 | stream 7 | all_reduce@0 4MB   10..50
        rank 2 | stream 7 | all_reduce@0 4MB   30..50
        rank 0 | stream 7 | all_reduce@tp 4MB  60..70
        """,
        {"0": [0, 1, 2], "tp": [0, 1]},
        world_size=3,
    )
    assert meetings(trace) == [[(0, 0), (2, 0)]]
    assert trace.collectives.value("size", 0) == 3
    assert counts(trace) == {"collectivesWithMissingRanks": 1, "unmatchedAlone": 1}
    assert any("without all members" in w for w in trace.metadata.report.warnings)


def test_a_group_of_one_meets_itself() -> None:
    trace = matched("rank 0 | stream 7 | all_reduce@self 4MB  10..50", {"self": [0]})
    assert meetings(trace) == [[(0, 0)]]
    assert trace.metadata.report.collectives_unmatched == 0


def test_one_name_of_two_groups() -> None:
    """Programs that make their groups apart call the first of each alike."""
    lines = [f"rank {r} | stream 7 | all_reduce@{'a' if r < 2 else 'b'} 4MB  {10 + r}..50" for r in range(4)]
    trace = matched("\n".join(lines), {"a": [0, 1], "b": [2, 3]})
    assert meetings(trace) == [[(0, 0), (1, 0)], [(2, 0), (3, 0)]]


def test_a_group_of_unknown_members_is_that_of_the_ranks_that_name_it() -> None:
    lines = [f"rank {r} | stream 7 | all_reduce@pp 4MB  {10 + r}..50" for r in (0, 2)]
    trace = matched("\n".join([*lines, "rank 1 | stream 7 | add  10..20"]), {"pp": []})
    assert meetings(trace) == [[(0, 0), (2, 0)]]
    assert trace.collectives.value("size", 0) is None


def test_a_type_that_is_not_recorded() -> None:
    text = "rank 0 | stream 7 | all_reduce@0 4MB  10..50\nrank 1 | stream 7 | all_reduce@0 4MB  10..50"
    draft = draft_of(text, {"0": [0, 1]})
    silent = draft.with_operators({"comm_type": np.full(2, -(2**31))})
    trace = match(silent).trace
    assert counts(trace) == {"unmatchedOfUnknownType": 2}


@pytest.mark.parametrize("format", ["chakra", "pytorch-et"])
def test_operators_without_a_group_are_of_all_ranks_in_chakra_only(format: str) -> None:
    text = "\n".join(f"rank {r} | stream 7 | all_reduce 4MB  10..50" for r in range(4))
    trace = matched(text, world_size=4, format=format, timed=False)
    assert len(trace.collectives) == (format == "chakra")
    assert not len(trace.process_groups)


def test_ranks_that_would_wait_in_a_circle_are_not_matched() -> None:
    """Without times nothing else contradicts it: each rank comes to the other's last collective first."""
    trace = matched(
        """
        rank 0 | stream 7 | all_reduce@0 4MB  10..20
        rank 0 | stream 7 | all_gather@0 4MB  30..40
        rank 1 | stream 7 | all_gather@0 4MB  10..20
        rank 1 | stream 7 | all_reduce@0 4MB  30..40
        """,
        {"0": [0, 1]},
        timed=False,
    )
    assert not len(trace.collectives)
    assert counts(trace) == {"unmatchedInCycles": 4}
    trace.validate()


@st.composite
def sequences(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Operators of two to four ranks, each rank's one after another: where each rank begins, starts and ends."""
    first, starts, ends = [0], [], []
    for _ in range(draw(st.integers(2, 4))):
        now = draw(st.integers(0, 20))
        for _ in range(draw(st.integers(1, 8))):
            now += draw(st.integers(0, 12))
            starts.append(now)
            now += draw(st.integers(0, 12))
            ends.append(now)
        first.append(len(starts))
    return np.array(first), np.array(starts), np.array(ends)


@given(sequences(), st.sampled_from([0, 2]))
def test_sets_of_unequal_ranks_are_sets(drawn: tuple[np.ndarray, np.ndarray, np.ndarray], tolerance: int) -> None:
    """One of each rank, in the order of each rank, and none against the times."""
    first, start, end = drawn
    found = _anchored(first, start, end, np.zeros(len(start), dtype=bool), tolerance)
    rank = np.searchsorted(first, np.arange(len(start)), side="right") - 1
    for number in range(found.max() + 1):
        members = np.flatnonzero(found == number)
        assert rank[members].tolist() == list(range(len(first) - 1))
        assert start[members].max() <= end[members].min() + tolerance
    for r in range(len(first) - 1):
        own = found[first[r] : first[r + 1]]
        assert (np.diff(own[own >= 0]) > 0).all()


def test_compiled_and_plain_code_find_the_same() -> None:
    rng = np.random.default_rng(7)
    for _ in range(20):
        first = np.concatenate([[0], np.cumsum(rng.integers(1, 30, size=3))])
        start = np.concatenate([np.sort(rng.integers(0, 2_000, size=n)) for n in np.diff(first)])
        end = start + rng.integers(1, 60, size=len(start))
        start, end = 1000 * start, 1000 * end
        for device in (np.zeros(len(start), dtype=bool), rng.random(len(start)) < 0.8):
            plain = _anchored.python(first, start, end, device, 2_000)
            assert np.array_equal(_anchored.compiled(first, start, end, device, 2_000), plain)


LEFT_APART = """
    rank 0 | {lane} | {name}{number} 4MB        0..100000
    rank 1 | {lane} | {name}{number} 4MB    50000..400000
"""


def test_members_on_devices_leave_together() -> None:
    """By order; gloo's leave a collective when they have what they need."""
    trace = matched(LEFT_APART.format(lane="stream 7", name="all_reduce", number="@0"), {"0": [0, 1]})
    assert not len(trace.collectives)
    assert counts(trace) == {"unmatchedAgainstTime": 2}
    trace = matched(LEFT_APART.format(lane="thread 7", name="gloo:all_reduce", number="@0"), {"0": [0, 1]})
    assert len(trace.collectives) == 1


def test_numbers_that_agree_are_believed_although_members_end_apart() -> None:
    """Clocks of devices may differ; nobody ends before the last has come."""
    text = LEFT_APART.format(lane="stream 7", name="all_reduce", number="@0!4")
    trace = matched(text, {"0": [0, 1]})
    assert len(trace.collectives) == 1
    assert trace.metadata.report.counts["collectivesEndingApart"] == 1
    assert any("do not end together" in warning for warning in trace.metadata.report.warnings)
    late = matched(text.replace("50000..", "150000.."), {"0": [0, 1]})
    assert not len(late.collectives)
    assert counts(late) == {"unmatchedAgainstTime": 2}


def test_recordings_that_begin_and_end_at_different_times_yield_true_sets_only() -> None:
    """The members of generated collectives end within 2 µs; ranks lose some at the beginning and at the end."""
    sets = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        ranks, count = int(rng.integers(2, 5)), int(rng.integers(1, 12))
        now, rows = np.zeros(ranks), []
        lost = rng.integers(0, 3, size=(ranks, 2))
        for turn in range(count):
            came = now + rng.choice([1, 5, 50, 300], size=ranks) * rng.random(ranks)
            now = came.max() + 1 + 300 * rng.random() + 2 * rng.random(ranks)
            rows += [
                (rank, int(1000 * came[rank]), int(1000 * now[rank]), turn)
                for rank in range(ranks)
                if lost[rank, 0] <= turn < count - lost[rank, 1]
            ]
        if not rows:
            continue
        rank, start, end, turn = np.array(sorted(rows)).T
        every = np.ones(len(rank), dtype=bool)
        ops = Operators(np.zeros(len(rank), dtype=np.int64), rank, start, end, every, every)
        found, _ = by_order(ops, np.array([ranks]), 2_000)
        for number in np.unique(found[found >= 0]):
            assert len(np.unique(turn[found == number])) == 1
            sets += 1
    assert sets > 100


def test_operators_with_and_without_times_do_not_meet() -> None:
    """Host and device files of one rank need not cover the same time."""
    draft = draft_of(
        """
        rank 0 | stream 7 | all_reduce@0 4MB  10..20
        rank 0 | stream 7 | all_reduce@0 4MB  30..50
        rank 1 | stream 7 | all_reduce@0 4MB  40..50
        """,
        {"0": [0, 1]},
    )
    start = draft.trace.operators["start_ns"].copy()
    start[0] = -(2**63)
    trace = match(draft.with_operators({"start_ns": start})).trace
    assert trace.operators["collective"].tolist() == [-1, 0, 0]
