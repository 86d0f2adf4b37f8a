"""Sensitivities: derivatives of the step beside differences by the engine, on small, random and recorded runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from etgraph.ingest import read
from etgraph.model import Trace
from etgraph.model.arrivals import arrivals
from etgraph.model.columns import Array
from etgraph.queries import critical_path
from etgraph.queries.critical_path import DETAILS, operator_details
from etgraph.sim import edits
from etgraph.sim.engine import Program, Services, run
from etgraph.sim.engine.causes import causes_of, traced_back
from etgraph.sim.replay import measured_plan, run_plan
from etgraph.sim.replay.plan import Plan
from etgraph.sim.sensitivity import gradient, sensitivity
from etgraph.sim.steps import steps_of
from support.build import build
from support.random_programs import programs as engine_programs
from support.slow_programs import Program as SlowProgram
from support.slow_programs import programs, trace_of

STEP = """
    rank 0 | thread 1 | iteration ProfilerStep#0  0..100
    rank 0 | thread 1 | a    0..40
    rank 0 | thread 1 | b   50..90
    rank 1 | thread 1 | iteration ProfilerStep#0  0..110
    rank 1 | thread 1 | c    0..60
    rank 1 | thread 1 | d   60..100
"""


def steps_ns(plan: Plan, iterations: tuple[int, ...] | None = None) -> int:
    made = run_plan(plan)
    extents = steps_of(plan.trace, None, iterations).on(made.operators["start_ns"], made.end_ns)
    return int(extents.together().length_ns.sum())


def by_name(trace: Trace, values: Array) -> dict[str, float]:
    return {str(trace.operators.value("name", row)): float(value) for row, value in enumerate(values)}


def test_the_step_hangs_on_its_longest_rank() -> None:
    found = sensitivity(measured_plan(build(STEP)))
    assert by_name(found.trace, found.step_per_ns) == {"a": 0, "b": 0, "c": 1, "d": 1}
    assert by_name(found.trace, found.own_ns) == {"a": 40, "b": 40, "c": 60, "d": 40}
    assert (found.steps, found.steps_ns, found.ties) == (1, 110, 0)


def test_the_step_of_a_rank_hangs_on_its_own_operators() -> None:
    found = sensitivity(measured_plan(build(STEP)), rank=0)
    assert by_name(found.trace, found.step_per_ns) == {"a": 1, "b": 1, "c": 0, "d": 0}


def test_what_is_around_others_counts_with_its_own_time() -> None:
    found = sensitivity(measured_plan(build("""
        rank 0 | thread 1 | outer   0..100
        rank 0 | thread 1 | inner  20..70
    """)))  # fmt: skip
    assert by_name(found.trace, found.own_ns) == {"outer": 50, "inner": 50}
    assert by_name(found.trace, found.critical_ns) == {"outer": 50, "inner": 50}


def test_members_of_a_collective_share_its_transfer() -> None:
    found = sensitivity(measured_plan(build("""
        rank 0 | stream 7 | all_reduce 4MB  10..50
        rank 1 | stream 7 | all_reduce 4MB  30..50
    """)))  # fmt: skip
    assert found.own_ns.tolist() == [20, 20]
    assert (found.members.tolist(), float(found.critical_ns.sum())) == ([2, 2], 20.0)


def test_at_a_tie_growing_costs_and_shrinking_saves_nothing() -> None:
    trace = build("""
        rank 0 | stream 1 | a      0..50   -EVENT-> last
        rank 0 | stream 2 | b      0..50   -EVENT-> last
        rank 0 | stream 3 | last  50..60
    """)
    found = sensitivity(measured_plan(trace))
    assert sorted(found.step_per_ns.tolist()) == [0, 1, 1]  # one of the two, from the right; the other from the left
    assert found.ties == 1


def small_changes(plan: Plan, field: str, place: int) -> tuple[int, int]:
    """By how much the steps shrink and grow with a nanosecond less and more of one time."""
    base, found = steps_ns(plan), []
    for by in (-1, 1):
        values = getattr(plan, field).copy()
        values[place] += by
        found.append(by * (steps_ns(replace(plan, **{field: values})) - base) if values[place] >= 0 else -1)
    return found[0], found[1]


@settings(max_examples=25)
@given(programs(), st.data())
def test_derivatives_are_small_differences_of_random_programs(program: SlowProgram, data: st.DataObject) -> None:
    plan = measured_plan(trace_of(program))
    found = gradient(plan)
    for field, derivative in (
        ("host_ns", found.host), ("duration_ns", found.duration), ("transfer_ns", found.transfer),
        ("latency_ns", found.latency),
    ):  # fmt: skip
        for place in data.draw(st.lists(st.integers(0, max(len(derivative) - 1, 0)), max_size=6, unique=True)):
            if place < len(derivative):
                less, more = small_changes(plan, field, place)
                assert derivative[place] in ((more,) if derivative[place] else (less, more)) or less < 0


@settings(max_examples=150)
@given(engine_programs(), st.integers(0, 2**32 - 1))
def test_one_pass_back_gives_the_derivative_by_every_edge(program: Program, seed: int) -> None:
    # Times of which no two meet, since small ones do all the time; servers are no part of a replay.
    random = np.random.default_rng(seed)

    def apart(ns: Array) -> Array:
        return ns * 1_000_000 + random.integers(100, 1_000_000, len(ns))

    lag = program.lag_ns
    program = replace(
        program, lag_ns=np.where(lag < 0, -1 - apart(-1 - lag), apart(lag)), floored_ns=apart(program.floored_ns),
        after_ns=apart(program.after_ns), services=Services(),
        places=replace(program.places, duration_ns=apart(program.places.duration_ns),
                       tail_ns=np.where(program.places.tail_ns >= 0, program.places.tail_ns, -1)),
    )  # fmt: skip
    timeline = run(program)
    assume(timeline.happened.all())
    last = int(np.argmax(timeline.ns))
    causes = causes_of(program, timeline)
    assert not causes.ties.any()
    weight = traced_back(causes.event, (np.arange(program.events) == last).astype(float))

    def grown(other: Program) -> int:
        return int(run(other).ns[last] - timeline.ns[last])

    for edge in range(len(lag)):
        by = -1 if program.lag_ns[edge] < 0 else 1
        step = (np.arange(len(lag)) == edge) * by
        felt = weight[program.targets[edge]] * (causes.edge[program.targets[edge]] == edge)
        assert grown(replace(program, lag_ns=program.lag_ns + step)) == felt
        assert grown(replace(program, lag_ns=program.lag_ns - step)) == -felt
    for row in range(len(program.places.operator)):
        longer = program.places.duration_ns + (np.arange(len(program.places.operator)) == row)
        felt = weight[causes.occupant == row].sum()
        assert grown(replace(program, places=replace(program.places, duration_ns=longer))) == felt


@pytest.mark.parametrize("name", [
    "recorded/whatif/extra_barriers_2", "hta/ns_resolution_trace", "hta/trace_diff/test", "hta/trace_diff/control",
    "recorded/gpt_tp2_pp2", "param/dlrm_kineto",
])  # fmt: skip
def test_derivatives_are_small_differences_of_recorded_runs(name: str, collection_dir: Path) -> None:
    plan = measured_plan(read(collection_dir / name))
    found, random = gradient(plan), np.random.default_rng(0)
    assert found.steps_ns == steps_ns(plan)
    for field, derivative in (
        ("host_ns", found.host), ("duration_ns", found.duration), ("transfer_ns", found.transfer),
        ("latency_ns", found.latency),
    ):  # fmt: skip
        for places in (np.flatnonzero(derivative), np.flatnonzero(derivative == 0)):
            for place in random.choice(places, min(len(places), 3), replace=False).tolist():
                less, more = small_changes(plan, field, place)
                # Of a kernel that fills its device, part of a nanosecond shows as one or none.
                assert min(less, more) <= derivative[place] <= max(less, more)


@pytest.mark.parametrize(("name", "iteration"), [
    ("hta/ns_resolution_trace", 3), ("hta/trace_diff/test", 2), ("param/dlrm_kineto", None),
    ("recorded/gpt_ddp_5steps", 2), ("kineto_tb/resnet50_num_workers_0", 3), ("recorded/whatif/extra_barriers_2", 2),
])  # fmt: skip
def test_a_category_scaled_moves_the_step_by_its_share_of_the_measured_path(
    name: str, iteration: int | None, collection_dir: Path
) -> None:
    trace = read(collection_dir / name)
    plan = measured_plan(trace)
    steps = None if iteration is None else (iteration,)
    base, felt = steps_ns(plan, steps), sensitivity(plan, None, steps)
    detail = operator_details(trace, np.arange(len(trace)), arrivals(trace))
    category = np.array([name for name, _ in DETAILS])[detail]
    path = critical_path(trace, iteration=iteration).by_category
    for each in ("computation", "communication", "memory", "cpu"):
        rows = np.flatnonzero(category == each)
        moved = (steps_ns(edits.scale(plan, rows, 1.001), steps) - base) / base / 0.001
        assert abs(moved - sum(share.share for share in path if share.category == each)) <= 0.02
        assert abs(moved - felt.critical_ns[rows].sum() / base) <= 0.002
