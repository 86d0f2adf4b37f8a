"""Attributes of linked operators: what both files say, as one JSON object.

The device's members stay where they are; the host's node stands whole in a member of its own. So nothing of either is
lost where they say different things, and it is plain which file says what. The texts are joined as they are, columns of
them at a time: decoding them would cost more than all other linking.
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
_NO_MEMBERS = r"^\{\s*\}$"


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
    more = np.full(len(alone), -1, dtype=np.int64)
    mark = b"," + msgspec.json.encode({IDENTITY: identity})[1:-1] if identity else b""
    order, kept = np.argsort(host_rows, kind="stable"), np.flatnonzero(alone >= 0)
    with AttributeWriter() as writer:
        for first in range(0, len(order), _BLOCK):
            block = order[first : first + _BLOCK]
            joined = _joined(device.array(device_rows[block]), host.array(host_rows[block]), mark + b"}")
            new[block] = len(device) + writer.extend_array(joined) + np.arange(len(block))
        for first in range(0, len(kept), _BLOCK):
            block = kept[first : first + _BLOCK]
            more[block] = len(device) + writer.extend_array(host.array(alone[block])) + np.arange(len(block))
    return Attributes.concat([device, writer.attributes]), new, more


def _joined(device: Any, host: Any, end: bytes) -> Any:
    """Objects with the members of the device's and one more that is the host's; a null is an object without members."""
    import pyarrow as pa
    import pyarrow.compute as pc

    binary = pa.binary()
    device, host = (pc.fill_null(texts, pa.scalar(b"{}", binary)) for texts in (device, host))
    opened = pc.binary_slice(device, 0, -1)
    bare = pc.match_substring_regex(device, _NO_MEMBERS)
    comma = pc.if_else(bare, pa.scalar(b"", binary), pa.scalar(b",", binary))
    member, after = pa.scalar(msgspec.json.encode(HOST) + b":", binary), pa.scalar(end, binary)
    return pc.binary_join_element_wise(opened, comma, member, host, after, pa.scalar(b"", binary))
