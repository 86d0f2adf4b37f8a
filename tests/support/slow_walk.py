"""The critical path's definition, walked the slow and obvious way: lists, searches and no arrays."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from etgraph.model import Category, DependencyKind, LaneKind, Trace
from etgraph.model.latency import ENOUGH
from etgraph.queries.walk import (
    BEFORE_RECORDING,
    DEPENDENCY_LATENCY,
    GAP,
    LATE_ENTRY,
    LATENCY,
    OPERATOR,
    TOLERANCE_NS,
    UNEXPLAINED,
)
from etgraph.queries.windows import Interval

K = DependencyKind


@dataclass
class Op:
    row: int
    lane: int
    start: int
    end: int
    name: str
    category: int
    host: bool
    rank: int
    collective: int | None
    parent: Op | None = None
    clipped: int = 0
    children: list[Op] = field(default_factory=list)
    causes: list[tuple[DependencyKind, Op]] = field(default_factory=list)


def median(values: list[int]) -> int:
    values = sorted(values)
    middle = len(values) // 2
    exact = values[middle] if len(values) % 2 else (values[middle - 1] + values[middle]) / 2
    return max(0, int(exact))


def usual_latency(ops: list[Op]) -> dict[int, int]:
    """By operator: median delay behind the launching call where the stream was used and free, if that is often seen."""
    by_key, free, all_delays = defaultdict(list), [], []
    for op in ops:
        for kind, call in op.causes:
            if kind is K.LAUNCH:
                all_delays.append(op.start - call.end)
                before = [c.end for k, c in op.causes if k is K.STREAM]
                if before and max(before) <= call.end:
                    by_key[call.name, op.category].append(op.start - call.end)
                    free.append(op.start - call.end)
    shortest = min((d for d in all_delays if d >= 0), default=0)
    usual = median(free) if len(free) >= ENOUGH else shortest
    result = {}
    for op in ops:
        for kind, call in op.causes:
            if kind is K.LAUNCH:
                own = by_key[call.name, op.category]
                result[op.row] = median(own) if len(own) >= ENOUGH else usual
    return result


def slow_walk(trace: Trace, *windows: Interval, follow: bool = False) -> list[tuple[int, int, int, int, int, int]]:
    """Steps as (operator, lane, start, end, what, via), in order of time; with `follow` to other ranks too."""
    ops = [
        Op(
            row, r["lane"], r["start_ns"], r["start_ns"] + r["duration_ns"], r["name"], int(r["category"]),
            trace.lanes.value("kind", r["lane"]) is LaneKind.THREAD, r["rank"], r["collective"],
        )
        for row, r in enumerate(trace)
    ]  # fmt: skip
    tops: dict[int, list[Op]] = defaultdict(list)
    for op, values in zip(ops, trace, strict=True):
        op.clipped = op.end
        if op.host:
            if values["parent"] is None:
                tops[op.lane].append(op)
            else:
                op.parent = ops[values["parent"]]
                op.parent.children.append(op)
                op.clipped = min(op.end, op.parent.clipped)
    for row in range(len(trace.dependencies)):
        d = trace.dependencies.row(row)
        ops[d["dst"]].causes.append((d["kind"], ops[d["src"]]))
    latency = usual_latency(ops)
    launches = any(kind is K.LAUNCH for op in ops for kind, _ in op.causes)
    window = max(windows, key=lambda w: w.end_ns)
    first, t = min(w.start_ns for w in windows), window.end_ns
    floors = {w.rank: w.start_ns for w in windows}
    steps: list[list[int]] = []

    def add(op: Op | None, lane: int, begin: int, end: int, what: int, via: int = -1) -> None:
        if op is not None or begin < end:
            steps.append([op.row if op else -1, lane, begin, end, what, via])

    def last_to_come(op: Op) -> Op | None:
        """Whom an operator of several ranks waited for; nobody where it came last itself."""
        senders = [c for k, c in op.causes if k is K.COMM]
        others = [c for c in ops if op.collective is not None and c.collective == op.collective]
        if not (senders or others):
            return None
        last = max(senders or others, key=lambda c: (c.start, -c.row))
        return last if follow and last.start > op.start else None

    def last_step_of_an_operator() -> list[int]:
        return next(s for s in reversed(steps) if s[0] >= 0)

    def last_child(among: list[Op], before: Op | None, at: int) -> Op | None:
        earlier = among[: among.index(before)] if before else [c for c in among if c.start < at]
        return earlier[-1] if earlier else None

    here: Op | None = ops[window.operator] if window.operator >= 0 else None
    lane = window.lane
    came: Op | None = None  # the child (or top operator) from whose start the walk came up
    asleep: Op | None = None  # the operator whose start is to be explained
    synced: tuple[Op, int] | None = None

    def move(floor: int) -> None:
        """One step back, which may go beyond the floor."""
        nonlocal here, lane, came, asleep, synced, t
        if here is not None and asleep is None:
            child = last_child(here.children, came, t)
            reached = min(child.clipped, t) if child else None
            waited = [c for k, c in here.causes if k is K.SYNC and here.start < c.end <= t]
            waited = [c for c in waited if reached is None or c.end >= reached]
            by = max(waited, key=lambda c: c.end) if waited else None
            peer = last_to_come(here)
            if peer and peer.start <= t and all(peer.start > c.end for c in waited) and peer.start >= (reached or 0):
                add(
                    here,
                    here.lane,
                    peer.start,
                    t,
                    OPERATOR,
                    int(K.COLLECTIVE if here.collective is not None else K.COMM),
                )
                here, t, came = peer, peer.start, None
                return
            if by and synced != (here, t):
                add(here, here.lane, by.end, t, OPERATOR, int(K.SYNC))
                synced = (here, by.end)
                here, t, came = by, by.end, None
            elif child and reached is not None:
                add(here, here.lane, reached, t, OPERATOR, int(K.SPAWN if child.end > here.end else K.CALL))
                here, t, came = child, reached, None
            else:
                add(here, here.lane, min(here.start, t), t, OPERATOR)
                t = min(here.start, t)
                up = here.parent
                if up is None:
                    asleep, lane = here, here.lane
                    came = here if here.host else None
                    here = None
                else:
                    steps[-1][5] = int(K.SPAWN if here.end > up.end else K.CALL)
                    before = last_child(up.children, here, t)
                    if before and before.clipped == t and before.end <= t:
                        steps[-1][5] = int(K.THREAD)
                        here, came = before, None
                    else:
                        here, came = up, here
            return
        on_thread = asleep is None or asleep.host
        sibling = last_child(tops[lane], came, t) if on_thread else None
        reasons = []
        for kind, cause in asleep.causes if asleep else ():
            if kind in (K.LAUNCH, K.SPAWN):
                if cause.start <= asleep.start:  # type: ignore[union-attr]
                    left = min(cause.end, asleep.start)  # type: ignore[union-attr]
                    extra = latency.get(asleep.row, 0) if kind is K.LAUNCH else 0  # type: ignore[union-attr]
                    ready = min(left + extra, asleep.start)  # type: ignore[union-attr]
                    if kind is K.LAUNCH and asleep.end <= cause.end:  # type: ignore[union-attr]
                        ready = cause.start
                    reasons.append((ready, left, kind, cause))
            elif kind is K.OCCUPANCY and cause.start < asleep.start:  # type: ignore[union-attr]
                left = min(cause.end, asleep.start)  # type: ignore[union-attr]
                reasons.append((left, left, kind, cause))
            elif kind in (K.STREAM, K.EVENT, K.CTRL, K.DATA, K.JOIN) and cause.end <= asleep.start:  # type: ignore[union-attr]
                reasons.append((cause.end, cause.end, kind, cause))
        best = max(reasons, key=lambda r: (r[0], r[1])) if reasons else None
        if sibling and (best is None or min(sibling.clipped, t) >= best[1]):
            add(None, lane, min(sibling.clipped, t), t, GAP)
            if asleep and sibling.end <= asleep.start:
                last_step_of_an_operator()[5] = int(K.THREAD)
            here, t, came, asleep = sibling, min(sibling.clipped, t), None, None
        elif best is None:
            boundary = BEFORE_RECORDING if launches else UNEXPLAINED
            add(None, lane, floor, t, GAP if on_thread else boundary)
            t = floor
        else:
            _, left, kind, cause = best
            explained = left + TOLERANCE_NS + (latency.get(asleep.row, 0) if kind is K.LAUNCH else 0)  # type: ignore[union-attr]
            if explained < t:
                add(None, lane, explained, t, GAP if on_thread else UNEXPLAINED)
                t = explained
                if t <= floor:
                    return
            add(None, lane, left, t, LATENCY if kind is K.LAUNCH else DEPENDENCY_LATENCY)
            last_step_of_an_operator()[5] = int(kind)
            here, t, came, asleep = cause, left, None, None

    while t > first:
        on = here or asleep
        floor = floors[on.rank if on else int(trace.lanes["rank"][lane])]
        if t <= floor:
            add(None, on.lane if on else lane, first, t, LATE_ENTRY)
            break
        move(floor)
        if t < floor:
            steps[-1][2] = max(steps[-1][2], floor)
            if floor > first:
                add(None, on.lane if on else lane, first, floor, LATE_ENTRY)
            break
    steps.reverse()
    if steps and steps[0][0] >= 0:
        steps[0][5] = -1
    return [tuple(s) for s in steps]  # type: ignore[misc]


__all__ = ["Category", "slow_walk"]
