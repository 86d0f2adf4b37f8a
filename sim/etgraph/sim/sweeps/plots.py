"""Plots of a sweep in files."""

from __future__ import annotations

from pathlib import Path

from etgraph.model.drawing import check_file, draw
from etgraph.sim.sweeps.charts import chart_of
from etgraph.sim.sweeps.sweep import Sweep


def plot(sweep: Sweep, path: Path, title: str) -> None:
    """Draw a sweep into a file: `.png`, `.svg` and `.pdf` are pictures, `.html` is a page that needs no network.

    Raises UsageError for another ending and where what draws it is not installed, and MissingData where no point could
    be predicted.
    """
    check_file(path)
    draw(chart_of(sweep, title), path)
