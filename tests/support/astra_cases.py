"""Cases of ASTRA-sim: nodes as they stand in its reference figures, as Chakra files, and what came of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from etgraph.ingest import read
from etgraph.ingest.chakra.layout import varint
from etgraph.ingest.chakra.messages import GlobalMetadata, Node
from etgraph.model import NodeType, Trace
from etgraph.sim.simulation import Simulation

TYPES = {"SEND": NodeType.COMM_SEND, "RECV": NodeType.COMM_RECV, "COLL": NodeType.COMM_COLL}
_FIELDS = {
    "comm_type": "int64_val", "comm_size": "int64_val", "num_ops": "int64_val", "tensor_size": "uint64_val",
    "comm_tag": "int32_val", "comm_src": "int32_val", "comm_dst": "int32_val", "pg_name": "string_val",
}  # fmt: skip

SYSTEM = {
    "scheduling-policy": "LIFO", "endpoint-delay": 10, "active-chunks-per-dimension": 1, "preferred-dataset-splits": 4,
    "collective-optimization": "localBWAware", "local-mem-bw": 1600, "peak-perf": 900, "roofline-enabled": 0,
    "all-reduce-implementation": ["ring"], "all-gather-implementation": ["ring"],
    "reduce-scatter-implementation": ["ring"], "all-to-all-implementation": ["ring"],
}  # fmt: skip
NETWORK = {"topology": ["Ring"], "npus_count": [4], "bandwidth": [50.0], "latency": [500.0]}


def algorithms(*names: str) -> dict[str, list[str]]:
    """The same algorithms for all kinds of collectives."""
    kinds = ("all-reduce", "all-gather", "reduce-scatter", "all-to-all")
    return {f"{kind}-implementation": list(names) for kind in kinds}


def node(row: Mapping[str, Any]) -> Node:
    """A node: id, type, deps, duration_micros, cpu, and attributes by name."""
    kind = row["type"]
    message = Node(
        id=row["id"], name=f"node {row['id']}", type=int(TYPES.get(kind) or NodeType[kind]),
        duration_micros=row.get("duration_micros", 0), data_deps=row.get("deps", ()),
        ctrl_deps=row.get("ctrl_deps", ()),
    )  # fmt: skip
    message.attr.add(name="is_cpu_op", bool_val=row.get("cpu", False))
    for name, field in _FIELDS.items():
        if name in row:
            message.attr.add(name=name, **{field: row[name]})
    if "involved_dim" in row:
        message.attr.add(name="involved_dim").bool_list.values.extend(row["involved_dim"])
    return message


def write(folder: Path, ranks: Sequence[Sequence[Mapping[str, Any]]]) -> None:
    """A file for each rank, as ASTRA-sim reads them."""
    for rank, rows in enumerate(ranks):
        messages = [GlobalMetadata(version="0.0.4"), *map(node, rows)]
        texts = [message.SerializeToString() for message in messages]
        (folder / f"et.{rank}.et").write_bytes(b"".join(varint(len(text)) + text for text in texts))


def trace_of(folder: Path, ranks: Sequence[Sequence[Mapping[str, Any]]]) -> Trace:
    """The trace of such files."""
    write(folder, ranks)
    return read(folder)


def times(simulation: Simulation) -> dict[tuple[int, int], tuple[int, int | None]]:
    """Start and end of the nodes that started, by rank and id."""
    n = simulation.nodes.to_pydict()
    rows = zip(n["rank"], n["node_id"], n["start_ns"], n["duration_ns"])
    return {
        (rank, int(number)): (start, None if duration is None else start + duration)
        for rank, number, start, duration in rows
        if start is not None
    }
