"""Queries: questions about a trace, each a pure function that gives a small result."""

from etgraph.queries.critical_path import CriticalPath, critical_path

__all__ = ["CriticalPath", "critical_path"]
