"""Queries: questions about a trace, each a pure function that gives a small result."""

from etgraph.queries.critical_path import CriticalPath, critical_path
from etgraph.queries.saving import answer, artefact_of
from etgraph.queries.slack import Slack, slack

__all__ = ["CriticalPath", "Slack", "answer", "artefact_of", "critical_path", "slack"]
