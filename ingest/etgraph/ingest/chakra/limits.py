"""Which times of a Chakra file are times of operators; others are kept as they are, beside the columns."""

from __future__ import annotations

from typing import Final

from etgraph.ingest.digits import LATEST_NS

LONGEST_MICROS: Final = 366 * 86_400 * 10**6
"""No operator takes longer than this."""
EARLIEST_NS: Final = LATEST_NS
"""Times lie this far around zero at most, so that their differences fit into 64 bits."""
LATEST_MICROS: Final = EARLIEST_NS // 1000 - 1
"""The latest start in whole microseconds, in the year 2116."""
