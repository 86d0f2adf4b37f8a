"""What is noted of the server that was started: where it listens, which process it is, where its password is.

This module imports nothing heavy, so that a store can ask it whenever it connects.
"""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import asdict, dataclass, fields
from pathlib import Path

USER = "neo4j"
LOOPBACK = {"127.0.0.1", "localhost", "::1", "[::1]"}


@dataclass(frozen=True, slots=True)
class State:
    """A server that was started; `pid` is None once it was stopped."""

    release: str
    version: str
    port: int
    http_port: int
    memory: int
    java: str
    started: str
    pid: int | None = None
    pid_created: float | None = None
    """When the process began, in seconds since 1970: another process may have its number one day."""


def server_folder() -> Path:
    """Where the server of this user keeps its data."""
    from platformdirs import user_data_path

    return user_data_path("etgraph", appauthor=False) / "neo4j"


def password_file(folder: Path) -> Path:
    """The file that holds the password and nothing else."""
    return folder / "password"


def read_state(folder: Path) -> State | None:
    """What was noted; None where nothing was, or nothing that can be read."""
    try:
        document = json.loads((folder / "server.json").read_text("utf-8"))
        return State(**{field.name: document[field.name] for field in fields(State)})
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_state(folder: Path, state: State) -> None:
    """Note it, as a whole or not at all."""
    write_private(folder / "server.json", json.dumps(asdict(state), indent=2) + "\n")


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read; it is there as a whole or not at all."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


def read_password(folder: Path) -> str | None:
    """The password; None where there is no file that can be read."""
    try:
        return password_file(folder).read_text("utf-8").strip() or None
    except OSError:
        return None


def local_credentials(host: str, port: int, folder: Path | None = None) -> tuple[str, str] | None:
    """User and password of the server that `etgraph neo4j start` started, if it is the one at this address."""
    if host.lower() not in LOOPBACK:
        return None
    folder = server_folder() if folder is None else folder
    state = read_state(folder)
    if state is None or state.pid is None or state.port != port:
        return None
    from etgraph.store.neo4j_server import process

    # No password goes to a port that may be somebody else's by now.
    if process.find(state, folder / state.release) is None:
        return None
    password = read_password(folder)
    return (USER, password) if password else None
