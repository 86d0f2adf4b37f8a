"""What mutations do. Outcomes that a client must reckon with are values: either what was done, or the error."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from etgraph.api.context import Context
from etgraph.api.fetch import analyses, catalogue, hardware, simulations
from etgraph.api.fetch.batches import One, alone
from etgraph.model.errors import EtgraphError, MissingData, NotFound, UsageError
from etgraph.store import TraceInfo, entry_of, scoring
from etgraph.store.errors import ReadOnlyStore
from etgraph.store.references import check_label

T = TypeVar("T")

EXPECTED: Final[tuple[type[EtgraphError], ...]] = (NotFound, UsageError, MissingData, ReadOnlyStore)
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


def outcome(context: Context, work: Callable[[], T]) -> T | Failed:
    """What a change gives, or the error that is its outcome. What was read before it is read again after it."""
    try:
        return work()
    except EXPECTED as error:
        return Failed(next(kind for kind in EXPECTED if isinstance(error, kind)), error.message, error.hint)
    finally:
        context.remembered.clear()


def tag(context: Context, reference: str, name: str) -> Done:
    """Let `workload@name` mean a trace."""
    found = context.store.find(reference)
    context.store.tag(reference, name)
    return Done(alone(entry_of(context.store, found.id, found.workload)))


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


def simulate(
    context: Context,
    reference: str,
    profile: str | None = None,
    iterations: Sequence[int] | None = None,
    *,
    save: bool,
) -> Done:
    """Run a trace, or some iterations of it, again or on other hardware."""
    on = None if profile is None else hardware.given_profile(profile)
    found = simulations.simulated(context, reference, on, iterations, save=save)
    return Done(catalogue.trace(context, reference), found)


def score(context: Context, reference: str) -> Done:
    """Score the simulations of a workload's other traces that predict a trace."""
    scoring.score(context.store, reference)
    return Done(catalogue.trace(context, reference))


def keep(
    context: Context, reference: str, question: str, choices: Mapping[str, Any] | None, simulation: str | None = None
) -> Done:
    """Keep an answer beside its trace."""
    analyses.keep(context, context.store.find(reference).id, question, choices or {}, simulation)
    return Done(catalogue.trace(context, reference))


__all__ = ["EXPECTED", "Done", "Failed", "delete", "keep", "label", "outcome", "score", "simulate", "tag", "untag"]
