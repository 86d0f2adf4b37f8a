"""Stragglers: who came last and what the others lost, bad input, and the real runs."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from etgraph.ingest import samples
from etgraph.model import TABLES, Columns, Trace
from etgraph.model.errors import MissingData, UsageError
from etgraph.model.results import to_json
from etgraph.queries import hotspots, stragglers
from support.build import build
from support.collection import read_once
from support.lateness import by_rank, cause, found, one, waits
from support.read_samples import sample


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


def test_where_all_ranks_always_come_together_nobody_is_late() -> None:
    """A few hundred ns at each rendezvous add up; there is no straggler in them."""
    lines = [
        f"rank {rank} | stream 7 | all_reduce_{n} 4MB  {100_000 * n + 1_000 * (rank == 1)}..{100_000 * n + 50_000}"
        for n in range(4)
        for rank in range(2)
    ]
    result = stragglers(build("\n".join(lines)))
    assert result.wait_ns == 4_000
    assert result.summary == (
        "Nobody is late: ranks came within 1 µs of each other at 4 rendezvous, and waited 4.0 µs in all"
    )
    assert result.patterns == ()
    later = stragglers(build("\n".join([*lines[:-1], lines[-1].replace("301000", "301001")])))
    assert later.summary.startswith("Rank 1 is last in 1 of 1 rendezvous at which ranks waited")
    assert later.patterns


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
    assert one(build(MESSAGES), rank=0) == one(build(MESSAGES), rank=1) == met


def test_all_communication_is_what_waiting_is_a_share_of() -> None:
    """Messages that nobody waited for count too; the call that issues one is no communication itself."""
    result = stragglers(build(MESSAGES))
    assert result.communication_ns == 10000 + 7000 + 30000 + 10000
    assert result.wait_share == pytest.approx(20 / 57)
    issued = stragglers(
        build("""
        rank 0 | thread 1 | c10d::send         20000..50000  -COMM-> receive
        rank 0 | stream 7 | send               30000..40000
        rank 1 | stream 7 | receive: recv          0..60000
    """)
    )
    assert (issued.wait_ns, issued.communication_ns) == (20000, 10000 + 60000)


def test_of_a_rank_the_communication_of_those_who_waited_with_it_counts_too() -> None:
    trace = build("""
        rank 0 | stream 7 | all_reduce 4MB      10000..50000
        rank 1 | stream 7 | all_reduce 4MB      45000..50000
        rank 0 | stream 7 | reduce_scatter 4MB  60000..90000
        rank 2 | stream 7 | reduce_scatter 4MB  70000..90000
    """)
    result = stragglers(trace, rank=1)
    assert (result.wait_ns, result.communication_ns) == (35000, 40000 + 5000)
    assert stragglers(trace).communication_ns == 95000


def test_collectives_that_met_nobody_are_not_judged_either() -> None:
    trace = build("""
        rank 0 | stream 7 | all_reduce 4MB      10000..50000
        rank 0 | stream 7 | reduce_scatter 4MB  60000..90000
        rank 0 | stream 7 | ncclSend            90000..95000
    """)
    result = stragglers(trace)
    assert (result.judged, result.unjudged, result.communication_ns) == (0, 2, 75000)
    assert any(warning.startswith("2 collectives are not judged") for warning in result.trust.warnings)


@pytest.mark.parametrize("ranks", [(0,), (0, 1, 3)])
def test_some_ranks_of_a_run_leave_its_14_collectives_unjudged(ranks: tuple[int, ...]) -> None:
    result = stragglers(sample("gpt_ddp", ranks))
    assert (result.judged, result.unjudged) == (0, 14)


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


def test_where_causes_are_looked_for_at_the_costliest_only_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = []
    for number in range(12):
        t, late = 100_000 * number, 20_000 + 1_000 * number
        lines += [f"rank 0 | thread 1 | gloo:all_reduce_{number} {t + 5_000}..{t + 90_000}"]
        lines += [f"rank 1 | thread 1 | gloo:all_reduce_{number} {t + late}..{t + 90_000}"]
    trace = build("\n".join(lines))
    assert all(met.cause for met in stragglers(trace).collectives)
    monkeypatch.setattr(sys.modules[stragglers.__module__], "WALKS", 0)
    result = stragglers(trace)
    assert [bool(met.cause) for met in result.collectives] == [False] * 4 + [True] * 8
    assert [met.waited_ns for met in result.collectives] == [15_000 + 1_000 * number for number in range(12)]
    assert any("the 8 costliest of 12 rendezvous, which 73% of the" in warning for warning in result.trust.warnings)
    assert "Of the 73% that was looked into, 100% goes back to host jitter on rank 1" in result.summary
    assert all(met.cause for met in stragglers(trace, explain="all").collectives)


def test_a_rank_without_such_a_window_is_left_out_and_said() -> None:
    trace = build("""
        rank 0 | stream 7 | all_reduce 4MB  10000..50000
        rank 1 | stream 7 | all_reduce 4MB  30000..50000
        rank 2 | thread 1 | aten::a             0..10000
    """)
    result = stragglers(trace, window="device")
    assert result.judged == 1
    assert any("rank 2 left out" in warning for warning in result.trust.warnings)


def test_an_operator_of_no_duration_is_not_its_own_predecessor() -> None:
    trace = build("""
        rank 0 | thread 1 | gloo:all_reduce  10000..20000
        rank 1 | thread 1 | aten::a              0..20000
        rank 1 | thread 1 | gloo:all_reduce  20000..20000
    """)
    met = one(trace)
    assert (met.waited_ns, met.behind, met.blamed_ns) == (10000, None, 10000)
    assert cause(met)["aten::a"][0] == 20000


def test_operators_of_no_duration_do_not_lead_in_circles() -> None:
    trace = build("""
        rank 0 | thread 1 | gloo:all_reduce_0  10000..20000
        rank 1 | thread 1 | gloo:all_reduce_0  20000..20000
        rank 0 | thread 1 | gloo:all_reduce_1  15000..20000
        rank 1 | thread 1 | gloo:all_reduce_1  20000..20000
    """)
    assert [met.last_rank for met in stragglers(trace).collectives] == [1, 1]


def test_the_data_frame_has_a_row_a_member() -> None:
    frame = stragglers(build(STEPS)).to_pandas()
    assert frame[["index", "rank", "wait_ns"]].values.tolist() == [[0, 0, 20000], [0, 1, 0], [1, 0, 10000], [1, 1, 0]]


def test_every_arrival_of_the_recommender_on_eight_ranks(collection_dir: Path, reference_dir: Path) -> None:
    """Starts and durations as another reading of the files gives them, in µs; the waiting follows from them."""
    told = json.loads((reference_dir / "dlrm.json").read_text())
    result = stragglers(read_once(collection_dir / "param" / "dlrm_kineto"))
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
    result = stragglers(read_once(collection_dir / "recorded" / "whatif" / f"late_rank_{run}"))
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
    rows = hotspots(trace).rows
    assert result.communication_ns == sum(row.total_ns for row in rows)
    assert result.wait_ns == sum(row.wait_ns or 0 for row in rows)
    assert [met.index for met in result.collectives if met.type != "SEND"]
    assert {met.index for met in result.collectives} >= set(range(len(trace.collectives)))
    assert 0 < result.wait_share < 1
    assert result.wait_ns == sum(row.wait_caused_ns for row in result.by_rank)
    assert all(met.transfer_ns > 0 and 0 <= met.inherited_ns <= met.waited_ns for met in result.collectives)


def test_the_documented_example_is_true() -> None:
    page = " ".join((Path(__file__).parents[2] / "docs" / "queries" / "stragglers.md").read_text().split())
    result = stragglers(sample("gpt_ddp"))
    assert f"{result.summary}." in page
    pipeline = stragglers(sample("gpt_tp2_pp2"))
    told = f"it is {pipeline.communication_ns:,} ns, of which {100 * pipeline.wait_share:.0f} % are waiting"
    assert told in page
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
