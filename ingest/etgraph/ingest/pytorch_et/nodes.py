"""Nodes of a PyTorch execution trace as they stand in the file: the fields that are read, and what they mean."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from etgraph.ingest.communication import communication_annotation
from etgraph.model import Category, NodeType

_NOTHING = msgspec.Raw(b"")
KNOWN = ("1.0.1", "1.0.2", "1.0.3", "1.1.0", "1.1.1")
"""Versions of the schema that were seen; what a suffix such as `-chakra.0.0.4` adds does not change the shape."""
USER_SCOPE = 7
"""PyTorch's RecordScope::USER_SCOPE: an annotation, by the user or by a library."""
COMMUNICATION = "record_param_comms"
GROUPS = "## process_group:init ##"
WAITS = ("inter_thread_dep", "sync_dep")
"""What ET+ says that a node waits for: the last operator of another thread, and what it synchronises with."""
_PROFILER = "[pytorch|profiler|"
_PROCESS = re.compile(r"^\[pytorch\|profiler\|execution_(?:trace|graph)\|process\]$")
_MESSAGE = re.compile(r"^c10d::(?:send|recv)")


class Values(msgspec.Struct, gc=False):
    """Inputs or outputs since schema 1.0.2."""

    values: msgspec.Raw = _NOTHING
    shapes: msgspec.Raw = _NOTHING
    types: msgspec.Raw = _NOTHING


class Attribute(msgspec.Struct, gc=False):
    """One attribute since schema 1.0.2; its `type` only repeats the value's."""

    name: str = ""
    value: Any = None


class Node(msgspec.Struct, gc=False):
    """One node of any schema version; ET+ adds times and devices. Times stay digits, tensors stay text."""

    id: int
    name: str = ""
    ctrl_deps: int | None = None
    parent: int | None = None
    attrs: list[Attribute] | None = None
    inputs: Values | list[msgspec.Raw] | None = None
    outputs: Values | list[msgspec.Raw] | None = None
    input_shapes: msgspec.Raw = _NOTHING
    input_types: msgspec.Raw = _NOTHING
    rf_id: int | None = None
    fw_parent: int | None = None
    seq_id: int | None = None
    scope: int | None = None
    tid: int | str | None = None
    cat: str = ""
    stream: int | str | None = None
    pg_name: str = ""
    op_schema: Any = ""
    ts: msgspec.Raw = _NOTHING
    dur: msgspec.Raw = _NOTHING
    inclusive_dur: msgspec.Raw = _NOTHING
    inter_thread_dep: int | None = None
    sync_dep: list[int] | int | None = None

    def values(self, side: str) -> list[Any]:
        """Decoded `inputs` or `outputs`; empty where they are no list."""
        found = getattr(self, side)
        if isinstance(found, Values):
            decoded = msgspec.json.decode(found.values) if found.values else []
            return decoded if isinstance(decoded, list) else []
        return [msgspec.json.decode(value) for value in found or ()]

    def text(self, side: str) -> bytes:
        """`inputs` or `outputs` as JSON text, without the outer brackets in the first schema."""
        found = getattr(self, side)
        return bytes(found.values) if isinstance(found, Values) else b",".join(map(bytes, found or ()))

    def waits(self, name: str) -> Sequence[int]:
        """Ids of the nodes that it waits for, as one of `WAITS` says."""
        found: list[int] | int | None = getattr(self, name)
        return () if found is None else found if isinstance(found, list) else (found,)

    def shapes(self) -> tuple[bytes, bytes]:
        """Shapes and types of the inputs as JSON text, both empty where there are none."""
        if isinstance(self.inputs, Values):
            return bytes(self.inputs.shapes), bytes(self.inputs.types)
        return bytes(self.input_shapes), bytes(self.input_types)


def is_profiler(name: str) -> bool:
    """Whether the profiler made the node for its own book-keeping."""
    return name.startswith(_PROFILER) or name == GROUPS


def is_process(name: str) -> bool:
    """Whether it is the root of the process, which belongs to no thread."""
    return _PROCESS.match(name) is not None


def passes_message(name: str) -> bool:
    """Whether it is PyTorch's operator around a send or receive, whose arguments name peer and tag."""
    return _MESSAGE.match(name) is not None


def may_communicate(name: str) -> bool:
    """Whether the node may itself be a collective or a message."""
    return name == COMMUNICATION or name.startswith("nccl:") or communication_annotation(name)


def category(name: str, scope: int) -> Category:
    """What recorded a node of a host thread."""
    if is_profiler(name):
        return Category.METADATA
    return Category.ANNOTATION if scope == USER_SCOPE else Category.CPU_OP


def kind_without_communication(recorded_by: Category) -> NodeType:
    """Chakra's type of a node that does not communicate: an annotation computes nothing itself."""
    return NodeType.COMP if recorded_by is Category.CPU_OP else NodeType.METADATA
