"""What a changed run may be at most: times that all our numbers can hold, and new events that fit into memory."""

from __future__ import annotations

from typing import Final

import numpy as np

from etgraph.model.columns import Array
from etgraph.model.errors import UsageError
from etgraph.model.settings.units import MOST_INTEGER

MOST_NS: Final = MOST_INTEGER
"""The longest time, 104 days: beyond it JSON rounds, and sums may leave 64 bits."""
MOST_EVENTS: Final = 2**22
"""New events of all changes together: with their edges they take about a gigabyte."""
MOST_TIMES: Final = 100_000
"""How often one change may add something."""
MOST_FACTOR: Final = 1_000_000.0
"""The largest factor: a nanosecond becomes a millisecond, ten minutes 19 years, which no run takes."""
_MOST_TOGETHER = 2**62
_LARGE = "look at the largest times, sizes and factors of what was asked for"


def whole_ns(ns: Array) -> Array:
    """Times as whole numbers of ns. Raises UsageError for one above `MOST_NS`, or that is no number."""
    rounded = np.rint(ns)
    if not (rounded <= MOST_NS).all():
        raise UsageError(f"found a time of {rounded.max():.3g} ns, expected at most {MOST_NS:.3g} ns (104 days)")
    return rounded.astype(np.int64)


def scaled_ns(ns: Array, factor: float) -> Array:
    """Times in ns as multiples of what they are. Raises UsageError for a factor that is negative or not finite, and
    for a time above `MOST_NS`.
    """
    if not 0 <= factor < float("inf"):
        raise UsageError(f"found factor {factor}, expected a number of 0 or more")
    with np.errstate(over="ignore"):  # what is too long is told of
        return whole_ns(ns * float(factor))


def check_length(ns: int) -> None:
    """Raise UsageError for a run that is longer than `MOST_NS`."""
    if ns > MOST_NS:
        raise UsageError(f"found a run of {ns:.3g} ns, expected at most {MOST_NS:.3g} ns (104 days)", hint=_LARGE)


def check_together(*ns: Array) -> None:
    """Raise UsageError for times that leave 64 bits if they all follow each other; else no sum of some of them does."""
    together = sum(float(np.abs(times).sum(dtype=np.float64)) for times in ns)
    if together > _MOST_TOGETHER:
        raise UsageError(
            f"found times of {together:.3g} ns in one run, expected at most {_MOST_TOGETHER:.3g} ns together",
            hint=_LARGE,
        )


def check_events(count: int) -> None:
    """Raise UsageError for more new events than `MOST_EVENTS`."""
    if count > MOST_EVENTS:
        raise UsageError(
            f"found {count:,} new events, expected at most {MOST_EVENTS:,}",
            hint="fewer of what the change adds, or in fewer places: count, parts, place",
        )
