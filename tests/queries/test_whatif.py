"""What-ifs: the step of a changed run over all ranks and on each, and what it hangs on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from etgraph.model import CommType, Trace
from etgraph.model.errors import MissingData, UsageError
from etgraph.model.results import to_json
from etgraph.queries import whatif
from etgraph.queries.saving import place_of
from etgraph.queries.whatif import (
    Buckets,
    Change,
    Collective,
    LaunchLatency,
    Merge,
    Overlap,
    QueueDepth,
    Remove,
    Scale,
    Split,
    Work,
)
from etgraph.sim import edits
from etgraph.sim.profiles import load
from etgraph.sim.proof import mean_relative_error
from etgraph.sim.what_if import what_if
from etgraph.sim.what_if.buckets import COPIES_BACK, rebucket
from etgraph.sim.what_if.changes import collectives_after, first_of_each, last_of_each, work_after
from support.build import build
from support.collection import read_once
from support.read_samples import sample

STEPS = """
    rank 0 | thread 1 | iteration ProfilerStep#0  0..100
    rank 0 | thread 1 | a    0..40
    rank 0 | thread 1 | b   50..90
    rank 1 | thread 1 | iteration ProfilerStep#0  20..130
    rank 1 | thread 1 | c   20..80
    rank 1 | thread 1 | d   80..120
"""


@pytest.fixture
def trace() -> Trace:
    return build(STEPS)


@pytest.mark.parametrize(("changes", "whole", "ranks"), [
    ((), 130, (100, 110)),
    ((Scale("c", 0.5),), 100, (100, 80)),
    ((Scale("c", 0.5), Scale("c", 2.0)), 130, (100, 110)),
    ((Scale("a", 2.0),), 140, (140, 110)),
    ((Remove("d"),), 100, (100, 70)),
    ((Work("a", time_ns=25, count=2),), 150, (150, 110)),
    ((Work("a", like="b", count=2),), 180, (180, 110)),
    ((Collective("[ac]", "barrier", time_ns=5),), 145, (145, 115)),
    ((LaunchLatency(factor=2.0), QueueDepth(3), Overlap("b")), 130, (100, 110)),
])  # fmt: skip
def test_the_step_over_all_ranks_and_on_each(
    trace: Trace, changes: tuple[Change, ...], whole: int, ranks: tuple[int, int]
) -> None:
    found = whatif(trace, changes)
    assert (found.measured_ns, found.replay_ns, found.predicted_ns) == (130, 130, whole)
    assert tuple(rank.predicted_ns for rank in found.ranks) == ranks
    assert (found.low_ns, found.high_ns, found.steps, found.replay_error) == (whole, whole, 1, 0.0)


def test_a_step_that_takes_no_time_is_not_changed() -> None:
    found = whatif(build("rank 0 | thread 1 | a  0..0"), draws=1)
    assert (found.measured_ns, found.replay_error, found.change) == (0, 0.0, 0.0)
    assert [rank.change for rank in found.ranks] == [0.0]


def test_the_error_of_the_replay_has_no_sign() -> None:
    assert mean_relative_error(np.array([90, 110]), np.array([100, 100])) == pytest.approx(0.1)


def test_a_rank_alone_is_its_own_step(trace: Trace) -> None:
    found = whatif(trace, [Scale("a", 2.0)], rank=0, iteration=0)
    assert (found.measured_ns, found.predicted_ns, [rank.rank for rank in found.ranks]) == (100, 140, [0])
    assert {row.key: row.step_per_ns for row in found.sensitivities} == {"a": 1.0, "b": 1.0}


def test_sensitivities_are_of_all_ranks(trace: Trace) -> None:
    found = whatif(trace)
    assert [(row.key, row.count, row.own_ns, row.critical_ns, row.step_per_ns) for row in found.sensitivities] == [
        ("c", 1, 60, 60, 1.0), ("d", 1, 40, 40, 1.0), ("a", 1, 40, 0, 0.0), ("b", 1, 40, 0, 0.0),
    ]  # fmt: skip
    assert found.operators.column("step_per_ns").to_pylist() == [0.0, 0.0, 1.0, 1.0]
    assert found.headline() == "what-if, 0.000 ms → 0.000 ms (+0.0%)"
    assert to_json(found)["sensitivities"][0] == {
        "key": "c", "count": 1, "ownNs": 60, "criticalNs": 60, "stepPerNs": 1.0,
    }  # fmt: skip


@pytest.mark.parametrize(("by", "keys"), [("category", {"computation", "cpu"}), ("scope", {"no scope"})])
def test_groups_of_sensitivities(by: str, keys: set[str]) -> None:
    found = whatif(sample("gpt_ddp_5steps"), by=by, draws=1)  # type: ignore[arg-type]
    assert keys <= {row.key for row in found.sensitivities}
    operators = found.operators.column("critical_ns").to_numpy().sum()
    assert sum(row.critical_ns for row in found.sensitivities) == pytest.approx(operators / 5, rel=1e-6)


def test_launch_latency_is_a_category_of_its_own() -> None:
    found = whatif(build("""
        rank 0 | thread 1 | call  0..10  -> k
        rank 0 | stream 7 | k  4010..4060
    """), by="category")  # fmt: skip
    assert {row.key: row.critical_ns for row in found.sensitivities} == {"launch": 4000, "computation": 50, "cpu": 10}


def test_a_profile_comes_before_the_changes() -> None:
    trace = build("""
        rank 0 | thread 1 | call  0..10  -> k
        rank 0 | stream 7 | k  4010..4060
    """)
    profile = load("dgx-h100")
    alone, both = (whatif(trace, c, profile=profile) for c in ((), (Scale("call", 11.0),)))
    latency = profile.device.launch_latency_ns
    assert (alone.replay_ns, alone.predicted_ns) == (4060, 60 + latency)
    assert both.predicted_ns - alone.predicted_ns == 100
    assert whatif(trace, (LaunchLatency(0),), profile=profile).predicted_ns == 60
    assert alone.profile == "dgx-h100"


def test_what_names_nothing_is_refused_with_what_comes_nearest(trace: Trace) -> None:
    with pytest.raises(UsageError, match="scale: 'aa' names no operator") as error:
        whatif(trace, [Scale("aa", 2.0)])
    assert error.value.hint == "nearest: a"


@pytest.mark.parametrize(("wrong", "error", "message"), [
    ({"by": "colour"}, UsageError, "no sensitivities by 'colour'"), ({"draws": 0}, UsageError, "0 draws"),
    ({"draws": 10**12}, UsageError, "found 1000000000000 draws, expected 1 to 10,000"),
    ({"rank": 7}, MissingData, "no rank 7"), ({"iteration": 3}, MissingData, "no iteration 3"),
    ({"changes": [Buckets(1 << 20)]}, MissingData, "no gradients"),
    ({"changes": [Split("a", 2)]}, UsageError, "none of those operators is of a collective"),
    ({"changes": [Merge("a")]}, UsageError, "none of those operators is of a collective"),
    ({"changes": [Collective("[abc]", "barrier", time_ns=1, place="each")]}, UsageError, "one place on each rank"),
])  # fmt: skip
def test_what_cannot_be_asked(trace: Trace, wrong: dict[str, object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        whatif(trace, **wrong)  # type: ignore[arg-type]


def test_a_trace_without_times_cannot_be_changed(trace: Trace) -> None:
    null = trace.operators.table.column("start_ns").null
    nothing = np.full(len(trace), null)
    with pytest.raises(MissingData, match="no measured times"):
        whatif(trace.with_times(nothing, nothing, "none"))


def test_answers_are_kept_by_their_changes() -> None:
    one, other = (place_of("whatif", changes=(Scale("a", factor),)) for factor in (1.0, 2.0))
    assert one != other
    assert '"changes":[{"factor":1.0,"is":"Scale","pattern":"a"}]' in one[1]


# Recorded runs


@pytest.mark.parametrize("which", ["buckets", "all_gather", "work"])
def test_declared_changes_are_the_edits_that_were_measured(which: str, collection_dir: Path) -> None:
    trace = read_once(collection_dir / "recorded" / "whatif" / "extra_barriers_2").select_iterations([0, 2, 4, 6, 8])
    backward = last_of_each(trace, edits.matching(trace, COPIES_BACK))
    forward = first_of_each(trace, edits.matching(trace, "aten::randint@1"))
    like = edits.matching(trace, "aten::linear@1")
    changes, edit = {
        "buckets": ([Buckets(1 << 20)], lambda plan, draw: rebucket(plan, 1 << 20, draw)),
        "all_gather": (
            [Collective(COPIES_BACK, "all_gather", 4 << 20, count=6)],
            lambda plan, draw: collectives_after(plan, backward, CommType.ALL_GATHER, 4 << 20, 6, draw),
        ),
        "work": (
            [Work("aten::randint@1", like="aten::linear@1", count=24, place="first")],
            lambda plan, draw: work_after(plan, forward, like, 24, draw),
        ),
    }[which]
    found, meant = whatif(trace, changes, draws=5, seed=3), what_if(trace, edit, draws=5, seed=3)
    assert (found.ranks, found.predicted_ns) == (meant.ranks, meant.whole.predicted_ns)
    assert found.predicted_ns > found.measured_ns


def test_parts_of_buckets_cost_more_messages_and_a_merged_one_comes_late(collection_dir: Path) -> None:
    trace = read_once(collection_dir / "recorded" / "whatif" / "extra_barriers_2").select_iterations([0, 2, 4])
    parts, whole, merged = (
        whatif(trace, [change], draws=5) for change in (
            Split("gloo:all_reduce", 4), Split("gloo:all_reduce", 1), Merge("gloo:all_reduce"),
        )
    )  # fmt: skip
    assert whole.predicted_ns == pytest.approx(whole.measured_ns, rel=0.002)
    assert parts.predicted_ns > whole.predicted_ns * 0.99
    assert merged.predicted_ns > whole.predicted_ns
