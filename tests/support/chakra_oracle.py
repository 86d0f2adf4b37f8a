"""What a Chakra protobuf file says, worked out a second time: one loop over the nodes, by the protobuf classes alone.

Slow and obvious, and without the columns, kernels and tables of the reader. The tests compare the product with this,
row by row. At the end, what the tests write files with.
"""

from __future__ import annotations

import ast
import base64
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
from google.protobuf.unknown_fields import UnknownFieldSet

from etgraph.ingest.chakra.messages import AttributeProto, GlobalMetadata, Node

YEAR_NS = 366 * 86_400 * 10**9
LATEST_NS = 2**62 // 1000 * 1000
WHOLE = {"int32", "int64", "uint32", "uint64", "sint32", "sint64", "fixed32", "fixed64", "sfixed32", "sfixed64", "bool"}
SEND, RECEIVE, COLLECTIVE = 5, 6, 7
GATHERS = (2, 3)


@dataclass(slots=True)
class Operator:
    """One node: what its columns hold, None for null, and what is kept beside them."""

    node_id: int
    name: str
    kind: int
    category: str
    start_ns: int | None
    duration_ns: int | None
    lane: tuple[str, str] | None
    flops: int | None
    bytes: int | None
    comm_type: int | None
    comm_bytes: int | None
    peer: int | None
    tag: int | None
    group: str | None
    shapes: str | None
    attributes: dict[str, Any]


@dataclass(slots=True)
class Oracle:
    """Everything about one file; dependencies are (kind, row of the source, row of the target) in order."""

    metadata: dict[str, Any]
    operators: list[Operator] = field(default_factory=list)
    dependencies: list[tuple[str, int, int]] = field(default_factory=list)
    dangling: int = 0
    cyclic: int = 0
    beside: int = 0
    zero_ns: int | None = None
    data_cycle: bool = False


def oracle(data: bytes) -> Oracle:
    """What the bytes of a file say."""
    head, *nodes = messages(data)
    found = Oracle(plain(GlobalMetadata.FromString(head)))
    of_nodes(found, [Node.FromString(node) for node in nodes])
    return found


def messages(data: bytes) -> list[bytes]:
    """The messages of a file, cut at their lengths."""
    found, at = [], 0
    while at < len(data):
        size = shift = 0
        while True:
            byte = data[at]
            size |= (byte & 127) << shift
            at, shift = at + 1, shift + 7
            if byte < 128:
                break
        found.append(data[at : at + size])
        at += size
    return found


def of_nodes(found: Oracle, nodes: Sequence[Any]) -> None:
    """Fill in operators and dependencies."""
    starts = [_start(node) for node in nodes]
    known = [start for start in starts if start is not None]
    exact = any(_exact_start(node) is not None for node in nodes)
    found.zero_ns = min(known) if known and (exact or max(known) > 0) else None
    for node, start in zip(nodes, starts):
        found.operators.append(_operator(node, start, found.zero_ns))
        found.beside += node.start_time_micros >= LATEST_NS // 1000
        found.beside += node.duration_micros * 1000 > YEAR_NS
        found.beside += node.type == -(2**31)
    _dependencies(found, nodes)


def _operator(node: Any, start: int | None, zero: int | None) -> Operator:
    on_host = _attribute(node, "is_cpu_op", low=0, high=2**31 - 1)
    kind = node.type if node.type != -(2**31) else 0
    communicates = kind in (SEND, RECEIVE, COLLECTIVE)
    peer = "comm_dst" if kind == SEND else "comm_src" if kind == RECEIVE else None
    tag = _attribute(node, "comm_tag", low=1 - 2**31, high=2**31 - 1) if kind in (SEND, RECEIVE) else None
    comm_type = _attribute(node, "comm_type", low=1 - 2**31, high=2**31 - 1) if kind == COLLECTIVE else None
    return Operator(
        node.id,
        node.name,
        kind,
        _category(kind, on_host),
        None if start is None or zero is None else start - zero,
        _duration(node, zero is not None),
        _lane(node, on_host),
        _attribute(node, "num_ops", low=0),
        _attribute(node, "tensor_size", low=0),
        comm_type,
        _attribute(node, "comm_size", low=0) if communicates else None,
        _attribute(node, peer, low=1 - 2**31, high=2**31 - 1) if peer else None,
        tag,
        (_text(node, "pg_name") or None) if communicates else None,
        _shapes(node),
        kept_of(node),
    )


def _attribute(node: Any, name: str, *, low: int = 1 - 2**63, high: int = 2**63 - 1) -> int | None:
    """The last whole number in range under that name."""
    value = None
    for attribute in node.attr:
        which = attribute.WhichOneof("value") or ""
        if attribute.name == name and which.removesuffix("_val") in WHOLE:
            number = int(getattr(attribute, which))
            value = number if low <= number <= high else value
    return value


def _text(node: Any, name: str) -> str:
    found = [a.string_val for a in node.attr if a.name == name and a.WhichOneof("value") == "string_val"]
    return found[-1] if found else ""


def _exact_start(node: Any) -> int | None:
    return _attribute(node, "start_ns", low=1 - 2**62, high=2**62 - 1)


def _exact_duration(node: Any) -> int | None:
    return _attribute(node, "duration_ns", low=0, high=YEAR_NS)


def _start(node: Any) -> int | None:
    """Nanoseconds in the recorded clock; absent is zero, like everywhere in protobuf."""
    exact = _exact_start(node)
    if exact is not None:
        return exact
    return node.start_time_micros * 1000 if node.start_time_micros < LATEST_NS // 1000 else None


def _duration(node: Any, timed: bool) -> int | None:
    """A duration of zero was measured where there are starts, or where nanoseconds say so."""
    exact = _exact_duration(node)
    if exact is not None:
        return exact
    whole = int(node.duration_micros) * 1000
    return whole if whole <= YEAR_NS and (whole or timed) else None


def _category(kind: int, on_host: int | None) -> str:
    if kind == 1:
        return "METADATA"
    if on_host == 1:
        return "CPU_OP"
    if kind in (2, 3):
        return "MEMCPY"
    return "KERNEL" if 1 <= kind <= 7 else "DEVICE"


def _lane(node: Any, on_host: int | None) -> tuple[str, str] | None:
    stream, thread = _attribute(node, "stream"), _attribute(node, "tid")
    if stream is not None:
        return "STREAM", str(stream)
    if thread is not None:
        return ("STREAM" if on_host == 0 else "THREAD"), str(thread)
    return None


def _shapes(node: Any) -> str | None:
    dims, types = _literal(node.inputs.shapes), _literal(node.inputs.types)
    if not isinstance(dims, list) or not dims:
        return None
    result: dict[str, Any] = {"dims": dims}
    if types is not None:
        result["types"] = [_plain_type(t) if isinstance(t, str) else t for t in types]
    return json.dumps(result, separators=(",", ":"))


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return None


def _plain_type(name: str) -> str:
    inside = name.removeprefix("Tensor(").removesuffix(")")
    return inside if name == f"Tensor({inside})" and "(" not in inside else name


def kept_of(node: Any) -> dict[str, Any]:
    """Everything of a node that its columns do not hold, as plain values."""
    kept = plain(node)
    for name in ("id", "name", "ctrl_deps", "data_deps"):
        kept.pop(name, None)
    if kept.get("type") != -(2**31):
        kept.pop("type", None)
    if node.start_time_micros < LATEST_NS // 1000:
        kept.pop("start_time_micros", None)
    if node.duration_micros * 1000 <= YEAR_NS:
        kept.pop("duration_micros", None)
    for name, exact, held in (
        ("start_time_micros", _exact_start(node), node.start_time_micros < LATEST_NS // 1000),
        ("duration_micros", _exact_duration(node), node.duration_micros * 1000 <= YEAR_NS),
    ):
        # Microseconds that say something else than the nanoseconds that go before them.
        if exact is not None and held and getattr(node, name) != max(exact // 1000, 0):
            kept[name] = getattr(node, name)
    return kept


def plain(message: Any) -> dict[str, Any]:
    """A message as plain values under the names of the schema; unknown fields as their bytes in base64."""
    values: dict[str, Any] = {}
    for descriptor, value in message.ListFields():
        many = isinstance(descriptor.default_value, list)
        items = [_plain_value(descriptor, item) for item in (value if many else [value])]
        values[descriptor.name] = items if many else items[0]
    if len(UnknownFieldSet(message)):
        rest = type(message)()
        rest.CopyFrom(message)
        for descriptor in type(message).DESCRIPTOR.fields:
            rest.ClearField(descriptor.name)
        values["unknown"] = base64.b64encode(rest.SerializeToString()).decode()
    return values


def _plain_value(descriptor: Any, value: Any) -> Any:
    if descriptor.message_type:
        return plain(value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, float):
        if math.isnan(value):
            return "NaN"
        if math.isinf(value):
            return "Infinity" if value > 0 else "-Infinity"
        return float(str(np.float32(value))) if descriptor.type == descriptor.TYPE_FLOAT else value
    return value


def _dependencies(found: Oracle, nodes: Sequence[Any]) -> None:
    rows = {node.id: row for row, node in enumerate(nodes)}
    links = [
        (kind, field, rows.get(id, -1), row, position, id)
        for kind, field in (("CTRL", "ctrl_deps"), ("DATA", "data_deps"))
        for row, node in enumerate(nodes)
        for position, id in enumerate(getattr(node, field))
    ]
    graph: nx.DiGraph = nx.DiGraph()
    graph.add_nodes_from(range(len(nodes)))
    graph.add_edges_from((src, dst) for _, _, src, dst, _, _ in links if src >= 0)
    component = {row: number for number, rows in enumerate(nx.strongly_connected_components(graph)) for row in rows}
    for kind, name, src, dst, position, id in links:
        if src < 0:
            why, found.dangling = "dangling", found.dangling + 1
        elif kind == "CTRL" and component[src] == component[dst]:
            why, found.cyclic = "cyclic", found.cyclic + 1
        else:
            found.dependencies.append((kind, src, dst))
            continue
        found.operators[dst].attributes.setdefault(why, {}).setdefault(name, []).extend((position, id))
    graph.clear_edges()
    graph.add_edges_from((src, dst) for _, src, dst in found.dependencies)
    found.data_cycle = not nx.is_directed_acyclic_graph(graph)


# Small files


def framed(*parts: Any) -> bytes:
    """Messages, or their bytes, each after its length."""
    out = bytearray()
    for part in parts:
        data = part if isinstance(part, bytes) else part.SerializeToString()
        size = len(data)
        while size > 127:
            out.append(size & 127 | 128)
            size >>= 7
        out.append(size)
        out += data
    return bytes(out)


def attribute(name: str, **value: Any) -> Any:
    """An attribute with one value, such as `int32_val=1`, or `int32_list=[1]`."""
    made = AttributeProto(name=name)
    for kind, given in value.items():
        if isinstance(given, list):
            getattr(made, kind).SetInParent()
            getattr(made, kind).values.extend(given)
        else:
            setattr(made, kind, given)
    return made


def node(id: int, name: str = "", type: int = 4, attr: Sequence[Any] = (), **fields: Any) -> Any:
    """A node that computes."""
    return Node(id=id, name=name, type=type, attr=attr, **fields)


def write(folder: Path, *parts: Any, name: str = "trace.et", head: Any = b"") -> Path:
    """A file of some nodes after its metadata; its path."""
    path = folder / name
    path.write_bytes(framed(head, *parts))
    return path
