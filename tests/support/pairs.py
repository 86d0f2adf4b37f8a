"""Pairs of small files of one rank: what a PyTorch execution trace and a Kineto trace say of the same program.

    1 | ProfilerStep#3   0..100
    1 | aten::mm        10..20    seq=7 dims=[[2,3],[3,2]] reads=11 writes=12

A line is an operator on a thread of the host, with start and end in µs. What is nested by time is nested in both files;
`ProfilerStep#…`, `## … ##` and `nccl:…` are annotations. `key=` names its truth: `id` of the node in the one file and
`External id` of the event in the other; without it that is the number of the line, from 1.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from etgraph.ingest.draft import Draft
from etgraph.ingest.reading import read_file
from etgraph.ingest.source import SourceFile

_LINE = re.compile(r"^(?P<thread>\d+) *\| *(?P<name>.+?) +(?P<start>\d+)\.\.(?P<end>\d+)(?P<rest>(?: +\w+=\S+)*)$")
_ANNOTATION = re.compile(r"^(?:ProfilerStep#|## |nccl:|gloo:)")
_ROOT = 1_000_000


@dataclass(frozen=True)
class Op:
    """One operator of the program; `thread` counts from 1."""

    thread: int
    name: str
    start: int
    end: int
    key: int
    sequence: int | None = None
    dims: Any = None
    reads: tuple[int, ...] = ()
    writes: tuple[int, ...] = ()
    schema: str = ""
    forward: int = 0


def program(text: str) -> list[Op]:
    """The operators that a text describes; ValueError for a line that cannot be read."""
    ops = []
    for number, line in enumerate(filter(None, map(str.strip, text.splitlines())), start=1):
        if not (match := _LINE.match(line)):
            raise ValueError(f"cannot read the line {line!r}")
        rest = dict(pair.split("=", 1) for pair in match["rest"].split())
        ops.append(
            Op(
                int(match["thread"]), match["name"], int(match["start"]), int(match["end"]),
                int(rest.pop("key", number)),
                int(rest["seq"]) if "seq" in rest else None,
                json.loads(rest["dims"]) if "dims" in rest else None,
                _numbers(rest.get("reads", "")), _numbers(rest.get("writes", "")),
                rest.get("schema", "").replace("~", " "),
                int(rest.get("forward", 0)),
            )
        )  # fmt: skip
    return ops


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(",") if part)


def host_draft(
    folder: Path, ops: Sequence[Op] | str, *, name: str = "et.json", pid: int = 100, time: str = "2026-01-02 03:04:05",
    extra: Iterable[dict[str, Any]] = (),
) -> Draft:  # fmt: skip
    """The draft of the PyTorch execution trace of a program."""
    ops = program(ops) if isinstance(ops, str) else ops
    ordered = sorted(ops, key=lambda o: (o.start, -o.end))
    nodes = [_node("[pytorch|profiler|execution_trace|process]", _ROOT, _ROOT, 0)]
    for thread in sorted({o.thread for o in ops}):
        nodes.append(_node("[pytorch|profiler|execution_trace|thread]", _ROOT + thread, _ROOT, 0, thread=thread))
    for number, op in enumerate(ordered, start=1):
        around = [o for o in ordered[: number - 1] if o.thread == op.thread and o.end >= op.end and o.start <= op.start]
        parent = around[-1].key if around else _ROOT + op.thread
        nodes.append(_node(op.name, op.key, parent, number, thread=op.thread, op=op))
    document = {"schema": "1.1.1-chakra.0.0.4", "pid": pid, "time": time, "nodes": [*nodes, *extra]}
    return _read(folder / name, document)


def _node(name: str, id: int, parent: int, rf_id: int, *, thread: int = 0, op: Op | None = None) -> dict[str, Any]:
    scope = 7 if _ANNOTATION.match(name) else 0
    attributes = {"rf_id": rf_id, "fw_parent": 0, "seq_id": -1, "scope": scope, "tid": thread, "fw_tid": 0}
    inputs: dict[str, Any] = {"values": [], "shapes": [], "types": []}
    outputs = inputs
    if op is not None:
        attributes |= {"seq_id": -1 if op.sequence is None else op.sequence, "fw_parent": op.forward}
        inputs = {
            "values": _tensors(op.reads),
            "shapes": op.dims or [],
            "types": ["Tensor(float)"] * len(op.dims or ()),
        }
        outputs = {"values": _tensors(op.writes), "shapes": [], "types": []}
    attrs = [{"name": k, "type": "int64", "value": v} for k, v in attributes.items()]
    attrs.append({"name": "op_schema", "type": "string", "value": op.schema if op else ""})
    return {"id": id, "name": name, "ctrl_deps": parent, "inputs": inputs, "outputs": outputs, "attrs": attrs}


def _tensors(storages: tuple[int, ...]) -> list[Any]:
    return [[1000 + s, s, 0, 6, 4, "cpu"] for s in storages]


def device_draft(
    folder: Path, ops: Sequence[Op] | str, *, name: str = "kineto.json", pid: int = 100, rank: int | None = None,
    recorded: bool = False, events: Iterable[dict[str, Any]] = (),
) -> Draft:  # fmt: skip
    """The draft of the Kineto trace of a program; `recorded` adds the ids that both files share."""
    ops = program(ops) if isinstance(ops, str) else ops
    found = []
    for number, op in enumerate(sorted(ops, key=lambda o: (o.start, -o.end)), start=1):
        category = "user_annotation" if _ANNOTATION.match(op.name) else "cpu_op"
        arguments: dict[str, Any] = {"External id": op.key, "Ev Idx": number}
        if recorded:
            arguments["Record function id"] = number
        if op.sequence is not None:
            arguments["Sequence number"] = op.sequence
        if op.dims is not None:
            arguments |= {"Input Dims": op.dims, "Input type": ["float"] * len(op.dims)}
        found.append(
            {"ph": "X", "cat": category, "name": op.name, "pid": pid, "tid": pid + op.thread - 1,
             "ts": op.start, "dur": op.end - op.start, "args": arguments}
        )  # fmt: skip
    document: dict[str, Any] = {"schemaVersion": 1, "baseTimeNanoseconds": 1767322800_000000000}
    if rank is not None:
        document["distributedInfo"] = {"rank": rank}
    return _read(folder / name, {**document, "traceEvents": [*found, *events]})


def _read(path: Path, document: dict[str, Any]) -> Draft:
    path.write_text(json.dumps(document))
    return read_draft(path)


def read_draft(path: Path) -> Draft:
    """The finished draft of one file of either format."""
    return read_file(SourceFile(path))


def without_ids(draft: Draft) -> Draft:
    """The same draft as if the two files shared no ids."""
    ids, of_annotations = (
        {name: values for name, values in known.items() if name != "record_function"}
        for known in (draft.ids, draft.annotation_ids)
    )
    return replace(draft, ids=ids, annotation_ids=of_annotations)


def truth(linked: Draft) -> tuple[int, int]:
    """How many operators are linked in a draft of such a pair, and how many of them to the right one."""
    o = linked.trace.operators
    rows = np.flatnonzero(~o.is_null("link")).tolist()
    right = [linked.trace.operator_attributes(row)["External id"] == int(o["node_id"][row]) for row in rows]
    return len(rows), sum(right)
