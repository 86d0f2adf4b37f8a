"""Stores keep traces and a catalogue that names them. `connect(url)` opens one."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from etgraph.model.errors import UsageError
from etgraph.store.protocol import ArtefactInfo, Check, IterationInfo, Problem, Store, TraceInfo, WorkloadInfo
from etgraph.store.references import split_iterations
from etgraph.store.summary import describe

__all__ = [
    "ArtefactInfo",
    "Check",
    "IterationInfo",
    "Problem",
    "Store",
    "TraceInfo",
    "WorkloadInfo",
    "connect",
    "describe",
    "split_iterations",
]


def connect(url: str | os.PathLike[str]) -> Store:
    """Open a store: a folder, as a path or a `file://` URL.

    A folder that does not exist is an empty store, made when something is first published. Raises UsageError for a
    scheme that this version does not have, StoreError for a folder that cannot be a store.
    """
    text = os.fspath(url)
    if not text:
        raise UsageError("store: found an empty name, expected a folder or a URL")
    scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]*)://", text)
    if scheme is None:
        path = Path(text).expanduser()
    elif scheme[1].lower() == "file":
        parts = urlsplit(text)
        if parts.netloc not in ("", "localhost"):
            raise UsageError(f"store {text}: found host {parts.netloc!r}, expected file:///path")
        path = Path(unquote(parts.path))
    else:
        raise UsageError(
            f"store {text}: scheme {scheme[1]}:// is not available in this version; a path and file:// are"
        )
    from etgraph.store.local.store import LocalStore

    return LocalStore(path)
