"""A Kineto file of ten million events, a real one repeated, so that growth that is not linear shows."""

from __future__ import annotations

from benchmarks.collection import large_kineto_files
from benchmarks.reading import print_growth

TIMES = (10, 92)


def main() -> None:
    """Print the table."""
    print_growth(large_kineto_files()[0], TIMES)
