"""Unfused small kernels: runs of tiny kernels on a stream, each of which costs a launch and little else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import numpy as np

from etgraph.model import Category
from etgraph.model.arrivals import communicates
from etgraph.model.columns import Array
from etgraph.model.families import family_of
from etgraph.model.launching import launching_calls
from etgraph.model.readable import duration
from etgraph.queries.findings.candidate import Candidate
from etgraph.queries.findings.measured import Measured
from etgraph.queries.findings.words import a_step
from etgraph.sim import edits
from etgraph.sim.replay.plan import Plan

TINY_NS = 10_000
"""A kernel shorter than this is over before the next one can be launched, which takes 5 µs and more."""
FLOOR_NS = 1_500
"""What a kernel takes that does nothing: the least part of each that its fusion with another one spares."""
LEAST_RUN = 3
FUSIBLE = frozenset({"elementwise", "normalisation", "softmax and loss", "reduction", "copy", "optimizer"})
"""Families of kernels that compilers fuse."""
ADVICE = (
    "Fuse them: torch.compile around the module, fused optimizers (fused=True, or foreach=True), a fused norm or loss "
    "(Liger, Apex); where shapes change too often for that, CUDA graphs spare the launches."
)


def small_kernels(measured: Measured) -> Iterator[Candidate]:
    """Runs of tiny kernels of fusible families that follow each other on a stream, as one kernel a run."""
    trace, o = measured.trace, measured.trace.operators
    rows = measured.plan.device[measured.inside[measured.plan.device]]
    rows = rows[o["category"][rows] == int(Category.KERNEL)]
    rows = rows[np.lexsort((o["start_ns"][rows], o["lane"][rows]))]
    families = np.array([family_of(name) in FUSIBLE for name in o.texts("name").to_pylist()], dtype=bool)
    tiny = (o["duration_ns"][rows] < TINY_NS) & ~communicates(trace, rows)
    tiny &= families[o["name"][rows]] if len(families) else False
    calls = launching_calls(trace)[rows]
    tiny &= calls >= 0
    same = np.append(False, (np.diff(o["lane"][rows]) == 0) & (np.diff(o["iteration"][rows]) == 0))
    number = np.cumsum(~(tiny & same & np.append(False, tiny[:-1])))
    length = np.bincount(number[tiny], minlength=len(rows) + 1)
    run = tiny & (length[number] >= LEAST_RUN)
    if not run.any():
        return
    kernels, of = rows[run], number[run]
    steps = len(measured.steps)
    yield Candidate(
        "tiny kernels are not fused",
        "",
        partial(fused, kernels=kernels, of=of, calls=calls[run]),
        np.union1d(kernels, calls[run]),
        f"{a_step(len(kernels) / steps, 'kernel')} below {duration(TINY_NS)}, in runs of "
        f"{len(kernels) / len(np.unique(of)):.0f} in the mean, {duration(float(np.median(o['duration_ns'][kernels])))} "
        "each; replayed as one kernel a run",
        ADVICE,
    )


def fused(plan: Plan, kernels: Array, of: Array, calls: Array) -> Plan:
    """With the last kernel of each run (`of`, ascending) doing the work of all, and the other launches gone.

    What a kernel takes above `FLOOR_NS` is its work. A call that launches others beside (a graph) stays.
    """
    last = np.append(of[1:] != of[:-1], True)
    work = np.maximum(plan.duration_ns[kernels] - FLOOR_NS, 0)
    total = np.bincount(of, work)[of[last]] + FLOOR_NS
    shared = np.bincount(calls, minlength=len(plan.trace))[calls] > 1
    spared = calls[~last & ~shared]
    thinner = edits.remove(plan, np.union1d(spared, kernels[~last]))
    duration = thinner.duration_ns.copy()
    duration[kernels[last]] = np.rint(total).astype(np.int64)
    return replace(thinner, duration_ns=duration)
