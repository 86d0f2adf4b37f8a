"""Traces changed by edits that are known: what became of every operator is the truth for an alignment."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

import numpy as np

from etgraph.model import Category, Columns, Trace
from etgraph.model.columns import Array
from etgraph.queries.alignment.program import enclosing_or_launching


@dataclass(frozen=True, slots=True)
class Edits:
    """How many operators in a thousand are hit by each kind of edit.

    `removed` with all inside, `lifted` without it, `inserted` new ones, `wrapped` in a new one, `renamed`, `swapped`
    with the next one under the same operator.
    """

    removed: float = 0
    lifted: float = 0
    inserted: float = 0
    wrapped: float = 0
    renamed: float = 0
    swapped: float = 0


def edited(trace: Trace, edits: Edits, seed: int) -> tuple[Trace, Array]:
    """The changed trace, and of each of its operators the row that it had before, -1 for new ones."""
    rng = random.Random(seed)
    o = trace.operators
    n = len(o)
    host = (o["category"] == int(Category.CPU_OP)) & (o["lane"] >= 0)
    parent = enclosing_or_launching(trace).tolist()
    children: dict[int, list[int]] = {}
    for row, up in enumerate(parent):
        children.setdefault((up, int(o["lane"][row])) if up < 0 else (up, 0), []).append(row)  # type: ignore[arg-type]
    siblings = {row: (held, at) for held in children.values() for at, row in enumerate(held)}
    inside: dict[int, list[int]] = {}
    for row, up in enumerate(parent):
        inside.setdefault(up, []).append(row)
    key = {row: float(row) for row in range(n)}
    gone: set[int] = set()
    names: dict[int, str] = {}
    up_of: dict[int, int] = {}
    new: list[tuple[int, int, float, str | None]] = []

    def tree(row: int) -> list[int]:
        found = [row]
        for one in found:
            found += [below for below in inside.get(one, ()) if below not in gone]
        return found

    candidates = np.flatnonzero(host).tolist()

    def chosen(per_thousand: float) -> list[int]:
        return rng.sample(candidates, round(len(candidates) * per_thousand / 1000))

    for row in chosen(edits.swapped):
        held, at = siblings[row]
        following = held[at + 1] if at + 1 < len(held) else -1
        if following < 0 or not host[following] or o["iteration"][row] != o["iteration"][following]:
            continue
        first, second = tree(row), tree(following)
        places = sorted(key[one] for one in (*first, *second))
        moved = [*sorted(second, key=key.__getitem__), *sorted(first, key=key.__getitem__)]
        key.update(zip(moved, places, strict=True))
        held[at], held[at + 1] = following, row
        siblings[row], siblings[following] = (held, at + 1), (held, at)
    for row in chosen(edits.renamed):
        names[row] = f"renamed::{rng.randrange(1000)}"
    wrapped = set(chosen(edits.wrapped))
    for row in chosen(edits.removed):
        if row not in wrapped and len(tree(row)) < 100:
            gone.update(tree(row))
    for row in chosen(edits.lifted):
        if row not in wrapped:
            gone.add(row)
    for row in sorted(wrapped - gone):
        up_of[row] = n + len(new)
        new.append((row, row, key[row] - 0.25, f"wrapper::{rng.randrange(1000)}"))
    for row in chosen(edits.inserted):
        if row not in gone:
            after = max(key[one] for one in tree(row))
            like = rng.choice(candidates)
            new.append((row, like, after + 0.1 + 0.1 * rng.random(), rng.choice((None, f"new::{rng.randrange(1000)}"))))
    return _made(trace, parent, gone, key, names, up_of, new)


def _made(
    trace: Trace,
    parent: list[int],
    gone: set[int],
    key: dict[int, float],
    names: dict[int, str],
    up_of: dict[int, int],
    new: list[tuple[int, int, float, str | None]],
) -> tuple[Trace, Array]:
    o, n = trace.operators, len(trace)
    beside = np.array([row for row, *_ in new], dtype=np.int64)
    like = np.array([row for _, row, *_ in new], dtype=np.int64)
    source = np.concatenate([np.arange(n), like])
    rank = np.concatenate([o["rank"], o["rank"][beside]])
    keys = np.array([*(key[row] for row in range(n)), *(at for *_, at, _ in new)])
    kept = np.ones(len(source), dtype=bool)
    kept[sorted(gone)] = False
    order = np.lexsort((keys, rank))
    order = order[kept[order]]
    place = np.full(len(source) + 1, -1, dtype=np.int64)
    place[order] = np.arange(len(order))
    above = np.concatenate([o["parent"].astype(np.int64), o["parent"][beside]])
    for row, wrapper in up_of.items():
        above[row] = wrapper
    for _ in range(64):
        lost = (above >= 0) & ~kept[above]
        above[lost] = above[above[lost]]
    columns = o.take(source[order])
    texts = [*o.texts("name").to_pylist()]
    code = np.array(columns["name"])
    for row, name in [*names.items(), *((n + at, name) for at, (*_, name) in enumerate(new) if name)]:
        if place[row] >= 0:
            code[place[row]] = len(texts)
            texts.append(name)
    fresh = order >= n
    where = np.where(fresh, np.append(beside, 0)[np.maximum(order - n, -1)], order)
    start = np.array(o["start_ns"])[where]
    for one in np.unique(rank):  # times ascend with the rows, as in a file
        own = np.flatnonzero((rank[order] == one) & (start >= 0))
        start[own] = np.sort(start[own])
    data = {
        "rank": o["rank"][where],
        "index": np.concatenate([np.arange(c) for c in np.unique(rank[order], return_counts=True)[1]]),
        "parent": place[above[order]],
        "name": code,
        "lane": o["lane"][where],
        "iteration": o["iteration"][where],
        "start_ns": start,
    }
    d = trace.dependencies
    stay = (place[d["src"]] >= 0) & (place[d["dst"]] >= 0)
    kept_dependencies: Columns = d.take(stay)
    dependencies = kept_dependencies.replace(
        {end: place[kept_dependencies[end]].astype(np.int32) for end in ("src", "dst")}
    )
    operators = columns.replace(data, {"name": texts})
    return replace(trace, operators=operators, dependencies=dependencies), np.where(fresh, -1, order)
