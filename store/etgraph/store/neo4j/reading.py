"""Reading a trace's graph back into columns: by ranges of keys, a column of a range as one list."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any, Final

import numpy as np

from etgraph.model import TABLES, Attributes, AttributeWriter, Columns, DependencyKind, Trace
from etgraph.model.columns import Array
from etgraph.model.errors import CorruptStore
from etgraph.model.property_graph import NODES, Decoded, NodeTable, decode
from etgraph.model.schema import Column
from etgraph.store.neo4j.connection import Connection, rows_of
from etgraph.store.neo4j.description import metadata_of
from etgraph.store.neo4j.types import Transaction
from etgraph.store.neo4j.writing.batches import CONTEXT, RELATIONSHIPS, key_base

PAGE: Final = 25_000
"""Keys of a range."""
IN_FLIGHT: Final = 2
"""Ranges at a time: while one becomes arrays, the server collects the next."""

_KINDS: Final = {name: kind for kind, name in RELATIONSHIPS.items()}
_PARENT: Final = TABLES["operators"].column("parent")


def read_trace(connection: Connection, key: int) -> Trace | None:
    """The trace of a load, None where it is not, or no longer, what readers see.

    Raises CorruptStore for a value that no column can hold. What others change meanwhile may be seen in part.
    """
    found = connection.rows(
        "MATCH (t:Trace {key: $key, state: 'ready'}) RETURN properties(t), "
        "COLLECT { MATCH (t)-[:READ_FROM]->(f:Source) RETURN properties(f) ORDER BY f.key }",
        {"key": key},
    )
    if not found:
        return None
    node, sources = found[0]
    try:
        with ThreadPoolExecutor(IN_FLIGHT, thread_name_prefix="etgraph-load") as pool:
            tables, attributes = _Reader(connection, key, pool).read(node.get("attributeRows", []))
    except Exception:
        # What is deleted meanwhile fails in any way.
        if _is_ready(connection, key):
            raise
        return None
    # Before anything of a trace is deleted its state changes: what was read before that is whole.
    if not _is_ready(connection, key):
        return None
    return Trace(
        **tables,
        attributes=attributes,
        metadata=metadata_of(node, sources),
        trace_id=node["id"],
        revision=node["revision"],
    )


def _is_ready(connection: Connection, key: int) -> bool:
    return bool(connection.rows("MATCH (t:Trace {key: $key, state: 'ready'}) RETURN t.key", {"key": key}))


@dataclass(frozen=True, slots=True)
class _Page:
    """Nodes of a range of keys: their columns, the parents' indices, and attributes by row."""

    keys: Array
    columns: Columns
    parents: Array
    attribute_rows: Array
    attributes: list[str | bytes]


class _Reader:
    """One trace's tables, those first that others refer to."""

    def __init__(self, connection: Connection, key: int, pool: ThreadPoolExecutor) -> None:
        self._connection = connection
        self._first, self._last = key_base(key), key_base(key + 1)
        self._pool = pool
        self._keys: dict[str, Array] = {}

    def read(self, attribute_rows: Sequence[int]) -> tuple[dict[str, Any], Attributes]:
        """All tables, and the attributes in files of so many rows."""
        tables: dict[str, Any] = {}
        rows: dict[str, Array] = {}
        texts: dict[int, str | bytes] = {}
        ends = self._ends()
        for name in (*CONTEXT, *(name for name in NODES if name not in CONTEXT)):
            if not ends[name]:
                self._keys[name] = np.zeros(0, dtype=np.int64)
                continue
            pages = list(self._pool.map(lambda r, table=NODES[name]: self._page(table, *r), self._ranges(ends[name])))
            self._keys[name] = np.concatenate([page.keys for page in pages])
            columns = Columns.concat([page.columns for page in pages])
            if name == "operators":
                columns = _with_parents(columns, np.concatenate([page.parents for page in pages]))
            tables[name] = columns
            rows[name] = np.concatenate([page.attribute_rows for page in pages])
            for page in pages:
                texts.update(zip(page.attribute_rows[page.attribute_rows >= 0].tolist(), page.attributes))
        tables.setdefault("operators", Columns.empty(TABLES["operators"]))
        if ends["operators"]:
            tables["dependencies"] = self._dependencies(ends["operators"])
        if ends["process_groups"]:
            tables["group_members"] = self._members()
        attributes, number = _attributes(texts, attribute_rows)
        for name, at in rows.items():
            if (at >= 0).any():
                tables[name] = tables[name].replace({"attrs": number(at)})
        return tables, attributes

    def _ends(self) -> dict[str, int | None]:
        """The key after the last of each table, None where it has none."""

        def ask(tx: Transaction) -> dict[str, int | None]:
            return {name: self._end(tx, table) for name, table in NODES.items()}

        return self._connection.read(ask)

    def _end(self, tx: Transaction, table: NodeTable) -> int | None:
        found = rows_of(
            tx,
            f"MATCH (n:{table.label}) WHERE n.key >= $first AND n.key < $last RETURN n.key ORDER BY n.key DESC LIMIT 1",
            {"first": self._first, "last": self._last},
        )
        return int(found[0][0]) + 1 if found else None

    def _ranges(self, end: int | None) -> Iterator[tuple[int, int]]:
        assert end is not None
        return pairwise([*range(self._first, end, PAGE), end])

    def _page(self, table: NodeTable, first: int, last: int) -> _Page:
        return self._connection.read(lambda tx: self._page_in(tx, table, first, last))

    def _page_in(self, tx: Transaction, table: NodeTable, first: int, last: int) -> _Page:
        limits = {"first": first, "last": last}
        keys, held = _lists(tx, table, limits)
        at = np.array(keys, dtype=np.int64)
        columns = self._columns(tx, table, at, held, limits)
        rows = np.full(len(keys), -1, dtype=np.int64)
        documents = [text for text in held.get("attrs", ()) if text is not None]
        if documents:
            rows = _numbers(held["attrsRow"])
            if np.count_nonzero(rows >= 0) != len(documents):
                raise CorruptStore(f"{self._connection.url}: nodes {table.label}: found attrs without attrsRow")
        parents = _numbers(held.get("parent") or [None] * len(keys))
        return _Page(at, columns, parents, rows, documents)

    def _columns(
        self, tx: Transaction, table: NodeTable, keys: Array, held: dict[str, list[Any]], limits: dict[str, int]
    ) -> Columns:
        """The columns of some nodes, but parents and attributes, out of their properties and relationships."""
        data: dict[str, Any] = {}
        texts: dict[str, Any] = {}
        masks: dict[str, Any] = {}
        for column in table.properties:
            values = held[column.neo4j]
            if column is _PARENT or (not values and column.nullable):
                continue
            found = self._decoded(table, column, values, len(keys))
            data[column.name] = found.array
            if found.texts is not None:
                texts[column.name] = found.texts
            if found.valid is not None:
                masks[column.name] = found.valid
        for column in table.references:
            if len(self._keys[column.refers]):
                data[column.name] = self._references(tx, table, column, keys, limits)
        try:
            return Columns(table.table, data, texts, masks, length=len(keys))
        except (ValueError, OverflowError) as error:
            raise CorruptStore(f"{self._connection.url}: nodes {table.label}: {error}") from error

    def _decoded(self, table: NodeTable, column: Column, values: list[Any], count: int) -> Decoded:
        if len(values) != count:
            raise CorruptStore(
                f"{self._connection.url}: nodes {table.label}: found {len(values)} with {column.neo4j}, "
                f"expected {count}"
            )
        try:
            return decode(column, values)
        except (TypeError, ValueError, OverflowError) as error:
            raise CorruptStore(
                f"{self._connection.url}: nodes {table.label}, property {column.neo4j}: {error}",
                hint="a client changed it; correct it, or remove the trace and ingest it again",
            ) from error

    def _references(
        self, tx: Transaction, table: NodeTable, column: Column, keys: Array, limits: dict[str, int]
    ) -> Array:
        """The rows that some nodes' relationships lead to, -1 where there is none."""
        target = NODES[column.refers]
        ((sources, targets),) = rows_of(
            tx,
            f"MATCH (n:{table.label})-[:{column.neo4j}]->(x:{target.label}) WHERE n.key >= $first AND n.key < $last "
            "RETURN collect(n.key), collect(x.key)",
            limits,
        )
        rows = np.full(len(keys), -1, dtype=np.int32)
        at, known = _positions(keys, sources)
        to, led = _positions(self._keys[column.refers], targets)
        rows[at[known & led]] = to[known & led]
        return rows

    def _dependencies(self, end: int | None) -> Columns:
        """All dependencies in the table's order; those without a place in it, which a client added, come last."""
        found = [row for rows in self._pool.map(lambda r: self._dependencies_of(*r), self._ranges(end)) for row in rows]
        operators = self._keys["operators"]
        methods: dict[str, int] = {}
        parts = []
        for kind, method, inferred, confidence, sources, targets, order in found:
            (src, known), (dst, led) = _positions(operators, sources), _positions(operators, targets)
            both = known & led
            code = methods.setdefault(method, len(methods))
            parts.append(
                (
                    src[both], dst[both], np.full(len(src), int(DependencyKind(_KINDS[kind])))[both],
                    np.full(len(src), inferred)[both], np.full(len(src), code, dtype=np.int32)[both],
                    np.array(confidence, dtype=np.float32)[both], np.array(order, dtype=np.int64)[both],
                )
            )  # fmt: skip
        if not parts:
            return Columns.empty(TABLES["dependencies"])
        *columns, order = (np.concatenate(column) for column in zip(*parts, strict=True))
        placed = np.argsort(order, kind="stable")
        names = ("src", "dst", "kind", "inferred", "method", "confidence")
        data = {name: column[placed] for name, column in zip(names, columns, strict=True)}
        return Columns(TABLES["dependencies"], data, {"method": list(methods)})

    def _dependencies_of(self, first: int, last: int) -> list[tuple[Any, ...]]:
        """Dependencies whose source is in a range of keys, as one list of each column for each kind of them."""
        return self._connection.rows(
            f"""MATCH (a:Operator)-[r:{"|".join(_KINDS)}]->(b:Operator) WHERE a.key >= $first AND a.key < $last
            WITH type(r) AS kind, coalesce(r.method, 'edited') AS method, coalesce(r.inferred, false) AS inferred,
                 collect(toFloat(coalesce(r.confidence, 1))) AS confidence, collect(a.key) AS src,
                 collect(b.key) AS dst, collect(coalesce(r.order, $none)) AS order
            RETURN kind, method, inferred, confidence, src, dst, order""",
            {"first": first, "last": last, "none": 2**62},
        )

    def _members(self) -> Columns:
        found = self._connection.rows(
            "MATCH (g:ProcessGroup) WHERE g.key >= $first AND g.key < $last AND g.ranks IS NOT NULL "
            "RETURN g.key, g.ranks ORDER BY g.key",
            {"first": self._first, "last": self._last},
        )
        if not found:
            return Columns.empty(TABLES["group_members"])
        groups, _ = _positions(self._keys["process_groups"], [key for key, _ in found])
        return Columns(
            TABLES["group_members"],
            {
                "group": np.repeat(groups, [len(ranks) for _, ranks in found]),
                "rank": np.array([rank for _, ranks in found for rank in ranks], dtype=np.int64),
            },
        )


def _lists(tx: Transaction, table: NodeTable, limits: dict[str, int]) -> tuple[list[int], dict[str, list[Any]]]:
    """Keys of the nodes of a range, and their properties by name: a value a node, none at all where all are null."""
    wanted = [column.neo4j for column in table.properties]
    if any(column.refers == "attributes" for column in table.table.columns):
        wanted += ["attrsRow", "attrs"]
    scan = f"MATCH (n:{table.label}) WHERE n.key >= $first AND n.key < $last WITH n ORDER BY n.key "
    # `collect` leaves nulls out; only a column that has both values and nulls is asked for again, with them.
    (lists,) = rows_of(tx, f"{scan} RETURN collect(n.key), {', '.join(f'collect(n.{p})' for p in wanted)}", limits)
    keys, held = lists[0], dict(zip(wanted, lists[1:], strict=True))
    mixed = [p for p, values in held.items() if values and len(values) != len(keys)]
    if mixed:
        again = ", ".join(f"[n IN ns | n.{p}]" for p in mixed)
        (lists,) = rows_of(tx, f"{scan} WITH collect(n) AS ns RETURN size(ns), {again}", limits)
        held |= dict(zip(mixed, lists[1:], strict=True))
    return keys, held


def _numbers(values: list[int | None]) -> Array:
    """Numbers of rows, -1 for none."""
    return np.array([-1 if value is None else value for value in values], dtype=np.int64)


def _positions(keys: Array, wanted: Sequence[int] | Array) -> tuple[Array, Array]:
    """Where keys stand among ascending ones, and whether they do."""
    values = np.array(wanted, dtype=np.int64)
    at = np.searchsorted(keys, values)
    at[at == len(keys)] = 0
    return at, (keys[at] == values) if len(keys) else np.zeros(len(values), dtype=bool)


def _with_parents(operators: Columns, parents: Array) -> Columns:
    """Operators with the rows of their parents, given by index within the rank."""
    if not (parents >= 0).any():
        return operators
    keys = (operators["rank"].astype(np.int64) << 32) + operators["index"]
    at, known = _positions(keys, (operators["rank"].astype(np.int64) << 32) + np.maximum(parents, 0))
    return operators.replace({"parent": np.where(known & (parents >= 0), at, -1)})


def _attributes(texts: dict[int, str | bytes], rows: Sequence[int]) -> tuple[Attributes, Any]:
    """Attributes in files of so many rows, or in one where rows are missing; and a function from old rows to new."""
    if not texts:
        return Attributes.none(), None
    held = np.array(sorted(texts), dtype=np.int64)
    whole = len(held) == sum(rows) == held[-1] + 1
    parts = []
    for first, last in pairwise(accumulate(rows, initial=0) if whole else (0, len(held))):
        with AttributeWriter() as writer:
            writer.extend([_bytes(texts[row]) for row in held[first:last].tolist()])
        parts.append(writer.attributes)
    return Attributes.concat(parts), lambda at: np.where(at < 0, -1, np.searchsorted(held, at))


def _bytes(text: str | bytes) -> bytes:
    return text.encode() if isinstance(text, str) else bytes(text)
