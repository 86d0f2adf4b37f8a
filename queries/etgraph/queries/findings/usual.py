"""Times of what a change adds, as they are in the mean of what was measured of their like: one replay, not many."""

from __future__ import annotations

import numpy as np

from etgraph.model.columns import Array
from etgraph.sim.replay.plan import Plan
from etgraph.sim.what_if.observed import Draw, observed


class Expected(Draw):
    """What `etgraph.sim.what_if` draws at random, in the mean. Stalls are part of it: a median would leave them out."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(observed(plan), np.random.default_rng(0))

    def _of(self, what: str, values: Array, count: int) -> Array:
        mean = float(values.mean()) if len(values) else 0.0
        return np.full(count, mean).astype(values.dtype)

    def _carried_over(self, type: int) -> float:
        return 1.0
