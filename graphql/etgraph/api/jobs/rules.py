"""The settings of jobs: who runs them, for how long, how often, and where uploads wait."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from etgraph.model.settings.declaration import AtLeast
from etgraph.model.settings.units import SIZE, TIME


@dataclass(frozen=True, slots=True)
class Rules:
    """How jobs are run. Times are ns, sizes bytes; files write them with their units."""

    workers: Annotated[int, AtLeast(0), "processes that the server starts for jobs; with 0 others run them"] = 1
    spool: Annotated[str, "folder in which uploads wait; else one of the store's own"] = ""
    attempts: Annotated[int, AtLeast(1), "times that a job is begun, where its worker dies or loses the store"] = 3
    lease_ns: Annotated[int, TIME, "without a sign of life after which another worker takes a job over"] = 30 * 10**9
    time_ns: Annotated[int, TIME, "that one job may take"] = 3600 * 10**9
    memory_bytes: Annotated[int, SIZE, "that a worker may have, and each process that it starts; 0 for no bound"] = 0
    kept_ns: Annotated[int, TIME, "for which a job that has ended is remembered"] = 7 * 86_400 * 10**9


__all__ = ["Rules"]
