"""What is kept of Chakra messages beside the columns, as the fields of messages that it was read from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec
from google.protobuf.message import DecodeError

from etgraph.ingest.chakra.fields import METADATA
from etgraph.ingest.chakra.layout import arranged, varint
from etgraph.ingest.chakra.messages import AttributeProto, GlobalMetadata, IOInfo, Node
from etgraph.ingest.chakra.reader import LAYOUT
from etgraph.ingest.chakra.values import UNKNOWN, WrongValue, fill
from etgraph.ingest.writers.chakra.pieces import as_attribute
from etgraph.ingest.writers.output import ExportError

_RAW: Final = msgspec.Raw(b"")
_MEMO: Final = 1 << 16
_DIGITS: Final = {"int32_val": 9, "uint32_val": 9, "int64_val": 18, "uint64_val": 18}
"""Fields that hold numbers as varints, and how many digits every such number may have."""
_ATTR: Final = (b'{"attr":[{', b"}]}")
"""How what is kept of most nodes begins and ends: nothing but attributes."""

Aside = dict[str, list[int]]
"""Ids that are no dependencies, by list: position and id by turns."""


class Kept(msgspec.Struct, gc=False, forbid_unknown_fields=True):
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


UNREADABLE: Final = (msgspec.DecodeError, WrongValue, DecodeError, ValueError, TypeError, IndexError, OverflowError)
"""What a text that is no kept message gives, which only edits can make."""
_decode = msgspec.json.Decoder(Kept).decode
_decode_list = msgspec.json.Decoder(list[msgspec.Raw]).decode


def metadata_message(document: dict[str, Any]) -> bytes:
    """The GlobalMetadata that a source's document was read from."""
    message = GlobalMetadata()
    layout = document.get(LAYOUT)
    try:
        fill(message, {k: v for k, v in document.items() if k != LAYOUT}, kept=True)
        written: bytes = message.SerializeToString(deterministic=True)
        return written if layout is None else arranged(written, METADATA, layout)
    except UNREADABLE as error:
        raise ExportError(f"the metadata of a file: {words(error)}") from None


class KeptFields:
    """Makes the fields of nodes from what is kept of them, each distinct piece once."""

    def __init__(self) -> None:
        self._pieces: dict[bytes, bytes] = {}
        self._integers: dict[bytes, tuple[bytes, int]] = {}

    def attributes_only(self, text: bytes) -> bytes | None:
        """The fields of a node of which nothing but attributes is kept; None where there may be more."""
        if text.startswith(_ATTR[0]) and text.endswith(_ATTR[1]):
            return self._split(text[len(_ATTR[0]) : -len(_ATTR[1])])
        return None

    def rest(self, kept: Kept) -> bytes:
        """The fields from `inputs` on."""
        parts = [self.arguments(kept)]
        if kept.attr:
            parts.append(self._attributes(bytes(kept.attr)))
        parts.append(unknown_fields(kept))
        return b"".join(parts)

    def arguments(self, kept: Kept) -> bytes:
        """Inputs and outputs."""
        return self._piece(b"\x42", kept.inputs, IOInfo) + self._piece(b"\x4a", kept.outputs, IOInfo)

    def named(self, kept: Kept, wanted: Callable[[str], bool]) -> bytes:
        """The attributes of some names."""
        if not kept.attr:
            return b""
        listed = [(_name(raw).name, raw) for raw in _decode_list(kept.attr)]
        return b"".join([as_attribute(_message(raw)[0]) for name, raw in listed if wanted(name)])

    def _attributes(self, listed: bytes) -> bytes:
        """A JSON list of attributes as fields of a node."""
        rest = self._split(listed[2:-2]) if listed.startswith(b"[{") and listed.endswith(b"}]") else None
        if rest is None:
            rest = b"".join([as_attribute(_message(raw)[0]) for raw in _decode_list(listed)])
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


class _Named(msgspec.Struct, gc=False):
    name: str = ""


_name = msgspec.json.Decoder(_Named).decode


def kept_of(text: bytes) -> Kept:
    """A kept text, decoded. Raises one of `UNREADABLE`."""
    return _decode(text)


def unknown_fields(kept: Kept) -> bytes:
    """The fields that the schema does not know."""
    if not kept.unknown:
        return b""
    holder = IOInfo()
    fill(holder, {UNKNOWN: msgspec.json.decode(kept.unknown)}, kept=True)
    written: bytes = holder.SerializeToString()
    return written


def words(error: Exception) -> str:
    """What is wrong with a kept text."""
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


def _pairs(flat: list[int]) -> Iterator[tuple[int, int]]:
    return zip(flat[::2], flat[1::2])


def with_kept(head: bytes, kept: Kept) -> bytes:
    """A node's fields from columns, with what is kept because these cannot hold it."""
    aside, numbers = (kept.dangling, kept.cyclic), (kept.type, kept.start_time_micros, kept.duration_micros)
    if aside == (None, None) and numbers == (None, None, None):
        return head
    node = Node.FromString(head)
    for name, deps in (("ctrl_deps", node.ctrl_deps), ("data_deps", node.data_deps)):
        # Ids that are no dependencies, at their positions.
        for position, id in sorted(pair for ids in aside if ids for pair in _pairs(ids.get(name, []))):
            deps.insert(position, id)
    if kept.type is not None and node.type == 0:
        node.type = kept.type
    if kept.start_time_micros is not None:
        node.start_time_micros = kept.start_time_micros
    if kept.duration_micros is not None:
        node.duration_micros = kept.duration_micros
    changed: bytes = node.SerializeToString()
    return changed
