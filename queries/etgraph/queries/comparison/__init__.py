"""Comparison of two traces: what the difference of their steps is made of."""

from etgraph.queries.comparison.compare import compare
from etgraph.queries.comparison.result import Comparison, Contribution, Difference, StepTime

__all__ = ["Comparison", "Contribution", "Difference", "StepTime", "compare"]
