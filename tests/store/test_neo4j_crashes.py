"""Processes and servers that die while a graph is written: what is visible is whole, and what was ready is there.

`ETGRAPH_CRASH_SEED`, `ETGRAPH_CRASH_KILLS` and `ETGRAPH_SERVER_KILLS` make other and longer runs of the random tests.
"""

from __future__ import annotations

import itertools
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pyarrow as pa
import pytest

from etgraph.model import Trace
from etgraph.model.errors import NotFound, StoreError
from etgraph.model.progress import Progress
from etgraph.store import Store, processes
from etgraph.store.neo4j import catalogue, connection
from etgraph.store.neo4j.connection import Connection
from etgraph.store.neo4j.migrations import missing
from etgraph.store.neo4j.writing import batched, deleting, lease, loading
from support.forks import Fork
from support.neo4j import Neo4jUnderTest

MakeTrace = Callable[..., Trace]
Same = Callable[[Trace, Trace], None]
NewStore = Callable[[], Store]
Census = dict[str, int]

SEED = int(os.environ.get("ETGRAPH_CRASH_SEED", "1"))
KILLS = int(os.environ.get("ETGRAPH_CRASH_KILLS", "54"))
SERVER_KILLS = int(os.environ.get("ETGRAPH_SERVER_KILLS", "2"))
NAMES = ("a", "b", "c")
REVISIONS = (1, 2, 3)

pytestmark = pytest.mark.neo4j


@pytest.fixture
def store(new_neo4j_store: NewStore) -> Iterator[Store]:
    """The empty database of the tests' server."""
    with new_neo4j_store() as opened:
        yield opened


def census(store: Store) -> Census:
    """How many nodes of each label and relationships of each type there are."""
    found = store.cypher(
        "MATCH (n) UNWIND labels(n) AS what RETURN ':' + what AS what, count(*) AS number "
        "UNION ALL MATCH ()-[r]->() RETURN type(r) AS what, count(*) AS number"
    )
    return dict(found.rows())


def serial(server: Neo4jUnderTest, new_store: NewStore, fill: Callable[[Store], object]) -> Census:
    """The census of an empty database that one process filled."""
    server.empty()
    with new_store() as store:
        fill(store)
        return census(store)


def value(store: Store, text: str, **values: Any) -> Any:
    """The one value that a query finds."""
    ((found,),) = store.cypher(text, values).rows()
    return found


def loads(store: Store, trace: Trace) -> list[tuple[int, str]]:
    """Number and state of what there is of a trace."""
    found = store.cypher("MATCH (t:Trace {id: $id}) RETURN t.key, t.state ORDER BY t.key", {"id": trace.trace_id})
    return [(key, state) for key, state in found.rows()]


def publish_slowly(new_store: NewStore, trace: Trace, rows: int = 100, **more: Any) -> None:
    """Publish in many transactions. For a child: the number of rows stays changed."""
    loading.ROWS = rows  # type: ignore[misc]
    with new_store() as store:
        store.publish(trace, **more)


def die_at(share: float) -> Progress:
    """A `progress` that kills its process when that share of the rows is written."""

    def progress(step: str, done: int = 0, total: int | None = None) -> None:
        if done >= share * (total or 0):
            os.kill(os.getpid(), signal.SIGKILL)

    return progress


def reaching(share: float, reached: threading.Event) -> Progress:
    """A `progress` that tells when that share of the rows is written."""

    def progress(step: str, done: int = 0, total: int | None = None) -> None:
        if done >= share * (total or 0):
            reached.set()

    return progress


# Loaders that are killed


@dataclass(slots=True)
class Visible:
    """What readers should see: the revision of each trace, and whose table lies beside it."""

    revisions: dict[str, int] = field(default_factory=dict)
    tables: dict[str, int] = field(default_factory=dict)

    def after(self, action: str, name: str, number: int) -> Visible:
        """The same after an operation."""
        revisions, tables = dict(self.revisions), dict(self.tables)
        if action == "publish" and number > revisions.get(name, 0):
            revisions[name] = number
            tables.pop(name, None)
        elif action == "remove":
            revisions.pop(name, None)
            tables.pop(name, None)
        elif action == "table" and name in revisions:
            tables[name] = number
        return Visible(revisions, tables)


def table_of(number: int) -> pa.Table:
    """A table that tells its number, and not shorter than several transactions' rows."""
    return pa.table({"number": np.full(400, number), "row": np.arange(400)})


def found_in(store: Store, traces: dict[tuple[str, int], Trace]) -> Visible:
    """What a reader sees by the catalogue and in the tables."""
    seen = Visible()
    ids = {traces[name, 1].trace_id: name for name in NAMES}
    for info in store.traces():
        seen.revisions[ids[info.id]] = info.revision
        table = store.get_artefact(info.id, "kind", "key")
        if table is not None:
            seen.tables[ids[info.id]] = table["number"][0].as_py()
    return seen


def change_at_random(new_store: NewStore, traces: dict[tuple[str, int], Trace], seed: int, log: Path) -> None:
    """Work on the store until killed: `?` and the operation before it, `!` after it."""
    rng = random.Random(seed)
    loading.ROWS = 100  # type: ignore[misc]
    deleting.BATCH = 500  # type: ignore[misc]
    with new_store() as store, log.open("w", buffering=1) as said:
        while True:
            action = rng.choices(("publish", "remove", "table"), (6, 2, 2))[0]
            name, number = rng.choice(NAMES), rng.choice(REVISIONS)
            trace = traces[name, number]
            said.write(f"?{action} {name} {number}\n")
            try:
                if action == "publish":
                    store.publish(trace, workload=name)
                elif action == "remove":
                    store.remove(trace.trace_id)
                else:
                    store.put_artefact(trace.trace_id, "kind", "key", table_of(number))
            except NotFound:
                pass
            said.write(f"!{action} {name} {number}\n")


def read_on(new_store: NewStore, traces: dict[tuple[str, int], Trace], same: Same, end: Path) -> None:
    """Load everything over and over: a trace is not there, or equal to one that was published."""
    with new_store() as store:
        while not end.exists():
            for name in NAMES:
                trace_id = traces[name, 1].trace_id
                try:
                    loaded = store.load(trace_id)
                    table = store.get_artefact(trace_id, "kind", "key")
                except NotFound:
                    continue
                same(loaded, traces[name, loaded.revision])
                assert table is None or table.equals(table_of(table["number"][0].as_py()))


def test_killed_loaders_leave_whole_traces_or_none(
    new_neo4j_store: NewStore, neo4j_server: Neo4jUnderTest, make_trace: MakeTrace, same: Same, tmp_path: Path
) -> None:
    rng = random.Random(SEED)
    traces = {(name, r): make_trace(name, each=1200, revision=r) for name in NAMES for r in REVISIONS}
    expected, within = Visible(), 0
    with Fork.of(lambda: read_on(new_neo4j_store, traces, same, tmp_path / "end")) as reader:
        for kill in range(KILLS):
            log = tmp_path / f"{kill}.log"
            victim = Fork.of(partial(change_at_random, new_neo4j_store, traces, rng.getrandbits(32), log))
            while not (log.exists() and log.stat().st_size) and not victim.ended():
                time.sleep(0.005)
            # It is at work now, so that no kill is spent on how it connects.
            time.sleep(rng.uniform(0, 0.7))
            victim.kill()
            assert victim.killed(), "it works until it is killed"
            told = [line.split() for line in log.read_text().splitlines()]
            for action, name, number in told:
                if action.startswith("!"):
                    expected = expected.after(action[1:], name, int(number))
            possible = [expected]
            if told[-1][0].startswith("?"):
                within += 1
                possible.append(expected.after(told[-1][0][1:], told[-1][1], int(told[-1][2])))
            with new_neo4j_store() as store:
                found = found_in(store, traces)
            assert found in possible, f"seed {SEED}, kill {kill}: {told[-3:]}"
            expected = found
            assert not reader.ended(), f"seed {SEED}, kill {kill}"
        (tmp_path / "end").touch()
        assert reader.well(), f"seed {SEED}"
    assert within > KILLS / 2, "most are killed in the midst of an operation"

    def complete(store: Store) -> None:
        for name in NAMES:
            store.publish(traces[name, 3], workload=name)
            store.put_artefact(traces[name, 3].trace_id, "kind", "key", table_of(3))

    with new_neo4j_store() as store:
        complete(store)
        store.sweep()
        assert store.verify() == []
        assert store.sweep() == []
        left = census(store)
    assert left == serial(neo4j_server, new_neo4j_store, complete), f"seed {SEED}"


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_a_killed_load_is_taken_up_where_it_ended(
    store: Store, new_neo4j_store: NewStore, make_trace: MakeTrace, same: Same, share: float
) -> None:
    trace = make_trace(each=600)
    victim = Fork.of(lambda: publish_slowly(new_neo4j_store, trace, progress=die_at(share)))
    assert victim.killed()
    with pytest.raises(NotFound):
        store.load(trace.trace_id)
    before = loads(store, trace)
    kept = value(store, "MATCH (o:Operator) RETURN collect(elementId(o))")
    assert share * len(trace) <= len(kept)
    told: list[int] = []

    def progress(step: str, done: int = 0, total: int | None = None) -> None:
        told.append(done)

    store.publish(make_trace("b"))
    store.publish(trace, progress=progress)
    assert told[0] >= len(kept), "what was written is not written again"
    assert loads(store, trace) == [(before[0][0], "ready")], "it is the same load"
    assert set(kept) <= set(value(store, "MATCH (o:Operator) RETURN collect(elementId(o))"))
    same(store.load(trace.trace_id), trace)
    assert store.sweep() == []


@pytest.mark.parametrize("again", [1, 3])
def test_a_killed_load_of_another_revision_is_not_taken_up(
    store: Store, new_neo4j_store: NewStore, make_trace: MakeTrace, same: Same, again: int
) -> None:
    other = make_trace(each=600, revision=2)
    assert Fork.of(lambda: publish_slowly(new_neo4j_store, other, progress=die_at(0.5))).killed()
    trace = make_trace(each=600, revision=again)
    store.publish(trace)
    same(store.load(trace.trace_id), trace)
    assert [state for _, state in loads(store, trace)] == ["ready"]
    assert value(store, "MATCH (o:Operator) RETURN count(*)") == len(trace)


@pytest.mark.parametrize("batches", [0, 1, 4, 12])
def test_a_killed_removal_is_finished_by_the_next_sweep(
    store: Store, new_neo4j_store: NewStore, make_trace: MakeTrace, same: Same, batches: int
) -> None:
    other, trace = make_trace("b"), make_trace(each=600)
    store.publish(other)
    before = census(store)
    store.publish(trace, workload="w")
    store.put_artefact(trace.trace_id, "kind", "key", table_of(1))
    delete_some = batched._delete_some
    rest = iter(range(batches))

    def die(*arguments: Any) -> int:
        if next(rest, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)
        return delete_some(*arguments)

    def remove() -> None:
        deleting.BATCH = 100  # type: ignore[misc]
        batched._delete_some = die
        with new_neo4j_store() as own:
            own.remove("w")

    assert Fork.of(remove).killed()
    with pytest.raises(NotFound):
        store.load(trace.trace_id)
    assert [info.id for info in store.traces()] == [other.trace_id]
    assert census(store) != before
    sweepers = [Fork.of(lambda: new_neo4j_store().sweep()) for _ in range(2)]
    assert [sweeper.well() for sweeper in sweepers] == [True, True]
    assert census(store) == before
    same(store.load(other.trace_id), other)


# Who is alive


def test_a_live_loader_keeps_what_it_has_written(
    store: Store, new_neo4j_store: NewStore, make_trace: MakeTrace, same: Same, tmp_path: Path
) -> None:
    trace = make_trace(each=600)

    def progress(step: str, done: int = 0, total: int | None = None) -> None:
        if done >= (total or 0) / 2:
            (tmp_path / "half").touch()
            while not (tmp_path / "go").exists():
                time.sleep(0.01)

    with Fork.of(lambda: publish_slowly(new_neo4j_store, trace, progress=progress)) as loader:
        while not (tmp_path / "half").exists():
            assert not loader.ended()
            time.sleep(0.01)
        assert store.sweep() == []
        store.publish(make_trace("b"))
        assert ("publishers", True) in [(check.name, check.ok) for check in store.health()]
        (tmp_path / "go").touch()
        assert loader.well()
    same(store.load(trace.trace_id), trace)


def test_a_loader_elsewhere_is_dead_when_it_has_been_silent_for_long(
    store: Store, new_neo4j_store: NewStore, make_trace: MakeTrace
) -> None:
    trace = make_trace(each=600)
    assert Fork.of(lambda: publish_slowly(new_neo4j_store, trace, progress=die_at(0.5))).killed()

    def owned(owner: str, silent_s: float) -> None:
        text = "MATCH (t:Trace {state: 'loading'}) SET t.owner = $owner, t.seen = timestamp() - $silent"
        store.cypher(text, {"owner": owner, "silent": int(silent_s * 1000)}, write=True)

    here = lease._machine()
    owned("elsewhere:1:x/1/0/abcd", 0.5 * lease.SECONDS)
    assert store.sweep() == []
    owned(f"{here}/{os.getppid()}/{processes.began(os.getppid())}/abcd", 0.5 * lease.SECONDS)
    assert store.sweep() == [], "a live process of this machine"
    for owner, silent in [
        (f"{here}/{os.getpid()}/{processes.began(os.getpid())}/abcd", 0),  # an earlier claim of this process
        (f"{here}/{os.getppid()}/1.0/abcd", 0),  # an earlier process of that number
        ("elsewhere:1:x/1/0/abcd", lease.SECONDS + 1),
    ]:
        owned(owner, silent)
        assert [key for key, _ in deleting.leftovers(store._connection)] != []  # type: ignore[attr-defined]
    assert store.sweep() == [f"{trace.trace_id[:12]} (load 1)"]
    assert value(store, "MATCH (n) WHERE NOT n:Store RETURN count(*)") == 0


def test_a_loader_that_hangs_is_replaced_and_writes_nothing_more(
    new_neo4j_store: NewStore,
    neo4j_server: Neo4jUnderTest,
    make_trace: MakeTrace,
    same: Same,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lease, "SECONDS", 1.0)
    monkeypatch.setattr(loading, "SECONDS", 3.0)
    monkeypatch.setattr(connection, "LONGEST_SECONDS", 5.0)
    rng = random.Random(SEED)
    trace = make_trace(each=1200)
    alone = serial(neo4j_server, new_neo4j_store, lambda store: store.publish(trace))
    for _ in range(4):
        neo4j_server.empty()
        with Fork.of(lambda: publish_slowly(new_neo4j_store, trace)) as hanging, new_neo4j_store() as store:
            time.sleep(rng.uniform(0.1, 0.8))
            hanging.stop()
            store.publish(trace)
            same(store.load(trace.trace_id), trace)
            hanging.go_on()
            assert hanging.well(), f"seed {SEED}"
            same(store.load(trace.trace_id), trace)
            assert census(store) == alone, f"seed {SEED}"


# Several at once


@pytest.mark.parametrize("revisions", [(1, 1), (1, 2), (2, 1)])
def test_two_loaders_of_one_trace_make_one_graph(
    new_neo4j_store: NewStore,
    neo4j_server: Neo4jUnderTest,
    make_trace: MakeTrace,
    same: Same,
    revisions: tuple[int, int],
) -> None:
    rng = random.Random(SEED)
    traces = [make_trace(each=300, revision=revision) for revision in revisions]
    newest = max(traces, key=lambda trace: trace.revision)
    alone = serial(neo4j_server, new_neo4j_store, lambda store: store.publish(newest, workload="w"))
    for _ in range(3):
        neo4j_server.empty()
        loaders = []
        for trace in traces:
            loaders.append(Fork.of(partial(publish_slowly, new_neo4j_store, trace, workload="w")))
            time.sleep(rng.uniform(0, 0.2))
        assert [loader.well() for loader in loaders] == [True, True], f"seed {SEED}"
        with new_neo4j_store() as store:
            same(store.load("w"), newest)
            store.sweep()
            assert census(store) == alone, f"seed {SEED}"


def test_eight_loaders_and_eight_readers_at_once_equal_one_after_the_other(
    new_neo4j_store: NewStore, neo4j_server: Neo4jUnderTest, make_trace: MakeTrace, same: Same, tmp_path: Path
) -> None:
    traces = [make_trace(str(number), each=200 + 10 * number) for number in range(8)]

    def fill(store: Store, *some: Trace) -> None:
        for trace in some:
            store.publish(trace, workload="w", team="t", labels={"id": trace.trace_id})
            store.put_artefact(trace.trace_id, "kind", "key", table_of(1))

    def load_one(trace: Trace) -> None:
        loading.ROWS = 50  # type: ignore[misc]
        with new_neo4j_store() as store:
            fill(store, trace)

    def read_all() -> None:
        with new_neo4j_store() as store:
            while not (tmp_path / "end").exists():
                for trace in traces:
                    time.sleep(0.02)  # eight that never pause leave the loaders little of a small machine
                    try:
                        same(store.load(trace.trace_id), trace)
                    except NotFound:
                        continue

    alone = serial(neo4j_server, new_neo4j_store, lambda store: fill(store, *traces))
    neo4j_server.empty()
    forget_indexes(new_neo4j_store)
    readers = [Fork.of(read_all) for _ in range(8)]
    loaders = [Fork.of(partial(load_one, trace)) for trace in traces]
    try:
        assert [loader.well() for loader in loaders] == [True] * 8
        (tmp_path / "end").touch()
        assert [reader.well() for reader in readers] == [True] * 8
    finally:
        for fork in (*loaders, *readers):
            fork.kill()
    with new_neo4j_store() as store:
        assert store.verify() == []
        assert sorted(info.id for info in store.traces(workload="w", team="t")) == sorted(t.trace_id for t in traces)
        for trace in traces:
            same(store.load(f"w@id={trace.trace_id}"), trace)
        assert all(check.ok for check in store.health())
        assert store.sweep() == []
        assert census(store) == alone


def forget_indexes(new_store: NewStore) -> None:
    """Make the database one that no store was ever in."""
    with new_store() as store:
        database: Connection = store._connection  # type: ignore[attr-defined]
        for (name,) in database.rows("SHOW CONSTRAINTS YIELD name RETURN name"):
            database.alter(f"DROP CONSTRAINT {name}")
        for (name,) in database.rows("SHOW INDEXES YIELD name WHERE name STARTS WITH 'etgraph' RETURN name"):
            database.alter(f"DROP INDEX {name}")


@pytest.mark.parametrize("clients", [1, 4])
def test_an_index_whose_constraint_was_never_made_is_not_in_the_way(
    store: Store, new_neo4j_store: NewStore, make_trace: MakeTrace, same: Same, clients: int
) -> None:
    forget_indexes(new_neo4j_store)
    database: Connection = store._connection  # type: ignore[attr-defined]
    for label in ("Trace", "Operator"):
        database.alter(f"CREATE INDEX etgraph_{label.lower()} FOR (n:{label}) ON (n.key)")
    traces = [make_trace(str(number)) for number in range(clients)]

    def publish(trace: Trace) -> None:
        with new_neo4j_store() as own:
            own.publish(trace)

    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(publish, traces))
    for trace in traces:
        same(store.load(trace.trace_id), trace)
    assert missing(database) == []
    owned = "SHOW INDEXES YIELD name, owningConstraint WHERE name = $name RETURN owningConstraint"
    assert database.rows(owned, {"name": "etgraph_trace"}) == [("etgraph_trace",)]


# Answers that are lost


def test_what_is_committed_unheard_is_done_once(
    new_neo4j_store: NewStore,
    neo4j_server: Neo4jUnderTest,
    make_trace: MakeTrace,
    same: Same,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def work(store: Store) -> None:
        for name in ("a", "b", "c"):
            store.publish(make_trace(name), workload="w", team="t", labels={"k": name})
        store.publish(make_trace("a", revision=2), workload="v")
        store.tag(make_trace("b").trace_id, "best")
        store.tag(make_trace("b").trace_id, "gone")
        store.untag("w", "gone")
        store.label("w@best", "k", "2")
        store.put_artefact(make_trace("b").trace_id, "kind", "key", table_of(1))
        store.remove("w")
        store.sweep()

    once = serial(neo4j_server, new_neo4j_store, work)
    write = Connection.write

    def write_twice(self: Connection, *arguments: Any, **options: Any) -> Any:
        write(self, *arguments, **options)
        return write(self, *arguments, **options)

    monkeypatch.setattr(Connection, "write", write_twice)
    neo4j_server.empty()
    with new_neo4j_store() as store:
        work(store)
        monkeypatch.setattr(Connection, "write", write)
        # The claim of a table is made twice; the one that is not used goes with the next sweep.
        store.sweep()
        assert census(store) == once
        same(store.load("v"), make_trace("a", revision=2))
        same(store.load("w@best"), make_trace("b"))
        assert store.verify() == []


def test_a_change_that_is_seen_in_part_is_looked_at_again(
    store: Store, new_neo4j_store: NewStore, make_trace: MakeTrace, same: Same, monkeypatch: pytest.MonkeyPatch
) -> None:
    trace = make_trace()
    store.publish(trace, workload="w")
    store.tag("w", "best")
    seen: list[str] = []

    def tagged(self: catalogue.GraphLookup, workload: str, name: str) -> str | None:
        seen.append(name)
        if len(seen) > 1:
            return trace.trace_id
        with new_neo4j_store() as other:
            other.label(trace.trace_id, "k", "v")
        return None

    monkeypatch.setattr(catalogue.GraphLookup, "tagged", tagged)
    same(store.load("w@best"), trace)
    assert len(seen) == 2


# A server that is killed


def test_a_load_survives_its_server_or_can_be_run_again(
    new_neo4j_store: NewStore, neo4j_server: Neo4jUnderTest, make_trace: MakeTrace, same: Same
) -> None:
    rng = random.Random(SEED)
    traces = [make_trace(str(number), each=1_000) for number in range(SERVER_KILLS)]
    small = mock.patch.object(loading, "ROWS", 100)
    # Delays between two attempts double, which would be spent on a server that is there again.
    eager = mock.patch("neo4j._sync.work.session.retry_delay_generator", return_value=itertools.repeat(0.5))
    try:
        for number, trace in enumerate(traces):
            # One load waits for the server to come back, the next gives up before.
            patience = mock.patch.object(connection, "RETRY_SECONDS", 1.0 if number % 2 else 60.0)
            with (
                new_neo4j_store() as other,
                patience,
                small,
                eager,
                new_neo4j_store() as store,
                ThreadPoolExecutor() as pool,
            ):
                there, reached = rng.uniform(0, 0.9), threading.Event()
                publishing = pool.submit(store.publish, trace, workload="w", progress=reaching(there, reached))
                assert reached.wait(120)
                neo4j_server.kill()
                neo4j_server.restart()
                before = loads(other, trace)
                assert [i.id for i in other.traces() if i.id != trace.trace_id] == ids_of(traces[:number])
                if (error := publishing.exception()) is not None:
                    assert isinstance(error, StoreError), f"seed {SEED}"
                    assert neo4j_server.uri in error.message
                    assert neo4j_server.password not in str(error)
                    other.publish(trace, workload="w")
                for ready in traces[max(0, number - 1) : number + 1]:
                    same(other.load(ready.trace_id), ready)
                if before:
                    assert loads(other, trace) == [(before[0][0], "ready")], f"seed {SEED}: it is the same load"
    finally:
        if neo4j_server.owned:
            neo4j_server.restart()
    with new_neo4j_store() as store:
        assert store.verify() == []
        assert store.sweep() == []
        left = census(store)
    assert left == serial(
        neo4j_server, new_neo4j_store, lambda store: [store.publish(trace, workload="w") for trace in traces]
    )


def ids_of(traces: list[Trace]) -> list[str]:
    """Their ids, newest first."""
    return [trace.trace_id for trace in reversed(traces)]
