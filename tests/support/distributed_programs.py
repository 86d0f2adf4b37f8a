"""Random programs of several ranks whose communication is known: what they record, and who truly met whom.

Each rank computes for a while, then communicates. Nobody leaves a collective before the last of its group has come; a
receive ends after its send began. What a recording leaves out (groups, numbers, first operators, whole ranks) and how
wrong its clocks are is chosen apart from what truly happened.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field, replace

import numpy as np

from etgraph.ingest.draft import NULL, Draft
from etgraph.model import (
    TABLES,
    Category,
    Columns,
    CommType,
    DependencyKind,
    LaneKind,
    Metadata,
    NodeType,
    Source,
    Trace,
    process_group_tables,
)

NULL32 = -(2**31)
TYPES = (CommType.ALL_REDUCE, CommType.ALL_GATHER, CommType.REDUCE_SCATTER, CommType.ALL_TO_ALL, CommType.BROADCAST)


@dataclass(frozen=True)
class Recorded:
    """What of a program its files tell."""

    groups: bool = True
    declared: bool = True
    numbers: bool = False
    device: bool = True
    times: bool = True
    missing: tuple[int, ...] = ()
    dropped: dict[int, int] = field(default_factory=dict)
    clocks: dict[int, int] = field(default_factory=dict)
    hosts: bool = False


@dataclass
class Operator:
    """One communication operator as it happened; `truth` is equal for those that met."""

    rank: int
    truth: int
    kind: NodeType
    type: int
    bytes: int
    group: int
    number: int
    start: int
    end: int
    peer: int = NULL32
    tag: int = NULL32


@dataclass
class Program:
    """Operators by rank in order, and the groups (all ranks first)."""

    ranks: int
    groups: list[tuple[int, ...]]
    operators: list[list[Operator]]


def program(seed: int, *, steps: int = 12, messages: bool = True, regular: bool = False) -> Program:
    """A random program. Its groups are all ranks, and blocks and strides of them.

    In a regular one each group has sizes of its own, as layers and gradients have; else any group takes any size.
    """
    rng = random.Random(seed)
    ranks = rng.choice((2, 3, 4, 4, 6, 8))
    groups = [tuple(range(ranks))]
    for size in (s for s in range(2, ranks) if ranks % s == 0):
        blocks = [tuple(range(k, k + size)) for k in range(0, ranks, size)]
        strides = [tuple(range(k, ranks, ranks // size)) for k in range(ranks // size)]
        groups += [g for g in blocks + strides if g not in groups]
    clock = [rng.randrange(100_000) for _ in range(ranks)]
    numbers: Counter[tuple[int, int]] = Counter()
    done: list[list[Operator]] = [[] for _ in range(ranks)]
    sizes = [rng.randrange(1, 1 << 16) * 8 for _ in range(3)]
    truth = 0
    for _ in range(steps):
        for rank in range(ranks):
            clock[rank] += rng.randrange(1_000, rng.choice((20_000, 400_000)))
        if messages and rng.random() < 0.3:
            source, target = rng.sample(range(ranks), 2)
            truth += 1
            _message(rng, done, clock, source, target, truth, rng.choice(sizes))
            continue
        group = rng.randrange(len(groups)) if rng.random() < 0.7 else 0
        cover = [g for g in groups if len(g) == len(groups[group]) and _alike(g, groups[group])]
        for one in cover:
            truth += 1
            size = rng.choice(sizes) if not regular else sizes[0] + 8 * group
            type = rng.choice(TYPES) if not regular else TYPES[group % 3]
            _collective(rng, done, clock, groups.index(one), one, truth, type, size, numbers)
    return Program(ranks, groups, done)


def _alike(a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    return a[1] - a[0] == b[1] - b[0] and (a == b or not set(a) & set(b))


def _collective(
    rng: random.Random,
    done: list[list[Operator]],
    clock: list[int],
    group: int,
    inside: tuple[int, ...],
    truth: int,
    type: CommType,
    size: int,
    numbers: Counter[tuple[int, int]],
) -> None:
    last = max(clock[r] for r in inside)
    transfer = rng.randrange(5_000, 30_000)
    for rank in inside:
        numbers[rank, group] += 1
        end = last + transfer + rng.randrange(1_500)
        given = size if type is not CommType.ALL_TO_ALL else size + 8 * rank
        done[rank].append(
            Operator(rank, truth, NodeType.COMM_COLL, int(type), given, group, numbers[rank, group], clock[rank], end)
        )
        clock[rank] = end


def _message(
    rng: random.Random, done: list[list[Operator]], clock: list[int], source: int, target: int, truth: int, size: int
) -> None:
    begin = clock[source]
    sent = begin + rng.randrange(2_000, 8_000)
    got = max(clock[target], begin) + rng.randrange(3_000, 20_000)
    tag = rng.randrange(2)
    done[source].append(Operator(source, truth, NodeType.COMM_SEND, NULL32, size, 0, NULL, begin, sent, target, tag))
    done[target].append(
        Operator(target, truth, NodeType.COMM_RECV, NULL32, size, 0, NULL, clock[target], got, source, tag)
    )
    clock[source], clock[target] = sent, got


def record(p: Program, how: Recorded) -> tuple[Draft, np.ndarray]:
    """The draft of all files, and the truth of each operator."""
    kept = [
        replace(o, start=o.start + how.clocks.get(rank, 0), end=o.end + how.clocks.get(rank, 0))
        for rank, operators in enumerate(p.operators)
        if rank not in how.missing
        for o in operators[how.dropped.get(rank, 0) :]
    ]
    count = len(kept)
    present = sorted({o.rank for o in kept})
    index = dict.fromkeys(present, 0)
    numbers = []
    for o in kept:
        numbers.append(index[o.rank])
        index[o.rank] += 1
    declared = [(str(n), None, None, len(g), g) for n, g in enumerate(p.groups)] if how.declared or how.groups else []
    tables = process_group_tables(declared)
    data = {
        "rank": [o.rank for o in kept],
        "index": numbers,
        "name": [0] * count,
        "kind": [int(o.kind) for o in kept],
        "category": [int(Category.KERNEL if how.device else Category.ANNOTATION)] * count,
        "lane": [present.index(o.rank) for o in kept],
        "comm_type": [o.type for o in kept],
        "comm_bytes": [o.bytes for o in kept],
        "group": [o.group if how.groups and o.kind is NodeType.COMM_COLL else -1 for o in kept],
        "peer": [o.peer for o in kept],
        "tag": [o.tag for o in kept],
    }
    if how.times:
        data |= {"start_ns": [o.start for o in kept], "duration_ns": [o.end - o.start for o in kept]}
    kind = int(LaneKind.STREAM if how.device else LaneKind.THREAD)
    lanes = Columns(
        TABLES["lanes"],
        {"rank": present, "kind": [kind] * len(present), "process": [0] * len(present), "id": [0] * len(present)},
        {"process": ["0"], "id": ["7"]},
        length=len(present),
    )
    order = np.array([i for i in range(1, count) if kept[i].rank == kept[i - 1].rank], dtype=np.int64)
    edges = Columns(
        TABLES["dependencies"],
        {
            "src": order - 1,
            "dst": order,
            "kind": np.full(len(order), int(DependencyKind.STREAM if how.device else DependencyKind.THREAD)),
            "inferred": np.zeros(len(order), dtype=bool),
            "method": np.zeros(len(order), dtype=np.int32),
            "confidence": np.ones(len(order)),
        },
        {"method": ["order"]},
    )
    sources = tuple(
        Source(f"rank{r}", "kineto", r, 0, "", "", {"host_name": "one" if how.hosts else f"host{r}"}) for r in present
    )
    trace = Trace(
        Columns(TABLES["operators"], data, {"name": ["ncclDevKernel"]}, length=count),
        edges,
        lanes,
        process_groups=tables[0],
        group_members=tables[1],
        metadata=Metadata(sources=sources, world_size=p.ranks, clock_offsets_ns=dict.fromkeys(present, 0)),
    )
    ids = {"comm_sequence": np.array([o.number if how.numbers else NULL for o in kept], dtype=np.int64)}
    return Draft(trace, ids), np.array([o.truth for o in kept], dtype=np.int64)


@dataclass(frozen=True)
class Score:
    """Of collectives and messages: how many were matched, how many of them wrongly, how many could have been."""

    matched: int
    wrong: int
    possible: int


def score(trace: Trace, truth: np.ndarray) -> Score:
    """Compare the matched trace with the truth: a set is right when all its members truly met."""
    o, d = trace.operators, trace.dependencies
    wrong = matched = 0
    for row in range(len(trace.collectives)):
        members = np.flatnonzero(o["collective"] == row)
        matched += 1
        ranks = o["rank"][members]
        wrong += len(set(truth[members].tolist())) != 1 or len(set(ranks.tolist())) != len(members)
    pairs = np.flatnonzero(d["kind"] == int(DependencyKind.COMM))
    matched += len(pairs)
    wrong += int((truth[d["src"][pairs]] != truth[d["dst"][pairs]]).sum())
    together = Counter(truth.tolist())
    return Score(matched, wrong, sum(n > 1 for n in together.values()))
