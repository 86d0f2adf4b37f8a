"""Stores keep traces and a catalogue that names them. `connect(url)` opens one."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from etgraph.model.accuracy import Score, Validation
from etgraph.model.errors import UsageError
from etgraph.store.protocol import (
    ArtefactInfo,
    Check,
    IterationInfo,
    Problem,
    Store,
    TraceInfo,
    WorkloadInfo,
)
from etgraph.store.references import split_iterations
from etgraph.store.summary import describe, entry_of

NEO4J_SCHEMES: Final = ("neo4j", "neo4j+s", "neo4j+ssc", "bolt", "bolt+s", "bolt+ssc")
"""`+s` encrypts and verifies the server's certificate; `+ssc` encrypts and accepts any, and must be asked for."""

__all__ = [
    "ArtefactInfo",
    "Check",
    "IterationInfo",
    "Problem",
    "Score",
    "Store",
    "TraceInfo",
    "Validation",
    "WorkloadInfo",
    "connect",
    "describe",
    "entry_of",
    "split_iterations",
]


def connect(url: str | os.PathLike[str]) -> Store:
    """Open a store: a folder, as a path or a `file://` URL, or a database of a Neo4j server.

    A folder that does not exist is an empty store, made when something is first published. A server's URL is
    `neo4j://[user:password@]host[:port][/database]`, or `bolt://` for that one server; `+s` after the scheme encrypts,
    `+ssc` does too and accepts any certificate. The password is better kept in `ETGRAPH_NEO4J_PASSWORD` (the user in
    `ETGRAPH_NEO4J_USER`); a server that `etgraph neo4j start` runs needs neither.

    Raises UsageError for a malformed URL, StoreError for a folder that cannot be a store, StoreUnavailable for a
    server that does not answer.
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
    elif scheme[1].lower() in NEO4J_SCHEMES:
        from etgraph.store.neo4j.store import Neo4jStore

        return Neo4jStore(text)
    else:
        raise UsageError(
            f"store {scheme[1]}://…: found an unknown scheme, expected a path, file:// or {'://, '.join(NEO4J_SCHEMES)}://"
        )
    from etgraph.store.local.store import LocalStore

    return LocalStore(path)
