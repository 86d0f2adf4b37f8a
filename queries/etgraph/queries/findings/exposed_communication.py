"""Exposed communication: what threads and streams wait for while it could run beside computation."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from etgraph.model.readable import duration
from etgraph.queries.findings.candidate import Candidate
from etgraph.queries.findings.measured import Measured
from etgraph.queries.findings.mending import without
from etgraph.queries.findings.redundant_collective import unread
from etgraph.queries.findings.synchronisation import barriers
from etgraph.sim import edits
from etgraph.sim.replay.plan import Plan

ADVICE = (
    "Issue it earlier and wait for it later: async_op=True with wait() where the result is read; for DDP smaller "
    "bucket_cap_mb or gradient_as_bucket_view=True, for FSDP forward_prefetch and backward_prefetch=BACKWARD_PRE."
)


def exposed_communication(measured: Measured) -> Iterator[Candidate]:
    """All collectives at once, with transfers that take no time, as if something else ran beside them.

    What ranks wait for each other stays. Collectives that could be taken out are findings of their own, and taken out
    beforehand.
    """
    needless = np.union1d(barriers(measured), unread(measured)[0])
    rows = np.setdiff1d(measured.communication, needless)
    if not len(rows):
        return

    def needed(plan: Plan) -> Plan:
        return without(plan, measured.with_issues(needless)) if len(needless) else plan

    steps = len(measured.steps)
    critical = int(measured.critical_ns[rows].sum()) / steps
    yield Candidate(
        "communication is not hidden behind computation",
        "",
        lambda plan: edits.scale(needed(plan), rows, 0.0),
        rows,
        f"{duration(critical)} of a step's critical path is transfer; the gain is what full overlap would give at most",
        ADVICE,
        needed,
    )
