"""Units that suit the numbers of an axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scale:
    """A unit and what one of it is."""

    unit: str
    factor: float


_TIMES = (Scale("ns", 1), Scale("µs", 1e3), Scale("ms", 1e6), Scale("s", 1e9))
_SIZES = (Scale("B", 1), Scale("kB", 1e3), Scale("MB", 1e6), Scale("GB", 1e9), Scale("TB", 1e12))


def time_scale(ns: int) -> Scale:
    """The largest unit of time in which the longest of an axis' times is at least one.

    >>> [time_scale(ns).unit for ns in (0, 999, -1_000, 172_000_000, 120_000_000_000)]
    ['ns', 'ns', 'µs', 'ms', 's']
    """
    return _largest(ns, _TIMES)


def size_scale(count: int) -> Scale:
    """The largest decimal unit of bytes in which the largest number is at least one."""
    return _largest(count, _SIZES)


def _largest(value: int, scales: Sequence[Scale]) -> Scale:
    return next((scale for scale in reversed(scales) if abs(value) >= scale.factor), scales[0])
