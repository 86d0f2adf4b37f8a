"""The catalogue file: opening it in every state that it can be in, its format, and transactions."""

from __future__ import annotations

import os
import sqlite3
import threading
import urllib.parse
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final, TypeVar

from etgraph.model.errors import StoreError
from etgraph.store.errors import ReadOnlyStore, UnknownFormat
from etgraph.store.local.failures import explained
from etgraph.store.local.staging import STAGING, TRACES, locked

T = TypeVar("T")

NAME: Final = "catalogue.sqlite"
LOCK: Final = "catalogue.lock"
APPLICATION_ID: Final = int.from_bytes(b"etgr", "big")
BUSY_SECONDS = 30.0
_OURS = {NAME, f"{NAME}-wal", f"{NAME}-shm", f"{NAME}-journal", LOCK, STAGING, TRACES, "lost+found"}

Migration = Sequence[str]

MIGRATIONS: Final[tuple[Migration, ...]] = (
    (
        """CREATE TABLE traces (
            id TEXT PRIMARY KEY, revision INTEGER NOT NULL, folder TEXT NOT NULL UNIQUE, bytes INTEGER NOT NULL,
            summary TEXT NOT NULL) STRICT""",
        """CREATE TABLE files (
            trace TEXT NOT NULL REFERENCES traces ON DELETE CASCADE, name TEXT NOT NULL, bytes INTEGER NOT NULL,
            sha256 TEXT NOT NULL, PRIMARY KEY (trace, name)) STRICT, WITHOUT ROWID""",
        """CREATE TABLE entries (
            id INTEGER PRIMARY KEY AUTOINCREMENT, trace TEXT NOT NULL REFERENCES traces ON DELETE CASCADE,
            workload TEXT, team TEXT, commit_id TEXT, branch TEXT, created TEXT NOT NULL,
            UNIQUE (trace, workload)) STRICT""",
        "CREATE INDEX entries_workload ON entries (workload)",
        """CREATE TABLE labels (
            entry INTEGER NOT NULL REFERENCES entries ON DELETE CASCADE, key TEXT NOT NULL, value TEXT NOT NULL,
            PRIMARY KEY (entry, key)) STRICT, WITHOUT ROWID""",
        """CREATE TABLE tags (
            workload TEXT NOT NULL, name TEXT NOT NULL, entry INTEGER NOT NULL REFERENCES entries ON DELETE CASCADE,
            PRIMARY KEY (workload, name)) STRICT, WITHOUT ROWID""",
        "CREATE INDEX tags_entry ON tags (entry)",
        """CREATE TABLE artefacts (
            trace TEXT NOT NULL REFERENCES traces ON DELETE CASCADE, kind TEXT NOT NULL, key TEXT NOT NULL,
            file TEXT NOT NULL UNIQUE, bytes INTEGER NOT NULL, sha256 TEXT NOT NULL, created TEXT NOT NULL,
            PRIMARY KEY (trace, kind, key)) STRICT, WITHOUT ROWID""",
        "CREATE TABLE garbage (path TEXT PRIMARY KEY) STRICT, WITHOUT ROWID",
    ),
    (
        """CREATE TABLE validations (
            trace TEXT NOT NULL, kind TEXT NOT NULL, simulation TEXT NOT NULL,
            measured TEXT NOT NULL REFERENCES traces ON DELETE CASCADE, score TEXT NOT NULL, created TEXT NOT NULL,
            PRIMARY KEY (trace, simulation, measured),
            FOREIGN KEY (trace, kind, simulation) REFERENCES artefacts ON DELETE CASCADE) STRICT, WITHOUT ROWID""",
        "CREATE INDEX validations_measured ON validations (measured)",
        "CREATE INDEX validations_simulation ON validations (trace, kind, simulation)",
    ),
    (
        """CREATE TABLE records (
            kind TEXT NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL, document TEXT NOT NULL,
            created TEXT NOT NULL, changed TEXT NOT NULL, PRIMARY KEY (kind, name)) STRICT, WITHOUT ROWID""",
    ),
)
"""Statements that bring a catalogue from format n to n + 1; its format is their number, kept in `user_version`."""


class Catalogue:
    """The SQLite file of one store folder. Connections are opened when first needed, and again after a fork."""

    def __init__(self, folder: Path, *, network: bool = False, migrations: Sequence[Migration] = MIGRATIONS) -> None:
        """`network`: use rollback journalling, since other machines may write to the file."""
        self.folder = folder
        self.path = folder / NAME
        self._network = network
        self._migrations = migrations
        self._connection: sqlite3.Connection | None = None
        self._opened: tuple[int, int, int] | None = None
        self._mutex = threading.RLock()

    @property
    def format(self) -> int:
        """The format that this version writes."""
        return len(self._migrations)

    @property
    def writable(self) -> bool:
        """Whether this process may write to the folder, or make it."""
        if self.folder.exists():
            existing = self.path.exists()
            return os.access(self.folder, os.W_OK | os.X_OK) and (not existing or os.access(self.path, os.W_OK))
        parent = next((p for p in self.folder.absolute().parents if p.exists()), None)
        return parent is not None and os.access(parent, os.W_OK | os.X_OK)

    def close(self) -> None:
        """Close the connection of this process."""
        with self._mutex:
            if self._connection is not None and self._opened is not None and self._opened[0] == os.getpid():
                self._connection.close()
            self._connection = self._opened = None

    def read(self, question: Callable[[sqlite3.Connection], T]) -> T:
        """Ask within one snapshot. A store that does not exist yet answers as an empty one."""
        with self._mutex, explained(self.folder):
            if not self.path.exists():
                self.check_folder()
                with closing(sqlite3.connect(":memory:", isolation_level=None)) as empty:
                    migrate(empty, self._migrations, self.path)
                    return question(empty)
            if self.writable:
                return _snapshot(self._open(), question)
            return self._read_only(question)

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """One transaction, committed at the end and rolled back when the block raises. Makes the store if need be."""
        with self._mutex, explained(self.folder):
            if not self.writable:
                raise ReadOnlyStore(
                    f"store {self.folder}: this process may not write to it",
                    hint="check the owner and permissions of the store's folder",
                )
            connection = self._open()
            connection.execute("BEGIN IMMEDIATE")
            try:
                # Another version may have changed the format since this connection was opened.
                _refuse_newer(connection, self.format, self.path)
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def check_folder(self) -> None:
        """Refuse, without touching it, a path that is no store and cannot become one."""
        try:
            names = set(os.listdir(self.folder))
        except FileNotFoundError:
            return
        except NotADirectoryError:
            raise StoreError(f"store {self.folder}: found a file, expected a folder") from None
        if NAME in names:
            return
        foreign = sorted(name for name in names - _OURS if not name.startswith("."))
        if foreign:
            more = ", …" if len(foreign) > 3 else ""
            raise StoreError(
                f"{self.folder} is no store: found {', '.join(foreign[:3])}{more}, expected an empty folder or {NAME}",
                hint="name another folder; one that does not exist is made",
            )
        if TRACES in names and os.listdir(self.folder / TRACES):
            raise StoreError(
                f"store {self.folder}: found traces without {NAME}, expected both", hint="restore it from a copy"
            )

    def journal_mode(self) -> str:
        """How SQLite makes transactions atomic in this file: `wal`, or `delete` for a rollback journal."""
        return str(self.read(lambda connection: connection.execute("PRAGMA journal_mode").fetchone()[0]))

    def _open(self) -> sqlite3.Connection:
        """The connection of this process for reading and writing, to the file that is there now."""
        try:
            there = os.stat(self.path)
            identity = (os.getpid(), there.st_dev, there.st_ino)
            if self._connection is not None and self._opened == identity:
                return self._connection
        except FileNotFoundError:
            self.check_folder()
        # A connection must not be used, nor closed, by the child of the process that opened it.
        if self._opened is not None and self._opened[0] == os.getpid() and self._connection is not None:
            self._connection.close()
        self._connection = None
        self.folder.mkdir(parents=True, exist_ok=True)
        connection = self._connect_current() or self._create()
        there = os.stat(self.path)
        self._connection, self._opened = connection, (os.getpid(), there.st_dev, there.st_ino)
        return connection

    def _connect_current(self) -> sqlite3.Connection | None:
        """A connection to a catalogue of today's format; None where it has yet to be made or migrated."""
        if not self.path.exists():
            return None
        connection = self._connect("rw")
        try:
            if format_of(connection, self.path) == self.format and not (
                self._network and connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
            ):
                _refuse_newer(connection, self.format, self.path)
                self._configure(connection)
                return connection
            _refuse_newer(connection, self.format, self.path)
        except BaseException:
            connection.close()
            raise
        connection.close()
        return None

    def _create(self) -> sqlite3.Connection:
        """Make or migrate the catalogue. One process does, the others wait for it and find it done."""
        with locked(self.folder / LOCK):
            connection = self._connect("rwc")
            try:
                made = format_of(connection, self.path)
                if self._network:
                    # Without shared memory only an exclusive user can take a file out of WAL mode.
                    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
                    connection.execute("PRAGMA journal_mode = DELETE")
                    connection.execute("PRAGMA locking_mode = NORMAL")
                elif made == 0:
                    connection.execute("PRAGMA journal_mode = WAL")
                self._configure(connection)
                migrate(connection, self._migrations, self.path)
            except BaseException:
                connection.close()
                raise
            return connection

    def _connect(self, mode: str) -> sqlite3.Connection:
        path = urllib.parse.quote(str(self.path.absolute()))
        connection = sqlite3.connect(
            f"file:{path}?{'mode=ro&immutable=1' if mode == 'immutable' else 'mode=' + mode}",
            uri=True,
            timeout=BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,
        )
        connection.execute("PRAGMA foreign_keys = ON")
        return connection

    def _configure(self, connection: sqlite3.Connection) -> None:
        # FULL makes a commit survive a power failure in WAL mode; a rollback journal needs EXTRA for that.
        mode = connection.execute("PRAGMA journal_mode").fetchone()[0]
        connection.execute(f"PRAGMA synchronous = {'FULL' if mode == 'wal' else 'EXTRA'}")

    def _read_only(self, question: Callable[[sqlite3.Connection], T]) -> T:
        """Ask a catalogue in a folder where no file can be made, so that WAL's shared memory may be out of reach.

        With no write-ahead log beside it the file is complete and read as it is; if someone writes meanwhile, again.
        """
        wal = self.folder / f"{NAME}-wal"
        for _ in range(10):
            before = _state(self.path, wal)
            mode = "ro" if before[1] is not None else "immutable"
            try:
                with closing(self._connect(mode)) as connection:
                    found = format_of(connection, self.path)
                    _refuse_newer(connection, self.format, self.path)
                    if found < self.format:
                        raise UnknownFormat(
                            f"{self.path}: found format {found}, expected {self.format}",
                            hint="open the store once where it is writable; that brings it to today's format",
                        )
                    answer = _snapshot(connection, question)
            except sqlite3.DatabaseError:
                if _state(self.path, wal) == before:
                    raise
                continue
            if mode == "ro" or _state(self.path, wal) == before:
                return answer
        raise StoreError(f"{self.path}: changed during each of ten attempts to read it", hint="try again")


def _state(path: Path, wal: Path) -> tuple[object, object]:
    file = os.stat(path)
    try:
        log: object = os.stat(wal).st_ino if os.stat(wal).st_size else None
    except FileNotFoundError:
        log = None
    return (file.st_ino, file.st_size, file.st_mtime_ns), log


def _snapshot(connection: sqlite3.Connection, question: Callable[[sqlite3.Connection], T]) -> T:
    if connection.in_transaction:
        return question(connection)
    connection.execute("BEGIN")
    try:
        return question(connection)
    finally:
        connection.execute("COMMIT")


def format_of(connection: sqlite3.Connection, path: Path) -> int:
    """The format of a catalogue, 0 for an empty file. Raises StoreError for a database that is no catalogue."""
    asked = ("PRAGMA user_version", "PRAGMA application_id", "SELECT count(*) FROM sqlite_schema")
    # Another process may make the catalogue at this moment: all of it is seen, or nothing.
    found, owner, tables = _snapshot(connection, lambda one: [int(one.execute(text).fetchone()[0]) for text in asked])
    if owner == APPLICATION_ID:
        return found
    if owner or found or tables:
        raise StoreError(f"{path}: found a database of another application, expected the catalogue of a store")
    return 0


def _refuse_newer(connection: sqlite3.Connection, known: int, path: Path) -> None:
    found = connection.execute("PRAGMA user_version").fetchone()[0]
    if found > known:
        raise UnknownFormat(
            f"{path}: found format {found}, expected {known} or older; nothing was touched",
            hint="a newer etgraph wrote this store: upgrade, or use another folder",
        )


def migrate(connection: sqlite3.Connection, migrations: Sequence[Migration], path: Path) -> None:
    """Bring a catalogue to the newest format in one transaction; a failure leaves it as it was."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        found = format_of(connection, path)
        _refuse_newer(connection, len(migrations), path)
        for migration in migrations[found:]:
            for statement in migration:
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {len(migrations)}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
