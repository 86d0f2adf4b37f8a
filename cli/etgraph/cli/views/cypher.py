"""Rows of Cypher for a reader, the list of the library, and what one query of it takes and gives."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.text import Text

from etgraph.cli.units import duration, printable, shortened, size
from etgraph.cli.views.tables import SHORT_ID, facts, grid

if TYPE_CHECKING:
    from etgraph.queries.library import Answer, Column, NamedQuery
    from etgraph.store.protocol import CypherResult

LEAST = 12
"""Characters that a column of texts keeps, however narrow the terminal."""


def result_lines(result: CypherResult, width: int) -> Iterator[str]:
    """The rows of any query, one a line, under the names of the columns."""
    yield from _lines(
        result.columns, [[_text(value) for value in column] for column in result.data], result.data, width
    )


def answer_lines(answer: Answer, width: int) -> Iterator[str]:
    """The rows of a named query; times and sizes in units that suit them."""
    texts = [
        [_measured(value, column) for value in values] for column, values in zip(answer.query.columns, answer.data)
    ]
    yield from _lines(answer.columns, texts, answer.data, width)


def _text(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, float):
        return f"{value:.6g}"
    return printable(json.dumps(value, ensure_ascii=False))


def _measured(value: Any, column: Column) -> str:
    if value is None or value == []:
        return "–"
    if column.type == "trace":
        return printable(value[:SHORT_ID])
    if column.unit == "ns":
        return duration(round(value))
    if column.unit == "B":
        return size(value)
    if isinstance(value, list):
        return printable(", ".join(map(str, value)))
    return _text(value)


def _lines(
    names: Sequence[str], texts: Sequence[Sequence[str]], values: Sequence[Sequence[Any]], width: int
) -> Iterator[str]:
    """Rows under their headers; the widest texts are shortened until a line fits."""
    heads = [printable(name) for name in names]
    numbers = [
        all(value is None or (isinstance(value, (int, float)) and not isinstance(value, bool)) for value in column)
        for column in values
    ]
    widths = [max([len(head), *map(len, column)]) for head, column in zip(heads, texts)]
    _narrow(widths, [max(LEAST, len(head)) for head in heads], numbers, width - 2 * (len(widths) - 1))

    def line(cells: Sequence[str]) -> str:
        parts = (
            cell.rjust(room) if number else shortened(cell, room).ljust(room)
            for cell, room, number in zip(cells, widths, numbers)
        )
        return "  ".join(parts).rstrip()

    yield line(heads)
    yield "  ".join("─" * room for room in widths)
    for cells in zip(*texts):
        yield line(cells)


def _narrow(widths: list[int], least: Sequence[int], fixed: Sequence[bool], room: int) -> None:
    """Take from the widest columns until the sum fits; fixed ones, and what is at its least, stay."""
    while (excess := sum(widths) - room) > 0:
        loose = [i for i in range(len(widths)) if not fixed[i] and widths[i] > least[i]]
        if not loose:
            return
        widest = max(loose, key=lambda i: widths[i])
        others = [widths[i] for i in loose if widths[i] < widths[widest]]
        floor = max(least[widest], max(others, default=0))
        widths[widest] = max(floor, widths[widest] - excess) if floor < widths[widest] else widths[widest] - 1


def library_view(queries: Sequence[NamedQuery]) -> RenderableType:
    """One row a query: its name and what it answers."""
    table = grid("query", "answers")
    table.columns[0].no_wrap = True
    for query in queries:
        table.add_row(query.name, query.summary)
    return table


def query_view(query: NamedQuery) -> RenderableType:
    """What a query answers, takes and gives."""
    parameters = grid("parameter", "type", "default", "meaning")
    for parameter in query.parameters:
        default = "" if parameter.default is None else json.dumps(parameter.default)
        parameters.add_row(parameter.name, parameter.spelled, default, parameter.meaning)
    columns = grid("column", "type", "unit", "meaning")
    for column in query.columns:
        columns.add_row(column.name, f"{column.type}{'?' if column.nullable else ''}", column.unit, column.meaning)
    description = re.sub(r"(?<!\n)\n(?!\n)", " ", query.description)
    return Group(facts([(query.name, query.summary)]), Text(), Text(description), Text(), parameters, Text(), columns)


def query_document(query: NamedQuery) -> dict[str, Any]:
    """A query's header as JSON."""
    from etgraph.model.results import to_json

    return {
        "name": query.name,
        "summary": query.summary,
        "description": query.description,
        "parameters": [to_json(p) | {"required": p.required} for p in query.parameters],
        "columns": [to_json(column) for column in query.columns],
    }
