"""A Neo4j server as JSON and in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import RenderableType

from etgraph.cli.units import moment, printable, size
from etgraph.cli.views.tables import facts

if TYPE_CHECKING:
    from etgraph.store.neo4j_server.server import Server


def server_document(server: Server) -> dict[str, Any]:
    """What is known of a server. The password is in a file, and only the file is named."""
    state = server.state
    return {
        "running": server.running,
        "release": state.release if state else None,
        "version": state.version if state else None,
        "uri": server.uri,
        "browser": server.browser,
        "user": server.user,
        "passwordFile": str(server.password_file) if server.password_file.exists() else None,
        "folder": str(server.home) if server.home else None,
        "pid": state.pid if state else None,
        "started": state.started if state and server.running else None,
        "memoryBytes": state.memory if state else None,
        "residentBytes": server.resident,
        "java": state.java if state else None,
    }


def server_view(server: Server) -> RenderableType:
    """A running server, and how to use it."""
    state = server.state
    assert state is not None
    holds = f", holds {size(server.resident)}" if server.resident else ""
    return facts(
        [
            ("server", f"Neo4j {printable(state.version)}, process {state.pid}"),
            ("uri", server.uri or ""),
            ("browser", server.browser or ""),
            ("user", server.user),
            ("password", f"in {server.password_file}"),
            ("data", str(server.home)),
            ("started", moment(state.started)),
            ("memory", f"bounded to about {size(state.memory)}{holds}"),
            ("java", printable(state.java)),
        ]
    )
