"""What is aligned: the operators of both traces in copies of a program, one a rank and iteration, each as a forest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from etgraph.model import Category, DependencyKind, Trace
from etgraph.model.arrivals import communicates
from etgraph.model.columns import Array
from etgraph.model.errors import MissingData, UsageError
from etgraph.model.launching import launching_calls
from etgraph.queries.alignment.tokens import Tokens, mixed, tokens_of
from etgraph.queries.calls import forest

OUTSIDE: Final = -1
"""The iteration of what a rank with iterations ran in none of them."""
_BASE: Final = np.uint64(0xD6E8FEB86659FD93)
"""An odd number, whose powers are the weights of a rolling sum."""


@dataclass(frozen=True, slots=True)
class Copies:
    """Copies of a program, in order: the trace (0 base, 1 other), rank and iteration of each, and its nodes.

    Nodes first[k] to first[k + 1] are those of copy k. `content` is equal where two copies have equal nodes in equal
    order. `part` is 1 where the nodes are those outside of iterations.
    """

    side: Array
    rank: Array
    iteration: Array
    part: Array
    first: Array
    content: Array

    def __len__(self) -> int:
        return len(self.side)

    def nodes(self, copy: int) -> Array:
        """The nodes of a copy."""
        return np.arange(self.first[copy], self.first[copy + 1])


@dataclass(frozen=True, slots=True)
class Nodes:
    """The operators that are asked about, copy by copy, lane by lane, each before what it encloses or launches.

    `row` is the operator, `parent` the node that encloses it, or launched it, or set it going on another thread (-1 at
    the top; in the same copy always), `size` the number of nodes from it on that it holds, itself included, `lane` a
    number of the lane of its tree within the copy, `lane_kind` that lane's kind. `tree` is equal where two nodes hold
    equal trees, `path` and `loose_path` where they and all that is around them are alike, by exact tokens and by names,
    `shaped_in_named` where name and dims are, and the name of what is around.
    """

    row: Array
    parent: Array
    size: Array
    lane: Array
    lane_kind: Array
    tokens: Tokens
    tree: Array
    path: Array
    loose_path: Array
    shaped_in_named: Array


def programs(
    traces: tuple[Trace, Trace], ranks: Sequence[Sequence[int] | None], iterations: Sequence[Sequence[int] | None]
) -> tuple[Nodes, Copies]:
    """The nodes of both traces, and their copies. Raises MissingData for a rank or iteration that is not there."""
    parts = [_of_trace(*asked) for asked in zip(traces, ranks, iterations, strict=True)]
    if traces[0] is traces[1] and ranks[0] == ranks[1] and iterations[0] == iterations[1]:
        parts[1] = parts[0]
    shift = len(parts[0][0].row)
    a, b = parts[0][0], parts[1][0]
    nodes = Nodes(
        row=_both(a.row, b.row),
        parent=_both(a.parent, np.where(b.parent >= 0, b.parent + shift, -1)),
        size=_both(a.size, b.size),
        lane=_both(a.lane, b.lane),
        lane_kind=_both(a.lane_kind, b.lane_kind),
        tokens=Tokens(*(_both(getattr(a.tokens, f), getattr(b.tokens, f)) for f in Tokens.__slots__)),
        tree=_both(a.tree, b.tree),
        path=_both(a.path, b.path),
        loose_path=_both(a.loose_path, b.loose_path),
        shaped_in_named=_both(a.shaped_in_named, b.shaped_in_named),
    )
    one, two = parts[0][1], parts[1][1]
    copies = Copies(
        side=np.repeat([0, 1], [len(one), len(two)]),
        rank=_both(one.rank, two.rank),
        iteration=_both(one.iteration, two.iteration),
        part=_both(one.part, two.part),
        first=_both(one.first, two.first[1:] + shift),
        content=_both(one.content, two.content),
    )
    return nodes, copies


def _both(a: Array, b: Array) -> Array:
    return np.concatenate([a, b])


def _of_trace(trace: Trace, ranks: Sequence[int] | None, iterations: Sequence[int] | None) -> tuple[Nodes, Copies]:
    o = trace.operators
    step, chosen = _asked(trace, ranks, iterations)
    with_steps = np.unique(trace.iterations["rank"])
    part = (step == OUTSIDE) & np.isin(o["rank"], with_steps)
    order = np.lexsort((step, part, o["rank"]))
    order = order[chosen[order]]
    new = np.ones(len(order), dtype=bool)
    for column in (o["rank"], step, part):
        values = column[order]
        new[1:] &= values[1:] == values[:-1]
    new[1:] = ~new[1:]
    copy = np.full(len(o), -1, dtype=np.int64)
    copy[order] = np.cumsum(new) - 1
    heads = order[new]
    parent = enclosing_or_launching(trace)
    above = np.where(parent >= 0, parent, 0)
    parent = np.where((parent >= 0) & (copy[above] == copy) & (copy >= 0), parent, -1)
    place, size = _preorder(trace, parent)
    tokens = tokens_of(trace)
    path, loose = _paths(parent, tokens.exact), _paths(parent, tokens.named)
    root = _roots(parent)
    symbol = mixed(tokens.exact, size)
    weight = _powers(len(o))
    lane, lane_kind = _lanes(trace, copy, root, symbol)
    row = np.flatnonzero(copy >= 0)
    row = row[np.lexsort((place[row], lane[row], copy[row]))]
    node = np.full(len(o), -1, dtype=np.int64)
    node[row] = np.arange(len(row))
    up = parent[row]
    first = np.searchsorted(copy[row], np.arange(len(heads) + 1))
    size = size[row]
    symbol = symbol[row]
    # Sums of all symbols so far, each by its place's weight: what two places' sums differ by is what lies between.
    sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(symbol.view(np.uint64) * weight[: len(row)])])
    back = _powers(len(o), inverse=True)
    at = np.arange(len(row))
    tree = ((sums[at + size] - sums[at]) * back[: len(row)]).view(np.int64)
    content = (sums[first[1:]] - sums[first[:-1]]) * back[np.minimum(first[:-1], max(len(o) - 1, 0))]
    nodes = Nodes(
        row=row,
        parent=np.where(up >= 0, node[up], -1),
        size=size,
        lane=lane[row],
        lane_kind=lane_kind[row],
        tokens=Tokens(*(getattr(tokens, f)[row] for f in Tokens.__slots__)),
        tree=tree,
        path=path[row],
        loose_path=loose[row],
        shaped_in_named=mixed(np.where(parent >= 0, tokens.named[parent], 0), tokens.shaped)[row],
    )
    lanes_told = _lane_content(nodes, first)
    copies = Copies(
        side=np.zeros(len(heads), dtype=np.int64),
        rank=o["rank"][heads].astype(np.int64),
        iteration=step[heads],
        part=part[heads].astype(np.int64),
        first=first,
        content=mixed(content.view(np.int64), lanes_told, np.diff(first)),
    )
    return nodes, copies


def _asked(trace: Trace, ranks: Sequence[int] | None, iterations: Sequence[int] | None) -> tuple[Array, Array]:
    """The iteration's index of every operator (`OUTSIDE`: none), and whether it is asked about."""
    o, i = trace.operators, trace.iterations
    step = np.where(o["iteration"] >= 0, np.append(i["index"], OUTSIDE)[o["iteration"]], OUTSIDE).astype(np.int64)
    chosen = np.ones(len(o), dtype=bool)
    for rank in ranks or ():
        if rank not in trace.rank_rows:
            raise MissingData(f"no rank {rank}: the trace holds ranks {', '.join(map(str, trace.ranks)) or 'none'}")
    if ranks is not None:
        chosen &= np.isin(o["rank"], list(ranks))
    loose = np.flatnonzero((step == OUTSIDE) & ~o.is_null("start_ns"))
    if len(loose) and len(i):
        step[loose] = _by_time(trace, loose)
    if iterations is not None:
        known = trace.iteration_indices
        for one in iterations:
            if one not in known:
                raise MissingData(f"no iteration {one}: the trace has {', '.join(map(str, known)) or 'none'}")
        chosen &= np.isin(step, list(iterations))
    if not chosen.any():
        raise UsageError("no operator is asked about", hint="name ranks and iterations that the trace holds")
    return step, chosen


def _by_time(trace: Trace, rows: Array) -> Array:
    """The index of the iteration of its rank in which each operator starts."""
    o, i = trace.operators, trace.iterations
    found = np.full(len(rows), OUTSIDE, dtype=np.int64)
    timed = np.flatnonzero(~(i.is_null("start_ns") | i.is_null("end_ns")))
    for rank in np.unique(o["rank"][rows]).tolist():
        steps = timed[i["rank"][timed] == rank]
        if not len(steps):
            continue
        steps = steps[np.argsort(i["start_ns"][steps], kind="stable")]
        own = np.flatnonzero(o["rank"][rows] == rank)
        start = o["start_ns"][rows[own]]
        at = np.searchsorted(i["start_ns"][steps], start, side="right") - 1
        inside = (at >= 0) & (start < i["end_ns"][steps[np.maximum(at, 0)]])
        found[own[inside]] = i["index"][steps[at[inside]]]
    return found


def enclosing_or_launching(trace: Trace) -> Array:
    """What encloses each operator, launched it or, of communication on other threads, set it going; -1 for nothing."""
    o, d = trace.operators, trace.dependencies
    parent = o["parent"].astype(np.int64)
    call = launching_calls(trace)
    device = o["category"] >= int(Category.KERNEL)
    parent = np.where(device & (call >= 0), call, parent)
    spawns = np.flatnonzero(d["kind"] == int(DependencyKind.SPAWN))
    src, dst = d["src"][spawns], d["dst"][spawns]
    some = (parent[dst] < 0) & communicates(trace, dst)
    parent[dst[some]] = src[some]
    return parent


def _preorder(trace: Trace, parent: Array) -> tuple[Array, Array]:
    """The place of every operator before all that it holds, siblings by start, and how many it holds, itself included.

    One without a start stands where its row does.
    """
    o = trace.operators
    known = ~o.is_null("start_ns")
    last = np.maximum.accumulate(np.where(known, np.arange(len(o)), -1))
    start = np.where(last >= 0, o["start_ns"][np.maximum(last, 0)], np.iinfo(np.int64).min)
    order = np.lexsort((start, o["rank"]))
    at = np.empty(len(o), dtype=np.int64)
    at[order] = np.arange(len(o))
    up = parent[order]
    trees = forest(np.where(up >= 0, at[np.maximum(up, 0)], -1))
    return trees.place[at], (trees.after - trees.place)[at]


def _roots(parent: Array) -> Array:
    """The outermost operator around each."""
    root = np.where(parent >= 0, parent, np.arange(len(parent)))
    for _ in range(len(parent).bit_length() + 1):
        further = root[root]
        if np.array_equal(further, root):
            break
        root = further
    return root


def _paths(parent: Array, token: Array) -> Array:
    """A number for the tokens of each operator and all around it, by doubling how far is looked up."""
    code = mixed(token).view(np.uint64)
    jump, factor = parent, _BASE
    for _ in range(len(parent).bit_length() + 1):
        some = np.flatnonzero(jump >= 0)
        if not len(some):
            break
        further = code.copy()
        further[some] += code[jump[some]] * factor
        code = further
        following = np.full(len(jump), -1, dtype=np.int64)
        following[some] = jump[jump[some]]
        jump = following
        factor = np.uint64(int(factor) ** 2 % (1 << 64))
    return code.view(np.int64)


def _powers(count: int, *, inverse: bool = False) -> Array:
    base = np.uint64(pow(int(_BASE), -1, 1 << 64)) if inverse else _BASE
    factors = np.full(count + 1, base, dtype=np.uint64)
    factors[0] = 1
    return np.cumprod(factors, dtype=np.uint64)


def _lanes(trace: Trace, copy: Array, root: Array, symbol: Array) -> tuple[Array, Array]:
    """Of every operator a number of its tree's lane within its copy, and the lane's kind; threads first, largest first.

    Numbers of threads differ from run to run: lanes of a kind are ordered by how much they hold, then by what.
    """
    o = trace.operators
    lane = o["lane"][root].astype(np.int64)
    kinds = np.append(trace.lanes["kind"], 2)
    kind = kinds[lane].astype(np.int64)
    key, inverse = np.unique(copy * (len(kinds) + 1) + lane + 1, return_inverse=True)
    count = np.bincount(inverse, minlength=len(key))
    held = np.zeros(len(key), dtype=np.uint64)
    np.add.at(held, inverse, mixed(symbol).view(np.uint64))
    example = np.zeros(len(key), dtype=np.int64)
    example[inverse] = np.arange(len(o))
    order = np.lexsort((held, -count, kind[example], copy[example]))
    number = np.empty(len(key), dtype=np.int64)
    sorted_copy = copy[example][order]
    starts = np.searchsorted(sorted_copy, sorted_copy)
    number[order] = np.arange(len(key)) - starts
    return number[inverse], kind


def _lane_content(nodes: Nodes, first: Array) -> Array:
    """For each copy a number for how its nodes are spread over lanes."""
    copies = len(first) - 1
    copy = np.repeat(np.arange(copies), np.diff(first))
    told = np.zeros(copies, dtype=np.uint64)
    new = np.ones(len(copy), dtype=bool)
    new[1:] = (copy[1:] != copy[:-1]) | (nodes.lane[1:] != nodes.lane[:-1])
    at = np.flatnonzero(new)
    np.add.at(told, copy[at], mixed(at - first[copy[at]], nodes.lane[at], nodes.lane_kind[at]).view(np.uint64))
    return told.view(np.int64)
