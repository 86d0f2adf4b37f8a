"""Values of arguments that need no type of their own: numbers that may be texts, and lists of values as texts."""

from __future__ import annotations

import re
from typing import Final

import msgspec

MESSAGE: Final = ("c10d::send", "c10d::recv")
"""How the names of PyTorch's operators around sends and receives begin."""
_WHOLE: Final = re.compile(rb'"?(-?\d{1,19})"?$')


def whole_number(text: msgspec.Raw, default: int = -1) -> int:
    """A whole number in JSON, also one that is a text; the default for anything else.

    >>> whole_number(msgspec.Raw(b"7")), whole_number(msgspec.Raw(b'"7"')), whole_number(msgspec.Raw(b"[7]"))
    (7, 7, -1)
    """
    found = _WHOLE.match(bytes(text)) if text else None
    return int(found[1]) if found else default


def peer_and_tag(values: bytes) -> tuple[int, int]:
    """Peer and tag among the values of an operator around a send or receive (tensors, group, peer, tag); -1 for none.

    >>> peer_and_tag(b'["", "", "2", "0"]')
    (2, 0)
    """
    try:
        listed = msgspec.json.decode(values, type=list[str])
    except (msgspec.DecodeError, UnicodeDecodeError):
        return -1, -1
    peer, tag = (int(v) if v.isascii() and v.isdecimal() and len(v) < 10 else -1 for v in (*listed[2:4], "", "")[:2])
    return peer, tag
