"""The Neo4j store: publishing, loading and naming traces in a graph database."""

from __future__ import annotations

import copy
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

from etgraph.model import Trace
from etgraph.model.accuracy import Score, Validation
from etgraph.model.errors import NotFound
from etgraph.model.progress import Progress
from etgraph.store.neo4j import catalogue, health, rows
from etgraph.store.neo4j.address import parse
from etgraph.store.neo4j.artefacts import tables as artefacts
from etgraph.store.neo4j.artefacts import validations
from etgraph.store.neo4j.connection import Connection
from etgraph.store.neo4j.cypher import running as cypher
from etgraph.store.neo4j.failures import explained
from etgraph.store.neo4j.migrations import found_format, migrate, refuse_newer
from etgraph.store.neo4j.reading import read_trace
from etgraph.store.neo4j.records import Neo4jRecords
from etgraph.store.neo4j.types import Transaction
from etgraph.store.neo4j.writing import deleting, lease, loading
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
    no_tag,
    resolve,
)
from etgraph.store.rows import Neighbours, NeighboursRequest, Page, RowsRequest, checked
from etgraph.store.scoring import score_published
from etgraph.store.visible import Visible

if TYPE_CHECKING:
    import pyarrow as pa

T = TypeVar("T")

WAIT_SECONDS: Final = 0.25
"""How often a publisher looks whether another one, of the same trace, is through."""


class Neo4jStore:
    """A store in a database of a Neo4j server; see `etgraph.store.protocol.Store` for what each method promises."""

    def __init__(self, url: str) -> None:
        """Raises UsageError for a malformed URL, StoreError for a server that is not there, refuses or is too old."""
        self._connection = Connection(parse(url))
        self._visible: Visible | None = None
        self._prepared = threading.Event()
        self._preparing = threading.Lock()
        try:
            refuse_newer(self._connection.read(found_format), self.url)
        except BaseException:
            self._connection.close()
            raise

    @property
    def url(self) -> str:
        """The server and the database, without credentials."""
        return self._connection.url

    @property
    def records(self) -> Neo4jRecords:
        """See `Store.records`."""
        return Neo4jRecords(self._connection, self._prepare)

    def among(self, visible: Visible | None) -> Neo4jStore:
        """See `Store.among`. It shares the connections."""
        found = copy.copy(self)
        found._visible = visible
        return found

    def __repr__(self) -> str:
        return f"<Neo4jStore {self.url}>"

    def close(self) -> None:
        """Close the connections to the server."""
        self._connection.close()

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
        """See `Store.publish`. The state `ready` of the trace's node is the moment at which it is published."""
        details = {"team": team, "commit": commit, "branch": branch}
        check_publication(trace.trace_id, workload, details, labels or {})

        def enter(tx: Transaction, key: int, order: int) -> None:
            catalogue.put_entry(tx, key, order, workload, details, labels or {}, self._visible)

        self._prepare()
        with lease.owner() as owner:
            while not self._publish(trace, owner, enter, progress):
                time.sleep(WAIT_SECONDS)
        score_published(self, trace, workload)
        return trace.trace_id

    def _publish(
        self, trace: Trace, owner: str, enter: Callable[[Transaction, int, int], None], progress: Progress | None
    ) -> bool:
        """Whether the trace is published now; False while another publisher is at it, or has taken over."""

        def begin(tx: Transaction) -> loading.Claim | bool:
            order = catalogue.lock(tx)
            there = catalogue.ready(tx, trace.trace_id)
            if there is not None and there.revision >= trace.revision:
                enter(tx, there.key, order)
                return True
            return loading.claim(tx, trace, owner) or False

        claim = self._connection.write(begin)
        if isinstance(claim, bool):
            return claim

        def end(tx: Transaction) -> list[int]:
            """The keys of what has to be deleted now."""
            order = catalogue.lock(tx)
            there = catalogue.ready(tx, trace.trace_id)
            if there is None or there.revision < trace.revision:
                loading.finish(tx, claim)
                if there is not None:
                    catalogue.move_names(tx, there.key, claim.key)
                    loading.discard(tx, there.key)
                enter(tx, claim.key, order)
            else:
                # Another publisher was faster with the same trace, or this is in, and only the answer was lost.
                if there.key != claim.key:
                    loading.discard(tx, claim.key)
                enter(tx, there.key, order)
            return catalogue.condemned(tx, trace.trace_id)

        try:
            loading.fill(self._connection, trace, claim, progress)
            gone = self._connection.write(end)
        except loading.ClaimLost:
            return False
        for key in gone:
            deleting.delete(self._connection, key)
        return True

    def load(self, reference: str) -> Trace:
        """See `Store.load`. The trace's columns are in memory, its attributes in a temporary file."""
        while True:
            key = self._settled(lambda tx: self._key(tx, reference))
            trace = None if key is None else read_trace(self._connection, key)
            if trace is not None:
                return trace

    def _key(self, tx: Transaction, reference: str) -> int | None:
        there = catalogue.ready(tx, resolve(reference, self._lookup(tx)).trace_id)
        return None if there is None else there.key

    def find(self, reference: str) -> TraceInfo:
        """See `Store.find`."""

        def ask(tx: Transaction) -> list[TraceInfo]:
            match = resolve(reference, self._lookup(tx))
            return catalogue.entries_of(tx, match.trace_id, match.workload, self._visible)

        while not (found := self._settled(ask)):
            pass
        return found[0]

    def traces(
        self, *, workload: str | None = None, team: str | None = None, labels: Mapping[str, str] | None = None
    ) -> list[TraceInfo]:
        """See `Store.traces`."""
        condition, values = catalogue.conditions(workload, team, labels)
        return self._settled(lambda tx: catalogue.infos(tx, condition, values, self._visible))

    def workloads(self, team: str | None = None) -> list[WorkloadInfo]:
        """See `Store.workloads`."""
        return self._settled(lambda tx: catalogue.workload_infos(tx, team, self._visible))

    # Parts of traces

    def rows(self, asked: Sequence[RowsRequest]) -> list[Page]:
        """See `Store.rows`. Requests of one form make one statement, over their traces' ranges of keys."""
        checked_ones = list(map(checked, asked))
        return self._settled(lambda tx: rows.pages(tx, checked_ones))

    def count_rows(self, asked: Sequence[RowsRequest]) -> list[int]:
        """See `Store.count_rows`."""
        checked_ones = list(map(checked, asked))
        return self._settled(lambda tx: rows.counts(tx, checked_ones))

    def neighbours(self, asked: Sequence[NeighboursRequest]) -> list[Neighbours]:
        """See `Store.neighbours`."""
        return self._settled(lambda tx: rows.neighbours(tx, asked))

    def attributes(self, asked: Sequence[tuple[str, int]]) -> list[dict[str, Any]]:
        """See `Store.attributes`."""
        return self._settled(lambda tx: rows.attributes(tx, asked))

    def remove(self, reference: str) -> None:
        """See `Store.remove`."""

        done: list[tuple[int, bool]] = []

        def work(tx: Transaction, match: Match, key: int) -> None:
            last = catalogue.take_out(tx, key, self._visible)
            done.append((key, last))
            if last:
                loading.discard(tx, key)

        try:
            self._change(reference, work)
        except NotFound:
            # It is gone where only the answer was lost.
            if not done:
                raise
        key, last = done[-1]
        if last:
            deleting.delete(self._connection, key)

    # Names

    def tag(self, reference: str, name: str) -> None:
        """See `Store.tag`."""
        check_tag(name)

        def work(tx: Transaction, match: Match, key: int) -> None:
            workloads = catalogue.workloads_of(tx, key, match.workload, self._visible)
            check_one_workload(match.trace_id, workloads)
            catalogue.put_tag(tx, key, workloads[0], name)

        self._change(reference, work)

    def untag(self, workload: str, name: str) -> None:
        """See `Store.untag`."""
        tags = self._settled(lambda tx: self._lookup(tx).tags_of(workload))
        if name not in tags:
            raise no_tag(workload, name, tags)
        self._connection.write(lambda tx: catalogue.delete_tag(tx, workload, name))

    def label(self, reference: str, key: str, value: str) -> None:
        """See `Store.label`."""
        check_label(key, value)

        def work(tx: Transaction, match: Match, trace: int) -> None:
            catalogue.put_labels(tx, trace, match.workload, {key: value}, self._visible)

        self._change(reference, work)

    def _change(self, reference: str, work: Callable[[Transaction, Match, int], T]) -> T:
        """The result of a change of what a reference means; one that means nothing leaves the database as it is."""
        meant: list[Match] = []

        def change(tx: Transaction) -> T:
            catalogue.lock(tx)
            # A change that is repeated, although it was committed, is still one of the same trace.
            if not meant:
                meant.append(resolve(reference, self._lookup(tx)))
            return work(tx, meant[0], catalogue.required(tx, meant[0].trace_id).key)

        self._settled(lambda tx: resolve(reference, self._lookup(tx)))
        self._prepare()
        return self._connection.write(change)

    # Artefacts

    def put_artefact(self, trace_id: str, kind: str, key: str, table: pa.Table, *, revision: int | None = None) -> None:
        """See `Store.put_artefact`. Rows become nodes, so that Cypher reads them."""
        self._settled(lambda tx: catalogue.required(tx, trace_id))
        self._prepare()
        artefacts.put(self._connection, trace_id, kind, key, table, revision)

    def get_artefact(self, trace_id: str, kind: str, key: str) -> pa.Table | None:
        """See `Store.get_artefact`."""
        return artefacts.get(self._connection, trace_id, kind, key)

    def artefacts(self, trace_id: str) -> list[ArtefactInfo]:
        """See `Store.artefacts`."""
        return self._settled(lambda tx: artefacts.listed(tx, trace_id))

    def artefact_schema(self, trace_id: str, kind: str, key: str) -> pa.Schema | None:
        """See `Store.artefact_schema`."""
        return artefacts.schema(self._connection, trace_id, kind, key)

    def simulations_of(self, workload: str) -> list[tuple[str, str]]:
        """See `Store.simulations_of`."""
        return self._settled(lambda tx: validations.simulations_of(tx, workload))

    def put_validation(self, trace_id: str, simulation: str, measured: str, score: Score) -> None:
        """See `Store.put_validation`. It is one relationship, written in one transaction."""
        self._settled(lambda tx: catalogue.required(tx, trace_id))
        self._prepare()
        self._connection.write(lambda tx: validations.put(tx, trace_id, simulation, measured, score))

    def validations(self, trace_id: str) -> list[Validation]:
        """See `Store.validations`."""
        return self._settled(lambda tx: validations.listed(tx, trace_id))

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
        """See `Store.cypher`."""
        with explained(self.url):
            return cypher.run(
                self._connection.driver(), self._connection.address.database, text, {**(parameters or {}), **more},
                write=write, timeout_s=timeout_s, limit=limit, bookmark_manager=self._connection.bookmarks,
            )  # fmt: skip

    # Care

    def verify(self, reference: str | None = None) -> list[Problem]:
        """See `Store.verify`. A graph has no checksums: it must be whole and make a valid trace, edited or not."""
        if reference is not None:
            match = self._settled(lambda tx: resolve(reference, self._lookup(tx)))
            return health.verify(self._connection, match.trace_id)
        listed = self._connection.rows("MATCH (t:Trace {state: 'ready'}) RETURN t.id ORDER BY t.id")
        return [problem for (trace_id,) in listed for problem in health.verify(self._connection, trace_id)]

    def sweep(self) -> list[str]:
        """See `Store.sweep`."""
        return deleting.sweep(self._connection)

    def health(self) -> list[Check]:
        """See `Store.health`."""
        return health.checks(self._connection)

    # Within

    def _lookup(self, tx: Transaction) -> catalogue.GraphLookup:
        return catalogue.GraphLookup(tx, self._visible)

    def _settled(self, look: Callable[[Transaction], T]) -> T:
        return catalogue.settled(self._connection, look)

    def _prepare(self) -> None:
        """Before the first change: today's format, and without what publishers left that are long dead."""
        with self._preparing:
            if not self._prepared.is_set():
                migrate(self._connection)
                deleting.sweep(self._connection, deleting.RESUMABLE_SECONDS)
                self._prepared.set()
