"""Records as nodes of the graph: a document is JSON, its texts also stand on the node, where queries find them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from itertools import count
from typing import Any, Final

from etgraph.store.clock import now
from etgraph.store.neo4j.connection import Connection, rows_of
from etgraph.store.neo4j.types import Transaction
from etgraph.store.records import Record, conflict, encoded

_FIELD: Final = "field."
"""What begins the property that holds a text of the document."""
_TOLD: Final = "r.kind, r.name, r.version, r.document, r.created, r.changed"
_LOCKED: Final = (
    "MATCH (r:Record {key: $key}) SET r.locked = true REMOVE r.locked RETURN r.version, r.created, r.document"
)
"""Reads what no other transaction changes until this one ends."""


class Neo4jRecords:
    """See `etgraph.store.records.Records`."""

    def __init__(self, connection: Connection, prepare: Callable[[], None]) -> None:
        """`prepare` makes what the database must have before something is written."""
        self._connection = connection
        self._prepare = prepare

    def get(self, kind: str, name: str) -> Record | None:
        """See `Records.get`."""
        found = self._connection.rows(f"MATCH (r:Record {{key: $key}}) RETURN {_TOLD}", {"key": _key(kind, name)})
        return _record(found[0]) if found else None

    def find(
        self,
        kind: str,
        where: Mapping[str, str] | None = None,
        *,
        after: str | None = None,
        first: int = 1000,
        newest: bool = False,
    ) -> list[Record]:
        """See `Records.find`."""
        behind = "" if after is None else f" AND r.name {'<' if newest else '>'} $after"
        text = f"""MATCH (r:Record {{kind: $kind}})
            WHERE all(field IN keys($where) WHERE r[field] = $where[field]){behind}
            RETURN {_TOLD} ORDER BY r.name {"DESC" if newest else ""} LIMIT $first"""
        values = {_FIELD + field: value for field, value in (where or {}).items()}
        found = self._connection.rows(text, {"kind": kind, "where": values, "after": after, "first": first})
        return [_record(row) for row in found]

    def put(self, kind: str, name: str, document: Mapping[str, Any], version: int | None = None) -> Record:
        """See `Records.put`."""
        text = encoded(kind, name, document)
        fields = {_FIELD + field: value for field, value in document.items() if isinstance(value, str)}
        moment = now()
        attempts = count()

        def keep(tx: Transaction) -> Record:
            again = next(attempts) > 0
            # Whoever comes first makes the node; a second one waits for its lock, and sees what the first wrote.
            rows_of(tx, "MERGE (r:Record {key: $key}) ON CREATE SET r.version = 0", {"key": _key(kind, name)})
            [(there, created, kept)] = rows_of(tx, _LOCKED, {"key": _key(kind, name)})
            if again and version is not None and there == version + 1 and kept == text:
                there = version  # it is in already, and only the answer was lost
            if version is not None and version != there:
                raise conflict(kind, name, version, there)
            properties = {
                "key": _key(kind, name), "kind": kind, "name": name, "version": there + 1, "document": text,
                "created": created or moment, "changed": moment,
            }  # fmt: skip
            rows_of(
                tx, "MATCH (r:Record {key: $properties.key}) SET r = $properties", {"properties": properties | fields}
            )
            return Record(kind, name, there + 1, json.loads(text), created or moment, moment)

        self._prepare()
        return self._connection.write(keep)

    def remove(self, kind: str, name: str, version: int | None = None) -> bool:
        """See `Records.remove`."""

        def delete(tx: Transaction) -> bool:
            found = rows_of(tx, _LOCKED, {"key": _key(kind, name)})
            there = found[0][0] if found else 0
            if version is not None and version != there:
                raise conflict(kind, name, version, there)
            rows_of(tx, "MATCH (r:Record {key: $key}) DELETE r", {"key": _key(kind, name)})
            return bool(found)

        return self._connection.write(delete)


def _key(kind: str, name: str) -> str:
    return f"{kind}/{name}"


def _record(row: tuple[Any, ...]) -> Record:
    kind, name, version, document, created, changed = row
    return Record(kind, name, version, json.loads(document), created, changed)
