"""Findings: what holds a step back, ranked by what mending it would gain."""

from etgraph.queries.findings.finding import Finding, Findings

__all__ = ["Finding", "Findings"]
