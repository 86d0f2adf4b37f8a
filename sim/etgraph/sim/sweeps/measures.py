"""Measures: what a sweep asks of every point beside its times. They come in from above, since analyses do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from etgraph.model import Trace


@dataclass(frozen=True, slots=True)
class Measure:
    """A function of a module, from a trace on a predicted timeline to numbers by name (`computation_ns`, …).

    `gives` are the names, which end in `_ns` or `_share`. The version is raised whenever the function's answer for one
    and the same trace changes.
    """

    name: str
    function: Callable[[Trace], Mapping[str, float]]
    gives: tuple[str, ...] = ()
    version: int = 1
