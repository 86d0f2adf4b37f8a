"""Cost models of computation: how long an operator takes on a device, how sure that is, and where it comes from."""

from etgraph.sim.compute.protocol import CostModel, Predictions

__all__ = ["CostModel", "Predictions"]
