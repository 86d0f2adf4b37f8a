"""A text notation for host operators with recorded dims, one a line, those inside another indented below it.

    aten::linear    4x8 float | 16x8 float | 16 float
      aten::addmm   16 float | 4x8 float | 8x16 float | 1 | 1
        > gemm 40

An input is a tensor (dims and type; `scalar float` has no dims), a list of them in braces, `-` for none, or a value as
JSON. `> NAME NS` is a device operator that the line around it launched; `NS name …` gives a host operator a duration.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from etgraph.ingest.draft import Draft, Texts, dependencies
from etgraph.ingest.shapes import shapes_text
from etgraph.model import TABLES, AttributeWriter, Category, Columns, DependencyKind, LaneKind, NodeType, Trace

_TENSOR = re.compile(r"^(scalar|\d+(?:x\d+)*) ([a-zA-Z].*)$")


@dataclass
class _Line:
    depth: int
    name: str
    duration: int
    device: bool = False
    dims: list[Any] = field(default_factory=list)
    types: list[Any] = field(default_factory=list)
    values: list[Any] = field(default_factory=list)


def shaped(text: str, *, values: bool = True) -> Draft:
    """The draft of operators that the text describes; without `values` only dims and types are recorded."""
    lines = [_line(line) for line in text.splitlines() if line.strip()]
    parent, launched, around = [], [], list[int]()
    for at, line in enumerate(lines):
        while around and lines[around[-1]].depth >= line.depth:
            around.pop()
        parent.append(-1 if line.device or not around else around[-1])
        if line.device:
            launched.append((around[-1], at))
        around.append(at)
    with AttributeWriter() as attributes:
        rows = [attributes.append(json.dumps(_event(line) if values else {}).encode()) for line in lines]
    names, shapes = Texts(), Texts()
    count = len(lines)
    data = {
        "rank": np.zeros(count),
        "index": np.arange(count),
        "name": [names[line.name] for line in lines],
        "kind": np.full(count, int(NodeType.COMP)),
        "category": [int(Category.KERNEL if line.device else Category.CPU_OP) for line in lines],
        "lane": [int(line.device) for line in lines],
        "start_ns": np.arange(count),
        "duration_ns": [line.duration for line in lines],
        "parent": parent,
        "shapes": [-1 if line.device else shapes[_shapes(line)] for line in lines],
        "attrs": rows,
    }
    lanes = {"rank": [0, 0], "kind": [int(LaneKind.THREAD), int(LaneKind.STREAM)], "process": [0, 0], "id": [0, 1]}
    pairs = np.array(launched, dtype=np.int64).reshape(-1, 2)
    return Draft(
        Trace(
            Columns(TABLES["operators"], data, {"name": names, "shapes": shapes}),
            dependencies(DependencyKind.LAUNCH, pairs[:, 0], pairs[:, 1], "drawn"),
            lanes=Columns(TABLES["lanes"], lanes, {"process": ["0"], "id": ["1", "7"]}),
            attributes=attributes.attributes,
        )
    )


def _line(line: str) -> _Line:
    body = line.strip()
    depth = len(line) - len(line.lstrip())
    if body.startswith(">"):
        name, duration = body[1:].split()
        return _Line(depth, name, int(duration), device=True)
    head, _, rest = body.partition(" ")
    duration = 0
    if head.isdecimal():
        duration = int(head)
        head, _, rest = rest.strip().partition(" ")
    found = _Line(depth, head, duration)
    for item in filter(None, map(str.strip, rest.split("|"))):
        _add(found, item)
    return found


def _add(line: _Line, item: str) -> None:
    if item.startswith("{"):
        parts = [_tensor(part.strip()) for part in item[1:-1].split(";")]
        dims: Any = [d for d, _ in parts]
        types: Any = f"GenericList[{','.join(f'Tensor({t})' for _, t in parts)}]"
        value = None
    elif _TENSOR.match(item):
        (dims, types), value = _tensor(item), None
    else:
        dims, types, value = [], "" if item == "-" else "Scalar", None if item == "-" else json.loads(item)
    line.dims.append(dims)
    line.types.append(types)
    line.values.append(value)


def _tensor(item: str) -> tuple[list[int], str]:
    match = _TENSOR.match(item)
    assert match is not None, item
    return [] if match[1] == "scalar" else [int(n) for n in match[1].split("x")], match[2]


def _event(line: _Line) -> dict[str, Any]:
    """Attributes as Kineto writes them: every value is a text, in Python's notation."""
    return {"Concrete Inputs": ["" if v is None else str(v) for v in line.values]}


def _shapes(line: _Line) -> str:
    return shapes_text(json.dumps(line.dims).encode(), json.dumps(line.types).encode())
