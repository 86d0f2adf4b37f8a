"""Raw Kineto columns into a draft: operators in canonical order, lanes, annotations, instants, facts of the file."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np

from etgraph.ingest.communication import communication_annotation, communication_kernel, node_type
from etgraph.ingest.communication.groups import Group, declared_groups, listed_ranks, rank_number
from etgraph.ingest.document import Document
from etgraph.ingest.draft import NULL, Draft, Texts, dependencies
from etgraph.ingest.kineto.calls import KnownGroups, communication
from etgraph.ingest.kineto.events import ANNOTATION_2021, DEVICE, meaning
from etgraph.ingest.kineto.reader import Recording
from etgraph.ingest.nesting import innermost
from etgraph.ingest.scopes import source_of_stack
from etgraph.ingest.shapes import shapes_text
from etgraph.ingest.source import SourceFile
from etgraph.model import (
    TABLES,
    Category,
    Columns,
    DependencyKind,
    LaneKind,
    Metadata,
    NodeType,
    Report,
    Source,
    Span,
    Trace,
    process_group_tables,
)
from etgraph.model.columns import Array

_EPOCH_NS = 10**18
"""Times above this are Unix time (September 2001 and later); below, the profiler's own clock."""
_SPAN_BASE = 100
_NULL32 = -(2**31)


def assemble(recording: Recording, source: SourceFile, top: Document) -> Draft:
    """The draft of one file, with the dependencies that flow events record; other passes add the rest."""
    raw = recording.intervals
    sort = _classify(recording)
    rank, rank_from = source.rank_of(top.rest)
    is_operator = sort < _SPAN_BASE
    zero = _zero(raw["start"], sort)
    raw["start"] -= zero
    rows = np.flatnonzero(is_operator)
    on_device = np.isin(sort[rows], [int(c) for c in DEVICE])
    after_call = np.isin(sort[rows], (int(Category.RUNTIME), int(Category.DRIVER)))
    rows = rows[np.lexsort((raw["order"][rows], on_device * 2 + after_call, raw["start"][rows]))]
    spans = np.flatnonzero(~is_operator)
    spans = spans[np.lexsort((raw["position"][spans], raw["start"][spans]))]
    lanes, lane_rows = _lanes(recording, sort, rank)
    groups, members, known_groups = _groups(recording, top)
    operators = _operators(recording, sort, rows, rank, lane_rows, known_groups)
    base = _integer(top.rest.get("baseTimeNanoseconds"))
    unix_zero = zero + base
    if abs(unix_zero) >= 2**63:
        raise source.error(f"{base}", "Unix time in ns", "key 'baseTimeNanoseconds'")
    instants = _instants(recording, rank, lane_rows, zero)
    memory, counters = _memory(recording, rank, lane_rows, zero), _counters(recording, rank, zero)
    # The base alone tells no time: on its own it is when the profiler's clock began, weeks before.
    timed = len(raw["start"]) > 0
    metadata = Metadata(
        sources=(_source(recording, source, top, rank, rank_from),),
        world_size=_world_size(top.rest),
        device_model=_device_model(top.rest),
        start_time=_iso(unix_zero) if timed and unix_zero > _EPOCH_NS else None,
        zero_ns=unix_zero if timed or len(instants) or len(memory) or len(counters) else None,
        clock_offsets_ns={rank: 0},
        report=_report(recording, sort, top),
    )
    trace = Trace(
        operators=operators,
        lanes=lanes,
        process_groups=groups,
        group_members=members,
        annotations=_annotations(recording, sort, spans, rank, lane_rows),
        instants=instants,
        memory_events=memory,
        counters=counters,
        metadata=metadata,
    )
    names = ("correlation", "sequence", "record_function", "external", "order")
    ids, annotation_ids = ({name: raw[name][which] for name in names} for which in (rows, spans))
    ids |= {"comm_sequence": raw["group_sequence"][rows], "issue": raw["issue"][rows]}
    if len(recording.waits["correlation"]):
        ids |= _waits(recording, trace, ids["correlation"])
    draft = Draft(trace, ids, annotation_ids)
    return _with_flows(draft, recording, lane_rows, zero)


def _classify(recording: Recording) -> Array:
    """For each interval its category of operator, or `_SPAN_BASE` plus its kind of annotation."""
    raw = recording.intervals
    meanings = [meaning(text) for text in recording.categories]
    codes = np.array([int(m) if isinstance(m, Category) else _SPAN_BASE + int(m) for m in meanings] or [0])
    sort = codes[raw["category"]]
    names = recording.names
    communicates = np.array([communication_annotation(n) for n in names] or [False])
    annotates = np.array([ANNOTATION_2021.match(n) is not None for n in names] or [False])
    dialect_2021 = np.array([text == "Operator" for text in recording.categories] or [False])[raw["category"]]
    sort = np.where((sort == _SPAN_BASE + Span.USER) & communicates[raw["name"]], int(Category.ANNOTATION), sort)
    return np.where(dialect_2021 & annotates[raw["name"]], _SPAN_BASE + int(Span.USER), sort)


def _zero(start: Array, sort: Array) -> int:
    """The trace's zero: its first operator or annotation; the profiler's own bracket begins earlier."""
    inside = start[~np.isin(sort, (_SPAN_BASE + Span.TRACE, _SPAN_BASE + Span.OVERHEAD))]
    chosen = inside if len(inside) else start
    return int(chosen.min()) if len(chosen) else 0


def _split_lanes(recording: Recording, on_device: Array) -> Array:
    """Which of the recorded lanes are a device's. Thread 7 of process 7 and stream 7 of device 7 become two lanes."""
    lane, count = recording.intervals["lane"], len(recording.lanes)
    device_lane = np.zeros(max(count, 1), dtype=bool)
    device_lane[lane[on_device]] = True
    for mixed in np.intersect1d(lane[on_device], lane[~on_device]).tolist():
        recording.intervals["lane"] = lane = np.where(on_device & (lane == mixed), len(recording.lanes), lane)
        recording.lanes.append(recording.lanes[mixed])
        device_lane[mixed] = False
        device_lane = np.append(device_lane, True)
    return device_lane


def _lanes(recording: Recording, sort: Array, rank: int) -> tuple[Columns, Array]:
    """The lanes, and for each recorded (pid, tid) its row. `25738` and `"25738"` are one lane, `stream 7` is 7."""
    raw = recording.intervals
    device_spans = (_SPAN_BASE + Span.DEVICE_USER, _SPAN_BASE + Span.SYNCHRONIZATION)
    is_device = _split_lanes(recording, np.isin(sort, [*map(int, DEVICE), *device_spans]))
    known: dict[tuple[str, str, bool], int] = {}
    keys = [(str(p), _lane_id(t), bool(d)) for (p, t), d in zip(recording.lanes, is_device, strict=False)]
    to_row = np.array([known.setdefault(key, len(known)) for key in keys] or [0], dtype=np.int32)
    lane = to_row[raw["lane"]]
    on_device = np.array([d for _, _, d in known], dtype=bool)
    device = np.full(len(known), _NULL32, dtype=np.int64)
    device[lane[raw["device"] >= 0]] = raw["device"][raw["device"] >= 0]
    for key, row in known.items():
        if on_device[row] and device[row] == _NULL32 and key[0].isdecimal() and int(key[0]) < 2**31:
            device[row] = int(key[0])
    labels = {(str(p), _lane_id(t)): name for (p, t), name in recording.thread_names.items()}
    process, ids, names = Texts(), Texts(), Texts()
    data = {
        "rank": np.full(len(known), rank),
        "kind": np.where(on_device, int(LaneKind.STREAM), int(LaneKind.THREAD)),
        "process": [process[k[0]] for k in known],
        "id": [ids[k[1]] for k in known],
        "device": np.where(on_device, device, _NULL32),
        "name": [names[labels[k[:2]].strip()] if k[:2] in labels else -1 for k in known],
    }
    lanes = Columns(TABLES["lanes"], data, {"process": process, "id": ids, "name": names})
    return lanes, _adopt_python(recording, sort, lane, to_row)


def _lane_id(tid: Any) -> str:
    return str(tid).removeprefix("stream ").strip()


def _adopt_python(recording: Recording, sort: Array, lane: Array, to_row: Array) -> Array:
    """Python frames recorded on a thread without operators belong to the thread that has most of them."""
    host = np.isin(sort, (int(Category.CPU_OP), int(Category.RUNTIME)))
    python = sort == _SPAN_BASE + Span.PYTHON
    if not host.any() or not python.any():
        return to_row
    busiest = np.bincount(lane[host]).argmax()
    homeless = np.setdiff1d(np.unique(lane[python]), np.unique(lane[host]))
    foreign = np.setdiff1d(homeless, np.unique(lane[~python]))
    return np.where(np.isin(to_row, foreign), np.int32(busiest), to_row)


def _operators(
    recording: Recording, sort: Array, rows: Array, rank: int, lane_rows: Array, groups: KnownGroups
) -> Columns:
    raw = recording.intervals
    name, category = raw["name"][rows], sort[rows]
    kind = _kinds(recording, name, category)
    shapes = [shapes_text(*pair) for pair in recording.shapes]
    data = {
        "rank": np.full(len(rows), rank),
        "index": np.arange(len(rows)),
        "name": name,
        "category": category,
        "lane": lane_rows[raw["lane"][rows]],
        "start_ns": raw["start"][rows],
        "duration_ns": raw["duration"][rows],
        "shapes": raw["shapes"][rows],
        "waves": raw["waves"][rows],
        "attrs": raw["attrs"][rows],
        "scope": raw["modules"][rows],
        "source": raw["stack"][rows],
        **communication(recording, sort, rows, kind, groups),
    }
    optional = {"shapes": -1, "comm_type": _NULL32, "comm_bytes": NULL, "group": -1, "attrs": -1, "peer": _NULL32,
                "tag": _NULL32}  # fmt: skip
    data = {k: v for k, v in data.items() if k not in optional or (np.asarray(v) != optional[k]).any()}
    if np.isnan(data["waves"]).all():
        del data["waves"]
    dictionaries = {"name": recording.names, "shapes": shapes}
    for column, texts in (("scope", recording.modules), ("source", [source_of_stack(s) for s in recording.stacks])):
        codes = np.asarray(data.pop(column))
        known = Texts()
        to_code = np.array([known[t] if t else -1 for t in texts] + [-1], dtype=np.int32)
        if known:
            data[column] = to_code[codes]
            dictionaries[column] = list(known)
    return Columns(TABLES["operators"], data, dictionaries)


def _kinds(recording: Recording, name: Array, category: Array) -> Array:
    """Chakra's node type of every operator, by its category and name."""
    names = recording.names
    by_name = np.array([int(node_type(n)) for n in names] or [0])
    communicates = np.array([communication_kernel(n) or communication_annotation(n) for n in names] or [False])
    copies = np.array([int(_copy_type(n)) for n in names] or [0])
    kind = np.full(len(name), int(NodeType.COMP))
    copy = np.isin(category, (int(Category.MEMCPY), int(Category.MEMSET)))
    kind = np.where(copy, copies[name], kind)
    comm = np.isin(category, (int(Category.KERNEL), int(Category.ANNOTATION))) & communicates[name]
    return np.where(comm, by_name[name], kind)


def _copy_type(name: str) -> NodeType:
    """A copy from the host loads device memory; any other copy and every fill stores into memory."""
    return NodeType.MEM_LOAD if "HtoD" in name or "HostToDevice" in name else NodeType.MEM_STORE


def _annotations(recording: Recording, sort: Array, spans: Array, rank: int, lane_rows: Array) -> Columns:
    raw = recording.intervals
    if not len(spans):
        return Columns.empty(TABLES["annotations"])
    known = Texts()
    used, inverse = np.unique(raw["name"][spans], return_inverse=True)
    codes = np.array([known[recording.names[i]] for i in used.tolist()], dtype=np.int32)
    return Columns(
        TABLES["annotations"],
        {
            "rank": np.full(len(spans), rank),
            "kind": sort[spans] - _SPAN_BASE,
            "name": codes[inverse],
            "lane": lane_rows[raw["lane"][spans]],
            "start_ns": raw["start"][spans],
            "duration_ns": raw["duration"][spans],
            "attrs": raw["attrs"][spans],
        },
        {"name": known},
    )


def _instants(recording: Recording, rank: int, lane_rows: Array, zero: int) -> Columns:
    found = recording.instants
    count = len(found["time"])
    if not count:
        return Columns.empty(TABLES["instants"])
    data = {"rank": np.full(count, rank), "name": found["name"], "lane": lane_rows[found["lane"]],
            "time_ns": found["time"] - zero, "attrs": found["attrs"]}  # fmt: skip
    return Columns(TABLES["instants"], data, {"name": recording.names})


def _memory(recording: Recording, rank: int, lane_rows: Array, zero: int) -> Columns:
    found = recording.memory
    count = len(found["time"])
    if not count:
        return Columns.empty(TABLES["memory_events"])
    data = {
        "rank": np.full(count, rank),
        "lane": lane_rows[found["lane"]],
        "time_ns": found["time"] - zero,
        **{k: found[k] for k in ("address", "bytes", "allocated", "reserved", "device_type", "device", "attrs")},
    }
    return Columns(TABLES["memory_events"], data, masks={"address": found["known"]})


def _counters(recording: Recording, rank: int, zero: int) -> Columns:
    found = recording.counters
    count = len(found["time"])
    if not count:
        return Columns.empty(TABLES["counters"])
    data = {"rank": np.full(count, rank), "name": found["name"], "time_ns": found["time"] - zero,
            "value": found["value"]}  # fmt: skip
    return Columns(TABLES["counters"], data, {"name": recording.names})


def _groups(recording: Recording, top: Document) -> tuple[Columns, Columns, KnownGroups]:
    """Process groups that the file declares or names. One that it declares alone is that of all its communication."""
    groups: dict[str, Group] = {}
    distributed = top.rest.get("distributedInfo")
    config = distributed.get("pg_config") if isinstance(distributed, dict) else None
    for group in declared_groups(config):
        groups[group[0]] = group
    only = 0 if len(groups) == 1 else -1
    for message in recording.messages:
        if message.group and message.group not in groups:
            ranks = listed_ranks(message.ranks, message.size, message.start, message.stride)
            groups[message.group] = (
                message.group, message.description or None, None, rank_number(message.size) or None, ranks
            )  # fmt: skip
    order = {name: row for row, name in enumerate(groups)}
    rows = np.array([order.get(m.group, -1) for m in recording.messages] or [-1], dtype=np.int32)
    known = KnownGroups(rows, [group[4] for group in groups.values()], only)
    return (*process_group_tables(list(groups.values())), known)


def _waits(recording: Recording, trace: Trace, correlation: Array) -> dict[str, Array]:
    """What the records of synchronisation say of the calls that they share a correlation with; see `Draft.ids`."""
    waits, o, lanes = recording.waits, trace.operators, trace.lanes
    texts = lanes.texts("id").to_pylist()
    row_of: dict[tuple[int, int], int] = {}
    for row in np.flatnonzero(lanes["kind"] == int(LaneKind.STREAM)).tolist():
        if (text := texts[lanes["id"][row]]).isdecimal():
            row_of[int(lanes["device"][row]), int(text)] = row_of[-1, int(text)] = row
    calls = np.flatnonzero(np.isin(o["category"], (int(Category.RUNTIME), int(Category.DRIVER))) & (correlation > 0))
    calls = calls[np.argsort(correlation[calls], kind="stable")]
    at = np.searchsorted(correlation[calls], waits["correlation"])
    known = (np.append(correlation[calls], NULL)[at] == waits["correlation"]) & (waits["correlation"] > 0)
    columns = {name: np.full(len(o), NULL) for name in ("stream", "event_stream", "event_record")}
    call = calls[at[known]]
    columns["event_record"][call] = waits["record"][known]
    for name, recorded in (("stream", waits["stream"]), ("event_stream", waits["source"])):
        pairs = zip(waits["device"][known].tolist(), recorded[known].tolist(), strict=True)
        columns[name][call] = np.array([row_of.get(pair, NULL) for pair in pairs], dtype=np.int64)
    return columns


def _with_flows(draft: Draft, recording: Recording, lane_rows: Array, zero: int) -> Draft:
    """Forward → backward flows as data dependencies: the backward operator reads what the forward one saved."""
    flows = recording.flows
    if not len(flows["id"]):
        return draft
    operators = draft.trace.operators
    ends = _operators_at(draft.trace, lane_rows[flows["lane"]], flows["time"] - zero).tolist()
    by_id: dict[int, list[int]] = {}
    for is_start, flow, end in zip(flows["start"].tolist(), flows["id"].tolist(), ends, strict=True):
        pair = by_id.setdefault(flow, [-1, -1])
        if end >= 0:
            pair[0 if is_start else 1] = end
    pairs = np.array(sorted({(a, b) for a, b in by_id.values() if a >= 0 and b >= 0 and a != b}), dtype=np.int64)
    pairs = pairs.reshape(-1, 2)
    in_order = draft.trace.end_ns[pairs[:, 0]] <= operators["start_ns"][pairs[:, 1]]
    good = pairs[in_order]
    unmatched = len(by_id) - len(pairs)
    report = Report(dangling_dependencies=unmatched).with_count("flowsAgainstTime", int((~in_order).sum()))
    found = dependencies(DependencyKind.DATA, good[:, 0], good[:, 1], "forward-backward flow")
    return draft.with_dependencies(found).with_report(report)


def _operators_at(trace: Trace, lane: Array, time: Array) -> Array:
    """For each (lane, time) the innermost operator that covers it, -1 where there is none."""
    o = trace.operators
    host = np.flatnonzero(o["category"] == int(Category.CPU_OP))
    found = innermost(o["lane"][host], o["start_ns"][host], trace.end_ns[host], lane, time)
    return np.where(found >= 0, host[found] if len(host) else -1, -1)


def _source(recording: Recording, source: SourceFile, top: Document, rank: int, rank_from: str) -> Source:
    document = dict(top.rest)
    if recording.processes:
        document["processes"] = recording.processes
    dialect = "kineto-2021" if "Operator" in recording.categories else "kineto"
    return Source(source.name, dialect, rank, source.bytes, source.sha256, rank_from, document)


def _report(recording: Recording, sort: Array, top: Document) -> Report:
    on_device = np.isin(sort, [int(c) for c in DEVICE])
    report = Report(host_operators=int(((sort < _SPAN_BASE) & ~on_device).sum()), device_operators=int(on_device.sum()))
    other = recording.intervals["category"][sort == _SPAN_BASE + Span.OTHER]
    for code, count in enumerate(np.bincount(other).tolist()):
        if count:
            text = recording.categories[code]
            report = report.with_count(
                f"annotations:{text}", count, f"category {text!r} is not known: its {count} events are annotations"
            )
    for what, count in recording.unread.items():
        warning = "" if what.startswith("flow:") else f"{count} {what} were not read"
        report = report.with_count(what, count, warning)
    replaced = top.replaced_numbers
    return report.with_count("replacedNumbers", replaced, f"{replaced} numbers NaN or infinite, read as null")


def _world_size(rest: dict[str, Any]) -> int | None:
    distributed = rest.get("distributedInfo")
    size = distributed.get("world_size") if isinstance(distributed, dict) else None
    return size if isinstance(size, int) else None


def _device_model(rest: dict[str, Any]) -> str | None:
    devices = rest.get("deviceProperties")
    if not isinstance(devices, list):
        return None
    names = dict.fromkeys(str(d["name"]) for d in devices if isinstance(d, dict) and d.get("name"))
    return ", ".join(names) or None


def _integer(value: Any) -> int:
    """A recorded whole number, however it is spelled; 0 for anything else."""
    if isinstance(value, str) and value.strip().isdecimal():
        return int(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _iso(unix_ns: int) -> str:
    moment = datetime.fromtimestamp(unix_ns // 10**9, tz=UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{unix_ns % 10**9:09d}Z"
