"""Chakra files: µs a node of reading and writing beside protobuf objects, memory, and the model's critical path."""

from __future__ import annotations

import gc
import hashlib
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from benchmarks.chakra_files import generated, messages, recorded, repeated
from benchmarks.clock import seconds
from benchmarks.memory import memory
from etgraph.ingest import read, samples
from etgraph.ingest.chakra.layout import varint
from etgraph.ingest.chakra.messages import Node
from etgraph.ingest.writers import write
from etgraph.model import AttributeWriter
from etgraph.model.graph import earliest_times, latest_times, topological_order
from etgraph.queries import slack

NODES = (10**5, 10**6)
RECORDED_TIMES = 27
"""The recorded file so often has about 100 000 nodes."""


def times(run: Callable[[], Any], repeats: int = 3) -> tuple[float, float]:
    """Wall time and processor time of the fastest of several runs, each by itself."""
    wall = processor = float("inf")
    for _ in range(repeats):
        gc.collect()
        begin, used = time.perf_counter(), time.process_time()
        run()
        processor = min(processor, time.process_time() - used)
        wall = min(wall, time.perf_counter() - begin)
    return wall, processor


def columns_of_objects(file: Path, kept: AttributeWriter | None = None) -> dict[str, Any]:
    """The same reading node by node: objects of the protobuf library into lists, lists into arrays, ids by a dict.

    With `kept` nothing is lost, as `read` loses nothing: attributes, inputs and outputs go there as JSON text, and the
    file's checksum is taken.
    """
    ids, names, kinds, starts, durations = [], [], [], [], []
    ends: dict[str, tuple[list[int], list[int]]] = {"ctrl": ([], []), "data": ([], [])}
    attributes: dict[str, tuple[list[int], list[Any]]] = defaultdict(lambda: ([], []))
    for row, message in enumerate(_delimited(file.read_bytes())):
        node = Node.FromString(message)
        ids.append(node.id)
        names.append(node.name)
        kinds.append(node.type)
        starts.append(node.start_time_micros)
        durations.append(node.duration_micros)
        for name, deps in (("ctrl", node.ctrl_deps), ("data", node.data_deps)):
            wanted, owners = ends[name]
            wanted.extend(deps)
            owners.extend([row] * len(deps))
        for attr in node.attr:
            rows, values = attributes[attr.name]
            rows.append(row)
            values.append(getattr(attr, attr.WhichOneof("value") or "string_val"))
        if kept is not None:
            kept.append(_kept(node))
    if kept is not None:
        hashlib.sha256(file.read_bytes()).hexdigest()
    row_of = {id: row for row, id in enumerate(ids)}
    code_of: dict[str, int] = {}
    columns: dict[str, Any] = {
        "id": np.array(ids, dtype=np.uint64),
        "name": np.array([code_of.setdefault(name, len(code_of)) for name in names], dtype=np.int32),
        "kind": np.array(kinds, dtype=np.int32),
        "start": np.array(starts, dtype=np.uint64),
        "duration": np.array(durations, dtype=np.uint64),
    }
    for name, (wanted, owners) in ends.items():
        columns[name] = np.array([row_of.get(id, -1) for id in wanted]), np.array(owners)
    for name, (rows, values) in attributes.items():
        columns[name] = np.array(rows), np.array(values)
    return columns


def _kept(node: Any) -> bytes:
    """What columns do not hold of a node, as JSON text."""
    attributes = []
    for attr in node.attr:
        field = attr.WhichOneof("value")
        value = getattr(attr, field)
        attributes.append({"name": attr.name, field: list(value.values) if field.endswith("_list") else value})
    document: dict[str, Any] = {"attr": attributes}
    for name in ("inputs", "outputs"):
        if node.HasField(name):
            part = getattr(node, name)
            document[name] = {"values": part.values, "shapes": part.shapes, "types": part.types}
    return msgspec.json.encode(document)


def _all_of_objects(file: Path) -> None:
    with AttributeWriter() as kept:
        columns_of_objects(file, kept)


def _delimited(data: bytes) -> Iterator[bytes]:
    """The messages of a file without the metadata."""
    at, first = 0, True
    while at < len(data):
        size = shift = 0
        while True:
            byte = data[at]
            at += 1
            size |= (byte & 127) << shift
            if byte < 128:
                break
            shift += 7
        if not first:
            yield data[at : at + size]
        at, first = at + size, False


def described(message: bytes) -> tuple[Any, ...]:
    """What a node says, as plain values."""
    node = Node.FromString(message)
    texts = [
        None if not node.HasField(name) else (part.values, part.shapes, part.types)
        for name, part in (("inputs", node.inputs), ("outputs", node.outputs))
    ]
    attributes = []
    for attr in node.attr:
        field = attr.WhichOneof("value")
        value = getattr(attr, field)
        listed = field.endswith("_list")
        attributes.append((attr.name, field, list(value.values) if listed else value, listed))
    return (
        node.id, node.name, node.type, list(node.ctrl_deps), list(node.data_deps), node.start_time_micros,
        node.duration_micros, texts, attributes,
    )  # fmt: skip


def write_objects(nodes: list[tuple[Any, ...]], target: Path) -> None:
    """The same writing node by node: an object of the protobuf library filled field by field."""
    with target.open("wb") as out:
        for id, name, kind, ctrl, data, start, duration, texts, attributes in nodes:
            node = Node()
            node.id = id
            node.name = name
            node.type = kind
            node.ctrl_deps.extend(ctrl)
            node.data_deps.extend(data)
            node.start_time_micros = start
            node.duration_micros = duration
            for part, said in zip((node.inputs, node.outputs), texts, strict=True):
                if said is not None:
                    part.values, part.shapes, part.types = said
            for attribute, field, value, listed in attributes:
                attr = node.attr.add()
                attr.name = attribute
                if listed:
                    getattr(attr, field).values.extend(value)
                else:
                    setattr(attr, field, value)
            message = node.SerializeToString()
            out.write(varint(len(message)) + message)


def print_reading(files: dict[str, Path]) -> None:
    """µs a node from the file to columns and dependencies, beside the same through objects."""
    print("objects: columns alone; all kept: attributes, inputs, outputs and checksum too, as etgraph keeps them")
    print("| read | nodes | dependencies | µs a node | of processor | objects µs | ratio | all kept µs | ratio |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|---:|")
    for name, file in files.items():
        trace = read(file)
        nodes, links = len(trace), len(trace.dependencies)
        (wall, processor), (theirs, _) = times(lambda f=file: read(f)), times(lambda f=file: columns_of_objects(f), 1)  # type: ignore[misc]
        everything, _ = times(lambda f=file: _all_of_objects(f), 1)  # type: ignore[misc]
        print(
            f"| {name} | {nodes:,} | {links:,} | {wall / nodes * 1e6:.2f} | {processor / nodes * 1e6:.2f} "
            f"| {theirs / nodes * 1e6:.1f} | {theirs / wall:.1f} | {everything / nodes * 1e6:.1f} "
            f"| {everything / wall:.1f} |",
            flush=True,
        )


def print_growth(folder: Path, nodes: tuple[int, ...]) -> None:
    """Generated files of growing size: time, columns, and by how much the peak of a fresh process grows with them."""
    small = folder / "small.et"
    generated(20_000, small)
    read(small)
    print("| generated nodes | bytes a node | µs a node | of processor | B/operator | B/dependency | peak, B/node |")
    print("|---:|---:|---:|---:|---:|---:|---:|")
    points = []
    for count in nodes:
        file = folder / "growing.et"
        generated(count, file)
        wall, processor = (taken / count * 1e6 for taken in times(lambda f=file: read(f), 2))  # type: ignore[misc]
        peak, _, links, operators, dependencies = memory(file, small)
        points.append((count, links, peak))
        print(
            f"| {count:,} | {file.stat().st_size / count:.0f} | {wall:.2f} | {processor:.2f} "
            f"| {operators / count:.1f} | {dependencies / links:.1f} | {peak / count:.0f} |",
            flush=True,
        )
        file.unlink()
    (less, few, low), (more, many, high) = points[0], points[-1]
    print(
        f"\ngrowth of the peak: {(high - low) / (more - less):.0f} bytes a node, "
        f"{(high - low) / (more + many - less - few):.0f} a node or dependency"
    )


def print_writing(sources: dict[str, Path], folder: Path) -> None:
    """µs a node from a trace in memory to files, beside filling objects with the same values."""
    print("| written | nodes | µs a node | of processor | objects µs | ratio | same bytes as read |")
    print("|---|---:|---:|---:|---:|---:|---|")
    for name, source in sources.items():
        trace = read(source)
        target = folder / ("written.et" if len(trace.ranks) == 1 else "written")
        wall, processor = times(lambda: write(trace, target, "chakra"))  # noqa: B023
        files = sorted(target.glob("*.et")) if target.is_dir() else [target]
        nodes = [described(message) for file in files for message in messages(file)[1:]]
        theirs, _ = times(lambda: write_objects(nodes, folder / "objects.et"), 1)  # noqa: B023
        same = "–" if source.suffix != ".et" else "yes" if source.read_bytes() == target.read_bytes() else "NO"
        print(
            f"| {name} | {len(trace):,} | {wall / len(trace) * 1e6:.2f} | {processor / len(trace) * 1e6:.2f} "
            f"| {theirs / len(trace) * 1e6:.2f} | {theirs / wall:.1f} | {same} |",
            flush=True,
        )


def print_slack(file: Path) -> None:
    """Seconds of both passes over the event graph of a large file."""
    trace = read(file)
    slack(trace)
    e = trace.events
    out = e.successors
    weights = np.zeros(len(e.sources), dtype=np.int64)
    weights[: len(trace)] = np.where(trace.operators.is_null("duration_ns"), 0, trace.operators["duration_ns"])
    order, _ = topological_order(e.nodes, e.sources, e.targets, out)
    length = int(earliest_times(order, out, weights).max())
    parts = {
        "order": seconds(lambda: topological_order(e.nodes, e.sources, e.targets, out)),
        "earliest times": seconds(lambda: earliest_times(order, out, weights)),
        "latest times": seconds(lambda: latest_times(order, out, weights, length)),
        "the whole answer, tables and shares too": seconds(lambda: slack(trace)),
    }
    print(f"| model's critical path of {len(trace):,} nodes | s |\n|---|---:|")
    for name, taken in parts.items():
        print(f"| {name} | {taken:.3f} |")


def main() -> None:
    """Print all tables."""
    with tempfile.TemporaryDirectory(prefix="etgraph-chakra-") as name:
        folder = Path(name)
        files: dict[str, Path] = {}
        if (once := recorded()) is not None:
            files = {"recorded": once, "recorded, repeated": folder / "repeated.et"}
            repeated(once, RECORDED_TIMES, files["recorded, repeated"])
        for count in NODES:
            files[f"generated {count:,}"] = folder / f"generated-{count}.et"
            generated(count, files[f"generated {count:,}"])
        print_reading(files)
        print()
        print_growth(folder, NODES)
        print()
        large = files.pop(f"generated {NODES[-1]:,}")
        kineto = {"Kineto, converted": samples.path("gpt_ddp_5steps")}
        print_writing({k: f for k, f in files.items() if k != "recorded"} | kineto, folder)
        print()
        print_slack(large)
