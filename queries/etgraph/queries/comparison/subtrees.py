"""What an operator takes along: those that it encloses and launches, so that one name stands for all of them."""

from __future__ import annotations

import re

import numpy as np

from etgraph.model import Category, DependencyKind, Trace
from etgraph.model.arrivals import communicates
from etgraph.model.columns import Array
from etgraph.model.launching import launching_calls

_HANDS_ON = re.compile(
    r"^(?:c10d|_c10d_functional|torch_ccl|oneccl_bindings\w*)::|^(?:nccl|gloo|mpi|ucc):|^record_param_comms"
)
"""Host operators that do nothing but hand a collective to its library."""


def _enclosing(trace: Trace) -> Array:
    """For every operator the one around it; of a trace with times one that has some, -1 for none."""
    return trace.enclosing if trace.timed.any() else trace.operators["parent"]


def roots_of(trace: Trace, some: Array) -> Array:
    """For every one of some operators (bool a row) the outermost around it, or around its launch, that is one too.

    A collective is its own root, and that of the calls around it which only hand it on. Other operators are their own.
    """
    o, d = trace.operators, trace.dependencies
    above = np.where(o["category"] >= int(Category.KERNEL), launching_calls(trace), _enclosing(trace))
    collective = communicates(trace, np.arange(len(trace)))
    spawns = np.flatnonzero((d["kind"] == int(DependencyKind.SPAWN)) & collective[d["dst"]])
    spawns = spawns[above[d["dst"][spawns]] < 0]
    above[d["dst"][spawns]] = d["src"][spawns]

    up = np.arange(len(trace))
    inside = np.flatnonzero(some & (above >= 0) & ~collective)
    inside = inside[some[above[inside]]]
    up[inside] = above[inside]
    hands_on = np.isin(o["category"], (int(Category.RUNTIME), int(Category.DRIVER)))
    hands_on |= o.codes_where("name", lambda name: _HANDS_ON.search(name) is not None)[o["name"]]
    held = np.flatnonzero(collective & some)
    call = above[held]
    while len(held):
        on = (call >= 0) & some[call] & hands_on[call] & ~collective[call]
        held, call = held[on], call[on]
        up[call] = held
        call = above[call]
    while not np.array_equal(up[up], up):
        up = up[up]
    return up
