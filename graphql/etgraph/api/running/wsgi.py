"""The API for servers that start it themselves: `gunicorn 'etgraph.api.running.wsgi:application()'`."""

from __future__ import annotations

import os

import flask

from etgraph.api.http import logs
from etgraph.api.http.app import create_app
from etgraph.api.running.preparing import prepare
from etgraph.api.running.serving import the_schema
from etgraph.api.settings import load
from etgraph.model.errors import UsageError
from etgraph.store import connect


def application() -> flask.Flask:
    """The application over the store of `ETGRAPH_STORE`, with the settings of `etgraph.api.settings`.

    Raises UsageError where no store is named.
    """
    url = os.environ.get("ETGRAPH_STORE")
    if not url:
        raise UsageError("ETGRAPH_STORE: found nothing, expected the store to serve")
    logs.start_to_stderr()
    settings = load(None, os.environ)
    if settings.prepare:
        prepare()
    return create_app(connect(url), the_schema(), settings)


__all__ = ["application"]
