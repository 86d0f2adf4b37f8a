"""Colours that colour-blind readers tell apart, and what each of them stands for in every picture."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

BLACK, ORANGE, SKY, GREEN, YELLOW, BLUE, VERMILION, PURPLE = (
    "#000000", "#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7",
)  # fmt: skip
"""The palette of M. Okabe and K. Ito, "Color Universal Design" (2008)."""
GREY, DARK_GREY = "#9a9a9a", "#5f5f5f"
"""What belongs to no category, and wholes: both can be seen on white and on black."""
CYCLE: Final = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, BLACK, YELLOW)
"""For things without a colour of their own, in their order."""

CATEGORIES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "computation": GREEN,
        "communication": PURPLE,
        "memory": ORANGE,
        "cpu": BLUE,
        "launch": SKY,
        "idle": VERMILION,
    }
)
"""The colour of each category of time, in the order in which legends name them."""

MORE, LESS = "#b2182b", "#2166ac"
"""Time added and time saved: the ends of ColorBrewer's RdBu, which are none of the categories' colours."""
