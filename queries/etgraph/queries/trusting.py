"""The trust that an answer deserves, from what is known of the trace and of the answer."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from etgraph.model import Trace, Trust
from etgraph.model.arrivals import Arrivals, alone, arrivals, communicates
from etgraph.model.columns import Array

WEAK = 0.9
"""A link below this confidence is weak."""


def trust_of(
    trace: Trace,
    rows: Array,
    *,
    came: Arrivals | None = None,
    explained_share: float | None = None,
    weak_links: int = 0,
    warnings: Iterable[str] = (),
) -> Trust:
    """The trust of an answer about those operators: what reading left open, peers that are missing, and `warnings`.

    `came` are the trace's arrivals, where the caller has them. A collective counts once as unmatched, however many of
    its operators are asked about; of operators that are known to be of no collective, each one does.
    """
    asked = rows[communicates(trace, rows)]
    collective = trace.operators["collective"][asked[alone(trace, asked, came or arrivals(trace))]]
    unmatched = len(np.unique(collective[collective >= 0])) + int(np.count_nonzero(collective < 0))
    told = dict.fromkeys([*trace.metadata.report.warnings, *warnings])
    return Trust(explained_share, unmatched, weak_links, tuple(told))
