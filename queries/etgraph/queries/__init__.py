"""Queries: questions about a trace, each a pure function that gives a small result."""

from etgraph.queries.breakdown import Breakdown, breakdown
from etgraph.queries.comm_matrix import CommunicationMatrix, comm_matrix
from etgraph.queries.comparison import Comparison, compare
from etgraph.queries.critical_path import CriticalPath, critical_path
from etgraph.queries.device_use import DeviceUse, device_use
from etgraph.queries.findings import Finding, Findings, findings
from etgraph.queries.hotspots import Hotspots, hotspots
from etgraph.queries.iterations import StepTimes, iterations
from etgraph.queries.memory import Memory, memory
from etgraph.queries.operators import Operators, operators
from etgraph.queries.saved_simulations import load_simulation, remove_simulation, save_simulation, saved_simulations
from etgraph.queries.saving import answer, artefact_of
from etgraph.queries.simulations import Simulations, simulations
from etgraph.queries.slack import Slack, slack
from etgraph.queries.stragglers import Stragglers, stragglers
from etgraph.queries.waterfall import Waterfall, Waterfalls, waterfall
from etgraph.queries.whatif import WhatIf, whatif
from etgraph.queries.workloads import Workloads, workloads

__all__ = [
    "Breakdown",
    "CommunicationMatrix",
    "Comparison",
    "CriticalPath",
    "DeviceUse",
    "Finding",
    "Findings",
    "Hotspots",
    "Memory",
    "Operators",
    "Simulations",
    "Slack",
    "StepTimes",
    "Stragglers",
    "Waterfall",
    "Waterfalls",
    "WhatIf",
    "Workloads",
    "answer",
    "artefact_of",
    "breakdown",
    "comm_matrix",
    "compare",
    "critical_path",
    "device_use",
    "findings",
    "hotspots",
    "iterations",
    "load_simulation",
    "memory",
    "operators",
    "remove_simulation",
    "save_simulation",
    "saved_simulations",
    "simulations",
    "slack",
    "stragglers",
    "waterfall",
    "whatif",
    "workloads",
]
