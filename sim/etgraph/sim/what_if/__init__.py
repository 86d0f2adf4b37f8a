"""What-ifs: changes of a measured run in every iteration, with costs drawn from what was measured, as distributions."""

from etgraph.sim.what_if.distribution import ChangedSteps, Edit, RankStep, what_if

__all__ = ["ChangedSteps", "Edit", "RankStep", "what_if"]
