"""The Pareto front: points of which none is better in one objective without being worse in another."""

from __future__ import annotations

import numpy as np

from etgraph.model.columns import Array


def pareto_front(objectives: Array) -> Array:
    """Which points are on the front, a mask; `objectives` has a row a point and a column an objective, all to be small.

    A point is off the front where another one is nowhere worse and somewhere better; of equal points all are on it or
    none. Points with a NaN are off it, and put no other off. O(points · front · objectives).
    """
    found = np.zeros(len(objectives), dtype=bool)
    whole = np.flatnonzero(~np.isnan(objectives).any(axis=1))
    # Nothing that comes later in this order is better everywhere than what came before.
    order = whole[np.lexsort(objectives[whole].T[::-1])] if len(whole) else whole
    front = np.zeros((0, objectives.shape[1]))
    for row in order.tolist():
        one = objectives[row]
        if not ((front <= one).all(axis=1) & (front < one).any(axis=1)).any():
            found[row] = True
            front = np.concatenate([front, one[None, :]])
    return found
