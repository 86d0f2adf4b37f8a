"""Findings: what holds a step back, ranked by what mending it would gain."""

from etgraph.queries.findings.finding import Finding, Findings
from etgraph.queries.findings.findings import findings

__all__ = ["Finding", "Findings", "findings"]
