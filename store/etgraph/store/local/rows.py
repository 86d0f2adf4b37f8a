"""Pages of rows and neighbours out of a trace's columns."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from typing import Any

import numpy as np

from etgraph.model import Trace
from etgraph.model.columns import Array, Columns
from etgraph.model.schema import TABLES, DependencyKind
from etgraph.store.rows import (
    ROW,
    Condition,
    Neighbour,
    Neighbours,
    NeighboursRequest,
    Page,
    Row,
    RowsRequest,
    glob_pattern,
    wanted_numbers,
)


def page(trace: Trace, asked: RowsRequest) -> Page:
    """The rows that a request is for."""
    found = _ordered(trace.tables[asked.table], asked, matching(trace, asked))
    return Page(rows_at(trace, asked.table, found[: asked.first]), len(found) > asked.first)


def matching(trace: Trace, asked: RowsRequest) -> Array:
    """Numbers of the rows that satisfy all conditions, ascending."""
    length = len(trace.tables[asked.table])
    first, last = asked.between or (0, length)
    numbered = [c.any_of for c in asked.where if c.column == ROW and c.any_of is not None]
    rows = np.arange(max(first, 0), min(last, length))
    if numbered:
        named = np.array(wanted_numbers(numbered[0], length), dtype=np.int64)
        rows = named[(named >= first) & (named < last)]
    for condition in asked.where:
        rows = rows[_holds(trace, asked.table, condition, rows)]
    return rows


def _holds(trace: Trace, name: str, condition: Condition, rows: Array) -> Array:
    """Whether a condition holds in each of the rows."""
    columns = trace.tables[name]
    own, _, rest = condition.column.partition(".")
    if own == ROW:
        return _within(rows, condition)
    values = columns[own][rows]
    if rest:
        target = TABLES[name].column(own).refers
        every = np.arange(len(trace.tables[target]))
        through = Condition(rest, condition.any_of, condition.low, condition.high, condition.glob)
        return _of_codes(_holds(trace, target, through, every), values)
    if columns.table.column(own).type == "text":
        return _of_codes(_texts_that(columns, own, condition), values)
    return ~columns.is_null(own)[rows] & _within(values, condition)


def _of_codes(holds: Array, codes: Array) -> Array:
    """What is known of each code, for some codes; false for none (-1)."""
    found: Array = np.append(holds, False)[codes]
    return found


def _texts_that(columns: Columns, name: str, condition: Condition) -> Array:
    """Whether each text of a column's dictionary satisfies a condition."""
    pattern = None if condition.glob is None else re.compile(glob_pattern(condition.glob))
    among = None if condition.any_of is None else set(condition.any_of)
    return columns.codes_where(
        name, lambda text: (pattern is None or pattern.fullmatch(text)) and (among is None or text in among)
    )


def _within(values: Array, condition: Condition) -> Array:
    holds = np.ones(len(values), dtype=bool)
    if condition.any_of is not None:
        holds &= np.isin(values, np.array(condition.any_of, dtype=np.int64))
    if condition.low is not None:
        holds &= values >= condition.low
    if condition.high is not None:
        holds &= values <= condition.high
    return holds


def _ordered(columns: Columns, asked: RowsRequest, rows: Array) -> Array:
    """The first rows behind the last page, in order, and one more where there is one."""
    count = asked.first + 1
    name = asked.order.column
    if name == ROW:
        rows = rows[::-1] if asked.order.descending else rows
        if asked.after is not None:
            rows = rows[rows < asked.after[1] if asked.order.descending else rows > asked.after[1]]
        return rows[:count]
    null = columns.is_null(name)[rows]
    keys, place = _keys(columns, name, rows, None if asked.after is None else asked.after[0])
    if asked.order.descending:
        keys, place = -keys, -place
    if asked.after is not None:
        tied = rows > asked.after[1]
        if asked.after[0] is None:
            behind = null & tied
        else:
            behind = null | (keys > place) | ((keys == place) & tied)
        rows, null, keys = rows[behind], null[behind], keys[behind]
    valued = rows[~null]
    keys = keys[~null]
    if len(keys) > count:
        # Only what can be among the first is put in order.
        near = keys <= np.partition(keys, count - 1)[count - 1]
        valued, keys = valued[near], keys[near]
    ordered = valued[np.argsort(keys, kind="stable")]
    return np.concatenate([ordered, rows[null]])[:count]


def _keys(columns: Columns, name: str, rows: Array, after: Any) -> tuple[Array, Any]:
    """What rows are ordered by, and the same of a value. Texts are ordered by code points, as Python does."""
    values = columns[name][rows]
    if columns.table.column(name).type != "text":
        return values, 0 if after is None else after
    texts = columns.texts(name).to_pylist()
    order = sorted(range(len(texts)), key=texts.__getitem__)
    position = np.zeros(len(texts) + 1)
    position[order] = np.arange(len(texts))
    if after is None:
        return position[values], 0.0
    listed = [texts[code] for code in order]
    at = bisect_left(listed, after)
    return position[values], float(at) if at < len(listed) and listed[at] == after else at - 0.5


def rows_at(trace: Trace, name: str, rows: Array) -> tuple[Row, ...]:
    """Rows as mappings; see `etgraph.store.rows.Row`."""
    table = trace.tables[name].take(rows)
    columns = {ROW: rows.tolist()}
    for column in TABLES[name].columns:
        if column.refers == "attributes":
            continue
        if column.name == "parent":
            parents = table["parent"]
            index = np.append(trace.operators["index"], -1)[parents].tolist()
            columns["parent"] = [at if at >= 0 else None for at in index]
        elif column.refers:
            columns[column.name] = [at if at >= 0 else None for at in table[column.name].tolist()]
        else:
            columns[column.name] = table.values(column.name)
    if name == "process_groups":
        columns["ranks"] = [trace.group_ranks[row] for row in rows.tolist()]
    names = tuple(columns)
    return tuple(dict(zip(names, values)) for values in zip(*columns.values()))


def attributes_at(trace: Trace, rows: Sequence[int]) -> list[dict[str, Any]]:
    """What the source says of operators beyond their columns."""
    from etgraph.model.attributes import decoded

    texts = trace.attributes.texts(trace.operators["attrs"][np.array(rows, dtype=np.int64)])
    return [{} if text is None else decoded(text) for text in texts]


def neighbours(trace: Trace, asked: Sequence[NeighboursRequest]) -> list[Neighbours]:
    """The neighbours of several operators; the dependencies are passed over once for each direction and kinds."""
    by_form: dict[tuple[bool, Any], list[int]] = {}
    for number, one in enumerate(asked):
        by_form.setdefault((one.incoming, one.kinds), []).append(number)
    found = [Neighbours()] * len(asked)
    for (incoming, kinds), numbers in by_form.items():
        ends = trace.dependencies["dst" if incoming else "src"]
        wanted = np.unique([asked[number].row for number in numbers])
        rows = np.flatnonzero(np.isin(ends, wanted))
        if kinds is not None:
            rows = rows[np.isin(trace.dependencies["kind"][rows], np.array(kinds, dtype=np.int64))]
        rows = rows[np.argsort(ends[rows], kind="stable")]
        for number in numbers:
            first, last = (np.searchsorted(ends[rows], asked[number].row, side) for side in ("left", "right"))
            found[number] = _neighbours(trace, asked[number], rows[first:last])
    return found


def _neighbours(trace: Trace, asked: NeighboursRequest, rows: Array) -> Neighbours:
    """Of an operator's dependencies, ascending, those of the page."""
    d = trace.dependencies
    if asked.after is not None:
        rows = rows[rows > asked.after]
    shown = rows[: asked.first]
    others = rows_at(trace, "operators", d["src" if asked.incoming else "dst"][shown].astype(np.int64))
    found = tuple(
        Neighbour(
            row, DependencyKind(int(d["kind"][row])), bool(d["inferred"][row]), d.value("method", row),
            float(d["confidence"][row]), operator,
        )
        for row, operator in zip(shown.tolist(), others)
    )  # fmt: skip
    return Neighbours(found, len(rows) > asked.first)
