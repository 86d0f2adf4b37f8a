"""The files of the collection of real traces, or of the samples in its place."""

from __future__ import annotations

from pathlib import Path


def kineto_files(folder: Path) -> list[Path]:
    """Every Kineto file of the collection, without the near-copies of the repeated runs."""
    return [
        p for p in sorted(folder.rglob("*.json*"))
        if ("et_" not in p.name and "_et" not in str(p.parent) and "eg_" not in p.name and "chakra" not in str(p))
        and p.name != "manifest.json" and "whatif" not in str(p) and "series" not in str(p)
        and "resnet_1gpu_et" not in p.name and "pt2_et" not in p.name
    ]  # fmt: skip
