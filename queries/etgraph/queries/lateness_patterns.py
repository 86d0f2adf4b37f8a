"""Patterns of lateness: a closed list of who is late and why, each with what speaks for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from etgraph.model import Trace
from etgraph.model.columns import Array
from etgraph.queries.blame import LATE_ENTRY, Causes, Lateness
from etgraph.queries.critical_path import DETAILS
from etgraph.queries.rendezvous import Rendezvous

REASONS: tuple[str, ...] = (
    "late-entry", "input-pipeline", "compute-imbalance", "host-jitter", "communication", "message-order",
    "unexplained", "same-work",
)  # fmt: skip
"""Why ranks are late, as far as it is known: the closed list."""
PATTERNS: tuple[str, ...] = ("same-rank", "rotating", "behind-another", *REASONS[:-1])
"""What may be found, in the order in which it is told."""
LEAST_SHARE = 0.05
"""A reason for less of the waiting that was looked into is not told."""
NAMED = 4
"""Ranks that a pattern names at most: those with most of it."""

_REASON_OF = {
    "computation": "compute-imbalance", "memory": "compute-imbalance", "cpu": "host-jitter", "launch": "host-jitter",
    "communication": "communication",
}  # fmt: skip
_REASON_OF_PAUSE = {"late-entry": "late-entry", "unexplained": "unexplained", "before-recording": "unexplained"}


@dataclass(frozen=True, slots=True)
class Pattern:
    """One pattern: the ranks that it is about, the waiting that goes back to it and its share of all, in words why."""

    pattern: str
    ranks: tuple[int, ...]
    wait_ns: int
    share: float
    evidence: str


@dataclass(frozen=True, slots=True)
class Roots:
    """Where the waiting goes back to: by rendezvous and reason, in ns, and what of it came through another rank.

    `ns` has a row a rendezvous and a column for each of `REASONS`. Rendezvous that were not looked into have it all in
    the last one, as have those whose late rank did the same as the others, who had begun it before. `looked_into_ns`
    is what goes back to the others.
    """

    ns: Array
    by_another_ns: int
    looked_into_ns: int


def roots(trace: Trace, met: Rendezvous, late: Lateness, why: Causes) -> Roots:
    """Go from each rendezvous to what made its last rank late: what it did beyond the others, else what was before.

    A rank that is late and does the same as the others since its previous rendezvous was late there already. So a
    rendezvous keeps, of the waiting that goes back to it, the part that its `lag_ns` covers of what each waited; the
    rest goes on to the previous one, where that was looked into.
    """
    reason = _reasons(why)
    excess = np.where(why.compared, np.maximum(why.excess_ns, 0), why.ns)
    weight = np.zeros((len(met), len(REASONS)))
    np.add.at(weight, (why.of, reason), excess)
    message = why.chosen[met.number[why.chosen] >= len(trace.collectives)]
    weight[message] = 0
    weight[message, REASONS.index("message-order")] = 1
    total = weight.sum(axis=1)
    waiters = np.maximum(met.sums((met.wait_ns > 0).astype(np.int64)), 1)
    kept = np.zeros(len(met))
    known = np.where(
        why.lag_ns < 0, 1.0, np.minimum(why.lag_ns * waiters[why.chosen] / np.maximum(late.own_ns[why.chosen], 1), 1)
    )
    kept[why.chosen] = np.where(total[why.chosen] > 0, known, 0)
    kept[message] = 1
    amount = late.blamed_ns.astype(float)
    looked_into = np.zeros(len(met), dtype=bool)
    looked_into[why.chosen] = True
    for k in np.sort(why.chosen)[::-1].tolist():
        before = late.behind[k]
        if before >= 0 and looked_into[before] and before < k:
            amount[before] += amount[k] * (1 - kept[k])
            amount[k] *= kept[k]
    ns = weight / np.maximum(total, 1)[:, None] * (amount * kept)[:, None]
    ns[:, -1] += amount * (1 - kept)
    rank = trace.operators["rank"][met.row[met.late]]
    other = late.ns[rank[late.waiting] != rank[late.blamed]]
    return Roots(ns.round().astype(np.int64), int(other.sum()), int(late.blamed_ns[why.chosen].sum()))


def _reasons(why: Causes) -> Array:
    """The reason that each row of the causes speaks for, as a position in `REASONS`."""
    by_detail = [_REASON_OF.get(c) or _REASON_OF_PAUSE.get(d, "host-jitter") for c, d in DETAILS]
    reason = np.array([REASONS.index(name) for name in by_detail])[why.detail]
    found: Array = np.where(why.input, REASONS.index("input-pipeline"), reason)
    return found


def patterns(
    trace: Trace,
    met: Rendezvous,
    late: Lateness,
    why: Causes,
    origin: Roots,
    times_last: Array,
    caused_ns: Array,
) -> tuple[Pattern, ...]:
    """The patterns that hold, those of who before those of why; `times_last` and `caused_ns` are by rank of the trace.

    None where ranks always come together. All shares are of the whole waiting. The rules: docs/queries/stragglers.md.
    """
    waiting = int(met.wait_ns.sum())
    if not waiting or not met.apart.any():
        return ()
    found = list(_who(trace, met, times_last, caused_ns, waiting))
    if origin.by_another_ns >= LEAST_SHARE * waiting:
        share = origin.by_another_ns / waiting
        told = f"{share:.0%} of the waiting was for ranks that had themselves waited for another one before"
        found.append(Pattern("behind-another", (), origin.by_another_ns, share, told))
    return (*found, *_why(trace, met, late, why, origin, waiting))


def _who(trace: Trace, met: Rendezvous, times_last: Array, caused_ns: Array, waiting: int) -> Iterator[Pattern]:
    ranks = np.array(trace.ranks)
    taking_part = len(np.unique(trace.operators["rank"][met.row]))
    someone = met.apart
    times = int(np.count_nonzero(someone))
    first = int(np.argmax(caused_ns))
    share = float(caused_ns[first]) / waiting
    last = int(times_last[first])
    if share >= 0.5 + 0.5 / taking_part and last >= 2 and last * taking_part > times:
        told = f"rank {ranks[first]} is last in {last} of {times} and causes {share:.0%} of the waiting"
        yield Pattern("same-rank", (int(ranks[first]),), int(caused_ns[first]), share, told)
        return
    by = trace.operators["rank"][met.row[met.late]][someone]
    changes = int(np.count_nonzero(by[1:] != by[:-1]))
    if times >= 4 and share <= 2 / taking_part and 2 * changes >= times - 1:
        who = ranks[np.argsort(-caused_ns, kind="stable")][: np.count_nonzero(caused_ns)]
        told = (
            f"{len(who)} ranks are last in turns, another one than before in {changes} of {times - 1}; "
            f"rank {ranks[first]} causes most, {share:.0%} of the waiting"
        )
        yield Pattern("rotating", tuple(who.tolist()), waiting, 1.0, told)


def _why(trace: Trace, met: Rendezvous, late: Lateness, why: Causes, origin: Roots, waiting: int) -> Iterator[Pattern]:
    rank = trace.operators["rank"][met.row[met.late]]
    reason = _reasons(why)
    sums = origin.ns.sum(axis=0)
    for code in np.argsort(-sums, kind="stable").tolist():
        name, ns = REASONS[code], int(sums[code])
        if not ns or ns < LEAST_SHARE * origin.looked_into_ns or name == "same-work":
            continue
        by_rank = np.bincount(rank, weights=origin.ns[:, code], minlength=len(trace.ranks))
        order = np.argsort(-by_rank, kind="stable")[:NAMED]
        ranks = tuple(r for r in order.tolist() if by_rank[r] >= 0.1 * ns)
        told = _evidence(rank, late.since_ns, why, np.flatnonzero(reason == code), origin.ns[:, code])
        if name == "message-order":
            told = "receivers came before their senders, whose work comes first"
        yield Pattern(name, ranks, ns, min(ns / waiting, 1.0), told)


def _evidence(rank: Array, since: Array, why: Causes, rows: Array, ns: Array) -> str:
    """What the ranks spent most on beyond the others, over the rendezvous to which the reason's waiting goes back.

    Rendezvous that a rank was on its way to at the same time share that way: it counts once, as the longest.
    """
    rows = rows[(ns[why.of[rows]] > 0) & ((why.excess_ns[rows] > 0) | ~why.compared[rows])]
    if not len(rows):
        return ""
    what = np.stack([rank[why.of[rows]], why.detail[rows], why.name[rows], since[why.of[rows]]])
    longest = np.lexsort((-why.ns[rows], *what[::-1]))
    kinds = what[:, longest]
    first = np.append(True, (kinds[:, 1:] != kinds[:, :-1]).any(axis=0))
    rows, kinds = rows[longest[first]], kinds[:3, first]
    kinds, of = np.unique(kinds, axis=1, return_inverse=True)
    excess, spent = (np.bincount(of.ravel(), weights=values[rows]) for values in (why.excess_ns, why.ns))
    top = int(np.argmax(np.where(excess > 0, excess, spent)))
    one, detail, name = kinds[:, top].tolist()
    if detail == LATE_ENTRY:
        later = f", the others {in_words(spent[top] - excess[top])}" if 0 < excess[top] < spent[top] else ""
        return f"rank {one} enters {in_words(spent[top])} after the first{later}"
    called = why.names[name] if name >= 0 else DETAILS[detail][1]
    told = f"{called} ({DETAILS[detail][0]}) on rank {one}: {in_words(spent[top])}"
    times = np.count_nonzero(of.ravel() == top)
    told += f", {in_words(excess[top])} more than the others" if excess[top] > 0 else ""
    return told + (f", on {times} ways" if times > 1 else "")


def in_words(ns: float) -> str:
    """A time with its unit.

    >>> in_words(35_552_000), in_words(812), in_words(2_500_000_000)
    ('35.6 ms', '0.8 µs', '2.50 s')
    """
    if ns >= 1e9:
        return f"{ns / 1e9:,.2f} s"
    return f"{ns / 1e6:,.1f} ms" if ns >= 1e6 else f"{ns / 1e3:.1f} µs"


__all__ = ["PATTERNS", "REASONS", "Pattern", "Roots", "in_words", "patterns", "roots"]
