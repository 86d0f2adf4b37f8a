"""Queries: questions about a trace, each a pure function that gives a small result."""

from etgraph.queries.breakdown import Breakdown, breakdown
from etgraph.queries.comm_matrix import CommunicationMatrix, comm_matrix
from etgraph.queries.critical_path import CriticalPath, critical_path
from etgraph.queries.hotspots import Hotspots, hotspots
from etgraph.queries.saving import artefact_of
from etgraph.queries.slack import Slack, slack

__all__ = [
    "Breakdown",
    "CommunicationMatrix",
    "CriticalPath",
    "Hotspots",
    "Slack",
    "artefact_of",
    "breakdown",
    "comm_matrix",
    "critical_path",
    "hotspots",
    "slack",
]
