"""Simulations of a trace side by side: how well each meets what was measured, and what each says of every operator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np

from etgraph.model import Trace, Trust
from etgraph.model.accuracy import Validation
from etgraph.model.columns import Array
from etgraph.model.results import Result
from etgraph.model.simulation_tables import TIMES
from etgraph.queries.saved_simulations import SimulationSummary, Traces, load_simulation, saved_simulations
from etgraph.sim.simulation import Simulation

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Simulations(Result):
    """The simulations that are kept beside a trace, oldest first; and where predictions met what was measured.

    `validations` are of these simulations and other traces of the workload, and of simulations of others and this one.
    `operators`, where it was asked for, has a row for each operator: rank, index, name, start_ns and duration_ns as
    measured, and for each simulation the columns `ID.start_ns`, `ID.duration_ns`, `ID.duration_low_ns` and
    `ID.duration_high_ns`, ID being its id; null is what was not measured or not predicted.
    """

    trace: str
    simulations: tuple[SimulationSummary, ...]
    validations: tuple[Validation, ...]
    operators: pa.Table | None
    trust: Trust

    FRAME: ClassVar[str] = "simulations"
    TABLE: ClassVar[str] = "simulations"

    def headline(self) -> str:
        """The answer in a few words."""
        return f"{len(self.simulations)} simulations of trace {self.trace[:12]}"


class ScoredTraces(Traces, Protocol):
    """What keeps traces and simulations, and knows how these met later traces; see `etgraph.store.Store`."""

    def validations(self, trace_id: str) -> Sequence[Validation]: ...


def simulations(store: ScoredTraces, reference: str, *, operators: bool = False) -> Simulations:
    """The simulations of a stored trace; with `operators`, also what each says of every operator."""
    trace_id = store.find(reference).id
    found = saved_simulations(store, trace_id)
    table = None
    if operators:
        table = side_by_side(
            store.load(trace_id), {each.id: load_simulation(store, trace_id, each.id) for each in found}
        )
    met = tuple(store.validations(trace_id))
    return Simulations(trace_id, found, met, table, Trust(warnings=tuple(_against(found))))


def side_by_side(trace: Trace, simulated: Mapping[str, Simulation]) -> pa.Table:
    """Measured times of every operator and those of simulations, given by id; see `Simulations` for the columns."""
    import pyarrow as pa
    import pyarrow.compute as pc

    o = trace.operators
    columns: dict[str, Any] = {
        "rank": pa.array(o["rank"]),
        "index": pa.array(o["index"]),
        "name": pc.take(o.texts("name"), pa.array(o["name"], mask=o["name"] < 0)),
    }
    columns |= {name: pa.array(o[name], mask=o.is_null(name)) for name in ("start_ns", "duration_ns")}
    for identity, simulation in simulated.items():
        columns |= {f"{identity}.{name}": simulation.nodes[name] for name in TIMES}
    return pa.table(columns)


def worst_predicted(table: pa.Table, limit: int) -> pa.Table:
    """Rows of `side_by_side` that some simulation has furthest from the measured duration, in ns, worst first."""
    import pyarrow as pa

    def floats(name: str) -> Array:
        found: Array = table[name].cast(pa.float64()).fill_null(np.nan).to_numpy()
        return found

    apart = np.full(len(table), -1.0)
    for name in table.column_names:
        if name.endswith(".duration_ns"):
            apart = np.fmax(apart, np.abs(floats(name) - floats("duration_ns")))
    known = np.flatnonzero(apart >= 0)
    return table.take(known[np.argsort(-apart[known], kind="stable")][:limit])


def _against(found: Sequence[SimulationSummary]) -> list[str]:
    """What stands against predictions."""
    return [
        f"{each.id}: {each.extrapolated:,} of {each.predicted:,} durations are extrapolated"
        for each in found
        if each.extrapolated
    ]
