"""Records in the catalogue of a folder."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from typing import Any

from etgraph.store.clock import now
from etgraph.store.local.catalogue import Catalogue
from etgraph.store.records import Record, conflict, encoded

_SELECT = "SELECT kind, name, version, document, created, changed FROM records"


class LocalRecords:
    """See `etgraph.store.records.Records`."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    def get(self, kind: str, name: str) -> Record | None:
        """See `Records.get`."""
        row = self._catalogue.read(lambda connection: _row(connection, kind, name))
        return None if row is None else _record(row)

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
        conditions, values = ["kind = ?"], [kind]
        for field, value in (where or {}).items():
            conditions.append("json_extract(document, ?) = ?")
            values += [f"$.{field}", value]
        if after is not None:
            conditions.append(f"name {'<' if newest else '>'} ?")
            values.append(after)
        text = f"{_SELECT} WHERE {' AND '.join(conditions)} ORDER BY name {'DESC' if newest else 'ASC'} LIMIT ?"
        rows = self._catalogue.read(lambda connection: connection.execute(text, (*values, first)).fetchall())
        return [_record(row) for row in rows]

    def put(self, kind: str, name: str, document: Mapping[str, Any], version: int | None = None) -> Record:
        """See `Records.put`."""
        text = encoded(kind, name, document)
        with self._catalogue.write() as connection:
            row = _row(connection, kind, name)
            there = 0 if row is None else row[2]
            if version is not None and version != there:
                raise conflict(kind, name, version, there)
            moment = now()
            created = moment if row is None else row[4]
            connection.execute(
                "INSERT OR REPLACE INTO records (kind, name, version, document, created, changed) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                (kind, name, there + 1, text, created, moment),
            )
        return Record(kind, name, there + 1, json.loads(text), created, moment)

    def remove(self, kind: str, name: str, version: int | None = None) -> bool:
        """See `Records.remove`."""
        if self.get(kind, name) is None and version is None:
            return False  # a store that is not there yet is not made for nothing
        with self._catalogue.write() as connection:
            row = _row(connection, kind, name)
            there = 0 if row is None else row[2]
            if version is not None and version != there:
                raise conflict(kind, name, version, there)
            connection.execute("DELETE FROM records WHERE kind = ? AND name = ?", (kind, name))
        return row is not None


def _row(connection: sqlite3.Connection, kind: str, name: str) -> Any:
    return connection.execute(f"{_SELECT} WHERE kind = ? AND name = ?", (kind, name)).fetchone()


def _record(row: Any) -> Record:
    kind, name, version, document, created, changed = row
    return Record(kind, name, version, json.loads(document), created, changed)
