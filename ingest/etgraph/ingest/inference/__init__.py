"""Dependencies within a rank that nobody recorded as such: between streams, from device to host, between threads.

Each rule is one function over a `Timeline`, in a module named by its subject. `infer` applies all of them in order;
`unexplained_device_wait` says how much they leave open. docs/inference.md tells what each rule rests on.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from etgraph.ingest.draft import Draft
from etgraph.ingest.inference.blocking import (
    blocking_copies,
    staged_copies,
    synchronised_devices,
    synchronised_events,
    synchronised_streams,
)
from etgraph.ingest.inference.device_wait import DeviceWait, unexplained_device_wait
from etgraph.ingest.inference.events import awaited_communication, communication_waits, recorded_waits
from etgraph.ingest.inference.evidence import betrayed_waits
from etgraph.ingest.inference.findings import Finding
from etgraph.ingest.inference.graphs import branches_of_graphs, ends_of_graphs
from etgraph.ingest.inference.issued import worked_off
from etgraph.ingest.inference.occupancy import occupied
from etgraph.ingest.inference.queue import full_launch_queues
from etgraph.ingest.inference.silence import before_recording, silent_calls, synchronising
from etgraph.ingest.inference.threads import handed_over
from etgraph.ingest.inference.timeline import Timeline, survey
from etgraph.model import Columns, DependencyKind, Report

Rule = Callable[[Timeline], Finding]

RULES: tuple[Rule, ...] = (
    recorded_waits, communication_waits, awaited_communication, ends_of_graphs, branches_of_graphs, betrayed_waits,
    occupied, synchronised_streams, synchronised_devices, blocking_copies, staged_copies, synchronised_events,
    full_launch_queues, worked_off, handed_over, before_recording,
)  # fmt: skip
"""In order: what is certain before what the times betray, since only operators that nothing explains are looked at."""


def infer(draft: Draft) -> Draft:
    """Add EVENT, SYNC, SPAWN, JOIN and OCCUPANCY dependencies to a draft that was nested and launched, and report.

    Each has its method and confidence; none contradicts the measured times: what would is left out and counted. Where
    the trace does not say what something waited for, the report does. O(operators log operators).
    """
    if not len(draft.trace):
        return draft
    timeline = survey(draft)
    edges: list[Columns] = []
    report = Report()
    for rule in RULES:
        found = rule(timeline)
        edges += found.edges
        report += found.report
        for more in found.edges:
            kinds, src, dst = more["kind"], more["src"], more["dst"]
            ordered = np.isin(kinds, (int(DependencyKind.EVENT), int(DependencyKind.STREAM)))
            timeline = timeline.with_ready(dst[ordered], timeline.end[src[ordered]])
    inferred = draft.with_dependencies(*edges)
    report += silent_calls(timeline, synchronising(inferred.trace))
    return inferred.with_report(report + _unexplained(unexplained_device_wait(inferred.trace)))


def _unexplained(wait: DeviceWait) -> Report:
    """A warning where the device waited for more than the trace says."""
    if wait.enough_recorded:
        return Report()
    return Report(
        warnings=(
            f"{wait.share:.1%} of the window is device waiting without a recorded cause: the trace records too little "
            "for a critical path or a replay to be trusted",
        )
    )


__all__ = ["RULES", "DeviceWait", "infer", "unexplained_device_wait"]
