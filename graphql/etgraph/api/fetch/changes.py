"""What mutations do. Outcomes that a client must reckon with are values: either what was done, or the error."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from etgraph.api.access import require
from etgraph.api.access.audit import DONE
from etgraph.api.context import Context
from etgraph.api.errors import INTERNAL, Forbidden
from etgraph.api.fetch import analyses, catalogue, hardware, jobs, simulations, standing
from etgraph.api.fetch.batches import One, alone
from etgraph.api.jobs.job import Job
from etgraph.model.errors import EtgraphError, MissingData, NotFound, UsageError
from etgraph.queries import load_simulation, remove_simulation
from etgraph.sim.simulation import Simulation
from etgraph.store import TraceInfo, entry_of, scoring
from etgraph.store.errors import ReadOnlyStore
from etgraph.store.references import check_label

T = TypeVar("T")

EXPECTED: Final[tuple[type[EtgraphError], ...]] = (NotFound, UsageError, MissingData, ReadOnlyStore, Forbidden)
"""Errors that are outcomes; all others are errors of the request."""


@dataclass(frozen=True, slots=True)
class Done:
    """What a change gives: the trace as it is now, and more where there is more to tell."""

    trace: One[TraceInfo] | None = None
    more: Any = None


@dataclass(frozen=True, slots=True)
class Failed:
    """An error as a value: graphql-core raises errors that it is given."""

    kind: type[EtgraphError]
    message: str
    hint: str | None


def outcome(context: Context, action: str, arguments: Mapping[str, Any], work: Callable[[], T]) -> T | Failed:
    """What a change gives, or the error that is its outcome; either is noted in the log of writes.

    What was read before the change is read again after it.
    """
    told = INTERNAL
    try:
        found = work()
        told = DONE
        return found
    except EXPECTED as error:
        told = error.code
        return Failed(next(kind for kind in EXPECTED if isinstance(error, kind)), error.message, error.hint)
    except EtgraphError as error:
        told = error.code
        raise
    finally:
        context.remembered.clear()
        if context.audit is not None:
            context.audit.note(context.viewer, action, arguments, told, context.request_id)


def tag(context: Context, reference: str, name: str) -> Done:
    """Let `workload@name` mean a trace."""
    found = context.store.find(reference)
    context.store.tag(reference, name)
    tagged = entry_of(context.store, found.id, found.workload)
    standing.checked_beside(context, tagged, name)
    return Done(alone(tagged))


def untag(context: Context, workload: str, name: str) -> Done:
    """Take a tag away."""
    context.store.untag(workload, name)
    return Done(more=(workload, name))


def label(context: Context, reference: str, labels: Mapping[str, str]) -> Done:
    """Set labels on a trace's entry: all of them, or none where one is malformed."""
    found = context.store.find(reference)
    for key, value in labels.items():
        check_label(key, value)
    for key, value in labels.items():
        context.store.label(reference, key, value)
    return Done(alone(entry_of(context.store, found.id, found.workload)))


def delete(context: Context, reference: str) -> Done:
    """Delete a trace with all its names."""
    found = context.store.find(reference)
    context.store.remove(found.id)
    return Done(more=found.id)


@dataclass(frozen=True, slots=True)
class Simulated:
    """A simulation, where there is one yet, and the job that keeps it."""

    simulation: Simulation | None
    job: One[Job] | None = None


def simulate(
    context: Context,
    reference: str,
    profile: str | None = None,
    iterations: Sequence[int] | None = None,
    *,
    save: bool,
    wait: bool,
) -> Done:
    """Run a trace, or iterations of it, again or on other hardware: here where it is not kept, else by a job."""
    require(context.viewer, "simulate")
    hardware_of = None if profile is None else hardware.given_profile(profile)
    if save and iterations is not None:
        raise UsageError("iterations: found some, expected none with save: a simulation is kept of a whole trace")
    if not save:
        found = Simulated(simulations.simulated(context, reference, hardware_of, iterations))
    else:
        context.store.owned(reference)
        job = jobs.simulation(context, reference, profile, wait=wait)
        (trace_id,) = job.trace_ids or (None,)
        kept = load_simulation(context.store, trace_id, job.simulation) if trace_id and job.simulation else None
        found = Simulated(kept, job)
    return Done(catalogue.trace(context, reference), found)


def drop_simulation(context: Context, reference: str, simulation: str) -> Done:
    """Delete a simulation that is kept beside a trace."""
    require(context.viewer, "simulate")
    removed = remove_simulation(context.store, context.store.find(reference).id, simulation)
    return Done(catalogue.trace(context, reference), removed)


def score(context: Context, reference: str) -> Done:
    """Score the simulations of a workload's other traces that predict a trace."""
    require(context.viewer, "simulate")
    scoring.score(context.store, reference)
    return Done(catalogue.trace(context, reference))


def keep(
    context: Context,
    reference: str,
    question: str,
    choices: Mapping[str, Any] | None = None,
    simulation: str | None = None,
) -> Done:
    """Keep an answer beside its trace."""
    require(context.viewer, "simulate")
    analyses.keep(context, context.store.find(reference).id, question, choices or {}, simulation)
    return Done(catalogue.trace(context, reference))


def cancel_job(context: Context, id: str) -> Done:
    """Have a job stopped."""
    return Done(more=jobs.cancel(context, id))


__all__ = [
    "EXPECTED", "Done", "Failed", "cancel_job", "delete", "drop_simulation", "keep", "label", "outcome", "score",
    "simulate", "tag", "untag",
]  # fmt: skip
