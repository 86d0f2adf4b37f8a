"""A generated Chakra file of ten million nodes, so that growth that is not linear shows."""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.chakra import print_growth

NODES = (10**6, 10**7)


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory(prefix="etgraph-chakra-") as name:
        print_growth(Path(name), NODES)
