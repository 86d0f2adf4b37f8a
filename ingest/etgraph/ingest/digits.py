"""Exact nanoseconds from the digits of microseconds: binary floating point would be wrong by hundreds of them."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, ROUND_HALF_EVEN, Context, Decimal, InvalidOperation

import numpy as np

from etgraph.model.columns import Array

LATEST_NS = 2**62 - 1
"""Times lie this far around the origin at most, 146 years, so that differences of two fit into 64 bits."""
_WIDTH = 24
_MAX_DIGITS = 16
_MAX_ADJUSTED = 17
_EXACT = Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN, rounding=ROUND_HALF_EVEN)


def nanoseconds(texts: Sequence[bytes]) -> Array:
    """Microseconds as JSON numbers → int64 nanoseconds; digits beyond the nanosecond are rounded to even.

    Raises ValueError with the position in `texts` of the first one that is no number or exceeds `LATEST_NS`.
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
    # Unix time in microseconds has 16 digits: as nanoseconds it fits int64 unless it begins with a 9.
    plain &= (whole > 0) & (whole + (digits[:, 0] == 9) <= _MAX_DIGITS) & (fraction <= 3)
    plain &= digits[:, _WIDTH - 1] == 208
    scale = np.array([1000, 100, 10, 1], dtype=np.int64)[np.clip(fraction, 0, 3)]
    plain &= value <= LATEST_NS // scale
    result = np.where(plain, value, 0) * scale
    for row in np.flatnonzero(~plain).tolist():
        result[row] = _one(texts[row], row)
    return result


def _one(text: bytes, row: int) -> int:
    try:
        exact = Decimal(text.decode())
    except (InvalidOperation, UnicodeDecodeError):
        exact = Decimal("nan")
    if not exact.is_finite():
        raise ValueError(row, f"{text[:40]!r}", "a number of microseconds")
    # An exponent may stand for more digits than fit into memory: look at the size before making an integer.
    if exact.is_zero():
        return 0
    fits = exact.adjusted() < _MAX_ADJUSTED
    number = int(exact.scaleb(3, _EXACT).to_integral_value(context=_EXACT)) if fits else 0
    if not fits or abs(number) > LATEST_NS:
        raise ValueError(row, text[:40].decode(), "a time within 146 years of the trace's origin")
    return number
