"""Answers that were worked out a moment ago: who pages through the rows of one has it worked out once.

An answer follows from the trace in its revision and from the question's choices, which name it here. What a viewer may
see is told before, where the trace is found.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Hashable
from typing import Any, Final, TypeVar, cast

import numpy as np
import pyarrow as pa

from etgraph.api.bounded import Bounded

T = TypeVar("T")

MOST_BYTES: Final = 128 << 20
_ROW: Final = 500
"""About what an object of an answer takes."""

_kept: Bounded[Hashable, Any] = Bounded(MOST_BYTES)


def worked_out(key: Hashable, work: Callable[[], T]) -> T:
    """What the work gives, or gave under that key before."""
    found = _kept.get(key)
    if found is None:
        found = work()
        _kept.put(key, found, _size_of(found))
    return cast(T, found)


def _size_of(answer: Any) -> int:
    """About how many bytes an answer takes."""
    if isinstance(answer, (pa.Table, np.ndarray)):
        return int(answer.nbytes)
    if isinstance(answer, (tuple, list)):
        return sum(map(_size_of, answer))
    if dataclasses.is_dataclass(answer):
        return _ROW + sum(_size_of(getattr(answer, each.name)) for each in dataclasses.fields(answer))
    return 0


__all__ = ["worked_out"]
