"""Predicted times that another simulator wrote down, as a simulation of the trace."""

from etgraph.sim.imported.simulating import imported

__all__ = ["imported"]
