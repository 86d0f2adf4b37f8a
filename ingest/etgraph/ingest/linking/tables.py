"""Lanes and process groups of two files of one rank, as one table each."""

from __future__ import annotations

import numpy as np

from etgraph.ingest.draft import Draft
from etgraph.model import Columns, Trace, process_group_tables
from etgraph.model.columns import Array


def joint_lanes(host: Draft, device: Draft, partner: Array, only: Array) -> tuple[Array, Columns]:
    """For each lane of the host's file its new row (last value: -1 for none), and the lanes of both.

    A thread of the host's file is that of the device's on which most of its operators ran; one that has none, but
    operators of its own, is added. `partner` and `only` are the host's operators' partners and those without one.
    """
    ours, theirs = host.trace.lanes, device.trace.lanes
    lane = host.trace.operators["lane"]
    rows = np.flatnonzero((partner >= 0) & (lane >= 0))
    width = max(len(theirs), 1)
    votes = np.bincount(
        lane[rows].astype(np.int64) * width + device.trace.operators["lane"][partner[rows]], minlength=len(ours) * width
    ).reshape(len(ours), width)
    to_new = np.full(len(ours) + 1, -1, dtype=np.int32)
    to_new[:-1] = np.where(votes.sum(axis=1) > 0, votes.argmax(axis=1), -1) if len(ours) else -1
    used = np.zeros(len(ours) + 1, dtype=bool)
    used[lane[only]] = True
    added = np.flatnonzero(used[:-1] & (to_new[:-1] < 0))
    to_new[added] = len(theirs) + np.arange(len(added))
    return to_new, Columns.concat([theirs, ours.take(added)]) if len(added) else theirs


def joint_groups(host: Trace, device: Trace) -> tuple[Array, Columns, Columns]:
    """For each group of the host's file its new row (last value: -1 for none), and the groups and members of both.

    Groups of one name are one; each fact is the device's where it has one.
    """
    if not len(host.process_groups):
        return np.array([-1], dtype=np.int32), device.process_groups, device.group_members
    known: dict[str, list[object]] = {}
    for trace in (device, host):
        for row, ranks in enumerate(trace.group_ranks):
            facts = [*trace.process_groups.row(row).values(), ranks]
            mine = known.setdefault(str(facts[0]), facts)
            known[str(facts[0])] = [a or b for a, b in zip(mine, facts, strict=True)]
    order = {name: row for row, name in enumerate(known)}
    to_new = [order[str(host.process_groups.value("name", row))] for row in range(len(host.process_groups))]
    groups, members = process_group_tables([tuple(facts) for facts in known.values()])  # type: ignore[misc]
    return np.array([*to_new, -1], dtype=np.int32), groups, members
