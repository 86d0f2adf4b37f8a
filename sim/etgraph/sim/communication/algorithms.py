"""Algorithms of collectives: how many messages follow each other, and how many bytes pass a device's port.

Cost is Hockney's (Parallel Computing 20, 1994): a message of m bytes takes α + m·β. An algorithm is therefore two
numbers a level of the network: `steps`, messages on the longest chain, and `loads`, bytes through the busiest port in
units of the collective's size. Sizes are those of nccl-tests: the whole message, of a gather all shards.

Sources: [T] Thakur, Rabenseifner and Gropp, "Optimization of Collective Communication Operations in MPICH", IJHPCA 19,
2005. [R] Rabenseifner, "Optimization of Collective Reduction Operations", ICCS 2004. [B] Bruck et al., "Efficient
Algorithms for All-to-All Communications in Multiport Message-Passing Systems", IEEE TPDS 8, 1997. [S] Sanders, Speck
and Träff, "Two-tree algorithms for full bandwidth broadcast, reduction and scan", Parallel Computing 35, 2009. [H]
Hensgen, Finkel and Manber, "Two algorithms for barrier synchronization", 1988. [N] NCCL's tuning model
(`src/graph/tuning.cc`). What streams through a chain or tree is counted as cut into ever smaller pieces, as in [N]:
each level costs its latency once, each port its bytes once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from types import MappingProxyType
from typing import Final

from etgraph.model import CommType
from etgraph.model.columns import Array
from etgraph.sim.communication.levels import Level, Span

MESSAGE: Final = -1
"""Type of a send with its receive, beside those of `CommType`."""


def type_name(type: int) -> str:
    """`all_reduce`, …, `message`."""
    return "message" if type == MESSAGE else CommType(type).name.lower()


_REDUCED_AND_SPREAD = (CommType.ALL_REDUCE, CommType.BARRIER)
_SPREAD = (CommType.ALL_GATHER, CommType.REDUCE_SCATTER, CommType.REDUCE_SCATTER_BLOCK)
_ROOTED = (CommType.BROADCAST, CommType.REDUCE)
_SHARDED_FROM_ROOT = (CommType.GATHER, CommType.SCATTER)


@dataclass(frozen=True, slots=True)
class Plan:
    """What one algorithm does on a span: steps and loads by level, and the latency of a step there.

    Loads of levels add up, or, where the levels work `together`, the slowest of them counts. `start_ns` comes first.
    """

    algorithm: str
    steps: tuple[float, ...]
    loads: tuple[float, ...]
    step_ns: tuple[float, ...]
    ns_per_byte: tuple[float, ...]
    together: bool = True
    start_ns: float = 0.0

    @property
    def latency_ns(self) -> float:
        """Time of the collective without any bytes."""
        return self.start_ns + sum(steps * ns for steps, ns in zip(self.steps, self.step_ns))

    @property
    def per_byte(self) -> float:
        """Further time for each byte of the collective's size, in ns."""
        parts = [load * ns for load, ns in zip(self.loads, self.ns_per_byte)]
        return max(parts, default=0.0) if self.together else sum(parts)

    def duration_ns(self, bytes: Array) -> Array:
        """Time of collectives of those sizes."""
        return self.latency_ns + bytes * self.per_byte


Algorithm = Callable[[int, Span], Plan | None]
"""The plan of a collective type (`CommType` or `MESSAGE`) on a span; None where the algorithm does not do it."""


def ring(type: int, span: Span) -> Plan | None:
    """Round a ring through all ranks, as many rings at once as use all links.

    All-gather and reduce-scatter: n − 1 steps, (n − 1)/n of the size; all-reduce both of it [T]. Broadcast and
    reduce stream through a chain: n − 1 steps, the whole size [N]. All-to-all hands on what is not for itself: n − 1
    steps, (n − 1)/2 of the size. Steps between the outer positions of a level are those of the rank that meets most.
    """
    n = span.ranks
    if type in _ROOTED:
        return _streamed("ring", span, _crossings(span, loops=0), 1.0)
    if type in _REDUCED_AND_SPREAD:
        return _streamed("ring", span, _crossings(span, loops=2), 2 * (n - 1) / n if type != CommType.BARRIER else 0.0)
    if type in _SPREAD or type == CommType.ALL_TO_ALL:
        return _streamed("ring", span, _crossings(span), (n - 1) / (2 if type == CommType.ALL_TO_ALL else n))
    return None


def tree(type: int, span: Span) -> Plan | None:
    """Two binary trees, each of half the data, whose inner nodes are the other's leaves [S]; chains inside nodes [N].

    Broadcast and reduce: ⌈log2 n⌉ steps and the whole size; all-reduce both of it, less with fewer than four ranks,
    whose nodes have fewer children. The members of the innermost tier, a node, are a chain.
    """
    if type not in (*_ROOTED, *_REDUCED_AND_SPREAD):
        return None
    both = 2 if type in _REDUCED_AND_SPREAD else 1
    steps = tuple(
        float(both * (level.members - 1 if level.innermost else _doublings(level.members))) for level in span.levels
    )
    load = 0.0 if type == CommType.BARRIER else min(float(both), span.ranks / 2)
    return _streamed("tree", span, steps, load)


def direct(type: int, span: Span) -> Plan | None:
    """Everyone to everyone at once: one step, all bytes through the own port; all-reduce scatters and gathers so.

    All-to-all, all-gather, reduce-scatter: (n − 1)/n of the size [T, long messages]; gather and scatter the same at
    the root; broadcast and reduce n − 1 times the size at the root. On a ring, messages go the shorter way and
    occupy each link that they pass. A message is one step between its two ranks.
    """
    n, both = span.ranks, 2 if type == CommType.ALL_REDUCE else 1
    if type == MESSAGE:
        return _paired("direct", span, 1, 1.0) if n == 2 else None
    loads = []
    for level, above in zip(span.levels, [*(upper.below for upper in span.levels[1:]), n]):
        peers = float(max(above - level.below, level.members - 1))
        if level.topology == "ring" and type not in (*_ROOTED, *_SHARDED_FROM_ROOT):
            # Σ of the shorter ways to all others is ⌊m²/4⌋, where only neighbours would make it m − 1.
            peers *= level.members**2 // 4 / (level.members - 1) * level.size / level.members
        size = 0.0 if type == CommType.BARRIER else 1.0 if type in _ROOTED else 1 / n
        loads.append(both * peers * size)
    slowest = max(range(len(loads)), key=lambda t: span.levels[t].farthest_ns, default=0)
    steps = tuple(float(both * (t == slowest)) for t in range(len(loads)))
    plan = _plan("direct", span, steps, tuple(loads))
    return replace(plan, step_ns=tuple(level.farthest_ns for level in span.levels))


def doubling(type: int, span: Span) -> Plan | None:
    """Recursive halving and doubling, with one partner at a time: ⌈log2 n⌉ steps, on one level.

    All-gather (n − 1)/n of the size, for any n in Bruck's form [T]; reduce-scatter the same in reverse; all-reduce
    both [R], and so are broadcast (scatter, then all-gather) and reduce (reduce-scatter, then gather) [T].
    All-to-all sends in step k what has bit k in its distance [B]. A barrier spreads the news [H].
    """
    if not _one_level_of_pairs(span):
        return None
    n, steps = span.ranks, _doublings(span.ranks)
    if type == CommType.BARRIER:
        return _paired("doubling", span, steps, 0.0)
    if type in _SPREAD:
        return _paired("doubling", span, steps, (n - 1) / n)
    if type == CommType.ALL_REDUCE or type in _ROOTED:
        return _paired("doubling", span, 2 * steps, 2 * (n - 1) / n)
    if type == CommType.ALL_TO_ALL:
        return _paired("doubling", span, steps, sum(distance.bit_count() for distance in range(n)) / n)
    return None


def binomial(type: int, span: Span) -> Plan | None:
    """A binomial tree from or to a root: ⌈log2 n⌉ steps, each with the whole size, or all with (n − 1)/n of it [T]."""
    if not _one_level_of_pairs(span):
        return None
    n, steps = span.ranks, _doublings(span.ranks)
    if type in _ROOTED:
        return _paired("binomial", span, steps, float(steps))
    if type in _SHARDED_FROM_ROOT:
        return _paired("binomial", span, steps, (n - 1) / n)
    return None


def hierarchical(inner: Algorithm) -> Algorithm:
    """Level by level, with `inner` on each: what all-reduce scatters inside and reduces across, it gathers inside.

    All-reduce, all-gather and reduce-scatter move only their share through the outer levels; broadcast, reduce and
    all-to-all the whole size through each. Needs several levels, with equally many members everywhere.
    """

    def plan(type: int, span: Span) -> Plan | None:
        if len(span.levels) < 2 or not span.regular or type == MESSAGE:
            return None
        parts = []
        for t, level in enumerate(span.levels):
            alone = Span(level.members, (replace(level, below=1, positions=level.members),), True)
            outermost = t + 1 == len(span.levels)
            if type == CommType.ALL_REDUCE and not outermost:
                scattered, gathered = inner(CommType.REDUCE_SCATTER, alone), inner(CommType.ALL_GATHER, alone)
                part = _sum(scattered, gathered)
            else:
                part = inner(type, alone)
            if part is None:
                return None
            share = 1.0
            if type == CommType.ALL_REDUCE or type in _SPREAD:
                share = 1 / level.below
            elif type in _SHARDED_FROM_ROOT:
                share = level.below * level.members / span.ranks
            parts.append(replace(part, loads=(part.loads[0] * share,)))
        return Plan(
            f"hierarchical {parts[0].algorithm}",
            tuple(part.steps[0] for part in parts), tuple(part.loads[0] for part in parts),
            tuple(part.step_ns[0] for part in parts), tuple(part.ns_per_byte[0] for part in parts), together=False,
        )  # fmt: skip

    return plan


ALGORITHMS: Final[Mapping[str, Algorithm]] = MappingProxyType(
    {
        "ring": ring,
        "tree": tree,
        "direct": direct,
        "doubling": doubling,
        "binomial": binomial,
        "hierarchical ring": hierarchical(ring),
        "hierarchical direct": hierarchical(direct),
        "hierarchical doubling": hierarchical(doubling),
        "hierarchical binomial": hierarchical(binomial),
    }
)
"""All algorithms by name."""


def _crossings(span: Span, loops: int = 1) -> tuple[float, ...]:
    """Steps by level of the piece that goes `loops` times round the ring, less one link each time; 0: along the chain.

    Of a ring's links as many join positions of a level as there are positions more than on the level above. What a
    piece leaves out are links of the innermost level.
    """
    counts = [level.positions for level in span.levels] + [1]
    steps = [float(here - above) for here, above in pairwise(counts)]
    if loops and steps:
        steps[-1] += 1  # the link that closes the ring
        steps = [loops * count for count in steps]
        steps[0] -= loops
    return tuple(steps)


def _streamed(algorithm: str, span: Span, steps: tuple[float, ...], load: float) -> Plan:
    """A load that passes all levels at once; at an outer level all ranks of a position share what it sends."""
    return _plan(algorithm, span, steps, tuple(load / level.below for level in span.levels))


def _paired(algorithm: str, span: Span, steps: int, load: float) -> Plan:
    """A load that goes to one partner at a time, over the links that lead to it."""
    plan = _plan(algorithm, span, (float(steps),), (load,))
    return replace(plan, ns_per_byte=tuple(1 / level.to_one for level in span.levels))


def _plan(algorithm: str, span: Span, steps: tuple[float, ...], loads: tuple[float, ...]) -> Plan:
    step_ns = tuple(level.neighbour_ns for level in span.levels)
    return Plan(algorithm, steps, loads, step_ns, tuple(1 / level.usable for level in span.levels))


def _sum(first: Plan | None, second: Plan | None) -> Plan | None:
    """One after the other, on the same levels."""
    if first is None or second is None:
        return None
    steps = tuple(a + b for a, b in zip(first.steps, second.steps))
    return replace(first, steps=steps, loads=tuple(a + b for a, b in zip(first.loads, second.loads)))


def _one_level_of_pairs(span: Span) -> bool:
    """Whether partners at any distance have links of their own to each other: not on a ring of more than three."""
    return len(span.levels) == 1 and _has_pairs(span.levels[0])


def _has_pairs(level: Level) -> bool:
    return level.topology != "ring" or level.size <= 3


def _doublings(n: int) -> int:
    """⌈log2 n⌉."""
    return (n - 1).bit_length()


__all__ = [
    "ALGORITHMS",
    "MESSAGE",
    "Algorithm",
    "Plan",
    "binomial",
    "direct",
    "doubling",
    "hierarchical",
    "ring",
    "tree",
    "type_name",
]
