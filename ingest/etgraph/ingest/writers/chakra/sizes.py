"""Which messages' recorded sizes follow from their columns."""

from __future__ import annotations

import numpy as np

from etgraph.model import Trace
from etgraph.model.columns import Array
from etgraph.model.message_sizes import GATHERED, group_sizes


def sized(trace: Trace) -> Array:
    """Of which operators the recorded size follows from the column: of a gather only where the ranks are known."""
    known = np.ones(len(trace), dtype=bool)
    types = trace.operators["comm_type"]
    known[np.isin(types, GATHERED)] = group_sizes(trace)[np.isin(types, GATHERED)] > 0
    return known
