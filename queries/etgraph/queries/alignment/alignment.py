"""What two traces have in common: every operator of either at a position of one program."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from etgraph.model.columns import Array


@dataclass(frozen=True, slots=True)
class AlignedTime:
    """Own time of one side's operators that were asked about, in ns, and the part at positions that both sides have."""

    host_ns: int
    host_aligned_ns: int
    device_ns: int
    device_aligned_ns: int

    @property
    def host_share(self) -> float:
        """The aligned part of the hosts' time; 1 where there is none."""
        return self.host_aligned_ns / self.host_ns if self.host_ns else 1.0

    @property
    def device_share(self) -> float:
        """The aligned part of the devices' time; 1 where there is none."""
        return self.device_aligned_ns / self.device_ns if self.device_ns else 1.0


NO_TIME = AlignedTime(0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Alignment:
    """Operators of two traces at positions of one program: those at the same position are the same operator.

    `base` and `other` have an entry an operator of their trace (int64): its position, −1 where it was not asked about.
    Operators of other iterations and of ranks that do the same share a position, so that a position has several
    operators on a side, of different iterations and ranks. A position with operators on one side only is added or
    removed. `ranks` are pairs of ranks that were taken for the same, `iterations` pairs of iterations. `match` says of
    each position how the least sure of its operators was found (a `Match`), `alone` are the ranks of the base and those
    of the other trace that found no counterpart, `warnings` say what makes the alignment doubtful.
    """

    base: Array
    other: Array
    positions: int
    ranks: tuple[tuple[int, int], ...] = ()
    iterations: tuple[tuple[int, int], ...] = ()
    match: Array = field(default_factory=lambda: np.zeros(0, dtype=np.int8))
    alone: tuple[tuple[int, ...], tuple[int, ...]] = ((), ())
    base_time: AlignedTime = NO_TIME
    other_time: AlignedTime = NO_TIME
    warnings: tuple[str, ...] = ()

    @property
    def common(self) -> Array:
        """Of every position whether both sides have it."""
        found: Array = self._has(self.base) & self._has(self.other)
        return found

    @property
    def removed(self) -> Array:
        """Rows of the base's operators that the other trace has not."""
        return self._missing(self.base)

    @property
    def added(self) -> Array:
        """Rows of the other trace's operators that the base has not."""
        return self._missing(self.other)

    @property
    def aligned_share(self) -> float:
        """The part of both sides' time, on hosts and devices, at positions that both have; 1 where there is no time."""
        whole = sum(time.host_ns + time.device_ns for time in (self.base_time, self.other_time))
        aligned = sum(time.host_aligned_ns + time.device_aligned_ns for time in (self.base_time, self.other_time))
        return aligned / whole if whole else 1.0

    def _has(self, side: Array) -> Array:
        has = np.zeros(self.positions, dtype=bool)
        has[side[side >= 0]] = True
        return has

    def _missing(self, side: Array) -> Array:
        found: Array = np.flatnonzero((side >= 0) & ~np.append(self.common, True)[side])
        return found


__all__ = ["AlignedTime", "Alignment"]
