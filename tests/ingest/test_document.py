"""The streaming splitter against `json.loads`: whatever the cuts, the same elements and the same keys."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etgraph.ingest import document
from etgraph.ingest.document import Block, Document, read_document
from etgraph.ingest.source import SourceFile
from etgraph.model.errors import InputError

DECODE = msgspec.json.Decoder(list[Any]).decode


class Pieces(SourceFile):
    """A source that is not a file: its text in pieces of one size."""

    def __init__(self, text: bytes, size: int) -> None:
        super().__init__(Path("pieces.json"))
        self._pieces = [text[i : i + size] for i in range(0, len(text), size)]

    def chunks(self) -> Iterator[bytes]:
        return iter(self._pieces)


def blocks(text: bytes, *, piece: int = 1 << 20, block: int = 2 << 20) -> tuple[list[Block[Any]], Document]:
    top = Document()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(document, "BLOCK", block)
        found = list(read_document(Pieces(text, piece), ("nodes",), lambda _: DECODE, top))
    return found, top


def elements(text: bytes, **sizes: int) -> list[Any]:
    return [element for block in blocks(text, **sizes)[0] for element in block.elements]


nasty = st.text(st.sampled_from('"\\{}[],:n 0é'), max_size=12) | st.text(max_size=6)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | nasty,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(nasty, inner, max_size=3),
    max_leaves=6,
)
objects = st.dictionaries(nasty, values, max_size=3)
layouts = st.sampled_from([(", ", ": "), (",", ":"), (" ,\n\t ", " :\r\n")])


@settings(max_examples=300)
@given(
    array=st.lists(objects, max_size=8),
    rest=st.dictionaries(nasty.filter(lambda k: k != "nodes"), values, max_size=3),
    layout=layouts, at=st.integers(0, 3), ascii=st.booleans(), piece=st.integers(1, 40), block=st.integers(1, 90),
)  # fmt: skip
def test_any_document_comes_out_as_json_reads_it(
    array: list[Any], rest: dict[str, Any], layout: tuple[str, str], at: int, ascii: bool, piece: int, block: int
) -> None:
    pairs = list(rest.items())
    whole = dict([*pairs[:at], ("nodes", array), *pairs[at:]])
    text = json.dumps(whole, separators=layout, ensure_ascii=ascii)
    encoded = text.encode(errors="surrogatepass")
    found, top = blocks(encoded, piece=piece, block=block)
    expected = json.loads(text)
    assert [e for b in found for e in b.elements] == expected.pop("nodes")
    assert (top.rest, top.array, top.replaced_numbers) == (expected, "nodes", 0)
    assert [b.first for b in found] == [sum(len(b.elements) for b in found[:i]) for i in range(len(found))]
    for b in found:
        assert encoded[b.offset : b.offset + 1] == b"{"


@given(array=st.lists(objects, max_size=8), layout=layouts, piece=st.integers(1, 40), block=st.integers(1, 90))
def test_a_bare_array_comes_out_as_json_reads_it(
    array: list[Any], layout: tuple[str, str], piece: int, block: int
) -> None:
    text = json.dumps(array, separators=layout)
    assert elements(text.encode(), piece=piece, block=block) == array


@settings(max_examples=200)
@given(data=st.binary(max_size=60) | st.text('{}[]",:\\ 1a', max_size=60).map(str.encode), piece=st.integers(1, 9))
def test_what_is_no_json_is_refused_and_what_is_accepted_is_json(data: bytes, piece: int) -> None:
    try:
        found = elements(data, piece=piece, block=7)
    except InputError as error:
        assert error.file == "pieces.json"  # noqa: PT017
        return
    whole = json.loads(data)
    assert found == (whole if isinstance(whole, list) else whole.get("nodes", []))


def test_the_same_blocks_whatever_the_pieces() -> None:
    array = [{"name": f'a"{i}}},{{\\', "args": {"list": [{"x": i}, {"y": "}]"}]}} for i in range(300)]
    text = json.dumps({"nodes": array, "after": {"x": [1]}}).encode()
    for size in (1, 2, 3, 7, 64, 1000, len(text)):
        found, top = blocks(text, piece=size, block=500)
        assert [e for b in found for e in b.elements] == array
        assert len(found) > 10
        assert top.rest == {"after": {"x": [1]}}


@pytest.mark.parametrize("size", [5, 50, 5000])
def test_an_element_larger_than_a_block_is_read(size: int) -> None:
    array = [{"a": 1}, {"long": "}, {" * size, "deep": [[{"x": []}] * size]}, {"b": 2}]
    assert elements(json.dumps({"nodes": array}).encode(), piece=11, block=20) == array


def test_not_a_number_becomes_null_outside_of_strings_and_is_counted() -> None:
    text = b'{"x": [NaN, "NaN"], "nodes": [{"a": -Infinity, "b": "say \\"NaN, inf"}, {"c": NaN}], "y": Infinity}'
    found, top = blocks(text)
    assert [e for b in found for e in b.elements] == [{"a": None, "b": 'say "NaN, inf'}, {"c": None}]
    assert top.rest == {"x": [None, "NaN"], "y": None}
    assert top.replaced_numbers == 4


DEEP = b"[" * 100_000


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "found the end of the file, expected a JSON document"),
        (b" \n ", "byte 3: found the end of the file, expected a JSON document"),
        (b"7", "byte 0: found b'7', expected a JSON document"),
        (b"\xef\xbb\xbf{}", "byte 0: found a byte order mark, which JSON has none of, expected a JSON document"),
        (b"{} {}", "byte 3: found b'{}', expected the end of the file"),
        (b'{"nodes": [{}]}]', "byte 15: found b']', expected the end of the file"),
        (b'{"nodes": [{},]}', "byte 14: found b']}', expected another element"),
        (b'{"nodes": [{} {}]}', "malformed JSON"),
        (b'{"nodes": [{}}', "expected ',' or ']'"),
        (b'{"nodes": [1]}', "byte 11: found b'1]}', expected an object"),
        (b'{"nodes": [{}, 1]}', "byte 15: found b'1]}', expected an object"),
        (b'{"nodes": [{}], "nodes": [{}]}', "byte 25: found the arrays 'nodes' and 'nodes', expected one of them"),
        (b'{"nodes": [{}], }', "expected a key in quotes"),
        (b"{nodes: []}", "byte 1: found b'nodes: []}', expected a key in quotes"),
        (b'{"a" 1}', "byte 5: found b'1}', expected ':'"),
        (b'{"a": }', "byte 6: malformed JSON"),
        (b'{"a": 1 "b": 2}', "expected ',' or '}'"),
        (b'{"a": tru, "nodes": []}', "malformed JSON"),
        (b'{"\\x": 1}', "malformed JSON"),
        (b'{"\xff": 1}', "found the byte 0xff, expected text in UTF-8"),
        (b'{"a": "\xff"}', "found the byte 0xff, expected text in UTF-8"),
        (b'{"nodes": [{"a": 1}, {"a": "\xff"}]}', "byte 28: found the byte 0xff, expected text in UTF-8"),
        (b'{"nodes": [{"a": "x', "found the end of the file, expected the rest of the array"),
        (b'{"a": "x', "byte 6: found the end of the file, expected the rest of a value"),
        (b'{"nodes": [{"a": NaN, "b": }]}', "malformed JSON"),
        (b'{"a": ' + DEEP + DEEP.replace(b"[", b"]") + b"}", "found values nested too deeply"),
        (b'{"nodes": [{"a": ' + DEEP + DEEP.replace(b"[", b"]") + b"}]}", "found values nested too deeply"),
        (b'{"nodes": [{"a": ' + DEEP, "found the end of the file, expected the rest of the array"),
        (DEEP, "byte 1: found b'[[[["),
    ],
    ids=lambda v: str(v)[:40],
)
def test_each_fault_names_its_place_what_was_found_and_expected(text: bytes, message: str) -> None:
    with pytest.raises(InputError) as error:
        blocks(text)
    shown = str(error.value)
    assert shown.startswith("pieces.json")
    assert message.replace("byte 6: malformed", "malformed") in shown
    assert "expected" in shown
    assert len(shown) < 400
