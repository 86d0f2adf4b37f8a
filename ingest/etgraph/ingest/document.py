"""Large JSON documents as a stream: an object whose bulk is one array of objects, or that array alone.

The array's elements are handed out in blocks of whole elements, so that memory does not grow with the file. A block
ends at a likely boundary between two elements; that it is one is proved by decoding it, since a cut inside a string
or a nested value leaves brackets open. Where the guess fails the block is scanned token by token.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import msgspec

from etgraph.ingest.source import SourceFile
from etgraph.model.errors import InputError

T = TypeVar("T")
BLOCK = 2 << 20
"""Bytes of text decoded at once."""
_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|["{}\[\]]', re.DOTALL)
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_SCALAR_END = re.compile(rb"[,}\]\s]")
_SPACE = re.compile(rb"[ \t\r\n]*")
_NEXT = re.compile(rb"[ \t\r\n]*,[ \t\r\n]*\{[ \t\r\n]*")
_FIRST_KEY = re.compile(rb'\{[ \t\r\n]*("[^"\\]*")')
_NOT_JSON = re.compile(rb'("[^"\\]*(?:\\.[^"\\]*)*")|-?\b(?:nan|NaN|inf|Infinity)\b', re.DOTALL)


@dataclass(slots=True)
class Document:
    """What surrounds the array: the other keys of the top object, filled while the array is read."""

    array: str | None = None
    rest: dict[str, Any] = field(default_factory=dict)
    replaced_numbers: int = 0


@dataclass(frozen=True, slots=True)
class Block(Generic[T]):
    """Some elements of the array, the number of the first, and its place in the file."""

    elements: list[T]
    first: int
    offset: int


class _Text:
    """A window on the stream: bytes not yet consumed and their place in the file."""

    def __init__(self, source: SourceFile) -> None:
        self.source = source
        self.data = b""
        self.start = 0
        self._chunks = source.chunks()

    def more(self) -> bool:
        """Read on, at least as much as is there already, so that retries cost linear time in all."""
        parts, wanted = [self.data], max(len(self.data), BLOCK)
        size = 0
        while size < wanted and (chunk := next(self._chunks, None)) is not None:
            parts.append(chunk)
            size += len(chunk)
        self.data = b"".join(parts)
        return size > 0

    def drop(self, count: int) -> None:
        """Consume bytes."""
        self.data = self.data[count:]
        self.start += count

    def peek(self) -> bytes:
        """The next byte that is no white space; empty at the end of the file."""
        while True:
            end = _SPACE.match(self.data).end()  # type: ignore[union-attr]
            self.drop(end)
            if self.data:
                return self.data[:1]
            if not self.more():
                return b""

    def fail(self, expected: str, found: str | None = None) -> InputError:
        """An error at the current place."""
        if found is None:
            found = f"{self.data[:24]!r}" if self.data else "the end of the file"
        return self.source.error(found, expected, f"byte {self.start:,}")


def read_document(
    source: SourceFile, arrays: Collection[str], decoder: Callable[[str], Callable[[bytes], list[T]]], top: Document
) -> Iterator[Block[T]]:
    """The elements of the array named by one of `arrays`, in blocks; the other keys end up in `top`.

    A document that is an array itself has the name "". `decoder(name)` gives the function that decodes a block's
    JSON list. Raises InputError for anything that is no such document.
    """
    text = _Text(source)
    if (opening := text.peek()) == b"[":
        top.array = ""
        yield from _elements(text, decoder(""), top)
    elif opening == b"{":
        yield from _members(text, arrays, decoder, top)
    else:
        raise text.fail("a JSON document", what_it_is(text.data))
    if text.peek():
        raise text.fail("the end of the file")


def what_it_is(data: bytes) -> str | None:
    """The format of a file that is no JSON, in words, where its first bytes tell."""
    if data.startswith(b"\xef\xbb\xbf"):
        return "a byte order mark, which JSON has none of"
    if b"\x00" in data[:512] or not data[:512].isascii():
        return "binary data that is no Chakra message"
    return None


def _members(
    text: _Text, arrays: Collection[str], decoder: Callable[[str], Callable[[bytes], list[T]]], top: Document
) -> Iterator[Block[T]]:
    text.drop(1)
    while text.peek() != b"}":
        key = _value(text, "a key in quotes", top, only_string=True)
        if text.peek() != b":":
            raise text.fail("':'")
        text.drop(1)
        if text.peek() == b"[" and key in arrays:
            if top.array is not None:
                raise text.source.error(f"the arrays {top.array!r} and {key!r}", "one of them", f"byte {text.start:,}")
            top.array = key
            yield from _elements(text, decoder(key), top)
        else:
            top.rest[key] = _value(text, "a value", top)
        if text.peek() == b",":
            text.drop(1)
            if text.peek() == b"}":
                raise text.fail("a key in quotes")
        elif text.peek() != b"}":
            raise text.fail("',' or '}'")
    text.drop(1)


def _value(text: _Text, expected: str, top: Document, *, only_string: bool = False) -> Any:
    """Consume one JSON value and decode it."""
    text.peek()
    at = text.start
    raw = _take_value(text, expected, only_string=only_string)
    try:
        return _decoded(msgspec.json.decode, _plain_numbers(raw, top))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise source_error(text.source, error, f"{expected} at byte {at:,}") from error


def source_error(
    source: SourceFile, error: msgspec.DecodeError | UnicodeDecodeError | RecursionError, place: str
) -> InputError:
    """A decoder's complaint in our words: what was found where."""
    message = str(error)
    if isinstance(error, RecursionError):
        return source.error("values nested too deeply", "at most some hundred levels", place)
    if isinstance(error, UnicodeDecodeError):
        return source.error(f"the byte 0x{error.object[error.start]:02x}", "text in UTF-8", place)
    if isinstance(error, msgspec.ValidationError) and ", got " not in message:
        wrong, _, where = message.partition(" - at ")
        return source.error(wrong[:1].lower() + wrong[1:], "what the format asks for", place)
    if isinstance(error, msgspec.ValidationError):
        wrong, _, where = message.partition(" - at ")
        expected, _, found = wrong.removeprefix("Expected ").partition(", got ")
        field_name = where.strip("`").partition("].")[2]
        return source.error(found or wrong, expected, f"{place}, field {field_name}" if field_name else place)
    return source.error(f"malformed JSON ({message.removeprefix('JSON is malformed: ')})", "valid JSON", place)


def _plain_numbers(raw: bytes, top: Document) -> bytes:
    """NaN and infinity, which some writers emit, as null: they are not JSON."""
    if not re.search(rb"\b(?:nan|NaN|inf|Infinity)\b", raw):
        return raw

    def replace(match: re.Match[bytes]) -> bytes:
        if match[1] is not None:
            return match[1]
        top.replaced_numbers += 1
        return b"null"

    return _NOT_JSON.sub(replace, raw)


def _take_value(text: _Text, expected: str, *, only_string: bool = False) -> bytes:
    """Consume one JSON value and return its text."""
    opening = text.peek()
    if only_string and opening != b'"':
        raise text.fail(expected)
    while True:
        end = value_end(text.data)
        if end:
            value = text.data[:end]
            text.drop(end)
            return value
        if not text.more():
            raise text.source.error("the end of the file", f"the rest of {expected}", f"byte {text.start:,}")


def value_end(data: bytes) -> int:
    """Where the value at the start of the text ends; 0 when the text does not show it."""
    if data[:1] == b'"':
        string = _STRING.match(data)
        return string.end() if string else 0
    if data[:1] not in (b"{", b"["):
        scalar = _SCALAR_END.search(data)
        return max(scalar.start(), 1) if scalar else 0
    depth = 0
    for token in _TOKEN.finditer(data):
        mark = token[0]
        if mark in (b"{", b"["):
            depth += 1
        elif mark in (b"}", b"]"):
            depth -= 1
            if depth == 0:
                return token.end()
        elif mark == b'"':
            return 0
    return 0


def _elements(text: _Text, decode: Callable[[bytes], list[T]], top: Document) -> Iterator[Block[T]]:
    text.drop(1)
    count = 0
    while (opening := text.peek()) != b"]":
        if opening != b"{":
            raise text.fail("an object")
        if len(text.data) < BLOCK:
            text.more()
        cut, elements = _next_block(text, decode, top, count)
        while not cut:
            if not text.more():
                raise text.source.error(
                    "the end of the file", "the rest of the array", f"byte {text.start:,}, element {count}"
                )
            cut, elements = _next_block(text, decode, top, count)
        yield Block(elements, count, text.start)
        count += len(elements)
        text.drop(cut)
        if text.peek() == b",":
            text.drop(1)
            if text.peek() == b"]":
                raise text.fail("another element")
        elif text.peek() != b"]":
            raise text.fail("',' or ']'")
    text.drop(1)


def _next_block(text: _Text, decode: Callable[[bytes], list[T]], top: Document, count: int) -> tuple[int, list[T]]:
    """Length and elements of the block at the start of the text; (0, []) when it holds no whole element."""
    data = text.data
    guess = _likely_boundary(data)
    if guess:
        try:
            return guess, _decoded(decode, b"[" + data[:guess] + b"]")
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            pass
    ends = _element_ends(data)
    if not ends:
        return 0, []
    block = b"[" + data[: ends[-1]] + b"]"
    try:
        try:
            return ends[-1], _decoded(decode, block)
        except msgspec.ValidationError:
            raise
        except msgspec.DecodeError:
            plain = _plain_numbers(block, top)
            if plain == block:
                raise
            return ends[-1], _decoded(decode, plain)
    except msgspec.ValidationError as error:
        number = int(re.search(r"\$\[(\d+)\]", str(error))[1]) if "$[" in str(error) else 0  # type: ignore[index]
        at = text.start + (ends[number - 1] if number else 0)
        raise source_error(text.source, error, f"element {count + number} at byte {at:,}") from error
    except UnicodeDecodeError as error:
        raise source_error(text.source, error, f"byte {text.start + _text_end(block) - 1:,}") from error
    except (msgspec.DecodeError, RecursionError) as error:
        at = text.start + int((re.search(r"byte (\d+)", str(error)) or [0, 1])[1]) - 1
        raise source_error(text.source, error, f"byte {at:,}") from error


def _decoded(decode: Callable[[bytes], T], block: bytes) -> T:
    """What a decoder makes of text in UTF-8. It does not look into what it skips, nor say which byte is wrong."""
    try:
        elements = decode(block)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError as error:
        if "UTF-8" in str(error):
            block.decode()
        raise
    if not block.isascii():
        block.decode()
    return elements


def _text_end(block: bytes) -> int:
    """Where the text stops to be UTF-8: the decoder only says where in one string."""
    try:
        return len(block.decode())
    except UnicodeDecodeError as error:
        return error.start


def _likely_boundary(data: bytes) -> int:
    """End of the last object that another element seems to follow, within a block; 0 when none does.

    Elements mostly begin with the same key, and with another one than the objects inside them.
    """
    first = _FIRST_KEY.match(data)
    key = first[1] if first else b""
    end = min(len(data), BLOCK)
    for _ in range(256):
        end = data.rfind(b"}", 0, end)
        if end <= 0:
            return 0
        following = _NEXT.match(data, end + 1)
        if following and data.startswith(key, following.end()):
            return end + 1
    return 0


def _element_ends(data: bytes) -> list[int]:
    """Ends of the whole elements of an array at the start of the text, up to a block's size; objects only."""
    ends: list[int] = []
    depth = 0
    for token in _TOKEN.finditer(data):
        mark = token[0]
        if mark in (b"{", b"["):
            depth += 1
        elif mark in (b"}", b"]"):
            depth -= 1
            if depth < 0:
                break
            if depth == 0:
                ends.append(token.end())
                if token.end() > BLOCK:
                    break
        elif mark == b'"':
            break
    return ends
