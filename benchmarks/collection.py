"""Where the benchmarks find traces: the collection that ETGRAPH_TRACES names, else the bundled samples."""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from etgraph.ingest import samples, trace_files

LARGEST = ("hta/trace_diff/control/control.json.gz", "param/resnet_kineto.json.gz", "hta/trace_diff/test/test.json.gz")

STEP = 10**8
"""How far apart the identifiers of an event are that is repeated."""
_IDS = ("correlation", "External id", "Ev Idx", "Record function id")


def folder() -> Path:
    """The folder of the collection."""
    named = os.environ.get("ETGRAPH_TRACES")
    return Path(named) if named else samples.path(samples.names()[0]).parent


def large_kineto_files() -> list[Path]:
    """The largest Kineto files at hand."""
    found = [folder() / name for name in LARGEST if (folder() / name).exists()]
    return found or sorted(trace_files(folder()), key=lambda p: -p.stat().st_size)[:2]


def repeated(file: Path, times: int, target: Path) -> int:
    """Write a trace of the same events again and again, with later times and fresh identifiers; their number."""
    document = msgspec.json.decode(gzip.decompress(file.read_bytes()))
    events = document["traceEvents"]
    moments = [e["ts"] + e.get("dur", 0) for e in events if e["ph"] == "X" and e.get("cat") != "Trace"]
    first = min(e["ts"] for e in events if e["ph"] == "X" and e.get("cat") != "Trace")
    span = max(moments) - first + 1000
    encode = msgspec.json.Encoder().encode
    count = 0
    with target.open("wb") as out:
        head = {k: v for k, v in document.items() if k != "traceEvents"}
        out.write(encode(head)[:-1] + b',"traceEvents":[')
        for turn in range(times):
            for event in events if turn == 0 else (e for e in events if e["ph"] != "M"):
                out.write(b",\n" if count else b"\n")
                out.write(encode(_later(event, turn, span)))
                count += 1
        out.write(b"]}")
    return count


def _later(event: dict[str, Any], turn: int, span: float) -> dict[str, Any]:
    if not turn:
        return event
    moved = {**event, "ts": event["ts"] + turn * span}
    if isinstance(event.get("id"), int):
        moved["id"] = event["id"] + turn * STEP
    arguments = event.get("args")
    if arguments:
        moved["args"] = {k: v + turn * STEP if k in _IDS and isinstance(v, int) else v for k, v in arguments.items()}
    if str(event.get("name")).startswith("ProfilerStep#"):
        moved["name"] = f"ProfilerStep#{int(event['name'].split('#')[1]) + turn * 1000}"
    return moved


def repeated_nodes(file: Path, times: int, target: Path) -> int:
    """Write the PyTorch execution trace that belongs to a Kineto trace `repeated` as often; the number of nodes.

    The nodes of the process and its threads stay as they are: what is repeated lies below them.
    """
    document = msgspec.json.decode(gzip.decompress(file.read_bytes()))
    roots = [node for node in document["nodes"] if node["name"].startswith("[pytorch|profiler|")]
    own = {node["id"] for node in roots}
    nodes = list(roots)
    for turn in range(times):
        nodes += [_later_node(node, turn * STEP, own) for node in document["nodes"] if node["id"] not in own]
    target.write_bytes(msgspec.json.encode({**document, "nodes": nodes}))
    return len(nodes)


def _later_node(node: dict[str, Any], by: int, roots: set[int]) -> dict[str, Any]:
    attributes = [
        {**attribute, "value": attribute["value"] + by} if attribute["name"] == "rf_id" else attribute
        for attribute in node["attrs"]
    ]
    parent = node["ctrl_deps"]
    return {
        **node,
        "id": node["id"] + by,
        "ctrl_deps": parent + (by if parent not in roots else 0),
        "attrs": attributes,
    }


def events_of(file: Path) -> int:
    """Number of elements in the file's large array."""
    data = file.read_bytes()
    document = msgspec.json.decode(gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data)
    elements: Iterator[Any] = document.get("traceEvents") or document.get("nodes") or []
    return len(list(elements))
