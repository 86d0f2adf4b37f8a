"""Exposed communication: what threads and streams wait for while it could run beside computation."""

from __future__ import annotations

from collections.abc import Iterator

from etgraph.queries.findings.candidate import Candidate
from etgraph.queries.findings.measured import Measured
from etgraph.queries.findings.words import duration
from etgraph.sim.idealised import overlapped

ADVICE = (
    "Issue it earlier and wait for it later: async_op=True with wait() where the result is read; for DDP smaller "
    "bucket_cap_mb or gradient_as_bucket_view=True, for FSDP forward_prefetch and backward_prefetch=BACKWARD_PRE."
)


def exposed_communication(measured: Measured) -> Iterator[Candidate]:
    """All collectives at once, as far as nothing that is known to read their results needs them sooner."""
    rows = measured.communication
    if not len(rows):
        return
    steps = len(measured.steps)
    critical = int(measured.critical_ns[rows].sum()) / steps
    yield Candidate(
        "communication is not hidden behind computation",
        "",
        overlapped,
        rows,
        f"{duration(critical)} of a step's critical path is transfer; the gain is what full overlap would give at most",
        ADVICE,
    )
