"""Lost time: from the measured step, cause after cause taken away, to the ideal one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from etgraph.model import Trust
from etgraph.model.results import Result


@dataclass(frozen=True, slots=True)
class LostTime:
    """What one cause costs the step, in ns."""

    name: str
    ns: int


@dataclass(frozen=True, slots=True)
class Waterfall(Result):
    """One workload's lost time: `measured_ns` less all `steps` is `ideal_ns`. Shares are 0 to 1, None where unknown."""

    trace: str
    measured_ns: int
    steps: tuple[LostTime, ...]
    ideal_ns: int
    model_flops_utilization: float | None
    exposed_share: float | None
    wait_share: float | None
    bus_bandwidth_share: float | None
    trust: Trust

    FRAME: ClassVar[str] = "steps"
    TABLE: ClassVar[str] = "steps"


__all__ = ["LostTime", "Waterfall"]
