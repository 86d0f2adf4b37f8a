"""The kinds of files that hold Chakra traces: protobuf, and the JSON of Chakra's Jsonizer and of its feeder."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec
import numpy as np

from etgraph.ingest.chakra import feeder, jsonizer, wire
from etgraph.ingest.chakra.reader import ChakraReader, read_protobuf
from etgraph.ingest.chakra.sniff import is_protobuf
from etgraph.ingest.chakra.wire import WireError
from etgraph.ingest.document import Block, Document
from etgraph.ingest.draft import Draft
from etgraph.ingest.source import SourceFile
from etgraph.model import AttributeWriter


def read_chakra(source: SourceFile, attributes: AttributeWriter) -> Draft:
    """The draft of a file for which `is_chakra` holds. Raises InputError naming the message and its place."""
    if is_protobuf(source.head()):
        reader = ChakraReader(source, attributes)
        read_protobuf(source, reader)
        return reader.finish("chakra")
    reader = ChakraReader(source, attributes, places=False)
    first = True
    for messages in jsonizer.messages(source):
        if first:
            reader.read_metadata(messages.pop(0))
            first = False
        reader.add_messages(messages)
    return reader.finish("chakra-jsonizer")


def metadata_at_head(source: SourceFile, head: bytes) -> Mapping[str, Any]:
    """The GlobalMetadata with which a protobuf file begins; empty where the first bytes do not hold all of it.

    Raises InputError where it is none.
    """
    try:
        begins, ends, _ = wire.frames(np.frombuffer(head, dtype=np.uint8))
    except WireError:
        begins = ends = np.zeros(0, dtype=np.int64)
    if not len(begins):
        return {}
    with AttributeWriter() as attributes:
        reader = ChakraReader(source, attributes)
        reader.read_metadata(head[begins[0] : ends[0]])
    return reader.metadata


class FeederReader:
    """Collects blocks of the feeder's elements; `finish` makes the draft of them."""

    def __init__(self, source: SourceFile, attributes: AttributeWriter) -> None:
        self._source = source
        self._reader = ChakraReader(source, attributes, places=False)
        self._decode = msgspec.json.Decoder(list[msgspec.Raw]).decode

    @property
    def decode(self) -> Callable[[bytes], list[Any]]:
        """Decodes a JSON list of elements, keeping numbers as they are written."""
        return self._elements

    def _elements(self, text: bytes) -> list[Any]:
        self._decode(text)
        try:
            elements: list[Any] = json.loads(text)
        except ValueError as error:
            raise self._source.error(str(error), "numbers of at most some thousand digits") from None
        return elements

    def add(self, block: Block[Any]) -> None:
        """Take one block. Raises InputError for an element that is no node."""
        self._reader.add_messages(list(self._messages(block)))

    def _messages(self, block: Block[Any]) -> Iterator[bytes]:
        for number, element in enumerate(block.elements, block.first):

            def fail(found: str, expected: str, key: str, number: int = number) -> Exception:
                place = f"node {number} (after byte {block.offset:,}), {key}"
                return self._source.error(found, expected, place)

            if not isinstance(element, dict):
                raise fail("no object", "an object", "the element")
            yield feeder.node(element, fail)

    def finish(self, top: Document) -> Draft:
        """Make the draft."""
        self._reader.read_metadata(feeder.metadata(top.rest))
        return self._reader.finish("chakra-feeder")
