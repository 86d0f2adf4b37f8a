"""Writing a trace's graph: claimed by one loader, in transactions that each note what they wrote, taken up again.

The trace's node comes first, in state `loading`, with one `Loader` node for every transaction in flight. A transaction
adds what it writes to its loader's list, so that a unit is written once, and none after the loaders are deleted: that
fences off whoever lost the claim. A transaction looks at its loader when it holds its lock: what it saw before may be
gone, and changes of what is gone are passed over in silence.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import numpy as np

from etgraph.model import Trace
from etgraph.model.columns import Array
from etgraph.model.errors import StoreError
from etgraph.model.progress import Progress
from etgraph.model.property_graph import NODES
from etgraph.store.neo4j import catalogue
from etgraph.store.neo4j.connection import Connection, rows_of
from etgraph.store.neo4j.description import source_properties, trace_properties
from etgraph.store.neo4j.failures import is_out_of_memory, is_out_of_time
from etgraph.store.neo4j.types import Transaction
from etgraph.store.neo4j.writing import lease
from etgraph.store.neo4j.writing.batches import CONTEXT, Batches, Statement, Unit, gaps, key_base, units_of

IN_FLIGHT: Final = 2
"""Transactions at a time: while the server works on one, the next is made ready and sent."""
ROWS: Final = 1000
"""Rows of a transaction, unless the server's memory for transactions is too small for them."""
FEWEST: Final = 32
SECONDS: Final = 60.0
"""The longest that a transaction may take: one of a loader that hangs holds up whoever takes over."""


class ClaimLost(StoreError):
    """Another loader took this one for dead and went on in its place."""

    code = "CLAIM_LOST"


@dataclass(frozen=True, slots=True)
class Claim:
    """A load that is this process's to finish: its number, the owner's name, and what was written already."""

    key: int
    owner: str
    done: tuple[Unit, ...] = ()


def claim(tx: Transaction, trace: Trace, owner: str) -> Claim | None:
    """A new load of a trace, or the one that a dead loader left; None while a live one is at it.

    To be called in a transaction that holds the catalogue's lock.
    """
    found = rows_of(
        tx,
        "MATCH (t:Trace {id: $id, state: 'loading'}) "
        "RETURN t.key, t.owner, timestamp() - t.seen, t.revision, t.operators, t.bytes",
        {"id": trace.trace_id},
    )
    properties = trace_properties(trace)
    wanted = tuple(properties[name] for name in ("revision", "operators", "bytes"))
    for key, holder, silent, *has in found:
        if holder == owner:
            return Claim(key, owner, _written(tx, key))
        if lease.is_alive(holder, silent):
            if tuple(has) == wanted:
                return None
        elif tuple(has) == wanted:
            return _take_over(tx, key, owner)
        else:
            discard(tx, key)
    return _begin(tx, trace, owner, properties)


def _begin(tx: Transaction, trace: Trace, owner: str, properties: dict[str, object]) -> Claim:
    ((key,),) = rows_of(tx, "MATCH (s:Store) SET s.loads = s.loads + 1 RETURN s.loads")
    base = key_base(key)
    tx.run(
        "CREATE (t:Trace {key: $key, state: 'loading', owner: $owner, seen: timestamp()}) SET t += $properties "
        "WITH t UNWIND $sources AS source CREATE (t)-[:READ_FROM]->(f:Source) SET f = source",
        {
            "key": key, "owner": owner, "properties": properties,
            "sources": [
                {"key": base + at, **source_properties(s)} for at, s in enumerate(trace.metadata.sources)
            ],
        },
    ).consume()  # fmt: skip
    _new_loaders(tx, key, ())
    return Claim(key, owner)


def _take_over(tx: Transaction, key: int, owner: str) -> Claim:
    done = _written(tx, key)
    tx.run("MATCH (l:Loader)-[:FILLS]->(:Trace {key: $key}) DETACH DELETE l", {"key": key}).consume()
    _new_loaders(tx, key, done)
    tx.run(
        "MATCH (t:Trace {key: $key}) SET t.owner = $owner, t.seen = timestamp()", {"key": key, "owner": owner}
    ).consume()
    return Claim(key, owner, done)


def _new_loaders(tx: Transaction, key: int, done: Sequence[Unit]) -> None:
    base = key_base(key)
    tx.run(
        "MATCH (t:Trace {key: $key}) UNWIND $rows AS r CREATE (:Loader {key: r[0], written: r[1]})-[:FILLS]->(t)",
        {
            "key": key,
            "rows": [[base + slot, [] if slot else [str(unit) for unit in done]] for slot in range(IN_FLIGHT)],
        },
    ).consume()


def _written(tx: Transaction, key: int) -> tuple[Unit, ...]:
    # Taking the loaders' locks waits for their transactions in flight.
    found = rows_of(
        tx,
        "MATCH (l:Loader)-[:FILLS]->(:Trace {key: $key}) SET l.taken = true RETURN l.written",
        {"key": key},
    )
    return tuple(Unit.parse(text) for (written,) in found for text in written)


def discard(tx: Transaction, key: int) -> None:
    """Make a trace invisible for good; `etgraph.store.neo4j.writing.deleting` deletes its nodes."""
    catalogue.forget(tx, key)
    tx.run("MATCH (t:Trace {key: $key}) SET t.state = 'deleting' REMOVE t.owner, t.seen", {"key": key}).consume()


def fill(connection: Connection, trace: Trace, claim: Claim, progress: Progress | None = None) -> None:
    """Write what is missing of a claimed trace's graph. Raises StoreError; what was written stays for the next try."""
    with lease.Lease(connection, "Trace", claim.key, claim.owner):
        _Filling(connection, trace, claim, progress).run()


def finish(tx: Transaction, claim: Claim) -> None:
    """Let readers see a trace that is written. Raises ClaimLost where it is another's to finish."""
    found = rows_of(
        tx,
        "MATCH (t:Trace {key: $key, owner: $owner, state: 'loading'}) SET t.state = 'ready' REMOVE t.owner, t.seen "
        "WITH t OPTIONAL MATCH (l:Loader)-[:FILLS]->(t) DETACH DELETE l RETURN count(*)",
        {"key": claim.key, "owner": claim.owner},
    )
    if not found[0][0]:
        raise _lost(claim)


def _lost(claim: Claim) -> ClaimLost:
    return ClaimLost(f"load {claim.key}: another loader took it over", hint="it is finished there; nothing is lost")


class _Filling:
    """One run over all units of a trace that are missing."""

    def __init__(self, connection: Connection, trace: Trace, claim: Claim, progress: Progress | None) -> None:
        self._connection = connection
        self._trace = trace
        self._claim = claim
        self._batches = Batches(trace, claim.key)
        self._size = ROWS
        self._progress = progress
        self._total = sum(len(trace.tables[name]) for name in NODES)
        self._count = sum(unit.last - unit.first for unit in claim.done if unit.table in NODES)
        self._mutex = threading.Lock()
        self._done: list[Unit] = list(claim.done)

    def run(self) -> None:
        """Tables that others refer to one by one, then operators and the rest, then what joins units of operators."""
        self._tell()
        if not any(unit.table == "ranks" for unit in self._done):
            self._write_all([[Unit("ranks", 0, 1)]])
        for name in CONTEXT:
            self._write_all(self._packed([name]))
        self._write_all(self._packed([name for name in NODES if name not in CONTEXT]))
        starts = np.array(sorted(u.first for u in self._done if u.table == "operators"), dtype=np.int64)
        self._write_all(self._links(starts), starts)

    def _packed(self, tables: Iterable[str]) -> Iterator[list[Unit]]:
        """Units of some tables, small ones together up to a transaction's rows."""
        waiting: list[Unit] = []
        for name in tables:
            for first, last in self._missing(name):
                for unit in units_of(name, first, last, self._size):
                    if waiting and sum(u.last - u.first for u in [*waiting, unit]) > self._size:
                        yield waiting
                        waiting = []
                    waiting.append(unit)
        if waiting:
            yield waiting

    def _links(self, starts: Array) -> Iterator[list[Unit]]:
        for first, last in self._missing("dependencies"):
            for unit in self._batches.link_units(starts, first, last, self._size):
                yield [unit]

    def _missing(self, table: str) -> list[tuple[int, int]]:
        """Ranges of a table's rows that are not written."""
        return list(gaps(len(self._trace.tables[table]), [unit for unit in self._done if unit.table == table]))

    def _write_all(self, jobs: Iterable[list[Unit]], starts: Array | None = None) -> None:
        """Write jobs, several at a time; the first error ends all."""
        coming = iter(jobs)
        failed = threading.Event()

        def work(slot: int) -> None:
            while not failed.is_set():
                with self._mutex:
                    job = next(coming, None)
                if job is None:
                    return
                try:
                    self._write(slot, job, starts)
                except BaseException:
                    failed.set()
                    raise

        with ThreadPoolExecutor(IN_FLIGHT, thread_name_prefix="etgraph-load") as pool:
            errors = [future.exception() for future in [pool.submit(work, slot) for slot in range(IN_FLIGHT)]]
        for error in errors:
            if error is not None:
                raise error

    def _write(self, slot: int, job: list[Unit], starts: Array | None) -> None:
        try:
            if any(unit.table in NODES and unit.last - unit.first > self._size for unit in job):
                # Another transaction was too large after this job was made.
                raise _TooLarge
            statements = [statement for unit in job for statement in self._statements(unit, starts)]
            self._send(slot, job, statements)
        except _TooLarge as error:
            for part in self._smaller(job, error):
                self._write(slot, part, starts)
            return
        with self._mutex:
            self._done += job
            self._count += sum(unit.last - unit.first for unit in job if unit.table in NODES)
            self._tell()

    def _statements(self, unit: Unit, starts: Array | None) -> list[Statement]:
        if unit.table == "ranks":
            return [self._batches.rank_nodes()]
        if unit.table == "dependencies":
            assert starts is not None
            return self._batches.links(unit, starts)
        return [self._batches.nodes(unit)]

    def _send(self, slot: int, job: list[Unit], statements: list[Statement]) -> None:
        try:
            self._connection.write(lambda tx: self._transact(tx, slot, job, statements), SECONDS, divisible=True)
        except StoreError as error:
            if is_out_of_time(error.__cause__) or is_out_of_memory(error.__cause__):
                raise _TooLarge(error) from error
            raise
        finally:
            for statement in statements:
                statement.release()

    def _transact(self, tx: Transaction, slot: int, job: list[Unit], statements: list[Statement]) -> None:
        names = [str(unit) for unit in job]
        found = rows_of(
            tx,
            "MATCH (l:Loader {key: $key}) SET l.taken = true WITH count(*) AS locked "
            "MATCH (l:Loader {key: $key})-[:FILLS]->(:Trace {owner: $owner}) WITH l, l.written AS before "
            "SET l.written = before + [u IN $units WHERE NOT u IN before] RETURN $units[0] IN before",
            {"key": key_base(self._claim.key) + slot, "owner": self._claim.owner, "units": names},
        )
        if not found:
            raise _lost(self._claim)
        if found[0][0]:
            # It was committed, and only the answer was lost.
            return
        for statement in statements:
            tx.run(statement.text, statement.parameters).consume()

    def _smaller(self, job: list[Unit], error: _TooLarge) -> list[list[Unit]]:
        """The job in smaller ones, and smaller ones from now on."""
        if len(job) > 1:
            return [[unit] for unit in job]
        (unit,) = job
        rows = unit.last - unit.first
        if error.cause is not None:
            if rows <= FEWEST:
                raise error.cause
            with self._mutex:
                self._size = max(FEWEST, min(self._size, rows // 2))
        if unit.table not in NODES:
            return [[half] for half in unit.halves()]
        return [[part] for part in units_of(unit.table, unit.first, unit.last, self._size)]

    def _tell(self) -> None:
        if self._progress is not None:
            self._progress("writing", self._count, self._total)


class _TooLarge(Exception):
    """A transaction was too large for the server's memory or its time; no error that the driver would try again."""

    def __init__(self, cause: BaseException | None = None) -> None:
        super().__init__(str(cause))
        self.cause = cause
