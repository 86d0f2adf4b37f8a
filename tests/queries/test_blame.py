"""Blame: what made a rank late, beside what the others did; and an independent account of where waiting goes."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etgraph.model import Trace
from etgraph.model.arrivals import arrivals
from etgraph.queries import Stragglers, stragglers
from etgraph.queries.blame import lateness
from etgraph.queries.rendezvous import previous_rendezvous, rendezvous
from etgraph.queries.windows import windows_of
from support.build import build
from support.lateness import by_rank, cause, found, one


def test_the_cause_is_the_path_to_the_late_operator() -> None:
    trace = build("""
        rank 0 | stream 7 | all_reduce 4MB        5000..50000
        rank 1 | thread 1 | cudaLaunchKernel         0..10000   -> gemm
        rank 1 | thread 1 | cudaLaunchKernel     10000..20000   -> meet
        rank 1 | stream 7 | gemm                 12000..30000
        rank 1 | stream 7 | meet: all_reduce 4MB 31000..50000
    """)
    assert [(row.category, row.detail, row.name, row.ns) for row in one(trace).cause] == [
        ("computation", "kernel", "gemm", 18000),
        ("cpu", "runtime-call", "cudaLaunchKernel", 10000),
        ("launch", "latency", None, 2000),
        ("idle", "dependency-latency", None, 1000),
    ]


def test_a_late_launch_shows_in_the_cause() -> None:
    trace = build("""
        rank 0 | stream 7 | all_reduce 4MB        5000..60000
        rank 1 | thread 1 | aten::a                  0..30000
        rank 1 | thread 1 | cudaLaunchKernel     30000..40000   -> meet
        rank 1 | stream 7 | meet: all_reduce 4MB 42000..60000
    """)
    assert cause(one(trace)) == {"aten::a": (30000, 30000), "cudaLaunchKernel": (10000, 10000), "latency": (2000, 2000)}


def test_a_rank_that_enters_late_has_nothing_recorded_before() -> None:
    trace = build("""
        rank 0 | thread 1 | aten::a              0..10000
        rank 0 | thread 1 | gloo:all_reduce  10000..60000
        rank 1 | thread 1 | aten::a          40000..50000
        rank 1 | thread 1 | gloo:all_reduce  50000..60000
    """)
    met = one(trace)
    assert [(row.category, row.detail, row.ns, row.excess_ns) for row in met.cause] == [
        ("idle", "late-entry", 40000, 40000),
        ("computation", "cpu-kernel", 10000, 0),
    ]
    result = stragglers(trace)
    assert found(result) == {"late-entry": (1,)}
    assert result.patterns[0].evidence == "rank 1 enters 40.0 µs after the first"


CHAIN = """
    rank 0 | thread 1 | aten::a                   0..20000
    rank 0 | thread 1 | gloo:all_reduce       20000..130000
    rank 1 | thread 1 | aten::a                   0..10000
    rank 1 | thread 1 | gloo:all_gather       10000..110000
    rank 1 | thread 1 | aten::b              110000..120000
    rank 1 | thread 1 | gloo:all_reduce      120000..130000
    rank 2 | thread 1 | aten::slow                0..100000
    rank 2 | thread 1 | gloo:all_gather      100000..110000
"""


def test_a_straggler_behind_a_straggler() -> None:
    """Rank 0 waits for rank 1, which had waited for rank 2: of 100 µs, 80 go back to rank 2 and 10 to a transfer."""
    result = stragglers(build(CHAIN))
    gather, reduce = result.collectives
    assert (gather.type, gather.last_rank, gather.waited_ns, gather.inherited_ns) == ("ALL_GATHER", 2, 90000, 0)
    assert cause(gather) == {"aten::slow": (100000, 100000)}
    assert (reduce.last_rank, reduce.waited_ns) == (1, 100000)
    assert cause(reduce) == {"aten::b": (10000, None)}  # rank 0 comes from its entry, and not from a rendezvous
    assert (reduce.inherited_ns, reduce.behind) == (90000, gather.index)
    assert (gather.blamed_ns, reduce.blamed_ns) == (90000 + 80000, 10000)
    assert by_rank(result) == {0: (0, 0), 1: (1, 100000), 2: (1, 90000)}
    assert [row.blamed_ns for row in result.by_rank] == [0, 10000, 170000]
    behind = next(row for row in result.patterns if row.pattern == "behind-another")
    assert behind.wait_ns == 80000
    assert result.trust.explained_share == pytest.approx(1.0)


def test_a_message_that_the_late_rank_waited_for_is_its_previous_rendezvous() -> None:
    trace = build("""
        rank 0 | stream 7 | all_reduce 4MB           10000..90000
        rank 2 | stream 7 | send: ncclSend           50000..60000  -COMM-> take
        rank 1 | stream 7 | take: ncclRecv           20000..60000
        rank 1 | stream 7 | gemm                     60000..80000
        rank 1 | stream 7 | all_reduce 4MB           80000..90000
    """)
    message, met = stragglers(trace).collectives
    assert (message.type, message.last_rank, met.last_rank, met.behind) == ("SEND", 2, 1, message.index)
    assert cause(met) == {"gemm": (20000, None)}
    assert cause(message) == {"late-entry": (30000, None)}  # its receiver does other work: there is no comparison
    assert (met.waited_ns, met.inherited_ns, message.blamed_ns) == (70000, 50000, 30000 + 40000)


def test_a_rendezvous_with_ranks_that_are_not_recorded_is_a_previous_one_and_nobody_is_blamed_for_it() -> None:
    trace = build("""
        rank 0 | thread 1 | aten::a                   0..20000
        rank 0 | thread 1 | gloo:all_reduce       20000..130000
        rank 1 | thread 1 | gloo:all_gather       10000..110000
        rank 1 | thread 1 | aten::b              110000..120000
        rank 1 | thread 1 | gloo:all_reduce      120000..130000
    """)
    result = stragglers(trace)
    (met,) = result.collectives
    assert cause(met) == {"aten::b": (10000, None)}
    assert (met.waited_ns, met.inherited_ns, met.behind, met.blamed_ns) == (100000, 90000, None, 10000)
    assert result.trust.explained_share == pytest.approx(0.1)
    assert result.trust.unmatched_collectives == 1


def test_the_excess_is_beyond_the_median_of_the_others() -> None:
    others = "\n".join(
        f"""
        rank {rank} | stream 7 | all_reduce_0  0..10000
        rank {rank} | stream 7 | gemm      10000..{10000 + length}
        rank {rank} | stream 7 | all_reduce_1  {10000 + length}..100000
        """
        for rank, length in enumerate((20000, 25000, 32000, 40000, 80000))
    )
    last = stragglers(build(others)).collectives[-1]
    assert last.last_rank == 4
    assert cause(last) == {"gemm": (80000, 80000 - 28500)}  # between 25 and 32


@pytest.mark.parametrize("ranks", [8, 20])
def test_of_many_others_some_are_looked_at(ranks: int) -> None:
    lines = [f"rank {r} | thread 1 | aten::a 0..{20000 + r * 100}\n" for r in range(ranks)]
    meet = [f"rank {r} | thread 1 | gloo:all_reduce {20000 + r * 100}..90000\n" for r in range(ranks - 1)]
    late = f"""
        rank {ranks - 1} | thread 1 | aten::b          22000..80000
        rank {ranks - 1} | thread 1 | gloo:all_reduce  80000..90000
    """
    lines[-1] = f"rank {ranks - 1} | thread 1 | aten::a 0..22000\n"
    met = one(build("".join([*lines, *meet, late])))
    median = 20000 + (ranks - 2) * 50
    assert cause(met) == {"aten::b": (58000, 58000), "aten::a": (22000, 22000 - median)}


def test_late_entry_counts_from_the_first_of_all_members() -> None:
    """Rank 1 enters first, and is not among the seven that are looked at."""
    entries = {rank: 0 if rank == 1 else 40000 if rank == 19 else 10000 for rank in range(20)}
    met = one(build("\n".join(f"rank {r} | thread 1 | gloo:all_reduce {t}..90000" for r, t in entries.items())))
    assert cause(met) == {"late-entry": (40000, 30000)}


QUEUED = """
    rank 0 | thread 1 | aten::fast            0..20000
    rank 0 | thread 1 | c10d::x           20000..21000  -SPAWN-> r00
    rank 0 | thread 1 | aten::back        21000..41000
    rank 0 | thread 1 | c10d::y           41000..42000  -SPAWN-> r01
    rank 0 | thread 2 | r00: gloo:all_reduce_0   21000..110000
    rank 0 | thread 2 | r01: gloo:all_reduce_1  110000..140000
    rank 1 | thread 1 | aten::slow            0..100000
    rank 1 | thread 1 | c10d::x          100000..101000  -SPAWN-> r10
    rank 1 | thread 1 | aten::back       101000..{back}000
    rank 1 | thread 1 | c10d::y          {back}000..{back}500  -SPAWN-> r11
    rank 1 | thread 2 | r10: gloo:all_reduce_0  101000..110000
    rank 1 | thread 2 | r11: gloo:all_reduce_1  {back}500..140000
"""


def queued(back: int) -> Stragglers:
    names = QUEUED.format(back=back)
    trace = build(names)
    codes = {text: code for code, text in enumerate(trace.operators.texts("name").to_pylist())}
    merged = [text.rstrip("01").rstrip("_") if text.startswith("gloo") else text for text in codes]
    return stragglers(replace(trace, operators=trace.operators.replace({}, {"name": merged})))


def test_an_operator_that_queued_is_compared_from_one_issue_to_the_next() -> None:
    """Rank 0 did its part before: after its previous rendezvous ended it had nothing left to do."""
    _, second = queued(back=131).collectives
    assert second.last_rank == 1
    assert cause(second)["aten::back"] == (21000, 21000 - 20000)  # since 110 µs; the other one took 20 µs for it


def test_who_does_the_same_as_the_others_was_late_before() -> None:
    first, second = queued(back=121).collectives
    assert cause(first)["aten::slow"] == (100000, 100000)
    assert (second.waited_ns, second.inherited_ns) == (11500, 0)
    assert second.blamed_ns == 0
    assert first.blamed_ns == first.waited_ns + second.waited_ns


@st.composite
def programs(draw: st.DrawFn) -> Trace:
    """Ranks that work and meet in groups of two or more; everybody leaves a rendezvous together."""
    ranks, lines = draw(st.integers(2, 4)), []
    free = [draw(st.integers(0, 5)) for _ in range(ranks)]
    for rank in range(ranks):
        lines.append(f"rank {rank} | thread 9 | aten::entry {free[rank]}..{free[rank]}")
    for number in range(draw(st.integers(1, 6))):
        members = draw(st.lists(st.integers(0, ranks - 1), min_size=2, max_size=ranks, unique=True))
        starts = {rank: free[rank] + draw(st.integers(0, 12)) for rank in members}
        end = max(starts.values()) + draw(st.integers(1, 4))
        for rank, start in starts.items():
            lines.append(f"rank {rank} | thread 1 | gloo:all_reduce_{number} {start}..{end}")
            free[rank] = end
    return build("\n".join(lines))


@settings(max_examples=80)
@given(programs())
def test_every_nanosecond_of_waiting_goes_back_to_one_path_or_transfer(trace: Trace) -> None:
    """Nanosecond by nanosecond: whoever waits looks at the late rank; one that was held itself, at who held it."""
    met = rendezvous(trace, windows_of(trace, None, None, "annotation"), arrivals(trace))
    late = lateness(trace, met)
    blamed, queued = np.zeros(len(met), dtype=int), np.zeros(len(met), dtype=int)
    start, end = trace.operators["start_ns"], trace.end_ns
    for k in range(len(met)):
        for member in range(met.offsets[k], met.offsets[k + 1]):
            for moment in range(start[met.row[member]], met.last_ns[k]):
                at = k
                while True:
                    before = int(previous_rendezvous(trace, met.row[met.late[at]][None])[0])
                    if before < 0 or moment >= end[before]:
                        blamed[at] += 1
                        break
                    at = int(np.searchsorted(met.offsets, np.flatnonzero(met.row == before)[0], side="right")) - 1
                    if moment >= met.last_ns[at]:
                        queued[k] += 1
                        break
    assert late.blamed_ns.tolist() == blamed.tolist()
    assert late.queued_ns.tolist() == queued.tolist()
    assert int(met.wait_ns.sum()) == blamed.sum() + queued.sum()


@settings(max_examples=30)
@given(programs())
def test_totals_agree_and_causes_cover_the_way(trace: Trace) -> None:
    result = stragglers(trace, explain="all")
    total = sum(met.waited_ns for met in result.collectives)
    assert result.wait_ns == total == sum(row.wait_caused_ns for row in result.by_rank)
    assert total == sum(row.wait_ns for row in result.by_rank)
    assert sum(met.blamed_ns for met in result.collectives) <= total + len(result.collectives)
    assert [a.last_ns <= b.last_ns for a, b in pairwise(result.collectives)].count(False) == 0
    entries = {one.rank: one.start_ns for one in windows_of(trace, None, None, "annotation")}
    for met in result.collectives:
        if met.cause:
            (row,) = (row for row in met.wait_ns if row.rank == met.last_rank)
            late = next(m for m in range(len(trace)) if trace.operators["rank"][m] == met.last_rank
                        and trace.operators["collective"][m] == met.index)  # fmt: skip
            before = previous_rendezvous(trace, np.array([late]))[0]
            since = trace.end_ns[before] if before >= 0 else min(entries[rank] for rank in met.ranks)
            assert sum(part.ns for part in met.cause) == row.start_ns - since
