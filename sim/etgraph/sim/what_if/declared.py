"""The changes of a run that can be asked for: what an option, a row of a file, or a Python call says of one.

Each dataclass declares its file form, as those of profiles do: reading, the JSON Schema and the documentation follow
from it. PATTERNs are those of `etgraph.sim.edits.matching`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Final, Literal, TypeAlias

from etgraph.model import CommType
from etgraph.model.errors import UsageError
from etgraph.model.settings.declaration import AtLeast, AtMost, OneOf
from etgraph.model.settings.units import SIZE, TIME, write
from etgraph.sim.bounds import MOST_FACTOR, MOST_TIMES
from etgraph.sim.communication.algorithms import type_name

Place = Literal["last", "first", "each"]
"""After which of the operators that a pattern names: of each rank and iteration the last or first, or after each."""

COLLECTIVES: Final[Mapping[str, CommType]] = MappingProxyType({type_name(int(type)): type for type in CommType})
"""Types of collectives by the names that files use."""


def _collectives() -> tuple[str, ...]:
    return tuple(COLLECTIVES)


@dataclass(frozen=True, slots=True)
class Scale:
    """Own time of operators times a factor: on threads without what they enclose, of collectives the transfer."""

    pattern: Annotated[str, "which operators"]
    factor: Annotated[float, AtLeast(0), AtMost(MOST_FACTOR), "times the time that they take: 0.5 is twice as fast"]


@dataclass(frozen=True, slots=True)
class Remove:
    """Without operators, what they enclose and launch, and their peers in collectives."""

    pattern: Annotated[str, "which operators"]


@dataclass(frozen=True, slots=True)
class Work:
    """More work on a thread or stream, that takes a given time, or what operators of the trace do."""

    after: Annotated[str, "the operators that it follows"]
    time_ns: Annotated[int | None, TIME, "what it takes"] = None
    like: Annotated[str, "else: it takes what these operators do, drawn from what they were measured to take"] = ""
    count: Annotated[int, AtLeast(1), AtMost(MOST_TIMES), "how often, one after another"] = 1
    place: Annotated[Place, "after the `last` or `first` of them in each rank's iteration, or after `each`"] = "last"

    def __post_init__(self) -> None:
        """Raise UsageError where neither or both of time and like are given."""
        _one_of("time", self.time_ns is not None, "like", bool(self.like))


@dataclass(frozen=True, slots=True)
class Collective:
    """More collectives of all ranks on which there is a place for them."""

    after: Annotated[str, "the operators that it is issued after, on every rank that is to take part"]
    type: Annotated[str, OneOf(_collectives), "what it does"]
    size_bytes: Annotated[int, SIZE, "as nccl-tests counts it: of an all-gather what each rank has in the end"] = 0
    time_ns: Annotated[int | None, TIME, "what it takes once all are there; else drawn from what was measured"] = None
    count: Annotated[int, AtLeast(1), AtMost(MOST_TIMES), "how often, one after another"] = 1
    awaited: Annotated[str, "operators that do not start before it has ended; else it is awaited at once"] = ""
    place: Annotated[Place, "after the `last` or `first` of them in each rank's iteration, or after `each`"] = "last"


@dataclass(frozen=True, slots=True)
class Split:
    """Collectives in parts, each issued when its share of the gradients is there, where the trace tells that."""

    pattern: Annotated[str, "which collectives"]
    parts: Annotated[int, AtLeast(1), AtMost(MOST_TIMES), "how many parts of each"]


@dataclass(frozen=True, slots=True)
class Merge:
    """Collectives of an iteration as one a group, ranks and type, as far as none is needed before all are issued."""

    pattern: Annotated[str, "which collectives"]


@dataclass(frozen=True, slots=True)
class Overlap:
    """Operators out of the way of the others on their lanes: nothing waits for them until the iteration's end."""

    pattern: Annotated[str, "which operators"]


@dataclass(frozen=True, slots=True)
class LaunchLatency:
    """Another time from the end of a launching call until the device can start."""

    latency_ns: Annotated[int | None, TIME, "what it takes"] = None
    factor: Annotated[float | None, AtLeast(0), AtMost(MOST_FACTOR), "else: times what it took"] = None

    def __post_init__(self) -> None:
        """Raise UsageError where neither or both are given."""
        _one_of("latency", self.latency_ns is not None, "factor", self.factor is not None)


@dataclass(frozen=True, slots=True)
class QueueDepth:
    """Launch queues that hold so many launches of a rank."""

    depth: Annotated[int, AtLeast(1), "launches that a queue holds: a further one waits"]


@dataclass(frozen=True, slots=True)
class Buckets:
    """Gradient buckets of another size."""

    size_bytes: Annotated[int, SIZE, "at which a bucket is full"]


Change: TypeAlias = (
    Scale | Remove | Work | Collective | Split | Merge | Overlap | LaunchLatency | QueueDepth | Buckets
)  # fmt: skip

CHANGES: Final[Mapping[str, type]] = MappingProxyType(
    {
        "scale": Scale,
        "remove": Remove,
        "work": Work,
        "collective": Collective,
        "split": Split,
        "merge": Merge,
        "overlap": Overlap,
        "launch-latency": LaunchLatency,
        "queue-depth": QueueDepth,
        "buckets": Buckets,
    }
)
"""The changes by the names that files use."""

NAMES: Final[Mapping[type, str]] = MappingProxyType({kind: name for name, kind in CHANGES.items()})


def in_words(change: Change) -> str:
    """A change as a reader is told of it.

    >>> in_words(Scale("aten::mm@1", 0.5)), in_words(Buckets(25_000_000))
    ('aten::mm@1 × 0.5', 'buckets of 25 MB')
    """
    match change:
        case Scale(pattern, factor):
            return f"{pattern} × {factor:g}"
        case Remove(pattern):
            return f"without {pattern}"
        case Work(after, ns, like, count):
            what = f"work like {like}" if ns is None else f"work of {write(ns, TIME)}"
            return f"{count} × {what} after {after}"
        case Collective(after, type, size, ns, count, awaited):
            took = "" if ns is None else f", {write(ns, TIME)} each"
            until = f", awaited by {awaited}" if awaited else ""
            return f"{count} × {type} of {write(size, SIZE)}{took} after {after}{until}"
        case Split(pattern, parts):
            return f"{pattern} in {parts} parts"
        case Merge(pattern):
            return f"{pattern} merged"
        case Overlap(pattern):
            return f"{pattern} overlapped"
        case LaunchLatency(ns, factor):
            return f"launch latency × {factor:g}" if ns is None else f"launch latency of {write(ns, TIME)}"
        case QueueDepth(depth):
            return f"a launch queue of {depth}"
        case Buckets(size):
            return f"buckets of {write(size, SIZE)}"


def _one_of(first: str, has_first: bool, second: str, has_second: bool) -> None:
    if has_first == has_second:
        found = "both" if has_first else "neither"
        raise UsageError(f"found {found} of {first} and {second}, expected one of them")


__all__ = [
    "CHANGES",
    "COLLECTIVES",
    "NAMES",
    "Buckets",
    "Change",
    "Collective",
    "LaunchLatency",
    "Merge",
    "Overlap",
    "Place",
    "QueueDepth",
    "Remove",
    "Scale",
    "Split",
    "Work",
    "in_words",
]
