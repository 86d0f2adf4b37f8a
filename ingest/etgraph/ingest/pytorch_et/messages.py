"""What communication nodes say: collective, sizes, group and peer, in the spellings of all schema versions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from etgraph.ingest.communication import collective_type, message_bytes, node_type
from etgraph.ingest.pytorch_et.nodes import COMMUNICATION, Node
from etgraph.model import CommType, NodeType

_NO_WORK = frozenset({"", "wait", "init"})
LARGEST_GROUP = 1 << 20
"""A process group of more ranks than this is not written out as members."""

Group = tuple[str, str | None, str | None, int | None, list[int]]
"""Name, description, backend, size and ranks."""


@dataclass(frozen=True, slots=True)
class Message:
    """One collective or message as recorded. `peer` is a rank of the group, `pointer` the group's address."""

    kind: NodeType
    type: CommType | None = None
    bytes: int | None = None
    group: str = ""
    description: str = ""
    size: int | None = None
    pointer: int | None = None
    peer: int | None = None
    tag: int | None = None


def read_message(node: Node, attributes: Mapping[str, Any]) -> Message | None:
    """What a node says of its communication; None for one that is none, such as `wait`."""
    values = node.values("inputs")
    outputs = node.values("outputs")
    if node.name != COMMUNICATION:
        text = node.name.partition(":")[2]
        kind = node_type(text)
        type = collective_type(text) if kind is NodeType.COMM_COLL else None
        size = _size(kind, type, tensor_bytes(values), tensor_bytes(outputs), 0)
        return Message(kind, type, size, group=node.pg_name)
    at = next((i for i, v in enumerate(values) if isinstance(v, str) and not v.startswith("<")), len(values))
    collective = attributes.get("collective_name") or (values[at] if at < len(values) else "")
    if not isinstance(collective, str) or collective.lower() in _NO_WORK:
        return None
    kind = node_type(collective)
    type = collective_type(collective) if kind is NodeType.COMM_COLL else None
    name, description, pointer = _group(values[at - 2] if 2 <= at < len(values) else None)
    name = _text(attributes.get("pg_name")) or name or node.pg_name
    description = _text(attributes.get("pg_desc")) or description
    ranks = _count(attributes.get("pg_size")) or _count(values[-1] if len(values) > at + 3 else None)
    elements = _count(attributes.get("in_msg_nelems"), 2**62), _count(attributes.get("out_msg_nelems"), 2**62)
    size = None
    if type is not None and None not in elements:
        size = message_bytes(type, elements[0] or 0, elements[1] or 0, _text(attributes.get("dtype")))
    if size is None:
        size = _size(kind, type, tensor_bytes(values[: max(at - 3, 0)]), tensor_bytes(outputs), ranks or 0)
    peer = values[at - 1] if kind is not NodeType.COMM_COLL and 1 <= at < len(values) else None
    return Message(kind, type, size, name, description, ranks, pointer, _small(peer))


def read_peer(node: Node) -> tuple[int | None, int | None]:
    """Peer and tag among the arguments of `c10d::send` and `c10d::recv_`: tensors, group, peer, tag."""
    values = node.values("inputs")
    return (_small(values[2]), _small(values[3])) if len(values) >= 4 else (None, None)


def read_sequence(node: Node) -> int | None:
    """Number of a collective, or of a wait for it, in its group: an argument, since 1.1 paired with what it counts."""
    values = node.values("inputs")
    at = next((i for i, v in enumerate(values) if isinstance(v, str) and not v.startswith("<")), 0)
    number = values[at - 3] if at >= 3 else None
    if isinstance(number, list) and len(number) == 2:
        number = number[0]
    return _count(number, 2**62)


def gathered_bytes(node: Node) -> int | None:
    """Bytes of all the tensors that an operator of `c10d::` writes; None where none is recorded."""
    return tensor_bytes(node.values("outputs")) or None


def tensor_bytes(values: Any) -> int:
    """Bytes of all tensors [id, storage, offset, elements, bytes an element, device] in a nested list of values."""
    total, waiting = 0, [values]
    while waiting:
        value = waiting.pop()
        if not isinstance(value, list):
            continue
        if len(value) == 6 and isinstance(value[5], str) and all(isinstance(v, int) for v in value[:5]):
            total += value[3] * value[4]
        else:
            waiting += value
    return total if 0 <= total < 2**63 else 0


def read_groups(text: str) -> tuple[list[Group], dict[int, str]]:
    """Process groups of a `process_group:init` text, and the name of each address. ValueError where it is none."""
    groups, addresses = [], {}
    for entry in msgspec.json.decode(text, type=list[dict[str, Any]]):
        name, size = str(entry.get("pg_name", "")), _count(entry.get("group_size", entry.get("pg_size")))
        ranks = [r for r in entry.get("ranks") or () if _small(r) is not None]
        if not ranks and size and size <= LARGEST_GROUP:
            ranks = list(range(size))
        backend, description = _text(entry.get("backend_config")), _text(entry.get("pg_desc"))
        groups.append((name, description or None, backend or None, size, ranks))
        if isinstance(entry.get("backend_id"), int):
            addresses[entry["backend_id"]] = name
    return groups, addresses


def default_size(text: str) -> int | None:
    """Size of the group of all ranks in a `process_group:init` text, None where it does not stand there."""
    for entry in msgspec.json.decode(text, type=list[dict[str, Any]]):
        if entry.get("ranks") == [] or entry.get("pg_name") == "0" or entry.get("pg_desc") == "default_pg":
            return _count(entry.get("group_size", entry.get("pg_size")))
    return None


def _group(value: Any) -> tuple[str, str, int | None]:
    """Name, description and address of a group: a pair of texts since 1.0.3, an address before."""
    if isinstance(value, list):
        return _text(value[0] if value else ""), _text(value[1] if len(value) > 1 else ""), None
    if isinstance(value, str):
        return value, "", None
    return "", "", value if isinstance(value, int) and not isinstance(value, bool) and value else None


def _size(kind: NodeType, type: CommType | None, read: int, written: int, ranks: int) -> int | None:
    if kind is not NodeType.COMM_COLL:
        return read or written or None
    if type is CommType.ALL_GATHER and not written:
        written = read * ranks
    return message_bytes(type, read, written, "byte") or None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _count(value: Any, below: int = 2**31) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < below else None


def _small(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**31 else None


def global_rank(peer: int | None, ranks: Sequence[int]) -> int | None:
    """The rank in the world of a rank of a group; the same number where the members are not known."""
    if peer is None or peer < 0:
        return None
    return ranks[peer] if peer < len(ranks) else peer
