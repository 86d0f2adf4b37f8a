"""Chakra's Jsonizer form: protobuf-JSON objects one after another, the file's metadata first, into wire messages.

What the values mean is said in `values`.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from typing import Any, Final

from etgraph.ingest.chakra.values import WrongValue, fill
from etgraph.ingest.source import SourceFile
from etgraph.model.errors import InputError

METADATA_KEYS: Final = frozenset({"version", "attr"})
"""Keys of a GlobalMetadata."""
NODE_KEYS: Final = frozenset(
    {"id", "name", "type", "ctrlDeps", "ctrl_deps", "dataDeps", "data_deps", "startTimeMicros", "start_time_micros",
     "durationMicros", "duration_micros", "inputs", "outputs", "attr"}
)  # fmt: skip
"""Keys of a Node, in both spellings."""

_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|["{}\[\]:,]', re.DOTALL)
_OPENING = re.compile(rb"[ \t\r\n]*\{")
_SPACE = re.compile(r"[ \t\r\n]*")
_LONGEST_TOKEN = 16
"""Characters of a literal or an escape that the end of the text may cut, with room to spare."""
_MESSAGES = 512
_BYTES = 1 << 20


def is_jsonizer(head: bytes) -> bool:
    """Whether the first bytes of a file begin this form: its first object that is not empty has Chakra's keys only.

    An object that the head cuts is judged by the keys that are seen. A lone `{}` says nothing, so it is none.
    """
    tokens = _TOKEN.finditer(head)
    end = 0
    while opening := _OPENING.match(head, end):
        end, keys = _keys(tokens)
        if keys:
            return keys <= METADATA_KEYS or keys <= NODE_KEYS
        if end < opening.end():
            return False
    return False


def _keys(tokens: Iterator[re.Match[bytes]]) -> tuple[int, set[str]]:
    """Where the object ends that begins with the next token (-1: beyond the text), and its own keys.

    The first key that is not Chakra's is the last one looked at, so that other formats are told at once.
    """
    keys: set[str] = set()
    depth = 0
    last = b""
    for token in tokens:
        mark = token[0]
        if mark in (b"{", b"["):
            depth += 1
        elif mark in (b"}", b"]"):
            depth -= 1
            if depth == 0:
                return token.end(), keys
        elif mark == b":" and depth == 1:
            keys.add(key := last.decode(errors="replace"))
            if key not in METADATA_KEYS and key not in NODE_KEYS:
                break
        elif mark == b'"':
            break
        last = mark[1:-1]
    return -1, keys


def messages(source: SourceFile) -> Iterator[list[bytes]]:
    """The file's objects as serialised messages without lengths, some hundred at a time, the GlobalMetadata first.

    A file that begins with a node gets an empty one. Memory is bounded by the largest object. Raises InputError naming
    object (counted from 0), byte and key for malformed JSON, what is no object, an unknown key, or a wrong value.
    """
    from etgraph.ingest.chakra.messages import GlobalMetadata, Node

    window = _Window(source)
    batch: list[bytes] = []
    size = number = 0
    while window.another():
        begin, value = window.take(number)
        is_node = number > 0 or (not METADATA_KEYS.issuperset(value) and not NODE_KEYS.isdisjoint(value))
        if is_node and not number:
            batch.append(GlobalMetadata().SerializeToString())
        message = Node() if is_node else GlobalMetadata()
        try:
            fill(message, value)
        except WrongValue as wrong:
            raise window.error(wrong.found, wrong.expected, begin, number, wrong.path) from None
        batch.append(message.SerializeToString(deterministic=True))
        number += 1
        size += len(batch[-1])
        if len(batch) >= _MESSAGES or size >= _BYTES:
            yield batch
            batch, size = [], 0
    if not number:
        raise window.error("the end of the file", "an object", window.at, number)
    if batch:
        yield batch


# The stream of objects


class _Window:
    """Text not yet consumed: `text[at:]`, where `text` begins at byte `start` of the file."""

    def __init__(self, source: SourceFile) -> None:
        self.text = ""
        self.at = 0
        self._source = source
        self._start = 0
        self._read = 0
        self._chunks = source.chunks()
        self._utf8 = codecs.getincrementaldecoder("utf-8")()
        self._decode = json.JSONDecoder(object_pairs_hook=_object, parse_constant=str).raw_decode

    def another(self) -> bool:
        """Go to the next byte that is no white space; false at the end of the file."""
        while True:
            self.at = _SPACE.match(self.text, self.at).end()  # type: ignore[union-attr]
            if self.at < len(self.text):
                return True
            if not self._more():
                return False

    def take(self, number: int) -> tuple[int, dict[str, Any]]:
        """Consume the object that begins here, the file's `number`-th; where in the text it began, and its value."""
        if self.text[self.at] != "{":
            raise self.error(_begins(self.text[self.at : self.at + 24]), "an object", self.at, number)
        while True:
            try:
                begin = self.at
                value, self.at = self._decode(self.text, begin)
            except json.JSONDecodeError as error:
                open_string = error.msg.startswith("Unterminated string")
                cut = open_string or error.pos >= len(self.text) - _LONGEST_TOKEN
                if cut and self._more():
                    continue
                if open_string or error.pos >= len(self.text.rstrip()):
                    end = len(self.text)
                    raise self.error("the end of the file", "the rest of the object", end, number) from None
                raise self.error(f"malformed JSON ({error.msg})", "valid JSON", error.pos, number) from None
            except WrongValue as wrong:
                raise self.error(wrong.found, wrong.expected, self.at, number) from None
            except ValueError:
                raise self.error("a number of thousands of digits", "a number", self.at, number) from None
            except RecursionError:
                raise self.error("values nested too deeply", "at most some hundred levels", self.at, number) from None
            return begin, value

    def error(self, found: str, expected: str, at: int, number: int, key: str = "") -> InputError:
        """An error about the character at `at` of the text, in the file's `number`-th object."""
        place = f"object {number} at byte {self._offset(at):,}"
        return self._source.error(found, expected, f"{place}, {key}" if key else place)

    def _offset(self, at: int) -> int:
        return self._start + len(self.text[:at].encode())

    def _more(self) -> bool:
        """Read on, at least as much as is there already, so that retries cost linear time in all.

        Puts what is not consumed at the start of the text; false, and nothing moves, at the end of the file.
        """
        kept = self.text[self.at :]
        parts = [kept]
        size, wanted = 0, max(len(kept), 1)
        while size < wanted and (chunk := next(self._chunks, None)) is not None:
            parts.append(self._text(chunk))
            size += len(parts[-1])
        if not size:
            self._text(b"", final=True)
            return False
        self._start = self._offset(self.at)
        self.text, self.at = "".join(parts), 0
        return True

    def _text(self, chunk: bytes, *, final: bool = False) -> str:
        pending = len(self._utf8.getstate()[0])
        try:
            text = self._utf8.decode(chunk, final)
        except UnicodeDecodeError as error:
            found = f"the byte 0x{error.object[error.start]:02x}"
            place = f"byte {self._read - pending + error.start:,}"
            raise self._source.error(found, "text in UTF-8", place) from None
        self._read += len(chunk)
        return text


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        keys = [key for key, _ in pairs]
        raise WrongValue(f"the key {next(k for k in keys if keys.count(k) > 1)[:60]!r} twice", "each key once")
    return value


def _begins(text: str) -> str:
    return "a byte order mark" if text.startswith("\ufeff") else ascii(text)
