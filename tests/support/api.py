"""An application over a small store for tests, asked in the process or at a real port."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flask import Flask
from graphql import GraphQLSchema
from werkzeug.test import TestResponse

from etgraph.api.http.app import create_app
from etgraph.api.http.viewers import ViewerOf, local_viewer
from etgraph.api.jobs.spool import Spool
from etgraph.api.limits import Limits
from etgraph.api.running.server import Server
from etgraph.api.settings import Settings
from etgraph.store import Store
from support import api_schema

GRAPHQL = "application/graphql-response+json"


def application(
    store: Store, *, viewer_of: ViewerOf = local_viewer, schema: GraphQLSchema | None = None, **changes: Any
) -> Flask:
    """An application with the tests' schema; changes are those of settings, `limits` as a dictionary."""
    limits = Limits(**changes.pop("limits", {}))
    return create_app(store, schema or api_schema.schema(), Settings(limits=limits, **changes), viewer_of=viewer_of)


def post(app: Flask, query: str | None, *, accept: str = GRAPHQL, headers: Any = (), **more: Any) -> TestResponse:
    """Send a document by POST; further keywords are parameters of the request."""
    body = {name: value for name, value in {"query": query, **more}.items() if value is not None}
    with app.test_client() as client:
        return client.post("/graphql", json=body, headers={"Accept": accept, **dict(headers)})


def get(app: Flask, query: str, *, accept: str = GRAPHQL, headers: Any = (), **more: Any) -> TestResponse:
    """Send a document by GET."""
    with app.test_client() as client:
        return client.get(
            "/graphql", query_string={"query": query, **more}, headers={"Accept": accept, **dict(headers)}
        )


def codes(response: TestResponse) -> list[str]:
    """The codes of an answer's errors."""
    assert response.json is not None
    return [error["extensions"]["code"] for error in response.json["errors"]]


@contextmanager
def serving(app: Flask, spool: Spool | None = None, **changes: Any) -> Iterator[str]:
    """The application at a free port of this machine; gives the server's address."""
    limits = Limits(**changes.pop("limits", {}))
    server = Server(app, Settings(port=0, limits=limits, **changes), spool)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield server.url
    finally:
        server.stop()
        thread.join()
