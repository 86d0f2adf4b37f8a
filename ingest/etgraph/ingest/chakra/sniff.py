"""Telling Chakra's files from others by their first bytes, without loading what reads them."""

from __future__ import annotations

import re
from typing import Final

from etgraph.ingest.chakra.jsonizer import is_jsonizer

_JSON: Final = re.compile(rb"[ \t\r\n]*[{\[][ \t\r\n]*[\"{\[}\]]")
FIRST_TAGS: Final = (0x0A, 0x12)
"""Tags with which metadata begins: a version, or an attribute."""


def is_chakra(head: bytes) -> bool:
    """Whether the first bytes of a file begin a Chakra trace that is not one JSON document."""
    return is_protobuf(head) or is_jsonizer(head)


def is_protobuf(head: bytes) -> bool:
    """Whether the first bytes of a file begin a Chakra trace in protobuf, rather than JSON or another text.

    The length of the first message may be the code of a brace; then it must be metadata without anything odd.
    """
    if head.startswith((b"PK\x03\x04", b"\xef\xbb\xbf")) or head[257:262] == b"ustar" or not head:
        return False
    if not _JSON.match(head):
        return not head[:512].isascii() or any(byte < 32 and byte not in b"\t\n\r" for byte in head[:512])
    return len(head) > head[0] and head[1] in FIRST_TAGS and is_metadata(head[1 : 1 + head[0]])


def is_metadata(message: bytes) -> bool:
    """Whether a message is metadata of Chakra, as tools write it."""
    import numpy as np

    from etgraph.ingest.chakra import wire
    from etgraph.ingest.chakra.fields import METADATA, NUMBERS

    data = np.frombuffer(message, dtype=np.uint8)
    try:
        found = wire.tokens(data, np.zeros(1, dtype=np.int64), np.array([len(data)]), METADATA)
    except wire.WireError:
        return False
    return not found.odd.any() and bool((found.code % NUMBERS != 0).all())
