"""Messages that queue up on a device's stream: small collectives, each ready before the one before it has ended."""

from __future__ import annotations

import numpy as np

from etgraph.model.columns import Array
from etgraph.model.launching import launching_calls
from etgraph.queries.findings.measured import Measured
from etgraph.sim import edits
from etgraph.sim.communication.fitting import line
from etgraph.sim.replay.plan import Plan

MOST_RUNS = 24
"""Runs that are merged in a replay: those that take the longest."""


def queues(measured: Measured, most_bytes: int) -> list[Array]:
    """Runs of collectives of one type, group and stream below that size, as rows of all their members.

    Of a run each was launched before the one before it ended, on every rank: it does not wait for what that brought.
    """
    o, trace = measured.trace.operators, measured.trace
    sizes = trace.collectives["bytes"]
    rows = measured.communication[measured.on_device[measured.communication]]
    rows = rows[(sizes[o["collective"][rows]] >= 0) & (sizes[o["collective"][rows]] < most_bytes)]
    call = launching_calls(trace)
    order = rows[np.lexsort((o["start_ns"][rows], o["lane"][rows]))]
    before, after = order[:-1], order[1:]
    alike = np.ones(len(after), dtype=bool)
    for column in ("lane", "comm_type", "group", "iteration"):
        alike &= o[column][before] == o[column][after]
    ready = (call[after] >= 0) & (trace.end_ns[call[after]] < trace.end_ns[before])
    # A collective follows the one before it where all its ranks say so.
    votes = np.zeros(len(trace.collectives), dtype=np.int64)
    np.add.at(votes, o["collective"][after[alike & ready]], 1)
    members = np.bincount(o["collective"][rows], minlength=len(votes))
    follows = (votes == members) & (members > 0)
    first = o["rank"][order] == o["rank"][order].min(initial=0)
    chain = o["collective"][order[first]]
    number = np.cumsum(~follows[chain])
    runs = [chain[number == one] for one in np.unique(number[follows[chain]]).tolist()]
    found = [rows[np.isin(o["collective"][rows], run)] for run in runs if len(run) > 1]
    return sorted(found, key=lambda run: -int(o["duration_ns"][run].sum()))[:MOST_RUNS]


def merged(plan: Plan, runs: list[Array]) -> Plan:
    """With each run as one collective at its last one's place, at what a line through the measured times gives."""
    for run in runs:
        plan = edits.merge(plan, run, _cost(plan, np.concatenate(runs)))
    return plan


def modelled(plan: Plan, runs: list[Array]) -> Plan:
    """With each collective of the runs at what the same line gives: what `merged` is to be compared with."""
    rows = np.concatenate(runs)
    return edits.split(plan, rows, 1, _cost(plan, rows))


def _cost(plan: Plan, rows: Array) -> edits.Cost:
    """Latency and bytes by a line through transfers of the trace like those (Hockney's α–β model)."""
    o = plan.trace.operators
    like = np.isin(o["comm_type"], o["comm_type"][rows]) & plan.meets
    like &= plan.trace.collectives["bytes"][o["collective"]] >= 0
    work = plan.trace.collectives["bytes"][o["collective"][like]].astype(np.float64)
    fit = line(work, np.maximum(plan.transfer_ns[like], 1).astype(np.float64))
    return lambda members, sizes: np.rint(fit.at(sizes.astype(np.float64))).astype(np.int64)
