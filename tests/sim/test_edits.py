"""Edits of a plan, each on a trace that fits on the screen; and on recorded runs beside the critical path."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from etgraph.ingest import read
from etgraph.model import Category, Trace
from etgraph.model.columns import Array
from etgraph.model.errors import UsageError
from etgraph.queries import critical_path
from etgraph.sim import edits
from etgraph.sim.replay import measured_plan, run_plan
from support.build import build

STEP = """
    rank 0 | thread 1 | call    0..10   -> a
    rank 0 | thread 1 | call   20..30   -> b
    rank 0 | thread 1 | call   40..50   -> reduce0
    rank 0 | stream 7 | a      10..60
    rank 0 | stream 7 | b      60..90
    rank 0 | stream 7 | reduce0: all_reduce 4MB  90..130
    rank 1 | thread 1 | call    0..40   -> reduce1
    rank 1 | stream 7 | reduce1: all_reduce 4MB  40..130
"""


def end(trace: Trace) -> int:
    return int(trace.end_ns.max())


def rows(trace: Trace, *names: str) -> Array:
    """Rows of the operators of those names."""
    o = trace.operators
    return np.array([row for row in range(len(trace)) if o.value("name", row) in names])


@pytest.fixture
def trace() -> Trace:
    return build(STEP)


def test_the_plan_itself_gives_what_was_measured(trace: Trace) -> None:
    assert run_plan(measured_plan(trace)).end_ns.tolist() == trace.end_ns.tolist()


@pytest.mark.parametrize(("names", "factor", "expected"), [
    (["a"], 2.0, 180), (["a"], 0.5, 105), (["all_reduce"], 2.0, 170), (["call"], 1.0, 130), (["b"], 0.0, 100),
])  # fmt: skip
def test_scaling_moves_what_depends_on_it(trace: Trace, names: list[str], factor: float, expected: int) -> None:
    assert end(run_plan(edits.scale(measured_plan(trace), rows(trace, *names), factor))) == expected


def test_removing_an_operator_lets_the_next_follow_what_was_before(trace: Trace) -> None:
    assert end(run_plan(edits.remove(measured_plan(trace), rows(trace, "b")))) == 100
    assert end(run_plan(edits.remove(measured_plan(trace), rows(trace, "a", "b")))) == 90


def test_removing_one_member_removes_the_collective(trace: Trace) -> None:
    first = rows(trace, "all_reduce")[:1]
    assert end(run_plan(edits.remove(measured_plan(trace), first))) == 90


def test_what_waited_for_a_removed_operator_waits_for_what_that_waited_for() -> None:
    trace = build("""
        rank 0 | stream 1 | first    0..50   -EVENT-> middle
        rank 0 | stream 2 | middle  50..60   -EVENT-> last
        rank 0 | stream 3 | last    60..70
    """)
    assert end(run_plan(measured_plan(trace))) == 70
    assert end(run_plan(edits.remove(measured_plan(trace), rows(trace, "middle")))) == 60


def test_a_call_that_waited_for_a_removed_operator_waits_for_the_one_before() -> None:
    trace = build("""
        rank 0 | thread 1 | launch  0..5  -> a
        rank 0 | thread 1 | launch  6..9  -> b
        rank 0 | thread 1 | cudaDeviceSynchronize  10..95
        rank 0 | stream 7 | a   5..45
        rank 0 | stream 7 | b  45..90  -SYNC-> cudaDeviceSynchronize
    """)
    whole, less = (run_plan(p) for p in (measured_plan(trace), edits.remove(measured_plan(trace), rows(trace, "b"))))
    call = rows(trace, "cudaDeviceSynchronize")[0]
    assert whole.end_ns[call] - less.end_ns[call] == 45


def test_collectives_of_other_ranks_are_not_merged() -> None:
    trace = build("""
        rank 0 | stream 7 | all_reduce 4MB  0..40
        rank 1 | stream 7 | all_reduce 4MB  0..40
        rank 2 | stream 7 | all_gather 4MB  0..40
        rank 3 | stream 7 | all_gather 4MB  0..40
    """)
    types = trace.collectives.replace({"type": np.zeros(2, dtype=np.int32)})
    plan = measured_plan(replace(trace, collectives=types))
    assert edits.merge(plan, np.arange(4), lambda _, size: size).meets.all()


def test_scaling_a_member_scales_its_peers(trace: Trace) -> None:
    plan = measured_plan(trace)
    members = rows(trace, "all_reduce")
    twice = edits.scale(plan, members[:1], 2.0)
    assert twice.transfer_ns[members].tolist() == (2 * plan.transfer_ns[members]).tolist()


def test_new_work_on_a_thread_delays_what_follows_it(trace: Trace) -> None:
    plan = measured_plan(trace)
    call = np.flatnonzero((trace.operators["rank"] == 1) & (trace.operators["category"] < int(Category.KERNEL)))
    assert end(run_plan(edits.insert(plan, rows(trace, "b"), 25))) == 155
    assert end(run_plan(edits.insert(plan, call, 25))) == 130  # nothing follows its call


def test_a_new_collective_holds_all_its_ranks(trace: Trace) -> None:
    first = np.flatnonzero(trace.operators["category"] < int(Category.KERNEL))
    first = np.array([first[0], first[-1]])  # the first call of rank 0, the only one of rank 1
    made = run_plan(edits.insert(measured_plan(trace), first, 5, meets=True))
    # Rank 0 comes to it at 10, rank 1 at 40; both go on at 45. Rank 0 then spends 10 before its next call.
    assert int(made.operators["start_ns"][rows(trace, "call")[1]]) == 55


def test_a_collective_needs_one_place_a_rank(trace: Trace) -> None:
    with pytest.raises(UsageError, match="one place on each rank"):
        edits.insert(measured_plan(trace), rows(trace, "a", "b"), 5, meets=True)


def test_splitting_and_merging_cost_what_the_parts_cost() -> None:
    trace = build("""
        rank 0 | stream 7 | all_reduce 4MB    0..40
        rank 0 | stream 7 | all_reduce 4MB   40..80
        rank 1 | stream 7 | all_reduce 4MB    0..40
        rank 1 | stream 7 | all_reduce 4MB   40..80
    """)
    plan, every = measured_plan(trace), np.arange(len(trace))

    def cost(_: Array, size: Array) -> Array:
        return 20 + size // (1 << 18)  # 4 MB: 36

    assert end(run_plan(edits.split(plan, every, 4, cost))) == 2 * 4 * (20 + 4)
    assert end(run_plan(edits.merge(plan, every, cost))) == 20 + 32


def test_what_overlaps_holds_nothing_on_its_stream(trace: Trace) -> None:
    assert end(run_plan(edits.overlap(measured_plan(trace), rows(trace, "a")))) == 130 - 30  # b starts at 30


@pytest.mark.parametrize("factor", [-1.0, float("nan"), float("inf")])
def test_a_factor_is_a_number_of_0_or_more(trace: Trace, factor: float) -> None:
    with pytest.raises(UsageError, match="factor"):
        edits.scale(measured_plan(trace), rows(trace, "a"), factor)


@pytest.mark.parametrize(("pattern", "count"), [("all_*", 2), ("all_*@1", 1), ("call", 4), ("x*", 0), ("call@0", 3)])
def test_patterns_name_operators(trace: Trace, pattern: str, count: int) -> None:
    assert len(edits.matching(trace, pattern)) == count


@pytest.mark.parametrize(("name", "iteration"), [("hta/ns_resolution_trace", 3), ("hta/trace_diff/test", 2)])
def test_stretching_kernels_stretches_the_step_by_their_share_of_the_path(
    name: str, iteration: int, collection_dir: Path
) -> None:
    trace = read(collection_dir / name)
    plan = measured_plan(trace)
    kernels = np.flatnonzero(trace.operators["category"] == int(Category.KERNEL))
    base, slower = (_step(run_plan(p), iteration) for p in (plan, edits.scale(plan, kernels, 1.01)))
    shares = critical_path(trace, iteration=iteration).by_category
    computation = sum(s.share for s in shares if s.category == "computation")
    assert abs((slower - base) / base / 0.01 - computation) < (0.02 if "ns_" in name else 0.35)


def _step(trace: Trace, iteration: int) -> int:
    of = trace.iterations["index"] == iteration
    return int(trace.iterations["end_ns"][of].max() - trace.iterations["start_ns"][of].min())


PARTS = """
    rank 0 | stream 7 | g1: half      0..10
    rank 0 | stream 7 | g2: half     10..30  -EVENT-> r0
    rank 0 | stream 9 | r0: all_reduce 4MB  30..70
    rank 1 | stream 7 | h1: half      0..10
    rank 1 | stream 7 | h2: half     10..30  -EVENT-> r1
    rank 1 | stream 9 | r1: all_reduce 4MB  30..70
"""


def test_a_part_that_is_ready_earlier_is_issued_earlier() -> None:
    trace = build(PARTS)
    plan, members = measured_plan(trace), rows(trace, "all_reduce")
    first = np.array([row for row in rows(trace, "half").tolist() if trace.end_ns[row] == 10])

    def ends(ready: edits.Ready | None, ranks: int = 2) -> int:
        return end(run_plan(edits.split(plan, members, 2, lambda _, size: size >> 16, ready=ready)))

    def ready(members: Array, parts: int) -> Array:
        assert (len(members), parts) == (2, 2)
        return first[:, None]

    def ready_on_one(members: Array, parts: int) -> Array:
        return np.array([[first[0]], [-1]])

    assert (ends(None), ends(ready)) == (30 + 64, 10 + 64)
    assert ends(ready_on_one) == ends(None)  # a part is one of all ranks


def test_a_part_waits_for_what_is_before_its_collective() -> None:
    trace = build(PARTS + "rank 0 | stream 9 | other  0..25")
    plan, members = measured_plan(trace), rows(trace, "all_reduce")
    first = np.array([row for row in rows(trace, "half").tolist() if trace.end_ns[row] == 10])
    parts = edits.split(plan, members, 2, lambda _, size: size >> 16, ready=lambda *_: first[:, None])
    assert end(run_plan(parts)) == 25 + 64


def test_what_waited_for_a_merged_collective_waits_for_the_one_that_does_its_work() -> None:
    trace = build("""
        rank 0 | thread 1 | call  0..1  -> a
        rank 0 | thread 1 | call  1..2  -> b
        rank 0 | thread 1 | call  2..3  -> use
        rank 0 | stream 9 | a: all_reduce 1MB  10..20  -EVENT-> use
        rank 0 | stream 9 | b: all_reduce 1MB  20..30
        rank 0 | stream 7 | use  20..25
        rank 1 | stream 9 | all_reduce 1MB     10..20
        rank 1 | stream 9 | all_reduce 1MB     20..30
    """)
    made = run_plan(edits.merge(measured_plan(trace), rows(trace, "all_reduce"), lambda _, size: size >> 16))
    kept = rows(trace, "all_reduce")[1]
    assert int(made.end_ns[kept] - made.operators["start_ns"][kept]) == 32
    assert int(made.operators["start_ns"][rows(trace, "use")[0]]) == int(made.end_ns[kept])


@pytest.mark.parametrize(("given", "told"), [({}, "neither"), ({"ns": 1, "factor": 1.0}, "both"), ({"ns": -1}, "-1")])
def test_a_launch_latency_is_given_once(given: dict[str, float], told: str, trace: Trace) -> None:
    with pytest.raises(UsageError, match=told):
        edits.launch_latency(measured_plan(trace), **given)  # type: ignore[arg-type]


def test_a_queue_holds_something(trace: Trace) -> None:
    with pytest.raises(UsageError, match="queue of 0"):
        edits.queue_depth(measured_plan(trace), 0)


def test_the_nearest_names_of_a_pattern_that_names_nothing(trace: Trace) -> None:
    with pytest.raises(UsageError, match="'allreduce' names no operator") as error:
        edits.named(trace, "allreduce")
    assert error.value.hint == "nearest: all_reduce"
    with pytest.raises(UsageError, match="names no operator of rank 1") as error:
        edits.named(trace, "a@1")
    assert error.value.hint == "there are such on ranks 0"


def test_what_was_spawned_by_something_removed_still_begins_after_what_was_before_that() -> None:
    trace = build("""
        rank 0 | thread 1 | a   0..40
        rank 0 | thread 1 | b  40..60  -SPAWN-> c
        rank 0 | thread 2 | c  70..100
    """)
    made = run_plan(edits.remove(measured_plan(trace), rows(trace, "b")))
    assert int(made.operators["start_ns"][rows(trace, "c")[0]]) == 40 + 10
