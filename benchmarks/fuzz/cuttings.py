"""Small pieces of recorded runs: some events of a Kineto trace with what belongs to them, and their host operators."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.fuzz.programs import Document, Rank
from etgraph.ingest import samples
from etgraph.ingest.source import SourceFile

RUNS = ("gpt_ddp", "gpt_tp2_pp2", "dlrm_alltoall")
"""Bundled samples with both files of each rank."""
PAIRS_BESIDE = (("param/dlrm_pytorch_et/dlrm_eg_{rank}.json.gz", "param/dlrm_kineto/worker{rank}_step_12.*.json.gz"),)
"""Pairs of a collection, by patterns of their names."""
LARGEST = 700_000
"""Bytes of a (compressed) file beyond which none is cut from it, since the whole is read for it."""
A_FILE = 6
FIELDS_BESIDE = 400
"""Characters of another key's value that a piece keeps."""


def runs(rng: random.Random) -> list[list[Rank]]:
    """Pieces of runs: two ranks each, of about the same events."""
    bundled = [(samples.path(name), ("et_rank{rank}.json.gz", "kineto_rank{rank}.json.gz")) for name in RUNS]
    beside = [(folder, names) for folder in _collection() for names in PAIRS_BESIDE]
    found = []
    for folder, (host_name, device_name) in bundled + beside:
        files = [[next(iter(sorted(folder.glob(name.format(rank=rank)))), None) for name in (host_name, device_name)]
                 for rank in (0, 1)]  # fmt: skip
        ranks = [(_document(host), _document(device)) for host, device in files if host and device]
        for _ in range(A_FILE if ranks else 0):
            at, length = rng.random(), rng.randrange(3, 16)
            found.append([_rank(host, device, at, length) for host, device in ranks])
    return found


def files(rng: random.Random) -> tuple[list[Document], list[Document]]:
    """Pieces of PyTorch execution traces and of Kineto traces of all kinds that a collection holds."""
    hosts: list[Document] = []
    devices: list[Document] = []
    for folder in _collection():
        for path in sorted(folder.rglob("*.json*")):
            if path.stat().st_size > LARGEST or "recorded" in path.parts or path.name == "manifest.json":
                continue
            document = _document(path)
            for _ in range(A_FILE):
                at, length = rng.random(), rng.randrange(3, 25)
                if "traceEvents" in document:
                    devices.append(_piece_of_kineto(document, at, length))
                elif "nodes" in document:
                    hosts.append(_piece_of_nodes(document, at, length, set()))
    return hosts, devices


def _collection() -> list[Path]:
    named = os.environ.get("ETGRAPH_TRACES")
    return [Path(named)] if named else []


def _document(path: Path) -> Document:
    decoded = msgspec.json.decode(b"".join(SourceFile(path).chunks()))
    return decoded if isinstance(decoded, dict) else {}


def _rank(host: Document, device: Document, at: float, length: int) -> Rank:
    piece = _piece_of_kineto(device, at, length)
    wanted = {id for event in piece["traceEvents"] if (id := _arguments(event).get("Record function id"))}
    return _piece_of_nodes(host, at, length, wanted), piece


def _arguments(event: Document) -> dict[str, Any]:
    return event.get("args") or {}


def _beside(document: Document, array: str) -> Document:
    """The other keys of a document whose values are short."""
    return {k: v for k, v in document.items() if k != array and len(repr(v)) < FIELDS_BESIDE}


def _piece_of_kineto(document: Document, at: float, length: int) -> Document:
    """Some events in a row by time, what they launched or were launched by, and a few that name threads."""
    events = document["traceEvents"]
    timed = sorted((e for e in events if e.get("ph") == "X" and e.get("cat") != "Trace"), key=lambda e: float(e["ts"]))
    first = int(at * max(len(timed) - length, 1))
    kept = timed[first : first + length]
    linked = {_arguments(e).get("correlation") for e in kept} - {None, 0}
    kept += [e for e in timed if _arguments(e).get("correlation") in linked and not any(e is k for k in kept)][:length]
    steps = [e for e in timed if str(e.get("name")).startswith("ProfilerStep#")][:1]
    named = [e for e in events if e.get("ph") == "M"][:3]
    flows = [e for e in events if e.get("ph") in ("s", "f") and e.get("id") in linked][:length]
    return {**_beside(document, "traceEvents"), "traceEvents": [*named, *steps, *kept, *flows]}


def _piece_of_nodes(document: Document, at: float, length: int, wanted: set[int]) -> Document:
    """The nodes with these record function ids, else some in a row; with all nodes around them, and the groups."""
    nodes = document["nodes"]
    first = int(at * max(len(nodes) - length, 1))
    by_id = {node["id"]: node for node in nodes}
    kept = [n for n in nodes if _rf_id(n) in wanted] if wanted else nodes[first : first + length]
    kept += [n for n in nodes if n["name"] == "## process_group:init ##"][:1]
    ids = {node["id"] for node in kept}
    waiting = list(kept)
    while waiting:
        node = waiting.pop()
        parent = by_id.get(node.get("ctrl_deps", node.get("parent")))
        if parent is not None and parent["id"] not in ids:
            ids.add(parent["id"])
            waiting.append(parent)
    return {**_beside(document, "nodes"), "nodes": [n for n in nodes if n["id"] in ids]}


def _rf_id(node: Document) -> int | None:
    for attribute in node.get("attrs") or ():
        if attribute["name"] == "rf_id":
            value: int = attribute["value"]
            return value
    found: int | None = node.get("rf_id")
    return found
