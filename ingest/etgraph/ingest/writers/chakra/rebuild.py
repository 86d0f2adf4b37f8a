"""Traces that came from Chakra, as the messages that they came from: columns, and what was kept beside them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec
import numpy as np

from etgraph.ingest.chakra import wire
from etgraph.ingest.chakra.attributes import BY_NAME
from etgraph.ingest.chakra.columns import attribute_values, numbers, owners, spread
from etgraph.ingest.chakra.fields import METADATA, NODE
from etgraph.ingest.chakra.layout import arranged, varint
from etgraph.ingest.chakra.messages import AttributeProto, GlobalMetadata, IOInfo, Node
from etgraph.ingest.chakra.reader import LAYOUT
from etgraph.ingest.chakra.values import UNKNOWN, WrongValue, fill
from etgraph.ingest.draft import NULL
from etgraph.ingest.writers.chakra.dependencies import Lists
from etgraph.ingest.writers.chakra.pieces import as_attribute, heads
from etgraph.ingest.writers.chakra.sizes import recorded_bytes
from etgraph.ingest.writers.output import ExportError
from etgraph.model import NodeType, Trace
from etgraph.model.columns import Array

BLOCK: Final = 4096
"""Nodes that are written at one time."""
_RAW: Final = msgspec.Raw(b"")
_MEMO: Final = 1 << 16
_DIGITS: Final = {"int32_val": 9, "uint32_val": 9, "int64_val": 18, "uint64_val": 18}
"""Fields that hold numbers as varints, and how many digits every such number may have."""
_ATTR: Final = (b'{"attr":[{', b"}]}")
"""How what is kept of most nodes begins and ends: nothing but attributes."""
_NULL32: Final = -(2**31)

Aside = dict[str, list[tuple[int, int]]]


class Kept(msgspec.Struct, gc=False):
    """What is kept of a node beside its columns; see `etgraph.ingest.chakra.text.kept`."""

    inputs: msgspec.Raw = _RAW
    outputs: msgspec.Raw = _RAW
    attr: msgspec.Raw = _RAW
    unknown: msgspec.Raw = _RAW
    layout: list[Any] | None = None
    dangling: Aside | None = None
    cyclic: Aside | None = None
    type: int | None = None
    start_time_micros: int | None = None
    duration_micros: int | None = None


def metadata_message(document: dict[str, Any]) -> bytes:
    """The GlobalMetadata that a source's document was read from."""
    message = GlobalMetadata()
    layout = document.get(LAYOUT)
    try:
        fill(message, {k: v for k, v in document.items() if k != LAYOUT}, kept=True)
    except WrongValue as error:
        raise ExportError(f"the metadata: found {error.found}, expected {error.expected} at {error.path}") from None
    written: bytes = message.SerializeToString(deterministic=True)
    return arranged(written, METADATA, layout) if isinstance(layout, list) else written


class Rebuilder:
    """Writes the nodes of a trace from its columns and from what is kept of them.

    Where a column says something else than the attributes that are kept, such as after an edit, the column counts.
    """

    def __init__(self, trace: Trace, lists: Lists) -> None:
        self._trace = trace
        self._lists = lists
        self._decode = msgspec.json.Decoder(Kept).decode
        self._decode_list = msgspec.json.Decoder(list[msgspec.Raw]).decode
        self._pieces: dict[bytes, bytes] = {}
        self._integers: dict[bytes, tuple[bytes, int]] = {}
        self._recorded = recorded_bytes(trace)
        self._zero = trace.metadata.zero_ns or 0

    def nodes(self, rows: slice, *, exact: bool = False) -> Iterator[list[bytes]]:
        """The messages of the operators of some rows, a block at a time. Raises ExportError naming a node.

        `exact` says that a time is one only where it is in exact nanoseconds, as in files with a document of ours.
        """
        for first in range(rows.start, rows.stop, BLOCK):
            yield self._block(first, min(first + BLOCK, rows.stop), exact)

    def _block(self, first: int, last: int, exact: bool) -> list[bytes]:
        kept_texts = self._trace.attributes.texts(self._trace.operators["attrs"][first:last])
        messages: list[bytes] = []
        layouts: dict[int, list[Any]] = {}
        for at, (text, head) in enumerate(zip(kept_texts, self._heads(first, last))):
            if text is None:
                messages.append(head)
                continue
            try:
                if text.startswith(_ATTR[0]) and text.endswith(_ATTR[1]):
                    rest = self._split(text[len(_ATTR[0]) : -len(_ATTR[1])])
                    if rest is not None:
                        messages.append(head + rest)
                        continue
                kept = self._decode(text)
                messages.append(_with_kept(head, kept) + self._rest(kept))
            except (msgspec.DecodeError, WrongValue, ValueError, TypeError) as error:
                raise ExportError(f"attributes of {self._trace.describe(first + at)}: {_words(error)}") from None
            if kept.layout is not None:
                layouts[at] = kept.layout
        for at, changes in self._changes(messages, first, exact).items():
            messages[at] = _changed(messages[at], changes, exact)
        for at, layout in layouts.items():
            try:
                messages[at] = arranged(messages[at], NODE, layout)
            except (TypeError, ValueError, IndexError):
                raise ExportError(f"attributes of {self._trace.describe(first + at)}: no layout: {layout}") from None
        return messages

    def _heads(self, first: int, last: int) -> list[bytes]:
        """What the columns hold of the nodes."""
        o = self._trace.operators
        ctrl, data = (self._lists.flat(name, first, last, o["node_id"]) for name in ("ctrl", "data"))
        start, duration = self._micros("start_ns", first, last, self._zero), self._micros("duration_ns", first, last, 0)
        names = o.texts("name").take(o["name"][first:last])
        return heads(o["node_id"][first:last], names, o["kind"][first:last], ctrl, data, start, duration)

    def _micros(self, column: str, first: int, last: int, zero: int) -> Array:
        """Whole microseconds from zero on; 0, which is left out in the file, where there is no time."""
        times = self._trace.operators[column][first:last]
        known = ~self._trace.operators.is_null(column)[first:last] if column in self._trace.operators.filled else None
        if known is None:
            return np.zeros(last - first, dtype=np.int64)
        return np.where(known, np.maximum((times + zero) // 1000, 0), 0)

    def _rest(self, kept: Kept) -> bytes:
        """The fields from `inputs` on."""
        parts = [self._piece(b"\x42", kept.inputs, IOInfo), self._piece(b"\x4a", kept.outputs, IOInfo)]
        if kept.attr:
            parts.append(self._attributes(bytes(kept.attr)))
        if kept.unknown:
            holder = IOInfo()
            fill(holder, {UNKNOWN: msgspec.json.decode(kept.unknown)}, kept=True)
            parts.append(holder.SerializeToString())
        return b"".join(parts)

    def _attributes(self, listed: bytes) -> bytes:
        """A JSON list of attributes as fields of a node."""
        rest = self._split(listed[2:-2]) if listed.startswith(b"[{") and listed.endswith(b"}]") else None
        if rest is None:
            rest = b"".join([as_attribute(_message(raw)[0]) for raw in self._decode_list(listed)])
        return rest

    def _split(self, objects: bytes) -> bytes | None:
        """The same of a list without what begins and ends it, None where it cannot be split at what looks like commas.

        Where one of these is inside a text, the text is left open and the part is no JSON.
        """
        known = self._pieces.get
        try:
            return b"".join([known(members) or self._attribute(members) for members in objects.split(b"},{")])
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None

    def _piece(self, tag: bytes, raw: msgspec.Raw, kind: Any) -> bytes:
        if not raw:
            return b""
        key = tag + bytes(raw)
        if (known := self._pieces.get(key)) is None:
            message = kind()
            fill(message, msgspec.json.decode(raw), kept=True)
            written = message.SerializeToString()
            known = tag + varint(len(written)) + written
            self._remember(key, known)
        return known

    def _attribute(self, members: bytes) -> bytes:
        """A new attribute, from the inside of its JSON object."""
        # Most that is new differs from what is known in its number only.
        before, _, number = members.rpartition(b":")
        begin, digits = self._integers.get(before, (b"", 0))
        if len(number) <= digits and number.isdigit():
            return as_attribute(begin + varint(int(number)))
        message, value = _message(b"{%b}" % members)
        names = list(value)
        if len(names) == 2 and names[0] == "name" and names[1] in _DIGITS:
            one = AttributeProto(name=value["name"], **{names[1]: 1}).SerializeToString()
            self._integers[before] = one[:-1], _DIGITS[names[1]]
        known = as_attribute(message)
        self._remember(members, known)
        return known

    def _remember(self, key: bytes, piece: bytes) -> None:
        if len(self._pieces) >= _MEMO:
            self._pieces.clear()
        self._pieces[key] = piece

    def _changes(self, messages: list[bytes], first: int, exact_only: bool) -> dict[int, dict[str, Any]]:
        """What the columns say otherwise than the messages, by position of the message and name."""
        o, count = self._trace.operators, len(messages)
        rows = slice(first, first + count)
        ends = np.cumsum([len(m) for m in messages], dtype=np.int64)
        found = wire.tokens(
            np.frombuffer(b"".join(messages), dtype=np.uint8), np.concatenate([[0], ends[:-1]]), ends, NODE
        )
        owner = owners(found)
        written, _ = numbers(found, owner, count)
        places = attribute_values(found)
        held = {
            name: spread(found.value[at], owner[at], count, NULL)
            for name, at in places.items() if name in BY_NAME and not BY_NAME[name].text
        }  # fmt: skip
        nothing = np.full(count, NULL)
        changes: dict[int, dict[str, Any]] = {}
        kind = o["kind"][rows]
        sends, receives = kind == int(NodeType.COMM_SEND), kind == int(NodeType.COMM_RECV)
        communicates = sends | receives | (kind == int(NodeType.COMM_COLL))
        wanted = {
            "start": (o["start_ns"][rows] + self._zero, ~o.is_null("start_ns")[rows]),
            "duration": (o["duration_ns"][rows], ~o.is_null("duration_ns")[rows]),
            "comm_type": (o["comm_type"][rows], ~o.is_null("comm_type")[rows]),
            "comm_bytes": (self._recorded[rows], communicates & (self._recorded[rows] != NULL)),
            "receiver": (o["peer"][rows], sends & ~o.is_null("peer")[rows]),
            "sender": (o["peer"][rows], receives & ~o.is_null("peer")[rows]),
            "tag": (o["tag"][rows], ~o.is_null("tag")[rows]),
            "flops": (o["flops"][rows], ~o.is_null("flops")[rows]),
            "bytes": (o["bytes"][rows], ~o.is_null("bytes")[rows]),
        }
        for name, (values, said) in wanted.items():
            if name in ("start", "duration"):
                exact = held.get(f"exact_{name}", nothing)
                has = exact if exact_only else np.where(exact != NULL, exact, written[name])
            else:
                has = held.get(name, nothing)
            for at in np.flatnonzero(said & (values != has)).tolist():
                changes.setdefault(at, {})[name] = int(values[at])
        return changes


def _words(error: Exception) -> str:
    if isinstance(error, WrongValue):
        return f"found {error.found}, expected {error.expected}" + (f" at {error.path}" if error.path else "")
    return str(error)


def _message(raw: Any) -> tuple[bytes, dict[str, Any]]:
    """A serialised AttributeProto from its JSON text, and what that says."""
    value = msgspec.json.decode(raw)
    message = AttributeProto()
    fill(message, value, kept=True)
    written: bytes = message.SerializeToString()
    return written, value


def _with_kept(head: bytes, kept: Kept) -> bytes:
    """What columns hold of a node, with what is kept because they cannot hold it."""
    aside, numbers = (kept.dangling, kept.cyclic), (kept.type, kept.start_time_micros, kept.duration_micros)
    if aside == (None, None) and numbers == (None, None, None):
        return head
    node = Node.FromString(head)
    for name, deps in (("ctrl_deps", node.ctrl_deps), ("data_deps", node.data_deps)):
        # Ids that are no dependencies, at their positions.
        for position, id in sorted(pair for ids in aside if ids for pair in ids.get(name, ())):
            deps.insert(position, id)
    if kept.type is not None and node.type == 0:
        node.type = kept.type
    if kept.start_time_micros is not None:
        node.start_time_micros = kept.start_time_micros
    if kept.duration_micros is not None:
        node.duration_micros = kept.duration_micros
    changed: bytes = node.SerializeToString()
    return changed


def _changed(message: bytes, changes: dict[str, Any], exact_only: bool) -> bytes:
    """The message with other times and attributes."""
    node = Node.FromString(message)
    for name, value in changes.items():
        if name in ("start", "duration"):
            whole = max(value, 0) // 1000
            setattr(node, "start_time_micros" if name == "start" else "duration_micros", whole)
            exact = BY_NAME[f"exact_{name}"]
            has_exact = exact_only or any(a.name == exact.attribute for a in node.attr)
            if whole * 1000 == value and not has_exact:
                continue
            name = exact.name
        _set(node, name, value)
    changed: bytes = node.SerializeToString(deterministic=True)
    return changed


def _set(node: Any, name: str, value: int) -> None:
    """Give the last attribute of that name another value, in the type that it has, or add one."""
    declared = BY_NAME[name]
    for attr in reversed(node.attr):
        if attr.name == declared.attribute:
            try:
                setattr(attr, attr.WhichOneof("value") or declared.field, value)
            except (ValueError, TypeError):
                setattr(attr, declared.field, value)
            return
    setattr(node.attr.add(name=declared.attribute), declared.field, value)
