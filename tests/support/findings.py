"""Gains of findings once more: the slow engine or the public replay, and steps and devices looked at plainly."""

from __future__ import annotations

from contextlib import suppress

import numpy as np

from etgraph.model import Category, Trace
from etgraph.model.errors import MissingData
from etgraph.queries.findings.candidate import Candidate, Edit
from etgraph.queries.findings.kinds import KINDS
from etgraph.queries.findings.measured import Measured, measured
from etgraph.sim.outcome import on_timeline
from etgraph.sim.replay import measured_plan, run_plan
from etgraph.sim.replay.plan import Plan, program_of
from etgraph.sim.what_if.buckets import awaited
from support.slow_engine import slow_run


def candidates(trace: Trace, *kinds: str) -> tuple[Measured, list[tuple[str, Candidate]]]:
    """A trace as findings look at it, and the candidates of those kinds or of all, with the kind."""
    seen = measured(trace, None, None, "annotation", None)
    found = []
    for kind, look in KINDS.items():
        if not kinds or kind in kinds:
            with suppress(MissingData):
                found += [(kind, one) for one in look(seen)]
    return seen, found


def plain_gain(trace: Trace, candidate: Candidate, *, slow: bool) -> int:
    """What the median step over all ranks loses by a candidate's edit, replayed event by event or by `run_plan`."""
    plan = awaited(measured_plan(trace))
    measured_ns = _steps(trace)

    def shift(edit: Edit, against: Edit) -> list[int]:
        return [a - b for a, b in zip(_run(edit(plan), measured_ns, slow), _run(against(plan), measured_ns, slow))]

    shifts = [shift(candidate.edit, candidate.against)]
    if candidate.most is not None:
        shifts.append(shift(candidate.most, lambda same: same))
    before = round(float(np.median(measured_ns)))
    return min(before - round(float(np.median([m + s for m, s in zip(measured_ns, one)]))) for one in shifts)


def _run(plan: Plan, measured_ns: list[int], slow: bool) -> list[int]:
    if slow:
        at = slow_run(program_of(plan))
        rows = range(len(plan.trace))
        start, end = (np.array([at[2 * row + which] for row in rows]) for which in (0, 1))
        moved = on_timeline(plan.trace, start, end, "slow")
    else:
        moved = run_plan(plan)
    busy = _busiest(moved)
    return [max(ns, min(busy[place], measured_ns[place])) for place, ns in enumerate(_steps(moved))]


def _steps(trace: Trace) -> list[int]:
    """Each step from the earliest start to the latest end on any rank; all operators where there are no steps."""
    i, o = trace.iterations, trace.operators
    if not len(i):
        timed = trace.timed
        return [int(trace.end_ns[timed].max() - o["start_ns"][timed].min())]
    found = []
    for index in trace.iteration_indices:
        own = i["index"] == index
        found.append(int(i["end_ns"][own].max() - i["start_ns"][own].min()))
    return found


def _busiest(trace: Trace) -> list[int]:
    """For each step how long its busiest device works for it, moment by moment."""
    o, lanes = trace.operators, trace.lanes
    busy: dict[tuple[int, int, int], list[tuple[int, int]]] = {}
    index = {row: int(value) for row, value in enumerate(trace.iterations["index"].tolist())}
    for row in np.flatnonzero((o["category"] >= int(Category.KERNEL)) & trace.timed).tolist():
        step = int(o["iteration"][row])
        key = (index.get(step, -1), int(o["rank"][row]), int(lanes["device"][o["lane"][row]]))
        busy.setdefault(key, []).append((int(o["start_ns"][row]), int(trace.end_ns[row])))
    steps = list(trace.iteration_indices) or [-1]
    found = [0] * len(steps)
    for (step, _, _), spans in busy.items():
        if step not in steps:
            continue
        total = reached = 0
        for number, (start, end) in enumerate(sorted(spans)):
            begin = start if number == 0 else max(start, reached)
            total += max(end - begin, 0)
            reached = end if number == 0 else max(reached, end)
        found[steps.index(step)] = max(found[steps.index(step)], total)
    return found
