"""The files of the collection of real traces, or of the samples in its place; each read once a test run."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from etgraph.ingest import read
from etgraph.model import Trace


@cache
def read_once(path: Path) -> Trace:
    """The trace of a file or folder that no test changes."""
    return read(path)


def kineto_files(folder: Path) -> list[Path]:
    """Every Kineto file of the collection, without the near-copies of the repeated runs."""
    return [
        p for p in sorted(folder.rglob("*.json*"))
        if ("et_" not in p.name and "_et" not in str(p.parent) and "eg_" not in p.name and "chakra" not in str(p))
        and p.name != "manifest.json" and "whatif" not in str(p) and "series" not in str(p)
        and "resnet_1gpu_et" not in p.name and "pt2_et" not in p.name
    ]  # fmt: skip
