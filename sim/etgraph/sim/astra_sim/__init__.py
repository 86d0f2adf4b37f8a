"""ASTRA-sim's analytical backends on a trace, to the nanosecond, from its own configuration files."""

from etgraph.sim.astra_sim.errors import (
    EndedEarly,
    EventAtZero,
    FaultyNode,
    NeverEnds,
    NotAWorkload,
    SimulationError,
    StatisticsAbort,
)
from etgraph.sim.astra_sim.groups import read_groups
from etgraph.sim.astra_sim.memory import RemoteMemory, read_memory
from etgraph.sim.astra_sim.network import Dimension, Network, read_network
from etgraph.sim.astra_sim.running import run, simulate
from etgraph.sim.astra_sim.system import Arguments, Implementation, System, read_arguments, read_system

__all__ = [
    "Arguments",
    "Dimension",
    "EndedEarly",
    "EventAtZero",
    "FaultyNode",
    "Implementation",
    "Network",
    "NeverEnds",
    "NotAWorkload",
    "RemoteMemory",
    "SimulationError",
    "StatisticsAbort",
    "System",
    "read_arguments",
    "read_groups",
    "read_memory",
    "read_network",
    "read_system",
    "run",
    "simulate",
]
