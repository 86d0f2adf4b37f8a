"""Stragglers: who came late where ranks wait for each other, what the others lost by it, and why it was late."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

import numpy as np

from etgraph.model import Trace, Trust
from etgraph.model.arrivals import Arrivals, arrivals
from etgraph.model.columns import Array
from etgraph.model.errors import UsageError
from etgraph.model.meetings import taking_part
from etgraph.model.results import Result
from etgraph.model.sums import sum_by
from etgraph.queries.blame import PEERS, Causes, Lateness, causes, lateness
from etgraph.queries.critical_path import DETAILS
from etgraph.queries.lateness_patterns import REASONS, Pattern, Roots, in_words, patterns, roots
from etgraph.queries.rendezvous import TOGETHER_NS, Rendezvous, rendezvous
from etgraph.queries.trusting import trust_of
from etgraph.queries.walk import survey
from etgraph.queries.windows import Interval, Iterations, Window, left_out, operators_of, windows_of

if TYPE_CHECKING:
    import pandas as pd

Explain = Literal["costliest", "all"]
"""Of which rendezvous the causes are looked for."""
WALKS = 64
"""Ways of late ranks and their peers that are walked in 100,000 operators, in fewer as many more; for eight rendezvous
at least."""
MOST = 0.8
"""Where less than this of the waiting was looked into, the summary tells how much."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """When a member came, and how long it waited for the last one."""

    rank: int
    ns: int
    start_ns: int


@dataclass(frozen=True, slots=True)
class Cause:
    """Time of the late rank on its way to the rendezvous; `excess_ns` is that beyond the median of the others.

    The name is that of the operator, in the input pipeline that of its scope or annotation; null in pauses.
    """

    category: str
    detail: str
    name: str | None
    ns: int
    excess_ns: int | None


@dataclass(frozen=True, slots=True)
class LateRendezvous:
    """A collective, or a message whose receiver waited (type `SEND`, ranks the sender's and the receiver's).

    `index` is the collective's row in the trace; messages count on from there. `inherited_ns` is the waiting before the
    last rank left its previous rendezvous, `behind` that one's index. `blamed_ns` is all waiting, here and later, that
    goes back to what the last rank did before this one. `cause` is empty where it was not looked for.
    """

    index: int
    type: str
    group: str | None
    bytes: int | None
    iteration: int | None
    ranks: tuple[int, ...]
    last_rank: int
    last_ns: int
    wait_ns: tuple[Arrival, ...]
    waited_ns: int
    transfer_ns: int
    inherited_ns: int
    behind: int | None
    blamed_ns: int
    cause: tuple[Cause, ...]


@dataclass(frozen=True, slots=True)
class RankLateness:
    """Of a rank: how often it took part, how often it came last while others waited, the waiting it caused and had.

    `blamed_ns` is the waiting that goes back to what it did, found over all ranks that were late one behind another.
    """

    rank: int
    times_last: int
    wait_caused_ns: int
    wait_ns: int
    blamed_ns: int
    rendezvous: int


@dataclass(frozen=True, slots=True)
class Stragglers(Result):
    """Who waits for whom, and why. Times in ns, summed over ranks where nothing else is said.

    `communication_ns` is the time of all communication operators, as in `hotspots`: those of the window and those of
    other members of its rendezvous. `wait_ns` is the part of it before the last member of a rendezvous came,
    `wait_share` that as a share. `judged` rendezvous are in `collectives`, in order of the last member's start;
    `unjudged` are collectives with a member that is not recorded or has no times.
    """

    summary: str
    wait_ns: int
    communication_ns: int
    wait_share: float
    judged: int
    unjudged: int
    by_rank: tuple[RankLateness, ...]
    patterns: tuple[Pattern, ...]
    collectives: tuple[LateRendezvous, ...]
    trust: Trust

    FRAME: ClassVar[str] = "collectives"
    TABLE: ClassVar[str] = "by_rank"

    def headline(self) -> str:
        """The answer in a few words."""
        return self.summary

    def to_pandas(self) -> pd.DataFrame:
        """One row a member of a rendezvous: when it came, how long it waited, and what of it was said."""
        import pandas as pd

        return pd.DataFrame(list(_rows(self.collectives)), columns=_COLUMNS)


_COLUMNS = ["index", "type", "group", "bytes", "iteration", "rank", "start_ns", "wait_ns", "last_rank", "transfer_ns"]


def stragglers(
    trace: Trace,
    *,
    rank: int | None = None,
    iteration: Iterations = None,
    window: Window = "annotation",
    explain: Explain = "costliest",
) -> Stragglers:
    """Every rendezvous of the window: who came last, how long the others waited, and what the last one was doing.

    A rank waits from its own start to the last member's, within its operator; the rank that comes last is charged with
    it, several that come within 1 µs of the last in equal parts. The cause is the critical path on the late rank from
    the end of its previous rendezvous, of any group, to its operator's start; a rank without one entered late. With
    `rank`, the rendezvous in which it takes part. `explain` says whether causes are looked for at all rendezvous.

    A trace in which nobody meets has an answer without rendezvous. Raises MissingData where the trace has no such rank
    or iteration or no measured times, UsageError for another name of a window or of `explain`.
    """
    if explain not in get_args(Explain):
        raise UsageError(f"no way {explain!r} to explain: choose costliest or all")
    windows = windows_of(trace, rank, iteration, window, contiguous=False)
    came = arrivals(trace)
    met = rendezvous(trace, windows, came)
    late = lateness(trace, met)
    chosen = _costliest(trace, met, late, explain)
    every = windows if rank is None and iteration is None else windows_of(trace, None, None, window)
    why = causes(trace, met, chosen, {one.rank: one.start_ns for one in every}, survey(trace), came)
    origin = roots(trace, met, late, why)
    by_rank = _by_rank(trace, met, origin)
    times_last, caused = (
        np.array([getattr(one, name) for one in by_rank]) for name in ("times_last", "wait_caused_ns")
    )
    found = patterns(trace, met, late, why, origin, times_last, caused)
    waiting, spent = int(met.wait_ns.sum()), _communication_ns(trace, windows, met)
    return Stragglers(
        _summary(met, by_rank, found, origin),
        waiting,
        spent,
        waiting / spent if spent else 0.0,
        len(met),
        met.unjudged,
        tuple(one for one in by_rank if one.rendezvous),
        found,
        tuple(_collectives(trace, met, late, why, origin)),
        _trust(trace, met, late, why, origin, windows, rank, came),
    )


def _communication_ns(trace: Trace, windows: Sequence[Interval], met: Rendezvous) -> int:
    """Time of the communication operators of the windows, and of what others waited in for these."""
    asked = np.zeros(len(trace), dtype=bool)
    asked[operators_of(trace, windows)] = asked[met.row] = True
    rows = taking_part(trace)
    rows = rows[asked[rows] & trace.timed[rows]]
    return int(trace.operators["duration_ns"][rows].sum())


def _costliest(trace: Trace, met: Rendezvous, late: Lateness, explain: Explain) -> Array:
    """The rendezvous whose causes are looked for: those to which waiting goes back, by what goes back to each."""
    blamed = late.blamed_ns
    order = np.argsort(-blamed, kind="stable")
    order = order[blamed[order] > 0]
    if explain == "costliest":
        walks = np.cumsum(np.minimum(met.size[order], 1 + PEERS))
        most = WALKS * max(1, 100_000 // max(len(trace), 1))
        order = order[: max(8, int(np.searchsorted(walks, most, side="right")))]
    return np.sort(order)


def _by_rank(trace: Trace, met: Rendezvous, origin: Roots) -> list[RankLateness]:
    """All ranks of the trace. Those that came last together share the charge; what cannot be divided has the last."""
    ranks = len(trace.ranks)
    place = np.searchsorted(trace.ranks, trace.operators["rank"][met.row])
    waited, several = met.sums(met.wait_ns), met.sums(met.last.astype(np.int64))
    caused = np.where(met.last, (waited // np.maximum(several, 1))[met.of], 0)
    caused[met.late] += waited % np.maximum(several, 1)
    late = met.last & (several < met.size)[met.of]
    columns = (
        np.bincount(place[late], minlength=ranks),
        sum_by(place, caused, ranks),
        sum_by(place, met.wait_ns, ranks),
        sum_by(place[met.late], origin.ns.sum(axis=1), ranks),
        np.bincount(place, minlength=ranks),
    )
    return [RankLateness(*row) for row in zip(trace.ranks, *(column.tolist() for column in columns))]


def _collectives(trace: Trace, met: Rendezvous, late: Lateness, why: Causes, origin: Roots) -> Iterator[LateRendezvous]:
    o, i = trace.operators, trace.iterations
    by = _causes(why, len(met))
    row = met.row
    step = np.where(o["iteration"][row[met.late]] >= 0, i["index"][o["iteration"][row[met.late]]] if len(i) else -1, -1)
    members = [Arrival(*one) for one in zip(*(c.tolist() for c in (o["rank"][row], met.wait_ns, o["start_ns"][row])))]
    number = met.number.tolist()
    columns = (
        number, met.offsets[:-1].tolist(), met.offsets[1:].tolist(), met.late.tolist(), met.last_ns.tolist(),
        met.sums(met.wait_ns).tolist(), (met.end_ns - met.last_ns).tolist(), late.own_ns.tolist(), late.behind.tolist(),
        origin.ns.sum(axis=1).tolist(), step.tolist(), row[met.late].tolist(), by,
    )  # fmt: skip
    for k, first, end, last, last_ns, waited, transfer, own, behind, blamed, index, operator, cause in zip(*columns):
        kind, group, size = _what(trace, k, operator, int(row[end - 1]))
        arrived = tuple(members[first:end])
        yield LateRendezvous(
            k, kind, group, size, index if index >= 0 else None, tuple(one.rank for one in arrived),
            members[last].rank, last_ns, arrived, waited, max(transfer, 0), waited - own,
            number[behind] if behind >= 0 else None, blamed, cause,
        )  # fmt: skip


def _what(trace: Trace, number: int, late: int, other: int) -> tuple[str, str | None, int | None]:
    """Type, name of the group and bytes of a collective, or of a message of which these are two operators."""
    c, o = trace.collectives, trace.operators
    if number < len(c):
        kind, group = c.value("type", number), int(c["group"][number])
        size = c.value("bytes", number)
        name = getattr(kind, "name", str(kind))
    else:
        name, group = "SEND", max(int(o["group"][late]), int(o["group"][other]))
        size = o.value("comm_bytes", other) if o.value("comm_bytes", other) is not None else o.value("comm_bytes", late)
    return name, trace.process_groups.value("name", group) if group >= 0 else None, size


def _causes(why: Causes, count: int) -> list[tuple[Cause, ...]]:
    found: list[list[Cause]] = [[] for _ in range(count)]
    columns = (why.of, why.detail, why.name, why.ns, why.excess_ns, why.compared)
    for k, detail, name, ns, excess, compared in zip(*(column.tolist() for column in columns)):
        category, kind = DETAILS[detail]
        called = why.names[name] if name >= 0 else None
        found[k].append(Cause(category, kind, called, ns, excess if compared else None))
    return [tuple(rows) for rows in found]


def _rows(collectives: Sequence[LateRendezvous]) -> Iterator[tuple[Any, ...]]:
    for one in collectives:
        for member in one.wait_ns:
            yield (
                one.index, one.type, one.group, one.bytes, one.iteration, member.rank, member.start_ns, member.ns,
                one.last_rank, one.transfer_ns,
            )  # fmt: skip


def _summary(met: Rendezvous, by_rank: Sequence[RankLateness], found: Sequence[Pattern], origin: Roots) -> str:
    """The answer as a sentence or two."""
    if not len(met):
        return "No rendezvous to judge: no collective or message whose ranks wait for each other is recorded whole"
    waiting = int(met.wait_ns.sum())
    if not waiting:
        return f"Nobody waited at {len(met):,} rendezvous"
    times = int(np.count_nonzero(met.apart))
    if not times:
        return (
            f"Nobody is late: ranks came within {TOGETHER_NS / 1e3:g} µs of each other at {len(met):,} rendezvous, "
            f"and waited {in_words(waiting)} in all"
        )
    worst = max(by_rank, key=lambda one: one.wait_caused_ns)
    told = (
        f"Rank {worst.rank} is last in {worst.times_last:,} of {times:,} rendezvous at which ranks waited, and causes "
        f"{in_words(worst.wait_caused_ns)} of {in_words(waiting)} of waiting ({worst.wait_caused_ns / waiting:.0%})"
    )
    reasons = [one for one in found if one.pattern in REASONS]
    if reasons:
        first, looked_into = reasons[0], origin.looked_into_ns
        ranks, who = "rank" if len(first.ranks) == 1 else "ranks", ", ".join(map(str, first.ranks))
        part = f"{first.share:.0%} of it"
        if looked_into < MOST * waiting:
            part = f"Of the {looked_into / waiting:.0%} that was looked into, {first.wait_ns / looked_into:.0%}"
        told += f". {part} goes back to {first.pattern.replace('-', ' ')} on {ranks} {who}"
        told += f": {first.evidence}" if first.evidence else ""
    return told


def _trust(
    trace: Trace, met: Rendezvous, late: Lateness, why: Causes, origin: Roots, windows: Sequence[Interval],
    rank: int | None, came: Arrivals,
) -> Trust:  # fmt: skip
    warnings = list(left_out(trace, windows, rank))
    if met.unjudged:
        many = "1 collective is" if met.unjudged == 1 else f"{met.unjudged:,} collectives are"
        warnings.append(f"{many} not judged: a member is not recorded, or has no times")
    waiting = int(met.wait_ns.sum())
    blamed = late.blamed_ns
    wanted = int(np.count_nonzero(blamed))
    if len(why.chosen) < wanted:
        share = origin.looked_into_ns / waiting
        warnings.append(
            f"causes were looked for at the {len(why.chosen):,} costliest of {wanted:,} rendezvous, "
            f"which {share:.0%} of the waiting goes back to"
        )
    known = int(origin.ns[:, :-2].sum() + late.queued_ns.sum())
    explained = min(known / waiting, 1.0) if waiting else None
    return trust_of(trace, operators_of(trace, windows), came=came, explained_share=explained, warnings=warnings)


__all__ = ["Arrival", "Cause", "LateRendezvous", "Pattern", "RankLateness", "Stragglers", "stragglers"]
