"""Two traces of 100,000 operators aligned, beside difflib on names and a tree diff by dynamic programming.

The second trace is the first with known edits; how much of it each finds where it was stands beside the time. The tree
diff does what tools do that merge two call trees from the roots down: children of matched parents are aligned by
Wagner and Fischer's dynamic program over their names, parent by parent.
"""

from __future__ import annotations

import difflib
import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from benchmarks.clock import seconds
from benchmarks.path import synthetic
from etgraph.model import Category, Trace
from etgraph.model.columns import Array
from etgraph.queries.alignment import align
from etgraph.queries.alignment.program import enclosing_or_launching
from support.edited import Edits, edited

OPERATORS = 100_000
PEER_OPERATORS = 8_000
SHAPES = 50
EDITED = (0.0, 1.0, 10.0, 50.0)
"""Operators in a thousand that the edits of all kinds together hit."""


def program(operators: int) -> Trace:
    """A synthetic trace whose operators have dims, so that neighbours differ."""
    trace = synthetic(operators)
    o = trace.operators
    texts = [f'{{"dims":[[{8 << k % 7},{k}]],"types":["float"]}}' for k in range(SHAPES)]
    shape = np.random.default_rng(3).integers(0, SHAPES, len(o))
    shapes = np.where(o["category"] == int(Category.CPU_OP), shape, -1).astype(np.int32)
    return replace(trace, operators=o.replace({"shapes": shapes}, {"shapes": texts}))


def main() -> None:
    """Print the two tables."""
    base = program(OPERATORS)
    kinds = len(fields(Edits))
    print(f"{len(base):,} operators on each side\n")
    print("| edits in a thousand | s | found where they were |\n|---:|---:|---:|")
    for rate in EDITED:
        other, truth = edited(base, Edits(*(rate / kinds for _ in range(kinds))), seed=1)
        found = align(base, other)
        share = _found(found.base, found.other, truth)
        print(f"| {rate:g} | {seconds(lambda other=other: align(base, other)):.2f} | {share:.2%} |")  # type: ignore[misc]
    small = program(PEER_OPERATORS)
    other, truth = edited(small, Edits(*(10 / kinds for _ in range(kinds))), seed=1)
    print(f"\n{len(small):,} operators, 10 edits in a thousand\n")
    print("| | s | times as long | found where they were |\n|---|---:|---:|---:|")
    found = align(small, other)
    ours = seconds(lambda: align(small, other))
    print(f"| etgraph | {ours:.3f} | 1 | {_found(found.base, found.other, truth):.2%} |")
    for name, peer in (("difflib.SequenceMatcher", _difflib), ("tree diff, Wagner-Fischer", _tree_diff)):
        took = seconds(lambda peer=peer: peer(small, other), 1)  # type: ignore[misc]
        share = _found(np.arange(len(small)), peer(small, other), truth)
        print(f"| {name} | {took:.2f} | {took / ours:.0f} | {share:.2%} |")


def _found(base: Array, other: Array, truth: Array) -> float:
    """The part of what was kept that stands where it did."""
    kept = truth >= 0
    return float((other[kept] == base[truth[kept]]).mean())


def _texts(trace: Trace) -> list[tuple[str, int]]:
    names = np.array(trace.operators.texts("name").to_pylist(), dtype=object)[trace.operators["name"]]
    return list(zip(names.tolist(), trace.operators["shapes"].tolist(), strict=True))


def _difflib(base: Trace, other: Trace) -> Array:
    """Rows of the base for the rows of the other trace, by names and dims in the files' order."""
    found = np.full(len(other), -1, dtype=np.int64)
    matcher = difflib.SequenceMatcher(None, _texts(base), _texts(other), autojunk=False)
    for block in matcher.get_matching_blocks():
        found[block.b : block.b + block.size] = np.arange(block.a, block.a + block.size)
    return found


def _tree_diff(base: Trace, other: Trace) -> Array:
    """Rows of the base for the rows of the other trace, from the roots down."""
    found = np.full(len(other), -1, dtype=np.int64)
    sides = []
    for trace in (base, other):
        below: dict[int, list[int]] = {}
        for row, up in enumerate(enclosing_or_launching(trace).tolist()):
            below.setdefault(up, []).append(row)
        sides.append((below, _texts(trace)))
    (mine, names), (theirs, other_names) = sides
    waiting = [(-1, -1)]
    while waiting:
        above = waiting.pop()
        a, b = mine.get(above[0], []), theirs.get(above[1], [])
        for x, y in _wagner_fischer(a, b, names, other_names):
            found[y] = x
            waiting.append((x, y))
    return found


def _wagner_fischer(a: list[int], b: list[int], names: Any, other_names: Any) -> list[tuple[int, int]]:
    """Pairs of equal names of a least edit script of insertions and deletions."""
    code: dict[Any, int] = {}
    one = np.array([code.setdefault(names[x], len(code)) for x in a], dtype=np.int64)
    two = np.array([code.setdefault(other_names[y], len(code)) for y in b], dtype=np.int64)
    best = np.zeros((len(a) + 1, len(b) + 1), dtype=np.int32)
    for i in range(1, len(a) + 1):  # a row at a time, as fast as NumPy lets it be
        taken = np.where(two == one[i - 1], best[i - 1, :-1] + 1, best[i - 1, 1:])
        best[i, 1:] = np.maximum.accumulate(taken)
    pairs, i, j = [], len(a), len(b)
    while i and j:
        if one[i - 1] == two[j - 1] and best[i, j] == best[i - 1, j - 1] + 1:
            i, j = i - 1, j - 1
            pairs.append((a[i], b[j]))
        elif best[i - 1, j] >= best[i, j - 1]:
            i -= 1
        else:
            j -= 1
    return pairs
