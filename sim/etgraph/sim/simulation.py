"""What every simulator gives: when each operator starts, how long it takes, and how far that is from the measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from etgraph.model import Trust
from etgraph.model.results import Result

if TYPE_CHECKING:
    import pyarrow as pa

    from etgraph.sim.replay.proof import Proof


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
    row for each operator: rank, index, node_id (text, null), start_ns, duration_ns, duration_low_ns and
    duration_high_ns (the ends of the 90 % interval; equal to the duration where it is exact), source (which model the
    duration comes from), extrapolated (whether that model was used outside of what it was fitted on). Start and
    durations are null for an operator that never ran. `parameters` are the choices that it was made with, `windows`
    the steps of a measured trace, both ways; a replay has a `proof`.
    """

    simulator: str
    profile: str | None
    makespan_ns: int
    measured_ns: int | None
    error: float | None
    ranks: tuple[RankTimes, ...]
    nodes: pa.Table
    parameters: Mapping[str, Any] = field(default_factory=dict)
    trust: Trust = field(default_factory=Trust)
    windows: tuple[WindowTimes, ...] = ()
    proof: Proof | None = None

    FRAME: ClassVar[str] = "nodes"
    TABLE: ClassVar[str] = "ranks"

    def headline(self) -> str:
        """The answer in a few words."""
        on = f" on {self.profile}" if self.profile else ""
        return f"{self.simulator}{on}: {self.makespan_ns / 1e6:.3f} ms"
