"""Scope and source: in which module or annotation an operator ran, and which line of the user's code called it."""

from __future__ import annotations

import re
import sys

import numpy as np

from etgraph.ingest.draft import Draft, Texts
from etgraph.ingest.nesting import _nest, innermost
from etgraph.model import LaneKind, Span
from etgraph.model.columns import Array

_FRAME = re.compile(r"^(?P<file>.+?\.py)\((?P<line>\d+)\): ")
_LIBRARY = re.compile(r"site-packages/|dist-packages/|lib/python3|(?:^|/)(?:torch|functorch|torchvision)/|^<")
_PYTHON = frozenset(sys.stdlib_module_names) - {"code", "profile", "test", "trace"}
"""Modules of Python itself, without those whose names users give to their own files and folders."""
_STEP = re.compile(r"^ProfilerStep#")
MODULE = "nn.Module: "
"""How the profiler's Python tracer names the call of a module."""


def source_of_frame(frame: str) -> str:
    """`train.py(45): main` → `train.py:45`; empty for frames of PyTorch, of Python itself, or of no file."""
    match = _FRAME.match(frame)
    if match is None or _LIBRARY.search(match["file"]):
        return ""
    top = match["file"].split("/")[0].removesuffix(".py")
    return "" if top in _PYTHON else f"{match['file']}:{match['line']}"


def source_of_stack(stack: str) -> str:
    """The innermost frame of the user's code in a recorded call stack, which lists the innermost first."""
    return next(filter(None, map(source_of_frame, stack.split(";"))), "")


def add_scopes(draft: Draft) -> Draft:
    """Add `scope` and `source` of the operators on threads from annotations, modules and Python frames around them.

    A scope is the path of enclosing user annotations and modules, outermost first, steps left out. Where the source
    itself recorded a module hierarchy or a call stack, that stays.
    """
    trace = draft.trace
    a, o = trace.annotations, trace.operators
    if not len(a):
        return draft
    names = a.texts("name").to_pylist()
    user, python = a["kind"] == int(Span.USER), a["kind"] == int(Span.PYTHON)
    is_module = np.array([n.startswith(MODULE) for n in names])
    is_step = np.array([_STEP.match(n) is not None for n in names])
    sources = [source_of_frame(n) for n in names]
    is_source = np.array([bool(s) for s in sources])
    code = a["name"]
    thread = trace.lanes["kind"][o["lane"]] == int(LaneKind.THREAD)
    rows = np.flatnonzero(thread & (o["lane"] >= 0))
    columns, dictionaries = {}, {}
    scopes = _outer_first(draft, (user & ~is_step[code]) | (python & is_module[code]))
    if len(scopes):
        paths, texts = _paths(draft, scopes, names)
        columns["scope"], dictionaries["scope"] = _fill(draft, "scope", rows, scopes, paths, texts)
    frames = _outer_first(draft, python & is_source[code])
    if len(frames):
        known = Texts()
        codes = np.array([known[sources[c]] for c in code[frames].tolist()], dtype=np.int32)
        columns["source"], dictionaries["source"] = _fill(draft, "source", rows, frames, codes, known)
    return draft.with_operators(columns, dictionaries) if columns else draft


def _outer_first(draft: Draft, chosen: Array) -> Array:
    """Rows of the chosen annotations by start; of those that start together the longest comes first."""
    a = draft.trace.annotations
    rows = np.flatnonzero(chosen)
    return rows[np.lexsort((-a["duration_ns"][rows], a["start_ns"][rows]))]


def _paths(draft: Draft, spans: Array, names: list[str]) -> tuple[Array, Texts]:
    """The path of each span, outer ones first: its enclosing span's path and its own name."""
    a = draft.trace.annotations
    start, lane = a["start_ns"][spans], a["lane"][spans]
    end = start + a["duration_ns"][spans]
    outer = _enclosing(lane, start, end)
    known = Texts()
    codes = np.empty(len(spans), dtype=np.int32)
    texts: list[str] = []
    for i in range(len(spans)):
        own = names[int(a["name"][spans[i]])].removeprefix(MODULE)
        path = own if outer[i] < 0 else f"{texts[codes[outer[i]]]}/{own}"
        codes[i] = known[path]
        if len(known) > len(texts):
            texts.append(path)
    return codes, known


def _enclosing(lane: Array, start: Array, end: Array) -> Array:
    """The innermost other span around each span, -1 for none. Outer spans come first, equal ones as they stand."""
    order = np.argsort(lane, kind="stable")
    parent, _ = _nest(lane[order], start[order], end[order])
    outer = np.full(len(lane), -1, dtype=np.int64)
    has = parent >= 0
    outer[order[has]] = order[parent[has]]
    return outer


def _fill(draft: Draft, column: str, rows: Array, spans: Array, codes: Array, texts: Texts) -> tuple[Array, list[str]]:
    """The column with the code of the innermost span around each row's start, where it had no value."""
    a, o = draft.trace.annotations, draft.trace.operators
    start = a["start_ns"][spans]
    found = innermost(a["lane"][spans], start, start + a["duration_ns"][spans], o["lane"][rows], o["start_ns"][rows])
    old = o.texts(column).to_pylist()
    merged = Texts()
    for text in old:
        merged[text]
    to_merged = np.array([merged[t] for t in texts], dtype=np.int32)
    values = o[column].copy()
    fresh = np.where(found >= 0, to_merged[codes[found]], -1)
    values[rows] = np.where(values[rows] < 0, fresh, values[rows])
    return values, list(merged)
