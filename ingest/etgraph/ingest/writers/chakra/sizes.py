"""Sizes of messages as Chakra's tools record them: of a gather what one rank gives."""

from __future__ import annotations

import numpy as np

from etgraph.ingest.chakra.normalise import GATHERED, gathers, group_sizes
from etgraph.ingest.draft import NULL
from etgraph.model import Trace
from etgraph.model.columns import Array


def recorded_bytes(trace: Trace) -> Array:
    """The recorded size of each operator's message, `NULL` where it is not known; the inverse of `normalise`."""
    sizes: Array = trace.operators["comm_bytes"].copy()
    rows = gathers(trace)
    ranks = group_sizes(trace)[rows].astype(np.int64)
    sizes[rows] = np.where(ranks > 0, sizes[rows] // np.maximum(ranks, 1), NULL)
    return sizes


def sized(trace: Trace) -> Array:
    """Of which operators the recorded size follows from the column: of a gather only where the ranks are known."""
    known = np.ones(len(trace), dtype=bool)
    types = trace.operators["comm_type"]
    known[np.isin(types, GATHERED)] = group_sizes(trace)[np.isin(types, GATHERED)] > 0
    return known
