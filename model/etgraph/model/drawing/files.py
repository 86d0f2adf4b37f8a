"""A chart in a file, whose ending says what it is: a picture or a page."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Final

from etgraph.model.drawing.charts import Chart
from etgraph.model.errors import UsageError

_DRAWERS: Final = {
    **dict.fromkeys((".png", ".svg", ".pdf"), ("matplotlib", "etgraph.model.drawing.pictures")),
    **dict.fromkeys((".html", ".htm"), ("plotly", "etgraph.model.drawing.pages")),
}
"""What draws files of an ending: the library that it needs, and the module with a function `write`."""


def check_file(path: Path) -> None:
    """Raise UsageError for an ending that no drawing has, and where the library that draws it is not installed."""
    _drawer(path)


def draw(chart: Chart, path: Path) -> None:
    """Draw into a file: `.png`, `.svg` and `.pdf` are pictures, `.html` is a page that needs no network.

    Raises what `check_file` does, and OSError where the file cannot be written.
    """
    importlib.import_module(_drawer(path)).write(chart, path)


def _drawer(path: Path) -> str:
    ending = path.suffix.lower()
    if ending not in _DRAWERS:
        raise UsageError(f"{path}: found the ending {ending!r}, expected .png, .svg, .pdf or .html")
    library, module = _DRAWERS[ending]
    needed(library, f"a plot as {ending}")
    return module


def needed(library: str, what: str) -> None:
    """Raise UsageError where a library that draws is not installed."""
    try:
        importlib.import_module(library)
    except ImportError:
        raise UsageError(
            f"{what} needs {library}, which is not installed", hint="pip install 'etgraph[plots]'"
        ) from None
