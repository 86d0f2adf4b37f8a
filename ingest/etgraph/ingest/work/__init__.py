"""Shapes into work: floating-point operations and bytes of operators, from their names, dims and types."""

from etgraph.ingest.work.coverage import Coverage, coverage
from etgraph.ingest.work.estimate import estimate

__all__ = ["Coverage", "coverage", "estimate"]
