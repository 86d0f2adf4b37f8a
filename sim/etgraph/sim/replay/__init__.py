"""Replay: a measured trace run again from its dependencies alone."""

from etgraph.sim.proof import Cause, Proof
from etgraph.sim.replay.replay import judged_plan, measured_plan, replay, run_plan

__all__ = ["Cause", "Proof", "judged_plan", "measured_plan", "replay", "run_plan"]
