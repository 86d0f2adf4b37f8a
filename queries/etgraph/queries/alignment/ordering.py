"""In which order copies of a program are aligned, and each with which one before it: with the one most like it."""

from __future__ import annotations

from typing import Final

import numpy as np

from etgraph.model.columns import Array

BUCKETS: Final = 1024
"""Copies are compared by how often they have each token, tokens in so many classes."""
COMPARED: Final = 256
"""So many different copies are compared with each other; those beyond, rarer ones, with the most frequent copy."""


def guide(tokens: list[Array], often: Array, content: Array) -> list[tuple[int, int]]:
    """Copies in the order of their alignment, each with the one before it that it is most like (-1 for the first).

    `tokens` are those of each copy, `often` how often it occurs, `content` what orders copies that are alike in all
    else. The most frequent copy is the first, then always the one that is most like one of those before it.
    """
    size = np.array([len(own) for own in tokens])
    order = np.lexsort((content, -size, -often)).tolist()
    first, compared, rest = order[0], order[:COMPARED], order[COMPARED:]
    counts = np.stack([np.bincount((own & (BUCKETS - 1)).astype(np.int64), minlength=BUCKETS) for own in tokens])
    differs = np.full(len(tokens), np.iinfo(np.int64).max)
    nearest = np.full(len(tokens), -1, dtype=np.int64)
    found: list[tuple[int, int]] = []
    waiting = np.array(compared)
    last = first
    while True:
        found.append((last, int(nearest[last])))
        waiting = waiting[waiting != last]
        if not len(waiting):
            break
        away = np.abs(counts[waiting] - counts[last]).sum(axis=1)
        closer = away < differs[waiting]
        nearest[waiting[closer]], differs[waiting[closer]] = last, away[closer]
        last = int(waiting[np.argmin(differs[waiting])])
    return [*found, *((one, first) for one in rest)]


__all__ = ["guide"]
