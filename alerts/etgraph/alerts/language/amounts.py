"""Amounts with their units: as rules write them, as names of fields tell them, and as people read them."""

from __future__ import annotations

import re
from typing import Final, Literal

from etgraph.model.readable import byte_rate, count, duration, flop_rate, percent, size
from etgraph.model.settings.units import BANDWIDTH, RATE, SIZE, TIME, NotAQuantity, Quantity, parse

Unit = Literal["ns", "bytes", "bytes/s", "flop/s", "share", "count"]
"""What a number is of. A ratio is a share, whatever else has no unit a count."""

ADDITIVE: Final[tuple[Unit, ...]] = ("ns", "bytes", "count")
"""Units whose numbers of several rows are summed: rates and shares are not."""
_QUANTITIES: Final[tuple[tuple[Quantity, Unit], ...]] = (
    (TIME, "ns"), (SIZE, "bytes"), (BANDWIDTH, "bytes/s"), (RATE, "flop/s"),
)  # fmt: skip
EXAMPLES: Final[dict[Unit, str]] = {
    "ns": "2 ms", "bytes": "64 KiB", "bytes/s": "10 GB/s", "flop/s": "100 TFLOP/s", "share": "10%", "count": "3",
}  # fmt: skip
_NUMBER: Final = re.compile(r"\s*([+-]?[0-9][0-9_]*(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)\s*(%?)\s*\Z")
_SHARES: Final = ("share", "utilization", "variation", "error", "confidence", "_per_ns")


class NotAnAmount(ValueError):
    """A text is no amount, or has no unit that fits; the message says what was expected."""


def amount(text: str) -> tuple[float, Unit]:
    """A number and its unit; one without unit is a count, a percentage a share. Raises NotAnAmount.

    >>> amount("2ms"), amount("64 KiB"), amount("10%"), amount("3")
    ((2000000.0, 'ns'), (65536.0, 'bytes'), (0.1, 'share'), (3.0, 'count'))
    """
    match = _NUMBER.match(text)
    if match:
        number = float(match[1].replace("_", ""))
        return (number / 100, "share") if match[2] else (number, "count")
    for quantity, unit in _QUANTITIES:
        try:
            return float(parse(text, quantity)), unit
        except NotAQuantity:
            continue
    raise NotAnAmount(f"an amount such as {', '.join(EXAMPLES.values())}")


def amount_of(text: str, unit: Unit) -> float:
    """The number of an amount that has this unit; a share may be written as a number. Raises NotAnAmount."""
    found, own = amount(text)
    if own == unit or (unit == "share" and own == "count") or found == 0:
        return found
    raise NotAnAmount(f'an amount such as "{EXAMPLES[unit]}", since the metric is of {unit}')


def unit_of(name: str) -> Unit:
    """The unit that the name of an answer's field tells.

    >>> unit_of("exposed_communication_ns"), unit_of("bus_bandwidth"), unit_of("step_per_ns"), unit_of("bytes_share")
    ('ns', 'bytes/s', 'share', 'share')
    """
    if name.endswith(_SHARES):
        return "share"
    if name.endswith("flops_per_s"):
        return "flop/s"
    if name.endswith(("bandwidth", "bytes_per_s")):
        return "bytes/s"
    if name == "ns" or name.endswith("_ns"):
        return "ns"
    if name == "bytes" or name.endswith("_bytes") or name.startswith("bytes_"):
        return "bytes"
    return "count"


def readable(value: float | None, unit: str) -> str:
    """An amount as people read it.

    >>> readable(2_000_000, "ns"), readable(0.1, "share"), readable(3.0, "count"), readable(2.5, "count")
    ('2.00 ms', '10.0%', '3', '2.5')
    """
    if value is None:
        return "–"
    if unit == "ns":
        return duration(round(value))
    if unit == "bytes":
        return size(round(value))
    if unit == "bytes/s":
        return byte_rate(value)
    if unit == "flop/s":
        return flop_rate(value)
    if unit == "share":
        return percent(value)
    return count(round(value)) if value == round(value) else f"{value:,.4g}"


__all__ = ["ADDITIVE", "EXAMPLES", "NotAnAmount", "Unit", "amount", "amount_of", "readable", "unit_of"]
