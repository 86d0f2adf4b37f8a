"""Parts of messages as bytes. Serialised fields that follow each other in order are the serialised message."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from etgraph.ingest.chakra.layout import varint
from etgraph.ingest.chakra.messages import AttributeProto

_ATTR = varint(10 << 3 | 2)
"""Tag of `Node.attr`."""


def delimited(message: bytes) -> bytes:
    """A message after its length, as it stands in a file."""
    return varint(len(message)) + message


def as_attribute(message: bytes) -> bytes:
    """A serialised AttributeProto as a field of a node."""
    return _ATTR + varint(len(message)) + message


@lru_cache(1 << 16)
def attribute(name: str, field: str, value: Any) -> bytes:
    """An attribute with one value as a field of a node."""
    return as_attribute(AttributeProto(name=name, **{field: value}).SerializeToString())


def attribute_list(name: str, field: str, values: list[int]) -> bytes:
    """An attribute with a list of values as a field of a node."""
    message = AttributeProto(name=name)
    getattr(message, field).values.extend(values)
    return as_attribute(message.SerializeToString())
