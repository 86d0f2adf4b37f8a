"""Queries: questions about a trace, each a pure function that gives a small result."""

from etgraph.queries.critical_path import CriticalPath, critical_path
from etgraph.queries.memory import Memory, memory
from etgraph.queries.operators import Operators, operators
from etgraph.queries.saving import artefact_of
from etgraph.queries.slack import Slack, slack

__all__ = [
    "CriticalPath",
    "Memory",
    "Operators",
    "Slack",
    "artefact_of",
    "critical_path",
    "memory",
    "operators",
    "slack",
]
