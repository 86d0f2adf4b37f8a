"""What the database must have before a trace goes in: constraints and indexes, by version."""

from __future__ import annotations

import random
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from etgraph.model.errors import StoreError
from etgraph.model.property_graph import NODES
from etgraph.store.errors import UnknownFormat
from etgraph.store.neo4j.connection import Connection, rows_of
from etgraph.store.neo4j.failures import is_in_the_way
from etgraph.store.neo4j.types import Transaction

ROOT: Final = "etgraph"
"""Name of the one `Store` node of a database, which counts changes and says of which format the graph is."""

SECONDS: Final = 60.0
"""How long a client waits for others that make the same indexes."""

_MAKING = "SHOW TRANSACTIONS YIELD currentQuery WHERE currentQuery = $statement RETURN currentQuery"
_LEFT = "SHOW INDEXES YIELD name, owningConstraint WHERE name = $name AND owningConstraint IS NULL RETURN name"

KEYED: Final = (
    *(table.label for table in NODES.values()), "Rank", "Trace", "Source", "Loader", "Artefact",
    "ArtefactRow",
)  # fmt: skip
"""Labels of the nodes that are found by their `key`, an integer or text that no other node of the label has."""


@dataclass(frozen=True, slots=True)
class Index:
    """An index on properties of a label's nodes; with `unique`, no two nodes have the same values."""

    label: str
    properties: tuple[str, ...]
    unique: bool = True

    @property
    def name(self) -> str:
        """The name under which it is made."""
        return "_".join(["etgraph", self.label.lower(), *(self.properties if not self.unique else ())])

    @property
    def statement(self) -> str:
        """Cypher that makes it where it is not."""
        properties = ", ".join(f"n.{name}" for name in self.properties)
        if self.unique:
            return f"CREATE CONSTRAINT {self.name} IF NOT EXISTS FOR (n:{self.label}) REQUIRE ({properties}) IS UNIQUE"
        return f"CREATE INDEX {self.name} IF NOT EXISTS FOR (n:{self.label}) ON ({properties})"


_TRACES: Final = (
    Index("Store", ("name",)),
    *(Index(label, ("key",)) for label in KEYED),
    Index("Workload", ("name",)),
    Index("Team", ("name",)),
    Index("Tag", ("workload", "name")),
    Index("Trace", ("id",), unique=False),
    Index("Trace", ("state",), unique=False),
)
_RECORDS: Final = (Index("Record", ("key",)), Index("Record", ("kind",), unique=False))

MIGRATIONS: Final[tuple[tuple[Index, ...], ...]] = (_TRACES, _RECORDS)
"""What brings a database from format n to n + 1. Each may be made again: another client may have."""

INDEXES: Final = tuple(index for migration in MIGRATIONS for index in migration)
"""What a database of today's format has."""

FORMAT: Final = len(MIGRATIONS)


def found_format(tx: Transaction) -> int:
    """The format of a database, 0 where nothing of etgraph is in it."""
    found = rows_of(tx, "MATCH (s:Store {name: $name}) RETURN s.format", {"name": ROOT})
    return int(found[0][0] or 0) if found else 0


def refuse_newer(found: int, url: str) -> None:
    """Raise UnknownFormat for a graph that a newer version wrote."""
    if found > FORMAT:
        raise UnknownFormat(
            f"store {url}: found format {found}, expected {FORMAT} or older; nothing was touched",
            hint="a newer etgraph wrote this database: upgrade, or use another one",
        )


def migrate(connection: Connection) -> None:
    """Bring a database to today's format. What fails midway is taken up by the next that tries."""
    found = connection.read(found_format)
    refuse_newer(found, connection.url)
    for migration in MIGRATIONS[found:]:
        for index in migration:
            _make(connection, index)
    if found < FORMAT:
        connection.alter("CALL db.awaitIndexes(300)")
        connection.write(_enter_format)


def _make(connection: Connection, index: Index) -> None:
    """Make an index where it is not, also where one without its constraint is left of a client that died meanwhile.

    The server makes a constraint's index first, and then the constraint. Between the two the index is in the way of
    others, who wait for whoever makes it; one that nobody is making any more is dropped.
    """
    until = time.monotonic() + SECONDS
    while True:
        try:
            connection.alter(index.statement)
            return
        except StoreError as error:
            if not is_in_the_way(error.__cause__) or time.monotonic() > until:
                raise
        time.sleep(random.uniform(0.1, 0.5))
        if index.unique and not connection.rows(_MAKING, {"statement": index.statement}):
            with suppress(StoreError):  # another client has made its constraint
                if connection.rows(_LEFT, {"name": index.name}):
                    connection.alter(f"DROP INDEX {index.name} IF EXISTS")


def missing(connection: Connection) -> list[str]:
    """Names of constraints and indexes that the database should have, and has not, under whatever name."""
    found = {
        (*labels, tuple(properties), unique)
        for labels, properties, unique in connection.rows(
            "SHOW INDEXES YIELD labelsOrTypes, properties, owningConstraint "
            "WHERE size(properties) > 0 RETURN labelsOrTypes, properties, owningConstraint IS NOT NULL"
        )
        if len(labels) == 1
    }
    return [index.name for index in INDEXES if (index.label, index.properties, index.unique) not in found]


def _enter_format(tx: Transaction) -> None:
    tx.run(
        "MERGE (s:Store {name: $name}) ON CREATE SET s.changes = 0, s.loads = 0 "
        "SET s.format = CASE WHEN s.format > $format THEN s.format ELSE $format END",
        {"name": ROOT, "format": FORMAT},
    ).consume()
