"""The library's queries on recorded traces, beside the same answers worked out in Python from the trace's columns.

What no recorded trace has is asked of one that chance makes.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pytest

from etgraph.ingest import read
from etgraph.model import DEPENDENCIES, DependencyKind, NodeType, Trace
from etgraph.queries import library
from etgraph.store import Store, connect
from support.build import build
from support.collection import read_once
from support.neo4j import Neo4jUnderTest

SAMPLES = Path(__file__).resolve().parents[2] / "ingest" / "etgraph" / "ingest" / "samples"

Ask = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def store(neo4j_server: Neo4jUnderTest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """The store in the tests' server."""
    monkeypatch.setenv("ETGRAPH_NEO4J_USER", neo4j_server.user)
    monkeypatch.setenv("ETGRAPH_NEO4J_PASSWORD", neo4j_server.password)
    with connect(neo4j_server.uri) as opened:
        yield opened


@pytest.fixture(scope="module")
def host() -> Trace:
    """One rank of a model on two pipeline stages: collectives of three groups, scopes; no device."""
    return read(SAMPLES / "gpt_tp2_pp2" / "kineto_rank0.json.gz")


@pytest.fixture
def device(collection_dir: Path) -> Trace:
    """One rank with a device and memory events."""
    return read_once(collection_dir / "tracelens" / "h100" / "Falconsai_nsfw_image_detection__1016002.json.gz")


@pytest.fixture
def ask(store: Store) -> Ask:
    """`ask(trace, query, **values)`: the rows, each a dictionary by column."""

    def run(trace: Trace, query: str, **values: Any) -> list[dict[str, Any]]:
        answer = library.run(store, query, trace=store.publish(trace, workload="oracle"), **values)
        return [dict(zip(answer.columns, row)) for row in answer.rows()]

    return run


def operators(trace: Trace) -> list[dict[str, Any]]:
    """The operators as plain values, with the kind of their lanes, and names of enumerations."""
    rows = [trace.operators.row(number) for number in range(len(trace))]
    for row in rows:
        for name in ("kind", "category", "comm_type"):
            row[name] = getattr(row[name], "name", row[name])
        row["stream"] = row["lane"] is not None and trace.lanes.value("kind", row["lane"]).name == "STREAM"
    return rows


def edges(trace: Trace) -> list[tuple[int, int, str]]:
    """Source, target and relationship of each dependency."""
    d = trace.dependencies
    kinds = [DEPENDENCIES[DependencyKind(kind)].neo4j for kind in d["kind"].tolist()]
    return list(zip(d["src"].tolist(), d["dst"].tolist(), kinds))


def named(rows: list[dict[str, Any]], **names: str) -> list[dict[str, Any]]:
    """Rows with some of their columns only, under other names."""
    return [{new: row[old] for new, old in names.items()} for row in rows]


TIMES = {"rank": "rank", "index": "index", "name": "name", "startNs": "start_ns", "durationNs": "duration_ns"}


def test_longest_operators(host: Trace, ask: Ask) -> None:
    timed = [o for o in operators(host) if o["duration_ns"] is not None]
    timed.sort(key=lambda o: (-o["duration_ns"], o["rank"], o["index"]))
    more = {"kind": "kind", "category": "category", "scope": "scope"}
    assert ask(host, "longest_operators", limit=500) == named(timed[:500], **TIMES, **more)


def test_operators_in_scope(host: Trace, ask: Ask) -> None:
    scopes = Counter(o["scope"] for o in operators(host) if o["scope"])
    assert scopes
    for scope in {scopes.most_common(1)[0][0], min(scopes).split("/")[0]}:
        inside = [o for o in operators(host) if o["scope"] and f"{o['scope']}/".startswith(f"{scope}/")]
        assert ask(host, "operators_in_scope", scope=scope, limit=10**6) == named(inside, **TIMES, scope="scope")


def test_neighbourhood(host: Trace, ask: Ask) -> None:
    graph = nx.MultiDiGraph(edges(host)).to_directed()
    for number in (0, 700, 2500):
        rows = ask(host, "neighbourhood", rank=0, index=number, hops=4, limit=10**6)
        for side, directed in (("after", graph), ("before", graph.reverse())):
            near = nx.single_source_shortest_path_length(directed, number, 4)
            found = {row["index"]: row["hops"] for row in rows if row["side"] == side}
            assert found == {n: hops for n, hops in near.items() if hops}


def test_path_between(host: Trace, ask: Ask) -> None:
    graph = nx.DiGraph([edge[:2] for edge in edges(host)])
    kinds = defaultdict(set)
    for source, target, kind in edges(host):
        kinds[source, target].add(kind)
    reached = nx.single_source_shortest_path_length(graph, 0)
    for target in [max(reached), max(reached, key=lambda n: (reached[n], n))]:
        rows = ask(host, "path_between", rank=0, index=0, toRank=0, toIndex=target)
        chain = [row["index"] for row in rows]
        assert (chain[0], chain[-1], len(chain)) == (0, target, reached[target] + 1)
        assert [row["via"] for row in rows] == [[], *(sorted(kinds[pair]) for pair in pairwise(chain))]


def test_communication_matrix(host: Trace, ask: Ask) -> None:
    expected: dict[Any, list[int]] = {}
    for o in operators(host):
        group = None if o["group"] is None else host.process_groups.value("name", o["group"])
        key = {
            "COMM_SEND": (o["rank"], o["peer"], "SEND", None),
            "COMM_RECV": (o["peer"], o["rank"], "SEND", None) if o["peer"] not in (None, *host.ranks) else None,
            "COMM_COLL": (o["rank"], None, o["comm_type"], group),
        }.get(o["kind"])
        if key is not None:
            entry = expected.setdefault(key, [0, 0, 0])
            entry[0] += 1
            entry[1] += o["comm_bytes"] or 0
            entry[2] += o["duration_ns"]
    rows = ask(host, "communication_matrix")
    found = {(r["rank"], r["peer"], r["type"], r["group"]): [r["count"], r["bytes"] or 0, r["totalNs"]] for r in rows}
    assert found == expected
    assert found


def test_operator_count_difference(host: Trace, ask: Ask, store: Store) -> None:
    other = read(SAMPLES / "gpt_ddp" / "kineto_rank0.json.gz")
    here, there = (Counter(o["name"] for o in operators(t)) for t in (host, other))
    rows = ask(host, "operator_count_difference", other=store.publish(other), limit=10**6)
    assert {r["name"]: (r["count"], r["otherCount"]) for r in rows} == {
        name: (here[name], there[name]) for name in here.keys() | there.keys() if here[name] != there[name]
    }
    order = [(-abs(r["difference"]), r["name"]) for r in rows]
    assert order == sorted(order)
    times = Counter[str]()
    for o in operators(host):
        times[o["name"]] += o["duration_ns"]
    assert [r["totalNs"] for r in rows] == [times[r["name"]] if here[r["name"]] else None for r in rows]


def test_iteration_times(host: Trace, ask: Ask) -> None:
    table = host.iterations
    members = Counter(o["iteration"] for o in operators(host))
    steps = [(table.row(number), members[number]) for number in range(len(table))]
    assert [
        (r["iteration"], r["rank"], r["durationNs"], r["behindNs"], r["operators"])
        for r in ask(host, "iteration_times")
    ] == [(step["index"], step["rank"], step["end_ns"] - step["start_ns"], 0, count) for step, count in steps]


# With a device


def test_kernels_by_time(device: Trace, ask: Ask) -> None:
    times = defaultdict(list)
    for o in operators(device):
        if o["stream"]:
            times[o["name"]].append(o["duration_ns"])
    whole = sum(map(sum, times.values()))
    rows = ask(device, "kernels_by_time", limit=10**6)
    assert [(r["name"], r["count"], r["totalNs"], r["minNs"], r["maxNs"]) for r in rows] == sorted(
        ((name, len(ns), sum(ns), min(ns), max(ns)) for name, ns in times.items()), key=lambda row: (-row[2], row[0])
    )
    assert [r["share"] for r in rows] == pytest.approx([r["totalNs"] / whole for r in rows])
    assert [r["meanNs"] for r in rows] == pytest.approx([r["totalNs"] / r["count"] for r in rows])


def test_launch_latency(device: Trace, ask: Ask) -> None:
    o = operators(device)
    before = {target: source for source, target, kind in edges(device) if kind == "NEXT_ON_STREAM"}
    expected = []
    for call, run, kind in edges(device):
        if kind == "LAUNCHES" and o[run]["stream"]:
            latency = o[run]["start_ns"] - o[call]["start_ns"]
            earlier = o[before[run]] if run in before else None
            busy = earlier["start_ns"] + earlier["duration_ns"] - o[call]["start_ns"] if earlier else 0
            expected.append((o[call]["index"], o[run]["index"], latency, min(max(busy, 0), latency)))
    expected.sort(key=lambda row: (-row[2], row[0], row[1]))
    rows = ask(device, "launch_latency", limit=10**6)
    assert [(r["callIndex"], r["index"], r["latencyNs"], r["queuedNs"]) for r in rows] == expected


def test_device_idle_gaps(device: Trace, ask: Ask) -> None:
    runs = [(o["start_ns"], o["start_ns"] + o["duration_ns"]) for o in operators(device) if o["stream"]]
    busy = {moment for start, end in runs for moment in (start, end)}
    moments = sorted(busy)
    gaps: list[tuple[int, int]] = []
    for start, end in pairwise(moments):
        if not any(a < end and start < b for a, b in runs):
            gaps.append((start, end))
    rows = ask(device, "device_idle_gaps", limit=10**6)
    assert [(r["startNs"], r["endNs"]) for r in rows] == sorted(gaps, key=lambda gap: (gap[0] - gap[1], gap[0]))
    o = {row["index"]: row for row in operators(device)}
    for r in rows:
        assert o[r["afterIndex"]]["start_ns"] == r["endNs"]
        assert o[r["beforeIndex"]]["start_ns"] + o[r["beforeIndex"]]["duration_ns"] == r["startNs"]


def test_memory_peak(device: Trace, ask: Ask) -> None:
    m = device.memory_events
    peaks: dict[Any, tuple[int, int, int | None]] = {}
    for event in (m.row(number) for number in range(len(m))):
        if event["allocated"] is not None:
            key = (event["rank"], event["device_type"], event["device"])
            mine = (-event["allocated"], event["time_ns"], event["reserved"])
            peaks[key] = min(peaks.get(key, mine), mine, key=lambda peak: peak[:2])
    rows = ask(device, "memory_peak")
    found = {(r["rank"], r["deviceType"], r["device"]): (-r["allocated"], r["timeNs"], r["reserved"]) for r in rows}
    assert found == peaks
    assert peaks


# Made by chance


@pytest.fixture(scope="module")
def chance() -> Trace:
    """Three ranks with sends, receives, collectives, and host calls that wait for device operators."""
    random, lines = np.random.default_rng(11), []
    for rank, number in product(range(3), range(30)):
        starts, ends = random.integers(0, 3000, 4), random.integers(1, 90, 4)
        device, send, receive, meeting = (f"{s}..{s + length}" for s, length in zip(starts, ends))
        call = f"{50 * number}..{50 * number + 40}"
        until = f" -SYNC-> call{rank}x{int(random.integers(number // 2, number + 1))}" if number % 3 else ""
        to = f" -COMM-> receive{(rank + 1) % 3}x{number}" if number % 4 else ""
        lines += [
            f"rank {rank} | thread 1 | call{rank}x{number}: cudaStreamSynchronize {call}",
            f"rank {rank} | stream {number % 3} | gemm {device}{until}",
            f"rank {rank} | stream 7 | send {send}{to}",
            f"rank {rank} | stream 8 | receive{rank}x{number}: recv {receive}",
        ]
        if number < 29 - rank:
            lines.append(f"rank {rank} | stream {20 + number} | all_reduce {8 + number}B {meeting}")
    trace = build("\n".join(lines))
    kinds = {"send": int(NodeType.COMM_SEND), "recv": int(NodeType.COMM_RECV)}
    of_rows = [kinds.get(row["name"], int(row["kind"])) for row in map(trace.operators.row, range(len(trace)))]
    return replace(
        trace,
        operators=trace.operators.replace({"kind": of_rows}),
        trace_id=hashlib.sha256(repr((lines, of_rows)).encode()).hexdigest(),
    )


def test_collectives_of_group(chance: Trace, ask: Ask) -> None:
    meetings = defaultdict(list)
    for o in operators(chance):
        if o["collective"] is not None:
            meetings[o["collective"]].append(o)
    expected = []
    for number, members in sorted(meetings.items()):
        last = max(o["start_ns"] for o in members)
        who = min(o["rank"] for o in members if o["start_ns"] == last)
        expected += [
            (number, len(members), o["rank"], o["index"], who, last, min(last - o["start_ns"], o["duration_ns"]))
            for o in members
        ]
    rows = ask(chance, "collectives_of_group", limit=10**6)
    names = ("collective", "members", "rank", "index", "lastRank", "lastStartNs", "waitNs")
    assert [tuple(r[name] for name in names) for r in rows] == expected
    assert len(expected) == 28 + 28 + 27


def test_cross_rank_messages(chance: Trace, ask: Ask) -> None:
    o = operators(chance)
    expected = []
    for a, b, kind in edges(chance):
        if kind == "SENDS_TO":
            sent, received = o[a], o[b]
            length = received["start_ns"] + received["duration_ns"] - sent["start_ns"]
            late = received["start_ns"] - sent["start_ns"]
            expected.append((sent["rank"], sent["index"], received["rank"], received["index"], length, late))
    expected.sort(key=lambda row: (-row[4], *row[:4]))
    names = ("rank", "index", "peer", "peerIndex", "lengthNs", "lateNs")
    assert [tuple(r[n] for n in names) for r in ask(chance, "cross_rank_messages", limit=10**6)] == expected
    assert len(expected) == 66


def test_blocking_calls(chance: Trace, ask: Ask) -> None:
    o = operators(chance)
    waits = defaultdict(list)
    for source, target, kind in edges(chance):
        if kind == "SYNCS":
            waits[target].append((o[source]["start_ns"] + o[source]["duration_ns"], -source))
    expected = []
    for call, ends in waits.items():
        end, until = max(ends)
        expected.append((max(end - o[call]["start_ns"], 0), o[call]["rank"], o[call]["index"], o[-until]["index"]))
    expected.sort(key=lambda row: (-row[0], *row[1:]))
    rows = ask(chance, "blocking_calls", limit=10**6)
    assert [(r["waitNs"], r["rank"], r["index"], r["untilIndex"]) for r in rows] == expected
    assert len(expected) > 20
