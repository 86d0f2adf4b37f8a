"""Device operators: which call launched them (LAUNCH), and their order on a stream (STREAM)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from etgraph.ingest.draft import NULL, Draft, dependencies
from etgraph.model import Category, DependencyKind, LaneKind, Report
from etgraph.model.columns import Array
from etgraph.model.kernels import kernel

LOOK_BACK = 64
"""How many operators of a stream are looked at to find one that ended in time; overlaps occur in graph replays."""
_DEVICE = tuple(int(c) for c in (Category.KERNEL, Category.MEMCPY, Category.MEMSET, Category.DEVICE))


@dataclass(frozen=True, slots=True)
class Launches:
    """For every operator the row of the call that launched it, -1 for none; and what could not be matched."""

    launcher: Array
    ambiguous: int


def launchers(draft: Draft) -> Launches:
    """Match device operators with host calls by correlation within a rank.

    A correlation that several calls share says nothing and is counted as ambiguous; one that several device operators
    share is a graph launch.
    """
    o = draft.trace.operators
    correlation = draft.id("correlation")
    launcher = np.full(len(o), -1, dtype=np.int64)
    known = correlation != NULL
    is_device = np.isin(o["category"], _DEVICE)
    is_call = np.isin(o["category"], (int(Category.RUNTIME), int(Category.DRIVER)))
    calls, devices = np.flatnonzero(known & is_call), np.flatnonzero(known & is_device)
    if not len(calls) or not len(devices):
        return Launches(launcher, 0)
    calls = calls[np.lexsort((correlation[calls], o["rank"][calls]))]
    keys = np.rec.fromarrays([o["rank"][calls].astype(np.int64), correlation[calls]])
    wanted = np.rec.fromarrays([o["rank"][devices].astype(np.int64), correlation[devices]])
    first, last = np.searchsorted(keys, wanted, side="left"), np.searchsorted(keys, wanted, side="right")
    unique = last - first == 1
    launcher[devices[unique]] = calls[first[unique]]
    return Launches(launcher, int((last - first > 1).sum()))


def launch(draft: Draft) -> Draft:
    """Add LAUNCH and STREAM dependencies, and hand scope, source and iteration of the call to what it launched.

    Of several operators under one call (a graph launch) the first on each stream is launched, the others follow it.
    A launch after its device operator started contradicts the times: it is left out and counted.
    """
    trace = draft.trace
    o = trace.operators
    found = launchers(draft)
    launched = np.flatnonzero(found.launcher >= 0)
    late = o["start_ns"][launched] < o["start_ns"][found.launcher[launched]]
    launched = launched[~late]
    call = found.launcher[launched]
    first = np.unique(np.rec.fromarrays([call, o["lane"][launched].astype(np.int64)]), return_index=True)[1]
    streams = trace.lanes["kind"] == int(LaneKind.STREAM)
    lane = o["lane"]
    device = np.flatnonzero((lane >= 0) & streams[lane]) if len(streams) else np.zeros(0, dtype=np.int64)
    device = device[np.argsort(lane[device], kind="stable")]
    previous = _previous_on_stream(lane[device], o["start_ns"][device], trace.end_ns[device])
    follows = np.flatnonzero(previous >= 0)
    report = Report(launched_device_operators=len(launched))
    report = report.with_count("launchesAgainstTime", int(late.sum()))
    report = report.with_count("ambiguousCorrelations", found.ambiguous)
    inherited = {}
    for name in ("scope", "source", "iteration"):
        if name in o.filled:
            column = o[name].copy()
            column[launched] = column[call]
            inherited[name] = column
    return (
        draft.with_operators(inherited)
        .with_dependencies(
            dependencies(DependencyKind.LAUNCH, call[first], launched[first], "correlation"),
            dependencies(DependencyKind.STREAM, device[previous[follows]], device[follows], "stream order"),
        )
        .with_report(report)
    )


@kernel
def _previous_on_stream(lane: Array, start: Array, end: Array) -> Array:
    """For operators sorted by lane and start: the one that ended last before each started, near it; -1 for none."""
    count = len(lane)
    previous = np.full(count, -1, dtype=np.int64)
    for i in range(1, count):
        best = -1
        for back in range(1, min(i, LOOK_BACK) + 1):
            j = i - back
            if lane[j] != lane[i]:
                break
            if end[j] <= start[i]:
                if best < 0 or end[j] > end[best]:
                    best = j
                if back == 1:
                    break
        previous[i] = best
    return previous
