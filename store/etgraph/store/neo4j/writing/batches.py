"""What goes to the server in one transaction: nodes of one table with the relationships among them, or dependencies.

Rows travel as lists and repeated texts once a batch. Nodes and the dependencies between them are created by one
statement, so that a dependency's ends need no look-up; only those that leave the batch are matched by key later.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np

from etgraph.model import Trace
from etgraph.model.columns import Array
from etgraph.model.errors import StoreError
from etgraph.model.property_graph import NODES, Values, encode, filled
from etgraph.model.schema import DEPENDENCIES, Column, DependencyKind

KEY_BITS: Final = 31
"""A node's key is the number of its load, shifted by so many bits, plus its row."""
WINDOW: Final = 1 << 16
"""Operators whose dependencies are looked for at once: all dependencies are passed over once a window."""
CHUNK: Final = 1 << 17
"""Dependencies that are looked at at once."""

CONTEXT: Final = ("process_groups", "collectives", "lanes", "iterations")
"""Tables that others refer to, each after those that it refers to itself."""

RELATIONSHIPS: Final = {kind: DEPENDENCIES[kind].neo4j for kind in DependencyKind if kind != DependencyKind.COLLECTIVE}


@dataclass(frozen=True, slots=True)
class Unit:
    """Rows of a table that are written together; of `dependencies`, those that no unit of operators holds whole."""

    table: str
    first: int
    last: int

    def __str__(self) -> str:
        return f"{self.table} {self.first} {self.last}"

    @staticmethod
    def parse(text: str) -> Unit:
        """The inverse of `str`."""
        table, first, last = text.split()
        return Unit(table, int(first), int(last))

    def halves(self) -> tuple[Unit, Unit]:
        """Two units of half the rows."""
        middle = (self.first + self.last) // 2
        return Unit(self.table, self.first, middle), Unit(self.table, middle, self.last)


@dataclass(frozen=True, slots=True)
class Statement:
    """A Cypher text and its parameters."""

    text: str
    parameters: dict[str, Any]

    def release(self) -> None:
        """Empty the parameters once they were sent.

        The driver's transaction and its results hold each other, and the parameters, until Python looks for cycles,
        which it does the more seldom the more there is in memory.
        """
        for value in self.parameters.values():
            if isinstance(value, list):
                value.clear()


def key_base(load: int) -> int:
    """The key of a load's first row."""
    return load << KEY_BITS


def _ranks_of(trace: Trace) -> Array:
    named = [np.unique(c["rank"]) for name, c in trace.tables.items() if name in NODES and NODES[name].of_rank]
    return np.unique(np.concatenate(named))


@dataclass(frozen=True, slots=True)
class Ends:
    """A relationship that a unit's nodes have to nodes of one label: for each, the other's key, -1 where there is none.

    The `owner` is the source of its relationships, every other node the target.
    """

    relationship: str
    label: str
    keys: Array
    owner: bool


class Batches:
    """The statements of one trace's units.

    `ranks` are all that some row of the trace names as its own, ascending; a rank's node has its position as row.
    """

    def __init__(self, trace: Trace, load: int) -> None:
        self.trace = trace
        self.load = load
        self.base = key_base(load)
        self.ranks = _ranks_of(trace)
        self._properties = {name: filled(trace.tables[name], table.properties) for name, table in NODES.items()}
        kinds = np.bincount(trace.dependencies["kind"], minlength=len(DependencyKind)).tolist()
        self._kinds = [kind for kind in RELATIONSHIPS if kinds[kind]]
        self._window: tuple[int, Array] | None = None

    def rank_nodes(self) -> Statement:
        """The nodes of the ranks, owned by the trace."""
        return Statement(
            "MATCH (t:Trace {key: $load}) UNWIND $rows AS r CREATE (t)-[:HAS_RANK]->(:Rank {key: r[0], rank: r[1]})",
            {"load": self.load, "rows": [[self.base + at, rank] for at, rank in enumerate(self.ranks.tolist())]},
        )

    def nodes(self, unit: Unit) -> Statement:
        """The nodes of a unit, the relationships to what was written before, and the dependencies among them."""
        names: list[str] = []
        values: list[list[Any]] = []
        parameters: dict[str, Any] = {}
        cells: list[str] = []
        for name, held in self.properties(unit):
            cell = f"r[{len(values)}]"
            if held.texts is not None:
                parameters[f"texts{len(values)}"] = held.texts
                cell = f"$texts{len(values)}[{cell}]"
            names.append(name)
            cells.append(cell)
            values.append(held.values)
        properties = ", ".join(f"{name}: {cell}" for name, cell in zip(names, cells, strict=True))
        text = [f"UNWIND $rows AS r CREATE (n:{NODES[unit.table].label} {{{properties}}}) WITH collect(n) AS ns"]
        parameters["rows"] = list(zip(*values, strict=True))
        for number, ends in enumerate(self.ends(unit)):
            grouped = _grouped(ends.keys)
            if grouped:
                pattern = f"(x)-[:{ends.relationship}]->(n)" if ends.owner else f"(n)-[:{ends.relationship}]->(x)"
                text.append(_attach(f"ends{number}", f"MATCH (x:{ends.label} {{key: e[0]}}){_EACH} CREATE {pattern}"))
                parameters[f"ends{number}"] = grouped
        if unit.table == "operators":
            edges = self._inside(unit)
            for kind in self._kinds:
                relationship = RELATIONSHIPS[kind]
                text.append(
                    _attach(relationship, f"WITH e, ns[e[0]] AS a, ns[e[1]] AS b {_CREATE.format(relationship)}")
                )
            parameters |= self._edges(edges, unit.first)
        return Statement("\n".join([*text, "RETURN count(*)"]), parameters)

    def properties(self, unit: Unit) -> Iterator[tuple[str, Values]]:
        """The properties of a unit's nodes, each by its name; `key` first."""
        columns, rows = self.trace.tables[unit.table], slice(unit.first, unit.last)
        yield "key", Values(list(range(self.base + unit.first, self.base + unit.last)))
        for column in self._properties[unit.table]:
            yield column.neo4j, self._values(columns, column, rows)
        if "attrs" in columns.filled:
            at = columns["attrs"][rows]
            yield "attrs", Values([None if t is None else _text(t) for t in self.trace.attributes.texts(at)])
            yield "attrsRow", Values([None if row < 0 else row for row in at.tolist()])
        if unit.table == "process_groups":
            yield "ranks", Values([list(ranks) or None for ranks in self.trace.group_ranks[rows]])

    def ends(self, unit: Unit) -> Iterator[Ends]:
        """The relationships of a unit's nodes to what was written before: to their owner, and to what they refer to."""
        table, columns = NODES[unit.table], self.trace.tables[unit.table]
        rows = slice(unit.first, unit.last)
        if table.of_rank:
            owners = self.base + np.searchsorted(self.ranks, columns["rank"][rows])
            yield Ends(table.table.owned, "Rank", owners, owner=True)
        else:
            yield Ends(table.table.owned, "Trace", np.full(unit.last - unit.first, self.load), owner=True)
        for column in table.references:
            if column.name in columns.filled:
                targets = columns[column.name][rows].astype(np.int64)
                keys = np.where(targets < 0, -1, self.base + targets)
                yield Ends(column.neo4j, NODES[column.refers].label, keys, owner=False)

    def links(self, unit: Unit, starts: Array) -> list[Statement]:
        """The dependencies of a unit whose ends lie in different units of operators, which begin at `starts`."""
        edges = self._leaving(unit, starts)
        parameters = self._edges(edges, 0)
        return [
            Statement(
                f"UNWIND ${relationship} AS e MATCH (a:Operator {{key: $base + e[0]}}) "
                f"MATCH (b:Operator {{key: $base + e[1]}}) WITH e, a, b {_CREATE.format(relationship)}",
                {"base": self.base, relationship: parameters[relationship], "how": parameters["how"]},
            )
            for relationship in (RELATIONSHIPS[kind] for kind in self._kinds)
            if parameters[relationship]
        ]

    def link_units(self, starts: Array, first: int, last: int, most: int) -> Iterator[Unit]:
        """Units of a range of `dependencies` with at most so many that leave their unit of operators."""
        for begin in range(first, last, CHUNK):
            whole = Unit("dependencies", begin, min(begin + CHUNK, last))
            leaving = self._leaving(whole, starts)
            if len(leaving):
                cuts = [begin, *leaving[most::most].tolist(), whole.last]
                yield from (Unit("dependencies", a, b) for a, b in pairwise(cuts))

    # Within

    def _values(self, columns: Any, column: Column, rows: slice) -> Values:
        if column.name != "parent":
            return encode(columns, column, rows)
        parents = columns["parent"][rows]
        known = parents >= 0
        rank = self.trace.operators["rank"]
        odd = np.flatnonzero(known & (rank[parents] != rank[rows]))
        if len(odd):
            row = rows.start + int(odd[0])
            raise StoreError(
                f"{self.trace.describe(row)}: found a parent on rank {rank[parents[odd[0]]]}, expected one of its own"
            )
        index = self.trace.operators["index"][parents]
        return Values([i if k else None for i, k in zip(index.tolist(), known.tolist(), strict=True)])

    def _inside(self, unit: Unit) -> Array:
        """Rows of the dependencies with both ends in a unit."""
        dependencies = self.trace.dependencies
        rows = self._of_window(unit.first // WINDOW)
        src, dst = dependencies["src"][rows], dependencies["dst"][rows]
        return rows[(src >= unit.first) & (src < unit.last) & (dst >= unit.first) & (dst < unit.last)]

    def _of_window(self, window: int) -> Array:
        """Rows of the dependencies whose source lies in a window of operators."""
        held = self._window
        if held is None or held[0] != window:
            src = self.trace.dependencies["src"]
            first, last = window * WINDOW, (window + 1) * WINDOW
            found = [
                start + np.flatnonzero((part >= first) & (part < last))
                for start in range(0, len(src), CHUNK)
                for part in [src[start : start + CHUNK]]
            ]
            held = self._window = (window, np.concatenate(found) if found else np.zeros(0, dtype=np.int64))
        return held[1]

    def _leaving(self, unit: Unit, starts: Array) -> Array:
        """Rows of a unit's dependencies whose ends lie in different units of operators."""
        rows = slice(unit.first, unit.last)
        unit_of_src = np.searchsorted(starts, self.trace.dependencies["src"][rows], side="right")
        unit_of_dst = np.searchsorted(starts, self.trace.dependencies["dst"][rows], side="right")
        return unit.first + np.flatnonzero(unit_of_src != unit_of_dst)

    def _edges(self, rows: Array, first: int) -> dict[str, Any]:
        """Dependencies by relationship as [source, target, order, confidence, how], ends from `first`.

        `how` lists what repeats: method and whether it was inferred.
        """
        d = self.trace.dependencies
        kinds = d["kind"][rows]
        known, how = np.unique(d["method"][rows].astype(np.int64) * 2 + d["inferred"][rows], return_inverse=True)
        texts = d.texts("method")
        columns = (d["src"][rows] - first, d["dst"][rows] - first, rows, d["confidence"][rows].astype(np.float64), how)
        parameters: dict[str, Any] = {"how": [[texts[code // 2].as_py(), bool(code % 2)] for code in known.tolist()]}
        for kind in self._kinds:
            at = np.flatnonzero(kinds == kind)
            parameters[RELATIONSHIPS[kind]] = list(zip(*(part[at].tolist() for part in columns), strict=True))
        return parameters


_EACH: Final = " UNWIND e[1] AS i WITH x, ns[i] AS n"
_CREATE: Final = (
    "WITH e, a, b, $how[e[4]] AS h "
    "CREATE (a)-[:{} {{order: e[2], method: h[0], inferred: h[1], confidence: e[3]}}]->(b)"
)


def _grouped(keys: Array) -> list[list[Any]]:
    """Positions by key; none for -1."""
    order = np.argsort(keys, kind="stable")
    order = order[np.searchsorted(keys[order], 0) :]
    found, starts = np.unique(keys[order], return_index=True)
    return [[key, positions.tolist()] for key, positions in zip(found.tolist(), np.split(order, starts[1:]))]


def _attach(parameter: str, text: str) -> str:
    return f"CALL (ns) {{ UNWIND ${parameter} AS e {text} }}"


def _text(text: bytes) -> str | bytes:
    """An attribute's JSON as text; as bytes where the source was no Unicode."""
    try:
        return text.decode()
    except UnicodeDecodeError:
        return text


def gaps(length: int, done: Iterable[Unit]) -> Iterator[tuple[int, int]]:
    """Ranges of a table's rows that no unit covers."""
    at = 0
    for first, last in [*sorted((unit.first, unit.last) for unit in done), (length, length)]:
        if at < first:
            yield at, first
        at = max(at, last)


def units_of(table: str, first: int, last: int, size: int) -> Iterator[Unit]:
    """Units of at most so many rows that cover a range of a table's, none across a window."""
    while first < last:
        end = min(first + size, last, (first // WINDOW + 1) * WINDOW)
        yield Unit(table, first, end)
        first = end
