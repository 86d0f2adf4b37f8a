"""Sweeps: one trace on many variations of hardware, their step times and prices, and which of them are worth having."""

from etgraph.sim.sweeps.front import pareto_front
from etgraph.sim.sweeps.grid import Choices, Grid, Setting
from etgraph.sim.sweeps.keeping import KeptPoints
from etgraph.sim.sweeps.measures import Measure
from etgraph.sim.sweeps.reading import GridError, load, loads
from etgraph.sim.sweeps.running import sweep
from etgraph.sim.sweeps.sweep import Sweep, SweepPoint

__all__ = [
    "Choices",
    "Grid",
    "GridError",
    "KeptPoints",
    "Measure",
    "Setting",
    "Sweep",
    "SweepPoint",
    "load",
    "loads",
    "pareto_front",
    "sweep",
]
