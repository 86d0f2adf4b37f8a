"""Permutation tests of two sides of runs: what the difference would be, were the runs dealt to the sides by chance.

Where equal programs ran, every arrangement of their runs on the two sides is as likely as the one that was found,
whatever the noise looks like: long to one side, with outliers, of two kinds. So the share of arrangements that are at
least as far apart is a p-value that holds exactly (Fisher, The Design of Experiments, 1935; Pitman, JRSS Supplement 4,
1937), from 20 arrangements on at a level of 5 %. Beyond what so many can tell Student's t goes on.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations

import numpy as np

from etgraph.alerts.statistics.bounds import Bounds, Student
from etgraph.model.columns import Array

MOST = 1000
"""Arrangements that are looked at: all where there are no more, else as many by chance, the same each time."""
FEWEST_OF_A_SIDE = 3
"""Runs of each side from which on its own variance is known well enough to divide by."""
LEANING = 0.5
"""Skewness of runs about their side's mean from which on noise is called long to one side."""
ROOM = 1.1
"""By how much more `detectable` is than Student's t has it where the wider one of two intervals is taken."""
_TIES = 1e-9
_GRID = 17
_ROUNDS = 3


@lru_cache(maxsize=64)
def arrangements(count: int, others: int) -> Array:
    """Which runs (columns; first those of one side) are on that side, 0 or 1, in each arrangement; first the one found.

    >>> arrangements(1, 2).tolist()
    [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """
    length = count + others
    if math.comb(length, count) <= MOST:
        rows = np.array(list(combinations(range(length), count)))
    else:
        drawn = np.random.default_rng([count, others]).random((MOST, length)).argsort(axis=1)[:, :count]
        rows = np.concatenate([np.arange(count)[None], drawn[1:]])
    found = np.zeros((len(rows), length))
    np.put_along_axis(found, rows, 1.0, axis=1)
    return found


def are_enough(count: int, others: int) -> bool:
    """Whether both sides have several runs, and these have 20 arrangements or more.

    >>> are_enough(3, 3), are_enough(2, 4), are_enough(1, 30)
    (True, False, False)
    """
    return min(count, others) > 1 and math.comb(count + others, count) >= 20


@dataclass(frozen=True, slots=True)
class Arranged(Bounds):
    """The permutation test of a difference of means.

    `shifts` are in order: were the truth any of them, one arrangement more would be as far apart as what was found. An
    arrangement trades some runs of one side for as many of the other; its shift is the difference of their means.
    """

    shifts: Array
    student: Student

    def lower(self, alpha: float) -> float:
        """The shift that as many arrangements have below it as `alpha` allows."""
        place = self._place(alpha)
        return float(self.shifts[place]) if place >= 0 else min(float(self.shifts[0]), self.student.lower(alpha))

    def upper(self, alpha: float) -> float:
        """The same from above."""
        place = self._place(alpha)
        return float(self.shifts[-1 - place]) if place >= 0 else max(float(self.shifts[-1]), self.student.upper(alpha))

    def _place(self, alpha: float) -> int:
        return min(math.floor(alpha * (len(self.shifts) + 1) + _TIES), len(self.shifts)) - 1

    def p_above(self, limit: float) -> float:
        """The share of arrangements that are as far above; where there is no other one, Student's if it is smaller."""
        return self._p_value(int(np.searchsorted(self.shifts, limit, side="right")), self.student.p_above(limit))

    def p_below(self, limit: float) -> float:
        """The same for what is below the limit."""
        count = len(self.shifts) - int(np.searchsorted(self.shifts, limit, side="left"))
        return self._p_value(count, self.student.p_below(limit))

    def _p_value(self, count: int, students: float) -> float:
        share = (count + 1) / (len(self.shifts) + 1)
        return share if count else min(share, students)


def arranged(one: Array, other: Array, student: Student) -> Arranged:
    """The permutation test of two sides of several runs."""
    stay = arrangements(len(one), len(other))[1:]
    leave, come = 1 - stay[:, : len(one)], stay[:, len(one) :]
    return Arranged(np.sort((leave @ one - come @ other) / come.sum(axis=1)), student)


@dataclass(frozen=True, slots=True)
class Studentised(Bounds):
    """The permutation test of Welch's t, for sides of unequal numbers that may differ in their noise.

    That holds exactly for noise of any shape that both sides share, and nearly where one side is noisier (Janssen,
    Statistics and Probability Letters 36, 1997). Few runs of the noisier side still give too many alarms, so Welch's
    own interval is taken where it is wider; but not where the runs are long to the side for which that is known to be
    too wide.
    """

    one: Array
    other: Array
    student: Student

    def lower(self, alpha: float) -> float:
        """Where the arrangements and Welch's t leave so much probability below."""
        return self._lower(alpha)

    def upper(self, alpha: float) -> float:
        """The same from above."""
        return -self._mirrored()._lower(alpha)

    def p_above(self, limit: float) -> float:
        """The share of arrangements of so large a t, or Welch's p-value."""
        count, welch = float(self._as_far(np.array([limit]))[0]), self.student.p_above(limit)
        share = count / len(self._arrangements)
        found = min(share, welch) if count == 1 else share
        return found if welch <= found or self._leans() else welch

    def p_below(self, limit: float) -> float:
        """The same for what is below the limit."""
        return self._mirrored().p_above(-limit)

    def detectable(self, alpha: float, *, above: bool) -> float:
        """A little more than Welch's."""
        return ROOM * self.student.detectable(alpha, above=above)

    @property
    def _arrangements(self) -> Array:
        return arrangements(len(self.one), len(self.other))

    def _mirrored(self) -> Studentised:
        student = Student(-self.student.centre, self.student.error, self.student.degrees)
        return Studentised(-self.one, -self.other, student)

    def _leans(self) -> bool:
        """Whether noise is long to the side on which it makes Welch's t too careful of what is above a limit."""
        rest = np.concatenate([self.one - self.one.mean(), self.other - self.other.mean()])
        square = float((rest**2).mean())
        lean = float((rest**3).mean()) / square**1.5 if square else 0.0
        return (lean if len(self.one) < len(self.other) else -lean) > LEANING

    def _as_far(self, shifts: Array) -> Array:
        """How many arrangements are as far apart as what was found, were the truth each of these shifts."""
        some, n, m = self._arrangements, len(self.one), len(self.other)
        middle = self.other.mean()
        runs = np.concatenate([self.one - middle, self.other - middle])
        own = some[:, :n]
        # Sums and sums of squares of the one side, without the shift of those runs that are the samples' own.
        moved = own.sum(axis=1)[:, None]
        sums = (some @ runs)[:, None] - moved * shifts
        squares = (some @ runs**2)[:, None] - 2 * (own @ runs[:n])[:, None] * shifts + moved * shifts**2
        total = runs.sum() - n * shifts
        total_squares = (runs**2).sum() - 2 * runs[:n].sum() * shifts + n * shifts**2
        rest = np.maximum(squares - sums**2 / n, 0.0) / (n - 1) / n
        rest += np.maximum(total_squares - squares - (total - sums) ** 2 / m, 0.0) / (m - 1) / m
        times = (sums / n - (total - sums) / m) / np.sqrt(np.maximum(rest, 1e-24 * total_squares + 1e-200))
        found: Array = (times >= times[:1] - _TIES * np.abs(times[:1])).sum(axis=0)
        return found

    def _lower(self, alpha: float) -> float:
        welch = self.student.lower(alpha)
        most = max(alpha, 1 / len(self._arrangements)) * len(self._arrangements) + _TIES
        high, reach = self.student.centre, 4 * self.student.error
        while reach < 1e6 * self.student.error and self._as_far(np.array([high - reach]))[0] > most:
            reach *= 2
        low = high - reach
        for _ in range(_ROUNDS):
            places = np.linspace(low, high, _GRID)
            beyond = np.flatnonzero(self._as_far(places) > most)
            first = int(beyond[0]) if len(beyond) else _GRID - 1
            low, high = float(places[max(first - 1, 0)]), float(places[first])
        wider = alpha * len(self._arrangements) < 1 or not self._leans()
        return min(low, welch) if wider else low


__all__ = ["Arranged", "Studentised", "are_enough", "arranged", "arrangements"]
