"""A trace's node and its sources: what stands on them, and what is read back from there."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from etgraph.model import Metadata, Report, Source, Trace
from etgraph.store.protocol import TraceInfo
from etgraph.store.summary import brief, describe

_LABEL: Final = "label."
"""What begins the property of an entry that holds a label."""


def trace_properties(trace: Trace) -> dict[str, Any]:
    """What the `Trace` node says of a trace, apart from its state."""
    info, metadata = describe(trace), trace.metadata
    return {
        "id": info.id,
        "revision": info.revision,
        "ranks": list(info.ranks) or None,
        "operators": info.operators,
        "collectives": info.collectives,
        "dependencies": _json(info.dependencies),
        "iterations": _json(info.iterations),
        "spanNs": whole(info.span_ns),
        "worldSize": metadata.world_size,
        "deviceModel": metadata.device_model,
        "startTime": metadata.start_time,
        "zeroNs": whole(metadata.zero_ns),
        "timeline": metadata.timeline,
        "clockOffsetsNs": _json(metadata.clock_offsets_ns),
        "options": _json(metadata.options),
        "report": _json(metadata.report),
        "attributeRows": list(trace.attributes.rows) or None,
        "bytes": sum(columns.nbytes for columns in trace.tables.values()),
    }


def source_properties(source: Source) -> dict[str, Any]:
    """What a `Source` node says of a file."""
    return {
        "name": portable(source.name),
        "format": source.format,
        "rank": source.rank,
        "bytes": source.bytes,
        "sha256": source.sha256,
        "rankFrom": source.rank_from,
        "document": _json(source.document) if source.document else None,
    }


def metadata_of(node: Mapping[str, Any], sources: Sequence[Mapping[str, Any]]) -> Metadata:
    """The metadata that a trace was published with."""
    return Metadata(
        sources=tuple(map(_source, sources)),
        world_size=node.get("worldSize"),
        device_model=node.get("deviceModel"),
        start_time=node.get("startTime"),
        zero_ns=None if node.get("zeroNs") is None else int(node["zeroNs"]),
        clock_offsets_ns={int(rank): offset for rank, offset in json.loads(node["clockOffsetsNs"]).items()},
        timeline=node["timeline"],
        options=json.loads(node["options"]),
        report=msgspec.convert(json.loads(node["report"]), Report, strict=False),
    )


def info_of(
    node: Mapping[str, Any],
    sources: Sequence[Mapping[str, Any]],
    entry: Mapping[str, Any],
    workload: str | None,
    tags: Sequence[str],
) -> TraceInfo:
    """What a catalogue says of a trace under one of its entries."""
    document = {
        "id": node["id"],
        "revision": node["revision"],
        "ranks": node.get("ranks", []),
        "operators": node["operators"],
        "collectives": node["collectives"],
        "dependencies": json.loads(node["dependencies"]),
        "iterations": json.loads(node["iterations"]),
        "span_ns": node["spanNs"],
        "world_size": node.get("worldSize"),
        "device_model": node.get("deviceModel"),
        "start_time": node.get("startTime"),
        "report": json.loads(node["report"]),
        "bytes": node["bytes"],
        "created": entry["created"],
        "workload": workload,
        "team": entry.get("team"),
        "commit": entry.get("commit"),
        "branch": entry.get("branch"),
        "labels": {k.removeprefix(_LABEL): v for k, v in sorted(entry.items()) if k.startswith(_LABEL)},
        "tags": sorted(tags),
        "sources": [msgspec.to_builtins(brief(_source(source))) for source in sources],
    }
    return msgspec.convert(document, TraceInfo, strict=False)


def label_properties(labels: Mapping[str, str]) -> dict[str, str]:
    """Labels as the properties of an entry."""
    return {_LABEL + key: value for key, value in labels.items()}


def label_property(key: str) -> str:
    """The property of an entry that holds a label."""
    return _LABEL + key


def whole(value: int | None) -> int | str | None:
    """A number as the server takes it: beyond 64 bits as a decimal text."""
    return value if value is None or -(2**63) <= value < 2**63 else str(value)


def portable(text: str) -> str | bytes:
    """A text as the server takes it: one that is no Unicode, such as an odd file name, as bytes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")
    return text


def _source(node: Mapping[str, Any]) -> Source:
    name, document = node["name"], node.get("document")
    return Source(
        name=name if isinstance(name, str) else bytes(name).decode("utf-8", "surrogatepass"),
        format=node["format"],
        rank=node["rank"],
        bytes=node["bytes"],
        sha256=node["sha256"],
        rank_from=node["rankFrom"],
        document=json.loads(document) if document else {},
    )


def _json(value: Any) -> str:
    """JSON in ASCII: a document may hold what is no Unicode, and numbers of any size."""
    return json.dumps(msgspec.to_builtins(value, str_keys=True), separators=(",", ":"))
