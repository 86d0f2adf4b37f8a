"""Validation: what every trace must satisfy, whoever made it."""

from __future__ import annotations

import numpy as np

from etgraph.model.columns import Array, Columns
from etgraph.model.errors import CycleError, EtgraphError
from etgraph.model.graph import topological_order
from etgraph.model.schema import DependencyKind
from etgraph.model.trace import Trace

MEMBERS_SHOWN = 12
"""Events of a cycle that the message of its error lists; `CycleError.members` has all."""


def validate(trace: Trace) -> None:
    """Check required values, references, codes, kinds of dependencies, durations, order of rows and acyclicity.

    Raises EtgraphError with the table, row and column of the first fault, CycleError with a cycle's members.
    """
    for columns in trace.tables.values():
        _check_columns(trace, columns)
    _check_keys(trace)
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
    for column in columns.table.columns:
        if column.name not in columns.filled:
            continue
        values = columns[column.name]
        null = columns.is_null(column.name)
        if not column.nullable:
            _refuse(columns, column.name, null, "a value in every row")
        if column.type == "row":
            size = len(trace.attributes) if column.refers == "attributes" else len(trace.tables[column.refers])
            outside = (values < 0) | (values >= size)
            _refuse(columns, column.name, ~null & outside, f"one of the {size} rows of {column.refers}")
        elif column.type == "text":
            outside = (values < 0) | (values >= len(columns.texts(column.name)))
            _refuse(columns, column.name, ~null & outside, "a code of its dictionary")
        elif column.name == "duration_ns":
            _refuse(columns, column.name, ~null & (values < 0), "0 or more")
        elif column.values is DependencyKind:
            _refuse(columns, column.name, ~np.isin(values, list(DependencyKind)), "a kind of dependency")


def _refuse(columns: Columns, column: str, bad: Array, expected: str) -> None:
    """Raise for the first row where `bad` is true."""
    rows = np.flatnonzero(bad)
    if len(rows):
        found = "null" if columns.is_null(column)[rows[0]] else columns[column][rows[0]]
        raise EtgraphError(f"{columns.table.name} row {rows[0]}, column {column}: found {found}, expected {expected}")


def _check_keys(trace: Trace) -> None:
    """Keys ascend. They may have gaps: a part of a trace keeps the numbers that the whole gave its operators."""
    rank, index = trace.operators["rank"], trace.operators["index"]
    wrong = index < 0
    wrong[1:] |= (rank[1:] < rank[:-1]) | ((rank[1:] == rank[:-1]) & (index[1:] <= index[:-1]))
    _refuse(trace.operators, "index", wrong, "keys (rank, index) that ascend from row to row")
