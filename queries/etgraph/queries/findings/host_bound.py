"""Host-bound: a device has nothing to run because the next launch comes late."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from etgraph.model.columns import Array
from etgraph.model.readable import duration
from etgraph.queries.device_idle import CALL, HOST, idle_of
from etgraph.queries.device_work import work_of
from etgraph.queries.findings.candidate import Candidate
from etgraph.queries.findings.measured import Measured
from etgraph.sim.idealised import without_host
from etgraph.sim.replay.plan import Plan

ADVICE = (
    "Launch less, or cheaper: torch.compile(mode='reduce-overhead') or CUDA graphs for the parts whose shapes do not "
    "change, foreach or fused optimizers (fused=True), and larger batches."
)


def host_bound(measured: Measured) -> Iterator[Candidate]:
    """The launches for which devices wait, unless the step is bound by its devices alone."""
    if measured.device_bound or not len(measured.plan.device):
        return
    ranks = measured.trace.ranks if measured.rank is None else (measured.rank,)
    starved, whole = 0, 0
    late: list[Array] = []
    for work in work_of(measured.trace, ranks):
        for one in measured.windows:
            if one.rank != work.rank:
                continue
            idle = idle_of(work, one.start_ns, one.end_ns)
            starved += int(idle.ns[:, HOST].sum() + idle.ns[:, CALL].sum())
            whole += one.end_ns - one.start_ns
            ends = idle.next[(idle.starved_ns > 0) & (idle.next >= 0)]
            late.append(work.call[ends])
    rows = np.unique(np.concatenate(late)) if late else np.zeros(0, dtype=np.int64)
    rows = rows[rows >= 0]
    if not len(rows):
        return

    def launched_in_time(plan: Plan) -> Plan:
        # What waited for work from before the recording still does.
        return replace(without_host(plan), pinned=plan.pinned)

    yield Candidate(
        "devices starve: launches come too late",
        "",
        launched_in_time,
        rows,
        f"nothing that could run was launched for {starved / whole:.0%} of the devices' time, "
        f"{duration(starved / len(measured.steps))} a step summed over devices; the gain is that of a host without "
        "any cost",
        ADVICE,
        critical_ns=measured.on_usual_path("operator", "runtime-call", "synchronisation", "latency", "host-gap"),
    )
