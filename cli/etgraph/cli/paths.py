"""Telling a path from the name of a stored trace."""

from __future__ import annotations

import os
from pathlib import Path

from etgraph.store.references import FILE_ENDING


def looks_like_a_path(reference: str) -> bool:
    """Whether a reference is spelled as only paths are: from a root, with a folder's slash, or a trace file's ending.

    A slash in the middle does not tell, since a workload may be called `ads/dlrm`.

    >>> [looks_like_a_path(r) for r in ("./runs", "~/runs", "runs/", "t.json.gz", "gpt", "ads/dlrm", "gpt@v1.2")]
    [True, True, True, True, False, False, False]
    """
    separators = (os.sep, os.altsep or os.sep)
    return (
        reference in (".", "..")
        or reference.startswith(("~", *(start + s for start in ("", ".", "..") for s in separators)))
        or reference.endswith(separators)
        or FILE_ENDING.search(reference) is not None
    )


def as_path(reference: str) -> Path | None:
    """The path that a reference is, None where it names a stored trace. What exists on disk is a path."""
    path = Path(reference).expanduser() if reference.startswith("~") else Path(reference)
    try:
        exists = path.exists()
    except (OSError, ValueError):
        exists = False
    return path if reference and (exists or looks_like_a_path(reference)) else None
