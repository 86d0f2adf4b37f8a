"""A plain replay of the recorded order, to which a critical path can be held.

Every start and end is as late as the latest of what it had to wait for, plus the time that was measured after that.
Replayed with one category of time stretched a little, the end moves by that category's share of the critical path.
This looks from causes to effects, event by event, and knows nothing of a walk back.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from functools import reduce

import numpy as np

from etgraph.model import DependencyKind, LaneKind, Trace
from etgraph.model.arrivals import arrivals
from etgraph.model.columns import Array
from etgraph.model.latency import launch_latency
from etgraph.queries.critical_path import DETAILS, operator_details
from etgraph.queries.walk import TOLERANCE_NS
from etgraph.queries.windows import Interval

K = DependencyKind
KINDS = {int(kind): kind for kind in K}
CATEGORIES = tuple(dict.fromkeys(category for category, _ in DETAILS))
STRETCH = 0.001
IDLE, LAUNCH = CATEGORIES.index("idle"), CATEGORIES.index("launch")
BEHIND = (K.STREAM, K.EVENT, K.CTRL, K.DATA, K.JOIN)


class SameMoment(Exception):
    """Operators without a duration leave open which of them came first."""


Event = tuple[str, int, int]
"""`start`, `end` or, as others wait for it, `peer` (start) of an operator (row, 0); a moment on one: `at` (row, ns)."""

Explanation = tuple[dict[Event, list[tuple[int, int]]], int, list[tuple[int, int]]]
"""What an event waits for, with the usual time after each; its own moment; and the time after the latest: `explain`."""


class Replay:
    """Times of events as vectors: as measured, and with each of the categories stretched.

    What it knows of a trace serves for all its windows; `follow` goes on to other ranks where one waited for them.
    """

    def __init__(self, trace: Trace, *, follow: bool) -> None:
        o, came = trace.operators, arrivals(trace)
        self.n = len(o)
        self.start, self.end = o["start_ns"].tolist(), trace.end_ns.tolist()
        self.lane, self.rank = o["lane"].tolist(), o["rank"].tolist()
        self.timed = (~o.is_null("start_ns") & ~o.is_null("duration_ns") & (o["lane"] >= 0)).tolist()
        self.host = ((trace.lanes["kind"] == int(LaneKind.THREAD))[o["lane"]] & np.array(self.timed)).tolist()
        self.parent = o["parent"].tolist()
        details = operator_details(trace, np.arange(self.n), came)
        self.category = [CATEGORIES.index(DETAILS[code][0]) for code in details.tolist()]
        self.latency = launch_latency(trace).tolist()
        self.peer = came.last.tolist() if follow else [-1] * self.n
        self.causes: dict[int, list[tuple[int, DependencyKind]]] = defaultdict(list)
        d = trace.dependencies
        for src, dst, kind in zip(d["src"].tolist(), d["dst"].tolist(), d["kind"].tolist()):
            if self.timed[src] and self.timed[dst]:
                self.causes[dst].append((src, KINDS[kind]))
        self.ranks, self.lane_rank = trace.ranks, trace.lanes["rank"].tolist()
        self._threads()

    def _threads(self) -> None:
        """Each thread's events in order, and who owns the time after each (-1: nobody)."""
        self.events: dict[int, list[Event]] = defaultdict(list)
        self.moments: dict[int, list[int]] = defaultdict(list)
        self.owner: dict[int, list[int]] = defaultdict(list)
        self.place: dict[Event, int] = {}
        self.clipped = list(self.end)
        self.children: dict[int, list[int]] = defaultdict(list)
        opened: dict[int, list[int]] = defaultdict(list)
        rows = sorted((i for i in range(self.n) if self.host[i]), key=lambda i: (self.lane[i], self.start[i]))

        def note(lane: int, event: Event, moment: int) -> None:
            self.place[event] = len(self.events[lane])
            self.events[lane].append(event)
            self.moments[lane].append(moment)
            self.owner[lane].append(opened[lane][-1] if opened[lane] else -1)

        def close(lane: int, until: int) -> None:
            while opened[lane] and opened[lane][-1] != until:
                done = opened[lane].pop()
                note(lane, ("end", done, 0), self.clipped[done])

        for i in rows:
            lane, above = self.lane[i], self.parent[i]
            close(lane, above)
            if above >= 0:
                self.clipped[i] = min(self.end[i], self.clipped[above])
                self.children[above].append(i)
            opened[lane].append(i)
            note(lane, ("start", i, 0), self.start[i])
        for lane in list(opened):
            close(lane, -1)

    # Times

    def shares(self, windows: Sequence[Interval]) -> dict[str, float]:
        """By category: how much longer the windows take when all time of that category does, as a share."""
        w = max(windows, key=lambda w: w.end_ns)
        self.first = min(w.start_ns for w in windows)
        self.floor = dict.fromkeys(self.ranks, self.first) | {w.rank: w.start_ns for w in windows}
        self.known: dict[Event, Array] = {}
        last: Event = ("at", w.operator, w.end_ns) if w.operator >= 0 else ("on", w.lane, w.end_ns)
        times = self.time(last)
        length = (w.end_ns - self.first) * STRETCH
        assert abs(times[-1] - (w.end_ns - self.first)) < 1, "the replay does not give the measured time"
        return {c: float(times[i] - times[-1]) / length for i, c in enumerate(CATEGORIES)}

    def time(self, event: Event) -> Array:
        """When an event is replayed, counted from the window's start; without recursion."""
        waiting = [event]
        explained: dict[Event, Explanation] = {}
        while waiting:
            here = waiting[-1]
            if here in self.known:
                waiting.pop()
                continue
            if here not in explained:
                explained[here] = self.explain(here)
            reasons, measured, after = explained[here]
            missing = [r for r in reasons if r not in self.known]
            if missing:
                if len(waiting) > 10 * self.n + 100:
                    raise SameMoment(f"each waits for the other around {here}")
                waiting += missing
                continue
            self.known[waiting.pop()] = self.after(reasons, measured, after)
            del explained[here]
        return self.known[event]

    def after(self, reasons: dict[Event, list[tuple[int, int]]], base: int, rest: list[tuple[int, int]]) -> Array:
        """The latest of the reasons, each with the time that belongs to it, and then the rest; (category, ns)."""

        def plus(times: Array, parts: list[tuple[int, int]]) -> Array:
            times = times.copy()
            for category, ns in parts:
                times += ns
                times[category] += STRETCH * ns
            return times

        begin = np.zeros(len(CATEGORIES) + 1)
        if not reasons:
            return plus(begin, [(IDLE, base - self.first), *rest])
        return plus(reduce(np.maximum, (plus(self.known[r], parts) for r, parts in reasons.items())), rest)

    def explain(self, event: Event) -> Explanation:
        """Why an event is when it is."""
        what, row, ns = event
        moment = {"start": lambda: self.start[row], "end": lambda: self.end[row]}.get(what, lambda: ns)()
        rank = self.lane_rank[row] if what == "on" else self.rank[row]
        if what == "peer":
            before = self.start[row] <= self.floor[rank]
            return ({}, max(self.start[row], self.first), []) if before else self.before_start(row)
        if moment <= self.floor[rank]:
            # What a rank did before its window does not count; it enters when that begins.
            return {}, self.floor[rank], []
        if what == "on":
            begun = [k for k, (_, other, _) in enumerate(self.events[row]) if self.start[other] < ns]
            return self.on_thread(row, begun[-1] + 1 if begun else 0, ns)
        if what == "start":
            return self.before_start(row)
        if what == "at" and ns < self.end[row] and self.host[row]:
            return self.on_thread(self.lane[row], None, ns)
        if self.host[row] and self.clipped[row] == self.end[row]:
            return self.on_thread(self.lane[row], self.place["end", row, 0], moment)
        return self.inside(row, ("start", row, 0), self.start[row], moment)

    def on_thread(self, lane: int, place: int | None, moment: int) -> Explanation:
        """A moment on a thread: after the event before it, and after what the open operator waited for since."""
        before = (bisect_left(self.moments[lane], moment) if place is None else place) - 1
        while place is not None and before >= 0 and self.moments[lane][before] > moment:
            before -= 1
        if before < 0:
            return {}, moment, []
        owner = self.owner[lane][before]
        event, since = self.events[lane][before], self.moments[lane][before]
        if event[0] == "end" and self.clipped[event[1]] != self.end[event[1]]:
            event = ("at", event[1], since)
        if owner < 0:
            return {event: []}, moment, [(IDLE, moment - max(since, self.floor[self.lane_rank[lane]]))]
        return self.inside(owner, event, since, moment)

    def inside(self, row: int, event: Event, since: int, moment: int) -> Explanation:
        """A moment within an operator, whose last event before that is given."""
        last = max(since, self.floor[self.rank[row]])
        released = [
            (self.end[cause], ("end", cause, 0))
            for cause, kind in self.causes[row]
            if kind is K.SYNC and self.start[row] < self.end[cause] <= moment
        ]
        peer = self.peer[row]
        if peer >= 0 and self.timed[peer] and self.start[row] < self.start[peer] <= moment:
            released.append((self.start[peer], ("peer", peer, 0)))
        last = max([last, *(at for at, _ in released)])
        reasons: dict[Event, list[tuple[int, int]]] = {event: []}
        reasons |= {release: [] for at, release in released if at == last}
        return reasons, moment, [(self.category[row], moment - last)]

    def before_start(self, row: int) -> Explanation:
        """The start of an operator: within another one, or after a pause that the latest of its causes ended."""
        start, lane, floor = self.start[row], self.lane[row], self.floor[self.rank[row]]
        if self.host[row] and self.parent[row] >= 0:
            return self.on_thread(lane, self.place["start", row, 0], start)
        ready: dict[Event, tuple[int, list[tuple[int, int]], list[tuple[int, int]]]] = {}
        for cause, kind in self.causes[row]:
            if kind in BEHIND and self.end[cause] <= start:
                ready["end", cause, 0] = (self.end[cause], [], [(IDLE, start - max(self.end[cause], floor))])
            elif kind in (K.LAUNCH, K.SPAWN, K.OCCUPANCY) and self.start[cause] <= start:
                left = min(self.end[cause], start)
                pause = start - max(left, floor)
                usual = min(left + self.latency[row], start) if kind is K.LAUNCH else left
                usual = max(0, usual - max(left, floor))
                category = LAUNCH if kind is K.LAUNCH else IDLE
                explained = min(pause, usual + TOLERANCE_NS)
                if kind is K.OCCUPANCY and self.start[cause] == start:
                    continue
                # A call that waits for what it launched says by its start when that was ready.
                known = (
                    self.start[cause]
                    if kind is K.LAUNCH and self.end[row] <= self.end[cause]
                    else max(left, floor) + usual
                )
                spent = [(category, explained - usual), (IDLE, pause - explained)]
                ready["at", cause, left] = (known, [(category, usual)], spent)
        if self.host[row]:
            place = self.place["start", row, 0] - 1
            if place >= 0:
                event, since = self.events[lane][place], self.moments[lane][place]
                event = ("at", event[1], since) if event[0] == "end" else event
                ready.setdefault(event, (since, [], [(IDLE, start - max(since, floor))]))
        if not ready:
            return {}, start, []
        latest = max(ready, key=lambda e: (ready[e][0], self.end[e[1]] if e[0] == "end" else e[2]))
        # Of a call that waits for what it launched, the end is no reason where something else came later.
        reasons = {event: parts for event, (known, parts, _) in ready.items() if event == latest or known >= event[2]}
        return reasons, start, ready[latest][2]
