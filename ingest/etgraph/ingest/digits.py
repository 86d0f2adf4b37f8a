"""Exact nanoseconds from the digits of microseconds: binary floating point would be wrong by hundreds of them."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal, InvalidOperation

import numpy as np

from etgraph.model.columns import Array

INT64 = np.iinfo(np.int64)
_WIDTH = 24
_MAX_DIGITS = 15


def nanoseconds(texts: Sequence[bytes]) -> Array:
    """Microseconds as JSON numbers → int64 nanoseconds; digits beyond the nanosecond are rounded to even.

    Raises ValueError with the position in `texts` of the first one that is no number or exceeds int64.
    """
    if not texts:
        return np.zeros(0, dtype=np.int64)
    table = np.array(texts, dtype=f"S{_WIDTH}")
    digits = table.view(np.uint8).reshape(len(texts), _WIDTH) - np.uint8(48)
    used = _WIDTH
    while used > 1 and not (digits[:, used - 1] <= 9).any():
        used -= 1
    value = np.zeros(len(texts), dtype=np.int64)
    whole = np.zeros(len(texts), dtype=np.int8)
    fraction = np.zeros(len(texts), dtype=np.int8)
    dotted = np.zeros(len(texts), dtype=bool)
    plain = np.ones(len(texts), dtype=bool)
    for position in range(used):
        digit = digits[:, position]
        is_digit = digit <= 9
        np.multiply(value, 10, out=value, where=is_digit)
        np.add(value, digit, out=value, where=is_digit)
        whole += is_digit & ~dotted
        fraction += is_digit & dotted
        dot = digit == 254
        plain &= is_digit | (dot & ~dotted) | (digit == 208)
        dotted |= dot
    plain &= (whole > 0) & (whole <= _MAX_DIGITS) & (fraction <= 3) & (digits[:, _WIDTH - 1] == 208)
    scale = np.array([1000, 100, 10, 1], dtype=np.int64)[np.clip(fraction, 0, 3)]
    result = np.where(plain, value, 0) * scale
    for row in np.flatnonzero(~plain).tolist():
        result[row] = _one(texts[row], row)
    return result


def _one(text: bytes, row: int) -> int:
    try:
        exact = Decimal(text.decode()) * 1000
        number = int(exact.to_integral_value())
    except (InvalidOperation, UnicodeDecodeError, ValueError, OverflowError):
        raise ValueError(row, f"{text[:40]!r}", "a number of microseconds") from None
    if not INT64.min < number <= INT64.max:
        raise ValueError(row, text[:40].decode(), "a time within 292 years of the trace's origin")
    return number
