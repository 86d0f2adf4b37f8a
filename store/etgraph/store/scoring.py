"""Predictions meet what they predicted: simulations of a workload, scored against a trace that was measured later.

A simulation predicts a trace when it was kept beside another trace of the same workload, for a profile whose device is
the one that the trace recorded. Publishing a trace scores those; `score` does it for a trace that is there already.
"""

from __future__ import annotations

import re
import warnings
from typing import TYPE_CHECKING, Final

import numpy as np

from etgraph.model import Trace, simulation_tables
from etgraph.model.accuracy import Score, Validation, accuracy, with_nan
from etgraph.model.columns import Array
from etgraph.model.errors import EtgraphError, UsageError
from etgraph.model.numbering import distinct
from etgraph.store.protocol import Store
from etgraph.store.references import no_simulation
from etgraph.store.summary import iteration_infos

if TYPE_CHECKING:
    import pyarrow as pa

_NOT_OF_MODEL: Final = frozenset({"nvidia", "amd", "intel", "google", "tesla", "instinct", "gpu", "oam", ""})
"""Words of a device's name that do not tell one model from another."""


class ScoringWarning(UserWarning):
    """A trace was published, but a prediction of it could not be scored."""


def score(store: Store, reference: str) -> list[Validation]:
    """Score every prediction of a stored trace anew, and note it; those that were scored, by trace and simulation.

    Raises UsageError for a trace that is under no workload, or that recorded no device: nothing can be a prediction of
    it; and what the store raises.
    """
    found = store.find(reference)
    if found.workload is None or found.device_model is None:
        lacks = "workload" if found.workload is None else "name of its device"
        raise UsageError(
            f"trace {found.id[:12]}: found no {lacks}, expected one",
            hint="predictions of a trace are simulations of its workload, for a profile of the device that it recorded",
        )
    trace = store.load(found.id)
    predictions = _predictions(store, trace, found.workload)
    for trace_id, simulation in predictions:
        _score(store, trace, trace_id, simulation)
    noted = _noted(store, trace)
    return [noted[each] for each in predictions if each in noted]


def score_published(store: Store, trace: Trace, workload: str | None) -> None:
    """Score the predictions of a trace that has just been published, those that have not met it yet.

    What fails is a ScoringWarning: the trace is stored whatever comes of it.
    """
    if workload is None or trace.metadata.device_model is None:
        return
    try:
        predictions = _predictions(store, trace, workload)
        noted = _noted(store, trace) if predictions else {}
        for trace_id, simulation in predictions:
            if (trace_id, simulation) not in noted:
                _score(store, trace, trace_id, simulation)
    except EtgraphError as error:
        warnings.warn(ScoringWarning(f"trace {trace.trace_id[:12]} is stored, but not scored: {error}"), stacklevel=3)


def _predictions(store: Store, trace: Trace, workload: str) -> list[tuple[str, str]]:
    """Simulations of other traces of the workload, on the hardware of this one: their traces' ids and theirs."""
    found = []
    for trace_id, simulation in store.simulations_of(workload):
        if trace_id == trace.trace_id:
            continue
        schema = store.artefact_schema(trace_id, simulation_tables.KIND, simulation)
        facts = {} if schema is None else simulation_tables.facts_of(schema)
        hardware = facts.get(simulation_tables.HARDWARE)
        if hardware and same_device(hardware["device"], trace.metadata.device_model or ""):
            found.append((trace_id, simulation))
    return found


def _score(store: Store, trace: Trace, trace_id: str, simulation: str) -> None:
    """Score a simulation of another trace against this one, and note it."""
    table = store.get_artefact(trace_id, simulation_tables.KIND, simulation)
    if table is None:
        raise no_simulation(trace_id, simulation)
    store.put_validation(trace_id, simulation, trace.trace_id, compare(store.load(trace_id), table, trace))


def _noted(store: Store, trace: Trace) -> dict[tuple[str, str], Validation]:
    """How simulations of other traces met this one, by their traces' ids and theirs."""
    found = store.validations(trace.trace_id)
    return {(each.base, each.simulation): each for each in found if each.trace == trace.trace_id}


def same_device(one: str, other: str) -> bool:
    """Whether two names of devices may mean one: the words of either, vendors aside, are among those of the other.

    >>> same_device("AMD Instinct MI300X", "AMD Instinct MI300X OAM"), same_device("NVIDIA H100 PCIe", "NVIDIA H200")
    (True, False)
    """
    words = [set(re.split(r"[^a-z0-9]+", name.lower())) - _NOT_OF_MODEL for name in (one, other)]
    return all(words) and (words[0] <= words[1] or words[1] <= words[0])


def compare(base: Trace, nodes: pa.Table, measured: Trace) -> Score:
    """How the predicted times `nodes` of the trace `base` meet another trace; see `Score`."""
    o = base.operators
    start, duration, low, high = (nodes[name] for name in simulation_tables.TIMES)
    null = o.table.column("start_ns").null
    starts, durations = (each.fill_null(null).to_numpy() for each in (start, duration))
    predicted = base.with_times(starts, durations, timeline="simulation")
    basis, lengths = _lengths(predicted, measured)
    ours, theirs = lengths or (None, None)
    left, right = _partners(base, measured)
    met = accuracy(
        _floats(duration)[left], _floats(low)[left], _floats(high)[left],
        with_nan(measured.operators["duration_ns"], measured.operators.is_null("duration_ns"))[right],
    )  # fmt: skip
    counts = [int(np.count_nonzero(~each.operators.is_null("duration_ns"))) for each in (predicted, measured)]
    return Score(
        basis, ours, theirs, ours / theirs - 1 if ours is not None and theirs else None,
        met.operators, met.duration_error, met.interval_share, *(count - met.operators for count in counts),
    )  # fmt: skip


def _floats(column: pa.ChunkedArray) -> Array:
    import pyarrow as pa

    found: Array = column.cast(pa.float64()).fill_null(np.nan).to_numpy()
    return found


def _lengths(one: Trace, other: Trace) -> tuple[str | None, tuple[int, int] | None]:
    """What is compared, and it: the median step of each trace, their spans where neither has steps."""
    steps = [_steps(one), _steps(other)]
    if all(steps):
        return "step", (int(np.median(steps[0])), int(np.median(steps[1])))
    if any(steps):
        return None, None
    return "span", (one.span_ns, other.span_ns)


def _steps(trace: Trace) -> list[int]:
    """How long the iterations took, over all ranks."""
    known = ((each.start_ns, each.end_ns) for each in iteration_infos(trace))
    return [end - start for start, end in known if start is not None and end is not None]


def _partners(one: Trace, other: Trace) -> tuple[Array, Array]:
    """Rows of the operators of two traces that have the same rank, iteration, name, and position among those."""
    codes: dict[str | None, int] = {}
    structures = zip(_structure(one, codes), _structure(other, codes), strict=True)
    group, _ = distinct(*(np.concatenate(both) for both in structures))
    groups = group[: len(one)], group[len(one) :]
    position = [_positions(each) for each in groups]
    most = max(int(each.max(initial=0)) for each in position) + 1
    ours, theirs = (each * most + place for each, place in zip(groups, position))
    _, left, right = np.intersect1d(ours, theirs, assume_unique=True, return_indices=True)
    return left, right


def _structure(trace: Trace, codes: dict[str | None, int]) -> tuple[Array, Array, Array]:
    """Rank, index of the iteration (-1: none) and a number of the name of each operator; `codes` are known names."""
    o = trace.operators
    texts = [*o.texts("name").to_pylist(), None]
    name = np.array([codes.setdefault(text, len(codes)) for text in texts])[o["name"]]
    step = np.append(trace.iterations["index"].astype(np.int64), -1)[o["iteration"]]
    return o["rank"], step, name


def _positions(group: Array) -> Array:
    """For each entry how many before it are of its group."""
    order = np.argsort(group, kind="stable")
    first = np.flatnonzero(np.diff(group[order], prepend=-1))
    position = np.empty(len(group), dtype=np.int64)
    position[order] = np.arange(len(group)) - np.repeat(first, np.diff(np.append(first, len(group))))
    return position


__all__ = ["ScoringWarning", "compare", "same_device", "score", "score_published"]
