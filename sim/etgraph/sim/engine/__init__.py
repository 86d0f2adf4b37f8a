"""The event engine: starts and ends of operators in time, as their edges and resources allow."""

from etgraph.sim.engine.program import Places, Program, ProgramBuilder, Services
from etgraph.sim.engine.run import Timeline, run

__all__ = ["Places", "Program", "ProgramBuilder", "Services", "Timeline", "run"]
