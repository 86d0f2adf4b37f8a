"""Simulations that are kept beside traces, what they say of operators, and new ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from etgraph.api.context import Context
from etgraph.api.fetch.analyses import OpenOnce, worked_out
from etgraph.api.fetch.batches import One
from etgraph.api.fetch.rows import StoredRow
from etgraph.model import Trace
from etgraph.model.accuracy import Validation
from etgraph.model.results import Trust
from etgraph.queries import load_simulation, saved_simulations, simulations
from etgraph.queries.saved_simulations import SimulationSummary, find_simulation
from etgraph.sim.profiles import Profile, fingerprint
from etgraph.sim.simulation import Simulation
from etgraph.sim.simulators import simulate
from etgraph.store.rows import ROW


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a kept simulation says of one operator, beside the measured times of the same; null is not predicted.

    `duration_low_ns` and `duration_high_ns` are the ends of the 90 % interval. `source` is the model that the duration
    comes from, `extrapolated` whether it was used outside of what it was fitted on.
    """

    simulation: str
    simulator: str
    profile: str | None
    start_ns: int | None
    duration_ns: int | None
    duration_low_ns: int | None
    duration_high_ns: int | None
    source: str | None
    extrapolated: bool | None


@dataclass(frozen=True, slots=True)
class SavedSimulations:
    """The simulations that are kept beside a trace, oldest first; and where predictions met what was measured.

    `validations` are of these simulations and other traces of the workload, and of simulations of others and this one.
    """

    trace: str
    simulations: tuple[SimulationSummary, ...]
    validations: tuple[Validation, ...]
    trust: Trust


def of_trace(context: Context, trace_id: str) -> tuple[SimulationSummary, ...]:
    """The simulations that are kept beside a trace, oldest first."""
    return saved_simulations(OpenOnce(context), trace_id)


def with_validations(context: Context, reference: str) -> SavedSimulations:
    """The same, with how they met other traces."""
    found = simulations(context.store, reference)
    return SavedSimulations(found.trace, found.simulations, found.validations, found.trust)


def predictions(context: Context, operator: One[StoredRow], wanted: Sequence[str] | None) -> list[Prediction]:
    """What simulations say of an operator: all that are kept beside its trace, or those named."""

    def fetch(rows: Sequence[StoredRow]) -> list[list[Prediction]]:
        store = OpenOnce(context)
        found: list[list[Prediction]] = [[] for _ in rows]
        for trace_id in {one.trace.id for one in rows}:
            places = [place for place, one in enumerate(rows) if one.trace.id == trace_id]
            kept = saved_simulations(store, trace_id)
            ids = None if wanted is None else {find_simulation(store, trace_id, name) for name in wanted}
            for summary in kept:
                if ids is None or summary.id in ids:
                    nodes = load_simulation(store, trace_id, summary.id).nodes
                    told = nodes.take([rows[place].values[ROW] for place in places]).to_pylist()
                    for place, one in zip(places, told):
                        found[place].append(_prediction(summary, one))
        return found

    return operator.ask(("predictions", None if wanted is None else tuple(wanted)), fetch)


_OF_NODES = tuple(field.name for field in fields(Prediction))[3:]


def _prediction(summary: SimulationSummary, node: dict[str, Any]) -> Prediction:
    return Prediction(summary.id, summary.simulator, summary.profile, *(node.get(name) for name in _OF_NODES))


def simulated(
    context: Context, reference: str, profile: Profile | None, iterations: Sequence[int] | None = None
) -> Simulation:
    """A trace, or some iterations of it, run again on its own hardware or, given a profile, on that."""
    store = OpenOnce(context)
    found = store.find(reference)

    def work() -> Simulation:
        trace = store.load(found.id)
        return simulate_on(trace if iterations is None else trace.select_iterations(tuple(iterations)), profile)

    content = None if profile is None else (profile.name, fingerprint(profile))
    steps = None if iterations is None else tuple(iterations)
    return worked_out(context, (found,), ("simulate", content, steps), work)


def simulate_on(trace: Trace, profile: Profile | None) -> Simulation:
    """A trace run again on its own hardware or, given a profile, on that."""
    return simulate(trace, "replay") if profile is None else simulate(trace, "predict", profile=profile)


__all__ = ["Prediction", "SavedSimulations", "of_trace", "predictions", "simulate_on", "simulated", "with_validations"]
