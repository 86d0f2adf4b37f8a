"""A text notation for small traces, so that a test shows its trace on one screen.

    rank 0 | thread 1 | aten::mm           0..20
    rank 0 | thread 1 | cudaLaunchKernel   5..10   -> gemm
    rank 0 | stream 7 | gemm              15..60   -EVENT-> k2
    rank 0 | stream 9 | k2: add           61..70
    rank 0 | stream 7 | all_reduce 4MB    70..90
    rank 0 | thread 1 | iteration ProfilerStep#1  0..100

Times are ns. `label: name` names an operator for arrows; without a label its name is one, if it is the only one.
`-> x` is a LAUNCH to x, `-KIND-> x` any other kind; the arrow goes from the line to x. Nesting on threads (CALL,
THREAD) and order on streams (STREAM) follow from the times, as in ingest. Communication of one name on several ranks
meets in order: the k-th of each rank is the k-th collective. Messages are `send` and `recv` on streams, with arrows.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, replace

import numpy as np

from etgraph.ingest.communication import collective_type, node_type
from etgraph.ingest.draft import Draft, Texts, dependencies
from etgraph.ingest.launches import launch
from etgraph.ingest.nesting import nest
from etgraph.model import TABLES, Category, Columns, DependencyKind, LaneKind, Metadata, NodeType, Trace

_LINE = re.compile(
    r"^rank (?P<rank>\d+) *\| *(?P<kind>thread|stream) (?P<lane>\S+) *\| *"
    r"(?:(?P<label>\w+): )?(?P<name>\S+)(?: (?P<size>\d+)(?P<unit>B|KB|MB|GB))? +(?P<start>-?\d+)\.\.(?P<end>-?\d+)"
    r"(?P<arrows>(?: +-(?:[A-Z]+-)?> *\w\S*)*) *$"
)
_STEP = re.compile(
    r"^rank (?P<rank>\d+) *\| *thread (?P<lane>\S+) *\| *iteration (?P<name>\S+) +(?P<start>\d+)\.\.(?P<end>\d+)$"
)
_ARROW = re.compile(r"-(?:([A-Z]+)-)?> *(\w\S*)")
_UNIT = {"B": 1, "KB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30}


@dataclass
class _Operator:
    rank: int
    kind: str
    lane: str
    label: str
    name: str
    size: int | None
    start: int
    end: int
    arrows: list[tuple[DependencyKind, str]]


def build(text: str, *, world_size: int | None = None) -> Trace:
    """The trace that the text describes; ValueError names a line that cannot be read."""
    found: list[_Operator] = []
    steps: list[re.Match[str]] = []
    for line in filter(None, map(str.strip, text.splitlines())):
        if step := _STEP.match(line):
            steps.append(step)
        elif match := _LINE.match(line):
            found.append(_operator(match))
        else:
            raise ValueError(f"cannot read the line {line!r}")
    found.sort(key=lambda o: (o.rank, o.start, o.kind == "stream"))
    lanes = {key: row for row, key in enumerate(dict.fromkeys(
        [(o.rank, o.kind, o.lane) for o in found] + [(int(s["rank"]), "thread", s["lane"]) for s in steps]
    ))}  # fmt: skip
    iterations = _iterations(steps, lanes)
    draft = Draft(
        Trace(
            operators=_operators(found, lanes, steps, sorted({o.rank for o in found})),
            lanes=_lanes(lanes),
            iterations=iterations,
            collectives=_collectives(found),
            metadata=Metadata(world_size=world_size),
        )
    )
    draft = launch(nest(draft)).with_dependencies(*_arrows(found))
    return replace(draft.trace, trace_id="0" * 64)


def _operator(match: re.Match[str]) -> _Operator:
    size = int(match["size"]) * _UNIT[match["unit"]] if match["size"] else None
    arrows = [(DependencyKind[kind or "LAUNCH"], label) for kind, label in _ARROW.findall(match["arrows"])]
    return _Operator(
        int(match["rank"]), match["kind"], match["lane"], match["label"] or match["name"], match["name"], size,
        int(match["start"]), int(match["end"]), arrows,
    )  # fmt: skip


def _category(o: _Operator) -> Category:
    if o.kind == "stream":
        return {"Memcpy": Category.MEMCPY, "Memset": Category.MEMSET}.get(o.name[:6], Category.KERNEL)
    if re.match(r"cuda|hip", o.name):
        return Category.RUNTIME
    return Category.ANNOTATION if o.name.startswith("gloo:") else Category.CPU_OP


def _communicates(o: _Operator) -> bool:
    return collective_type(o.name) is not None and (o.kind == "stream" or o.name.startswith("gloo:"))


def _node_type(o: _Operator) -> NodeType:
    message = o.kind == "stream" and re.match(r"(?i)(nccl)?(send|recv)", o.name)
    return node_type(o.name) if message or _communicates(o) else NodeType.COMP


def _meetings(found: list[_Operator]) -> dict[int, int]:
    """Position of an operator → its collective, where several ranks have one of the name."""
    seen: dict[tuple[int, str], int] = defaultdict(int)
    members: dict[tuple[str, int], list[int]] = defaultdict(list)
    for position, o in enumerate(found):
        if _communicates(o):
            members[o.name, seen[o.rank, o.name]].append(position)
            seen[o.rank, o.name] += 1
    several = [m for m in members.values() if len({found[p].rank for p in m}) > 1]
    return {position: row for row, m in enumerate(several) for position in m}


def _operators(
    found: list[_Operator], lanes: dict[tuple[int, str, str], int], steps: list[re.Match[str]], ranks: list[int]
) -> Columns:
    meetings = _meetings(found)
    types = [collective_type(o.name) if _communicates(o) else None for o in found]
    names = Texts()
    index: dict[int, int] = dict.fromkeys(ranks, -1)
    table = TABLES["operators"]

    def number(o: _Operator) -> int:
        index[o.rank] += 1
        return index[o.rank]

    def step_of(o: _Operator) -> int:
        own = [
            i for i, s in enumerate(_sorted(steps))
            if int(s["rank"]) == o.rank and int(s["start"]) <= o.start < int(s["end"])
        ]  # fmt: skip
        return own[0] if own else -1

    data = {
        "rank": [o.rank for o in found],
        "index": [number(o) for o in found],
        "name": [names[o.name] for o in found],
        "kind": [int(_node_type(o)) for o in found],
        "category": [int(_category(o)) for o in found],
        "lane": [lanes[o.rank, o.kind, o.lane] for o in found],
        "start_ns": [o.start for o in found],
        "duration_ns": [o.end - o.start for o in found],
        "iteration": [step_of(o) for o in found],
        "comm_type": [table.column("comm_type").null if t is None else int(t) for t in types],
        "comm_bytes": [table.column("comm_bytes").null if o.size is None else o.size for o in found],
        "collective": [meetings.get(p, -1) for p in range(len(found))],
    }
    return Columns(table, data, {"name": names}, length=len(found))


def _lanes(lanes: dict[tuple[int, str, str], int]) -> Columns:
    process, ids = Texts(), Texts()
    on_stream = [kind == "stream" for _, kind, _ in lanes]
    data = {
        "rank": [rank for rank, _, _ in lanes],
        "kind": [int(LaneKind.STREAM if s else LaneKind.THREAD) for s in on_stream],
        "process": [process["0"] for _ in lanes],
        "id": [ids[lane] for _, _, lane in lanes],
        "device": [0 if s else TABLES["lanes"].column("device").null for s in on_stream],
    }
    return Columns(TABLES["lanes"], data, {"process": process, "id": ids})


def _collectives(found: list[_Operator]) -> Columns:
    rows: dict[int, list[int]] = defaultdict(list)
    for position, row in _meetings(found).items():
        rows[row].append(position)
    if not rows:
        return Columns.empty(TABLES["collectives"])
    first = [found[rows[r][0]] for r in range(len(rows))]
    return Columns(
        TABLES["collectives"],
        {
            "type": [int(collective_type(o.name) or 0) for o in first],
            "bytes": [TABLES["collectives"].column("bytes").null if o.size is None else o.size for o in first],
            "size": [len(rows[r]) for r in range(len(rows))],
        },
    )


def _sorted(steps: list[re.Match[str]]) -> list[re.Match[str]]:
    return sorted(steps, key=lambda s: (int(s["rank"]), int(s["start"])))


def _iterations(steps: list[re.Match[str]], lanes: dict[tuple[int, str, str], int]) -> Columns:
    if not steps:
        return Columns.empty(TABLES["iterations"])
    names, seen = Texts(), defaultdict(int)  # type: ignore[var-annotated]
    index = []
    for s in _sorted(steps):
        index.append(seen[s["rank"]])
        seen[s["rank"]] += 1
    data = {
        "index": index,
        "rank": [int(s["rank"]) for s in _sorted(steps)],
        "name": [names[s["name"]] for s in _sorted(steps)],
        "lane": [lanes[int(s["rank"]), "thread", s["lane"]] for s in _sorted(steps)],
        "start_ns": [int(s["start"]) for s in _sorted(steps)],
        "end_ns": [int(s["end"]) for s in _sorted(steps)],
    }
    return Columns(TABLES["iterations"], data, {"name": names})


def _arrows(found: list[_Operator]) -> list[Columns]:
    edges: dict[DependencyKind, list[tuple[int, int]]] = defaultdict(list)
    for source, o in enumerate(found):
        for kind, label in o.arrows:
            targets = [p for p, other in enumerate(found) if other.label == label]
            if len(targets) != 1:
                raise ValueError(f"{len(targets)} operators are called {label!r}, expected one")
            edges[kind].append((source, targets[0]))
    return [
        dependencies(kind, np.array([a for a, _ in pairs]), np.array([b for _, b in pairs]), "drawn")
        for kind, pairs in edges.items()
    ]


def without_times(trace: Trace) -> Trace:
    """The trace as one that records no moments, as execution traces do not."""
    o, i = trace.operators, trace.iterations
    null = o.table.column("start_ns").null
    return replace(
        trace,
        operators=o.replace(dict.fromkeys(("start_ns", "duration_ns"), np.full(len(o), null))),
        iterations=i.replace(dict.fromkeys(("start_ns", "end_ns"), np.full(len(i), null))),
    )
