"""Raw nodes into a draft: operators in file order, lanes, times, communication, facts of the file."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from etgraph.ingest.chakra.attributes import DOCUMENT
from etgraph.ingest.chakra.document import Document, document_of, iteration_table, lane_table
from etgraph.ingest.chakra.reader import Recording
from etgraph.ingest.draft import NULL, Draft
from etgraph.ingest.identifiers import rows_of, sorting, twice
from etgraph.ingest.shapes import shapes_text_of_literals
from etgraph.ingest.source import SourceFile
from etgraph.model import (
    TABLES,
    Category,
    Columns,
    LaneKind,
    Metadata,
    NodeType,
    Report,
    Source,
    Trace,
    process_group_tables,
)
from etgraph.model.columns import Array

_NULL32: Final = -(2**31)


def assemble(recording: Recording, source: SourceFile, format: str) -> Draft:
    """The draft of one file, with the ids that its dependencies name.

    Raises InputError for an id that occurs twice, and for attributes of ours that refer to what is not there.
    """
    nodes = recording.nodes
    order = sorting(nodes["id"])
    if (pair := twice(nodes["id"], order)) is not None:
        places = [f"node {row}" + (f" (byte {nodes['offset'][row]:,})" if recording.places else "") for row in pair]
        raise source.error(f"id {nodes['id'][pair[0]]} in {places[0]} and in {places[1]}", "one node for each id")
    del nodes["offset"]
    own = document_of(recording.metadata)
    rank, rank_from = source.rank_of({"distributedInfo": {"rank": own.rank}} if own else {})
    if own is not None:
        own.rank = rank
    data: dict[str, Array] = {
        "rank": np.full(recording.count, rank, dtype=np.int32),
        "index": np.arange(recording.count, dtype=np.int32),
        "node_id": nodes["id"],
        "name": nodes["name"],
        "kind": nodes["type"],
        "category": _categories(recording, own),
        "attrs": nodes["attrs"],
    }
    times, zero = _times(recording, own)
    lanes, lane = _lanes(recording, own, rank)
    groups, group = _groups(recording, own)
    data |= times | _communication(recording, group) | {"lane": lane}
    data |= {name: nodes[name] for name in ("flops", "bytes") if name in nodes}
    dictionaries: dict[str, Any] = {"name": recording.texts["name"]}
    if own is not None:
        data |= _references(recording, own, order)
        if own.numbered:
            del data["node_id"]
        if "link" in nodes:
            null = TABLES["operators"].column("link").null
            data["link"] = np.where(nodes["link"] < 0, null, nodes["link"])
        if "waves" in nodes:
            bits = np.maximum(nodes["waves"], 0).astype(np.uint32)
            data["waves"] = np.where(nodes["waves"] < 0, np.float32(np.nan), bits.view(np.float32))
        for name in ("scope", "source"):
            if name in nodes:
                data[name], dictionaries[name] = nodes[name], recording.texts[name]
    if "shapes" in nodes:
        data["shapes"], dictionaries["shapes"] = _shapes(recording)
    metadata = Metadata(
        sources=(Source(source.name, format, rank, source.bytes, source.sha256, rank_from, recording.metadata),),
        world_size=own.world_size if own else None,
        device_model=own.device_model if own else None,
        start_time=own.start_time if own else None,
        zero_ns=zero,
        clock_offsets_ns={rank: 0},
        report=_report(recording, data["category"], own),
    )
    process_groups, members = process_group_tables(groups)
    trace = Trace(
        Columns(TABLES["operators"], {k: v for k, v in data.items() if _has_values(k, v)}, dictionaries),
        lanes=lanes,
        process_groups=process_groups,
        group_members=members,
        iterations=iteration_table(own) if own else Columns.empty(TABLES["iterations"]),
        metadata=metadata,
    )
    links = {"ctrl": recording.ctrl, "data": recording.data, "others": recording.others, "kinds": recording.kinds}
    counts = {f"{name}_count": nodes.get(f"{name}_count", np.zeros(0, dtype=np.int32)) for name in links}
    return Draft(trace, {**links, **counts, "id": nodes["id"], "by_id": np.zeros(0) if order is None else order})


def _references(recording: Recording, own: Document, order: Array | None) -> dict[str, Array]:
    """The enclosing operator by its id, and the iteration by its row; null where there is no such."""
    nodes, found = recording.nodes, {}
    if "parent" in nodes:
        parent = rows_of(np.maximum(nodes["parent"], 0).astype(np.uint64), nodes["id"], order)
        found["parent"] = np.where(nodes["parent"] < 0, -1, parent).astype(np.int32)
    if "iteration" in nodes:
        found["iteration"] = np.where(nodes["iteration"] < len(own.iterations), np.maximum(nodes["iteration"], -1), -1)
    return found


def _categories(recording: Recording, own: Document | None) -> Array:
    """What recorded each node: the host where it says so, else the device, with copies apart."""
    nodes = recording.nodes
    kind = nodes["type"]
    copies = (kind == int(NodeType.MEM_LOAD)) | (kind == int(NodeType.MEM_STORE))
    known = (kind > int(NodeType.INVALID)) & (kind <= int(NodeType.COMM_COLL))
    device = np.where(copies, int(Category.MEMCPY), np.where(known, int(Category.KERNEL), int(Category.DEVICE)))
    on_host = nodes["cpu"] == 1 if "cpu" in nodes else np.zeros(recording.count, dtype=bool)
    category = np.where(on_host, int(Category.CPU_OP), device)
    category = np.where(kind == int(NodeType.METADATA), int(Category.METADATA), category)
    if own is not None and "category" in nodes:
        category = np.where(nodes["category"] >= 0, nodes["category"], category)
    return category.astype(np.int32)


def _times(recording: Recording, own: Document | None) -> tuple[dict[str, Array], int | None]:
    """Starts from the trace's zero and durations, and that zero.

    What the file leaves out is zero in it. A start of zero is one where some node starts later; a duration of zero was
    measured where there are starts. Exact nanoseconds go before whole microseconds, and in files of ours stand alone.
    """
    nodes = recording.nodes
    nothing = np.full(recording.count, NULL)
    exact_start, exact = nodes.get("exact_start", nothing), nodes.get("exact_duration", nothing)
    start = exact_start if own else np.where(exact_start != NULL, exact_start, nodes["start"])
    timed = start != NULL
    if not own and "exact_start" not in nodes and not (start > 0).any():
        timed = np.zeros(recording.count, dtype=bool)
    duration = np.where(exact != NULL, exact, NULL if own else nodes["duration"])
    if not timed.any():
        unsaid = (duration == 0) & (exact == NULL)
        return {"duration_ns": np.where(unsaid, NULL, duration)}, own.zero_ns if own else None
    zero = own.zero_ns if own and own.zero_ns is not None else int(start[timed].min())
    return {"start_ns": np.where(timed, start - zero, NULL), "duration_ns": duration}, zero


def _lanes(recording: Recording, own: Document | None, rank: int) -> tuple[Columns, Array]:
    """The lanes, and the row of each node's: streams by `stream`, or by `tid` off the host; threads by `tid`."""
    nodes, count = recording.nodes, recording.count
    if own is not None:
        lane = nodes.get("lane", np.full(count, -1, dtype=np.int32))
        return lane_table(own), np.where(lane < len(own.lanes), np.maximum(lane, -1), -1)
    nothing = np.full(count, NULL)
    thread, stream = nodes.get("thread", nothing), nodes.get("stream", nothing)
    off_host = nodes["cpu"] == 0 if "cpu" in nodes else np.zeros(count, dtype=bool)
    on_stream = (stream != NULL) | off_host
    number = np.where(stream != NULL, stream, thread)
    ids, code = np.unique(number, return_inverse=True)
    has = number != NULL
    keys, row = np.unique(np.where(has, 2 * code + on_stream, -1), return_inverse=True)
    first = int(len(keys) > 0 and keys[0] < 0)
    keys = keys[first:]
    if not len(keys):
        return Columns.empty(TABLES["lanes"]), np.full(count, -1, dtype=np.int32)
    names = [str(number) for number in ids[keys // 2].tolist()]
    distinct = {text: position for position, text in enumerate(dict.fromkeys(names))}
    data = {
        "rank": np.full(len(keys), rank),
        "kind": np.where(keys % 2, int(LaneKind.STREAM), int(LaneKind.THREAD)).astype(np.int32),
        "process": np.zeros(len(keys), dtype=np.int32),
        "id": [distinct[name] for name in names],
    }
    lanes = Columns(TABLES["lanes"], data, {"process": [_process(recording)], "id": list(distinct)})
    return lanes, (row - first).astype(np.int32)


def _process(recording: Recording) -> str:
    """The process id that tools write into the metadata."""
    for attribute in recording.metadata.get("attr", ()):
        if attribute.get("name") == "pid":
            return next((str(v) for k, v in attribute.items() if k.endswith("_val")), "")
    return ""


def _groups(recording: Recording, own: Document | None) -> tuple[list[Any], Array]:
    """Process groups, and the row of each node's. An empty name, as none, means all ranks."""
    groups = [(g.name, g.description, g.backend, g.size, g.ranks) for g in own.process_groups] if own else []
    rows = {group[0]: row for row, group in enumerate(groups)}
    for name in recording.texts["group"]:
        if name and name not in rows:
            rows[name] = len(groups)
            groups.append((name, None, None, None, []))
    if "group" not in recording.nodes:
        return groups, np.full(recording.count, -1, dtype=np.int32)
    to_row = np.array([*(rows.get(name, -1) for name in recording.texts["group"]), -1], dtype=np.int32)
    return groups, to_row[recording.nodes["group"]]


def _communication(recording: Recording, group: Array) -> dict[str, Array]:
    """The columns of communication. A gathered size is that of one rank here; `normalise` knows how many there are."""
    nodes, kind = recording.nodes, recording.nodes["type"]
    sends, receives = kind == int(NodeType.COMM_SEND), kind == int(NodeType.COMM_RECV)
    collective = kind == int(NodeType.COMM_COLL)
    communicates = sends | receives | collective
    columns = {"group": np.where(communicates, group, -1)}
    if "comm_type" in nodes:
        columns["comm_type"] = np.where(collective, nodes["comm_type"], _NULL32)
    if "comm_bytes" in nodes:
        columns["comm_bytes"] = np.where(communicates, nodes["comm_bytes"], NULL)
    nothing = np.full(recording.count, _NULL32, dtype=np.int32)
    peer = np.where(sends, nodes.get("receiver", nothing), np.where(receives, nodes.get("sender", nothing), _NULL32))
    columns["peer"] = peer
    columns["tag"] = np.where(sends | receives, nodes.get("tag", nothing), _NULL32)
    return columns


def _shapes(recording: Recording) -> tuple[Array, list[str]]:
    """Codes and texts of the shapes that can be read; others stay among the attributes only."""
    known: dict[str, int] = {}
    codes = []
    for pair in recording.shapes:
        text = shapes_text_of_literals(*pair)
        codes.append(-1 if text is None else known.setdefault(text, len(known)))
    return np.array([*codes, -1], dtype=np.int32)[recording.nodes["shapes"]], list(known)


def _report(recording: Recording, category: Array, own: Document | None) -> Report:
    devices = int((category >= int(Category.KERNEL)).sum())
    report = Report(host_operators=recording.count - devices, device_operators=devices)
    if own is None and any(a.get("name") == DOCUMENT for a in recording.metadata.get("attr", ())):
        warning = f"the metadata's attribute {DOCUMENT!r} cannot be read, and neither lanes nor iterations from it"
        report += Report(warnings=(warning,))
    count = recording.unrepresentable
    return report.with_count("valuesBesideColumns", count, f"{count} times or types that no column can hold")


def _has_values(name: str, values: Array) -> bool:
    column = TABLES["operators"].column(name)
    return not column.nullable or column.null is None or bool((values != column.null).any())
