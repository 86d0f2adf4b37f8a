"""Alignment of two traces: which operators of one are the same as which of the other, by structure."""

from etgraph.queries.alignment.alignment import Alignment

__all__ = ["Alignment"]
