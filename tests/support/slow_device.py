"""A device's use nanosecond by nanosecond, in plain Python: an independent answer for small traces of one rank."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from etgraph.model import Category, DependencyKind, Trace
from etgraph.model.latency import launch_latency

TOLERANCE = 4_000
HOLDS = {DependencyKind.STREAM, DependencyKind.EVENT, DependencyKind.DATA, DependencyKind.CTRL,
         DependencyKind.OCCUPANCY}  # fmt: skip


@dataclass(frozen=True)
class _Operator:
    row: int
    start: int
    end: int
    began: int | None
    issued: int | None
    latency: int
    held: int | None


def slow_device(trace: Trace, first: int, last: int) -> tuple[Counter[str], list[int]]:
    """Nanoseconds of the window that are busy, or idle by cause; and the queue's depth in each of them."""
    operators = _operators(trace)
    recorded = any(o.issued is not None for o in operators)
    operators.sort(key=lambda o: (o.start, -(2**63) if o.issued is None else o.issued, o.row))
    states: Counter[str] = Counter()
    depths = []
    for t in range(first, last):
        depths.append(sum(o.issued is not None and o.issued <= t < o.start for o in operators))
        if any(o.start <= t < o.end for o in operators):
            states["busy"] += 1
            continue
        following = [o for o in operators if o.start > t]
        is_first = recorded and bool(following) and following[0] is operators[0]
        states[_cause(following[0] if following else None, t, is_first)] += 1
    return states, depths


def _cause(o: _Operator | None, t: int, is_first: bool) -> str:
    if o is None:
        return "host"
    if o.began is not None and o.issued is not None:
        if t < o.began:
            return "host"
        if t < o.issued:
            return "launch_call"
        ready = o.issued + o.latency
        by_other_work = o.held is not None and o.held > ready
        if t < ready + (0 if by_other_work else TOLERANCE):
            return "launch_latency"
    else:
        by_other_work = o.held is not None
    if is_first:
        return "before_recording"
    if by_other_work and o.held is not None and t < o.held + TOLERANCE:
        return "waiting"
    return "unexplained"


def _operators(trace: Trace) -> list[_Operator]:
    o, d = trace.operators, trace.dependencies
    latency = launch_latency(trace)
    edges = list(zip(d["src"].tolist(), d["dst"].tolist(), d["kind"].tolist()))
    end = trace.end_ns.tolist()
    found = []
    for row in range(len(o)):
        if o["category"][row] < Category.KERNEL:
            continue
        start = int(o["start_ns"][row])
        calls = [a for a, b, kind in edges if b == row and kind == DependencyKind.LAUNCH]
        held = [end[a] for a, b, kind in edges if b == row and kind in HOLDS and end[a] <= start]
        found.append(
            _Operator(
                row, start, end[row], int(o["start_ns"][calls[-1]]) if calls else None,
                end[calls[-1]] if calls else None, min(int(latency[row]), 100_000), max(held, default=None),
            )
        )  # fmt: skip
    return found


def slow_phases(kind: list[int], moments: list[int], more: int) -> list[tuple[int, int]]:
    """Kind and start of each phase by the rule's own words: every other kind since every moment of the phase."""
    found: list[tuple[int, int]] = []
    current, first = -1, 0
    total: Counter[int] = Counter()
    j = 0
    while j < len(kind):
        if kind[j] >= 0:
            total[kind[j]] += moments[j + 1] - moments[j]
        best = None
        for since in range(first, j + 1):
            if kind[since] != kind[j] or kind[j] < 0 or kind[j] == current:
                continue
            lead = sum(
                (moments[i + 1] - moments[i]) * ((kind[i] == kind[j]) - (kind[i] == current and current >= 0))
                for i in range(since, j + 1)
            )
            if lead >= more and (best is None or lead >= best[0]):
                best = lead, since
        if best is not None:
            found.append((kind[j], moments[best[1]]))
            current, first = kind[j], j + 1
        j += 1
    if not found:
        found = [(min(total, key=lambda k: (-total[k], k), default=0), 0)]
    return [(found[0][0], moments[0]), *found[1:]]
