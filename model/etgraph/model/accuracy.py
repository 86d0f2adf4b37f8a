"""How well predictions meet what was measured: durations of operators, and simulations against later traces."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from etgraph.model.columns import Array


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Of `operators` with both durations: the median of |predicted / measured − 1|, and how many intervals held.

    `interval_share` is the share of the intervals that hold the measured duration, their ends included. Both are None
    where there is nothing to judge by.
    """

    operators: int
    duration_error: float | None
    interval_share: float | None


def accuracy(predicted_ns: Array, low_ns: Array, high_ns: Array, measured_ns: Array) -> Accuracy:
    """The accuracy of predicted durations in ns, one entry an operator, NaN where there is none.

    Operators that were measured to take no time have no relative error, but their intervals count.
    """
    both = ~np.isnan(predicted_ns) & ~np.isnan(measured_ns)
    lasting = both & (measured_ns > 0)
    errors = np.abs(predicted_ns[lasting] / measured_ns[lasting] - 1)
    bounded = both & ~np.isnan(low_ns) & ~np.isnan(high_ns)
    held = (low_ns[bounded] <= measured_ns[bounded]) & (measured_ns[bounded] <= high_ns[bounded])
    return Accuracy(
        int(np.count_nonzero(both)),
        float(np.median(errors)) if len(errors) else None,
        float(held.mean()) if len(held) else None,
    )


def with_nan(values: Array, unknown: Array) -> Array:
    """Integers as floats, NaN where they are not known."""
    return np.where(unknown, np.nan, values.astype(np.float64))


@dataclass(frozen=True, slots=True)
class Score:
    """How a simulation of one trace met another trace, which was measured on the hardware that was simulated.

    `predicted_ns` and `measured_ns` are median step times (`basis` "step") or the spans of traces without iterations
    ("span"), `error` their relative difference, signed; all None where only one of the traces has iterations.
    `operators` have a duration in both traces under the same rank, iteration, name and position among those of the
    name: `duration_error` is the median of |predicted / measured − 1|, `interval_share` the share of the intervals that
    hold the measured duration. `only_predicted` and `only_measured` count the operators with a duration that has none
    to meet.
    """

    basis: str | None
    predicted_ns: int | None
    measured_ns: int | None
    error: float | None
    operators: int
    duration_error: float | None
    interval_share: float | None
    only_predicted: int
    only_measured: int


@dataclass(frozen=True, slots=True)
class Validation:
    """A stored simulation met what it predicted: `base` is the trace that it was made of, `trace` the one it met."""

    simulation: str
    base: str
    trace: str
    created: str
    score: Score
