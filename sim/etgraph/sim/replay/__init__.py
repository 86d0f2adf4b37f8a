"""Replay: a measured trace run again from its dependencies alone."""

from etgraph.sim.replay.proof import Cause, Proof, WindowError
from etgraph.sim.replay.replay import replay

__all__ = ["Cause", "Proof", "WindowError", "replay"]
