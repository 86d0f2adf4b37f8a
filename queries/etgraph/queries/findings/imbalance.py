"""Imbalance: ranks come to their collectives at different times, and no single one of them is to blame."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from etgraph.queries.findings.candidate import Candidate
from etgraph.queries.findings.late_rank import LEAST_SHARE
from etgraph.queries.findings.lateness import blamed
from etgraph.queries.findings.measured import Measured
from etgraph.sim.idealised import without_late_ranks

ADVICE = (
    "Even the work out: bucket samples by length or cost before they are sharded, balance pipeline stages and "
    "embedding tables by measured time, and pin processes to cores and NUMA nodes so that hosts do not disturb each "
    "other."
)


def imbalance(measured: Measured) -> Iterator[Candidate]:
    """All ranks as early as the middle one, where several are late by more than chance."""
    trace = measured.trace
    if len(trace.ranks) < 2 or not len(measured.communication):
        return
    found = blamed(measured)
    late = [column for column in range(len(found.ranks)) if found.share[column] > 1 / len(found.ranks)]
    late = [column for column in late if found.beyond_chance(column)]
    if not late or float(found.share.max()) >= LEAST_SHARE:
        return
    o = trace.operators
    ranks = [found.ranks[column] for column in late]
    rows = np.flatnonzero(measured.inside & np.isin(o["rank"], ranks))
    rows = rows[~measured.communicates(rows)]
    told = ", ".join(f"rank {rank} {found.share[column]:.0%}" for rank, column in zip(ranks, late))
    yield Candidate(
        "the work of the ranks is out of balance",
        "",
        without_late_ranks,
        rows,
        f"of the ranks' waiting goes back to {told}; the gain is that of nobody later than the middle rank",
        ADVICE,
    )
