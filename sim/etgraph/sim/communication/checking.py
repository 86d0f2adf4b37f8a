"""How well two parameters tell the times of transfers: fitted on half of them, checked on the other half."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from etgraph.model.columns import Array
from etgraph.sim.communication.fitting import fit
from etgraph.sim.communication.predicting import CommunicationModel
from etgraph.sim.communication.transfers import Measured
from etgraph.sim.compute import Predictions
from etgraph.sim.profiles import Calibration, Profile

TOLERANCE = 0.1
"""A prediction is near when it is within this share of the measured time, or within two steps of the clock."""


@dataclass(frozen=True, slots=True)
class Check:
    """How near predictions came to measured times; shares are None where nothing was checked.

    `fitted` and `checked` count transfers, `near` is the share of the checked ones that are `TOLERANCE` or two steps of
    the clock away at most, `error` the median of their relative errors, `covered` the share inside the 90 % interval.
    `repeated` counts transfers of which there are three or more alike (type, size, group); `repeat_near` and
    `repeat_error` are the same of the best that any model of type, size and group can do: each one's own median.
    """

    fitted: int
    checked: int
    near: float | None
    error: float | None
    covered: float | None
    repeated: int
    repeat_near: float | None
    repeat_error: float | None


def halves(found: Measured) -> tuple[Array, Array]:
    """Rows to fit and rows to check: of each type and group size every other one, in order of size, then of time."""
    rows = found.usable
    t = found.transfers
    order = rows[np.lexsort((rows, t.bytes[rows], t.ranks[rows], t.type[rows]))]
    kind = np.stack([t.type[order], t.ranks[order]])
    fresh = np.flatnonzero(np.r_[True, (kind[:, 1:] != kind[:, :-1]).any(axis=0)]) if len(order) else order
    begin = np.repeat(fresh, np.diff(np.r_[fresh, len(order)]))
    odd = (np.arange(len(order)) - begin) % 2 == 1
    return order[~odd], order[odd]


def check(found: Measured, profile: Profile, rows: tuple[Array, Array] | None = None) -> Check:
    """Fit on the first rows and check on the second (without them: `halves`). The profile's own fits are not used."""
    fitted, checked = rows if rows is not None else halves(found)
    known = replace(profile, calibration=Calibration(collectives=fit(found.take(fitted), profile)))
    held_out = found.take(checked)
    said = CommunicationModel(known).predict(held_out.transfers)
    near, error, covered = _nearness(held_out, said)
    alike, own = _medians_of_the_like(found)
    repeats = found.take(alike)
    best_near, best_error = _near(own, repeats.transfer_ns, found.resolution_ns)
    return Check(len(fitted), len(checked), near, error, covered, len(alike), best_near, best_error)


def _nearness(found: Measured, said: Predictions) -> tuple[float | None, float | None, float | None]:
    if not len(found):
        return None, None, None
    near, error = _near(said.duration_ns, found.transfer_ns, found.resolution_ns)
    inside = (said.low_ns <= found.transfer_ns) & (found.transfer_ns <= said.high_ns)
    return near, error, float(inside.mean())


def _near(said: Array, measured: Array, resolution: int) -> tuple[float | None, float | None]:
    if not len(measured):
        return None, None
    off = np.abs(said - measured)
    near = off <= np.maximum(TOLERANCE * measured, 2 * resolution)
    return float(near.mean()), float(np.median(off / np.maximum(measured, 1)))


def _medians_of_the_like(found: Measured) -> tuple[Array, Array]:
    """Rows of which there are three or more alike, and the median time of those."""
    rows, t = found.usable, found.transfers
    _, of, count = np.unique(
        np.stack([t.type[rows], t.bytes[rows], t.group[rows]]), axis=1, return_inverse=True, return_counts=True
    )
    of = of.ravel()
    kept = count[of] >= 3
    medians = np.array([np.median(found.transfer_ns[rows[of == k]]) for k in range(len(count))])
    return rows[kept], medians[of[kept]] if len(count) else found.transfer_ns[:0]


__all__ = ["TOLERANCE", "Check", "check", "halves"]
