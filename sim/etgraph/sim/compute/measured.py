"""The cost model that knows best: the trace's own durations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from etgraph.model import Trace
from etgraph.model.columns import Array
from etgraph.sim.compute.protocol import Predictions


@dataclass(frozen=True, slots=True)
class Measured:
    """The trace's own durations, exact."""

    @property
    def name(self) -> str:
        """How reports call the model."""
        return "measured"

    def predict(self, trace: Trace, rows: Array) -> Predictions:
        """Durations as recorded; where none is, 0 and not known."""
        null = trace.operators.is_null("duration_ns")[rows]
        duration = np.where(null, 0, trace.operators["duration_ns"][rows])
        return Predictions(
            duration, duration, duration, null.astype(np.int8), np.zeros(len(rows), dtype=bool), ~null,
            (self.name, "assumed to take no time: its time is not recorded"),
        )  # fmt: skip
