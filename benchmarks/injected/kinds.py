"""The regressions that are put into a trace, kind by kind, and who is responsible for each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from benchmarks.injected.inserting import with_collectives, with_dependencies, with_operators
from benchmarks.injected.spread import NONE, Spread, spread_of
from etgraph.model import Category, DependencyKind, LaneKind, Trace
from etgraph.model.arrivals import communicates
from etgraph.model.columns import Array
from etgraph.model.launching import launching_calls
from etgraph.queries.keys import types

Kind = Literal["slower operator", "late rank", "extra sync", "dropped overlap", "halved bandwidth"]
SLOWER = (0.2, 0.5)
"""By how much operators are slower: by a fifth, and by more where they take little of a step."""
LATE = (0.05, 0.15)
"""How late a rank comes to a step, as a share of it."""
SLOW_RANK = 0.15
SYNC_NS = 5_000


@dataclass(frozen=True, slots=True)
class Injection:
    """A regression: times that are added to events, and edges, on the events of a trace that may have more operators.

    `names` are those of the operators or collectives that are to be named as responsible, `rank` is that rank; with
    both, either is right. `where` tells them apart in tables.
    """

    kind: Kind
    what: str
    where: str
    spread: Spread
    added_ns: Array
    extra: tuple[Array, Array] = (NONE, NONE)
    names: frozenset[str] = field(default_factory=frozenset)
    rank: int | None = None


def injections(spread: Spread, step_ns: float, random: np.random.Generator) -> Iterator[Injection]:
    """Regressions of every kind that a trace can have."""
    yield from slower_operators(spread, step_ns, random)
    yield from late_ranks(spread, step_ns, random)
    yield from extra_syncs(spread, random)
    yield from dropped_overlaps(spread)
    yield from halved_bandwidths(spread)


def own_time(trace: Trace) -> Array:
    """The time of each operator in which nothing inside it ran; 0 for those without times."""
    found: Array = np.where(trace.timed, trace.operators["duration_ns"], 0)
    above = trace.enclosing
    inside = np.flatnonzero((above >= 0) & trace.timed)
    same = trace.operators["lane"][inside] == trace.operators["lane"][above[inside]]
    inside = inside[same]
    own = found.copy()
    np.subtract.at(own, above[inside], found[inside])
    return np.maximum(own, 0)


def slower_operators(spread: Spread, step_ns: float, random: np.random.Generator) -> Iterator[Injection]:
    """Operators of one name slower on all ranks, by what they take of a step of the rank that has most of it."""
    trace, o = spread.trace, spread.trace.operators
    own = own_time(trace)
    own[communicates(trace, np.arange(len(trace)))] = 0
    own[trace.dependencies["dst"][trace.dependencies["kind"] == int(DependencyKind.SYNC)]] = 0  # it waits
    names = o.texts("name").to_pylist()
    steps = max(len(trace.iteration_indices), 1)
    inside = (o["iteration"] >= 0) | (steps == 1)
    own[~inside] = 0
    of_ranks = np.stack(
        [np.bincount(o["name"][rows][o["name"][rows] >= 0], own[rows][o["name"][rows] >= 0], len(names))
         for rows in trace.rank_rows.values()]
    )  # fmt: skip
    share = of_ranks.max(axis=0) / steps / step_ns
    bands = (("large", 0.10, 10.0, 5), ("middle", 0.04, 0.10, 4), ("small", 0.005, 0.04, 1))
    for band, least, most, count in bands:
        some = np.flatnonzero((share >= least) & (share < most))
        some = some[np.argsort(-share[some])]
        chosen = some[:count] if band == "large" else random.permutation(some)[:count]
        for code in chosen.tolist():
            rows = np.flatnonzero((o["name"] == code) & (own > 0))
            device = (trace.lanes["kind"][o["lane"][rows[0]]]) == int(LaneKind.STREAM)
            memory = _moves_memory(names[code], int(o["category"][rows[0]]))
            by = SLOWER[0] if band == "large" else SLOWER[1]
            yield _slower(
                spread, rows, by * own[rows], "slower operator", f"{names[code]} {by:.0%} slower",
                f"{band} {'device' if device else 'host'} {'memory' if memory else 'compute'}",
                frozenset([names[code]]),
            )  # fmt: skip
    if len(trace.ranks) > 1 and share.max() > 0:
        code = int(np.argmax(share))
        rank = trace.ranks[int(random.integers(len(trace.ranks)))]
        rows = np.flatnonzero((o["name"] == code) & (own > 0) & (o["rank"] == rank))
        if len(rows):
            yield _slower(
                spread, rows, SLOWER[1] * own[rows], "slower operator",
                f"{names[code]} {SLOWER[1]:.0%} slower on rank {rank}", "large, one rank",
                frozenset([names[code]]), rank,
            )  # fmt: skip


def _moves_memory(name: str, category: int) -> bool:
    moving = category in (int(Category.MEMCPY), int(Category.MEMSET))
    return moving or any(word in name.lower() for word in ("copy", "memcpy", "cat", "embedding", "fill", "transpose"))


def _slower(
    spread: Spread, rows: Array, more: Array, kind: Kind, what: str, where: str,
    names: frozenset[str] = frozenset(), rank: int | None = None,
) -> Injection:  # fmt: skip
    added = np.zeros(len(spread.own_ns))
    added[2 * rows + 1] = more
    return Injection(kind, what, where, spread, added, names=names, rank=rank)


def late_ranks(spread: Spread, step_ns: float, random: np.random.Generator) -> Iterator[Injection]:
    """A rank that begins every step late, and one on which all computation is slower."""
    trace, o = spread.trace, spread.trace.operators
    if len(trace.ranks) < 2 or not len(trace.collectives):
        return
    for number, share in enumerate(LATE):
        for rank in random.permutation(trace.ranks)[:2].tolist():
            rows = _begins(trace, rank)
            added = np.zeros(len(spread.own_ns))
            added[2 * rows] = share * step_ns
            yield Injection("late rank", f"rank {rank} begins {share:.0%} late", f"pause {number}", spread, added,
                            rank=rank)  # fmt: skip
    for rank in random.permutation(trace.ranks)[:2].tolist():
        own = own_time(trace)
        rows = np.flatnonzero((o["rank"] == rank) & ~communicates(trace, np.arange(len(trace))) & (own > 0))
        yield _slower(spread, rows, SLOW_RANK * own[rows], "late rank", f"rank {rank} {SLOW_RANK:.0%} slower",
                      "slow", rank=rank)  # fmt: skip


def _main_lane(trace: Trace, rank: int) -> int:
    rows = np.arange(len(trace))[trace.rank_rows[rank]]
    o = trace.operators
    on_threads = rows[trace.timed[rows] & (trace.lanes["kind"][o["lane"][rows]] == int(LaneKind.THREAD))]
    return int(np.argmax(np.bincount(o["lane"][on_threads])))


def _begins(trace: Trace, rank: int) -> Array:
    """The second operator at the top of a rank's main thread in each step: the first one is where the step begins."""
    o = trace.operators
    on_main = (o["lane"] == _main_lane(trace, rank)) & trace.timed & (trace.enclosing < 0)
    found = []
    for iteration in (trace.iteration_rows.get(rank, [-1])).tolist() if len(trace.iterations) else [-1]:
        rows = np.flatnonzero(on_main & (o["iteration"] == iteration)) if iteration >= 0 else np.flatnonzero(on_main)
        rows = rows[np.argsort(o["start_ns"][rows], kind="stable")]
        if len(rows) > 1:
            found.append(int(rows[1]))
    return np.array(found, dtype=np.int64)


def extra_syncs(spread: Spread, random: np.random.Generator) -> Iterator[Injection]:
    """A call that waits for the whole device, or, without one, a collective, in the middle of every rank's step."""
    trace = spread.trace
    names = trace.operators.texts("name").to_pylist()
    device = any(name in ("cudaDeviceSynchronize", "hipDeviceSynchronize", "cudaStreamSynchronize") for name in names)
    for place in (0.3, 0.5, 0.8):
        found = _device_sync(trace, place) if device else _collective_sync(trace, place)
        if found is not None:
            yield found


def _middles(trace: Trace, place: float, launching: Array | None) -> Array:
    """One operator a rank and step, on the main thread, that far into it; of those that launch where there are any."""
    o, found = trace.operators, []
    for rank in trace.ranks:
        lane = _main_lane(trace, rank)
        of_rank = (trace.iteration_rows.get(rank, np.array([-1]))).tolist() if len(trace.iterations) else [-1]
        for iteration in of_rank:
            chosen = (o["lane"] == lane) & trace.timed & ((o["iteration"] == iteration) | (iteration < 0))
            chosen &= launching if launching is not None else trace.enclosing < 0
            rows = np.flatnonzero(chosen)
            rows = rows[np.argsort(o["start_ns"][rows], kind="stable")]
            if len(rows) > 3:
                found.append(int(rows[int(place * (len(rows) - 1))]))
    return np.array(found, dtype=np.int64)


def _device_sync(trace: Trace, place: float) -> Injection | None:
    o, d = trace.operators, trace.dependencies
    names = o.texts("name").to_pylist()
    name = next(n for n in ("cudaDeviceSynchronize", "hipDeviceSynchronize", "cudaStreamSynchronize") if n in names)
    like = np.flatnonzero(o["name"] == names.index(name))[:1]
    launches = np.zeros(len(trace), dtype=bool)
    launches[d["src"][d["kind"] == int(DependencyKind.LAUNCH)]] = True
    after = _middles(trace, place, launches)
    if not len(after) or not len(like):
        return None
    extended, new, moved = with_operators(trace, np.repeat(like, len(after)), after, {})
    calls = launching_calls(trace)
    begins = o["start_ns"]
    src, dst = [], []
    for row, call in zip(new.tolist(), after.tolist(), strict=True):
        launched = np.flatnonzero((calls >= 0) & (o["rank"] == o["rank"][call]) & trace.timed)
        launched = launched[begins[calls[launched]] <= begins[call]]
        for lane in np.unique(o["lane"][launched]).tolist():
            on = launched[o["lane"][launched] == lane]
            src.append(int(moved[on[np.argmax(begins[on])]]))
            dst.append(row)
    extended = with_dependencies(extended, np.array(src), np.array(dst), DependencyKind.SYNC)
    spread = spread_of(extended)
    added = np.zeros(len(spread.own_ns))
    added[2 * new + 1] = SYNC_NS
    extra = (2 * np.array(src) + 1, 2 * np.array(dst) + 1)
    return Injection("extra sync", f"{name} at {place:.0%}", "device", spread, added, extra, frozenset([name]))


def _collective_sync(trace: Trace, place: float) -> Injection | None:
    if not len(trace.collectives) or len(trace.ranks) < 2:
        return None
    o = trace.operators
    whole = [c for c in range(len(trace.collectives)) if (o["collective"] == c).sum() == len(trace.ranks)]
    if not whole:
        return None
    members = np.flatnonzero(o["collective"] == whole[0])
    after = _middles(trace, place, None)
    ranks = o["rank"][after]
    like = np.array([int(members[o["rank"][members] == rank][0]) for rank in ranks.tolist()])
    extended, new, _ = with_operators(trace, like, after, {})
    each = [new[ranks == rank] for rank in trace.ranks]
    if len({len(rows) for rows in each}) != 1:
        return None
    together = [np.array([rows[number] for rows in each]) for number in range(len(each[0]))]
    # They begin where each rank is; what they wait for comes with the meeting, whose edges are extra.
    extended = with_collectives(extended, together)
    spread = _spread_of_new(extended, new)
    added = np.zeros(len(spread.own_ns))
    added[2 * new + 1] = SYNC_NS * 10
    meetings = 2 * len(extended) + extended.operators["collective"][new].astype(np.int64)
    extra = (np.concatenate([2 * new, meetings]), np.concatenate([meetings, 2 * new + 1]))
    names = _collective_names(extended, new)
    return Injection("extra sync", f"{sorted(names)[0]} at {place:.0%}", "collective", spread, added, extra, names)


def _spread_of_new(trace: Trace, new: Array) -> Spread:
    """The events of a trace with new collectives, as if their members did not know of each other."""
    o = trace.operators
    collective = o["collective"].copy()
    collective[new] = -1
    apart = spread_of(replace(trace, operators=o.replace({"collective": collective})))
    return replace(apart, trace=trace)


def dropped_overlaps(spread: Spread) -> Iterator[Injection]:
    """Collectives of a type that whoever issues them now waits for at once.

    The call that issues one on a host names it as well: the wait is its own.
    """
    trace, d = spread.trace, spread.trace.dependencies
    talks = np.flatnonzero(communicates(trace, np.arange(len(trace))) & trace.timed)
    if not len(talks):
        return
    calls = launching_calls(trace)
    of_type = types(trace, talks)
    spawner = np.full(len(trace), -1, dtype=np.int64)
    spawns = d["kind"] == int(DependencyKind.SPAWN)
    spawner[d["dst"][spawns]] = d["src"][spawns]
    for code, text in enumerate(of_type.texts):
        rows = talks[of_type.code == code]
        if not len(rows):
            continue
        if calls[rows[0]] >= 0:
            src, dst = _next_on_streams(trace, rows, calls)
            ends, kind = 2 * dst, DependencyKind.EVENT
        else:
            rows = rows[spawner[rows] >= 0]
            src, dst = rows, spawner[rows]
            ends, kind = 2 * dst + 1, DependencyKind.SYNC
        if not len(src):
            continue
        changed = with_dependencies(trace, src, dst, kind)
        yield Injection(
            "dropped overlap", f"{text.lower()} is waited for", "device" if calls[rows[0]] >= 0 else "host",
            replace(spread, trace=changed), np.zeros(len(spread.own_ns)), (2 * src + 1, ends),
            _collective_names(trace, rows) | _names(trace, src if kind is DependencyKind.EVENT else dst),
        )  # fmt: skip


def _next_on_streams(trace: Trace, rows: Array, calls: Array) -> tuple[Array, Array]:
    """For collectives on a device the first operator that is launched after each on every other stream of it."""
    o = trace.operators
    src, dst = [], []
    for row in rows.tolist():
        if calls[row] < 0:
            continue
        others = np.flatnonzero(
            (calls >= 0) & (o["rank"] == o["rank"][row]) & trace.timed & (o["lane"] != o["lane"][row])
        )
        begins = o["start_ns"][calls[others]]
        later = others[begins > o["start_ns"][calls[row]]]
        later = later[~communicates(trace, later)]
        if len(later):
            first = later[np.argsort(o["start_ns"][calls[later]], kind="stable")][:1]
            src.append(row)
            dst.append(int(first[0]))
    return np.array(src, dtype=np.int64), np.array(dst, dtype=np.int64)


def halved_bandwidths(spread: Spread) -> Iterator[Injection]:
    """Collectives and messages of a type at half their bandwidth: twice the transfer, after the last member's start."""
    trace = spread.trace
    talks = np.flatnonzero(communicates(trace, np.arange(len(trace))) & trace.timed)
    of_type = types(trace, talks)
    for code, text in enumerate(of_type.texts):
        rows = talks[of_type.code == code]
        if len(rows):
            yield _slower(
                spread, rows, spread.own_ns[2 * rows + 1], "halved bandwidth", f"{text.lower()} at half", "all",
                _collective_names(trace, rows),
            )  # fmt: skip


def _names(trace: Trace, rows: Array) -> frozenset[str]:
    return frozenset(str(trace.operators.value("name", int(row))) for row in rows[:200])


def _collective_names(trace: Trace, rows: Array) -> frozenset[str]:
    texts = types(trace, rows)
    return frozenset({*_names(trace, rows), *(texts.texts[code].lower() for code in np.unique(texts.code).tolist())})


__all__ = ["Injection", "Kind", "injections", "own_time"]
