"""Comparison of two traces: what the difference of their steps is made of."""

from etgraph.queries.comparison.result import Comparison, Contribution, Difference

__all__ = ["Comparison", "Contribution", "Difference"]
