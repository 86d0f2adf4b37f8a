"""A simulation: its id, and the trace on its timeline."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from etgraph.model.accuracy import accuracy
from etgraph.model.errors import UsageError
from etgraph.sim.rank_times import rank_times
from etgraph.sim.simulation import RankTimes, Simulation
from etgraph.sim.simulators import simulate
from support.build import build
from support.predictions import predicted

STEP = """
    rank 0 | thread 1 | iteration ProfilerStep#1   0..100
    rank 0 | thread 1 | cudaLaunchKernel           0..10   -> gemm
    rank 0 | stream 7 | gemm                      20..60
    rank 0 | stream 9 | all_reduce 4MB            50..90
    rank 1 | thread 1 | aten::mm                   0..70
    rank 1 | thread 1 | gloo:all_reduce           60..80
"""


def with_column(found: Simulation, name: str, values: list[object]) -> Simulation:
    """The simulation with other values in a column."""
    at = found.nodes.column_names.index(name)
    column = pa.array(values, found.nodes.schema.field(at).type)
    return replace(found, nodes=found.nodes.set_column(at, name, column))


def test_the_id_follows_from_choices_and_times() -> None:
    one = predicted(build(STEP))
    same = replace(one, versions={"test": "9"}, nodes=pa.concat_tables([one.nodes.slice(0, 2), one.nodes.slice(2)]))
    assert same.id == one.id == predicted(build(STEP)).id
    others = [
        replace(one, simulator="other"), replace(one, profile="h100-sxm"), replace(one, parameters={"factor": 3}),
        with_column(one, "duration_ns", [1] * 5), with_column(one, "duration_low_ns", [None] * 5),
        with_column(one, "source", ["x", None, "x", "x", "x"]), with_column(one, "extrapolated", [True] * 5),
    ]  # fmt: skip
    assert len({each.id for each in (one, *others)}) == len(others) + 1
    assert len(one.id) == 16


def test_null_and_zero_are_not_the_same() -> None:
    one = predicted(build(STEP))
    assert with_column(one, "start_ns", [0] * 5).id != with_column(one, "start_ns", [None] * 5).id


def test_a_trace_on_the_predicted_timeline() -> None:
    trace = build(STEP)
    found = predicted(trace, 2.0, never=[0])
    on = found.on(trace)
    assert on.operators["start_ns"][1:].tolist() == (2 * trace.operators["start_ns"][1:]).tolist()
    assert on.operators.is_null("start_ns").tolist() == [True, False, False, False, False]
    assert on.metadata.timeline == f"simulation {found.id}"
    assert on.metadata.report.warnings == (f"times are predicted, by simulation {found.id}",)
    assert on.trace_id != trace.trace_id
    on.validate()


def test_a_simulation_belongs_to_its_trace() -> None:
    found = predicted(build(STEP))
    with pytest.raises(UsageError, match="found 5 operators of another trace, expected the 1 of"):
        found.on(build("rank 0 | stream 7 | gemm 0..10"))


def test_times_of_ranks() -> None:
    # Rank 0 has a device, which computes; rank 1 computes on its thread. What overlaps counts once.
    assert rank_times(build(STEP)) == (RankTimes(0, 90, 40, 40), RankTimes(1, 80, 70, 20))


def test_accuracy_counts_what_has_both() -> None:
    nan = np.nan
    met = accuracy(
        np.array([10.0, 30.0, nan, 5.0, 8.0]), np.array([9.0, nan, nan, 0.0, 7.0]),
        np.array([11.0, nan, nan, 9.0, 9.0]), np.array([20.0, 20.0, 20.0, 0.0, nan]),
    )  # fmt: skip
    assert (met.operators, met.duration_error, met.interval_share) == (3, 0.5, 0.5)
    nothing = accuracy(*[np.array([nan])] * 4)
    assert (nothing.operators, nothing.duration_error, nothing.interval_share) == (0, None, None)


def test_a_simulator_that_is_not_there() -> None:
    with pytest.raises(UsageError, match="no simulator 'guess' in this version"):
        simulate(build(STEP), "guess")
