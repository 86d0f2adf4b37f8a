"""What every simulator gives: when each operator starts, how long it takes, and how far that is from the measured."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final

import numpy as np

from etgraph.model import Trace, Trust
from etgraph.model.columns import Array
from etgraph.model.errors import UsageError
from etgraph.model.result_tables import row_of
from etgraph.model.results import Result
from etgraph.sim.proof import Proof

if TYPE_CHECKING:
    import pyarrow as pa

ID_LENGTH: Final = 16
"""Hexadecimal digits of a simulation's id."""
_NOT_IN_ID: Final = ("node_id",)
"""Columns that say nothing that the others do not."""
NODE: Final = row_of(
    "PredictedOperator", "predicted times of an operator, in ns from the trace's zero; null where it never ran",
    rank="int32 rank of the operator",
    index="int32 the operator's number within its rank",
    node_id="string the source's own id",
    start_ns="int64 predicted start",
    duration_ns="int64 predicted time from start to end",
    duration_low_ns="int64 lower end of the 90 % interval; null where the simulator gives none",
    duration_high_ns="int64 upper end of the 90 % interval; null where the simulator gives none",
    source="string which model the duration comes from",
    extrapolated="bool whether that model was used outside of what it was fitted on",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class RankTimes:
    """A rank's end, and how long it computed and communicated, in ns; what overlaps counts once."""

    rank: int
    end_ns: int
    computation_ns: int
    communication_ns: int


@dataclass(frozen=True, slots=True)
class WindowTimes:
    """An iteration on a rank, or the whole trace where there are none (None): its measured and simulated length in ns.

    `error` is simulated against measured, relative and signed.
    """

    rank: int | None
    iteration: int | None
    measured_ns: int
    simulated_ns: int
    error: float


@dataclass(frozen=True, slots=True)
class Simulation(Result):
    """Predicted times of a trace's operators, in ns from the trace's zero.

    `error` is the makespan's, relative to the measured one and signed; None where nothing was measured. `nodes` has a
    row for each operator, in the trace's order: rank, index, node_id (text, null), start_ns, duration_ns,
    duration_low_ns and duration_high_ns (the ends of the 90 % interval; equal to the duration where it is exact, null
    where the simulator gives none), source (which model the duration comes from), extrapolated (whether that model was
    used outside of what it was fitted on). Start and durations are null for an operator that never ran. `parameters`
    are the choices that it was made with, `versions` those of the models, `windows` the steps of a measured trace, both
    ways; a replay has a `proof`.
    """

    simulator: str
    profile: str | None
    makespan_ns: int
    measured_ns: int | None
    error: float | None
    ranks: tuple[RankTimes, ...]
    nodes: Annotated[pa.Table, NODE]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    trust: Trust = field(default_factory=Trust)
    versions: Mapping[str, str] = field(default_factory=dict, kw_only=True)
    windows: tuple[WindowTimes, ...] = ()
    proof: Proof | None = None

    FRAME: ClassVar[str] = "nodes"
    TABLE: ClassVar[str] = "ranks"

    def headline(self) -> str:
        """The answer in a few words."""
        on = f" on {self.profile}" if self.profile else ""
        return f"{self.simulator}{on}: {self.makespan_ns / 1e6:.3f} ms"

    @property
    def id(self) -> str:
        """A text that follows from the choices and the predicted times, and from nothing else."""
        choices = [self.simulator, self.profile, self.makespan_ns, dict(self.parameters)]
        digest = hashlib.sha256(json.dumps(choices, sort_keys=True, default=str).encode())
        for name in self.nodes.column_names:
            if name not in _NOT_IN_ID:
                digest.update(name.encode())
                digest.update(_bytes_of(self.nodes[name]))
        return digest.hexdigest()[:ID_LENGTH]

    def on(self, trace: Trace) -> Trace:
        """The trace on the predicted timeline, which every analysis takes; it says that its times are predicted.

        Raises UsageError for another trace than the one that was simulated.
        """
        o = trace.operators
        for name in ("rank", "index"):
            if not np.array_equal(self.nodes[name].to_numpy(), o[name]):
                raise UsageError(
                    f"simulation {self.id}: found {self.nodes.num_rows:,} operators of another trace, expected the "
                    f"{len(trace):,} of {trace!r}"
                )
        start, duration = (_filled(self.nodes[name], o.table.column(name).null) for name in ("start_ns", "duration_ns"))
        moved = trace.with_times(start, duration, timeline=f"simulation {self.id}")
        report = trace.metadata.report
        report = replace(report, warnings=(*report.warnings, f"times are predicted, by simulation {self.id}"))
        return replace(moved, metadata=replace(moved.metadata, report=report))


def _filled(column: pa.ChunkedArray, null: Any) -> Array:
    """A column of integers, with a value for null."""
    import pyarrow as pa

    found: Array = column.cast(pa.int64()).fill_null(null).to_numpy()
    return found


def _bytes_of(column: pa.ChunkedArray) -> bytes:
    """A column's values as bytes, the same for equal values however they lie in memory."""
    import pyarrow as pa

    if pa.types.is_integer(column.type) or pa.types.is_boolean(column.type):
        values = _filled(column, 0).tobytes()
    elif pa.types.is_floating(column.type):
        values = column.cast(pa.float64()).fill_null(0).to_numpy().tobytes()
    else:
        texts = column.cast(pa.string()).combine_chunks().dictionary_encode()
        values = texts.indices.fill_null(-1).to_numpy().tobytes() + json.dumps(texts.dictionary.to_pylist()).encode()
    known: bytes = column.is_valid().to_numpy().tobytes()
    return known + values
