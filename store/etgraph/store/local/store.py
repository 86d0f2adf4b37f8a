"""The local store: publishing, loading and naming traces in a folder."""

from __future__ import annotations

import copy
import shutil
import sqlite3
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

from etgraph.model import Trace, simulation_tables
from etgraph.model.accuracy import Score, Validation
from etgraph.model.errors import CorruptStore, EtgraphError, UsageError
from etgraph.model.progress import Progress
from etgraph.store.clock import now
from etgraph.store.errors import NetworkFileSystemWarning
from etgraph.store.local import files, queries, rows, staging
from etgraph.store.local.catalogue import NAME, Catalogue
from etgraph.store.local.failures import explained
from etgraph.store.local.filesystem import mount_of
from etgraph.store.local.mapping import open_batches, read_table
from etgraph.store.local.opened import Opened
from etgraph.store.local.records import LocalRecords
from etgraph.store.protocol import (
    ArtefactInfo,
    Check,
    CypherResult,
    Problem,
    TraceInfo,
    WorkloadInfo,
)
from etgraph.store.references import (
    Match,
    check_label,
    check_one_workload,
    check_publication,
    check_tag,
    no_id,
    no_simulation,
    no_tag,
    resolve,
    revision_differs,
)
from etgraph.store.rows import Neighbours, NeighboursRequest, Page, RowsRequest, checked
from etgraph.store.scoring import score_published
from etgraph.store.summary import describe
from etgraph.store.visible import Visible

if TYPE_CHECKING:
    import pyarrow as pa

A = TypeVar("A")
T = TypeVar("T")
_ARTEFACT: Final = "artefacts WHERE trace = ? AND kind = ? AND key = ?"
"""An artefact in the catalogue, as SQL."""


class LocalStore:
    """A store in a folder; see `etgraph.store.protocol.Store` for what each method promises."""

    def __init__(self, folder: Path) -> None:
        """Raises StoreError for a path that is no store and cannot become one, or is of a newer format.

        Warns with NetworkFileSystemWarning where several machines may write to the folder.
        """
        self.folder = folder.absolute()
        with explained(self.folder):
            self._mount = mount_of(self.folder)
        self._network = self._mount is not None and self._mount.network
        self._catalogue = Catalogue(self.folder, network=self._network)
        self._swept = False
        self._visible: Visible | None = None
        self._kept_open = Opened()
        self._catalogue.read(lambda connection: None)
        if self._network:
            warnings.warn(NetworkFileSystemWarning(self._network_words()), stacklevel=3)

    @property
    def url(self) -> str:
        """The folder as a `file://` URL."""
        return self.folder.as_uri()

    @property
    def records(self) -> LocalRecords:
        """See `Store.records`."""
        return LocalRecords(self._catalogue)

    def among(self, visible: Visible | None) -> LocalStore:
        """See `Store.among`. It shares the catalogue's connection."""
        found = copy.copy(self)
        found._visible = visible
        return found

    def __repr__(self) -> str:
        return f"<LocalStore {self.folder}>"

    def close(self) -> None:
        """Close the catalogue, and let traces go."""
        self._kept_open.clear()
        self._catalogue.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # Traces

    def publish(
        self,
        trace: Trace,
        *,
        workload: str | None = None,
        team: str | None = None,
        labels: Mapping[str, str] | None = None,
        commit: str | None = None,
        branch: str | None = None,
        progress: Progress | None = None,
    ) -> str:
        """See `Store.publish`. The row in the catalogue is the moment at which the trace is published."""
        details = {"team": team, "commit": commit, "branch": branch}
        check_publication(trace.trace_id, workload, details, labels or {})

        def enter(connection: sqlite3.Connection) -> None:
            queries.put_entry(connection, trace.trace_id, workload, details, labels or {}, self._visible)

        with self._writing() as connection:
            row = queries.trace_row(connection, trace.trace_id)
            there = row is not None and row.revision >= trace.revision
            if there:
                enter(connection)
        if not there:
            self._write(trace, enter)
        score_published(self, trace, workload)
        return trace.trace_id

    def _write(self, trace: Trace, enter: Callable[[sqlite3.Connection], None]) -> None:
        info = describe(trace)
        with self._stage(files.size_of(trace)) as stage:
            written = files.write_trace(stage.folder, trace)
            destination = f"{staging.TRACES}/{info.id[:2]}/{info.id}/{info.revision}-{stage.nonce}"
            stage.move(stage.folder, destination)
            with self._writing() as connection:
                row = queries.trace_row(connection, info.id)
                if row is not None and row.revision >= info.revision:
                    # Another publisher was faster with the same trace.
                    queries.discard(connection, destination)
                else:
                    queries.put_trace(connection, info, destination, written)
                enter(connection)
        if row is not None:
            self._collect_garbage()

    def load(self, reference: str) -> Trace:
        """See `Store.load`. Columns are mapped files; on a network file system they are read into memory."""
        return self._load(self._resolve(reference).trace_id)

    def _load(self, trace_id: str) -> Trace:
        return self._over_files(trace_id, self._read)

    def _read(self, row: queries.TraceRow) -> Trace:
        sizes = {file.name: file.bytes for file in row.files}
        return files.read_trace(self.folder / row.folder, sizes, copied=self._network)

    def _over_files(self, trace_id: str, read: Callable[[queries.TraceRow], T]) -> T:
        """Read files of a trace; again if the trace was replaced after its row was read."""
        tried: str | None = None
        while True:
            row = self._row(trace_id)
            try:
                with explained(self.folder):
                    try:
                        return read(row)
                    except FileNotFoundError as error:
                        raise CorruptStore(f"{error.filename}: the file is missing") from error
            except CorruptStore as error:
                # Names bear a nonce: the same fault twice is of a file that the catalogue still names.
                if error.message == tried:
                    raise
                tried = error.message

    def find(self, reference: str) -> TraceInfo:
        """See `Store.find`."""

        def ask(connection: sqlite3.Connection) -> TraceInfo:
            match = resolve(reference, self._lookup(connection))
            entry = queries.entries_of(connection, match.trace_id, match.workload, self._visible)[0][0]
            return queries.infos(connection, "e.id = ?", (entry,))[0]

        return self._catalogue.read(ask)

    def traces(
        self, *, workload: str | None = None, team: str | None = None, labels: Mapping[str, str] | None = None
    ) -> list[TraceInfo]:
        """See `Store.traces`."""
        seen, values = queries.among(self._visible)
        conditions = [seen]
        for column, wanted in (("workload", workload), ("team", team)):
            if wanted is not None:
                conditions.append(f"e.{column} = ?")
                values.append(wanted)
        for key, value in (labels or {}).items():
            conditions.append("EXISTS (SELECT 1 FROM labels l WHERE l.entry = e.id AND l.key = ? AND l.value = ?)")
            values += [key, value]
        return self._catalogue.read(lambda connection: queries.infos(connection, " AND ".join(conditions), values))

    def workloads(self, team: str | None = None) -> list[WorkloadInfo]:
        """See `Store.workloads`."""
        return self._catalogue.read(lambda connection: queries.workload_infos(connection, team, self._visible))

    # Parts of traces

    def rows(self, asked: Sequence[RowsRequest]) -> list[Page]:
        """See `Store.rows`. Mapped columns are looked at by NumPy."""
        opened = self._opened(one.trace_id for one in asked)
        return [rows.page(opened[one.trace_id], one) for one in map(checked, asked)]

    def count_rows(self, asked: Sequence[RowsRequest]) -> list[int]:
        """See `Store.count_rows`."""
        opened = self._opened(one.trace_id for one in asked)
        return [len(rows.matching(opened[one.trace_id], one)) for one in map(checked, asked)]

    def neighbours(self, asked: Sequence[NeighboursRequest]) -> list[Neighbours]:
        """See `Store.neighbours`."""
        return _by_trace(self._opened(one.trace_id for one in asked), asked, lambda one: one.trace_id, rows.neighbours)

    def attributes(self, asked: Sequence[tuple[str, int]]) -> list[dict[str, Any]]:
        """See `Store.attributes`. Texts are read a batch at a time."""

        def read(trace: Trace, some: Sequence[tuple[str, int]]) -> list[dict[str, Any]]:
            return rows.attributes_at(trace, [row for _, row in some])

        return _by_trace(self._opened(trace_id for trace_id, _ in asked), asked, lambda one: one[0], read)

    def _opened(self, traces: Iterable[str]) -> dict[str, Trace]:
        """Those traces, each opened once; they stay open where their columns are mapped."""

        def read(row: queries.TraceRow) -> Trace:
            return self._read(row) if self._network else self._kept_open.get(row.folder, partial(self._read, row))

        return {trace_id: self._over_files(trace_id, read) for trace_id in set(traces)}

    def remove(self, reference: str) -> None:
        """See `Store.remove`."""
        with self._changing(reference) as (connection, match):
            for entry, _ in queries.entries_of(connection, match.trace_id, None, self._visible):
                connection.execute("DELETE FROM entries WHERE id = ?", (entry,))
            row = queries.trace_row(connection, match.trace_id)
            if row is not None and not queries.entries_of(connection, match.trace_id, None):
                connection.execute("DELETE FROM traces WHERE id = ?", (match.trace_id,))
                queries.discard(connection, row.folder)
        self._collect_garbage()

    # Names

    def tag(self, reference: str, name: str) -> None:
        """See `Store.tag`."""
        check_tag(name)
        with self._changing(reference) as (connection, match):
            entries = queries.entries_of(connection, match.trace_id, match.workload, self._visible)
            named = [(entry, workload) for entry, workload in entries if workload is not None]
            check_one_workload(match.trace_id, [workload for _, workload in named])
            connection.execute(
                "INSERT INTO tags (entry, workload, name) VALUES (?, ?, ?) "
                "ON CONFLICT DO UPDATE SET entry = excluded.entry",
                (*named[0], name),
            )

    def untag(self, workload: str, name: str) -> None:
        """See `Store.untag`."""
        tags = self._catalogue.read(lambda connection: self._lookup(connection).tags_of(workload))
        if name not in tags:
            raise no_tag(workload, name, tags)
        with self._writing() as connection:
            connection.execute("DELETE FROM tags WHERE workload = ? AND name = ?", (workload, name))

    def label(self, reference: str, key: str, value: str) -> None:
        """See `Store.label`."""
        check_label(key, value)
        with self._changing(reference) as (connection, match):
            for entry, _ in queries.entries_of(connection, match.trace_id, match.workload, self._visible):
                queries.put_labels(connection, entry, {key: value})

    # Artefacts

    def put_artefact(self, trace_id: str, kind: str, key: str, table: pa.Table, *, revision: int | None = None) -> None:
        """See `Store.put_artefact`."""
        while not self._put_artefact(self._row(trace_id), kind, key, table, revision):
            pass
        self._collect_garbage()

    def _put_artefact(self, row: queries.TraceRow, kind: str, key: str, table: pa.Table, revision: int | None) -> bool:
        """Whether it is in; False where the trace was replaced meanwhile."""
        if revision not in (None, row.revision):
            raise revision_differs(row.id, row.revision, revision)
        with self._stage(table.nbytes) as stage:
            written: list[files.StoredFile] = []
            files.write_table(stage.folder, "table.arrow", table, written)
            source = stage.folder / "table.arrow"
            files.synchronise(source)
            destination = f"{row.folder}/artefacts/{stage.nonce}.arrow"
            try:
                stage.move(source, destination)
            except FileNotFoundError:
                return False
            with self._writing() as connection:
                present = queries.trace_row(connection, row.id)
                if present is None or present.folder != row.folder:
                    queries.discard(connection, destination)
                    return False
                before = connection.execute(f"SELECT file FROM {_ARTEFACT}", (row.id, kind, key)).fetchone()
                if before is not None:
                    queries.discard(connection, before[0])
                connection.execute(
                    "INSERT OR REPLACE INTO artefacts (trace, kind, key, file, bytes, sha256, created) "
                    "VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (row.id, kind, key, destination, written[0].bytes, written[0].sha256, now()),
                )
        return True

    def remove_artefact(self, trace_id: str, kind: str, key: str) -> bool:
        """See `Store.remove_artefact`."""
        own = (self._row(trace_id).id, kind, key)
        with self._writing() as connection:
            found = connection.execute(f"SELECT file FROM {_ARTEFACT}", own).fetchone()
            if found is not None:
                queries.discard(connection, found[0])
                connection.execute(f"DELETE FROM {_ARTEFACT}", own)
        self._collect_garbage()
        return found is not None

    def get_artefact(self, trace_id: str, kind: str, key: str) -> pa.Table | None:
        """See `Store.get_artefact`."""
        return self._of_artefact(trace_id, kind, key, partial(read_table, copied=self._network))

    def artefact_schema(self, trace_id: str, kind: str, key: str) -> pa.Schema | None:
        """See `Store.artefact_schema`."""
        return self._of_artefact(
            trace_id, kind, key, lambda path, size: open_batches(path, size, copied=self._network).schema
        )

    def _of_artefact(self, trace_id: str, kind: str, key: str, look: Callable[[Path, int], T]) -> T | None:
        """What a look at an artefact's file, of that many bytes, gives; None where there is none."""

        def read(row: queries.TraceRow) -> T | None:
            for info, file in self._artefacts(row.id):
                if (info.kind, info.key) == (kind, key):
                    return look(self.folder / file.name, file.bytes)
            return None

        return self._over_files(trace_id, read)

    def artefacts(self, trace_id: str) -> list[ArtefactInfo]:
        """See `Store.artefacts`."""
        self._row(trace_id)
        return [info for info, _ in self._artefacts(trace_id)]

    def _artefacts(self, trace_id: str) -> list[tuple[ArtefactInfo, files.StoredFile]]:
        return self._catalogue.read(lambda connection: queries.artefact_rows(connection, trace_id))

    def simulations_of(self, workload: str) -> list[tuple[str, str]]:
        """See `Store.simulations_of`."""
        return self._catalogue.read(lambda connection: queries.simulations_of(connection, workload))

    def put_validation(self, trace_id: str, simulation: str, measured: str, score: Score) -> None:
        """See `Store.put_validation`."""
        self._row(trace_id)
        with self._writing() as connection:
            for needed in (trace_id, measured):
                if queries.trace_row(connection, needed) is None:
                    raise no_id(needed)
            kept = {(info.kind, info.key) for info, _ in queries.artefact_rows(connection, trace_id)}
            if (simulation_tables.KIND, simulation) not in kept:
                raise no_simulation(trace_id, simulation)
            queries.put_validation(connection, trace_id, simulation, measured, score)

    def validations(self, trace_id: str) -> list[Validation]:
        """See `Store.validations`."""
        self._row(trace_id)
        return self._catalogue.read(lambda connection: queries.validations(connection, trace_id))

    # Cypher

    def cypher(
        self,
        text: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        write: bool = False,
        timeout_s: float = 60.0,
        limit: int = 100_000,
        **more: Any,
    ) -> CypherResult:
        """A local store has no Cypher; raises UsageError that says where to get it."""
        raise UsageError(
            "Cypher needs a Neo4j store, and this one is a folder: run 'etgraph neo4j start', then ingest and ask with "
            "--store neo4j://…, the address that it prints"
        )

    # Care

    def verify(self, reference: str | None = None) -> list[Problem]:
        """See `Store.verify`. Without a reference, SQLite checks its own file too."""
        if reference is not None:
            return self._verify_trace(self._resolve(reference).trace_id)
        problems: list[Problem] = []
        try:
            check = self._catalogue.read(lambda connection: connection.execute("PRAGMA integrity_check").fetchall())
        except CorruptStore as error:
            return [Problem("", NAME, error.message)]
        problems += [Problem("", NAME, str(row[0])) for row in check if row[0] != "ok"]
        for row in self._catalogue.read(lambda connection: connection.execute("SELECT id FROM traces").fetchall()):
            problems += self._verify_trace(row[0])
        return problems

    def _verify_trace(self, trace_id: str) -> list[Problem]:
        """Faults of one trace's files that two looks agree on: it may be replaced or removed during the first."""
        before: list[Problem] | None = None
        while True:
            row = self._catalogue.read(lambda connection: queries.trace_row(connection, trace_id))
            if row is None:
                return []
            stored = [(f"{row.folder}/{file.name}", file) for file in row.files]
            stored += [(file.name, file) for _, file in self._artefacts(trace_id)]
            faults = [(name, files.fault_of(self.folder / name, file)) for name, file in stored]
            problems = [Problem(trace_id, name, fault) for name, fault in faults if fault is not None]
            if not problems or problems == before:
                return problems
            before = problems

    def sweep(self) -> list[str]:
        """See `Store.sweep`. Also looks for folders that no row names, as a restored copy of a store may hold."""
        if not self._catalogue.path.exists():
            return []
        self._swept = True
        with self._catalogue.write():
            pass
        swept = self._sweep_stale()
        with explained(self.folder):
            swept += staging.sweep_unreferenced(self.folder, self._referenced)
        return swept

    def health(self) -> list[Check]:
        """See `Store.health`."""
        if not self._catalogue.path.exists():
            return [Check("store", True, f"{self.folder}: nothing published yet")]
        count, size = self._catalogue.read(
            lambda connection: connection.execute("SELECT count(*), coalesce(sum(bytes), 0) FROM traces").fetchone()
        )
        journal = self._catalogue.journal_mode()
        stale = len(list((self.folder / staging.STAGING).glob("*.lock")))
        free = shutil.disk_usage(self.folder).free
        writable = self._catalogue.writable
        return [
            Check("store", True, f"{self.folder}: {count} traces, {size} bytes"),
            Check("writable", writable, "yes" if writable else "no: traces can be read, but not published"),
            Check("catalogue", True, f"format {self._catalogue.format}, journal mode {journal}"),
            Check(
                "file system", not self._network,
                self._network_words() if self._network else str(self._mount or "unknown"),
            ),
            Check("free space", free > 0, f"{free} bytes"),
            Check("publishers", True, f"{stale} at work or left behind"),
        ]  # fmt: skip

    # Within

    def _network_words(self) -> str:
        return (
            f"store {self.folder} lies on a network file system ({self._mount}): it works with a rollback journal and "
            "without mapped files, slower, and as safe as that file system's locks; a local disk is better"
        )

    def _row(self, trace_id: str) -> queries.TraceRow:
        row = self._catalogue.read(lambda connection: queries.trace_row(connection, trace_id))
        if row is None:
            raise no_id(trace_id)
        return row

    def _resolve(self, reference: str) -> Match:
        return self._catalogue.read(lambda connection: resolve(reference, self._lookup(connection)))

    def _lookup(self, connection: sqlite3.Connection) -> queries.SqlLookup:
        return queries.SqlLookup(connection, self._visible)

    def _referenced(self, path: str) -> bool:
        return self._catalogue.read(lambda connection: queries.is_referenced(connection, path))

    @contextmanager
    def _stage(self, needed: int) -> Iterator[staging.Stage]:
        """A place to write about so many bytes; what an error leaves of it goes."""
        try:
            with explained(self.folder, needed=needed), staging.Stage(self.folder) as stage:
                yield stage
        except EtgraphError:
            self._sweep_quietly()
            raise

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction; before the first one, what crashed publishers left goes."""
        if not self._swept and self._catalogue.path.exists() and self._catalogue.writable:
            self._swept = True
            self._sweep_quietly()
        with self._catalogue.write() as connection:
            yield connection

    @contextmanager
    def _changing(self, reference: str) -> Iterator[tuple[sqlite3.Connection, Match]]:
        """A transaction on what a reference means; a reference to nothing does not make a store."""
        self._resolve(reference)
        with self._writing() as connection:
            yield connection, resolve(reference, self._lookup(connection))

    def _sweep_stale(self) -> list[str]:
        with explained(self.folder):
            return staging.sweep_stale(self.folder, self._referenced) + self._collect_garbage()

    def _sweep_quietly(self) -> None:
        """Sweep where it succeeds: what is left is harmless, and another's to report."""
        try:
            self._sweep_stale()
        except EtgraphError:
            pass

    def _collect_garbage(self) -> list[str]:
        """Delete what no row names any more; whoever comes next goes on where a process died."""
        listed = self._catalogue.read(lambda connection: connection.execute("SELECT path FROM garbage").fetchall())
        for (path,) in listed:
            staging.delete(self.folder, path)
        gone = [row for row in listed if not (self.folder / row[0]).exists()]
        if gone:
            with self._catalogue.write() as connection:
                connection.executemany("DELETE FROM garbage WHERE path = ?", gone)
        return [row[0] for row in gone]


def _by_trace(
    traces: Mapping[str, Trace],
    asked: Sequence[A],
    trace_of: Callable[[A], str],
    answer: Callable[[Trace, Sequence[A]], list[T]],
) -> list[T]:
    """The answers to what is asked of several traces, in order, where those of one trace come together."""
    found: dict[int, T] = {}
    for trace_id, trace in traces.items():
        numbers = [number for number, one in enumerate(asked) if trace_of(one) == trace_id]
        found |= zip(numbers, answer(trace, [asked[number] for number in numbers]))
    return [found[number] for number in range(len(asked))]
