"""Recorded values of inputs that are no tensors, read from the attributes of the few operators that need them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from etgraph.ingest.linking.attributes import HOST
from etgraph.model import Attributes
from etgraph.model.columns import Array
from etgraph.model.tensors import Input

_TRIED = 64
"""Operators that are looked at before a file is taken to record no values."""
_NOTHING = msgspec.Raw(b"")


class _Node(msgspec.Struct):
    """What PyTorch's execution trace has of an operator: values, in both of its layouts."""

    inputs: msgspec.Raw = _NOTHING


class _Event(_Node):
    """What Kineto has: texts; or the node of the execution trace, alone or in a member of its own."""

    concrete: list[Any] | None = msgspec.field(name="Concrete Inputs", default=None)
    node: _Node | None = msgspec.field(name=HOST, default=None)


class _Inputs(msgspec.Struct):
    values: list[Any] = []


_event = msgspec.json.Decoder(_Event).decode
_values = msgspec.json.Decoder(list[Any] | _Inputs).decode


def recorded_arguments(attributes: Attributes, rows: Array) -> list[bytes | None]:
    """The values of the inputs of operators by their rows of attributes, as JSON text; None where none are recorded.

    Tensors are null in it, so that equal arguments are equal texts. A file that records none for the first operators
    is not searched further.
    """
    found = [_arguments(text) for text in attributes.texts(rows[:_TRIED])]
    if any(text is not None for text in found):
        found += [_arguments(text) for text in attributes.texts(rows[_TRIED:])]
    return found + [None] * (len(rows) - len(found))


def _arguments(text: bytes | None) -> bytes | None:
    if text is None:
        return None
    try:
        event = _event(text)
        if event.concrete is not None:
            return msgspec.json.encode([_literal(value) for value in event.concrete])
        node = event.node or event
        if not node.inputs:
            return None
        inputs = _values(node.inputs)
    except (msgspec.DecodeError, msgspec.ValidationError, RecursionError):
        return None
    return msgspec.json.encode([_plain(v) for v in (inputs if isinstance(inputs, list) else inputs.values)])


def _literal(value: Any) -> Any:
    """A value as Kineto writes it, in Python's notation; null for none and for what is no number, flag or list."""
    if not isinstance(value, str) or not value:
        return None
    try:
        return msgspec.json.decode(value.replace("True", "true").replace("False", "false"))
    except (msgspec.DecodeError, RecursionError):
        return value


def _plain(value: Any) -> Any:
    """A value of an execution trace without tensors: those are lists that end in the name of a device."""
    if isinstance(value, list):
        return None if value and value[-1].__class__ in (str, list) else value
    return None if value == "<None>" else value


def decoded(text: bytes | None, inputs: Sequence[Input]) -> list[Any] | None:
    """The values that a text holds, one for each input; None where there are none."""
    if text is None:
        return None
    values: list[Any] = msgspec.json.decode(text)
    return values if len(values) == len(inputs) else None


def codes_of(texts: Sequence[bytes | None]) -> tuple[Array, list[bytes]]:
    """Codes of texts, -1 for none, and the distinct texts."""
    known: dict[bytes, int] = {}
    codes = [-1 if text is None else known.setdefault(text, len(known)) for text in texts]
    return np.array(codes, dtype=np.int64), list(known)
