"""Queries: questions about a trace, each a pure function that gives a small result."""

from etgraph.queries.critical_path import CriticalPath, critical_path
from etgraph.queries.slack import Slack, slack

__all__ = ["CriticalPath", "Slack", "critical_path", "slack"]
