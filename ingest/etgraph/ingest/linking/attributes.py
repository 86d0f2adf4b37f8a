"""Attributes of linked operators: what both files say, as one JSON object.

The device's members stay where they are; the host's node stands whole in a member of its own. So nothing of either is
lost where they say different things, and it is plain which file says what. The texts are joined as they are: decoding
them would cost more than all other linking.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np

from etgraph.model import Attributes, AttributeWriter
from etgraph.model.columns import Array

HOST = "pytorch_et"
"""The member that holds the host's node."""
IDENTITY = "pytorch_et_identity"
"""The member that says what the host's file is to the device's, where it is not of the same process and iteration."""
_BLOCK = 8192


def host_attributes(attributes: Mapping[str, Any]) -> Mapping[str, Any]:
    """The node of a PyTorch execution trace in an operator's attributes, whether it was linked or not.

    >>> host_attributes({"Ev Idx": 3, "pytorch_et": {"id": 7}})
    {'id': 7}
    >>> host_attributes({"id": 7})
    {'id': 7}
    """
    found = attributes.get(HOST, attributes)
    return found if isinstance(found, Mapping) else attributes


def join(
    device: Attributes, host: Attributes, device_rows: Array, host_rows: Array, alone: Array, identity: str
) -> tuple[Attributes, Array, Array]:
    """Attributes of all, and the new rows of the linked pairs and of those that only the host has.

    `device_rows` and `host_rows` are the rows of pairs, -1 for none, `alone` rows of the host; rows of the device keep
    their numbers. `identity` goes into each pair, if it is not empty.
    """
    new = np.full(len(device_rows), -1, dtype=np.int64)
    mark = b"," + msgspec.json.encode({IDENTITY: identity})[1:-1] if identity else b""
    between, end = msgspec.json.encode(HOST) + b":", mark + b"}"
    order = np.argsort(host_rows, kind="stable")
    with AttributeWriter() as writer:
        for first in range(0, len(order), _BLOCK):
            block = order[first : first + _BLOCK]
            ours, theirs = host.texts(host_rows[block]), device.texts(device_rows[block])
            writer.extend([_opened(b) + between + (a or b"{}") + end for a, b in zip(ours, theirs, strict=True)])
            new[block] = len(device) + first + np.arange(len(block))
        more = np.full(len(alone), -1, dtype=np.int64)
        kept = np.flatnonzero(alone >= 0)
        for first in range(0, len(kept), _BLOCK):
            block = kept[first : first + _BLOCK]
            more[block] = len(device) + writer.extend([t or b"{}" for t in host.texts(alone[block])])
            more[block] += np.arange(len(block))
    return Attributes.concat([device, writer.attributes]), new, more


def _opened(text: bytes | None) -> bytes:
    """An object's text up to where another member can follow."""
    if text is None or (len(text) < _BLANK and not text[1:-1].strip()):
        return b"{"
    return text[:-1] + b","


_BLANK = 64
"""An object without members is not written with more blanks than this."""
