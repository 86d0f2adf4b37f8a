"""Linked pairs of small files: two programs that many tests link, and what is asked of the result."""

from __future__ import annotations

from pathlib import Path

from etgraph.ingest.draft import Draft
from etgraph.ingest.linking import link
from etgraph.model import DependencyKind, Trace
from support.pairs import device_draft, host_draft

STEP = """
    1 | ProfilerStep#3    0..100
    1 | ## forward ##     1..40
    1 | aten::linear      2..30    seq=7
    1 | aten::addmm       3..20    dims=[[2,3],[3,4]]
    1 | aten::relu       31..39    seq=8
    2 | ReluBackward     50..60    seq=8
    2 | aten::mul        51..55
    2 | LinearBackward   60..80    seq=7
"""
BETWEEN = """
    1 | aten::linear   0..30
    1 | aten::mm       1..10
    1 | aten::relu    40..50
"""


def names(trace: Trace) -> list[str]:
    return [trace.operators.value("name", row) for row in range(len(trace))]


def row_of(trace: Trace, name: str) -> int:
    return names(trace).index(name)


def edges(trace: Trace, kind: DependencyKind) -> set[tuple[str, str]]:
    d, known = trace.dependencies, names(trace)
    chosen = d["kind"] == int(kind)
    return {(known[a], known[b]) for a, b in zip(d["src"][chosen].tolist(), d["dst"][chosen].tolist())}


def linked(folder: Path, host: str, device: str, *, recorded: bool = False) -> Draft:
    return link(host_draft(folder, host), device_draft(folder, device, recorded=recorded))
