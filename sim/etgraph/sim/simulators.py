"""The simulators by name: one table for the command line, servers and programs."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Final

from etgraph.model import Trace
from etgraph.model.cancelling import check
from etgraph.model.errors import UsageError
from etgraph.sim.simulation import Simulation


@dataclass(frozen=True, slots=True)
class Simulator:
    """A simulator: where its function is (`module:name`), and the version of its models.

    The version is raised whenever it predicts other times for one and the same trace.
    """

    target: str
    version: int = 1

    @property
    def function(self) -> Callable[..., Simulation]:
        """The function that simulates a trace."""
        module, _, name = self.target.partition(":")
        found: Callable[..., Simulation] = getattr(importlib.import_module(module), name)
        return found


SIMULATORS: Final[Mapping[str, Simulator]] = MappingProxyType(
    {
        "replay": Simulator("etgraph.sim.replay:replay"),
        "predict": Simulator("etgraph.sim.predict:predict"),
        "astra-sim": Simulator("etgraph.sim.astra_sim:simulate"),
        "import": Simulator("etgraph.sim.imported:imported"),
    }
)
"""What the command line chooses from by its options."""


def simulate(trace: Trace, simulator: str, /, **inputs: Any) -> Simulation:
    """Simulate a trace; `inputs` are the function's. Raises UsageError for a simulator that is not there."""
    if simulator not in SIMULATORS:
        raise UsageError(f"no simulator {simulator!r} in this version", hint=f"there are {', '.join(SIMULATORS)}")
    chosen = SIMULATORS[simulator]
    check()
    found = chosen.function(trace, **inputs)
    check()
    return replace(found, versions={simulator: str(chosen.version), **found.versions})
