"""Exported Chakra files opened with the standard's own package, in an environment that is made for it and thrown away.

Needs a package registry. What is checked: every message parses and holds nothing that the standard does not know, and
nodes, ids, names, types and dependencies are those of our trace.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.chakra_files import recorded
from benchmarks.peers import install
from etgraph.ingest import read, samples
from etgraph.ingest.writers import write
from etgraph.ingest.writers.chakra.convert import node_ids
from etgraph.ingest.writers.chakra.dependencies import Lists
from etgraph.model import Trace

PACKAGES = ("mlc-chakra==1.0.0", "protobuf==6.31.1")
"""The standard's package alone, and the protobuf library with which its classes were made."""
SAMPLES = ("gpt_ddp", "gpt_tp2_pp2", "dlrm_alltoall")
_READ = """
import json, sys
from chakra.schema.protobuf.et_def_pb2 import GlobalMetadata, Node
from chakra.src.third_party.utils.protolib import decodeMessage, openFileRd
from google.protobuf.unknown_fields import UnknownFieldSet

def unknown(message):
    found = len(UnknownFieldSet(message))
    for field, value in message.ListFields():
        if field.message_type is not None:
            parts = value if field.is_repeated else [value]
            found += sum(map(unknown, parts))
    return found

for path in sys.argv[1:]:
    file = openFileRd(path)
    metadata = GlobalMetadata()
    assert decodeMessage(file, metadata), path
    bad, nodes = unknown(metadata), []
    while decodeMessage(file, node := Node()):
        bad += unknown(node)
        nodes.append([node.id, node.name, node.type, list(node.ctrl_deps), list(node.data_deps)])
    print(json.dumps([metadata.version, bad, file.tell(), nodes]))
"""


def exported(source: Path, folder: Path) -> Trace:
    """The trace that was written to the folder, a file a rank."""
    trace = read(source)
    write(trace, folder, "chakra")
    return trace


def expected(trace: Trace, rank: int) -> list[list[Any]]:
    """Nodes of a rank as they should be in its file."""
    rows, o, lists = trace.rank_rows[rank], trace.operators, Lists.of_trace(trace)
    ids, _ = node_ids(trace)
    names = o.texts("name").take(o["name"][rows]).to_pylist()
    links = [lists.ids(name, rows.start, rows.stop, ids) for name in ("ctrl", "data")]
    return [list(node) for node in zip(ids[rows].tolist(), names, o["kind"][rows].tolist(), *links, strict=True)]


def acyclic(nodes: list[list[Any]]) -> bool:
    """Whether nodes can run in some order: each after all that it depends on."""
    waits = {id: len(ctrl) + len(data) for id, _, _, ctrl, data in nodes}
    after: dict[int, list[int]] = {}
    for id, _, _, ctrl, data in nodes:
        for before in (*ctrl, *data):
            after.setdefault(before, []).append(id)
    ready = [id for id, count in waits.items() if not count]
    done = 0
    while ready:
        done += 1
        for id in after.get(ready.pop(), ()):
            waits[id] -= 1
            if not waits[id]:
                ready.append(id)
    return done == len(nodes)


def main() -> None:
    """Print one row an exported trace."""
    with tempfile.TemporaryDirectory(prefix="etgraph-peer-") as name:
        folder = Path(name)
        python = install(folder / "environment", PACKAGES, "--no-deps")
        print(f"{' and '.join(PACKAGES)}\n")
        print("| trace | files | nodes | dependencies | unknown fields | nodes as ours | no such id | acyclic |")
        print("|---|---:|---:|---:|---:|---|---:|---|")
        for sample in SAMPLES:
            for pattern in ("kineto", "et"):
                source = folder / f"{sample}-{pattern}"
                source.mkdir()
                for file in samples.path(sample).glob(f"{pattern}_rank*"):
                    (source / file.name).symlink_to(file)
                _check(f"{sample}, {pattern}", source, folder / f"{sample}-{pattern}-out", python)
        if (file := recorded()) is not None:
            _check(file.name, file, folder / "recorded-out", python, whole=False)
            print(
                f"\n{file.name} itself names ids that no node has, and has cycles; both are written as they were read"
            )


def _check(title: str, source: Path, target: Path, python: Path, *, whole: bool = True) -> None:
    """One row. Of a file that was Chakra before, dependencies that lead nowhere are written again as they were."""
    trace = exported(source, target)
    files = sorted(target.glob("*.et"), key=lambda file: int(file.name.split(".")[1]))
    out = subprocess.run(
        [str(python), "-c", _READ, *map(str, files)], capture_output=True, text=True, check=True
    ).stdout
    nodes = links = unknown = nowhere = 0
    same = ordered = True
    for file, rank, line in zip(files, trace.ranks, out.splitlines(), strict=True):
        _, bad, end, found = json.loads(line)
        ours = expected(trace, rank)
        nodes, unknown = nodes + len(found), unknown + bad
        links += sum(len(ctrl) + len(data) for *_, ctrl, data in found)
        ids = {node[0] for node in found}
        nowhere += sum(id not in ids for *_, ctrl, data in found for id in (*ctrl, *data))
        same &= (found if whole else [n[:3] for n in found]) == (ours if whole else [n[:3] for n in ours])
        same &= end == file.stat().st_size
        ordered &= acyclic(found)
    yes = {True: "yes", False: "NO"}
    print(
        f"| {title} | {len(files)} | {nodes:,} | {links:,} | {unknown} | {yes[same]} | {nowhere:,} | {yes[ordered]} |",
        flush=True,
    )
