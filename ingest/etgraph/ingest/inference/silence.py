"""Where the trace is silent: what began before it, and waiting and calls whose cause it does not record."""

from __future__ import annotations

import math

import numpy as np

from etgraph.ingest.inference.blocking import FROM_PAGEABLE, copies_of_calls
from etgraph.ingest.inference.findings import Finding
from etgraph.ingest.inference.ready import EARLY, TOLERANCE_NS, at_boundary
from etgraph.ingest.inference.timeline import Timeline
from etgraph.model import DependencyKind, Report, Trace
from etgraph.model.columns import Array
from etgraph.model.runtime_calls import BLOCKING

LONG_NS = 20_000
"""A blocking call that returned sooner did not wait for long."""
SLOW_NS = 1_000_000
"""No runtime call takes this long that neither waits nor starts something up."""
MUCH = 0.01
"""Slow and blocking calls are worth a warning from this share of the window on."""
EARLY_SHARE = 0.1
"""Start-up is over when this share of the calls has been made."""


def before_recording(t: Timeline) -> Finding:
    """Counts of what the beginning of the recording cut off: conditions at its boundary, not causes.

    Streams whose first operator starts long after its launch, with nothing recorded on the device before, were busy
    with something else; operators without a launch, where launches are recorded at all, were launched before.
    """
    first = t.device[at_boundary(t.trace, t.device, t.launcher, t.previous)]
    first = first[t.launcher[first] >= 0]
    busy = int((t.start[first] - t.ready[first] > TOLERANCE_NS).sum())
    unlaunched = t.device[t.launcher[t.device] < 0]
    early = int((t.issued[unlaunched] == EARLY).sum())
    name = "launchedBeforeRecording" if len(unlaunched) < len(t.device) else "operatorsOfNoRecordedLaunch"
    report = Report().with_count("streamsBusyBeforeRecording", busy).with_count(name, early)
    return Finding(report=report)


def silent_calls(t: Timeline, sync: Array) -> Report:
    """Counts and warnings of calls that took long, and for which nothing stored says why. `sync`: calls with a cause.

    Blocking calls whose work is not recorded; and others, among them those of start-up, when modules are loaded and
    memory is first allocated. A warning is for what takes much of the window.
    """
    blocking = t.called(BLOCKING)
    took = t.end - t.start
    open_ones = np.setdiff1d(blocking[took[blocking] > LONG_NS], sync)
    slow = np.setdiff1d(t.calls[took[t.calls] >= SLOW_NS], np.concatenate([sync, blocking, _copying(t)]))
    total, much = int(took[slow].sum()), MUCH * max(t.trace.span_ns, 1)
    early = np.isin(slow, t.calls[: math.ceil(EARLY_SHARE * len(t.calls))])
    start_up = " (start-up?)" if 2 * int(took[slow[early]].sum()) > total else ""
    waited = f"{len(open_ones)} blocking calls waited for something that the trace does not record"
    stood = f"{len(slow)} runtime calls took {total / 1e6:.0f} ms in all without a recorded reason{start_up}"
    return (
        Report()
        .with_count("blockingCallsWithoutCause", len(open_ones), waited if took[open_ones].sum() > much else "")
        .with_count("slowCallsWithoutCause", len(slow), stood if total > much else "")
    )


def _copying(t: Timeline) -> Array:
    """Calls that carry memory that is not pinned to the device themselves: their copy starts within them."""
    copies, names = copies_of_calls(t)
    copies = copies[t.trace.operators.codes_where("name", FROM_PAGEABLE.search)[names]]
    return np.unique(t.launcher[copies[t.start[copies] <= t.end[t.launcher[copies]]]])


def synchronising(trace: Trace) -> Array:
    """Rows of the calls that a stored SYNC dependency explains."""
    d = trace.dependencies
    return np.unique(d["dst"][d["kind"] == int(DependencyKind.SYNC)])
