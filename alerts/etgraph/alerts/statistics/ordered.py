"""Runs in the order of time, of which neighbours are alike: how far the later ones are from those before.

The values are a level, a shift from one place on, an AR(1) series and, where the place is known, a drift. For every
correlation of neighbours the shift is that of generalised least squares; these are weighted by their restricted
likelihood (Harville, JASA 72, 1977) and become one distribution of Student's with the mixture's mean and variance. A
correlation that is estimated and then taken for known would make intervals too short.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from etgraph.model.columns import Array

FEWEST = 8
"""Fewer runs do not tell how alike neighbours are."""
CORRELATIONS = np.linspace(0.0, 0.95, 20)
"""Of neighbouring runs: each is as likely as any other before the runs are seen."""
_NOTHING = 1e-24
"""A sum of squares below this part of the values' own is rounding."""
_LEAST_SQUARES = 1e-200


@dataclass(frozen=True, slots=True)
class Shifts:
    """Shifts of series (rows) from each place on (columns): estimates and standard errors, with so many degrees of
    freedom. `weights` are the probabilities of `CORRELATIONS`, in a last dimension."""

    centre: Array
    error: Array
    weights: Array
    degrees: float

    @property
    def times(self) -> Array:
        """Shifts in standard errors; 0 where both are 0."""
        found: Array = self.centre / np.where(self.error > 0, self.error, np.where(self.centre == 0, 1.0, 1e-300))
        return found


def shifts(series: Array, places: Array) -> Shifts:
    """Shifts from places (1 … length − 1) on, for series of five values or more, a row each. O(values + places)."""
    length = series.shape[1]
    degrees = float(length - 2)
    rho = CORRELATIONS
    # Decorrelated, all in units of the innovations' noise: the first value of a series is one of its own.
    values = series[:, :, None] - series.mean(axis=1)[:, None, None]
    values = np.concatenate([values[:, :1] * np.sqrt(1 - rho**2), values[:, 1:] - rho * values[:, :-1]], axis=1)
    after = np.cumsum(values[:, ::-1], axis=1)[:, ::-1]  # sums from a place on
    later = (length - 1 - places)[:, None] * (1 - rho)  # what follows the first value of the shift
    squares, with_level = 1 + later * (1 - rho), (1 - rho) * (1 + later)
    level = 1 - rho**2 + (length - 1) * (1 - rho) ** 2
    of_shift = values[:, places] + (1 - rho) * (after[:, places] - values[:, places])
    of_level = (np.sqrt(1 - rho**2) * values[:, 0] + (1 - rho) * (after[:, 0] - values[:, 0]))[:, None]
    information = squares - with_level**2 / level
    shift = (of_shift - with_level * of_level / level) / information
    total = (values**2).sum(axis=1)[:, None]
    rest = total - of_level**2 / level - information * shift**2
    rest = np.maximum(rest, _NOTHING * np.maximum(total, _LEAST_SQUARES))
    # The factor of the likelihood: |R| = (1 − ρ²)ⁿ⁻¹, and both sums of squares here are (1 − ρ²) times those of R⁻¹.
    likelihood = 0.5 * np.log(1 - rho**2) - 0.5 * np.log(level * information) - degrees / 2 * np.log(rest)
    weights = np.exp(likelihood - likelihood.max(axis=2, keepdims=True))
    weights /= weights.sum(axis=2, keepdims=True)
    centre = (weights * shift).sum(axis=2)
    spread = rest / information / (degrees - 2) + (shift - centre[:, :, None]) ** 2
    return Shifts(centre, np.sqrt((weights * spread).sum(axis=2) * (degrees - 2) / degrees), weights, degrees)


@dataclass(frozen=True, slots=True)
class Shift:
    """The shift of the last values of a series: estimate, standard error with `degrees` of freedom; and its `slope`."""

    centre: float
    error: float
    degrees: float
    slope: float


def shift_of_the_last(values: Array, count: int) -> Shift:
    """How far the last `count` of six values or more are from where the drift of all of them would have led."""
    length, rho = len(values), CORRELATIONS[:, None]
    place = np.arange(length)
    model = np.stack([np.ones(length), (place >= length - count).astype(float), place - place.mean()], axis=1)
    degrees = length - model.shape[1]
    whole = np.concatenate([model, (values - values.mean())[:, None]], axis=1)
    # Decorrelated, all in units of the innovations' noise, as in `shifts`.
    first = np.sqrt(1 - rho**2)[:, :, None] * whole[:1]
    whole = np.concatenate([first, whole[1:] - rho[:, :, None] * whole[:-1]], axis=1)
    model, ends = whole[:, :, :-1], whole[:, :, -1:]
    information = model.transpose(0, 2, 1) @ model
    inverse = np.linalg.inv(information)
    found = inverse @ (model.transpose(0, 2, 1) @ ends)
    total = (ends**2).sum(axis=(1, 2))
    rest = np.maximum(((ends - model @ found) ** 2).sum(axis=(1, 2)), _NOTHING * np.maximum(total, _LEAST_SQUARES))
    likelihood = 0.5 * np.log(1 - rho[:, 0] ** 2) - 0.5 * np.linalg.slogdet(information)[1]
    likelihood -= degrees / 2 * np.log(rest)
    weights = np.exp(likelihood - likelihood.max())
    weights /= weights.sum()
    shift = found[:, 1, 0]
    centre = float(weights @ shift)
    spread = rest * inverse[:, 1, 1] / (degrees - 2) + (shift - centre) ** 2
    error = float(np.sqrt(weights @ spread * (degrees - 2) / degrees))
    return Shift(centre, error, float(degrees), float(weights @ found[:, 2, 0]))


__all__ = ["CORRELATIONS", "FEWEST", "Shift", "Shifts", "shift_of_the_last", "shifts"]
