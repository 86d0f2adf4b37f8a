"""An empty store of a kind for all tests of a module, where a store for each test would take too long."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from etgraph.store import Store, connect


@contextmanager
def emptied(request: pytest.FixtureRequest, folder: Path) -> Iterator[Store]:
    """The store of the kind that is the fixture's parameter: `local`, in that folder, or `neo4j`."""
    if request.param == "local":
        with connect(folder / "store") as store:
            yield store
        return
    server = request.getfixturevalue("neo4j_server")
    server.empty()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ETGRAPH_NEO4J_USER", server.user)
        patch.setenv("ETGRAPH_NEO4J_PASSWORD", server.password)
        with connect(server.uri) as store:
            yield store
