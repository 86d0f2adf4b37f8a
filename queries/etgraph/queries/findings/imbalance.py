"""Imbalance: several ranks come to their collectives later than the others, not by chance."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from etgraph.queries.findings.candidate import Candidate
from etgraph.queries.findings.lateness import blamed
from etgraph.queries.findings.measured import Measured
from etgraph.sim.idealised import without_late_ranks

LEAST_SHARE = 0.05
"""A rank that causes less than this part of the waiting is not late."""
NAMED = 3
"""Ranks that the evidence names at most."""
ADVICE = (
    "Even the work out: bucket samples by length or cost before they are sharded, balance pipeline stages and "
    "embedding tables by measured time, and pin processes to cores and NUMA nodes so that hosts do not disturb each "
    "other."
)


def imbalance(measured: Measured) -> Iterator[Candidate]:
    """All ranks as early as the middle one, where several are late by more than chance."""
    trace = measured.trace
    if (
        measured.rank is not None or len(trace.ranks) <= 2 or not len(measured.communication)
    ):  # of two, one is the late one
        return
    found = blamed(measured)
    late = [column for column in np.argsort(-found.share).tolist() if found.share[column] >= LEAST_SHARE]
    late = [column for column in late if found.beyond_chance(column)]
    if len(late) < 2:
        return
    o = trace.operators
    ranks = [found.ranks[column] for column in late]
    rows = np.flatnonzero(measured.inside & np.isin(o["rank"], ranks))
    rows = rows[~measured.communicates(rows)]
    told = ", ".join(f"{found.share[column]:.0%} to rank {rank}" for rank, column in list(zip(ranks, late))[:NAMED])
    yield Candidate(
        "the work of the ranks is out of balance",
        "",
        without_late_ranks,
        rows,
        f"of the ranks' waiting {told} go back; the gain is that of nobody later than the middle rank",
        ADVICE,
    )
