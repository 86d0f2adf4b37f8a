"""Objectives: what a front makes small, by the names that files and JSON use, and which of them suit some points."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from etgraph.model.errors import UsageError
from etgraph.model.results import camel_case
from etgraph.model.settings.problems import near, one_of
from etgraph.sim.sweeps.front import pareto_front
from etgraph.sim.sweeps.measures import Measure
from etgraph.sim.sweeps.sweep import SweepPoint

OF_POINTS: Final[Mapping[str, Callable[[SweepPoint], float | None]]] = {
    "stepNs": lambda point: point.step_ns,
    "makespanNs": lambda point: point.makespan_ns,
    "stepPrice": lambda point: point.step_price,
    "pricePerHour": lambda point: point.price_per_hour,
    "stepEnergy": lambda point: point.step_energy,
    "devices": lambda point: point.devices,
    "memoryBandwidth": lambda point: point.memory_bandwidth,
    "networkBandwidth": lambda point: point.network_bandwidth,
}
"""Objectives beside those of measures. A bandwidth that is to be small stands for what hardware costs."""


def check_objectives(names: Sequence[str], measures: Sequence[Measure]) -> None:
    """Raise UsageError for names of which one is no objective, or there twice."""
    known = [*OF_POINTS, *(camel_case(name) for measure in measures for name in measure.gives)]
    for name in names:
        if name not in known:
            raise UsageError(f"no objective {name!r}, expected {one_of(known)}", hint=near(name, known))
    if len(set(names)) < len(names):
        raise UsageError(f"found the objectives {', '.join(names)}, expected each of them once")


def objective(point: SweepPoint, name: str) -> float | None:
    """What an objective is of a point; None where that is not known."""
    if name in OF_POINTS:
        return OF_POINTS[name](point)
    return next((value for own, value in point.measures.items() if camel_case(own) == name), None)


def usual_objectives(points: Sequence[SweepPoint]) -> tuple[str, ...]:
    """The step against what it costs: its price, where all points have one and these differ by more than the step.

    Where hardware has no price, or one price whatever its bandwidths, those that differ stand for it.
    """
    good = [point for point in points if point.error is None]
    hourly = {point.price_per_hour for point in good}
    if len(hourly) > 1 and None not in hourly:
        return "stepNs", "stepPrice"
    costs = []
    for name in ("networkBandwidth", "memoryBandwidth"):
        values = {OF_POINTS[name](point) for point in good}
        if len(values) > 1 and None not in values:
            costs.append(name)
    return "stepNs", *(costs or ["stepPrice" if hourly and None not in hourly else "devices"])


def with_front(points: Sequence[SweepPoint], names: Sequence[str]) -> tuple[SweepPoint, ...]:
    """The points, those marked that are on the front of these objectives; one that failed is not."""
    values = np.full((len(points), len(names)), np.nan)
    for row, point in enumerate(points):
        if point.error is None:
            known = [objective(point, name) for name in names]
            values[row] = [np.nan if each is None else each for each in known]
    return tuple(replace(point, front=bool(on)) for point, on in zip(points, pareto_front(values)))
