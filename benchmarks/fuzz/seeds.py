"""What inputs are made from: made-up messages over the whole schema, and the messages of real files."""

from __future__ import annotations

import json
import math
import os
import random
import struct
from itertools import islice
from pathlib import Path
from typing import Any

from google.protobuf import json_format
from google.protobuf.internal.decoder import _DecodeVarint32  # type: ignore[attr-defined]

from etgraph.ingest.chakra.messages import AttributeProto, GlobalMetadata, IOInfo, Node

KINDS = ("double", "float", "int32", "int64", "uint32", "uint64", "sint32", "sint64", "fixed32", "fixed64", "sfixed32",
         "sfixed64", "bool", "string", "bytes")  # fmt: skip
NAMES = ("is_cpu_op", "tid", "stream", "comm_type", "comm_size", "pg_name", "comm_src", "comm_dst", "comm_tag",
         "num_ops", "tensor_size", "start_ns", "duration_ns", "etgraph", "etgraph.lane", "etgraph.parent",
         "etgraph.other_deps", "etgraph.dependencies", "dangling", "pid", "rf_id", "", "é",
         "\U0001f600\x00\"\\")  # fmt: skip
TEXTS = ("", "a", "aten::mm", "ncclKernel_AllReduce", "[[2, 3], []]", "['Tensor(float)']", "ü\n\t\"\\", "\U0001f600",
         "x" * 130, "0", "[1,", '{"rank":0}')  # fmt: skip
REAL_NODES = 300


def number(rng: random.Random, bits: int, *, signed: bool) -> int:
    """A whole number of any size; the borders and small ones often."""
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    which = rng.randrange(4)
    if which == 0:
        return rng.choice((low, high, 0, 1, max(low, -1), high // 2, high // 1000))
    return rng.randint(0, 9) if which < 3 else rng.randint(low, high)


def real(rng: random.Random) -> float:
    """A floating-point number that four bytes hold; not-a-numbers and infinities too."""
    if rng.randrange(3):
        return float(rng.choice((0.0, -0.0, 1.5, -2.25e10, math.nan, math.inf, -math.inf, 2.0**-149, 0.1)))
    (found,) = struct.unpack("<f", rng.getrandbits(32).to_bytes(4, "little"))
    return float(found)


def value(rng: random.Random, kind: str) -> Any:
    """A value for a field of that kind."""
    if kind in ("double", "float"):
        return real(rng)
    if kind == "bool":
        return rng.random() < 0.5
    if kind == "string":
        return rng.choice(TEXTS)
    if kind == "bytes":
        return rng.randbytes(rng.randrange(6))
    return number(rng, int(kind[-2:]), signed="u" not in kind and not kind.startswith("fixed"))


def attribute(rng: random.Random) -> Any:
    """An attribute with a value, a list or nothing."""
    made = AttributeProto(name=rng.choice(NAMES), doc_string="" if rng.randrange(4) else rng.choice(TEXTS))
    kind = rng.choice(KINDS)
    which = rng.randrange(8)
    if which == 0:
        return made
    if which < 6:
        setattr(made, f"{kind}_val", value(rng, kind))
    else:
        values = getattr(made, f"{kind}_list")
        values.SetInParent()
        values.values.extend(value(rng, kind) for _ in range(rng.randrange(4)))
    return made


def _texts(rng: random.Random) -> Any:
    return IOInfo(values=rng.choice(TEXTS), shapes=rng.choice(TEXTS), types=rng.choice(TEXTS))


def node(rng: random.Random, id: int | None = None) -> Any:
    """A node; what it depends on has a small id."""
    made = Node(id=number(rng, 64, signed=False) if id is None else id, name=rng.choice(TEXTS))
    made.type = rng.randrange(8) if rng.randrange(8) else number(rng, 32, signed=True)
    made.ctrl_deps.extend(rng.randrange(id if id else 9) for _ in range(rng.randrange(3)))
    made.data_deps.extend(rng.randrange(id if id else 9) for _ in range(rng.randrange(4)))
    if rng.randrange(2):
        made.start_time_micros = number(rng, 64, signed=False)
        made.duration_micros = number(rng, 64, signed=False)
    if not rng.randrange(3):
        made.inputs.CopyFrom(_texts(rng))
        made.outputs.CopyFrom(_texts(rng))
    made.attr.extend(attribute(rng) for _ in range(rng.randrange(5)))
    return made


def metadata(rng: random.Random) -> Any:
    """A file's metadata."""
    return GlobalMetadata(
        version=rng.choice(("", "0.0.4", "ü")), attr=[attribute(rng) for _ in range(rng.randrange(3))]
    )


def real_messages(path: Path) -> tuple[bytes, list[bytes]]:
    """Metadata and some nodes of a file, spread over it."""
    data = path.read_bytes()
    found, at = [], 0
    while at < len(data):
        size, at = _DecodeVarint32(data, at)
        found.append(data[at : at + size])
        at += size
    nodes = found[1:]
    return found[0], list(islice(nodes, 0, None, max(1, len(nodes) // REAL_NODES)))


class Seeds:
    """The pool that inputs are made from; the same seed gives the same pool where the same traces lie around."""

    def __init__(self, seed: int, *, real: bool = True, size: int = 400) -> None:
        rng = random.Random(seed)
        self.nodes: list[bytes] = [node(rng).SerializeToString() for _ in range(size)]
        self.metadata: list[bytes] = [b"", *(metadata(rng).SerializeToString() for _ in range(size // 4))]
        self.files: list[tuple[bytes, list[bytes]]] = []
        for _ in range(size // 4):
            ids = [i * rng.choice((1, 7)) for i in range(rng.randrange(6))]
            made = [node(rng, id).SerializeToString() for id in dict.fromkeys(ids)]
            self.files.append((rng.choice(self.metadata), made))
        if real:
            self._add_real()
        self.jsonizer: list[list[dict[str, Any]]] = [
            [json_format.MessageToDict(m) for m in (metadata(rng), *(node(rng, i) for i in range(rng.randrange(1, 4))))]
            for _ in range(size // 8)
        ]
        self.feeder: list[dict[str, Any]] = [_feeder(rng) for _ in range(size // 8)]

    def _add_real(self) -> None:
        for variable, pattern in (("ETGRAPH_TRACES", "chakra/*.et"), ("ETGRAPH_REFERENCE", "astra_sim/*/et.0.et")):
            folder = os.environ.get(variable)
            for path in sorted(Path(folder).glob(pattern)) if folder else ():
                head, nodes = real_messages(path)
                self.nodes += nodes
                self.metadata.append(head[:4000])
                self.files += [(head if len(head) < 4000 else b"", nodes[i : i + 4]) for i in range(0, len(nodes), 16)]


def _feeder(rng: random.Random) -> dict[str, Any]:
    nodes = [
        {"Id": i, "Name": rng.choice(TEXTS), "NodeType": rng.randrange(9), "ctrlDeps": [], "data_deps": [max(i - 1, 0)]
         if i else [], "runtime": rng.choice((0, 5, 1.5, None)), "is_cpu_op": rng.random() < 0.5, "note": [1, 2.5, "a"]}
        for i in range(rng.randrange(1, 4))
    ]  # fmt: skip
    graph: dict[str, Any] = json.loads(json.dumps({"workload_graph": nodes, "workload_name": "w", "ngpus": 4}))
    return graph
