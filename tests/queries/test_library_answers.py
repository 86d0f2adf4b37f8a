"""What the library's queries answer: a trace, a query, and the expected table."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from etgraph.model import TABLES, Columns, NodeType, Trace
from etgraph.queries import artefact_of, critical_path, library, load_simulation, save_simulation, slack, waterfall
from etgraph.store import Store, connect
from support.build import build
from support.neo4j import Neo4jUnderTest
from support.predictions import predicted

Ask = Callable[..., None]

SMALL = 10_000
"""Relationships of a database whose plans say little of large ones."""
STEP = """
    rank 0 | thread 1 | iteration ProfilerStep#1   0..200
    rank 0 | thread 1 | aten::mm                   0..30
    rank 0 | thread 1 | l0: cudaLaunchKernel       5..10    -> g0
    rank 0 | thread 1 | l1: cudaLaunchKernel      12..16    -> r0
    rank 0 | thread 1 | s0: cudaStreamSynchronize 40..105
    rank 0 | stream 7 | g0: gemm                  15..60
    rank 0 | stream 7 | r0: all_reduce 4MB        60..100   -SYNC-> s0
    rank 0 | thread 1 | l2: cudaLaunchKernel     120..124   -> g2
    rank 0 | stream 9 | g2: gemm                 130..150
    rank 1 | thread 1 | iteration ProfilerStep#1   0..210
    rank 1 | thread 1 | l3: cudaLaunchKernel      62..64    -> r1
    rank 1 | stream 7 | r1: all_reduce 4MB        80..100
"""
"""Operators of rank 0, in order: mm, l0, l1, g0, s0, r0, l2, g2; of rank 1: l3, r1."""


@pytest.fixture
def store(neo4j_releases: Neo4jUnderTest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """The store in the tests' server."""
    monkeypatch.setenv("ETGRAPH_NEO4J_USER", neo4j_releases.user)
    monkeypatch.setenv("ETGRAPH_NEO4J_PASSWORD", neo4j_releases.password)
    with connect(neo4j_releases.uri) as opened:
        yield opened


@pytest.fixture
def check(store: Store) -> Ask:
    """`check(trace, query, table, **values)`: the answer's columns that the table names hold what it says."""

    def run(trace: Trace | str, query: str, table: str, **values: Any) -> None:
        if isinstance(trace, Trace):
            values["trace"] = store.publish(trace, workload="library")
        names, *rows = (line.split() for line in table.strip().splitlines())
        answer = library.run(store, query, **values)
        places = [answer.columns.index(name) for name in names]
        assert [[_cell(row[place]) for place in places] for row in answer.rows()] == rows

    return run


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return "–" if value is None else ",".join(value) or "–" if isinstance(value, list) else str(value)


def trace_of(text: str, name: str = "", **tables: Columns) -> Trace:
    """The trace of a text under an id of its own, with some tables exchanged."""
    return named(replace(build(text), **tables), text + name)


def named(trace: Trace, text: str) -> Trace:
    """The trace with an id that follows from a text."""
    return replace(trace, trace_id=hashlib.sha256(text.encode()).hexdigest())


def test_operators_in_scope(check: Ask) -> None:
    trace = build(STEP)
    texts = ["model/layer", "model/layers", "model/layer/norm"]
    trace = replace(
        trace, operators=trace.operators.replace({"scope": [0, 1, 2, 0, -1, 1, 2, 0, 0, 2]}, {"scope": texts})
    )
    check(named(trace, "scopes"), "operators_in_scope", """
        rank index name             scope            startNs durationNs
        0    0     aten::mm         model/layer      0       30
        0    2     cudaLaunchKernel model/layer/norm 12      4
        0    3     gemm             model/layer      15      45
        0    6     cudaLaunchKernel model/layer/norm 120     4
        0    7     gemm             model/layer      130     20
    """, scope="model/layer", rank=0)  # fmt: skip
    check(named(trace, "scopes"), "operators_in_scope", "rank index", scope="model/lay")


def test_longest_operators(check: Ask) -> None:
    check(trace_of(STEP), "longest_operators", """
        rank index name                  kind      category startNs durationNs scope
        0    4     cudaStreamSynchronize COMP      RUNTIME  40      65         –
        0    3     gemm                  COMP      KERNEL   15      45         –
        0    5     all_reduce            COMM_COLL KERNEL   60      40         –
    """, limit=3)  # fmt: skip
    check(trace_of(STEP), "longest_operators", """
        rank index name       durationNs
        0    3     gemm       45
        0    5     all_reduce 40
        0    7     gemm       20
        1    1     all_reduce 20
    """, category="KERNEL")  # fmt: skip
    check(trace_of(STEP), "longest_operators", "rank index\n1 1", kind="COMM_COLL", rank=1)


def simulated(store: Store, name: str) -> tuple[Trace, str, str]:
    """A stored trace with two simulations, of which one says nothing of the first gemm; their ids."""
    trace = trace_of(STEP, name)
    store.publish(trace, workload="library")
    test = save_simulation(store, trace.trace_id, predicted(trace, 2.0, profile="h100-sxm", never=[3]))
    return trace, test, save_simulation(store, trace.trace_id, predicted(trace, 3.0, simulator="other"))


def test_simulations(store: Store, check: Ask) -> None:
    trace, test, other = simulated(store, "simulations")
    check(trace, "simulations", f"""
        simulation simulator profile  makespanNs measuredNs error predicted durationError intervalShare validations
        {test}     test      h100-sxm 324        210        0.542857 9      1             0             0
        {other}    other     –        450        210        1.14286  10     2             0             0
    """)  # fmt: skip


def test_worst_predicted_operators(store: Store, check: Ask) -> None:
    trace, test, other = simulated(store, "worst")
    check(trace, "worst_predicted_operators", f"""
        simulation rank index name measuredNs predictedNs lowNs highNs apartNs error source extrapolated
        {other}    0    4     cudaStreamSynchronize 65         195         176   214    130     2     measured False
        {other}    0    3     gemm                  45         135         122   148    90      2     model    True
    """, limit=2)  # fmt: skip
    check(trace, "worst_predicted_operators", f"""
        simulation rank index apartNs
        {test}     1    1     20
        {test}     1    0     2
    """, simulation=test[:6], rank=1)  # fmt: skip


def test_simulations_side_by_side(store: Store, check: Ask) -> None:
    trace, test, other = simulated(store, "beside")
    check(trace, "simulations_side_by_side", f"""
        rank index name startNs durationNs simulation simulator predictedStartNs predictedNs lowNs highNs source
        0    3     gemm 15      45         {test}     test      –                –           –     –      –
        0    3     gemm 15      45         {other}    other     45               135         122   148    model
        0    7     gemm 130     20         {test}     test      260              40          36    44     model
        0    7     gemm 130     20         {other}    other     390              60          54    66     model
    """, name="gemm")  # fmt: skip
    check(trace, "simulations_side_by_side", "rank index\n1 0\n1 0\n1 1", rank=1, limit=3)


def test_paths_on_simulated_timelines_are_apart(store: Store, check: Ask) -> None:
    trace, test, _ = simulated(store, "timelines")
    paths = {None: critical_path(trace), test: critical_path(load_simulation(store, trace.trace_id, test).on(trace))}
    for simulation, path in paths.items():
        found = artefact_of("critical-path", path, revision=trace.revision, simulation=simulation)
        store.put_artefact(trace.trace_id, *found)
    for simulation, path in paths.items():
        segments = [s for s in path.segments.to_pylist() if s["index"] is not None]
        table = "\n".join(f"{s['rank']} {s['index']} {s['start_ns']} {s['end_ns']}" for s in segments)
        check(trace, "critical_path_operators", f"rank index startNs endNs\n{table}", simulation=simulation)
    assert paths[None].window_ns < paths[test].window_ns


def test_operators_without_durations_are_not_the_longest(check: Ask) -> None:
    trace = build(STEP)
    unknown = TABLES["operators"].column("duration_ns").null
    lengths = trace.operators["duration_ns"].copy()
    lengths[[3, 4, 5]] = unknown
    trace = replace(trace, operators=trace.operators.replace({"duration_ns": lengths}))
    check(named(trace, "untimed"), "longest_operators", "name durationNs\naten::mm 30", limit=1)
    check(named(trace, "untimed"), "kernels_by_time", """
        name       count totalNs meanNs minNs maxNs share
        all_reduce 1     20      20     20    20    0.5
        gemm       1     20      20     20    20    0.5
    """)  # fmt: skip


def test_kernels_by_time(check: Ask) -> None:
    check(trace_of(STEP), "kernels_by_time", """
        name       count totalNs meanNs minNs maxNs share
        gemm       2     65      32.5   20    45    0.52
        all_reduce 2     60      30     20    40    0.48
    """)  # fmt: skip
    check(trace_of(STEP), "kernels_by_time", "name count share\nall_reduce 1 1", rank=1)


def test_launch_latency(check: Ask) -> None:
    check(trace_of(STEP), "launch_latency", """
        rank callIndex call             index name       callStartNs startNs latencyNs queuedNs
        0    2         cudaLaunchKernel 5     all_reduce 12          60      48        48
        1    0         cudaLaunchKernel 1     all_reduce 62          80      18        0
        0    1         cudaLaunchKernel 3     gemm       5           15      10        0
        0    6         cudaLaunchKernel 7     gemm       120         130     10        0
    """)  # fmt: skip


def test_neighbourhood(check: Ask) -> None:
    check(trace_of(STEP), "neighbourhood", """
        side   hops rank index name
        before 1    0    1     cudaLaunchKernel
        before 2    0    0     aten::mm
        after  1    0    5     all_reduce
        after  2    0    4     cudaStreamSynchronize
    """, rank=0, index=3)  # fmt: skip
    check(trace_of(STEP), "neighbourhood", """
        side   hops rank index name
        before 1    0    1     cudaLaunchKernel
        after  1    0    5     all_reduce
    """, rank=0, index=3, hops=1)  # fmt: skip


def test_path_between(check: Ask) -> None:
    text = STEP.replace("-> r0", "-> r0 -DATA-> r0")
    check(trace_of(text), "path_between", """
        step index name                  startNs durationNs via
        0    2     cudaLaunchKernel      12      4          –
        1    5     all_reduce            60      40         DATA_DEP,LAUNCHES
        2    4     cudaStreamSynchronize 40      65         SYNCS
    """, rank=0, index=2, toRank=0, toIndex=4)  # fmt: skip
    for there in ({"toRank": 0, "toIndex": 2}, {"toRank": 1, "toIndex": 0}, {"toRank": 0, "toIndex": 99}):
        check(trace_of(text), "path_between", "step index", rank=0, index=2, **there)


def with_group(trace: Trace, group: str, ranks: list[int]) -> Trace:
    """The trace whose collectives are those of one process group."""
    table = TABLES["process_groups"]
    return replace(
        trace,
        process_groups=Columns(table, {"name": [0], "size": [len(ranks)]}, {"name": [group]}),
        group_members=Columns(TABLES["group_members"], {"group": [0] * len(ranks), "rank": ranks}),
        collectives=trace.collectives.replace({"group": [0] * len(trace.collectives)}),
        operators=trace.operators.replace(
            {"group": [-1 if c < 0 else 0 for c in trace.operators["collective"].tolist()]}
        ),
    )


def test_collectives_of_group(check: Ask) -> None:
    trace = named(with_group(build(STEP), "dp", [0, 1]), "group")
    table = """
        collective group type       bytes   size members rank index startNs durationNs lastRank lastStartNs waitNs
        0          dp    ALL_REDUCE 4194304 2    2       0    5     60      40         1        80          20
        0          dp    ALL_REDUCE 4194304 2    2       1    1     80      20         1        80          0
    """
    check(trace, "collectives_of_group", table, group="dp")
    check(trace, "collectives_of_group", table)
    check(trace, "collectives_of_group", "rank", group="tp")


def test_a_member_waits_no_longer_than_it_runs(check: Ask) -> None:
    text = """
        rank 0 | stream 7 | all_reduce   0..10
        rank 1 | stream 7 | all_reduce  30..50
        rank 2 | stream 7 | all_reduce  30..50
    """
    check(trace_of(text), "collectives_of_group", """
        group bytes rank lastRank waitNs
        –     –     0    1        10
        –     –     1    1        0
        –     –     2    1        0
    """)  # fmt: skip


MESSAGES = """
    rank 0 | stream 7 | s0: send   10..30  -COMM-> v0
    rank 0 | stream 7 | s1: send   30..40  -COMM-> v1
    rank 1 | stream 7 | v0: recv    5..35
    rank 1 | stream 7 | v1: recv   50..60
    rank 1 | stream 9 | v2: recv   70..90
    rank 1 | stream 7 | c0: all_gather 8B  60..70
    rank 0 | stream 7 | c1: all_gather 8B  60..75
"""


def with_messages() -> Trace:
    """Two messages from rank 0 to rank 1, one to it from rank 2, which was not recorded; and a collective."""
    trace = build(MESSAGES)
    send, receive, collective = map(int, (NodeType.COMM_SEND, NodeType.COMM_RECV, NodeType.COMM_COLL))
    nothing, none = TABLES["operators"].column("comm_bytes").null, TABLES["operators"].column("peer").null
    return named(
        replace(
            trace,
            operators=trace.operators.replace(
                {
                    "kind": [send, send, collective, receive, receive, collective, receive],
                    "peer": [1, 1, none, 0, 0, none, 2],
                    "tag": [4, none, none, 4, none, none, none],
                    "comm_bytes": [100, nothing, 8, 100, 50, 8, 7],
                }
            ),
        ),
        MESSAGES,
    )


def test_cross_rank_messages(check: Ask) -> None:
    check(with_messages(), "cross_rank_messages", """
        rank index peer peerIndex tag bytes startNs endNs lengthNs lateNs
        0    1     1    1         –   50    30      60    30       20
        0    0     1    0         4   100   10      35    25       -5
    """)  # fmt: skip


def test_communication_matrix(check: Ask) -> None:
    check(named(with_group(with_messages(), "tp", [0, 1]), "grouped messages"), "communication_matrix", """
        rank peer type       group count bytes totalNs
        0    1    SEND       –     2     100   30
        0    –    ALL_GATHER tp    1     8     15
        1    –    ALL_GATHER tp    1     8     10
        2    1    SEND       –     1     7     20
    """)  # fmt: skip


def test_device_idle_gaps(check: Ask) -> None:
    text = (
        STEP
        + """
        rank 0 | stream 7 | g3: gemm  155..160
        rank 0 | stream 9 | g4: gemm  156..170
        rank 0 | stream 7 | g5: gemm  165..166
        rank 0 | stream 7 | g6: gemm  190..200
    """
    )
    table = """
        rank device startNs endNs idleNs beforeIndex before     afterIndex after callStartNs
        0    0      100     130   30     5           all_reduce 7          gemm  120
        0    0      170     190   20     9           gemm       11         gemm  –
        0    0      150     155   5      7           gemm       8          gemm  –
    """
    check(trace_of(text), "device_idle_gaps", table)
    check(trace_of(text), "device_idle_gaps", "idleNs\n30\n20", atLeastNs=20)
    check(trace_of(text), "device_idle_gaps", "idleNs", rank=1)


def test_idle_gaps_of_a_long_trace(check: Ask) -> None:
    text = "\n".join(f"rank 0 | stream 7 | k  {10 * i}..{10 * i + 4 + (i % 700 == 0)}" for i in range(1501))
    check(trace_of(text), "device_idle_gaps", "startNs idleNs\n14 6", limit=1)
    check(trace_of(text), "device_idle_gaps", "idleNs\n" + "6\n" * 1497 + "5\n" * 3, limit=5000)


def test_critical_path_operators(check: Ask, store: Store) -> None:
    trace = trace_of(STEP, "path")
    store.publish(trace, workload="library")
    path = critical_path(trace, rank=0, iteration=0)
    measured = artefact_of("critical-path", path, revision=trace.revision, rank=0, iteration=0)
    for kind, key, table in (measured, artefact_of("slack", slack(trace), revision=trace.revision)):
        store.put_artefact(trace.trace_id, kind, key, table)
    check(trace, "critical_path_operators", """
        path kind                iteration order rank index name                  category      startNs endNs via
        0    critical-path       0         0     0    0     aten::mm              cpu           0       5     –
        0    critical-path       0         1     0    1     cudaLaunchKernel      cpu           5       10    CALL
        0    critical-path       0         3     0    3     gemm                  computation   15      60    LAUNCH
        0    critical-path       0         4     0    5     all_reduce            communication 60      80    STREAM
        0    critical-path       0         5     0    5     all_reduce            communication 80      100   STREAM
        0    critical-path       0         6     0    4     cudaStreamSynchronize cpu           100     105   SYNC
        0    critical-path       0         8     0    6     cudaLaunchKernel      cpu           120     124   THREAD
        1    model-critical-path –         0     0    0     aten::mm              –             0       30    –
        1    model-critical-path –         1     0    4     cudaStreamSynchronize –             30      95    THREAD
        1    model-critical-path –         2     0    6     cudaLaunchKernel      –             95      95    THREAD
        1    model-critical-path –         3     0    7     gemm                  –             95      115   LAUNCH
    """)  # fmt: skip
    check(trace, "critical_path_operators", "path order detail\n0 0 operator", pathRank=0, iteration=0, limit=1)
    check(trace, "critical_path_operators", "path index", kind="critical-path", iteration=5)
    store.remove(trace.trace_id)


def test_newest_traces_of_team(check: Ask, store: Store) -> None:
    old, new = trace_of(STEP, "old"), trace_of(STEP, "new")
    store.publish(old, workload="library-a", team="library-team", commit="c0ffee", branch="main")
    store.publish(new, workload="library-b", team="library-team")
    store.publish(old, workload="library-b", team="another")
    check("", "newest_traces_of_team", f"""
        trace           workload  commit branch operators spanNs
        {new.trace_id}  library-b –      –      10        210
        {old.trace_id}  library-a c0ffee main   10        210
    """, team="library-team")  # fmt: skip
    check("", "newest_traces_of_team", "trace", team="nobody")
    for trace in (old, new):
        store.remove(trace.trace_id)


def test_workloads_by_team(check: Ask, store: Store) -> None:
    old, new = trace_of(STEP, "old"), trace_of(STEP, "new")
    store.publish(old, workload="library-a", team="library-team")
    store.publish(new, workload="library-a", team="library-team")
    store.publish(new, workload="library-b", team="library-team")
    lost = waterfall(old, iteration=0)
    kind, key, table = artefact_of("waterfall", lost, revision=old.revision, iteration=0)
    store.put_artefact(old.trace_id, kind, key, table)
    _, _, late, moves, host, ideal = (bar.ns for bar in lost.bars)
    check("", "workloads_by_team", f"""
        team         workload  traces newest         measuredNs lateRanksNs communicationNs hostNs rooflineNs idealNs
        library-team library-a 2      {new.trace_id} 210        {late}      {moves}         {host} –          {ideal}
        library-team library-b 1      {new.trace_id} –          –           –               –      –          –
    """, team="library-team")  # fmt: skip
    check("", "workloads_by_team", "workload", team="nobody")
    for trace in (old, new):
        store.remove(trace.trace_id)


def test_operator_count_difference(check: Ask, store: Store) -> None:
    lines = STEP.strip().splitlines()
    fewer = trace_of("\n".join([*lines[:2], *lines[4:5], lines[9]]).replace(" -> r0", ""), "fewer")
    store.publish(fewer)
    check(trace_of(STEP), "operator_count_difference", """
        name             count otherCount difference totalNs otherTotalNs
        cudaLaunchKernel 4     0          -4         15      –
        all_reduce       2     0          -2         60      –
        gemm             2     0          -2         65      –
    """, other=fewer.trace_id)  # fmt: skip
    check(trace_of(STEP), "operator_count_difference", "name", other=trace_of(STEP).trace_id)


def test_iteration_times(check: Ask) -> None:
    check(trace_of(STEP), "iteration_times", """
        iteration rank name           startNs endNs durationNs behindNs operators
        0         0    ProfilerStep#1 0       200   200        0        8
        0         1    ProfilerStep#1 0       210   210        10       2
    """)  # fmt: skip
    check(trace_of(STEP), "iteration_times", "rank behindNs\n1 10", rank=1)


def test_memory_peak(check: Ask) -> None:
    none = TABLES["memory_events"].column("allocated").null
    events = Columns(TABLES["memory_events"], {
        "rank": [0, 0, 0, 0, 0, 1], "time_ns": [1, 2, 3, 4, 5, 6], "bytes": [10, 10, -5, 5, 9, 1],
        "allocated": [10, 20, 15, 20, none, 1], "reserved": [32, 32, 64, 64, 64, none],
        "device_type": [1, 1, 1, 1, 1, 0], "device": [0, 0, 0, 0, 0, -(2**31)],
    })  # fmt: skip
    check(trace_of(STEP, "memory", memory_events=events), "memory_peak", """
        rank deviceType device timeNs allocated reserved events
        0    1          0      2      20        32       4
        1    0          –      6      1         –        1
    """)  # fmt: skip


def test_blocking_calls(check: Ask) -> None:
    text = STEP.replace("g0: gemm                  15..60", "g0: gemm                  15..60  -SYNC-> s0")
    check(trace_of(text), "blocking_calls", """
        rank index name                  startNs durationNs waitNs untilIndex until      scope
        0    4     cudaStreamSynchronize 40      65         60     5          all_reduce –
    """)  # fmt: skip


@pytest.mark.parametrize("name", library.names())
def test_every_query_begins_at_an_index(name: str, neo4j_releases: Neo4jUnderTest) -> None:
    import neo4j

    query, server = library.load(name), neo4j_releases
    values = {p.name: p.default or (0 if p.type == "integer" else "x") for p in query.parameters}
    with (
        neo4j.GraphDatabase.driver(server.uri, auth=(server.user, server.password)) as driver,
        driver.session(notifications_min_severity="OFF") as session,
    ):
        waiting = [session.run(f"EXPLAIN {query.text}", values).consume().plan]
        held = session.run("MATCH ()-[r]->() RETURN count(r)").single(strict=True)[0]
    leaves = set()
    while waiting:
        operator = waiting.pop()
        waiting += operator.get("children", [])
        if not operator.get("children"):
            leaves.add(operator["operatorType"].partition("@")[0])
    # The server may begin at dependencies of one kind, where the whole database has only few of them, or at all of
    # them, where it is nearly empty, as the tests before may have left it.
    few = {"Argument", "EmptyRow", "Unwind", "DirectedRelationshipTypeScan"}
    few |= {"DirectedAllRelationshipsScan"} if held < SMALL else set()
    assert leaves - few <= {"NodeIndexSeek", "NodeUniqueIndexSeek"}


def test_every_query_has_a_table_here() -> None:
    text = Path(__file__).read_text("utf-8")
    assert [name for name in library.names() if f'"{name}"' not in text] == []
