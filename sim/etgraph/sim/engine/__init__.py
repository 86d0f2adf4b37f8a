"""The event engine: operators' starts and ends in time, one after another, as their edges and resources allow."""

from etgraph.sim.engine.program import Program, ProgramBuilder, Slots
from etgraph.sim.engine.run import Timeline, run

__all__ = ["Program", "ProgramBuilder", "Slots", "Timeline", "run"]
