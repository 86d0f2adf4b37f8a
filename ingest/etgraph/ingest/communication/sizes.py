"""Size of a message from the shapes that an operator records: which of its arguments is the message."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from etgraph.ingest.communication.names import DTYPE_BYTES
from etgraph.model import CommType

_LARGEST: Final = 2**62
_SHARDS: Final = (CommType.ALL_GATHER, CommType.GATHER)


def recorded_bytes(name: str, type: CommType | None, dims: bytes, types: bytes, ranks: int) -> int | None:
    """Bytes of the whole message of an operator with these input shapes, None where they do not tell.

    PyTorch's own operators (`c10d::`) take outputs first. A library's annotation and `record_param_comms` hold what
    the rank gives: of a gather that is one of `ranks` shards.

    >>> recorded_bytes("nccl:_all_gather_base", CommType.ALL_GATHER, b"[[16]]", b'["float"]', 4)
    256
    >>> recorded_bytes("c10d::_allgather_base_", CommType.ALL_GATHER, b"[[64],[16],[]]", b'["float","float",""]', 0)
    256
    """
    if type is CommType.BARRIER:
        return None
    try:
        shapes, words = msgspec.json.decode(dims), msgspec.json.decode(types or b"[]")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if not isinstance(shapes, list) or not isinstance(words, list) or not shapes:
        return None
    if name.startswith("c10d::"):
        at = 1 if type in (CommType.REDUCE_SCATTER, CommType.ALL_TO_ALL, CommType.SCATTER) else 0
        return _bytes(shapes[at : at + 1], words[at : at + 1])
    given = _bytes(shapes[:1], words[:1]) if name.startswith("record_param_comms") else _bytes(shapes, words)
    if given is None or type is CommType.SCATTER:
        return None
    if type in _SHARDS:
        return given * ranks if ranks > 0 and given * ranks < _LARGEST else None
    return given


def _bytes(shapes: Sequence[Any], words: Sequence[Any]) -> int | None:
    """Bytes of all tensors; None where there is none, or one without a known dtype."""
    total, found = 0, False
    for shape, word in zip(shapes, words, strict=False):
        if not isinstance(shape, list) or not isinstance(word, str) or not word:
            continue
        width = DTYPE_BYTES.get(word.lower())
        if width is None or not all(isinstance(n, int) and n >= 0 for n in shape):
            return None
        elements = width
        for n in shape:
            elements *= n
            if elements >= _LARGEST:
                return None
        total, found = total + elements, True
    return total if found and 0 < total < _LARGEST else None
