"""Traces with known causes: a small event-driven simulation of threads, streams and a launch queue, as Kineto text.

Host threads are generators that run calls; device streams run what was launched, in order. A kernel starts when its
launch, its stream, the events that its stream waits for and the room on the device let it, and the simulation notes
which of these it was. The trace holds what a profiler would record; `Simulated.truth` what it would not.
"""

from __future__ import annotations

import itertools
import json
import random
from collections import defaultdict, deque
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from etgraph.model import DependencyKind

K = DependencyKind
TAIL = 1.5
"""Rounds of blocks before its end at which a kernel of many rounds leaves room for another."""
SEEN_NS = 4_000
"""A cause that delays a start by less than this cannot be seen in the times."""


@dataclass
class Work:
    """Something a stream does; times in ns, `cause` is what it waited for in the end, -1 while it has not happened."""

    number: int
    name: str
    stream: int
    duration: int
    waves: float
    ready: int
    before: Work | None
    events: list[Work]
    start: int = -1
    end: int = -1
    held_by: Work | None = None
    held_since: int = -1

    @property
    def room_at(self) -> int:
        """When it leaves room on the device."""
        return self.end - int(TAIL * self.duration / self.waves)


@dataclass(frozen=True)
class Edge:
    """A true dependency: between works, or from a work to a call, by their correlation numbers. `seen`: it delayed."""

    kind: DependencyKind
    src: int
    dst: int
    seen: bool


@dataclass
class Simulated:
    """The events of a trace, and the dependencies behind them."""

    events: list[dict[str, Any]] = field(default_factory=list)
    truth: list[Edge] = field(default_factory=list)

    def pairs(self, kind: DependencyKind, *, seen: bool = False) -> set[tuple[int, int]]:
        """True (source, target) of a kind by correlation, those that delayed something or all."""
        return {(e.src, e.dst) for e in self.truth if e.kind is kind and (e.seen or not seen)}

    def write(self, path: Path) -> Path:
        """Write the trace as Kineto does."""
        devices = [{"id": 0, "name": "Simulated"}]
        path.write_text(json.dumps({"schemaVersion": 1, "deviceProperties": devices, "traceEvents": self.events}))
        return path


Thread = Generator[Callable[[], int | None], None, None]
"""A thread yields conditions: each says when it goes on, None while that is not known yet."""


class Machine:
    """A host with threads, and one device with streams.

    `depth` is the length of the launch queue; `records` says whether synchronisation is recorded, as CUPTI can;
    `hiccups` is the share of works that start late for no reason at all; `slower` is how many times as long as on
    another device kernels take that do not communicate.
    """

    def __init__(
        self, seed: int, *, depth: int = 10**9, records: bool = False, hiccups: float = 0.0, slower: float = 1.0
    ) -> None:
        self.random = random.Random(seed)
        self.result = Simulated()
        self.now = 0
        self._depth, self._records, self._hiccups, self._slower = depth, records, hiccups, slower
        self._numbers = itertools.count(1)
        self._launched: list[Work] = []
        self._queues: dict[int, deque[Work]] = defaultdict(deque)
        self._full: list[Work] = []
        self._last: dict[int, Work] = {}
        self._awaited: dict[int, list[Work]] = defaultdict(list)
        self._threads: list[tuple[int, Thread]] = []
        self._clock = [0] * 8

    # Host: what threads call. Each thread has a clock of its own, `self._clock[thread]`.

    def spend(self, thread: int, shortest: int, longest: int) -> None:
        """Let time pass on a thread."""
        self._clock[thread] += self.random.randint(shortest, longest)

    def call(self, thread: int, name: str, took: int, **arguments: Any) -> int:
        """A runtime call; its correlation number."""
        number = next(self._numbers)
        start = self._clock[thread]
        self._clock[thread] = start + took
        self._event("cuda_runtime", name, 100, 100 + thread, start, took, correlation=number, **arguments)
        return number

    def operator(self, thread: int, name: str, start: int) -> int:
        """An operator around what the thread did since then; its number."""
        self._clock[thread] += 200
        number = next(self._numbers)
        took = self._clock[thread] - start
        self._event("cpu_op", name, 100, 100 + thread, start, took, **{"External id": number})
        return number

    def time(self, thread: int) -> int:
        """The thread's clock."""
        return self._clock[thread]

    def launch(self, thread: int, stream: int, name: str, duration: int, waves: float = 1.0) -> Thread:
        """Launch a kernel or copy; the thread waits while the queue is full."""
        start = self._clock[thread]
        room = self._launched[-self._depth] if len(self._launched) >= self._depth else None
        took = self.random.randint(4_000, 6_000)
        if room is not None:
            yield lambda: None if room.end < 0 else max(room.end + 1, start + took)
            took = max(took, room.end + self.random.randint(4_000, 6_000) - start)
        call = "cudaMemcpyAsync" if name.startswith("Memcpy") else "cudaLaunchKernel"
        number = self.call(thread, call, took)
        if room is not None:
            self._true(K.SYNC, room.number, number, seen=room.end > start)
        ready = self._clock[thread] + self.random.randint(1_000, 2_500)
        before = self._last.get(stream)
        if name == "kernel":
            duration = round(duration * self._slower)
        work = Work(number, name, stream, duration, waves, ready, before, self._awaited.pop(stream, []))
        self._give(work)

    def _give(self, work: Work) -> None:
        self._last[work.stream] = work
        self._launched.append(work)
        self._queues[work.stream].append(work)

    def stream_waits(self, thread: int, waiting: int, source: int) -> None:
        """Make a stream wait for what another one has been given so far."""
        record = self.call(thread, "cudaEventRecord", 1_500)
        self._wait(thread, waiting, self._last.get(source), record)

    def wait_for(self, thread: int, waiting: int, work: Work | None) -> None:
        """Make a stream wait for a certain work, whose event was recorded with it."""
        self._wait(thread, waiting, work, -1)

    def _wait(self, thread: int, waiting: int, work: Work | None, record: int) -> None:
        start = self._clock[thread]
        number = self.call(thread, "cudaStreamWaitEvent", 1_500)
        if work is not None and work.stream != waiting:
            self._awaited[waiting].append(work)
        if self._records and work is not None and record > 0:
            self._event(
                "cuda_sync", "Stream Wait Event", 0, waiting, start + 200, 1_000, stream=waiting, correlation=number,
                wait_on_stream=work.stream, wait_on_cuda_event_record_corr_id=record,
            )  # fmt: skip

    def last(self, stream: int) -> Work | None:
        """What a stream was given last."""
        return self._last.get(stream)

    def block(self, thread: int, name: str, streams: list[int]) -> Thread:
        """A call that returns when those streams are done."""
        start = self._clock[thread]
        works = [w for s in streams if (w := self._last.get(s))]
        yield lambda: None if any(w.end < 0 for w in works) else max([start, *(w.end for w in works)])
        until = max([start, *(w.end for w in works)])
        number = self.call(thread, name, until - start + self.random.randint(4_000, 9_000))
        for work in works:
            self._true(K.SYNC, work.number, number, seen=work.end == until > start)
        if self._records and name == "cudaStreamSynchronize":
            took = self._clock[thread] - start
            self._event("cuda_sync", "Stream Sync", 0, streams[0], start, took, stream=streams[0], correlation=number)

    def copy_to_host(self, thread: int, stream: int) -> Thread:
        """A copy to memory that is not pinned, for which its call waits."""
        start = self._clock[thread]
        number = next(self._numbers)
        ready = start + self.random.randint(2_000, 3_000)
        work = Work(
            number, "Memcpy DtoH (Device -> Pageable)", stream, 2_000, 0, ready, self._last.get(stream),
            self._awaited.pop(stream, []),
        )  # fmt: skip
        self._give(work)
        yield lambda: None if work.end < 0 else work.end
        took = work.end + self.random.randint(6_000, 12_000) - start
        self._clock[thread] += took
        self._event("cuda_runtime", "cudaMemcpyAsync", 100, 100 + thread, start, took, correlation=number)
        self._true(K.SYNC, number, number, seen=True)

    def hand_over(self, thread: int, other: int, burst: Thread, spawner: int) -> Thread:
        """Let another thread do a burst of operators, and go on when it is done; `spawner` is the operator before."""
        self._clock[other] = max(self._clock[other], self._clock[thread] + self.random.randint(60_000, 200_000))
        first = len(self.result.events)
        yield from burst
        mine = [e["args"]["External id"] for e in self.result.events[first:] if e["cat"] == "cpu_op"]
        self._clock[thread] = self._clock[other] + self.random.randint(60_000, 150_000)
        start = self._clock[thread]
        self.spend(thread, 5_000, 9_000)
        after = self.operator(thread, "aten::after", start)
        self._true(K.SPAWN, spawner, mine[0], seen=True)
        self._true(K.JOIN, mine[-1], after, seen=True)

    def run(self, *threads: Thread) -> Simulated:
        """Run threads to their ends, one step of whichever comes first at a time."""
        waiting = {number: (thread, next(thread, None)) for number, thread in enumerate(threads)}
        while any(condition for _, condition in waiting.values()):
            times = {n: c() for n, (_, c) in waiting.items() if c is not None}
            known = [(t, n) for n, t in times.items() if t is not None]
            step = self._device_step(min(known)[0] if known else None)
            if step:
                continue
            _, number = min(known)
            thread, _ = waiting[number]
            waiting[number] = (thread, next(thread, None))
        while self._device_step(None):
            pass
        self._write_works()
        return self.result

    # Device: one start at a time, the earliest possible one.

    def _device_step(self, before: int | None) -> bool:
        """Start the next work if it starts before then; whether it did."""
        heads = [queue[0] for queue in self._queues.values() if queue]
        options = [(at, w.number, w) for w in heads if (at := self._possible(w)) is not None]
        if not options:
            return False
        at, _, work = min(options)
        if before is not None and at > before:
            return False
        work.start, work.end = at, at + work.duration
        self._queues[work.stream].popleft()
        if work.waves >= 20:
            # It stays there for good: what it held may be looked at once more after another start at the same moment.
            self._full.append(work)
        return True

    def _possible(self, work: Work) -> int | None:
        """When a work can start, None while that depends on what has not started."""
        if (work.before is not None and work.before.end < 0) or any(e.end < 0 for e in work.events):
            return None
        noise = random.Random(work.number)
        hiccup = noise.randint(5_000, 30_000) if noise.random() < self._hiccups else 0
        at = max([work.ready, *(e.end + noise.randint(2_000, 3_500) for e in work.events)])
        if work.before is not None:
            at = max(at, work.before.end + noise.randint(900, 1_500))
        at += hiccup
        work.held_by = None
        if not work.name.startswith("nccl"):
            for other in self._full:
                if other.stream != work.stream and other.start <= at < other.room_at:
                    work.held_by, work.held_since, at = other, at, other.room_at
        return at

    def _write_works(self) -> None:
        for work in self._launched:
            kind = "gpu_memcpy" if work.name.startswith("Memcpy") else "kernel"
            occupied = {"warps per SM": work.waves * 64, "est. achieved occupancy %": 100} if work.waves > 0 else {}
            self._event(
                kind, work.name, 0, work.stream, work.start, work.duration, correlation=work.number, device=0,
                stream=work.stream, **occupied,
            )  # fmt: skip
            others = max(work.ready, work.before.end if work.before else 0)
            for event in work.events:
                rest = max([others, *(e.end for e in work.events if e is not event)])
                self._true(K.EVENT, event.number, work.number, seen=event.end > rest + SEEN_NS)
            if work.held_by is not None:
                late = work.start > work.held_since + SEEN_NS
                self._true(K.OCCUPANCY, work.held_by.number, work.number, seen=late)

    def _true(self, kind: DependencyKind, src: int, dst: int, *, seen: bool) -> None:
        self.result.truth.append(Edge(kind, src, dst, seen))

    def _event(self, category: str, name: str, pid: int, tid: int, start: int, took: int, **arguments: Any) -> None:
        self.result.events.append(
            {"ph": "X", "cat": category, "name": name, "pid": pid, "tid": tid, "ts": start / 1000, "dur": took / 1000,
             "args": arguments}
        )  # fmt: skip
