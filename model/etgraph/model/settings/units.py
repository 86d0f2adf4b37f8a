"""Quantities with units: `"3.35 TB/s"` as a number in the base unit, and back without loss."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, localcontext
from types import MappingProxyType
from typing import Final

_TEXT = re.compile(r"^\s*([+-]?[0-9][0-9_]*(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)\s*(\S.*?)?\s*$")
_DIGITS = 60
"""Enough for a product of a number and a unit to be exact."""
_MOST_POWER = 400
"""Powers of ten beyond those of every float."""
MOST_INTEGER: Final = 2**53
"""Integers up to here are numbers in JSON, too."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """A kind of figure: its units with their factors to the base unit, the first of each factor being the one to write.

    `suffix` is how names of dataclass fields say the base unit (`_ns`); in files the unit says it itself. A figure that
    is `positive` is more than nothing.
    """

    name: str
    suffix: str
    units: Mapping[str, Decimal]
    example: str
    positive: bool = False

    def expected(self) -> str:
        """What a figure of this kind looks like."""
        article = "an" if self.name[0] in "aeiou" else "a"
        return f'{article} {self.name} such as "{self.example}"'


def _scaled(bases: Mapping[str, int], prefixes: str, *, step: int = 1000) -> dict[str, Decimal]:
    """Units with prefixes, each three powers of ten above the last one; a dot stands for none."""
    return {
        f"{'' if prefix == '.' else prefix}{base}": Decimal(step) ** power * factor
        for base, factor in bases.items()
        for power, prefix in enumerate(prefixes)
    }


_BYTES = {
    **_scaled({"B": 1}, ".kMGTP"),
    **{f"{prefix}iB": Decimal(1024) ** power for power, prefix in enumerate("KMGTP", start=1)},
}
_BITS = {unit: factor / 8 for unit, factor in _scaled({"bit/s": 1, "b/s": 1, "bps": 1}, ".kMGT").items()}
_OPERATIONS = _scaled({"FLOP/s": 1, "FLOPS": 1, "FLOPs": 1, "OP/s": 1, "OPS": 1}, ".kMGTP")
_SECONDS = {"ns": Decimal(1), "us": Decimal(10**3), "µs": Decimal(10**3), "ms": Decimal(10**6), "s": Decimal(10**9)}


def _kind(name: str, suffix: str, units: Mapping[str, Decimal], example: str, *, positive: bool = False) -> Quantity:
    return Quantity(name, suffix, MappingProxyType(dict(units)), example, positive)


RATE: Final = _kind("rate of operations", "", _OPERATIONS, "989.4 TFLOP/s", positive=True)
BANDWIDTH: Final = _kind(
    "bandwidth", "", {f"{unit}/s": factor for unit, factor in _BYTES.items()} | _BITS, "3.35 TB/s", positive=True
)
SIZE: Final = _kind("size", "_bytes", _BYTES, "80 GB")
TIME: Final = _kind("time", "_ns", _SECONDS, "4 us")
TIME_PER_BYTE: Final = _kind(
    "time per byte", "_ns_per_byte", {f"{unit}/B": factor for unit, factor in _SECONDS.items()}, "0.02 ns/B"
)
POWER: Final = _kind("power", "_watts", {"W": Decimal(1), "kW": Decimal(1000)}, "700 W", positive=True)
PRICE: Final = _kind("price per hour of a device", "_per_hour", {"USD/h": Decimal(1), "$/h": Decimal(1)}, "2.99 USD/h")

QUANTITIES: Final = (RATE, BANDWIDTH, SIZE, TIME, TIME_PER_BYTE, POWER, PRICE)


class NotAQuantity(ValueError):
    """A text is no figure of the kind; `hint` says which unit comes near."""

    def __init__(self, expected: str, hint: str | None = None) -> None:
        super().__init__(expected)
        self.expected = expected
        self.hint = hint


def parse(text: str, quantity: Quantity) -> Decimal:
    """The figure in the base unit, exact. Units are case-sensitive: b is a bit, B a byte.

    GB is 10⁹ bytes and GiB 2³⁰ wherever they stand. Raises NotAQuantity.

    >>> parse("3.35 TB/s", BANDWIDTH), parse("400 Gbit/s", BANDWIDTH), parse("80 GiB", SIZE)
    (Decimal('3350000000000.00'), Decimal('50000000000'), Decimal('85899345920'))
    """
    match = _TEXT.match(text)
    if not match:
        raise NotAQuantity(quantity.expected())
    number, unit = match.groups()
    if unit is None:
        raise NotAQuantity(quantity.expected(), hint=f"add the unit: {', '.join(main_units(quantity))}")
    if unit not in quantity.units:
        raise NotAQuantity(quantity.expected(), hint=_near(unit, quantity))
    exact = Decimal(number.replace("_", ""))
    if exact and abs(exact.adjusted()) > _MOST_POWER:
        raise NotAQuantity(f"{quantity.expected()}, of a size that exists")
    with localcontext(prec=_DIGITS):
        return exact * quantity.units[unit]


def _near(unit: str, quantity: Quantity) -> str:
    near = [known for known in quantity.units if known.lower() == unit.lower()]
    near = near or difflib.get_close_matches(unit, quantity.units, n=1)
    known = f"did you mean {near[0]!r}? " if near else ""
    return f"{known}units are {', '.join(main_units(quantity))}"


def main_units(quantity: Quantity) -> tuple[str, ...]:
    """The units of a quantity, without other spellings of the same."""
    first: dict[Decimal, str] = {}
    for unit, factor in quantity.units.items():
        first.setdefault(factor, unit)
    return tuple(first.values())


def write(value: float, quantity: Quantity) -> str:
    """A figure in the base unit as people write it, exact: `parse` gives the same number.

    >>> write(3.35e12, BANDWIDTH), write(85899345920, SIZE), write(4000, TIME), write(2.5, TIME)
    ('3.35 TB/s', '80 GiB', '4 us', '2.5 ns')
    """
    exact = Decimal(value) if isinstance(value, int) else Decimal(repr(float(value)))
    with localcontext(prec=_DIGITS):
        options = [
            (number, unit)
            for unit in main_units(quantity)
            if (number := exact / quantity.units[unit]) * quantity.units[unit] == exact
        ]
    least, unit = min(options, key=lambda option: _clumsiness(*option))
    return f"{_plain(least)} {unit}"


def _clumsiness(number: Decimal, unit: str) -> tuple[bool, bool, int, bool]:
    """Numbers from 1 to 999 are the best ones, then those of bytes, then short ones, then those in decimal units."""
    return not (1 <= abs(number) < 1000), "bit" in unit, len(_plain(number)), "i" in unit


def _plain(number: Decimal) -> str:
    if not number:
        return "0"
    number = number.normalize()
    return f"{number:f}" if -8 < number.adjusted() < 16 else f"{number:e}"


__all__ = [
    "BANDWIDTH",
    "MOST_INTEGER",
    "POWER",
    "PRICE",
    "QUANTITIES",
    "RATE",
    "SIZE",
    "TIME",
    "TIME_PER_BYTE",
    "NotAQuantity",
    "Quantity",
    "main_units",
    "parse",
    "write",
]
