"""Alignment of two traces: which operators of one are the same as which of the other, by structure."""

from etgraph.queries.alignment.aligning import Ranks, align
from etgraph.queries.alignment.alignment import AlignedTime, Alignment
from etgraph.queries.alignment.fit import Match
from etgraph.queries.alignment.unaligned import Unaligned, unaligned

__all__ = ["AlignedTime", "Alignment", "Match", "Ranks", "Unaligned", "align", "unaligned"]
