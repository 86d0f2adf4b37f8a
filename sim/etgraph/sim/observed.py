"""What a trace says that things like those of a change take: issuing communication, waking up, transfers, operators.

A change adds what the trace has not got, but nearly always has the like of. So a time is *drawn* from what was measured
of the like, with its stalls: the sum of many draws is then as long, and as uncertain, as the trace says. A median would
not do: on a busy host the mean of what waking a thread takes is several times its median.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from etgraph.model import Category, CommType, DependencyKind, NodeType, Trace
from etgraph.model.columns import Array
from etgraph.model.errors import MissingData
from etgraph.sim.communication.algorithms import MESSAGE
from etgraph.sim.communication.fitting import TRANSFERRED, structure, type_name
from etgraph.sim.communication.libraries import LIBRARIES, Library
from etgraph.sim.communication.transfers import Measured, measured
from etgraph.sim.replay.threads import threads_of
from etgraph.sim.replay.waits import waits_of

K = DependencyKind
ALIKE = 2.0
"""A transfer tells of another one's time if it moves at most this many times its bytes, and at least that part."""
ENOUGH = 5
"""So many transfers of like size are needed; else those of all sizes count, and the time is less sure."""


def _nothing() -> Array:
    return np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Observed:
    """What was measured, in ns. Of communication that a thread issues and something else carries out: `issue_ns`, the
    call, `handover_ns`, from the call to its start where nothing else kept that from starting, and `waking_ns`, from
    its end to when a thread goes on that waited for it. `transfers` are those whose size and time are known.
    """

    trace: Trace
    transfers: Measured
    issue_ns: Array = field(default_factory=_nothing)
    handover_ns: Array = field(default_factory=_nothing)
    waking_ns: Array = field(default_factory=_nothing)


def observed(trace: Trace) -> Observed:
    """Look at a measured trace. O((operators + dependencies) log operators)."""
    o, d, start, end = trace.operators, trace.dependencies, trace.operators["start_ns"], trace.end_ns
    found = measured(trace)
    call, done = issues_of(trace)
    before = _before_on_lane(trace)[done]
    idle = (before < 0) | (end[before] <= start[call])
    waits = waits_of(trace, threads_of(trace))
    woken = waits.seen
    rows = np.flatnonzero((o["kind"] >= int(NodeType.COMM_SEND)) & (o["kind"] <= int(NodeType.COMM_COLL)))
    by_work = np.isin(d["src"], rows) & np.isin(d["kind"], (int(K.JOIN), int(K.SYNC)))
    awaited = woken.usable & np.isin(woken.row, d["dst"][by_work])
    return Observed(
        trace,
        found.take(found.usable),
        trace.operators["duration_ns"][call],
        np.maximum(start[done] - start[call], 0)[idle],
        woken.ns[awaited],
    )


def issues_of(trace: Trace) -> tuple[Array, Array]:
    """Calls that issue communication to another thread or to a device, and the communication: rows of both."""
    o, d = trace.operators, trace.dependencies
    communicates = (o["kind"] >= int(NodeType.COMM_SEND)) & (o["kind"] <= int(NodeType.COMM_COLL))
    issues = np.isin(d["kind"], (int(K.SPAWN), int(K.LAUNCH))) & communicates[d["dst"]]
    issues &= trace.timed[d["src"]] & trace.timed[d["dst"]]
    issues &= (d["kind"] == int(K.LAUNCH)) | (o["category"][d["dst"]] < int(Category.KERNEL))
    return d["src"][issues].astype(np.int64), d["dst"][issues].astype(np.int64)


def _before_on_lane(trace: Trace) -> Array:
    """For each operator the one before it on its lane that encloses it not; -1 for none."""
    o = trace.operators
    rows = np.flatnonzero(trace.timed)
    rows = rows[np.lexsort((o["start_ns"][rows], o["lane"][rows]))]
    found = np.full(len(trace), -1, dtype=np.int64)
    same = o["lane"][rows[1:]] == o["lane"][rows[:-1]]
    found[rows[1:][same]] = rows[:-1][same]
    return found


class Draw:
    """One of many possible worlds: what things would take, drawn from what was measured of their like.

    Each draw knows only a resample of the measurements, since another run would have measured others; and where a
    cost carries over from one kind of transfer to another, it is off by a factor of its own. Without a `random` every
    time is the mean of what it might be.
    """

    def __init__(self, seen: Observed, random: np.random.Generator) -> None:
        self.seen, self.random = seen, random
        self.used = False
        self._resampled: dict[str, Array] = {}
        self._factor: dict[str, float] = {}

    def issue_ns(self, count: int) -> Array:
        """What issuing communication takes a thread."""
        return self._of("issue", self.seen.issue_ns, count)

    def handover_ns(self, count: int) -> Array:
        """What passes from issuing communication until it starts."""
        return self._of("handover", self.seen.handover_ns, count)

    def waking_ns(self, count: int) -> Array:
        """What passes from the end of communication until a thread that waited for it goes on."""
        return self._of("waking", self.seen.waking_ns, count)

    def own_ns(self, rows: Array, count: int) -> Array:
        """What operators like those take, all they enclose included. Raises MissingData where there are none."""
        if not len(rows):
            raise MissingData("no operator of the trace is like the new ones")
        return self._of(f"rows {rows[0]} {len(rows)}", self.seen.trace.operators["duration_ns"][rows], count)

    def transfer_ns(self, type: int, bytes: int, ranks: Sequence[int], count: int, library: str = "") -> Array:
        """Times of so many transfers, from when all ranks have come.

        By the library's algorithm: each step is a message that wakes somebody up, which takes what a handover does;
        the bytes that it moves take what those of a measured transfer took. Raises MissingData without any of those.
        """
        t = self.seen.transfers.transfers
        own = LIBRARIES[library or self._usual_library()]
        steps, moved = _work(own, type, bytes, len(ranks))
        latency = np.zeros(count)
        for _ in range(round(steps)):
            latency += self._of("handover", self.seen.handover_ns, count)
        had = np.array([_work(LIBRARIES[t.libraries[g]], k, 1, len(t.groups[g]))
                        for k, g in zip(t.type.tolist(), t.group.tolist())]).reshape(-1, 2)  # fmt: skip
        had_moved = had[:, 1] * t.bytes
        same_type = t.type == type
        factor = 1.0
        if moved > 0:
            some = np.flatnonzero((had_moved > 0) & (same_type | ~same_type[had_moved > 0].any()))
            near = some[np.abs(np.log(had_moved[some] / moved)) <= np.log(ALIKE)]
            alike = near if len(near) >= ENOUGH else some
            if not len(alike):
                raise MissingData("the trace has no transfer that tells what bytes cost")
            known = len(near) >= ENOUGH and bool(same_type[alike].all())
            step_ns = float(np.median(self.seen.handover_ns)) if len(self.seen.handover_ns) else 0.0
            time = self.seen.transfers.transfer_ns[alike].astype(np.float64)
            rest = np.maximum(time - had[alike, 0] * step_ns, time / 2)
            per_byte = rest / had_moved[alike]
            latency += self._of(f"{type} {bytes}", per_byte, count) * moved
        else:
            known = bool((same_type & (t.bytes <= 0)).any())
        if not known:
            factor = self._factor.setdefault(type_name(type), float(np.exp(TRANSFERRED * self.random.standard_normal())))
        return np.rint(latency * factor).astype(np.int64)

    def _usual_library(self) -> str:
        t = self.seen.transfers.transfers
        names = [t.libraries[g] for g in t.group.tolist()]
        return max(sorted(set(names)), key=names.count, default="any")

    def _of(self, what: str, values: Array, count: int) -> Array:
        """So many of the values, from a resample of them that this draw keeps; zeros where there are none."""
        self.used = True
        if not len(values):
            return np.zeros(count, dtype=np.int64)
        if what not in self._resampled:
            self._resampled[what] = self.random.integers(0, len(values), len(values))
        return values[self.random.choice(self._resampled[what], count)]


def _work(library: Library, type: int, bytes: int, ranks: int) -> tuple[float, float]:
    """Steps and bytes moved of a transfer by the library's usual algorithm; one step that moves all where none is known."""
    if ranks < 2:
        return 0.0, 0.0
    plan = structure(library, type, ranks)
    size = 0 if type == int(CommType.BARRIER) else bytes
    return (plan.latency_ns, plan.per_byte * size) if plan is not None else (1.0, float(size))


__all__ = ["MESSAGE", "Draw", "Observed", "issues_of", "observed"]
