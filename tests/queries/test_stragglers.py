"""Stragglers: known answers on small traces, an independent account of blame, and the real runs."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etgraph.ingest import read, samples
from etgraph.model import TABLES, Columns, Trace
from etgraph.model.errors import MissingData, UsageError
from etgraph.model.results import to_json
from etgraph.queries import Stragglers, stragglers
from etgraph.queries.blame import lateness
from etgraph.queries.rendezvous import previous_rendezvous, rendezvous
from etgraph.queries.stragglers import LateRendezvous
from etgraph.queries.windows import windows_of
from support.build import build


def one(trace: Trace, **question: Any) -> LateRendezvous:
    """The only rendezvous."""
    (found,) = stragglers(trace, **question).collectives
    return found


def waits(met: LateRendezvous) -> dict[int, int]:
    return {member.rank: member.ns for member in met.wait_ns}


def cause(met: LateRendezvous) -> dict[str, tuple[int, int | None]]:
    """What the late rank did: name, or detail in pauses, with its time and what of it is more than the others'."""
    return {row.name or row.detail: (row.ns, row.excess_ns) for row in met.cause}


def by_rank(result: Stragglers) -> dict[int, tuple[int, int]]:
    return {row.rank: (row.times_last, row.wait_caused_ns) for row in result.by_rank}


def found(result: Stragglers) -> dict[str, tuple[int, ...]]:
    return {row.pattern: row.ranks for row in result.patterns}


# Who was late


def test_the_last_rank_does_not_wait_and_is_charged() -> None:
    trace = build("""
        rank 0 | stream 7 | all_reduce 4MB  10000..50000
        rank 1 | stream 7 | all_reduce 4MB  30000..52000
    """)
    met = one(trace)
    assert (met.type, met.bytes, met.ranks, met.last_rank, met.last_ns) == ("ALL_REDUCE", 4 << 20, (0, 1), 1, 30000)
    assert waits(met) == {0: 20000, 1: 0}
    assert [member.start_ns for member in met.wait_ns] == [10000, 30000]
    assert (met.waited_ns, met.transfer_ns) == (20000, 22000)
    result = stragglers(trace)
    assert by_rank(result) == {0: (0, 0), 1: (1, 20000)}
    assert (result.wait_ns, result.communication_ns, result.judged) == (20000, 62000, 1)
    assert result.wait_share == pytest.approx(20 / 62)


def test_nobody_waits_longer_than_its_own_operator_takes() -> None:
    trace = build("""
        rank 0 | stream 7 | all_reduce 4MB  10000..15000
        rank 1 | stream 7 | all_reduce 4MB  30000..50000
    """)
    assert waits(one(trace)) == {0: 5000, 1: 0}


def test_those_who_come_together_last_share_the_charge() -> None:
    trace = build("""
        rank 0 | stream 7 | all_reduce 4MB  10000..50000
        rank 1 | stream 7 | all_reduce 4MB  30000..50000
        rank 2 | stream 7 | all_reduce 4MB  30001..50000
    """)
    assert one(trace).last_rank == 2
    assert by_rank(stragglers(trace)) == {0: (0, 0), 1: (1, 10001), 2: (1, 10001)}


def test_of_two_that_come_at_once_the_lower_rank_is_named() -> None:
    trace = build("""
        rank 0 | stream 7 | all_reduce 4MB  10000..50000
        rank 1 | stream 7 | all_reduce 4MB  30001..50000
        rank 2 | stream 7 | all_reduce 4MB  30001..50000
    """)
    assert one(trace).last_rank == 1
    assert by_rank(stragglers(trace)) == {0: (0, 0), 1: (1, 10001), 2: (1, 10000)}


def test_where_all_come_at_once_nobody_is_late() -> None:
    trace = build("""
        rank 0 | stream 7 | all_reduce 4MB  10000..50000
        rank 1 | stream 7 | all_reduce 4MB  10000..50000
    """)
    result = stragglers(trace)
    assert by_rank(result) == {0: (0, 0), 1: (0, 0)}
    assert result.patterns == ()
    assert result.summary == "Nobody waited at 1 rendezvous"


def test_a_member_that_is_not_recorded_may_have_been_the_last() -> None:
    trace = build("""
        rank 0 | stream 7 | all_reduce 4MB  10000..50000
        rank 1 | stream 7 | all_reduce 4MB  30000..50000
    """)
    result = stragglers(replace(trace, collectives=trace.collectives.replace({"size": [3]})))
    assert (result.collectives, result.judged, result.unjudged, result.wait_ns) == ((), 0, 1, 0)
    assert any("not judged" in warning for warning in result.trust.warnings)


def test_a_member_without_times_is_as_good_as_not_recorded() -> None:
    trace = build("""
        rank 0 | thread 1 | aten::a         0..10
        rank 0 | stream 7 | all_reduce 4MB  10000..50000
        rank 1 | stream 7 | all_reduce 4MB  30000..50000
        rank 1 | thread 1 | aten::a         0..10
    """)
    o = trace.operators
    durations = np.where((o["rank"] == 1) & (o["duration_ns"] > 10), -(2**63), o["duration_ns"])
    result = stragglers(replace(trace, operators=o.replace({"duration_ns": durations})))
    assert (result.judged, result.unjudged) == (0, 1)


MESSAGES = """
    rank 0 | stream 7 | send: ncclSend        0..10000  -COMM-> early
    rank 1 | stream 7 | early: ncclRecv    5000..12000
    rank 1 | stream 7 | late: ncclRecv    20000..50000
    rank 0 | stream 9 | gemm              10000..38000
    rank 0 | stream 9 | again: ncclSend   40000..50000  -COMM-> late
"""


def test_a_receiver_that_waits_for_its_sender_is_a_rendezvous_of_two() -> None:
    """The message that was under way before its receiver came is none: nobody waited."""
    met = one(build(MESSAGES))
    assert (met.index, met.type, met.ranks, met.last_rank, met.group) == (1, "SEND", (0, 1), 0, None)
    assert waits(met) == {0: 0, 1: 20000}
    assert met.transfer_ns == 10000
    assert cause(met)["gemm"] == (28000, None)  # its receiver does other work: there is no comparison
    assert found(stragglers(build(MESSAGES)))["message-order"] == (0,)


def test_only_the_rendezvous_of_a_rank() -> None:
    trace = build("""
        rank 0 | stream 7 | all_reduce 4MB      10000..50000
        rank 1 | stream 7 | all_reduce 4MB      30000..50000
        rank 1 | stream 7 | reduce_scatter 4MB  60000..90000
        rank 2 | stream 7 | reduce_scatter 4MB  70000..90000
    """)
    assert [met.ranks for met in stragglers(trace).collectives] == [(0, 1), (1, 2)]
    assert [met.ranks for met in stragglers(trace, rank=2).collectives] == [(1, 2)]
    assert set(by_rank(stragglers(trace, rank=2))) == {1, 2}


STEPS = """
    rank 0 | thread 1 | iteration ProfilerStep#3       0..50000
    rank 0 | thread 1 | gloo:all_reduce            10000..40000
    rank 0 | thread 1 | iteration ProfilerStep#4   50000..100000
    rank 0 | thread 1 | gloo:all_reduce            60000..90000
    rank 1 | thread 1 | iteration ProfilerStep#3       0..50000
    rank 1 | thread 1 | gloo:all_reduce            30000..40000
    rank 1 | thread 1 | iteration ProfilerStep#4   50000..100000
    rank 1 | thread 1 | aten::mm                   55000..70000
    rank 1 | thread 1 | gloo:all_reduce            70000..90000
"""


def test_an_iteration_has_its_rendezvous_with_the_causes_that_they_have_in_the_whole() -> None:
    whole = stragglers(build(STEPS))
    assert [met.iteration for met in whole.collectives] == [0, 1]
    met = one(build(STEPS), iteration=1)
    assert (met.iteration, met.wait_ns, met.cause) == (1, whole.collectives[1].wait_ns, whole.collectives[1].cause)
    assert sum(row.ns for row in met.cause) == 70000 - 40000  # since the previous step's rendezvous


# Why it was late


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
    assert (met.waited_ns, met.inherited_ns, message.blamed_ns) == (70000, 50000, 30000 + 40000)


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


def annotated(trace: Trace, name: str, rank: int, start: int, end: int) -> Trace:
    columns = {"rank": [rank], "kind": [0], "name": [0], "start_ns": [start], "duration_ns": [end - start]}
    return replace(trace, annotations=Columns(TABLES["annotations"], columns, {"name": [name]}))


INPUT = """
    rank 0 | thread 1 | iteration ProfilerStep#1      0..300000
    rank 1 | thread 1 | iteration ProfilerStep#1      0..300000
    rank 0 | thread 1 | aten::a                    1000..10000
    rank 0 | thread 1 | aten::mm                  10000..20000
    rank 0 | thread 1 | gloo:all_reduce           20000..250000
    rank 1 | thread 1 | aten::a                {first}000..{first}900
    rank 1 | thread 1 | aten::mm                 220000..230000
    rank 1 | thread 1 | gloo:all_reduce          230000..250000
"""


def test_a_pause_before_the_first_operator_of_a_step_is_the_input_pipeline() -> None:
    result = stragglers(build(INPUT.format(first=219)))
    assert cause(result.collectives[0])["before the first operator of a step"] == (219000, 219000 - 1000)
    assert found(result) == {"input-pipeline": (1,)}


def test_a_pause_while_a_batch_is_loaded_is_the_input_pipeline() -> None:
    trace = build(INPUT.format(first=1))
    assert found(stragglers(trace)) == {"host-jitter": (1,)}
    loading = annotated(trace, "enumerate(DataLoader)#__next__", 1, 2000, 219000)
    result = stragglers(loading)
    assert found(result) == {"input-pipeline": (1,)}
    assert "enumerate(DataLoader)#__next__" in result.patterns[0].evidence
    assert found(stragglers(annotated(trace, "enumerate(DataLoader)#__next__", 0, 2000, 219000))) != found(result)


# Patterns


def steps(work: list[tuple[int, ...]], name: str = "aten::mm") -> Trace:
    """Steps of several ranks, each a time of work, between them collectives of 10 µs."""
    lines, t = [], 0
    for times in work:
        end = t + max(times) + 10_000
        for rank, length in enumerate(times):
            lines += [f"rank {rank} | thread 1 | {name} {t}..{t + length}"] if name else []
            lines += [f"rank {rank} | thread 1 | gloo:all_reduce {t + length}..{end}"]
        t = end
    return build("\n".join(lines))


def test_always_the_same_rank_that_computes_longer() -> None:
    result = stragglers(steps([(20_000, 20_000, 90_000)] * 4 + [(20_000, 40_000, 30_000)]))
    assert found(result) == {"same-rank": (2,), "compute-imbalance": (2,)}
    assert result.patterns[0].evidence == "rank 2 is last in 4 of 5 and causes 95% of the waiting"
    assert result.summary.startswith("Rank 2 is last in 4 of 5 rendezvous at which ranks waited, and causes 560.0 µs")
    assert "aten::mm (computation) on rank 2" in result.patterns[1].evidence


def test_ranks_that_are_late_in_turns() -> None:
    result = stragglers(steps([(90_000, 20_000, 20_000), (20_000, 90_000, 20_000), (20_000, 20_000, 90_000)] * 2))
    assert set(found(result)) == {"rotating", "compute-imbalance"}
    assert sorted(found(result)["rotating"]) == [0, 1, 2]


def test_two_ranks_of_which_each_is_late_half_the_time_have_no_straggler() -> None:
    assert "same-rank" not in found(stragglers(steps([(90_000, 20_000), (20_000, 80_000)] * 3)))


def test_pauses_of_the_host_are_its_jitter() -> None:
    result = stragglers(steps([(1_000, 1_000), (20_000, 90_000)], name=""))
    assert found(result) == {"host-jitter": (1,)}


# An independent account


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
    met = rendezvous(trace, windows_of(trace, None, None, "annotation"))
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


# Bad input


def test_questions_that_the_trace_cannot_answer() -> None:
    trace = build(STEPS)
    with pytest.raises(MissingData, match="no rank 5"):
        stragglers(trace, rank=5)
    with pytest.raises(MissingData, match="no iteration 7"):
        stragglers(trace, iteration=7)
    with pytest.raises(MissingData, match="no device operators"):
        stragglers(trace, window="device")
    with pytest.raises(UsageError, match="no way 'some' to explain"):
        stragglers(trace, explain="some")  # type: ignore[arg-type]
    with pytest.raises(MissingData, match="no operators"):
        stragglers(Trace(Columns.empty(TABLES["operators"])))


@pytest.mark.parametrize(
    "text",
    [
        "rank 0 | stream 7 | all_reduce 4MB 10000..50000",
        "rank 0 | thread 1 | aten::a 0..10\nrank 1 | thread 1 | aten::a 0..10",
        "rank 0 | thread 1 | gloo:all_reduce 5..5\nrank 1 | thread 1 | gloo:all_reduce 5..5",
    ],
)
def test_where_nobody_meets_or_waits_the_answer_is_empty(text: str) -> None:
    result = stragglers(build(text))
    assert (result.wait_ns, result.wait_share, result.patterns) == (0, 0.0, ())
    assert result.trust.explained_share is None
    json.dumps(to_json(result), allow_nan=False)
    assert result.to_pandas().columns.tolist()[:2] == ["index", "type"]
    assert "<table>" in result._repr_html_()


def test_operators_of_no_duration_do_not_lead_in_circles() -> None:
    trace = build("""
        rank 0 | thread 1 | gloo:all_reduce_0  10000..20000
        rank 1 | thread 1 | gloo:all_reduce_0  20000..20000
        rank 0 | thread 1 | gloo:all_reduce_1  15000..20000
        rank 1 | thread 1 | gloo:all_reduce_1  20000..20000
    """)
    assert [met.last_rank for met in stragglers(trace).collectives] == [1, 1]


def test_the_data_frame_has_a_row_a_member() -> None:
    frame = stragglers(build(CHAIN)).to_pandas()
    assert frame[["index", "rank", "wait_ns"]].values.tolist() == [[1, 1, 90000], [1, 2, 0], [0, 0, 100000], [0, 1, 0]]


# Real runs


@cache
def sample(name: str) -> Trace:
    return read(samples.path(name))


def test_every_arrival_of_the_recommender_on_eight_ranks(collection_dir: Path, reference_dir: Path) -> None:
    """Starts and durations as another reading of the files gives them, in µs; the waiting follows from them."""
    told = json.loads((reference_dir / "dlrm.json").read_text())
    result = stragglers(read(collection_dir / "param" / "dlrm_kineto"))
    assert len(result.collectives) == len(told["collectives"]) == 8
    waiting = spent = 0
    for met, expected in zip(result.collectives, told["collectives"]):
        rows = {int(rank): told["ranks"][rank]["comm"][expected["i"]] for rank in told["ranks"]}
        last = max(start for _, start, _, _ in rows.values())
        assert waits(met) == {rank: 1000 * min(last - start, length) for rank, (_, start, length, _) in rows.items()}
        assert met.last_rank == expected["late_rank"]
        assert met.last_ns - min(member.start_ns for member in met.wait_ns) == 1000 * expected["skew"]
        waiting += met.waited_ns
        spent += sum(1000 * length for _, _, length, _ in rows.values())
    assert (result.wait_ns, result.communication_ns) == (waiting, spent)
    assert result.wait_share == pytest.approx(0.965, abs=5e-4)
    assert by_rank(result)[7] == (5, 35_552_000)
    assert result.wait_ns == 46_843_000
    assert found(result)["same-rank"] == (7,)
    assert found(result)["late-entry"] == (7,)
    late_entry = next(row for row in result.collectives[0].cause if row.detail == "late-entry")
    assert late_entry.ns == 1000 * (told["ranks"]["7"]["step_ts"] - told["ranks"]["1"]["step_ts"])


@pytest.mark.parametrize("run", [1, 4])
def test_the_rank_that_was_made_late_is_named_with_what_made_it_late(collection_dir: Path, run: int) -> None:
    """In every second step rank 1 computes 24 linear layers more."""
    result = stragglers(read(collection_dir / "recorded" / "whatif" / f"late_rank_{run}"))
    assert found(result)["same-rank"] == (1,)
    reason = next(row for row in result.patterns if row.pattern == "compute-imbalance")
    assert (reason.ranks, reason.share > 0.8) == ((1,), True)
    assert reason.evidence.startswith("aten::addmm (computation) on rank 1")
    costliest = sorted(result.collectives, key=lambda met: -met.blamed_ns)[:5]
    assert sorted(met.iteration or 0 for met in costliest) == [1, 3, 5, 7, 9]
    assert all(met.last_rank == 1 and met.cause[0].name == "aten::addmm" for met in costliest)


@pytest.mark.parametrize("name", samples.names())
def test_all_collectives_of_the_samples_are_judged(name: str) -> None:
    trace = sample(name)
    result = stragglers(trace)
    assert result.unjudged == 0
    assert [met.index for met in result.collectives if met.type != "SEND"]
    assert {met.index for met in result.collectives} >= set(range(len(trace.collectives)))
    assert 0 < result.wait_share < 1
    assert result.wait_ns == sum(row.wait_caused_ns for row in result.by_rank)
    assert all(met.transfer_ns > 0 and 0 <= met.inherited_ns <= met.waited_ns for met in result.collectives)


def test_the_documented_example_is_true() -> None:
    page = " ".join((Path(__file__).parents[2] / "docs" / "queries" / "stragglers.md").read_text().split())
    result = stragglers(sample("gpt_ddp"))
    assert f"{result.summary}." in page
    seventh = result.collectives[7]
    assert (seventh.index, seventh.waited_ns // 10**6, seventh.blamed_ns) == (7, 229, 0)
    multiplied = next(row for row in seventh.cause if row.name == "aten::mm")
    assert (multiplied.ns // 10**5, (multiplied.excess_ns or 0) // 10**5) == (568, 22)


def test_a_pipeline_waits_for_its_messages() -> None:
    result = stragglers(sample("gpt_tp2_pp2"))
    messages = [met for met in result.collectives if met.type == "SEND"]
    assert {met.ranks for met in messages} <= {(0, 2), (2, 0), (1, 3), (3, 1)}
    assert "message-order" in found(result)


def test_asking_for_all_causes_leaves_no_waiting_without_one() -> None:
    all_of_them = stragglers(sample("gpt_tp2_pp2"), explain="all")
    assert all(met.cause for met in all_of_them.collectives if met.waited_ns > met.inherited_ns)
    assert not any("costliest" in warning for warning in all_of_them.trust.warnings)
