"""Blame: whose lateness ranks wait for at a rendezvous, and what the late ranks did meanwhile.

A rank is late at a rendezvous by what it did since its previous one. Part of the waiting may lie before that: then the
previous rendezvous was late already, and what made it late is to blame, on whatever rank that was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from etgraph.model import DependencyKind, Trace
from etgraph.model.arrivals import Arrivals
from etgraph.model.columns import Array
from etgraph.model.sums import sum_by
from etgraph.queries.critical_path import DETAILS, details
from etgraph.queries.input_pipeline import Labels, labels
from etgraph.queries.rendezvous import Rendezvous, previous_rendezvous
from etgraph.queries.walk import Steps, Terrain, walk
from etgraph.queries.windows import Interval

PEERS = 7
"""Other members with which a late rank is compared; of more, as many at equal distances."""

LATE_ENTRY = DETAILS.index(("idle", "late-entry"))


@dataclass(frozen=True, slots=True)
class Lateness:
    """Since when each rendezvous' last rank has been on its way, and what waiting goes back to that; times in ns.

    By rendezvous: `since_ns` is the end of the late rank's previous rendezvous (the least integer where it had none),
    `behind` that one's position (-1: none, or none that was judged), `own_ns` the part of the waiting after `since_ns`,
    `queued_ns` that during transfers of earlier rendezvous on the way back.
    By share of waiting: `waiting` says at which rendezvous `ns` were waited, `blamed` at which one the path ended that
    they were waited for. What goes back to a rendezvous that was not judged is in neither.
    """

    since_ns: Array
    behind: Array
    own_ns: Array
    queued_ns: Array
    waiting: Array
    blamed: Array
    ns: Array

    @property
    def blamed_ns(self) -> Array:
        """By rendezvous: all waiting, there and later, for the path that led its last rank there."""
        return sum_by(self.blamed, self.ns, len(self.since_ns))


@dataclass(frozen=True, slots=True)
class Causes:
    """What late ranks did, row by row: rendezvous, position in `DETAILS`, name (a position in `names`, -1: none), ns.

    `excess_ns` is what the late rank spent on it beyond the median of the other members, where `compared` says that
    there are such. `input` marks what belongs to the input pipeline. `lag_ns` is the excess of all that the late rank
    did before each of the `chosen` rendezvous, -1 where there is nobody to compare it with.
    """

    chosen: Array
    lag_ns: Array
    of: Array
    detail: Array
    name: Array
    ns: Array
    excess_ns: Array
    compared: Array
    input: Array
    names: Sequence[str]


def lateness(trace: Trace, met: Rendezvous) -> Lateness:
    """Follow the waiting at every rendezvous back over the ranks that were late. O(shares of waiting)."""
    never, count = np.iinfo(np.int64).min, len(met)
    start = trace.operators["start_ns"][met.row]
    previous = previous_rendezvous(trace, met.row[met.late])
    since = np.where(previous >= 0, trace.end_ns[previous], never)
    at = np.full(len(trace) + 1, -1, dtype=np.int64)  # the place of -1 is the last one
    at[met.row] = met.of
    behind = at[previous]

    def waited(which: Array, low: Array, high: Array) -> Array:
        """Waiting at those rendezvous between two moments each."""
        size = met.size[which]
        of = np.repeat(np.arange(len(which)), size)
        member = np.repeat(met.offsets[which] - np.cumsum(size) + size, size) + np.arange(size.sum())
        first = np.maximum(start[member], low[of])
        ns = np.minimum(start[member] + met.wait_ns[member], high[of]) - first
        return sum_by(of, np.maximum(ns, 0), len(which))

    which = blamed = np.arange(count)
    until = met.last_ns
    queued = np.zeros(count, dtype=np.int64)
    shares = []
    while True:
        shares.append((which, blamed, waited(which, since[blamed], until)))
        # An operator of no duration may end where the one before it does: the way back has to go back.
        goes_on = (waited(which, np.full(len(which), never), since[blamed]) > 0) & (behind[blamed] >= 0)
        goes_on &= since[behind[blamed]] < since[blamed]
        if not goes_on.any():
            break
        which, left = which[goes_on], since[blamed[goes_on]]
        blamed = behind[blamed[goes_on]]
        until = np.minimum(met.last_ns[blamed], left)
        queued += sum_by(which, waited(which, until, left), count)
    own = shares[0][2]
    which, blamed, ns = (np.concatenate(part) for part in zip(*shares))
    some = ns > 0
    return Lateness(since, behind, own, queued, which[some], blamed[some], ns[some])


def causes(
    trace: Trace, met: Rendezvous, chosen: Array, entries: Mapping[int, int], terrain: Terrain, came: Arrivals
) -> Causes:
    """What led the late ranks of the chosen rendezvous there, largest first, beside what led the others there.

    `entries` are the starts of the ranks' windows: a rank without a previous rendezvous is looked at from there, and
    what is later than the first of the members' starts is its late entry. The receiver of a message does other work
    than its sender and is not compared with it.
    """
    members, of, late = _members(met, chosen)
    compared = late | (met.number[chosen] < len(trace.collectives))[of]
    ways = _ways(trace, met, members[compared], of[compared], late[compared], _entries(trace, met, entries), chosen)
    owner, steps = _walked(trace, ways, terrain)
    names = labels(trace, steps, ways.rank[owner])
    entered = np.flatnonzero(ways.entered_ns > 0)
    detail = np.append(details(trace, steps, came), np.full(len(entered), LATE_ENTRY))
    label = np.append(names.code, np.full(len(entered), -1))
    key = detail * (len(names.names) + 1) + label + 1
    ns = np.append(steps.end_ns - steps.start_ns, ways.entered_ns[entered])
    return _compared(chosen, ways, np.append(owner, entered)[ns > 0], key[ns > 0], ns[ns > 0], names)


@dataclass(frozen=True, slots=True)
class _Ways:
    """One way a member: which rendezvous it leads to, whether it is that of the late one, and what to walk.

    From `begin` to `end` on `rank`, back from an operator on a lane, or from a lane where the operator is -1.
    """

    of: Array
    late: Array
    rank: Array
    lane: Array
    operator: Array
    begin_ns: Array
    end_ns: Array
    entered_ns: Array


def _members(met: Rendezvous, chosen: Array) -> tuple[Array, Array, Array]:
    """The late member of each chosen rendezvous and those it is compared with: place, position in `chosen`, late."""
    places, of, late = [], [], []
    for position, k in enumerate(chosen.tolist()):
        others = np.arange(met.offsets[k], met.offsets[k + 1])
        others = others[others != met.late[k]]
        if len(others) > PEERS:
            others = others[np.linspace(0, len(others) - 1, PEERS).round().astype(np.int64)]
        places.append(np.append(met.late[k], others))
        of.append(np.full(len(others) + 1, position))
        late.append(np.arange(len(others) + 1) == 0)
    if not places:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), np.zeros(0, dtype=bool)
    return np.concatenate(places), np.concatenate(of), np.concatenate(late)


def _entries(trace: Trace, met: Rendezvous, entries: Mapping[int, int]) -> Array:
    """When each member's rank entered: the start of its window, or of its operator if that comes before."""
    rank, start = (trace.operators[name][met.row] for name in ("rank", "start_ns"))
    known = np.array([entries.get(one, np.iinfo(np.int64).max) for one in trace.ranks], dtype=np.int64)
    found: Array = np.minimum(known[np.searchsorted(trace.ranks, rank)], start)
    return found


def _ways(
    trace: Trace, met: Rendezvous, members: Array, of: Array, late: Array, entries: Array, chosen: Array
) -> _Ways:
    """The ways that lead to the operators of members: since the previous rendezvous, else since the rank's entry.

    The others' operators may queue: they were issued before the previous rendezvous ended, by work that was done
    before, too. Such a member is looked at from one issue to the next. Left out are those of which the issues are not
    known, and those that come from elsewhere than the late one: from another operation, or from their entry.
    """
    o, end, rows = trace.operators, trace.end_ns, met.row[members]
    start, rank = o["start_ns"][rows], o["rank"][rows]
    previous = previous_rendezvous(trace, rows)
    first = np.minimum.reduceat(entries, met.offsets[:-1])[chosen] if len(met) else entries
    begin = np.where(previous >= 0, end[previous], entries[members])
    entered = np.where(previous >= 0, 0, entries[members] - first[of])
    came_from = np.where(previous >= 0, o["name"][previous], -1)
    issue = np.append(_issues(trace), -1)  # the place of -1 is the last one
    issued, before = issue[rows], issue[previous]
    queued = ~late & (previous >= 0) & (issued >= 0) & (end[issued] < begin)
    comparable = (came_from == came_from[late][of]) & (~queued | ((before >= 0) & (end[before] <= end[issued])))
    ways = _Ways(
        of, late, rank,
        np.where(queued, o["lane"][issued], o["lane"][rows]),
        np.where(queued, -1, rows),
        np.where(queued, end[before], begin),
        np.where(queued, end[issued], start),
        entered,
    )  # fmt: skip
    return _Ways(*(getattr(ways, name)[late | comparable] for name in _Ways.__dataclass_fields__))


def _issues(trace: Trace) -> Array:
    """The call that issued each operator, -1 where it is not known."""
    d = trace.dependencies
    edges = np.flatnonzero(np.isin(d["kind"], (int(DependencyKind.LAUNCH), int(DependencyKind.SPAWN))))
    issues = np.full(len(trace), -1, dtype=np.int64)
    issues[d["dst"][edges]] = d["src"][edges]
    return issues


def _walked(trace: Trace, ways: _Ways, terrain: Terrain) -> tuple[Array, Steps]:
    """The steps of all ways, and of which way each is."""
    found, owner = [], []
    columns = (ways.rank, ways.begin_ns, ways.end_ns, ways.lane, ways.operator)
    for position, window in enumerate(map(Interval, *(column.tolist() for column in columns))):
        if window.start_ns < window.end_ns:
            found.append(walk(trace, (window,), terrain=terrain))
            owner.append(np.full(len(found[-1].operator), position))
    none = np.zeros(0, dtype=np.int64)
    steps = Steps(
        *(np.concatenate([getattr(one, name) for one in found] or [none]) for name in Steps.__dataclass_fields__)
    )
    return np.concatenate(owner or [none]), steps


def _compared(chosen: Array, ways: _Ways, owner: Array, key: Array, ns: Array, names: Labels) -> Causes:
    """Sums by what was done: the rows of the late members, beside the median of the others on the same."""
    width = int(key.max(initial=0)) + 1
    keys, inverse = np.unique(owner * width + key, return_inverse=True)
    spent = sum_by(inverse, ns, len(keys))
    owner, key = keys // width, keys % width
    same, late = ways.of[owner] * width + key, ways.late[owner]  # who does the same towards the same rendezvous
    mine, theirs = np.flatnonzero(late), np.flatnonzero(~late)
    place = np.searchsorted(same[mine], same[theirs])
    found = np.append(same[mine], -1)[place] == same[theirs]
    others = np.bincount(ways.of[~ways.late], minlength=len(chosen))
    number = np.cumsum(~ways.late) - 1
    number -= (np.cumsum(others) - others)[ways.of]  # of a peer, among those of its rendezvous
    beside = np.zeros((len(mine), PEERS), dtype=np.int64)
    beside[place[found], number[owner[theirs[found]]]] = spent[theirs[found]]
    of, peers = ways.of[owner[mine]], others[ways.of[owner[mine]]]
    median = _medians(beside, peers)
    by = np.lexsort((key[mine], -spent[mine], of))
    of, key, ns, peers, median = of[by], key[mine][by], spent[mine][by], peers[by], median[by]
    detail, label = np.divmod(key, len(names.names) + 1)
    is_input = np.append(names.input, False)[label - 1]  # the place of -1 is the last one
    excess = np.where(peers > 0, ns - median, 0)
    lag = _lags(ways, number, others, sum_by(owner, spent, len(ways.of)))
    return Causes(chosen, lag, chosen[of], detail, label - 1, ns, excess, peers > 0, is_input, names.names)


def _lags(ways: _Ways, number: Array, others: Array, ns: Array) -> Array:
    """What the late members' ways took beyond the median of the others'."""
    beside = np.zeros((len(others), PEERS), dtype=np.int64)
    beside[ways.of[~ways.late], number[~ways.late]] = ns[~ways.late]
    lag = np.maximum(ns[ways.late] - _medians(beside, others), 0)
    found: Array = np.where(others > 0, lag, -1)
    return found


def _medians(values: Array, count: Array) -> Array:
    """The median of the first `count` values of each row, 0 of none; between two of them, the mean rounded down."""
    sorted_values = np.where(np.arange(values.shape[1]) < count[:, None], values, np.iinfo(np.int64).max)
    sorted_values.sort(axis=1)
    row = np.arange(len(values))
    low, high = (sorted_values[row, np.clip(place, 0, None)] for place in ((count - 1) // 2, count // 2))
    found: Array = np.where(count > 0, low + (high - low) // 2, 0)
    return found


__all__ = ["LATE_ENTRY", "PEERS", "Causes", "Lateness", "causes", "lateness"]
