"""The wire format: kernels, JSON and layouts beside the protobuf library; damaged files, each with its error."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from google.protobuf import json_format
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st

from etgraph.ingest import read
from etgraph.ingest.chakra import text, wire
from etgraph.ingest.chakra.fields import FIELDS, METADATA, NODE
from etgraph.ingest.chakra.layout import arranged, canonical, layout, varint
from etgraph.ingest.chakra.messages import AttributeProto, GlobalMetadata, IOInfo, Node
from etgraph.ingest.chakra.wire import Tokens, WireError
from etgraph.model.errors import InputError
from support import chakra_messages
from support.chakra_oracle import attribute, framed, kept_of, node, plain, write

TOO_LARGE = f"a message of more than {wire.LARGEST:,} bytes"
CLASSES = {NODE: Node, METADATA: GlobalMetadata}
MESSAGES = st.tuples(st.just(NODE), chakra_messages.NODES) | st.tuples(st.just(METADATA), chakra_messages.METADATA)


@contextmanager
def kernels(compiled: bool) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("etgraph.model.kernels.COMPILE_FROM", 0 if compiled else 2**62)
        yield


both_modes = pytest.mark.parametrize("compiled", [False, True], ids=["python", "compiled"])


def tokens_of(messages: list[bytes], root: int) -> Tokens:
    ends = np.cumsum([len(m) for m in messages], dtype=np.int64)
    data = np.frombuffer(b"".join(messages), dtype=np.uint8)
    return wire.tokens(data, np.concatenate([np.zeros(1, dtype=np.int64), ends[:-1]]), ends, root)


def serialised(message: Any) -> bytes:
    out: bytes = message.SerializeToString(deterministic=True)
    return out


def without_unknown(message: Any) -> bytes:
    copy = type(message).FromString(message.SerializeToString())
    copy.DiscardUnknownFields()
    return serialised(copy)


# Messages in other spellings


def long_varint(number: int, padding: int) -> bytes:
    """A varint with bytes at its end that say nothing."""
    out = bytearray(varint(number))
    for _ in range(padding):
        out[-1] |= 128
        out.append(0)
    return bytes(out)


def parts(data: bytes) -> list[tuple[int, int, bytes]]:
    """Number, wire type and own bytes of the fields of a canonical message."""
    found, at = [], 0
    while at < len(data):
        tag, at = number_at(data, at)
        if tag & 7 == 2:
            size, at = number_at(data, at)
            end = at + size
        elif tag & 7 == 0:
            end = number_at(data, at)[1]
        else:
            end = at + (8 if tag & 7 == 1 else 4)
        found.append((tag >> 3, tag & 7, data[at:end]))
        at = end
    return found


def number_at(data: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        number |= (data[at] & 127) << shift
        at, shift = at + 1, shift + 7
        if data[at - 1] < 128:
            return number, at


def own_wire(field: Any) -> int:
    if field.cpp_type in (field.CPPTYPE_STRING, field.CPPTYPE_MESSAGE):
        return 2
    if field.type in (field.TYPE_FIXED32, field.TYPE_SFIXED32, field.TYPE_FLOAT):
        return 5
    return 1 if field.type in (field.TYPE_FIXED64, field.TYPE_SFIXED64, field.TYPE_DOUBLE) else 0


def elements(field: Any, packed: bytes) -> list[bytes]:
    if own_wire(field):
        width = 4 if own_wire(field) == 5 else 8
        return [packed[i : i + width] for i in range(0, len(packed), width)]
    found, at = [], 0
    while at < len(packed):
        end = number_at(packed, at)[1]
        found.append(packed[at:end])
        at = end
    return found


UNKNOWN = st.recursive(
    st.tuples(st.just(0), st.integers(0, 2**64 - 1).map(varint))
    | st.tuples(st.just(1), st.binary(min_size=8, max_size=8))
    | st.tuples(st.just(2), st.binary(max_size=3).map(lambda b: varint(len(b)) + b))
    | st.tuples(st.just(5), st.binary(min_size=4, max_size=4)),
    lambda inner: st.tuples(st.just(3), st.lists(st.tuples(st.integers(1, 9), inner), max_size=2)),
    max_leaves=3,
)


def unknown(number: int, value: Any) -> bytes:
    """A field that the schema does not know; a group begins, holds fields, and ends."""
    kind, inside = value
    if kind == 3:
        inside = b"".join(unknown(n, v) for n, v in inside) + varint(number << 3 | 4)
    return varint(number << 3 | kind) + bytes(inside)


@st.composite
def spelled(draw: st.DrawFn, data: bytes, message: Any, *, exact: bool) -> bytes:
    """The same message as another writer might put it; `exact`: in a way that a layout restores byte by byte."""
    rng = random.Random(draw(st.integers(0, 2**20)))
    out: list[bytes] = []

    def put(number: int, kind: int, value: bytes) -> None:
        padding = 0 if exact or rng.randrange(4) else 1
        size = long_varint(len(value), padding) if kind == 2 else b""
        if kind == 0 and padding:
            value = long_varint(number_at(value, 0)[0], rng.randrange(min(3, 11 - len(value))))
        out.append(long_varint(number << 3 | kind, padding) + size + value)

    present = set()
    for number, kind, value in parts(data):
        field = message.fields_by_number[number]
        present.add(number)
        if field.message_type:
            put(number, 2, draw(spelled(value, field.message_type, exact=exact)))
        elif kind == 2 and own_wire(field) != 2:
            listed = elements(field, value)
            while listed:
                count = rng.choice((0, 1, 1, 2, len(listed)))
                if count == 1 and rng.randrange(2):
                    put(number, own_wire(field), listed[0])
                else:
                    put(number, 2, b"".join(listed[:count]))
                del listed[:count]
        else:
            put(number, kind, value)
        if not exact and not field.is_repeated and rng.randrange(5) == 0:
            put(number, kind, value)
    for field in message.fields:
        plain_field = not field.is_repeated and not field.message_type and not field.containing_oneof
        if plain_field and field.number not in present and rng.randrange(4) == 0:
            put(field.number, own_wire(field), {0: b"\0", 1: bytes(8), 2: b"", 5: bytes(4)}[own_wire(field)])
        if not exact and field.containing_oneof and rng.randrange(12) == 0:
            put(field.number, own_wire(field), {0: b"\1", 1: bytes(8), 2: b"", 5: bytes(4)}[own_wire(field)])
    more = draw(st.lists(st.tuples(st.sampled_from([33, 63, 64, 1000, 2**29 - 1]), UNKNOWN), max_size=2))
    out += [unknown(number, value) for number, value in more]
    if rng.randrange(2):
        rng.shuffle(out)
    return b"".join(out)


@st.composite
def spellings(draw: st.DrawFn, *, exact: bool) -> tuple[int, bytes]:
    root, message = draw(MESSAGES)
    return root, draw(spelled(message.SerializeToString(), CLASSES[root].DESCRIPTOR, exact=exact))


def rebuilt(tokens: Tokens, at: int, stop: int, message: Any, *, foreign: bool = True) -> None:
    """Set what some tokens say, in their order: the last counts, messages are merged, as everywhere in protobuf.

    `foreign`: with what the schema does not know, which in odd messages has other fields between.
    """
    while at < stop:
        code = int(tokens.code[at])
        own = tokens.data[tokens.start[at] : tokens.end[at]].tobytes()
        field = FIELDS.get(code)
        if field is None:
            message.MergeFromString(own if foreign else b"")
        elif field.message_type:
            target = getattr(message, field.name)
            target = target.add() if field.is_repeated else target
            target.SetInParent()
            rebuilt(tokens, at + 1, int(tokens.skip[at]), target, foreign=foreign)
        else:
            value = value_of(field, int(tokens.value[at]), own)
            if field.is_repeated:
                getattr(message, field.name).append(value)
            else:
                setattr(message, field.name, value)
        at = int(tokens.skip[at])


def value_of(field: Any, bits: int, own: bytes) -> Any:
    if field.type == field.TYPE_STRING:
        return own.decode()
    if field.type == field.TYPE_BYTES:
        return own
    if field.type == field.TYPE_BOOL:
        assert bits in (0, 1)
        return bool(bits)
    if field.type == field.TYPE_FLOAT:
        return np.uint32(bits).view(np.float32).item()
    if field.type == field.TYPE_DOUBLE:
        return np.int64(bits).view(np.float64).item()
    unsigned = field.type in (field.TYPE_UINT64, field.TYPE_FIXED64)
    return bits % 2**64 if unsigned else bits


# Tokens beside protobuf's own parsing


@both_modes
@settings(max_examples=150)
@given(found=spellings(exact=False))
def test_tokens_are_what_protobuf_parses(found: tuple[int, bytes], compiled: bool) -> None:
    root, data = found
    expected = CLASSES[root].FromString(data)
    with kernels(compiled):
        tokens = tokens_of([data], root)
    assert tokens.first.tolist() == [0, len(tokens.code)]
    made = CLASSES[root]()
    rebuilt(tokens, 0, len(tokens.code), made, foreign=not tokens.odd[0])
    if tokens.odd[0]:
        assert without_unknown(made) == without_unknown(expected)
    else:
        assert serialised(made) == serialised(expected)


@both_modes
@settings(max_examples=60)
@given(messages=st.lists(chakra_messages.NODES, min_size=1, max_size=5), foreign=st.lists(UNKNOWN, max_size=1))
def test_usual_messages_are_not_odd(messages: list[Any], foreign: list[Any], compiled: bool) -> None:
    tail = b"".join(unknown(99, value) for value in foreign)
    written = [m.SerializeToString() + tail for m in messages]
    with kernels(compiled):
        tokens = tokens_of(written, NODE)
    assert not tokens.odd.any()
    for at, message in enumerate(messages):
        made = Node()
        rebuilt(tokens, int(tokens.first[at]), int(tokens.first[at + 1]), made)
        assert serialised(made) == serialised(message) + tail


@settings(max_examples=150)
@given(found=spellings(exact=True))
def test_what_is_not_odd_is_written_the_same_by_protobuf(found: tuple[int, bytes]) -> None:
    root, data = found
    assert tokens_of([data], root).odd[0] or canonical(data, root) == data


def verdict(data: bytes) -> tuple[int, str]:
    """Where a fault is, and which; an empty text for none."""
    try:
        tokens_of([data], NODE)
    except WireError as error:
        return error.at, error.found
    return 0, ""


@settings(max_examples=200)
@given(data=st.binary(max_size=30))
def test_random_bytes_are_accepted_by_both_or_neither(data: bytes) -> None:
    verdicts = []
    for compiled in (False, True):
        with kernels(compiled):
            verdicts.append(verdict(data))
    (place, fault), other = verdicts
    assert (place, fault) == other
    assert 0 <= place <= len(data)
    try:
        Node.FromString(data)
        accepted = True
    except DecodeError as error:
        accepted = "UTF-8" in str(error)
    assert accepted == (not fault) or "another wire type" in fault or "field number 0" in fault


@both_modes
def test_repeated_singular_fields(compiled: bool) -> None:
    raw = Node(id=1, name="a", inputs=IOInfo(values="v")).SerializeToString()
    raw += Node(id=2, inputs=IOInfo(shapes="s")).SerializeToString()
    with kernels(compiled):
        assert tokens_of([raw], NODE).odd.tolist() == [True]
        (kept,) = text.kept(tokens_of([canonical(raw, NODE)], NODE)).to_pylist()
    assert json.loads(kept) == {"inputs": {"values": "v", "shapes": "s"}}


def test_of_two_members_of_a_oneof_the_last_counts(tmp_path: Path) -> None:
    both = attribute("a", int32_val=5).SerializeToString() + attribute("", string_val="x").SerializeToString()
    raw = Node(id=1).SerializeToString() + varint(10 << 3 | 2) + varint(len(both)) + both
    assert Node.FromString(raw).attr[0] == attribute("a", string_val="x")
    assert read(write(tmp_path, raw)).operator_attributes(0)["attr"] == [{"name": "a", "string_val": "x"}]


# Where messages begin and end


@both_modes
@settings(max_examples=60)
@given(sizes=st.lists(st.integers(0, 300), max_size=6), padding=st.integers(0, 5), cut=st.integers(0, 400))
def test_frames(sizes: list[int], padding: int, cut: int, compiled: bool) -> None:
    data, expected = b"", []
    for size in sizes:
        data += long_varint(size, padding)
        expected.append((len(data), len(data) + size))
        data += bytes(size)
    data = data[: max(0, len(data) - cut)]
    whole = [(a, b) for a, b in expected if b <= len(data)]
    with kernels(compiled):
        begins, ends, rest = wire.frames(np.frombuffer(data, dtype=np.uint8))
    assert list(zip(begins.tolist(), ends.tolist())) == whole
    assert rest == (whole[-1][1] if whole else 0)


@both_modes
@pytest.mark.parametrize(
    ("length", "found"),
    [
        (varint(wire.LARGEST + 1), TOO_LARGE),
        (varint(2**40), TOO_LARGE),
        (varint(2**63), TOO_LARGE),
        (varint(2**64 - 1), TOO_LARGE),
        (b"\xff" * 10 + b"\x01", "a varint of more than 10 bytes"),
    ],
)
def test_lengths_that_no_message_has(length: bytes, found: str, compiled: bool) -> None:
    with kernels(compiled), pytest.raises(WireError) as error:
        wire.frames(np.frombuffer(b"\0\1a" + length + b"abc", dtype=np.uint8))
    assert (error.value.found, error.value.message, error.value.at) == (found, 2, 3)


# JSON


@both_modes
@settings(max_examples=100)
@given(found=MESSAGES)
def test_json_as_jsonizer_writes_it(found: tuple[int, Any], compiled: bool) -> None:
    root, message = found
    with kernels(compiled):
        (written,) = text.jsonizer(tokens_of([message.SerializeToString()], root)).to_pylist()
    assert narrowed(json.loads(written)) == narrowed(json_format.MessageToDict(message))


def narrowed(value: Any, key: str = "") -> Any:
    """The same with floats by their bits: protobuf writes more digits than the smallest of them need."""
    if isinstance(value, dict):
        return {k: narrowed(v, k if k != "values" else key) for k, v in value.items()}
    if isinstance(value, list):
        return [narrowed(v, key) for v in value]
    if key in ("floatVal", "floatList") and not isinstance(value, str):
        return np.float32(value).tobytes()
    return value


@both_modes
@settings(max_examples=100)
@given(found=MESSAGES, foreign=st.lists(UNKNOWN, max_size=1))
def test_what_is_kept(found: tuple[int, Any], foreign: list[Any], compiled: bool) -> None:
    root, message = found
    raw = message.SerializeToString() + b"".join(unknown(77, value) for value in foreign)
    message = CLASSES[root].FromString(raw)
    with kernels(compiled):
        (written,) = text.kept(tokens_of([raw], root)).to_pylist()
    assert json.loads(written) == (kept_of(message) if root == NODE else plain(message))


@both_modes
def test_numbers_to_the_last_digit(compiled: bool) -> None:
    numbers = [0, 9, 10, 2**31, 2**53 + 1, 2**63 - 1, 2**63, 10**19, 10**19 + 9, 2**64 - 1]
    signed = [-(2**63), 1 - 2**63, -10, -1, 0, 2**63 - 1]
    attr = [attribute("u", uint64_list=numbers), attribute("f", fixed64_list=numbers),
            attribute("s", sint64_list=signed), attribute("i", int64_list=signed)]  # fmt: skip
    with kernels(compiled):
        tokens = tokens_of([Node(attr=attr).SerializeToString()], NODE)
        (kept,), (jsonizer,) = text.kept(tokens).to_pylist(), text.jsonizer(tokens).to_pylist()
    lists = [next(v["values"] for k, v in a.items() if k.endswith("_list")) for a in json.loads(kept)["attr"]]
    assert lists == [numbers, numbers, signed, signed]
    assert json.loads(jsonizer) == json_format.MessageToDict(Node(attr=attr))


# Layouts


@settings(max_examples=300)
@given(found=spellings(exact=True))
def test_a_layout_restores_the_bytes(found: tuple[int, bytes]) -> None:
    root, data = found
    order = layout(data, root)
    usual = canonical(data, root)
    assert (order is None) == (usual == data)
    if order is not None:
        assert arranged(usual, root, json.loads(json.dumps(order))) == data


@settings(max_examples=200)
@given(found=spellings(exact=False))
def test_a_layout_restores_the_message(found: tuple[int, bytes]) -> None:
    root, data = found
    order = layout(data, root)
    if order is not None:
        again = arranged(canonical(data, root), root, order)
        assert serialised(CLASSES[root].FromString(again)) == serialised(CLASSES[root].FromString(data))


@settings(max_examples=100)
@given(found=spellings(exact=True), other=MESSAGES)
def test_a_layout_of_another_message_loses_nothing(found: tuple[int, bytes], other: tuple[int, Any]) -> None:
    root, data = found
    order = layout(data, root)
    if order is None or other[0] != root:
        return
    usual = serialised(other[1])
    again = arranged(usual, root, order)
    assert serialised(CLASSES[root].FromString(again)) == usual


# Damaged files


def refused(path: Path) -> str:
    """The message of the error for a file: it names the file, the place, what was found and what was expected."""
    with pytest.raises(InputError) as error:
        read(path)
    message = str(error.value)
    assert message.startswith(f"{path}: ")
    assert ": found " in message
    assert ", expected " in message
    assert re.search(r"\b(node|byte) [\d,]+|the metadata", message), message
    return message


SMALL = (
    GlobalMetadata(version="0.0.4", attr=[attribute("pid", int64_val=300)]),
    node(3, "ä", data_deps=[300, 1], attr=[attribute("tid", int64_val=1), attribute("x", double_list=[1.0])]),
    Node(id=4, name="b", inputs=IOInfo(shapes="[[1]]"), start_time_micros=2**40),
    b"",
)


@both_modes
def test_a_file_cut_at_any_byte(tmp_path: Path, compiled: bool) -> None:
    whole = framed(*SMALL)
    borders = [len(framed(*SMALL[:n])) for n in range(1, len(SMALL) + 1)]
    path = tmp_path / "trace.et"
    with kernels(compiled):
        for length in range(len(whole) + 1):
            path.write_bytes(whole[:length])
            if length in borders:
                trace = read(path)
                trace.validate()
                assert len(trace) == borders.index(length)
            elif length == 0:
                with pytest.raises(InputError, match="found an empty file"):
                    read(path)
            else:
                assert f"byte {max(b for b in [0, *borders] if b < length)}" in refused(path)


def test_a_length_past_the_end(tmp_path: Path) -> None:
    path = tmp_path / "trace.et"
    path.write_bytes(framed(b"", node(1)) + b"\x7fabc")
    begin = len(framed(b"", node(1)))
    assert f"byte {begin}: found the end of the file after 4 bytes of a message, expected a whole" in refused(path)


@pytest.mark.parametrize("size", [wire.LARGEST + 1, 2**40, 2**63])
def test_a_length_of_terabytes(size: int, tmp_path: Path) -> None:
    path = tmp_path / "trace.et"
    path.write_bytes(framed(b"", node(1)) + varint(size) + b"abc")
    message = refused(path)
    begin = len(framed(b"", node(1)))
    assert f"the length at byte {begin}: found {TOO_LARGE}" in message


def tagged(number: int, kind: int, value: bytes = b"") -> bytes:
    return varint(number << 3 | kind) + value


GROUP = tagged(50, 3)
DEEP = GROUP * 101 + tagged(50, 4) * 101
BROKEN: list[tuple[str, bytes, str]] = [
    ("varint of 11 bytes", b"\x08" + b"\xff" * 10 + b"\x01", "a varint of more than 10 bytes"),
    ("tag of 11 bytes", b"\x88" + b"\x80" * 10 + b"\x00", "a "),
    ("varint without an end", b"\x08\xff", "a field that ends after its message"),
    ("text past the end", b"\x12\x05abc", "a field that ends after its message"),
    ("text of 2⁶⁴ - 1 bytes", b"\x12" + varint(2**64 - 1) + b"abc", "a "),
    ("attribute past the end", tagged(10, 2, b"\x09\x0a\x01"), "a field that ends after its message"),
    ("field of an attribute past its end", tagged(10, 2, b"\x02\x0a\x05") + b"abcde", "a field that ends after its"),
    ("list past its end", tagged(4, 2, b"\x01\x80") + b"\x01", "a field that ends after its message"),
    ("list without its length", b"\x22", "a field that ends after its message"),
    ("list of an attribute without its length", tagged(10, 2, b"\x03\x22\x01\x0a"), "a field that ends after its"),
    ("8 bytes past the end", tagged(50, 1, b"1234567"), "a field that ends after its message"),
    ("4 bytes past the end", tagged(50, 5, b"123"), "a field that ends after its message"),
    ("fixed list of odd length", tagged(10, 2, b"\x06\xb2\x01\x03abc"), "a field that ends after its"),
    ("group that does not end", GROUP + b"\x08\x01", "a group that does not end"),
    ("group that ends another", GROUP + tagged(51, 4), "a group that does not end"),
    ("end of no group", tagged(50, 4), "a group that does not end, or ends without having begun"),
    ("end of a group in its message", GROUP + tagged(10, 2, b"\x00"), "a group that does not end"),
    ("101 groups", DEEP, "groups nested more than 100 deep"),
    ("field number 0", b"\x00\x01", "field number 0"),
    ("field number 2²⁹", varint(2**32) + b"\x01", "field number 0 or one above 2²⁹ - 1"),
    ("wire type 6", tagged(50, 6), "wire type 6 or 7"),
    ("wire type 7", tagged(1, 7), "wire type 6 or 7"),
]  # fmt: skip


@both_modes
@pytest.mark.parametrize(("raw", "found"), [b[1:] for b in BROKEN], ids=[b[0] for b in BROKEN])
def test_a_broken_node(raw: bytes, found: str, tmp_path: Path, compiled: bool) -> None:
    with pytest.raises(DecodeError):
        Node.FromString(raw)
    with kernels(compiled):
        message = refused(write(tmp_path, node(1), raw, node(2)))
    begin = len(framed(b"", node(1), raw)) - len(raw)
    assert f"node 1 (byte {begin}), byte " in message
    assert f"found {found}" in message
    assert "Node.type" not in message, "names the field before, which is that of another node"


@pytest.mark.parametrize(("raw", "found"), [b[1:] for b in BROKEN], ids=[b[0] for b in BROKEN])
def test_broken_metadata(raw: bytes, found: str, tmp_path: Path) -> None:
    try:
        GlobalMetadata.FromString(raw)
    except DecodeError:
        # A text that begins like this could be JSON; a file with control characters is none.
        refused(write(tmp_path, node(1), head=raw))


OTHER_SPELLINGS: list[tuple[str, bytes]] = [
    ("tag of 6 bytes", b"\x88" + b"\x80" * 4 + b"\x00\x01"),
    ("tag of 10 bytes", b"\x88" + b"\x80" * 8 + b"\x00\x01"),
    ("length of 6 bytes", b"\x12\x81" + b"\x80" * 4 + b"\x00a"),
    ("length of a list of 6 bytes", b"\x22\x81" + b"\x80" * 4 + b"\x00\x01"),
    ("unknown tag of 6 bytes", long_varint(50 << 3, 4) + b"\x01"),
    ("unknown length of 6 bytes", tagged(50, 2, long_varint(1, 5) + b"a")),
    ("99 groups in an attribute", tagged(10, 2, varint(4 * 99) + GROUP * 99 + tagged(50, 4) * 99)),
    ("100 groups in an attribute's list",
     tagged(10, 2, varint(400 + 3) + tagged(4, 2, varint(400) + GROUP * 100 + tagged(50, 4) * 100))),
]  # fmt: skip


@both_modes
@pytest.mark.parametrize("order", [b"", b"\x08\x01"], ids=["alone", "before another field"])
@pytest.mark.parametrize("raw", [o[1] for o in OTHER_SPELLINGS], ids=[o[0] for o in OTHER_SPELLINGS])
def test_what_protobuf_refuses_is_an_error(raw: bytes, order: bytes, tmp_path: Path, compiled: bool) -> None:
    """Tags and lengths of more than five bytes, and messages and groups nested more than 100 deep."""
    try:
        Node.FromString(raw + order)
    except DecodeError:
        with kernels(compiled):
            refused(write(tmp_path, node(5), raw + order))
    else:
        with kernels(compiled):
            assert len(read(write(tmp_path, node(5), raw + order))) == 2


VALUES = {0: b"\x01", 1: bytes(8), 2: b"\x00", 3: b"", 5: bytes(4)}


@pytest.mark.parametrize("kind", list(VALUES))
@pytest.mark.parametrize("field", list(Node.DESCRIPTOR.fields), ids=lambda f: f.name)
def test_another_wire_type_than_the_field_has(field: Any, kind: int, tmp_path: Path) -> None:
    if kind == own_wire(field) or (kind == 2 and field.is_repeated):
        return
    raw = node(1).SerializeToString() + tagged(field.number, kind, VALUES[kind])
    message = refused(write(tmp_path, raw))
    begin = len(framed(b"", raw)) - len(raw)
    assert f"node 0 (byte {begin})" in message
    assert f"field Node.{field.name}: found another wire type than the field's, expected the wire type of" in message


def test_an_error_names_the_field_inside(tmp_path: Path) -> None:
    inside = tagged(3, 0, b"\x01")
    assert "field AttributeProto.double_val: " in refused(write(tmp_path, tagged(10, 2, varint(len(inside)) + inside)))


def bad_text(message: Any) -> bytes:
    """A message in which each `?` is no UTF-8."""
    out: bytes = message.SerializeToString().replace(b"?", b"\xff")
    return out


BAD_TEXTS = {
    "name": Node(id=1, name="a?"),
    "name of an attribute": Node(attr=[AttributeProto(name="?")]),
    "description": Node(attr=[AttributeProto(doc_string="?")]),
    "value": Node(attr=[attribute("x", string_val="?")]),
    "list": Node(attr=[attribute("x", string_list=["a", "?"])]),
    "group": Node(type=7, attr=[attribute("pg_name", string_val="?")]),
    "shapes": Node(inputs=IOInfo(shapes="?", types="[]")),
    "types": Node(inputs=IOInfo(shapes="[[1]]", types="?")),
    "outputs": Node(outputs=IOInfo(values="?")),
}


@both_modes
@pytest.mark.parametrize("after", [b"", b"\x08\x01\x08\x02"], ids=["usual", "odd"])
@pytest.mark.parametrize("place", list(BAD_TEXTS))
def test_a_text_that_is_not_utf_8(place: str, after: bytes, tmp_path: Path, compiled: bool) -> None:
    raw = bad_text(BAD_TEXTS[place]) + after
    with pytest.raises(DecodeError):
        Node.FromString(raw)
    with kernels(compiled):
        message = refused(write(tmp_path, node(7), raw))
    assert re.search(r": node 1\b", message)
    assert "UTF-8" in message


@pytest.mark.parametrize("after", [b"", b"\x0a\x00"], ids=["usual", "odd"])
@pytest.mark.parametrize("head", [GlobalMetadata(version="?"), GlobalMetadata(attr=[attribute("?", int32_val=1)])])
def test_metadata_that_is_not_utf_8(head: Any, after: bytes, tmp_path: Path) -> None:
    message = refused(write(tmp_path, node(1), head=bad_text(head) + after))
    assert "the metadata" in message
    assert "UTF-8" in message


@both_modes
def test_ids_that_occur_twice(tmp_path: Path, compiled: bool) -> None:
    nodes = [node(2**64 - 1), node(4), node(2**64 - 1), node(4)]
    with kernels(compiled):
        message = refused(write(tmp_path, *nodes))
    size = len(framed(nodes[0]))
    second = 1 + size + len(framed(nodes[1])) + 1
    assert f"id {2**64 - 1} in node 0 (byte 2) and in node 2 (byte {second})" in message or (
        f"id 4 in node 1 (byte {2 + size}) and in node 3" in message
    )
    assert "expected one node for each id" in message
