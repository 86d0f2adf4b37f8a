"""Raw nodes into a draft: operators in the order in which they started, lanes, scopes, process groups, facts."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import numpy as np

from etgraph.ingest.communication import communication_kernel, node_type
from etgraph.ingest.document import Document
from etgraph.ingest.draft import NULL, Draft, Texts, dependencies, int64s
from etgraph.ingest.identifiers import rows_of, sorting, twice
from etgraph.ingest.kineto.events import meaning
from etgraph.ingest.pytorch_et.messages import Group, default_size, global_rank, read_groups
from etgraph.ingest.pytorch_et.nodes import (
    COMMUNICATION,
    KNOWN,
    WAITS,
    category,
    is_process,
    kind_without_communication,
)
from etgraph.ingest.pytorch_et.reader import Recording
from etgraph.ingest.shapes import shapes_text
from etgraph.ingest.source import SourceFile
from etgraph.ingest.tree import cycle, nearest, visits
from etgraph.model import (
    TABLES,
    Category,
    Columns,
    CommType,
    DependencyKind,
    LaneKind,
    Metadata,
    NodeType,
    Report,
    Source,
    Trace,
    process_group_tables,
)
from etgraph.model.columns import Array
from etgraph.model.errors import CycleError

_NULL32 = -(2**31)
_SHOWN = 12
_STEP = re.compile(r"^ProfilerStep#")


def assemble(recording: Recording, source: SourceFile, top: Document) -> Draft:
    """The draft of one file; its dependencies are what ET+ says that nodes wait for, taken at its word.

    Raises InputError for an id that occurs twice, CycleError for nodes that enclose each other.
    """
    parent, dangling = _in_canonical_order(recording, source)
    enter, _ = visits(parent)
    if len(circle := cycle(parent, enter)):
        raise _cycle_error(recording, source, circle)
    raw = recording.nodes
    rank, rank_from = source.rank_of(top.rest)
    groups, addresses, world_size, unread = _groups(recording)
    waits, unknown = _waits(recording)
    report = _report(recording, top, dangling + unknown)
    report = report.with_count("unreadProcessGroups", unread, f"{unread} lists of process groups were not read")
    lanes, lane = _lanes(recording, top, rank)
    timed = raw["start"] != NULL
    zero = int(raw["start"][timed].min()) if timed.any() else None
    data, dictionaries = _columns(recording, parent)
    data |= {"rank": np.full(len(parent), rank, dtype=np.int32), "lane": lane}
    data |= _communication(recording, parent, data, groups, addresses)
    if zero is not None:
        data |= {"start_ns": np.where(timed, raw["start"] - zero, NULL), "duration_ns": raw["duration"]}
    data["scope"], dictionaries["scope"] = _scopes(recording, parent, enter, data)
    tables = process_group_tables(list(groups.values()))
    metadata = Metadata(
        sources=(Source(source.name, "pytorch-et", rank, source.bytes, source.sha256, rank_from, dict(top.rest)),),
        world_size=world_size,
        zero_ns=zero,
        clock_offsets_ns={rank: 0},
        report=report,
    )
    operators = Columns(TABLES["operators"], _without_empty(data), dictionaries)
    trace = Trace(operators, waits, lanes=lanes, process_groups=tables[0], group_members=tables[1], metadata=metadata)
    ids = {name: raw[name] for name in ("sequence", "record_function", "forward", "comm_sequence")}
    return Draft(trace, ids, tensors=_tensors(recording))


def _in_canonical_order(recording: Recording, source: SourceFile) -> tuple[Array, int]:
    """Put the nodes into the order in which they started; the row of each one's parent, and how many have none.

    That order is by record-function id, then id; roots have 0 and come first. A node without such an id (what ET+
    adds of the device) comes where its parent does.
    """
    raw = recording.nodes
    count = len(raw["id"])
    by_id = sorting(raw["id"])
    if (pair := twice(raw["id"], by_id)) is not None:
        first, second = raw["position"][list(pair)].tolist()
        raise source.error(f"id {raw['id'][pair[0]]} in node {first} and in node {second}", "one node for each id")
    parent = rows_of(raw["parent"], raw["id"], by_id)
    dangling = int((raw["has_parent"] & (parent < 0)).sum())
    parent[~raw["has_parent"] | (parent == np.arange(count))] = -1
    started = raw["record_function"]
    if count:
        started = np.maximum(np.where((started == NULL) & (parent >= 0), started[parent], started), 0)
    order = np.lexsort((raw["id"], started))
    row_of = np.full(count + 1, -1, dtype=np.int32)
    row_of[order] = np.arange(count)
    parent = row_of[parent[order]].astype(np.int32)
    del raw["parent"], raw["has_parent"]
    for name in raw:
        raw[name] = raw[name][order]
    return parent, dangling


def _cycle_error(recording: Recording, source: SourceFile, circle: Array) -> CycleError:
    raw = recording.nodes
    members = [f"node {raw['id'][row]} ({recording.names[raw['name'][row]]})" for row in circle.tolist()]
    shown = " → ".join(members[:_SHOWN]) + (" → …" if len(members) > _SHOWN else "")
    message = f"{source.place}: found {len(members)} nodes that enclose each other, expected a tree: {shown}"
    return CycleError(message, members)


def _lanes(recording: Recording, top: Document, rank: int) -> tuple[Columns, Array]:
    """The lanes, and the row of each node's. The process itself and a node without a thread have none."""
    raw = recording.nodes
    none = _flags(recording.names, is_process)[raw["name"]]
    used = np.bincount(raw["lane"][~none], minlength=len(recording.lanes)) > 0
    known: dict[tuple[bool, str], int] = {}
    rows = [
        known.setdefault((stream, str(number)), len(known)) if use and number is not None else -1
        for (stream, number), use in zip(recording.lanes, used.tolist(), strict=True)
    ]
    ids = Texts()
    kinds = [int(LaneKind.STREAM if stream else LaneKind.THREAD) for stream, _ in known]
    data = {
        "rank": np.full(len(known), rank),
        "kind": np.array(kinds, dtype=np.int32),
        "process": np.zeros(len(known), dtype=np.int32),
        "id": np.array([ids[text] for _, text in known], dtype=np.int32),
    }
    lanes = Columns(TABLES["lanes"], data, {"process": [str(top.rest.get("pid", ""))], "id": list(ids)})
    return lanes, np.where(none, -1, np.array([*rows, -1], dtype=np.int32)[raw["lane"]])


def _tensors(recording: Recording) -> dict[str, Array]:
    """The accesses to tensors' memory by row, in order of rows."""
    raw, accesses = recording.nodes, recording.tensors
    row_at = np.empty(len(raw["position"]), dtype=np.int32)
    row_at[raw["position"]] = np.arange(len(row_at), dtype=np.int32)
    operator = row_at[accesses["position"]]
    order = np.argsort(operator, kind="stable")
    return {
        "operator": operator[order],
        "storage": accesses["storage"][order],
        "writes": accesses["writes"][order],
    }


def _waits(recording: Recording) -> tuple[Columns, int]:
    """What ET+ says that nodes wait for as dependencies, each once, and how many of them name no node.

    A host operator waits for device work until its own end, everything else before its start.
    """
    raw, waits = recording.nodes, recording.waits
    row_at = np.empty(len(raw["id"]), dtype=np.int64)
    row_at[raw["position"]] = np.arange(len(row_at))
    dst = row_at[waits["position"]]
    src = rows_of(waits["id"], raw["id"], sorting(raw["id"]))
    known = src >= 0
    which, src, dst = np.unique(np.stack([waits["which"], src, dst])[:, known], axis=1)
    streams = np.array([stream for stream, _ in recording.lanes] or [False])[raw["lane"]]
    sync = which == WAITS.index("sync_dep")
    kinds = np.full(len(src), int(DependencyKind.JOIN))
    kinds[sync & streams[src] & streams[dst]] = int(DependencyKind.EVENT)
    kinds[sync & streams[src] & ~streams[dst]] = int(DependencyKind.SYNC)
    parts = [
        dependencies(DependencyKind(kind), src[chosen], dst[chosen], name)
        for number, name in enumerate(WAITS)
        for kind in np.unique(kinds).tolist()
        if (chosen := (which == number) & (kinds == kind)).any()
    ]
    return Columns.concat(parts or [Columns.empty(TABLES["dependencies"])]), int((~known).sum())


def _columns(recording: Recording, parent: Array) -> tuple[dict[str, Array], dict[str, Any]]:
    """The columns that each node fills by itself: identity, kind and category."""
    raw = recording.nodes
    sorts = np.array([_sort(*sort) for sort in recording.sorts] or [(0, 0)], dtype=np.int32)
    data = {
        "index": np.arange(len(parent), dtype=np.int32),
        "node_id": raw["id"],
        "name": raw["name"],
        "kind": sorts[raw["sort"], 1],
        "category": sorts[raw["sort"], 0],
        "parent": parent,
        "shapes": raw["shapes"],
        "attrs": raw["attrs"],
    }
    return data, {"name": recording.names, "shapes": [shapes_text(*pair) for pair in recording.shapes]}


def _sort(name: str, scope: int, recorded: str) -> tuple[int, int]:
    """Category and node type by name, scope and ET+'s category, communication aside."""
    device = meaning(recorded) if recorded else None
    if isinstance(device, Category) and device is not Category.CPU_OP:
        copies = device in (Category.MEMCPY, Category.MEMSET)
        to_device = "HtoD" in name or "HostToDevice" in name
        kind = (NodeType.MEM_LOAD if to_device else NodeType.MEM_STORE) if copies else NodeType.COMP
        return int(device), int(node_type(name) if communication_kernel(name) else kind)
    by = category(name, scope)
    return int(by), int(kind_without_communication(by))


def _communication(
    recording: Recording, parent: Array, data: dict[str, Array], groups: dict[str, Group], addresses: dict[int, str]
) -> dict[str, Array]:
    """The columns of communication; a group that only its messages name is added to the groups.

    NCCL's annotation inside `record_param_comms` says the same once more and stays an annotation.
    """
    raw, messages, count = recording.nodes, recording.messages, len(parent)
    kind, size, group = data["kind"], np.full(count, NULL), np.full(count, -1, dtype=np.int32)
    comm_type, peer, tag = (np.full(count, _NULL32, dtype=np.int32) for _ in range(3))
    inside = _flags(recording.names, lambda n: n == COMMUNICATION)[raw["name"]]
    annotated = _flags(recording.names, lambda n: n.startswith("nccl:"))[raw["name"]]
    rows = np.flatnonzero((raw["message"] >= 0) & ~(annotated & (parent >= 0) & inside[parent]))
    for m in (messages[code] for code in np.unique(raw["message"][rows]).tolist()):
        name = m.group or addresses.get(m.pointer or 0, "")
        if name and name not in groups:
            groups[name] = (name, m.description or None, None, m.size, [])
    order = {name: row for row, name in enumerate(groups)}
    alone = next(iter(groups)) if len(groups) == 1 else ""
    for row in rows.tolist():
        m = messages[raw["message"][row]]
        name = m.group or addresses.get(m.pointer or 0, "") or ("" if m.pointer else alone)
        around = int(raw["position"][parent[row]]) if parent[row] >= 0 else -1
        to, marked = (m.peer, m.tag) if m.peer is not None else recording.peers.get(around, (None, None))
        bytes_ = m.bytes
        if bytes_ is None and m.type is CommType.ALL_GATHER:
            bytes_ = recording.gathered.get(around)
        kind[row] = int(m.kind)
        comm_type[row] = _NULL32 if m.type is None else int(m.type)
        size[row : row + 1] = int64s([NULL if bytes_ is None else bytes_])
        group[row] = order.get(name, -1)
        if m.kind is not NodeType.COMM_COLL:
            to = global_rank(to, groups[name][4] if name else ())
            peer[row], tag[row] = _NULL32 if to is None else to, _NULL32 if marked is None else marked
    return {"comm_type": comm_type, "comm_bytes": size, "group": group, "peer": peer, "tag": tag}


def _groups(recording: Recording) -> tuple[dict[str, Group], dict[int, str], int | None, int]:
    """Process groups by name, their names by address, the world size, and how many lists could not be read."""
    groups: dict[str, Group] = {}
    addresses: dict[int, str] = {}
    world_size, unread = None, 0
    for text in recording.groups:
        try:
            found, named = read_groups(text)
            world_size = world_size or default_size(text)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            unread += 1
            continue
        addresses |= named
        for group in found:
            groups.setdefault(group[0], group)
    return groups, addresses, world_size, unread


def _scopes(recording: Recording, parent: Array, enter: Array, data: dict[str, Array]) -> tuple[Array, list[str]]:
    """The path of user annotations around each node, outermost first; steps and what itself communicates are none."""
    raw = recording.nodes
    steps = _flags(recording.names, lambda n: _STEP.match(n) is not None)[raw["name"]]
    annotates = (data["category"] == int(Category.ANNOTATION)) & (data["kind"] == int(NodeType.METADATA)) & ~steps
    around = nearest(parent, enter, annotates, itself=False)
    paths: list[str] = []
    known = Texts()
    path_of = np.full(len(parent) + 1, -1, dtype=np.int32)
    rows = np.flatnonzero(annotates)
    for row in rows[np.argsort(enter[rows])].tolist():
        own = recording.names[raw["name"][row]]
        outer = path_of[around[row]] if around[row] >= 0 else -1
        path_of[row] = code = known[own if outer < 0 else f"{paths[outer]}/{own}"]
        if code == len(paths):
            paths = list(known) if not paths else [*paths, next(reversed(known))]
    return np.where(around >= 0, path_of[around], -1), paths


def _report(recording: Recording, top: Document, dangling: int) -> Report:
    schema = top.rest.get("schema")
    streams = np.array([stream for stream, _ in recording.lanes] or [False])[recording.nodes["lane"]]
    devices = int(streams.sum())
    report = Report(host_operators=len(streams) - devices, device_operators=devices, dangling_dependencies=dangling)
    if not isinstance(schema, str) or schema.partition("-")[0] not in KNOWN:
        found = f"schema {schema!r}" if schema is not None else "no schema"
        report += Report(warnings=(f"{found}: known are {', '.join(KNOWN)}; it was read as far as it is alike",))
    replaced = top.replaced_numbers
    return report.with_count("replacedNumbers", replaced, f"{replaced} numbers NaN or infinite, read as null")


def _flags(names: list[str], test: Any) -> Array:
    return np.array([bool(test(name)) for name in names] or [False])


def _without_empty(data: dict[str, Array]) -> dict[str, Array]:
    """The columns that hold a value somewhere, and those that every trace has."""
    declared = {name: TABLES["operators"].column(name) for name in data}
    return {
        name: values
        for name, values in data.items()
        if not (c := declared[name]).nullable or c.null is None or (values != c.null).any()
    }
