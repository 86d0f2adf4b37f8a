"""Shapes of an operator's inputs as text, the same for every format, so that equal ones compare equal."""

from __future__ import annotations

import re
from functools import lru_cache

import msgspec

_TENSOR = re.compile(rb'"Tensor\(([^()"]*)\)"')


def shapes_text(dims: bytes, types: bytes) -> str:
    """Dims and dtypes as compact JSON; both arguments are JSON text, `types` may be empty.

    >>> shapes_text(b"[[2, 3]]", b'["float"]')
    '{"dims":[[2,3]],"types":["float"]}'
    """
    value = {"dims": msgspec.json.decode(dims)} | ({"types": msgspec.json.decode(types)} if types else {})
    return msgspec.json.encode(value).decode()


@lru_cache(maxsize=1 << 12)
def plain_types(types: bytes) -> bytes:
    """Types as PyTorch's execution trace writes them in Kineto's words: `Tensor(float)` is `float` there."""
    return _TENSOR.sub(rb'"\1"', types)
