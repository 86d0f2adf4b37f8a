"""Workloads for ASTRA-sim: any trace as one that the simulator executes, and the rules that such a trace keeps."""

from etgraph.ingest.writers.astra_sim.lowering import Workload, lower
from etgraph.ingest.writers.astra_sim.rules import violations

__all__ = ["Workload", "lower", "violations"]
