"""What every cost model does."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Protocol

import numpy as np

from etgraph.model import Trace
from etgraph.model.columns import Array


def _none() -> Array:
    return np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Predictions:
    """Durations in ns of some rows, one entry a row, with the ends of their 90 % intervals.

    `source` is a position in `sources`: which model or assumption a duration comes from. `extrapolated` says that it
    was used outside of what it was fitted on; `known` is False where nothing could be said and the duration is an
    assumption that `sources` words.

    `kind` numbers what is the same work, `family` the families of `etgraph.model.families`, and `log_error` is the
    spread of the logarithm: what the interval of a sum is made of (`intervals.total_interval`). They may be empty.
    """

    duration_ns: Array
    low_ns: Array
    high_ns: Array
    source: Array
    extrapolated: Array
    known: Array
    sources: tuple[str, ...]
    kind: Array = field(default_factory=_none)
    family: Array = field(default_factory=_none)
    log_error: Array = field(default_factory=_none)

    def take(self, rows: Array) -> Predictions:
        """Those of some rows, each of which may come several times."""
        columns = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "sources"}
        taken = {name: values[rows] if len(values) else values for name, values in columns.items()}
        return Predictions(sources=self.sources, **taken)


class CostModel(Protocol):
    """Predicts how long operators take by themselves on a device, waiting and queueing apart."""

    @property
    def name(self) -> str:
        """How reports call the model."""
        ...

    def predict(self, trace: Trace, rows: Array) -> Predictions:
        """Durations of those rows of the trace's operators."""
        ...
