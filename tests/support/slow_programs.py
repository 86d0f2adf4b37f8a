"""Small programs of hosts and devices, run slowly and plainly: what changes of them take is worked out by running them
again, changed.

A rank has one thread that goes through its items, and streams that go through what they were given. A stream does in
order what stands on it: it waits for another one's work, runs a kernel, marks that this is done. Calls hand kernels
over at their end, a launch latency later they can start; a call that waits returns as soon as its work is done.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from hypothesis import strategies as st

from etgraph.model import Trace
from support.build import build

LATENCY_NS = 4_000
"""What a replay takes for the latency of launches where a trace does not tell."""
COMMUNICATION = 9
MOST_TURNS = 300


@dataclass(frozen=True)
class Kernel:
    """Work of a stream: what it waits for by name, and for a collective the number that is the same on all ranks."""

    name: str
    stream: int
    ns: int
    waits: tuple[str, ...] = ()
    collective: int | None = None
    kilobytes: int = 4


@dataclass(frozen=True)
class Item:
    """What a thread does after a pause: so long, then it launches a kernel, or returns when kernels are done."""

    name: str
    gap: int
    ns: int
    kernel: Kernel | None = None
    awaits: tuple[str, ...] = ()
    meets: int | None = None


@dataclass(frozen=True)
class Program:
    """Items by rank, and what the machine is like. `queue` is how many launches fit, `late` what is awaited at the end.

    By names of kernels: `gone` do nothing where they stand, `apart` run on streams of their own, `instead` are done
    when another one is, `extra` is how long their stream works on something else after them.
    """

    ranks: tuple[tuple[Item, ...], ...]
    latency_ns: int = LATENCY_NS
    queue: int | None = None
    gone: frozenset[str] = frozenset()
    apart: frozenset[str] = frozenset()
    instead: dict[str, str] = field(default_factory=dict)
    extra: dict[str, int] = field(default_factory=dict)

    def __repr__(self) -> str:
        """A line an item, as far as it says something."""
        lines = []
        for rank, _, i in self.items():
            k = i.kernel
            told = "" if k is None else f" -> {k.name} on {k.stream} for {k.ns} after {list(k.waits)}"
            lines.append(f"rank {rank}: {i.gap} | {i.name} {i.ns}{told}{f' awaits {list(i.awaits)}' * bool(i.awaits)}")
        return "\n" + "\n".join(lines)

    def items(self) -> Iterator[tuple[int, int, Item]]:
        """Rank, place and item of each."""
        for rank, items in enumerate(self.ranks):
            for place, item in enumerate(items):
                yield rank, place, item

    def changed(self, change: dict[str, Item]) -> Program:
        """With other items of those names."""
        ranks = tuple(tuple(change.get(item.name, item) for item in items) for items in self.ranks)
        return replace(self, ranks=ranks)


Times = dict[str, tuple[int, int]]


def slow_times(program: Program) -> Times:
    """Start and end of each item and kernel by name: guessed, and worked out again until nothing moves any more.

    Raises Endless for a program in which something waits for itself.
    """
    times: Times = {}
    for _ in range(MOST_TURNS):
        found = _once(program, times)
        if found == times:
            return times
        times = found
    raise Endless


class Endless(Exception):
    """A program that never ends."""


def _once(program: Program, known: Times) -> Times:
    """All times from those that are known so far; what is not known counts as done at 0."""
    found: Times = {}

    def end(name: str) -> int:
        return known.get(program.instead.get(name, name), (0, 0))[1]

    marks: dict[str, int] = {}
    for items in program.ranks:
        now, streams, launched = 0, dict[int, int](), list[str]()
        for place, item in enumerate(items):
            now += item.gap
            start, begins = now, now
            kernel = item.kernel
            if kernel is not None and program.queue is not None:
                if len(launched) >= program.queue:
                    begins = max(begins, end(launched[-program.queue]))
                launched.append(kernel.name)
            now = begins + item.ns
            for name in item.awaits:
                if program.instead.get(name, name) not in program.apart:
                    now = max(now, known.get("mark " + program.instead.get(name, name), (0, 0))[1])
            if place == len(items) - 1:
                own = (k for k in program.apart if any(i.kernel and i.kernel.name == k for i in items))
                awaited = {program.instead.get(name, name) for i in items for name in i.awaits}
                now = max([now, *(end(name) for name in own if name in awaited)])
            if item.meets is not None:
                came = [known.get(f"{i.name}", (0, 0))[0] for _, _, i in program.items() if i.meets == item.meets]
                now = max(now, max(came) + item.ns)
            found[item.name] = (start, now)
            if kernel is None:
                continue
            alone = kernel.name in program.apart
            free = 0 if alone else streams.get(kernel.stream, 0)
            for name in kernel.waits:
                free = max(free, known.get("mark " + program.instead.get(name, name), (0, 0))[1])
            if kernel.name not in program.gone:
                begin = max(free, now + program.latency_ns)
                until = begin + kernel.ns
                if kernel.collective is not None:
                    until = max(
                        known.get(i.kernel.name, (0, 0))[0] + kernel.ns
                        for _, _, i in program.items()
                        if i.kernel is not None and i.kernel.collective == kernel.collective
                    )
                found[kernel.name] = (begin, max(until, begin))
                free = max(until, begin)
            marks["mark " + kernel.name] = free
            if not alone:
                streams[kernel.stream] = free + program.extra.get(kernel.name, 0)
    return found | {name: (at, at) for name, at in marks.items()}


def trace_of(program: Program) -> Trace:
    """What a profiler would have recorded of it."""
    times = slow_times(program)
    lines = []
    for rank, items in enumerate(program.ranks):
        awaited: dict[str, list[str]] = {}
        for item in items:
            for name in item.awaits:
                awaited.setdefault(name, []).append(f"-SYNC-> {item.name}")
            for name in item.kernel.waits if item.kernel else ():
                awaited.setdefault(name, []).append(f"-EVENT-> {item.kernel.name}")  # type: ignore[union-attr]
        for item in items:
            start, end = times[item.name]
            arrow = f" -> {item.kernel.name}" if item.kernel else ""
            lines.append(f"rank {rank} | thread 1 | {item.name}  {start}..{end}{arrow}")
            if (kernel := item.kernel) is not None:
                start, end = times[kernel.name]
                arrows = "".join(f" {arrow}" for arrow in awaited.get(kernel.name, ()))
                what = "" if kernel.collective is None else f": all_reduce {kernel.kilobytes}KB"
                lines.append(f"rank {rank} | stream {kernel.stream} | {kernel.name}{what}  {start}..{end}{arrows}")
    return build("\n".join(lines))


@st.composite
def programs(draw: st.DrawFn) -> Program:
    """Two ranks that compute, wait and meet in the same collectives, in any order and with any times."""
    collectives = draw(st.integers(0, 3))
    return Program(tuple(tuple(_items(draw, rank, collectives)) for rank in range(2)))


def _items(draw: st.DrawFn, rank: int, collectives: int) -> Iterator[Item]:
    stream_of: dict[str, int] = {}
    places = sorted(draw(st.lists(st.integers(0, 8), min_size=collectives, max_size=collectives)))

    def launch(name: str, stream: int, ns: int, collective: int | None = None) -> Item:
        # What a stream did before, it waits for anyway.
        others = [other for other, on in stream_of.items() if on != stream]
        waits = tuple(draw(st.lists(st.sampled_from(others), max_size=2, unique=True))) if others else ()
        stream_of[name] = stream
        kernel = Kernel(name, stream, ns, waits, collective, 4 * (1 + (collective or 0)))
        return Item(f"call_{name}", draw(_times), draw(_times) + 1, kernel)

    for place in range(9):
        for number in (n for n, at in enumerate(places) if at == place):
            yield launch(f"reduce{number}r{rank}", COMMUNICATION, 700 * (number + 3), number)
        what = draw(st.sampled_from(["work", "launch", "launch", "wait"]))
        if what == "launch":
            yield launch(f"k{place}r{rank}", draw(st.sampled_from([7, 8])), draw(_times) * 3 + 1)
        elif what == "wait" and stream_of:
            yield Item(f"wait{place}r{rank}", draw(_times), 0, awaits=(draw(st.sampled_from(list(stream_of))),))
        else:
            yield Item(f"work{place}r{rank}", draw(_times), draw(_times) + 1)
    # The thread ends with work of its own, so that what is awaited at the very end has a place.
    yield Item(f"lastr{rank}", 10, 10)


_times = st.integers(0, 4_000)
