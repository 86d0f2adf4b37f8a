"""Simulations that are kept beside their trace: each under an id that follows from what it predicts.

What is kept says which simulator, profile and models made it, and how well its times meet the measured ones, so that
a list of simulations needs none of their times.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np

from etgraph.model import Trace, simulation_tables
from etgraph.model.accuracy import accuracy, with_nan
from etgraph.model.columns import Array
from etgraph.model.errors import NotFound, UsageError
from etgraph.model.results import camel_case, to_json
from etgraph.queries.tables import from_table, to_table
from etgraph.sim.profiles import Profile, builtin_names, fingerprint, load
from etgraph.sim.simulation import Simulation

if TYPE_CHECKING:
    import pyarrow as pa

SHORTEST_ID: Final = 6
"""Characters of the beginning of an id that name a simulation."""


class Described(Protocol):
    """What is known of a stored trace."""

    @property
    def id(self) -> str: ...

    @property
    def revision(self) -> int: ...


class Kept(Protocol):
    """What is known of a table that is kept beside a trace."""

    @property
    def kind(self) -> str: ...

    @property
    def key(self) -> str: ...

    @property
    def created(self) -> str: ...


class Traces(Protocol):
    """What keeps traces and what was computed from them; see `etgraph.store.Store`."""

    def find(self, reference: str) -> Described: ...

    def load(self, reference: str) -> Trace: ...

    def get_artefact(self, trace_id: str, kind: str, key: str) -> pa.Table | None: ...

    def put_artefact(
        self, trace_id: str, kind: str, key: str, table: pa.Table, *, revision: int | None = None
    ) -> None: ...

    def artefacts(self, trace_id: str) -> Sequence[Kept]: ...

    def artefact_schema(self, trace_id: str, kind: str, key: str) -> pa.Schema | None: ...


class Keeper(Traces, Protocol):
    """What keeps traces, and lets go what was computed from them."""

    def remove_artefact(self, trace_id: str, kind: str, key: str) -> bool: ...


@dataclass(frozen=True, slots=True)
class SimulationSummary:
    """What is known of a kept simulation without its times.

    `error` is the makespan's, relative to the measured one and signed. `predicted` operators have a duration, of which
    `extrapolated` come from models outside of what they were fitted on. `duration_error` is the median over operators
    of |predicted / measured − 1|, `interval_share` the share of the intervals that hold the measured duration; None
    where there is nothing to judge by. `hardware` says which profile, of what content and for which device, or nothing.
    """

    id: str
    created: str
    simulator: str
    profile: str | None
    makespan_ns: int
    measured_ns: int | None
    error: float | None
    predicted: int
    extrapolated: int
    duration_error: float | None
    interval_share: float | None
    hardware: Mapping[str, Any] = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)


def save_simulation(
    store: Traces, reference: str, simulation: Simulation, *, profile: Profile | None = None, trace: Trace | None = None
) -> str:
    """Keep a simulation beside its trace, and return its id. One that is there already changes nothing.

    `profile` is the hardware that was simulated; without it, the built-in profile of the simulation's name, if there is
    one. `trace` is what the reference means, where the caller has it. Raises UsageError for a simulation of another
    trace, and what the store raises.
    """
    found = store.find(reference)
    identity = simulation.id
    if identity in _ids(store, found.id):
        return identity
    trace = trace or store.load(found.id)
    simulation.on(trace)
    if profile is None and simulation.profile in builtin_names():
        profile = load(simulation.profile)
    table = simulation_tables.with_facts(
        to_table(simulation, Simulation.FRAME), _facts(simulation, identity, trace, profile)
    )
    store.put_artefact(found.id, simulation_tables.KIND, identity, table, revision=trace.revision)
    return identity


def _facts(simulation: Simulation, identity: str, trace: Trace, profile: Profile | None) -> dict[str, Any]:
    """What a store tells of a simulation, names in camelCase."""
    nodes, o = simulation.nodes, trace.operators
    measured = with_nan(o["duration_ns"], o.is_null("duration_ns"))
    predicted, low, high = (_floats(nodes[name]) for name in ("duration_ns", "duration_low_ns", "duration_high_ns"))
    met = accuracy(predicted, low, high, measured)
    told = {
        "id": identity,
        "simulator": simulation.simulator,
        "profile": simulation.profile,
        "makespan_ns": simulation.makespan_ns,
        "measured_ns": simulation.measured_ns,
        "error": simulation.error,
        "predicted": int(np.count_nonzero(~np.isnan(predicted))),
        "extrapolated": int(np.count_nonzero(nodes["extrapolated"].fill_null(False).to_numpy())),
        "duration_error": met.duration_error,
        "interval_share": met.interval_share,
        "hardware": {} if profile is None else hardware_of(profile),
        "parameters": simulation.parameters,
        "versions": {"etgraph": version("etgraph"), **simulation.versions},
    }
    return {camel_case(name): to_json(value) for name, value in told.items()}


def hardware_of(profile: Profile) -> dict[str, Any]:
    """What is kept of a profile beside a simulation: by what it is known, and which device it is of."""
    return {
        "name": profile.name,
        "content": fingerprint(profile),
        "device": profile.device.name,
        "vendor": profile.device.vendor,
        "ranks": profile.ranks,
    }


def _floats(column: pa.ChunkedArray) -> Array:
    import pyarrow as pa

    found: Array = column.cast(pa.float64()).fill_null(np.nan).to_numpy()
    return found


def saved_simulations(store: Traces, reference: str) -> tuple[SimulationSummary, ...]:
    """The simulations that are kept beside a trace, oldest first, without their times."""
    trace_id = store.find(reference).id
    found = []
    for kept in store.artefacts(trace_id):
        schema = None
        if kept.kind == simulation_tables.KIND:
            schema = store.artefact_schema(trace_id, kept.kind, kept.key)
        if schema is not None:
            facts = simulation_tables.facts_of(schema)
            found.append(SimulationSummary(created=kept.created, **_snake(facts)))
    return tuple(sorted(found, key=lambda each: (each.created, each.id)))


def _snake(facts: Mapping[str, Any]) -> dict[str, Any]:
    names = {camel_case(name): name for name in SimulationSummary.__dataclass_fields__}
    return {names[name]: value for name, value in facts.items() if name in names}


def find_simulation(store: Traces, reference: str, name: str) -> str:
    """The id of the kept simulation that an id, or 6 characters of its beginning or more, means.

    Raises NotFound where there is none, UsageError where there are several, with the candidates.
    """
    trace_id = store.find(reference).id
    ids = _ids(store, trace_id)
    met = [each for each in ids if each.startswith(name.lower())] if len(name) >= SHORTEST_ID else []
    if len(met) == 1:
        return met[0]
    if met:
        raise UsageError(f"{name!r} is the beginning of {len(met)} simulations: {', '.join(met)}")
    there = f"there are {', '.join(ids)}" if ids else "none is kept; 'etgraph simulate --save' keeps one"
    if len(name) < SHORTEST_ID:
        there = f"an id takes {SHORTEST_ID} characters of its beginning or more; {there}"
    raise NotFound(f"no simulation {name!r} beside trace {trace_id[:12]}", hint=there)


def remove_simulation(store: Keeper, reference: str, name: str) -> str:
    """Delete a kept simulation, by its id or the beginning of it, and return its id.

    Answers on its timeline go first, and how it met other traces goes with it. Raises what `find_simulation` and the
    store raise.
    """
    trace_id = store.find(reference).id
    identity = find_simulation(store, trace_id, name)
    for kept in store.artefacts(trace_id):
        if _is_on(kept.key, identity):
            store.remove_artefact(trace_id, kept.kind, kept.key)
    store.remove_artefact(trace_id, simulation_tables.KIND, identity)
    return identity


def _is_on(key: str, simulation: str) -> bool:
    """Whether an artefact of that key is an answer on the timeline of a simulation: see `saving.place_of`."""
    try:
        made = json.loads(key)
    except ValueError:
        return False
    return isinstance(made, dict) and made.get("simulation") == simulation


def load_simulation(store: Traces, reference: str, name: str) -> Simulation:
    """A kept simulation, by its id or the beginning of it. Raises what `find_simulation` and the store raise."""
    trace_id = store.find(reference).id
    identity = find_simulation(store, trace_id, name)
    table = store.get_artefact(trace_id, simulation_tables.KIND, identity)
    if table is None:
        raise NotFound(f"simulation {identity} of trace {trace_id[:12]} was removed meanwhile")
    return from_table(table, Simulation, Simulation.FRAME)


def load_on(store: Traces, reference: str, simulation: str) -> Trace:
    """A stored trace on the timeline of one of its simulations. Raises what `load_simulation` raises."""
    found = load_simulation(store, reference, simulation)
    return found.on(store.load(store.find(reference).id))


def _ids(store: Traces, trace_id: str) -> list[str]:
    return [kept.key for kept in store.artefacts(trace_id) if kept.kind == simulation_tables.KIND]
