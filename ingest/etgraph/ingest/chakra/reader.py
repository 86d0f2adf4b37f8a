"""Nodes of a Chakra execution trace from the stream into raw columns, a block at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np
from google.protobuf.message import DecodeError

from etgraph.ingest.chakra import text, wire
from etgraph.ingest.chakra.attributes import ATTRIBUTES, LISTS
from etgraph.ingest.chakra.columns import attribute_values, dictionary, list_values, numbers, owners, spread
from etgraph.ingest.chakra.fields import METADATA, NODE, code_of
from etgraph.ingest.chakra.layout import Layout, canonical, layout
from etgraph.ingest.chakra.wire import Tokens, WireError
from etgraph.ingest.draft import NULL, Draft, Texts
from etgraph.ingest.source import SourceFile
from etgraph.model import AttributeWriter
from etgraph.model.columns import Array
from etgraph.model.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa

BLOCK: Final = 2 << 20
"""Bytes of messages that are decoded at once."""
LAYOUT: Final = "layout"
"""Name under which the order of fields stands among what is kept of a message, where it is not the usual one."""
_NAME: Final = code_of("Node", "name")
_TIMES: Final = {"start": "start_time_micros", "duration": "duration_micros"}
_INPUTS, _SHAPES, _TYPES = code_of("Node", "inputs"), code_of("IOInfo", "shapes"), code_of("IOInfo", "types")
_REFUSED: Final = ("a message that protobuf refuses, such as text that is not UTF-8", "a valid message")
_EMPTY: Final = 2
"""Length of an object without members."""


@dataclass(slots=True)
class Recording:
    """All that was read, in file order: raw columns, and the texts that their codes stand for.

    `nodes` always has id (uint64), name, type, start and duration (ns, `NULL` where the column cannot hold it), offset,
    ctrl_count, data_count, attrs; and what else some node has. `ctrl`, `data` and `others` are the ids
    that the dependencies name, node by node, `kinds` what a file of ours says of them.
    """

    nodes: dict[str, Array]
    ctrl: Array
    data: Array
    others: Array
    kinds: Array
    texts: dict[str, list[str]]
    shapes: list[tuple[bytes, bytes]]
    metadata: dict[str, Any]
    places: bool = True
    unrepresentable: int = 0
    count: int = 0


class _Sparse:
    """A column of which only the blocks that hold a value are kept."""

    def __init__(self, dtype: str, null: int) -> None:
        self._dtype, self._null = dtype, null
        self._parts: list[tuple[int, Array]] = []

    def add(self, first: int, values: Array) -> None:
        if (values != self._null).any():
            self._parts.append((first, values.astype(self._dtype)))

    def join(self, count: int) -> Array | None:
        """The whole column; None where nothing was added."""
        if not self._parts:
            return None
        whole = np.full(count, self._null, dtype=self._dtype)
        while self._parts:
            first, values = self._parts.pop()
            whole[first : first + len(values)] = values
        return whole


@dataclass(slots=True)
class _Columns:
    """Blocks of the columns that every node has."""

    parts: dict[str, list[Array]] = field(default_factory=dict)

    def add(self, **blocks: Array) -> None:
        for name, block in blocks.items():
            self.parts.setdefault(name, []).append(block)

    def join(self, name: str, dtype: str) -> Array:
        parts = self.parts.pop(name, [])
        return np.concatenate(parts) if parts else np.zeros(0, dtype=dtype)


class ChakraReader:
    """Collects blocks of nodes; `finish` makes the draft of them."""

    def __init__(self, source: SourceFile, attributes: AttributeWriter, *, places: bool = True) -> None:
        """`places` says whether messages have places in the file that errors can name."""
        self._source = source
        self._attributes = attributes
        self._places = places
        self._columns = _Columns()
        lists = {f"{name}_count": _Sparse("i4", 0) for name in LISTS}
        self._sparse = lists | {"shapes": _Sparse("i4", -1)} | {a.name: _Sparse(a.dtype, a.null) for a in ATTRIBUTES}
        self._texts = {"name": Texts(), **{a.name: Texts() for a in ATTRIBUTES if a.text}}
        self._shapes: Any = Texts()
        self._metadata: dict[str, Any] = {}
        self._count = 0
        self._unrepresentable = 0

    @property
    def metadata(self) -> Mapping[str, Any]:
        """The GlobalMetadata as it is kept, once it was read."""
        return self._metadata

    def read_metadata(self, message: bytes) -> None:
        """Take the GlobalMetadata. Raises InputError where it is none."""
        data = np.frombuffer(message, dtype=np.uint8)
        ends = np.array([len(data)])
        try:
            tokens = wire.tokens(data, np.zeros(1, dtype=np.int64), ends, METADATA)
        except WireError as error:
            raise self._error(error, f"the metadata (byte {error.at:,} of the message)") from None
        if tokens.odd[0]:
            try:
                order, usual = layout(message, METADATA), canonical(message, METADATA)
            except DecodeError:
                raise self._error(WireError(0, 0, *_REFUSED), "the metadata") from None
            self.read_metadata(usual)
            self._metadata |= {LAYOUT: order} if order else {}
            return
        (kept,) = text.kept(tokens).to_pylist()
        try:
            self._metadata = msgspec.json.decode(kept)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise self._source.error("text that is not UTF-8", "UTF-8", "the metadata") from None

    def add(self, data: Array, begins: Array, ends: Array, offset: int = 0) -> None:
        """Take nodes that lie in `data`, which stands at byte `offset` of the file. Raises InputError."""
        if len(begins):
            self.take(lambda: decode(data, begins, ends), begins + offset, offset)

    def take(self, decoded: Callable[[], Decoded], places: Array, offset: int) -> None:
        """Take nodes that are decoded, or will be, and begin at these bytes of the file. Raises InputError."""
        try:
            block = decoded()
        except WireError as error:
            place = self._place(self._count + error.message, places[error.message])
            raise self._error(error, f"{place}, byte {offset + error.at:,}" if self._places else place) from None
        tokens, layouts = block.tokens, block.layouts
        count = len(places)
        owner = owners(tokens)
        columns, beside = numbers(tokens, owner, count)
        self._unrepresentable += beside
        self._columns.add(**columns)
        self._columns.add(name=self._names(tokens, owner, count, places), offset=places)
        self._read_shapes(tokens, owner, count)
        values = self._read_attributes(tokens, owner, count)
        more: dict[int, dict[str, Any]] = {at: {LAYOUT: order} for at, order in layouts.items()}
        for name, recorded in _TIMES.items():
            for at in _contradicted(columns[name], values.get(f"exact_{name}")):
                more.setdefault(at, {})[recorded] = int(columns[name][at]) // 1000
        self._columns.add(attrs=self._kept(block.kept, more, places))
        self._count += count

    def add_messages(self, messages: Sequence[bytes]) -> None:
        """Take nodes that are messages already."""
        self.add(*wire.joined(messages))

    def finish(self, format: str) -> Draft:
        """The draft of everything that was added. Raises InputError for an id that two nodes have."""
        from etgraph.ingest.chakra.assemble import assemble

        widths = {"id": "u8", "name": "i4", "type": "i4", "start": "i8", "duration": "i8", "ctrl": "i4", "data": "i4",
                  "offset": "i8", "attrs": "i4"}  # fmt: skip
        nodes = {name: self._columns.join(name, dtype) for name, dtype in widths.items()}
        for name, sparse in self._sparse.items():
            if (column := sparse.join(self._count)) is not None:
                nodes[name] = column
        nodes["ctrl_count"], nodes["data_count"] = nodes.pop("ctrl"), nodes.pop("data")
        ctrl, data = (self._columns.join(name, "u8") for name in ("ctrl_ids", "data_ids"))
        others, kinds = (self._columns.join(name, dtype) for name, dtype in LISTS.items())
        recording = Recording(
            nodes, ctrl, data, others, kinds, {name: list(texts) for name, texts in self._texts.items()},
            list(self._shapes), self._metadata, self._places, self._unrepresentable, self._count,
        )  # fmt: skip
        return assemble(recording, self._source, format)

    def _place(self, node: int, offset: int | None) -> str:
        return f"node {node} (byte {offset:,})" if self._places and offset is not None else f"node {node}"

    def _error(self, error: WireError, place: str) -> InputError:
        where = f"{place}, field {error.field}" if error.field else place
        return self._source.error(error.found, error.expected, where)

    def _names(self, tokens: Tokens, owner: Array, count: int, places: Array) -> Array:
        rows = np.flatnonzero(tokens.code == _NAME)
        codes = self._codes("name", tokens, rows, places[owner[rows]])
        return codes if len(rows) == count else spread(codes, owner[rows], count, self._texts["name"][""])

    def _codes(self, column: str, tokens: Tokens, rows: Array, places: Array | None) -> Array:
        """Codes of the texts of some tokens in ascending order; `places` are for a text that is not UTF-8."""
        codes, strings = dictionary(tokens, rows)
        known = self._texts[column]
        try:
            to_known = known.codes((s.decode() for s in strings), len(strings))
        except UnicodeDecodeError:
            bad = next(i for i, s in enumerate(strings) if not _decodes(s))
            at = int(rows[np.flatnonzero(codes == bad)[0]])
            node = int(np.searchsorted(tokens.first, at, side="right")) - 1
            place = self._place(self._count + node, None if places is None else int(places[np.searchsorted(rows, at)]))
            raise self._source.error(f"{strings[bad][:40]!r}", "text in UTF-8", f"{place}, {column}") from None
        return to_known[codes] if len(codes) else codes

    def _kept(self, texts: pa.BinaryArray, more: dict[int, dict[str, Any]], places: Array) -> Array:
        """Put aside what the columns do not hold; the row of each node among the attributes, -1 for none."""
        import pyarrow as pa

        try:
            texts.cast(pa.string())
        except pa.ArrowInvalid:
            bad = next(i for i, t in enumerate(texts.to_pylist()) if not _decodes(t))
            place = self._place(self._count + bad, places[bad])
            raise self._source.error("text that is not UTF-8", "UTF-8", place) from None
        if more:
            listed = texts.to_pylist()
            for at, members in more.items():
                for name, value in members.items():
                    listed[at] = text.with_member(listed[at], name, value)
            texts = pa.array(listed, type=pa.binary())
        length = np.diff(np.frombuffer(texts.buffers()[1], dtype=np.int32, count=len(texts) + 1))
        has = length > _EMPTY
        rows = np.cumsum(has, dtype=np.int32) - 1
        first = self._attributes.extend_array(texts if has.all() else texts.filter(pa.array(has)))
        return np.where(has, rows + np.int32(first), np.int32(-1))

    def _read_shapes(self, tokens: Tokens, owner: Array, count: int) -> None:
        """The shapes and types of the inputs: texts inside the first of the two messages that have such texts."""
        code = tokens.code
        inputs = np.flatnonzero(code == _INPUTS)
        if not (len(inputs) and (code == _SHAPES).any()):
            return
        texts = {}
        for which in (_SHAPES, _TYPES):
            rows = np.flatnonzero(code == which)
            around = np.searchsorted(inputs, rows) - 1
            rows = rows[(around >= 0) & (rows < tokens.skip[inputs[around]])]
            codes, strings = dictionary(tokens, rows)
            column = np.full(count, -1, dtype=np.int64)
            column[owner[rows]] = codes
            texts[which] = column, [*strings, b""]
        (dims, dim_texts), (types, type_texts) = texts[_SHAPES], texts[_TYPES]
        pairs, position = np.unique(dims * (len(type_texts) + 1) + types + 1, return_inverse=True)
        known = np.full(len(pairs), -1, dtype=np.int32)
        for at, pair in enumerate(pairs.tolist()):
            shape, type = divmod(pair, len(type_texts) + 1)
            if shape >= 0:
                known[at] = self._shapes[dim_texts[shape], type_texts[type - 1]]
        if (known >= 0).any():
            self._sparse["shapes"].add(self._count, known[position])

    def _read_attributes(self, tokens: Tokens, owner: Array, count: int) -> dict[str, Array]:
        """The attributes that columns hold; returns the columns of those that some node has."""
        found, columns = attribute_values(tokens), {}
        for attribute in ATTRIBUTES:
            if (at := found.get(attribute.name)) is not None:
                values = self._codes(attribute.name, tokens, at, None) if attribute.text else tokens.value[at]
                columns[attribute.name] = spread(values, owner[at], count, attribute.null)
                self._sparse[attribute.name].add(self._count, columns[attribute.name])
        for name, dtype in LISTS.items():
            values, lengths = list_values(tokens, found.get(name), owner, count)
            self._columns.add(**{name: values.astype(dtype)})
            self._sparse[f"{name}_count"].add(self._count, lengths)
        return columns


def read_protobuf(source: SourceFile, reader: ChakraReader) -> None:
    """Feed all messages of a protobuf file to a reader. Raises InputError naming the message and its place.

    While the columns of one block are made, the next one is decoded in another thread.
    """
    waiting: list[bytes] = []
    size, needed, offset, first = 0, BLOCK, 0, True
    coming: tuple[Callable[[], Decoded], Array, int] | None = None
    with ThreadPoolExecutor(1, thread_name_prefix="etgraph-decode") as pool:
        for chunk in chain(source.chunks(), [b""]):
            waiting.append(chunk)
            size += len(chunk)
            if chunk and size < needed:
                continue
            block = b"".join(waiting)
            data = np.frombuffer(block, dtype=np.uint8)
            try:
                begins, ends, after = wire.frames(data)
            except WireError as error:
                raise source.error(error.found, error.expected, f"the length at byte {offset + error.at:,}") from None
            if first and len(begins):
                reader.read_metadata(block[begins[0] : ends[0]])
                begins, ends, first = begins[1:], ends[1:], False
            before, coming = coming, None
            if len(begins):
                coming = pool.submit(decode, data, begins, ends).result, begins + offset, offset
            if before:
                reader.take(*before)
            rest, offset = block[after:], offset + after
            # Of a large message as much again must be there before the next try: it is not joined over and over.
            waiting, size, needed = [rest], len(rest), max(BLOCK, 2 * len(rest))
        if coming:
            reader.take(*coming)
    if size or first:
        found = f"the end of the file after {size:,} bytes of a message" if size else "an empty file"
        raise source.error(found, "a whole message" if size else "GlobalMetadata", f"byte {offset:,}")


@dataclass(frozen=True, slots=True)
class Decoded:
    """Nodes of one block: their tokens, the layouts of those that have one, and what is kept beside the columns."""

    tokens: Tokens
    layouts: dict[int, Layout]
    kept: pa.BinaryArray


def decode(data: Array, begins: Array, ends: Array) -> Decoded:
    """Decode the nodes that lie there. Raises WireError."""
    tokens, layouts = _usual(wire.tokens(data, begins, ends, NODE), begins, ends)
    return Decoded(tokens, layouts, text.kept(tokens))


def _usual(tokens: Tokens, begins: Array, ends: Array) -> tuple[Tokens, dict[int, Layout]]:
    """Tokens of the same messages as the protobuf library writes them, and the layouts of those that differed."""
    odd = np.flatnonzero(tokens.odd).tolist()
    if not odd:
        return tokens, {}
    layouts: dict[int, Layout] = {}
    messages = [tokens.data[a:b].tobytes() for a, b in zip(begins.tolist(), ends.tolist())]
    for at in odd:
        try:
            order = layout(messages[at], NODE)
        except DecodeError:
            raise WireError(at, int(begins[at]), *_REFUSED) from None
        if order is not None:
            layouts[at] = order
            messages[at] = canonical(messages[at], NODE)
    return wire.tokens(*wire.joined(messages), NODE), layouts


def _contradicted(recorded: Array, exact: Array | None) -> list[int]:
    """Nodes whose whole microseconds are not those of their exact nanoseconds."""
    if exact is None:
        return []
    differs = (exact != NULL) & (recorded != NULL) & (recorded != np.maximum(exact // 1000 * 1000, 0))
    rows: list[int] = np.flatnonzero(differs).tolist()
    return rows


def _decodes(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True
