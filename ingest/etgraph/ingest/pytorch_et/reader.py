"""Nodes of a PyTorch execution trace from the stream into raw columns, a block at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from etgraph.ingest.digits import nanoseconds
from etgraph.ingest.document import Block, Document, source_error
from etgraph.ingest.draft import NULL, Draft, Growing, Texts, int64s
from etgraph.ingest.pytorch_et.messages import Message, gathered_bytes, read_message, read_peer, read_sequence
from etgraph.ingest.pytorch_et.nodes import COMMUNICATION, GROUPS, WAITS, Node, may_communicate, passes_message
from etgraph.ingest.pytorch_et.tensors import Accesses
from etgraph.ingest.shapes import plain_types
from etgraph.ingest.source import SourceFile
from etgraph.model import AttributeWriter
from etgraph.model.columns import Array

ARRAY = "nodes"
LONGEST_NS = 366 * 86_400 * 10**9
"""No operator takes longer than this; a longer duration is a damaged file."""

_NODES = {
    "id": "u8", "parent": "u8", "has_parent": "?", "name": "i4", "sort": "i4", "lane": "i4", "record_function": "i8",
    "sequence": "i8", "forward": "i8", "shapes": "i4", "attrs": "i4", "message": "i4", "start": "i8", "duration": "i8",
    "position": "i4", "comm_sequence": "i8",
}  # fmt: skip
_WAITS = {"position": "i4", "which": "i1", "id": "u8"}
_INTEGERS = ("rf_id", "fw_parent", "seq_id", "scope")
_U64 = 2**64

Element = tuple[msgspec.Raw, Node]


@dataclass(slots=True)
class Recording:
    """All that was read, in file order: raw columns and the texts that their codes stand for.

    `waits` are the pairs of a node, by its position, and the id of one that it waits for; `which` counts in `WAITS`.
    """

    nodes: dict[str, Array]
    waits: dict[str, Array]
    names: list[str]
    sorts: list[tuple[str, int, str]]
    lanes: list[tuple[bool, Any]]
    shapes: list[tuple[bytes, bytes]]
    messages: list[Message]
    peers: dict[int, tuple[int | None, int | None]]
    gathered: dict[int, int]
    groups: list[str]
    tensors: dict[str, Array]


class PyTorchReader:
    """Collects blocks of nodes; `finish` makes the draft of them."""

    def __init__(self, source: SourceFile, attributes: AttributeWriter) -> None:
        self._source = source
        self._attributes = attributes
        self._names = Texts()
        self._sorts: Any = Texts()
        self._lanes: Any = Texts()
        self._shapes: Any = Texts()
        self._messages: Any = Texts()
        self._nodes = Growing(_NODES)
        self._waits = Growing(_WAITS)
        self._accesses = Accesses()
        self._peers: dict[int, tuple[int | None, int | None]] = {}
        self._gathered: dict[int, int] = {}
        self._groups: list[str] = []
        self._checked = 0
        self._block: Block[Element] | None = None
        self._decode_texts = msgspec.json.Decoder(list[msgspec.Raw]).decode
        self._decode_nodes = msgspec.json.Decoder(list[Node]).decode

    @property
    def decode(self) -> Callable[[bytes], list[Element]]:
        """Decodes a JSON list of nodes: each one's text, and its fields."""
        return self._decode

    def _decode(self, text: bytes) -> list[Element]:
        return list(zip(self._decode_texts(text), self._decode_nodes(text), strict=True))

    def add(self, block: Block[Element]) -> None:
        """Take one block of nodes. Raises InputError for a field of a wrong type or an absurd value."""
        self._block = block
        nodes = [node for _, node in block.elements]
        count = len(nodes)
        facts = [{a.name: a.value for a in node.attrs} if node.attrs else {} for node in nodes]
        number = {name: self._integers(name, nodes, facts) for name in _INTEGERS}
        thread = [f.get("tid", n.tid) for f, n in zip(facts, nodes, strict=True)]
        for at, value in enumerate(thread):
            if type(value) is not int and not isinstance(value, (str, type(None))):
                raise self._fail(at, repr(value)[:40], "a number or a text", "tid")
        recorded = [n.parent if n.ctrl_deps is None else n.ctrl_deps for n in nodes]
        lanes, names = self._lanes, self._names
        self._nodes.add(
            id=self._identifiers([n.id for n in nodes], "id"),
            parent=self._identifiers([p or 0 for p in recorded], "parent"),
            has_parent=np.array([p is not None for p in recorded]),
            name=names.codes((n.name for n in nodes), count),
            sort=self._sorts.codes(
                ((n.name, scope, n.cat) for n, scope in zip(nodes, number["scope"].tolist(), strict=True)), count
            ),
            lane=np.array(
                [lanes[False, t] if n.stream is None else lanes[True, n.stream]
                 for n, t in zip(nodes, thread, strict=True)], dtype=np.int32
            ),
            record_function=number["rf_id"],
            sequence=np.where(number["seq_id"] < 0, NULL, number["seq_id"]),
            forward=np.where(number["fw_parent"] <= 0, NULL, number["fw_parent"]),
            shapes=self._shape_codes(nodes),
            attrs=self._attributes.extend([bytes(text) for text, _ in block.elements]) + np.arange(count),
            message=self._communication(nodes, facts),
            start=self._times(nodes, "ts", lambda n: n.ts),
            duration=self._durations(nodes),
            position=block.first + np.arange(count),
            comm_sequence=self._sequences(nodes),
        )  # fmt: skip
        self._add_waits(nodes)
        self._accesses.add(nodes, [f.get("op_schema", n.op_schema) for f, n in zip(facts, nodes, strict=True)])

    def finish(self, top: Document) -> Draft:
        """The draft of everything that was added. Raises InputError for an id that two nodes have."""
        from etgraph.ingest.pytorch_et.assemble import assemble

        recording = Recording(
            self._nodes.join(), self._waits.join(), list(self._names), list(self._sorts), list(self._lanes),
            list(self._shapes), list(self._messages), self._peers, self._gathered, self._groups, self._accesses.join(),
        )  # fmt: skip
        return assemble(recording, self._source, top)

    def _place(self, number: int, what: str) -> str:
        assert self._block is not None
        name = self._block.elements[number][1].name
        return f"node {self._block.first + number} ({name[:60]!r}, after byte {self._block.offset:,}), {what}"

    def _fail(self, number: int, found: str, expected: str, what: str) -> Exception:
        """An error about one node of the current block."""
        return self._source.error(found, expected, self._place(number, what))

    def _integers(self, name: str, nodes: Sequence[Node], facts: Sequence[dict[str, Any]]) -> Array:
        """A number that is an attribute since 1.0.2 and a key before; `NULL` where it is missing or exceeds int64."""
        values = [
            f[name] if name in f else getattr(n, name) for f, n in zip(facts, nodes, strict=True)
        ]  # fmt: skip
        for at, value in enumerate(values):
            if type(value) is not int:
                if value is not None:
                    raise self._fail(at, repr(value)[:40], "a whole number", name)
                values[at] = NULL
        return int64s(values)

    def _add_waits(self, nodes: Sequence[Node]) -> None:
        first = self._block.first if self._block else 0
        for which, name in enumerate(WAITS):
            pairs = [(at, id) for at, node in enumerate(nodes) for id in node.waits(name)]
            if pairs:
                at, ids = zip(*pairs, strict=True)
                known = self._identifiers(ids, name, at)
                self._waits.add(position=first + np.array(at), which=np.full(len(at), which), id=known)

    def _identifiers(self, values: Sequence[int], what: str, nodes: Sequence[int] | None = None) -> Array:
        """Ids as uint64; `nodes` are the numbers in the block of those that hold them, when not each in turn."""
        try:
            return np.array(values, dtype=np.uint64)
        except OverflowError:
            row = next(i for i, v in enumerate(values) if not 0 <= v < _U64)
            bits = values[row].bit_length()
            found = str(values[row]) if bits < 80 else f"a number of {bits} bits"
            at = row if nodes is None else nodes[row]
            raise self._fail(at, found, "a number from 0 to 2⁶⁴ - 1", what) from None

    def _shape_codes(self, nodes: Sequence[Node]) -> Array:
        shapes = self._shapes
        pairs = [node.shapes() for node in nodes]
        codes = [shapes[dims, plain_types(types)] if len(dims) > 2 else -1 for dims, types in pairs]
        if len(shapes) > self._checked:
            for at, (code, pair) in enumerate(zip(codes, pairs, strict=True)):
                if code >= self._checked:
                    for text, what in zip(pair, ("shapes", "types"), strict=True):
                        if text and not text.startswith(b"["):
                            raise self._fail(at, text[:40].decode(errors="replace"), "a list", f"{what} of the inputs")
            self._checked = len(shapes)
        return np.array(codes, dtype=np.int32)

    def _communication(self, nodes: Sequence[Node], facts: Sequence[dict[str, Any]]) -> Array:
        """The code of each node's message, -1 for none; what other nodes say of messages is put aside."""
        codes = np.full(len(nodes), -1, dtype=np.int32)
        first = self._block.first if self._block else 0
        for at, node in enumerate(nodes):
            name = node.name
            if not name.startswith(("record_param_comms", "nccl:", "gloo:", "mpi:", "c10d::", GROUPS)):
                continue
            try:
                if may_communicate(name):
                    message = read_message(node, facts[at])
                    codes[at] = -1 if message is None else self._messages[message]
                elif passes_message(name):
                    self._peers[first + at] = read_peer(node)
                elif name == GROUPS:
                    self._groups += [v for v in node.values("inputs")[:1] if isinstance(v, str)]
                elif (size := gathered_bytes(node)) is not None:
                    self._gathered[first + at] = size
            except msgspec.DecodeError as error:
                raise source_error(self._source, error, self._place(at, "inputs")) from error
        return codes

    def _sequences(self, nodes: Sequence[Node]) -> Array:
        """Numbers of collectives, and of waits for them, within their groups."""
        numbers = np.full(len(nodes), NULL)
        for at in (at for at, node in enumerate(nodes) if node.name == COMMUNICATION):
            try:
                number = read_sequence(nodes[at])
            except msgspec.DecodeError as error:
                raise source_error(self._source, error, self._place(at, "inputs")) from error
            numbers[at] = NULL if number is None else number
        return numbers

    def _times(self, nodes: Sequence[Node], what: str, text: Callable[[Node], msgspec.Raw]) -> Array:
        """Nanoseconds of a time that only ET+ records, `NULL` elsewhere."""
        texts = [bytes(text(node)) for node in nodes]
        rows = [at for at, t in enumerate(texts) if t and t != b"null"]
        times = np.full(len(nodes), NULL)
        try:
            times[rows] = nanoseconds([texts[at] for at in rows])
        except ValueError as error:
            row, found, expected = error.args
            raise self._fail(rows[row], found, expected, what) from None
        return times

    def _durations(self, nodes: Sequence[Node]) -> Array:
        duration = self._times(nodes, "dur", lambda n: n.dur if bytes(n.dur) else n.inclusive_dur)
        absurd = np.flatnonzero((duration != NULL) & ((duration < 0) | (duration > LONGEST_NS)))
        if len(absurd):
            at = int(absurd[0])
            raise self._fail(at, f"{duration[at] / 1e9:,.9g} s", "0 s to 366 days", "dur")
        return duration
