"""Serving a store: the application and its server until a signal ends them."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from graphql import GraphQLSchema

from etgraph.api.http import logs
from etgraph.api.http.app import create_app
from etgraph.api.jobs.process import Workers
from etgraph.api.jobs.spool import spool_of
from etgraph.api.running.preparing import prepare
from etgraph.api.running.server import Server
from etgraph.api.settings import Settings
from etgraph.store import Store


def the_schema() -> GraphQLSchema:
    """etgraph's own schema."""
    from etgraph.api.schema import SCHEMA

    found: GraphQLSchema = SCHEMA.graphql_schema
    return found


def serve(
    store: Store,
    settings: Settings,
    *,
    schema: GraphQLSchema | None = None,
    ready: Callable[[str], Any] | None = None,
    store_url: str | None = None,
    quiet: bool = False,
) -> None:
    """Answer for a store until SIGTERM or SIGINT; requests that run then are answered. `ready` is told the URL.

    etgraph's own schema is prepared first, if the settings do not say otherwise; requests wait meanwhile. Workers do
    the jobs; they connect to `store_url`, where the store's own URL lacks a password. Raises ServerError where the
    address cannot be had.
    """
    server = Server(
        create_app(store, schema or the_schema(), settings), settings, spool_of(store.url, settings.jobs.spool)
    )
    with _stopped_by_signals(server), Workers(store_url or store.url, settings, quiet=quiet):
        if schema is None and settings.prepare:
            prepare()
        logs.event("listening", url=server.url, store=store.url)
        if ready is not None:
            ready(server.url)
        server.run()


@contextmanager
def _stopped_by_signals(server: Server) -> Iterator[None]:
    def stop(number: int, frame: FrameType | None) -> None:
        server.stop()

    before = {each: signal.signal(each, stop) for each in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


__all__ = ["serve", "the_schema"]
