"""Shapes of an operator's inputs as text, the same for every format, so that equal ones compare equal."""

from __future__ import annotations

import ast
import re
from functools import lru_cache

import msgspec

from etgraph.model.attributes import decoded

_TENSOR = re.compile(rb'"Tensor\(([^()"]*)\)"')


def shapes_text(dims: bytes, types: bytes) -> str:
    """Dims and dtypes as compact JSON; both arguments are JSON text, `types` may be empty.

    Numbers beyond every float are null.

    >>> shapes_text(b"[[2, 3]]", b'["float"]')
    '{"dims":[[2,3]],"types":["float"]}'
    """
    value = {"dims": decoded(dims)} | ({"types": decoded(types)} if types else {})
    return msgspec.json.encode(value).decode()


@lru_cache(maxsize=1 << 12)
def plain_types(types: bytes) -> bytes:
    """Types as PyTorch's execution trace writes them in Kineto's words: `Tensor(float)` is `float` there."""
    return _TENSOR.sub(rb'"\1"', types)


def shapes_text_of_literals(dims: bytes, types: bytes) -> str | None:
    """The same from texts as Chakra keeps them, which may be JSON or Python's own spelling; None for anything else.

    >>> shapes_text_of_literals(b"[[2, 3]]", b"['Tensor(float)']")
    '{"dims":[[2,3]],"types":["float"]}'
    """
    values = [_literal(text) for text in (dims, types)]
    if not isinstance(values[0], list) or not values[0]:
        return None
    spelled = [b"" if value is None else msgspec.json.encode(value) for value in values]
    return shapes_text(spelled[0], plain_types(spelled[1]))


def _literal(text: bytes) -> object:
    for spelling in (text, text.replace(b"'", b'"')):
        try:
            return msgspec.json.decode(spelling)
        except (msgspec.DecodeError, RecursionError):
            pass
    try:
        value: object = ast.literal_eval(text.decode())
        msgspec.json.encode(value)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError, UnicodeError, OverflowError):
        return None
    return value
