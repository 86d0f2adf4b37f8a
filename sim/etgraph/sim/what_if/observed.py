"""What a trace says that things like those of a change take: issuing communication, waking up, transfers, operators.

A change adds what the trace has not got, but nearly always has the like of. So a time is *drawn* from what was measured
of the like, with its stalls: the sum of many draws is then as long, and as uncertain, as the trace says. A median would
not do: on a busy host the mean of what waking a thread takes is several times its median.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from etgraph.model import CommType, Trace
from etgraph.model.arrivals import communicates
from etgraph.model.columns import Array
from etgraph.model.errors import MissingData
from etgraph.sim.bounds import whole_ns
from etgraph.sim.communication.fitting import STEP_NS, TRANSFERRED, structure, type_name
from etgraph.sim.communication.libraries import LIBRARIES, Library
from etgraph.sim.communication.transfers import Transfers, measured
from etgraph.sim.replay.peers import issues_of
from etgraph.sim.replay.plan import Plan

ALIKE = 2.0
"""A transfer tells of another one's time if it moves at most this many times its bytes, and at least that part."""
ENOUGH = 5
"""So many measurements under like circumstances are needed; else those under all circumstances count."""
IDLE_SHARE = 0.5
"""A thread awaits communication if it does nothing for this part of the time from issuing it to its end."""


@dataclass(frozen=True, slots=True)
class Observed:
    """What was measured, times in ns. `transfers` are those whose size and time are known, `transfer_ns` their times,
    `work` the steps and moved bytes of each by its library's algorithm, and `waited` says for which of them the threads
    that issued them waited meanwhile: what goes on beside computation competes with it for cores, or for a device. Of
    communication that a thread issues and something else carries out: `issue_ns`, the call, `handover_ns`, from the
    call to its start where nothing else kept that from starting, and `waking_ns`, from its end to when a thread goes on
    that waited for it. `step_ns` is what a step of a library's algorithm takes without bytes (None: what a handover
    takes, since on a host each step wakes somebody up).
    """

    trace: Trace
    transfers: Transfers
    transfer_ns: Array
    work: Array
    waited: Array
    issue_ns: Array
    handover_ns: Array
    waking_ns: Array
    step_ns: Array | None = None


def observed(plan: Plan) -> Observed:
    """Look at the measured trace of a plan. O((operators + dependencies) log operators)."""
    trace = plan.trace
    o, start, end = trace.operators, trace.operators["start_ns"], trace.end_ns
    found = measured(trace)
    found = found.take(found.usable)
    call, done = issues_of(trace)
    before = _before_on_lane(trace)[done]
    idle = (before < 0) | (end[before] <= start[call])
    busy = np.zeros(len(trace.collectives) + 1, dtype=bool)  # some rank went on meanwhile
    busy[o["collective"][done[~_waited(trace, call, done)]]] = True
    handover = np.maximum(start[done] - start[call], 0)[idle]
    step = None
    if np.isin(done, plan.device).any():
        # Kernels of a device take their steps by themselves, and wait for what computes before they start.
        launches = np.isin(plan.launched, done)
        by_end = np.where(plan.launch % 2 == 1, o["duration_ns"][plan.launch // 2], 0)
        handover = (plan.latency_ns + by_end)[launches]
        step = np.array([round(STEP_NS["nccl"])])
    return Observed(
        trace, found.transfers, found.transfer_ns, _work(found.transfers), ~busy[found.collective],
        o["duration_ns"][call], handover, _waking_ns(plan), step,
    )  # fmt: skip


def _work(t: Transfers) -> Array:
    """Steps and moved bytes of transfers, a row each."""
    found = [
        work(LIBRARIES[t.libraries[group]], kind, size, len(t.groups[group]))
        for kind, group, size in zip(t.type.tolist(), t.group.tolist(), t.bytes.tolist())
    ]
    return np.array(found).reshape(-1, 2)


def _waking_ns(plan: Plan) -> Array:
    """How long after the end of communication threads went on that waited for it."""
    t = plan.threads
    by_end = communicates(plan.trace, plan.wakes // 2) & (plan.wakes % 2 == 1)
    segment, ns = plan.woken[by_end], plan.trace.end_ns[plan.wakes[by_end] // 2]
    last = np.full(len(t.event), np.iinfo(np.int64).min)
    np.maximum.at(last, segment, ns)
    slept = np.flatnonzero((last > t.ns - t.length_ns) & (last <= t.ns))
    return np.asarray(t.ns[slept] - last[slept])


def _waited(trace: Trace, call: Array, done: Array) -> Array:
    """Whether the threads of those calls mostly did nothing until what they had issued was done."""
    o, end = trace.operators, trace.end_ns
    found = np.zeros(len(call), dtype=bool)
    for lane in np.unique(o["lane"][call]).tolist():
        of = o["lane"][call] == lane
        rows = np.flatnonzero((o["lane"] == lane) & (o["parent"] < 0) & trace.timed)
        rows = rows[np.argsort(o["start_ns"][rows], kind="stable")]
        begin, until = end[call[of]], np.maximum(end[done[of]], end[call[of]])
        busy = _busy_ns(o["start_ns"][rows], end[rows], until) - _busy_ns(o["start_ns"][rows], end[rows], begin)
        found[of] = busy <= (1 - IDLE_SHARE) * (until - begin)
    return found


def _busy_ns(start: Array, end: Array, ns: Array) -> Array:
    """How long, until each moment, operators ran that follow each other."""
    total = np.append(0, np.cumsum(end - start))
    place = np.searchsorted(start, ns, side="right")
    rest = np.maximum(end[np.maximum(place - 1, 0)] - ns, 0)
    return np.asarray(total[place] - np.where(place > 0, rest, 0))


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
    cost carries over from one kind of transfer to another, it is off by a factor of its own.
    """

    def __init__(self, seen: Observed, random: np.random.Generator) -> None:
        self.seen, self.random = seen, random
        self.used = False
        self._resampled: dict[str, Array] = {}
        self._factor: dict[str, float] = {}

    def issue_ns(self, count: int) -> Array:
        """What issuing communication takes a thread that goes on then."""
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
        return self._of(
            f"rows {rows[0]} to {rows[-1]}, {len(rows)}", self.seen.trace.operators["duration_ns"][rows], count
        )

    def transfer_ns(self, type: int, bytes: int, ranks: int, count: int, *, waits: bool = False) -> Array:
        """Times of so many transfers of a group of that many ranks, from when all have come.

        By the algorithm that the trace's library has for it: each step is a message that wakes somebody up, which takes
        what a handover does; the bytes that it moves take what those of a measured transfer took, of one that the
        ranks' threads waited for if they wait for this one. Raises MissingData without any that moved bytes, UsageError
        for a time beyond `bounds.MOST_NS`.
        """
        steps, moved = work(LIBRARIES[self._library], type, bytes, ranks)
        time = sum((self._of(*self._steps, count) for _ in range(round(steps))), np.zeros(count))
        if moved > 0:
            ns_per_byte, known = self._like(type, moved, waits=waits)
            time = time + moved * self._of(f"{type_name(type)} of {bytes} {waits}", ns_per_byte, count)
        else:
            t = self.seen.transfers
            known = bool(((t.type == type) & (t.bytes <= 0)).any())
        if not known:
            time = time * self._carried_over(type)
        return whole_ns(time)

    def usual_ns(self, type: int, bytes: int, ranks: int) -> float:
        """The mean of what this draw knows of such a transfer, to compare it with another one. Raises MissingData."""
        steps, moved = work(LIBRARIES[self._library], type, bytes, ranks)
        ns = steps * self._mean(*self._steps)
        if moved > 0:
            ns += moved * self._mean(f"{type_name(type)} of {bytes}", self._like(type, moved, waits=False)[0])
        return ns

    def _mean(self, what: str, values: Array) -> float:
        """The mean of the resample that this draw keeps of some values."""
        self._of(what, values, 1)
        return float(values[self._resampled[what]].mean()) if len(values) else 0.0

    @property
    def _steps(self) -> tuple[str, Array]:
        """What steps of transfers take."""
        own = self.seen.step_ns
        return ("handover", self.seen.handover_ns) if own is None else ("step", own)

    def _like(self, type: int, moved: float, *, waits: bool) -> tuple[Array, bool]:
        """Times a moved byte of transfers like a new one, and whether they are of its type and about its size.

        Like in these ways, the first ones first, each as far as enough are left: whether it was waited for, size, type.
        """
        t, steps = self.seen.transfers, self._steps[1]
        step_ns = float(np.median(steps)) if len(steps) else 0.0
        had = self.seen.work
        rows = np.flatnonzero(had[:, 1] > 0)
        if not len(rows):
            raise MissingData("the trace has no transfer that tells what bytes cost")
        near = np.zeros(len(had), dtype=bool)
        near[rows] = np.abs(np.log(had[rows, 1] / moved)) <= np.log(ALIKE)
        for alike in (self.seen.waited == waits, near, t.type == type):
            rows = rows[alike[rows]] if np.count_nonzero(alike[rows]) >= ENOUGH else rows
        time = self.seen.transfer_ns[rows]
        rest = np.maximum(time - had[rows, 0] * step_ns, time / 2)
        return rest / had[rows, 1], bool((near & (t.type == type))[rows].all())

    def _carried_over(self, type: int) -> float:
        """By what factor costs are off that come from transfers of another type or size; one a draw and type."""
        self.used = True
        error = TRANSFERRED * float(self.random.standard_normal())
        return self._factor.setdefault(type_name(type), float(np.exp(error)))

    @property
    def _library(self) -> str:
        t = self.seen.transfers
        names = [t.libraries[g] for g in t.group.tolist()]
        return max(sorted(set(names)), key=names.count, default="any")

    def _of(self, what: str, values: Array, count: int) -> Array:
        """So many of the values, from a resample of them that this draw keeps; zeros where there are none."""
        if not len(values):
            return np.zeros(count, dtype=np.int64)
        self.used = True
        if what not in self._resampled:
            self._resampled[what] = self.random.integers(0, len(values), len(values))
        drawn: Array = values[self.random.choice(self._resampled[what], count)]
        return drawn


def work(library: Library, type: int, bytes: int, ranks: int) -> tuple[float, float]:
    """Steps and bytes moved of a transfer by the library's usual algorithm; where none is known one step, and all."""
    if ranks < 2:
        return 0.0, 0.0
    plan = structure(library, type, ranks)
    size = 0 if type == int(CommType.BARRIER) else bytes
    return (plan.latency_ns, plan.per_byte * size) if plan is not None else (1.0, float(size))


__all__ = ["Draw", "Observed", "observed"]
