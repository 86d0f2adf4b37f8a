"""What a Kineto file says, worked out a second time: slow and obvious, over `json.loads`, knowing nothing of etgraph.

Times are exact because `decimal` reads the digits; every relation is one loop over the operators. The tests compare
the product's columns with this, row by row. At the end, what the tests write small traces with.
"""

from __future__ import annotations

import gzip
import json
from bisect import bisect_right, insort
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path
from typing import Any

Lane = tuple[str, str]

CPU = {"cpu_op": "CPU_OP", "Operator": "CPU_OP"}
CALLS = {
    "cuda_runtime": "RUNTIME", "Runtime": "RUNTIME", "mtia_runtime": "RUNTIME",
    "cuda_driver": "DRIVER",
}  # fmt: skip
ON_DEVICE = {
    "kernel": "KERNEL", "Kernel": "KERNEL", "gpu_memcpy": "MEMCPY", "Memcpy": "MEMCPY",
    "gpu_memset": "MEMSET", "Memset": "MEMSET", "mtia_ccp_events": "DEVICE",
}  # fmt: skip
SPANS = {
    "user_annotation": "USER", "gpu_user_annotation": "DEVICE_USER", "python_function": "PYTHON",
    "overhead": "OVERHEAD", "cuda_sync": "SYNCHRONIZATION", "Trace": "TRACE",
}  # fmt: skip
STEP = "ProfilerStep#"
MODULE = "nn.Module: "


def is_annotation_of_2021(name: str) -> bool:
    """Names that the first dialect files under operators although the user or PyTorch itself marked them."""
    return name.startswith((STEP, "enumerate(DataLoader)", "Optimizer."))


@dataclass(slots=True, eq=False)
class Operator:
    """One operator; `start` and `end` are ns in the recorded clock, `until` is `end` clipped to what encloses it."""

    name: str
    category: str
    lane: Lane
    start: int
    duration: int
    args: dict[str, Any]
    order: tuple[int, ...]
    host: bool
    row: int = -1
    until: int = 0
    parent: Operator | None = None
    launcher: Operator | None = None
    iteration: int = -1
    scope: tuple[str, ...] = ()

    @property
    def end(self) -> int:
        return self.start + self.duration


@dataclass(slots=True, eq=False)
class Span:
    """An interval that is no operator."""

    name: str
    kind: str
    lane: Lane
    start: int
    duration: int
    args: dict[str, Any]
    order: tuple[int, ...]


@dataclass(slots=True)
class Oracle:
    """Everything about one file. Operators are in canonical order, edges are (source row, target row)."""

    events: int
    operators: list[Operator] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)
    steps: list[Span] = field(default_factory=list)
    streams: set[Lane] = field(default_factory=set)
    instants: list[tuple[str, Lane, int, dict[str, Any]]] = field(default_factory=list)
    memory: list[tuple[Lane, int, dict[str, Any]]] = field(default_factory=list)
    flows: Counter[str] = field(default_factory=Counter)
    edges: dict[str, set[tuple[int, int]]] = field(default_factory=lambda: defaultdict(set))
    launched: int = 0
    against_time: int = 0
    ambiguous: int = 0
    outliving: int = 0
    base: int = 0
    zero: int = 0
    rank: int | None = None
    world_size: int | None = None
    devices: list[str] = field(default_factory=list)


def nanoseconds(microseconds: int | Decimal) -> int:
    """Exact; what is beyond the nanosecond is rounded to even."""
    if isinstance(microseconds, int):
        return microseconds * 1000
    return int((microseconds * 1000).quantize(Decimal(1), ROUND_HALF_EVEN))


def load(path: Path) -> Any:
    """The document, numbers with a point as `Decimal`."""
    data = path.read_bytes()
    if data[:2] == b"\x1f\x8b":
        data = gzip.decompress(data)
    return decode(data)


def decode(data: bytes) -> Any:
    """JSON text, numbers with a point as `Decimal`."""
    return json.loads(data, parse_float=Decimal, parse_constant=lambda _: None)


def oracle(path: Path) -> Oracle | None:
    """What the file says; None where it is no Kineto trace."""
    document = load(path)
    if not isinstance(document, dict) or "traceEvents" not in document:
        return None
    return of_document(document)


def of_document(document: dict[str, Any]) -> Oracle:
    """What a decoded document says."""
    events: list[dict[str, Any]] = document["traceEvents"]
    found = Oracle(len(events), base=document.get("baseTimeNanoseconds", 0))
    distributed = document.get("distributedInfo") or {}
    found.rank, found.world_size = distributed.get("rank"), distributed.get("world_size")
    found.devices = list(dict.fromkeys(d["name"] for d in document.get("deviceProperties", ()) if d.get("name")))
    _intervals(found, events)
    _others(found, events)
    _nest(found)
    _iterations(found)
    _launches(found)
    _streams(found)
    _flows(found, events)
    return found


def lane_of(event: dict[str, Any]) -> Lane:
    """Process and thread or stream; the first dialect writes `stream 7` and threads as texts."""
    return str(event["pid"]), str(event["tid"]).removeprefix("stream ")


def _intervals(found: Oracle, events: Iterable[dict[str, Any]]) -> None:
    for position, e in enumerate(events):
        if e["ph"] != "X":
            continue
        category, name, args = e["cat"], e["name"], e.get("args") or {}
        start, duration, lane = nanoseconds(e["ts"]), nanoseconds(e["dur"]), lane_of(e)
        number = args.get("Ev Idx", args.get("Profiler Event Index"))
        number = args.get("External id", args.get("external id")) if number is None else number
        number = position if number is None else int(number)
        if category in CPU and not (category == "Operator" and is_annotation_of_2021(name)):
            kind, layer = CPU[category], 0
        elif category in CALLS:
            kind, layer = CALLS[category], 1
        elif category in ON_DEVICE:
            kind, layer = ON_DEVICE[category], 2
        elif category == "user_annotation" and name.startswith(("gloo:", "mpi:")):
            kind, layer = "ANNOTATION", 0
        else:
            kind = "USER" if category == "Operator" else SPANS.get(category, "OTHER")
            found.spans.append(Span(name, kind, lane, start, duration, args, (start, position)))
            continue
        order = (start, layer, number, position)
        found.operators.append(Operator(name, kind, lane, start, duration, args, order, layer < 2))
    found.operators.sort(key=lambda o: o.order)
    found.spans.sort(key=lambda s: s.order)
    for row, operator in enumerate(found.operators):
        operator.row = row
    found.streams = {o.lane for o in found.operators if not o.host}
    found.streams |= {s.lane for s in found.spans if s.kind in ("DEVICE_USER", "SYNCHRONIZATION")}
    starts = [o.start for o in found.operators[:1]]
    starts += [s.start for s in found.spans if s.kind not in ("TRACE", "OVERHEAD")]
    found.zero = min(starts, default=min((s.start for s in found.spans), default=0))
    _bring_home_python(found)


def _bring_home_python(found: Oracle) -> None:
    """Python frames on a thread that has nothing else ran on the busiest thread."""
    busy = Counter(o.lane for o in found.operators if o.category in ("CPU_OP", "RUNTIME"))
    used = {o.lane for o in found.operators} | {s.lane for s in found.spans if s.kind != "PYTHON"}
    for span in found.spans:
        if busy and span.kind == "PYTHON" and span.lane not in used:
            span.lane = busy.most_common(1)[0][0]


def _others(found: Oracle, events: Iterable[dict[str, Any]]) -> None:
    for e in events:
        if e["ph"] == "i":
            args = e.get("args") or {}
            if e["name"] == "[memory]":
                found.memory.append((lane_of(e), nanoseconds(e["ts"]), args))
            else:
                found.instants.append((e["name"], lane_of(e), nanoseconds(e["ts"]), args))
        elif e["ph"] in "sf":
            found.flows[e["cat"]] += 1


def _nest(found: Oracle) -> None:
    open_on: dict[Lane, list[Operator]] = defaultdict(list)
    last_child: dict[tuple[Lane, int], Operator] = {}
    for o in found.operators:
        if o.lane in found.streams:
            continue
        stack = open_on[o.lane]
        while stack and stack[-1].until <= o.start:
            stack.pop()
        o.until = o.end
        if stack:
            o.parent = stack[-1]
            o.until = min(o.end, o.parent.until)
            kind = "CALL" if o.end <= o.parent.end else "SPAWN"
            found.outliving += kind == "SPAWN"
            found.edges[kind].add((o.parent.row, o.row))
        family = (o.lane, o.parent.row if o.parent else -1)
        before = last_child.get(family)
        if before is not None and before.end <= o.start:
            found.edges["THREAD"].add((before.row, o.row))
        last_child[family] = o
        stack.append(o)


def _iterations(found: Oracle) -> None:
    for span in found.spans:
        if span.kind == "USER" and span.name.startswith(STEP) and span.lane not in found.streams:
            if not found.steps or span.start >= found.steps[-1].start + found.steps[-1].duration:
                found.steps.append(span)
    for o in found.operators:
        if o.lane not in found.streams:
            for number, step in enumerate(found.steps):
                if step.start <= o.start < step.start + step.duration:
                    o.iteration = number


def _launches(found: Oracle) -> None:
    calls: dict[int, list[Operator]] = defaultdict(list)
    for o in found.operators:
        if o.category in ("RUNTIME", "DRIVER") and o.args.get("correlation"):
            calls[o.args["correlation"]].append(o)
    for same in calls.values():
        around = [call.parent for call in same]
        same[:] = [call for call in same if not any(call is outer for outer in around)]
    seen: set[tuple[int, Lane]] = set()
    for o in found.operators:
        candidates = calls.get(o.args.get("correlation", "none"), []) if not o.host else []
        if len(candidates) > 1:
            found.ambiguous += 1
        elif candidates and candidates[0].start > o.start:
            found.against_time += 1
        elif candidates:
            o.launcher = call = candidates[0]
            found.launched += 1
            o.iteration = call.iteration
            if (call.row, o.lane) not in seen:
                found.edges["LAUNCH"].add((call.row, o.row))
            seen.add((call.row, o.lane))


def _streams(found: Oracle) -> None:
    """Each follows the one that ended last before it started, however far back that is."""
    ended: dict[Lane, list[tuple[int, int]]] = defaultdict(list)
    for o in found.operators:
        if o.lane not in found.streams:
            continue
        ends = ended[o.lane]
        before = bisect_right(ends, (o.start, len(found.operators)))
        if before:
            found.edges["STREAM"].add((ends[before - 1][1], o.row))
        insort(ends, (o.end, o.row))


def _flows(found: Oracle, events: Iterable[dict[str, Any]]) -> None:
    """Forward to backward: from the operator around the flow's start to the one around its finish."""
    threads: dict[Lane, list[Operator]] = defaultdict(list)
    for o in found.operators:
        if o.category == "CPU_OP":
            threads[o.lane].append(o)
    starts = {lane: [o.start for o in operators] for lane, operators in threads.items()}
    pairs: dict[int, dict[str, Operator]] = defaultdict(dict)
    for e in events:
        if e["ph"] not in "sf" or e["cat"] != "fwdbwd":
            continue
        lane, time = lane_of(e), nanoseconds(e["ts"])
        position = bisect_right(starts.get(lane, []), time) - 1
        while position >= 0:
            candidate = threads[lane][position]
            if time < candidate.end or time == candidate.start:
                pairs[e["id"]][e["ph"]] = candidate
                break
            position -= 1
    for ends in pairs.values():
        if len(ends) == 2 and ends["s"] is not ends["f"] and ends["s"].end <= ends["f"].start:
            found.edges["DATA"].add((ends["s"].row, ends["f"].row))


def scopes(found: Oracle) -> None:
    """Fill in `scope`: names of the annotations and modules around an operator's start, outermost first.

    Quadratic, for files of moderate size whose spans nest properly.
    """
    spans: dict[Lane, list[tuple[int, int, str]]] = defaultdict(list)
    for s in found.spans:
        if (s.kind == "USER" and not s.name.startswith(STEP)) or (s.kind == "PYTHON" and s.name.startswith(MODULE)):
            spans[s.lane].append((s.start, s.start + s.duration, s.name.removeprefix(MODULE)))
    for around in spans.values():
        around.sort(key=lambda s: (s[0], -s[1]))
    for o in found.operators:
        if o.lane not in found.streams:
            o.scope = tuple(n for a, b, n in spans[o.lane] if a <= o.start < b or a == b == o.start)
    for o in found.operators:
        if o.launcher is not None:
            o.scope = o.launcher.scope


# Small traces: times in µs from start to end, one line an event.

PROCESS = 100


def interval(category: str, name: str, start: Any, end: Any, tid: Any = 1, pid: Any = PROCESS, **args: Any) -> Any:
    """An event with a duration; arguments whose names have spaces come as `**{"External id": 1}`."""
    return {"ph": "X", "cat": category, "name": name, "pid": pid, "tid": tid, "ts": start, "dur": end - start,
            "args": args}  # fmt: skip


def cpu(name: str, start: Any, end: Any, tid: Any = 1, **args: Any) -> Any:
    """An operator on a thread."""
    return interval("cpu_op", name, start, end, tid, **args)


def call(start: Any, end: Any, correlation: Any = None, name: str = "cudaLaunchKernel", tid: Any = 1) -> Any:
    """A runtime call on a thread."""
    args = {} if correlation is None else {"correlation": correlation}
    return interval("cuda_runtime", name, start, end, tid, **args)


def gpu(name: str, start: Any, end: Any, correlation: Any = None, stream: Any = 7, **args: Any) -> Any:
    """A kernel on a stream of device 0."""
    args |= {} if correlation is None else {"correlation": correlation}
    return interval("kernel", name, start, end, stream, 0, device=0, **args)


def note(name: str, start: Any, end: Any, tid: Any = 1) -> Any:
    """A user's annotation on a thread."""
    return interval("user_annotation", name, start, end, tid)


def write(path: Path, *events: Any, **top: Any) -> Path:
    """A trace file of those events, as they stand; returns its path."""
    path.write_text(json.dumps({**top, "traceEvents": events}))
    return path
