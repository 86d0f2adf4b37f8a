"""Device operators: which call launched them (LAUNCH), and their order on a stream (STREAM)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

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

    Of calls within each other the innermost launches. A correlation that several other calls share says nothing and
    is counted as ambiguous; one that several device operators share is a graph launch; 0 is none.
    """
    o = draft.trace.operators
    correlation = draft.id("correlation")
    launcher = np.full(len(o), -1, dtype=np.int64)
    known = correlation > 0
    is_device = np.isin(o["category"], _DEVICE)
    is_call = np.isin(o["category"], (int(Category.RUNTIME), int(Category.DRIVER)))
    calls, devices = np.flatnonzero(known & is_call), np.flatnonzero(known & is_device)
    around = o["parent"][calls]
    inner = (around >= 0) & is_call[around] & (correlation[around] == correlation[calls])
    calls = np.setdiff1d(calls, around[inner])
    if not len(calls) or not len(devices):
        return Launches(launcher, 0)
    both = np.concatenate([calls, devices])
    order = np.lexsort((correlation[both], o["rank"][both]))
    new = np.diff(correlation[both][order], prepend=NULL) != 0
    new |= np.diff(o["rank"][both][order], prepend=-1) != 0
    key = np.empty(len(both), dtype=np.int64)
    key[order] = np.cumsum(new) - 1
    call_key, device_key = key[: len(calls)], key[len(calls) :]
    number = np.bincount(call_key, minlength=len(both))
    caller = np.full(len(both), -1, dtype=np.int64)
    caller[call_key] = calls
    launcher[devices] = np.where(number[device_key] == 1, caller[device_key], -1)
    return Launches(launcher, int((number[device_key] > 1).sum()))


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
    first = np.sort(np.unique(call * max(len(trace.lanes), 1) + o["lane"][launched], return_index=True)[1])
    streams = trace.lanes["kind"] == int(LaneKind.STREAM)
    lane = o["lane"]
    device = np.flatnonzero((lane >= 0) & streams[lane]) if len(streams) else np.zeros(0, dtype=np.int64)
    device = device[np.argsort(lane[device], kind="stable")]
    previous = _previous_on_stream(lane[device], o["start_ns"][device], trace.end_ns[device])
    follows = np.flatnonzero(previous >= 0)
    report = Report(launched_device_operators=len(launched))
    report = report.with_count("launchesAgainstTime", int(late.sum()))
    report = report.with_count(
        "ambiguousCorrelations",
        found.ambiguous,
        f"{found.ambiguous} device operators share their correlation with several calls: their launch is not known",
    )
    inherited: dict[str, Any] = {}
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
    latest = np.empty(count, dtype=np.int64)
    for i in range(count):
        latest[i] = end[i]
        if i == 0 or lane[i - 1] != lane[i]:
            continue
        latest[i] = max(end[i], latest[i - 1])
        best = -1
        for back in range(1, min(i, LOOK_BACK) + 1):
            j = i - back
            if lane[j] != lane[i] or (best >= 0 and latest[j] <= end[best]):
                break
            if end[j] <= start[i] and (best < 0 or end[j] > end[best]):
                best = j
        previous[i] = best
    return previous
