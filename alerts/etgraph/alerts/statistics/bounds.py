"""How surely a difference is known: its confidence limits to both sides, and the chance that it arose by noise."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

from scipy.special import ndtr, stdtr

from etgraph.alerts.statistics.power import multiple, quantile

ROOM = 1.25
"""By how much more must be there to be shown than Student's t has it: outliers and near places hide some of it."""


class Bounds(Protocol):
    """What a test says of the difference of two sides, samples minus baseline, on the scale of its estimate."""

    @property
    def student(self) -> Student:
        """Student's t of the same runs: the error of their difference, and what it would find."""
        ...

    def lower(self, alpha: float) -> float:
        """What the truth is below with a probability of `alpha`."""
        ...

    def upper(self, alpha: float) -> float:
        """What the truth is above with a probability of `alpha`."""
        ...

    def p_above(self, limit: float) -> float:
        """The smallest `alpha` at which `lower` is above a limit."""
        ...

    def p_below(self, limit: float) -> float:
        """The smallest `alpha` at which `upper` is below a limit."""
        ...

    def level(self, alpha: float) -> float:
        """The probability that `lower` and `upper` have indeed: more than `alpha` where the runs are too few for it."""
        return alpha

    def detectable(self, alpha: float, *, above: bool) -> float | None:
        """How far from a limit a difference is that as many other runs find at `alpha` with a probability of 0.8.

        None where they are too few to find any.
        """
        return self.student.detectable(alpha, above=above)


@dataclass(frozen=True, slots=True)
class Student(Bounds):
    """Student's t about `centre`, or the normal distribution where `degrees` are infinite.

    `upwards` and `downwards` are factors of the error of differences above 0 and below 0, for noise that is long to
    one side.
    """

    centre: float
    error: float
    degrees: float
    upwards: float = 1.0
    downwards: float = 1.0

    @property
    def student(self) -> Student:
        """This."""
        return self

    def lower(self, alpha: float) -> float:
        """The centre less a quantile of errors."""
        return self.centre - quantile(1 - alpha, self.degrees) * self.error * self.upwards

    def upper(self, alpha: float) -> float:
        """The centre and a quantile of errors."""
        return self.centre + quantile(1 - alpha, self.degrees) * self.error * self.downwards

    def p_above(self, limit: float) -> float:
        """The tail of the distribution beyond the distance of the centre from the limit."""
        return self._tail(self.centre - limit, self.upwards)

    def p_below(self, limit: float) -> float:
        """The same for what is below the limit."""
        return self._tail(limit - self.centre, self.downwards)

    def _tail(self, beyond: float, factor: float) -> float:
        if self.error == 0.0:
            return 0.0 if beyond > 0 else 1.0
        times = -beyond / self.error / factor
        return float(ndtr(times) if math.isinf(self.degrees) else stdtr(self.degrees, times))

    def detectable(self, alpha: float, *, above: bool) -> float:
        """A multiple of the error; see `power.multiple`."""
        factor = self.upwards if above else self.downwards
        return multiple(round(self.degrees, 1), alpha) * self.error * factor


@dataclass(frozen=True, slots=True)
class Shown(Bounds):
    """Bounds of a difference that must be shown to exist at all: `existence` is the p-value of there being none.

    It was looked for as surely as if one of so many `tries` had to show it at the level of the bounds.
    """

    of: Bounds
    existence: float
    tries: int

    @property
    def student(self) -> Student:
        """That of the difference."""
        return self.of.student

    def lower(self, alpha: float) -> float:
        """That of the difference, 0 or below where none is shown."""
        found = self.of.lower(alpha)
        return found if self.existence <= alpha else min(found, 0.0)

    def upper(self, alpha: float) -> float:
        """That of the difference, 0 or above where none is shown."""
        found = self.of.upper(alpha)
        return found if self.existence <= alpha else max(found, 0.0)

    def p_above(self, limit: float) -> float:
        """The larger one of both p-values."""
        return max(self.existence, self.of.p_above(limit))

    def p_below(self, limit: float) -> float:
        """The same for what is below the limit."""
        return max(self.existence, self.of.p_below(limit))

    def detectable(self, alpha: float, *, above: bool) -> float | None:
        """That of the difference, at the level at which one of so many tries would have to show it."""
        found = self.of.detectable(alpha / self.tries, above=above)
        return None if found is None else ROOM * found


__all__ = ["Bounds", "Shown", "Student"]
