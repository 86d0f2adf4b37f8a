"""Short forms of what the stragglers' answer says, for tests."""

from __future__ import annotations

from typing import Any

from etgraph.model import Trace
from etgraph.queries import Stragglers, stragglers
from etgraph.queries.stragglers import LateRendezvous


def one(trace: Trace, **question: Any) -> LateRendezvous:
    """The only rendezvous."""
    (found,) = stragglers(trace, **question).collectives
    return found


def waits(met: LateRendezvous) -> dict[int, int]:
    return {member.rank: member.ns for member in met.wait_ns}


def cause(met: LateRendezvous) -> dict[str, tuple[int, int | None]]:
    """What the late rank did: name, or detail in pauses, with its time and what of it is more than the others'."""
    return {row.name or row.detail: (row.ns, row.excess_ns) for row in met.cause}


def by_rank(result: Stragglers) -> dict[int, tuple[int, int]]:
    return {row.rank: (row.times_last, row.wait_caused_ns) for row in result.by_rank}


def found(result: Stragglers) -> dict[str, tuple[int, ...]]:
    return {row.pattern: row.ranks for row in result.patterns}
