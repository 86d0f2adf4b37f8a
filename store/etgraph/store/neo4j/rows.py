"""Pages of rows and neighbours out of the graph: by ranges of keys, many requests of one form in one statement."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from etgraph.model.attributes import decoded
from etgraph.model.property_graph import NODES, NodeTable
from etgraph.model.schema import TABLES, Column, DependencyKind
from etgraph.store.neo4j import catalogue
from etgraph.store.neo4j.connection import rows_of
from etgraph.store.neo4j.types import Transaction
from etgraph.store.neo4j.writing.batches import KEY_BITS, RELATIONSHIPS, key_base
from etgraph.store.rows import (
    ROW,
    Condition,
    Neighbour,
    Neighbours,
    NeighboursRequest,
    Page,
    Row,
    RowsRequest,
    column_of,
    glob_pattern,
    wanted_numbers,
)

_KINDS: Final = {name: kind for kind, name in RELATIONSHIPS.items()}
_UNPLACED: Final = 2**62
"""The place of a dependency that a client added: behind all others."""
_ROWS: Final = 1 << KEY_BITS
"""Keys of a load."""


def pages(tx: Transaction, asked: Sequence[RowsRequest]) -> list[Page]:
    """The rows that requests are for."""
    found = [Page()] * len(asked)
    for number, rows in _answers(tx, asked, _page_statement):
        first = asked[number].first
        found[number] = Page(tuple(_row(asked[number].table, one) for one in rows[:first]), len(rows) > first)
    return found


def counts(tx: Transaction, asked: Sequence[RowsRequest]) -> list[int]:
    """How many rows satisfy the conditions of requests."""
    found = [0] * len(asked)
    for number, count in _answers(tx, asked, _count_statement):
        found[number] = count
    return found


def attributes(tx: Transaction, asked: Sequence[tuple[str, int]]) -> list[dict[str, Any]]:
    """What the source says of operators beyond their columns, given by trace and row."""
    bases = _bases(tx, (trace_id for trace_id, _ in asked))
    keys = [bases[trace_id] + row for trace_id, row in asked]
    texts = dict(
        rows_of(tx, "MATCH (n:Operator) WHERE n.key IN $keys AND n.attrs IS NOT NULL RETURN n.key, n.attrs",
                {"keys": sorted(set(keys))})
    )  # fmt: skip
    return [decoded(_bytes(texts[key])) if key in texts else {} for key in keys]


def neighbours(tx: Transaction, asked: Sequence[NeighboursRequest]) -> list[Neighbours]:
    """The neighbours of several operators."""
    bases = _bases(tx, (one.trace_id for one in asked))
    by_form: dict[tuple[bool, Any, int], list[dict[str, Any]]] = {}
    for number, one in enumerate(asked):
        after = -1 if one.after is None else one.after
        by_form.setdefault((one.incoming, one.kinds, one.first), []).append(
            {"number": number, "key": bases[one.trace_id] + one.row, "after": after}
        )
    found = [Neighbours()] * len(asked)
    for (incoming, kinds, first), requests in by_form.items():
        types = "|".join(RELATIONSHIPS[kind] for kind in kinds or RELATIONSHIPS if kind in RELATIONSHIPS)
        if not types:
            continue
        edge = f"<-[d:{types}]-" if incoming else f"-[d:{types}]->"
        statement = f"""UNWIND $requests AS r CALL (r) {{
            MATCH (:Operator {{key: r.key}}){edge}(n:Operator)
            WITH d, n, coalesce(d.order, {_UNPLACED}) AS place WHERE place > r.after
            ORDER BY place, n.key LIMIT $limit
            RETURN collect([place, type(d), coalesce(d.inferred, false), coalesce(d.method, 'edited'),
                            coalesce(toFloat(d.confidence), 1.0), {_told("operators")}]) AS found
        }} RETURN r.number, found"""
        for number, rows in rows_of(tx, statement, {"requests": requests, "limit": first + 1}):
            listed = tuple(
                Neighbour(place, DependencyKind(_KINDS[kind]), inferred, method, confidence, _row("operators", node))
                for place, kind, inferred, method, confidence, node in rows[:first]
            )
            found[number] = Neighbours(listed, len(rows) > first)
    return found


def _answers(tx: Transaction, asked: Sequence[RowsRequest], statement: Any) -> Iterator[tuple[int, Any]]:
    """The number of each request and what the statement for its form gives; requests of one form go together."""
    bases = _bases(tx, (one.trace_id for one in asked))
    by_statement: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for number, one in enumerate(asked):
        values = {"number": number} | _values(one, bases[one.trace_id])
        by_statement.setdefault((statement(one), one.first + 1), []).append(values)
    for (text, limit), requests in by_statement.items():
        for number, found in rows_of(tx, text, {"requests": requests, "limit": limit}):
            yield number, found


def _bases(tx: Transaction, traces: Iterable[str]) -> dict[str, int]:
    """The key of each trace's first row. Raises NotFound for a trace that is not there."""
    return {trace_id: key_base(catalogue.required(tx, trace_id).key) for trace_id in set(traces)}


def _page_statement(asked: RowsRequest) -> str:
    return f"""UNWIND $requests AS r CALL (r) {{
        MATCH (n:{NODES[asked.table].label}) WHERE {" AND ".join(_conditions(asked))}
        WITH n ORDER BY {_order(asked)} LIMIT $limit
        RETURN collect({_told(asked.table)}) AS found
    }} RETURN r.number, found"""


def _count_statement(asked: RowsRequest) -> str:
    return f"""UNWIND $requests AS r CALL (r) {{
        MATCH (n:{NODES[asked.table].label}) WHERE {" AND ".join(_conditions(asked))} RETURN count(n) AS found
    }} RETURN r.number, found"""


def _conditions(asked: RowsRequest) -> Iterator[str]:
    """What must hold of a node `n`, for the values of a request `r`; see `_values`."""
    yield "n.key >= r.from AND n.key < r.to"
    for number, condition in enumerate(asked.where):
        yield from _condition(asked.table, condition, number)
    if asked.after is None:
        return
    before = ">" if not asked.order.descending else "<"
    ordered_by = column_of(TABLES[asked.table], asked.order.column)
    if ordered_by is None:
        yield f"n.key {before} r.row"
    elif asked.after[0] is None:
        yield f"n.{ordered_by.neo4j} IS NULL AND n.key > r.row"
    else:
        value = f"n.{ordered_by.neo4j}"
        yield f"({value} {before} r.value OR ({value} = r.value AND n.key > r.row) OR {value} IS NULL)"


def _condition(table: str, condition: Condition, number: int) -> Iterator[str]:
    own, _, rest = condition.column.partition(".")
    column = column_of(TABLES[table], condition.column)
    end = "n"
    if rest or (column is not None and column.refers):
        end = "x"
        column = column_of(TABLES[TABLES[table].column(own).refers], rest) if rest else None
    value = f"{end}.{'key' if column is None else column.neo4j}"
    parts = []
    if condition.any_of is not None:
        parts.append(f"{value} IN r.any{number}")
    if condition.low is not None:
        parts.append(f"{value} >= r.low{number}")
    if condition.high is not None:
        parts.append(f"{value} <= r.high{number}")
    if condition.glob is not None:
        parts.append(f"{value} =~ r.glob{number}")
    held = " AND ".join(parts or [f"{value} IS NOT NULL"])
    yield held if end == "n" else f"EXISTS {{ MATCH (n)-[:{TABLES[table].column(own).neo4j}]->(x) WHERE {held} }}"


def _values(asked: RowsRequest, base: int) -> dict[str, Any]:
    """The values of a request in its statement."""
    first, last = asked.between or (0, _ROWS)
    values: dict[str, Any] = {"from": base + max(first, 0), "to": base + max(min(last, _ROWS), 0)}
    for number, condition in enumerate(asked.where):
        column = column_of(TABLES[asked.table], condition.column)
        by_row = column is None or bool(column.refers)
        if condition.any_of is not None:
            values[f"any{number}"] = (
                [base + row for row in wanted_numbers(condition.any_of, _ROWS)]
                if by_row
                else [_held(column, value) for value in condition.any_of]
            )
        for name, bound in (("low", condition.low), ("high", condition.high)):
            if bound is not None:
                values[f"{name}{number}"] = base + bound if by_row else bound
        if condition.glob is not None:
            values[f"glob{number}"] = glob_pattern(condition.glob)
    if asked.after is not None:
        values |= {"value": asked.after[0], "row": base + asked.after[1]}
    return values


def _held(column: Column | None, value: Any) -> Any:
    """A value as the graph holds it: known numbers of an enumeration by name."""
    if column is None or column.values is None or value not in column.values._value2member_map_:
        return value
    return column.values(value).name


def _order(asked: RowsRequest) -> str:
    column, direction = column_of(TABLES[asked.table], asked.order.column), " DESC" if asked.order.descending else ""
    if column is None:
        return f"n.key{direction}"
    return f"n.{column.neo4j} IS NULL, n.{column.neo4j}{direction}, n.key"


def _told(table: str) -> str:
    """What is asked of a node `n`: its key, its properties, and the keys of the nodes that it refers to."""
    node = NODES[table]
    properties = ["key", *(column.neo4j for column in _properties(node)), *(["ranks"] if _has_ranks(table) else [])]
    referred = [
        f"{column.neo4j}: COLLECT {{ MATCH (n)-[:{column.neo4j}]->(x) RETURN x.key LIMIT 1 }}[0]"
        for column in node.references
    ]
    return f"n {{ {', '.join([*(f'.{name}' for name in properties), *referred])} }}"


def _row(table: str, node: Mapping[str, Any]) -> Row:
    """A node as a row; see `etgraph.store.rows.Row`."""
    known = NODES[table]
    row: dict[str, Any] = {ROW: node["key"] % _ROWS}
    for column in known.table.columns:
        if column.refers == "attributes":
            continue
        value = node[column.neo4j]
        if column in known.references:
            value = None if value is None else value % _ROWS
        elif column.values is not None and isinstance(value, str):
            value = column.values[value]
        elif column.type == "uint64" and value is not None:
            value = int(value)
        row[column.name] = value
    if _has_ranks(table):
        row["ranks"] = tuple(node["ranks"] or ())
    return row


def _properties(node: NodeTable) -> Iterator[Column]:
    return (column for column in node.properties if column.refers != "attributes")


def _has_ranks(table: str) -> bool:
    return table == "process_groups"


def _bytes(text: str | bytes) -> bytes:
    return text.encode() if isinstance(text, str) else bytes(text)
