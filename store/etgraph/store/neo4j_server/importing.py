"""Filling the database of the server on this machine from files, while the server does not run."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from etgraph.model.errors import UsageError
from etgraph.store.neo4j_server import artifacts, server
from etgraph.store.neo4j_server.errors import ServerError
from etgraph.store.neo4j_server.releases import DEFAULT, release_of
from etgraph.store.neo4j_server.state import read_state, server_folder

DATABASE: Final = "neo4j"
"""The one database of the Community edition."""
ARGUMENTS: Final = "import.args"
"""The file of an export that holds the tool's arguments; its paths are seen from its folder."""
SECONDS: Final = 24 * 3600.0


def import_files(
    source: Path,
    *,
    release: str | None = None,
    overwrite: bool = False,
    folder: Path | None = None,
    say: server.Say = lambda text: None,
    progress: server.Say = lambda text: None,
) -> str:
    """Run `neo4j-admin database import full` on the files of an export; returns what it prints.

    The database must not exist, unless it is to be overwritten with all that is in it; one whose import failed is of
    no use. `say` is told of the licences the first time, `progress` of each step. Raises UsageError for a folder that
    is no such export, ServerError where the server runs, the database exists, or the import fails.
    """
    if not (source / ARGUMENTS).is_file():
        raise UsageError(
            f"{source}: found no {ARGUMENTS}, expected an export for Neo4j",
            hint="'etgraph export TRACE... --format neo4j-csv -o FOLDER' makes one",
        )
    folder = server_folder() if folder is None else folder
    if server.status(folder).running:
        raise ServerError(
            "the Neo4j server runs, and files can only be imported while it does not",
            hint="'etgraph neo4j stop' stops it; its data stays",
        )
    last = read_state(folder)
    chosen = release_of(release or (last.release if last else DEFAULT))
    home = folder / chosen.name
    if not overwrite and (home / "data" / "databases" / DATABASE).exists():
        raise ServerError(
            f"the server's database in {home} exists already",
            hint="--overwrite replaces it, and all that is in it is lost",
        )
    server.tell_licence(home, chosen, say)
    artifacts.jars(chosen, progress)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    options = ["--overwrite-destination"] if overwrite else []
    progress(f"importing {source.name or source}")
    return server.admin(
        "database", "import", "full", DATABASE, f"--report-file={home / 'logs' / 'import.report'}", *options,
        f"@{ARGUMENTS}",
        release=chosen.name, folder=folder, seconds=SECONDS, place=source,
    )  # fmt: skip
