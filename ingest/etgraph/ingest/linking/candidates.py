"""Where a short sequence may lie in a long one: iterations of a long recording that a recorded one could be."""

from __future__ import annotations

import numpy as np

from etgraph.model.columns import Array

GRAM = 16
"""Tokens in a row that vote for a place together."""
_VOTERS = 4096
_VOTES = 1 << 21
_PROBES = 64
_MOST_EXACT = 256
_DRIFT = 32
"""Votes this near to each other count as one place: edits shift what comes after them."""
NEARLY = 0.6
"""Share of the best place's votes that makes another one a candidate: every edit costs the right one `GRAM` of them."""


def candidates(short: Array, long: Array) -> Array:
    """Positions in `long` where `short` may begin, most votes first; empty where nothing is alike.

    A gram of `short` at i that stands at j of `long` votes for the place j - i. Those vote that are rarest in `short`:
    what repeats within it, such as the layers of a model, would vote for places that are off by one repetition.
    """
    size = min(GRAM, len(short))
    if not size or len(long) < size:
        return np.zeros(0, dtype=np.int64)
    ours, theirs = _grams(short, size), _grams(long, size)
    order = np.argsort(theirs, kind="stable")
    low = np.searchsorted(theirs, ours, side="left", sorter=order)
    count = np.searchsorted(theirs, ours, side="right", sorter=order) - low
    _, inverse, own = np.unique(ours, return_inverse=True, return_counts=True)
    repeated = own[inverse]
    found = np.flatnonzero(count > 0)
    if not len(found):
        return found
    rarest = found[repeated[found] == repeated[found].min()]
    voters = rarest[:: max(len(rarest) // _VOTERS, 1)]
    voters = voters[np.cumsum(count[voters]) <= max(_VOTES, int(count[voters[0]]))]
    votes = np.repeat(voters, count[voters])
    which = np.arange(len(votes)) - np.repeat(np.cumsum(count[voters]) - count[voters], count[voters])
    return _peaks(order[np.repeat(low[voters], count[voters]) + which] - votes)


def exact_places(short: Array, long: Array) -> Array:
    """Positions in `long` where all of `short` stands, ascending; of very many the first ones."""
    places = np.arange(len(long) - len(short) + 1)
    for at in np.unique(np.linspace(0, len(short) - 1, _PROBES).astype(np.int64)).tolist():
        places = places[long[places + at] == short[at]]
    exact = [place for place in places[:_MOST_EXACT].tolist() if (long[place : place + len(short)] == short).all()]
    return np.array(exact, dtype=np.int64)


def _peaks(places: Array) -> Array:
    """Places with nearly the most votes within `_DRIFT`, none within that of a better one."""
    place, votes = np.unique(places, return_counts=True)
    total = np.concatenate([[0], np.cumsum(votes)])
    near = total[np.searchsorted(place, place + _DRIFT, side="right")]
    near = near - total[np.searchsorted(place, place - _DRIFT, side="left")]
    good = np.flatnonzero(near >= NEARLY * near.max())
    good = good[np.lexsort((place[good], -votes[good], -near[good]))]
    kept: list[int] = []
    taken = np.zeros(len(place), dtype=bool)
    for at in good.tolist():
        if not taken[at]:
            kept.append(int(place[at]))
            low, high = np.searchsorted(place, (place[at] - 2 * _DRIFT, place[at] + 2 * _DRIFT + 1))
            taken[low:high] = True
    return np.array(kept, dtype=np.int64)


def _grams(tokens: Array, size: int) -> Array:
    """A hash of each `size` tokens in a row; equal grams have equal ones."""
    grams = np.zeros(len(tokens) - size + 1, dtype=np.uint64)
    with np.errstate(over="ignore"):
        for at in range(size):
            grams = (
                grams * np.uint64(0x9E3779B97F4A7C15) + tokens[at : at + len(grams)].astype(np.uint64) + np.uint64(1)
            )
            grams ^= grams >> np.uint64(29)
    return grams
