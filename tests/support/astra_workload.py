"""What ASTRA-sim does with a workload, in small: a discrete-event executor that knows only the rules, not the exporter.

One processor, one compute unit and one place for communication on each rank. A node is ready when all that it depends
on has ended; ready nodes are issued by ascending id as far as their resource is free, at the start and whenever a node
of the rank ends. Networks are no subject: a collective takes one microsecond after its last member has come, a message
one after it was sent.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from etgraph.model import Category, CommType, NodeType, Trace

LATENCY_NS = 1000
TAGS = 500_000_000


@dataclass(frozen=True, slots=True)
class Run:
    """Start and end of every node that ended, by (rank, id), and those that never did."""

    start: dict[tuple[int, int], int]
    end: dict[tuple[int, int], int]
    stuck: tuple[tuple[int, int], ...]

    def makespan(self, rank: int) -> int:
        """When the last node of a rank ended."""
        return max(end for (r, _), end in self.end.items() if r == rank)


class _Machine:
    def __init__(self, trace: Trace, groups: Mapping[int, Sequence[int]]) -> None:
        o, d = trace.operators, trace.dependencies
        self.rows = [o.row(row) for row in range(len(o))]
        self.keys = [(row["rank"], row["node_id"]) for row in self.rows]
        self.waiting = [0] * len(o)
        self.children: dict[int, list[int]] = defaultdict(list)
        for src, dst in zip(d["src"].tolist(), d["dst"].tolist()):
            self.waiting[dst] += 1
            self.children[src].append(dst)
        names = [trace.process_groups.value("name", g) for g in range(len(trace.process_groups))]
        self.group = [0 if r["group"] is None else int(names[r["group"]]) for r in self.rows]
        self.members = {0: trace.ranks, **groups}
        self.ready: dict[int, list[tuple[int, int]]] = {rank: [] for rank in trace.ranks}
        self.busy: set[tuple[int, str]] = set()
        self.arrived: dict[tuple[object, ...], list[int]] = defaultdict(list)
        self.stream = dict.fromkeys(trace.ranks, 0)
        self.own_stream: dict[tuple[int, int], int] = defaultdict(int)
        self.sent: dict[tuple[object, ...], list[int]] = defaultdict(list)
        self.posted: dict[tuple[object, ...], list[int]] = defaultdict(list)
        self.events: list[tuple[int, int, int]] = []
        self.start: dict[tuple[int, int], int] = {}
        self.end: dict[tuple[int, int], int] = {}

    def resource(self, row: int) -> str | None:
        r = self.rows[row]
        if r["kind"] is NodeType.COMM_RECV:
            return None
        if r["kind"] is NodeType.COMP:
            return "cpu" if r["category"] is Category.CPU_OP else "comp"
        assert r["category"] is not Category.CPU_OP
        assert r["kind"] in (NodeType.COMM_COLL, NodeType.COMM_SEND, NodeType.MEM_LOAD, NodeType.MEM_STORE)
        return "comm"

    def run(self) -> Run:
        for row, (rank, number) in enumerate(self.keys):
            if not self.waiting[row]:
                heapq.heappush(self.ready[rank], (number, row))
        for rank in self.ready:
            self.scan(rank, 0)
        while self.events:
            time, _, row = heapq.heappop(self.events)
            self.complete(row, time)
        return Run(self.start, self.end, tuple(key for key in self.keys if key not in self.end))

    def later(self, time: int, row: int) -> None:
        heapq.heappush(self.events, (time, len(self.start), row))

    def scan(self, rank: int, time: int) -> None:
        waits = []
        ready, self.ready[rank] = sorted(self.ready[rank]), []
        for number, row in ready:
            resource = self.resource(row)
            if resource and (rank, resource) in self.busy:
                waits.append((number, row))
                continue
            if resource:
                self.busy.add((rank, resource))
            self.start[rank, number] = time
            self.issue(row, time)
        self.ready[rank] += waits

    def issue(self, row: int, time: int) -> None:
        r = self.rows[row]
        kind = r["kind"]
        if kind is NodeType.COMM_COLL and r["comm_type"] is not CommType.BROADCAST:
            self.collective(row, time)
        elif kind in (NodeType.COMM_SEND, NodeType.COMM_RECV):
            self.message(row, time)
        else:
            assert r["duration_ns"] % 1000 == 0
            self.later(time + max(r["duration_ns"], 1), row)

    def collective(self, row: int, time: int) -> None:
        """Members find each other by the number of their stream, as one chunk each; the whole world shares one."""
        r, group = self.rows[row], self.group[row]
        assert r["comm_type"] in (CommType.ALL_REDUCE, CommType.ALL_GATHER, CommType.REDUCE_SCATTER,
                                  CommType.ALL_TO_ALL)  # fmt: skip
        number = self.stream[r["rank"]]
        self.stream[r["rank"]] += 1
        if group:
            number = group * 1_000_000 + self.own_stream[r["rank"], group]
            self.own_stream[r["rank"], group] += 1
        assert r["rank"] in self.members[group]
        assert r["comm_bytes"] > 0
        here = self.arrived[number % TAGS, r["comm_type"], r["comm_bytes"]]
        here.append(row)
        if len(here) == len(self.members[group]):
            for member in here:
                self.later(time + LATENCY_NS, member)

    def message(self, row: int, time: int) -> None:
        r = self.rows[row]
        sends = r["kind"] is NodeType.COMM_SEND
        ends = (r["rank"], r["peer"]) if sends else (r["peer"], r["rank"])
        assert ends[0] != ends[1]
        assert r["comm_bytes"] > 0
        key = (r["tag"] % TAGS, *ends, r["comm_bytes"])
        if sends:
            self.later(time + LATENCY_NS, row)
            if self.posted[key]:
                self.later(time + LATENCY_NS, self.posted[key].pop(0))
            else:
                self.sent[key].append(time + LATENCY_NS)
        elif self.sent[key]:
            self.later(max(time, self.sent[key].pop(0)), row)
        else:
            self.posted[key].append(row)

    def complete(self, row: int, time: int) -> None:
        rank = self.keys[row][0]
        self.end[self.keys[row]] = time
        resource = self.resource(row)
        if resource:
            self.busy.discard((rank, resource))
        for child in self.children[row]:
            self.waiting[child] -= 1
            if not self.waiting[child]:
                self.ready[rank].append((self.keys[child][1], child))
        self.scan(rank, time)


def execute(trace: Trace, groups: Mapping[int, Sequence[int]]) -> Run:
    """Run a workload to its end, or until nothing can go on."""
    return _Machine(trace, groups).run()
