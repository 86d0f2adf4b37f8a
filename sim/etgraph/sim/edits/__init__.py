"""Edits of a plan: what a run would be with operators faster, gone, added, split, merged, or out of each other's way.

Each is a pure function from a plan to a plan; `etgraph.sim.replay.run_plan` says what comes of it. Operators are named
by rows of the trace. An edit of a collective is one of all its members, since no rank can do without the others.
"""

from etgraph.sim.edits.collectives import Cost, Ready, merge, split
from etgraph.sim.edits.launches import launch_latency, queue_depth
from etgraph.sim.edits.operators import insert, issue, overlap, remove, scale, with_enclosed, with_peers
from etgraph.sim.edits.patterns import matching, named, nearest_names

__all__ = [
    "Cost",
    "Ready",
    "insert",
    "issue",
    "launch_latency",
    "matching",
    "merge",
    "named",
    "nearest_names",
    "overlap",
    "queue_depth",
    "remove",
    "scale",
    "split",
    "with_enclosed",
    "with_peers",
]
