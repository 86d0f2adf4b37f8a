"""How sure the links of an alignment are: by how far each is from where its run of matches ends."""

from __future__ import annotations

import numpy as np

from etgraph.model.columns import Array
from etgraph.model.schema import LinkMethod

_BY_DISTANCE = (LinkMethod.ALIGNED_1, LinkMethod.ALIGNED_2, LinkMethod.ALIGNED_4, LinkMethod.ALIGNED_8,
                LinkMethod.ALIGNED_16)  # fmt: skip
_DISTANCES = (1, 2, 4, 8, 16)


def methods(partner: Array, count: int) -> Array:
    """The `LinkMethod` of each token by how far it is from where its run of matches ends; -1 without a partner.

    A run goes on while both sequences step by one; that both begin or end there ends none. `count` is the other
    sequence's length.
    """
    position = np.arange(len(partner))
    goes_on = (partner[1:] == partner[:-1] + 1) & (partner[:-1] >= 0)
    starts = np.flatnonzero(np.concatenate([[True], ~goes_on])) if len(partner) else position
    run = np.cumsum(np.bincount(starts, minlength=len(partner))) - 1
    ends = np.append(starts[1:], len(partner)) - 1
    far = np.iinfo(np.int64).max
    behind = np.where((starts[run] == 0) & (partner == position), far, position - starts[run] + 1)
    before = (ends[run] == len(partner) - 1) & (partner - position == count - len(partner))
    ahead = np.where(before, far, ends[run] - position + 1)
    grade = np.searchsorted(_DISTANCES, np.minimum(behind, ahead), side="right") - 1
    return np.where(partner < 0, np.int8(-1), np.array(_BY_DISTANCE, dtype=np.int8)[grade])


def regraded(method: Array, wrong: Array) -> Array:
    """The methods of a thread's links when some are known to be wrong: no surer than how near these are.

    Where a link is wrong an alignment is off, so a run of matches ends there as it does where there is no match.
    """
    at = np.flatnonzero(wrong)
    if not len(at):
        return method
    position = np.arange(len(method))
    after = np.searchsorted(at, position)
    behind = position - at[np.maximum(after - 1, 0)]
    ahead = at[np.minimum(after, len(at) - 1)] - position
    near = np.searchsorted(_DISTANCES, np.maximum(np.minimum(np.abs(behind), np.abs(ahead)), 1), side="right") - 1
    grades = np.array(_BY_DISTANCE, dtype=np.int8)
    order = np.argsort(grades)
    own = order[np.minimum(np.searchsorted(grades, method, sorter=order), len(grades) - 1)]
    return np.where(np.isin(method, grades), grades[np.minimum(own, near)], method)
