"""Noise of runs: of the machine, of steps, of ranks, of operators by name and one by one, as factors of their times."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np

from benchmarks.injected.spread import Spread
from etgraph.model.columns import Array
from etgraph.model.numbering import distinct


@dataclass(frozen=True, slots=True)
class Noise:
    """Standard deviations of the logarithm of a time, of causes that are independent of each other.

    `run` is the machine's in a run, `step` that of a step on all ranks, `rank` that of a step on one; `name` that of
    all operators of a name on a rank in a run, `each` that of a single time.
    """

    run: float
    step: float
    rank: float
    name: float
    each: float


LEVELS: Final = MappingProxyType(
    {
        "none": Noise(0, 0, 0, 0, 0),
        "quiet": Noise(0.003, 0.005, 0.002, 0.01, 0.05),
        "usual": Noise(0.01, 0.015, 0.005, 0.02, 0.10),
        "noisy": Noise(0.03, 0.05, 0.015, 0.04, 0.20),
        "recorded": Noise(0.15, 0.15, 0.05, 0.05, 0.30),
    }
)
"""`recorded` is a shared machine such as that of `recorded/series`, whose runs of one step spread by 22 %."""


def factors(spread: Spread, noise: Noise, random: np.random.Generator) -> Array:
    """A factor for the own time of every event, in one run."""
    trace, o = spread.trace, spread.trace.operators
    operator = np.arange(2 * len(trace)) // 2
    rank = o["rank"][operator]
    row = o["iteration"][operator]
    steps = trace.iterations["index"][row] if len(trace.iterations) else np.zeros(len(row), dtype=np.int64)
    step = np.where(row >= 0, steps, -1)

    def drawn(deviation: float, *by: Array) -> Array:
        of, count = distinct(*(each.astype(np.int64) for each in by))
        found: Array = random.normal(0, deviation, count)[of]
        return found

    ends = operator * 0 + np.arange(2 * len(trace)) % 2
    logarithm = (
        random.normal(0, noise.run)
        + drawn(noise.step, step)
        + drawn(noise.rank, rank, step)
        + drawn(noise.name, o["name"][operator], rank, ends)
        + random.normal(0, noise.each, len(operator)) - noise.each**2 / 2
    )  # fmt: skip
    return np.concatenate([np.exp(logarithm), np.ones(len(spread.own_ns) - len(operator))])


__all__ = ["LEVELS", "Noise", "factors"]
