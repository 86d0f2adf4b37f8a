"""What a sweep gives: a row for each point, and which of them are on the front."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from etgraph.model import Trust
from etgraph.model.results import Result


@dataclass(frozen=True, slots=True)
class SweepPoint:
    """One point. Times in ns; where it failed, `error` says why and what depends on the prediction is None.

    `parameters` are what points differ in, as files write it, and `values` the same as numbers in base units (None:
    no number). `step_ns` is the median over iterations of the longest window of a rank, the makespan where there are
    no iterations. `step_price` is what all `devices` cost for one step, in USD, `step_energy` what they draw at most,
    in joules. Bandwidths are bytes/s, that of the network the outermost tier's. `measures` are what was asked of the
    timeline. `settled` is False where shared links had not come to rest. `front` says that no other point is better,
    `base` that it is a base profile as it is.
    """

    number: int
    name: str
    profile: str
    parameters: Mapping[str, str | None]
    values: Mapping[str, float | None]
    devices: int
    memory_bandwidth: float
    network_bandwidth: float | None = None
    makespan_ns: int | None = None
    step_ns: int | None = None
    price_per_hour: float | None = None
    step_price: float | None = None
    step_energy: float | None = None
    measures: Mapping[str, float] = field(default_factory=dict)
    settled: bool = True
    error: str | None = None
    front: bool = False
    base: bool = False


@dataclass(frozen=True, slots=True)
class Sweep(Result):
    """All points in order of the grid, those of the base profiles first.

    `id` is the same for the same points of the same trace, predicted by the same code. `measured_ns` is the measured
    step where there is one, `reused` how many points were taken from an earlier run. `trust` is that of the first base
    profile's prediction.
    """

    id: str
    points: tuple[SweepPoint, ...]
    parameters: tuple[str, ...]
    objectives: tuple[str, ...]
    measured_ns: int | None
    reused: int
    trust: Trust

    FRAME: ClassVar[str] = "points"
    TABLE: ClassVar[str] = "points"

    @property
    def base(self) -> SweepPoint:
        """The first base profile as it is."""
        return self.points[0]

    def headline(self) -> str:
        """The answer in a few words."""
        good = [point for point in self.points if point.step_ns is not None]
        if not good:
            return f"{len(self.points):,} points, none of which could be predicted"
        best = min(good, key=lambda point: (point.step_ns or 0, point.number))
        return (
            f"{len(self.points):,} points, {sum(point.front for point in self.points):,} on the front, "
            f"best step {(best.step_ns or 0) / 1e6:.3f} ms"
        )
