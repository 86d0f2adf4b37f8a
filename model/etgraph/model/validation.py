"""Validation: what every trace must satisfy, whoever made it."""

from __future__ import annotations

import numpy as np

from etgraph.model.columns import Columns
from etgraph.model.errors import CycleError, EtgraphError
from etgraph.model.graph import topological_order
from etgraph.model.trace import Trace

MEMBERS_SHOWN = 12


def validate(trace: Trace) -> None:
    """Check columns, references, order of rows, durations and acyclicity.

    Raises EtgraphError with the table, row and column of the first fault, CycleError with a cycle's members.
    """
    for columns in trace.tables.values():
        _check_columns(trace, columns)
    _check_keys(trace)
    duration = trace.operators["duration_ns"]
    negative = np.flatnonzero((duration < 0) & ~trace.operators.is_null("duration_ns"))
    if len(negative):
        row = int(negative[0])
        raise EtgraphError(f"{trace.describe(row)}: found duration {duration[row]} ns, expected 0 or more")
    check_acyclic(trace)


def check_acyclic(trace: Trace) -> None:
    """Raise CycleError when the event graph has a cycle, naming the operators on it."""
    events = trace.events
    _, cycle = topological_order(events.nodes, events.sources, events.targets)
    if not len(cycle):
        return
    operators = 2 * len(trace)
    members: list[str] = []
    for node in cycle.tolist():
        if node >= operators:
            members.append(f"collective {node - operators}")
        else:
            members.append(f"{('start', 'end')[node % 2]} of {trace.describe(node // 2)}")
    shown = " → ".join(members[:MEMBERS_SHOWN]) + (" → …" if len(members) > MEMBERS_SHOWN else "")
    raise CycleError(f"dependencies form a cycle of {len(members)} events: {shown}", members)


def _check_columns(trace: Trace, columns: Columns) -> None:
    table = columns.table
    for column in table.columns:
        if column.name not in columns.filled:
            continue
        values = columns[column.name]
        null = columns.is_null(column.name)
        bad = None
        if not column.nullable and null.any():
            bad, expected = np.flatnonzero(null)[0], "a value"
        elif column.type == "row":
            size = len(trace.attributes) if column.refers == "attributes" else len(trace.tables[column.refers])
            outside = ~null & ((values < 0) | (values >= size))
            if outside.any():
                bad, expected = np.flatnonzero(outside)[0], f"a row of {column.refers} (0 to {size - 1})"
        elif column.type == "text":
            outside = ~null & ((values < 0) | (values >= len(columns.texts(column.name))))
            if outside.any():
                bad, expected = np.flatnonzero(outside)[0], "a code of its dictionary"
        if bad is not None:
            raise EtgraphError(f"{table.name} row {bad}, column {column.name}: found {values[bad]}, expected {expected}")


def _check_keys(trace: Trace) -> None:
    rank, index = trace.operators["rank"], trace.operators["index"]
    if not len(rank):
        return
    first = np.flatnonzero(np.diff(rank, prepend=rank[0] - 1))
    dense = np.arange(len(rank)) - np.repeat(first, np.diff(first, append=len(rank)))
    wrong = np.flatnonzero((index != dense) | (np.diff(rank, prepend=rank[0]) < 0))
    if len(wrong):
        row = int(wrong[0])
        raise EtgraphError(
            f"operators row {row}: found key (rank {rank[row]}, index {index[row]}), "
            f"expected rows sorted by rank and index {dense[row]}"
        )
