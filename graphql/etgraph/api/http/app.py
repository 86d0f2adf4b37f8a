"""The server's application: its paths, and what all of them share (guard, request ids, figures, logs)."""

from __future__ import annotations

import io
import re
import time
import uuid
from datetime import timedelta
from functools import partial
from typing import Any

import flask
from graphql import GraphQLSchema
from werkzeug.exceptions import HTTPException

from etgraph.api.access import Audit, Tokens
from etgraph.api.http import logs, pages
from etgraph.api.http import uploads as uploading
from etgraph.api.http.alert_metrics import alert_figures
from etgraph.api.http.answers import encoded
from etgraph.api.http.exports import Exports
from etgraph.api.http.failures import documents_of
from etgraph.api.http.guard import Guard
from etgraph.api.http.jobs import job_view
from etgraph.api.http.metrics import Metrics
from etgraph.api.http.uploads import Uploads
from etgraph.api.http.view import METHODS, GraphQLView
from etgraph.api.http.viewers import ViewerOf, challenge, local_viewer, token_viewer
from etgraph.api.jobs.queue import Queue
from etgraph.api.jobs.spool import spool_of
from etgraph.api.settings import Settings
from etgraph.model.cancelling import deadline
from etgraph.model.errors import EtgraphError
from etgraph.store import Store

REQUEST_ID = "X-Request-Id"
ADMITS = "etgraph-admits"
"""The application's extension that tells a server by the headers of an upload whether to receive its body."""
_ID = re.compile(r"[\w.:-]{1,64}", re.ASCII)
_READY_SECONDS = 5.0


def create_app(
    store: Store,
    schema: GraphQLSchema,
    settings: Settings | None = None,
    *,
    viewer_of: ViewerOf | None = None,
) -> flask.Flask:
    """The WSGI application that answers for a store; `viewer_of` tells who sends a request, else the settings do."""
    settings = settings or Settings()
    tokens = Tokens(lambda: store.records)
    audit = Audit(lambda: store.records, timedelta(days=settings.audit_days))
    if viewer_of is None:
        viewer_of = token_viewer(tokens) if settings.authentication == "tokens" else local_viewer
    app = flask.Flask("etgraph.api", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = settings.limits.body_bytes
    guard = Guard(settings.asked_as, settings.origins)
    metrics = Metrics()
    _share(app, guard, metrics)

    queue = Queue(store.records, settings.jobs)
    view = GraphQLView(store, schema, settings, viewer_of, metrics, tokens=tokens, audit=audit, queue=queue)
    app.add_url_rule("/graphql", "graphql", view, methods=METHODS)
    uploads = _add_rest(app, store, settings, viewer_of, audit, queue)
    app.extensions[ADMITS] = partial(_admits, guard, uploads)
    app.add_url_rule("/graphiql", "graphiql", pages.page)
    app.add_url_rule("/graphiql/<name>", "graphiql-file", pages.file)
    app.add_url_rule("/", "root", lambda: flask.redirect("graphiql"))
    app.add_url_rule("/healthz", "healthz", lambda: _plain("ok\n"))
    app.add_url_rule("/readyz", "readyz", lambda: _ready(store))
    app.add_url_rule("/metrics", "metrics", lambda: _metrics(metrics, store, viewer_of))
    return app


def _add_rest(
    app: flask.Flask, store: Store, settings: Settings, viewer_of: ViewerOf, audit: Audit, queue: Queue
) -> Uploads:
    """The paths for files, which GraphQL does not carry, and for the jobs that ingest them; what takes uploads."""
    spool = spool_of(store.url, settings.jobs.spool)
    uploads = Uploads(store, queue, spool, settings.limits, viewer_of, audit)
    app.add_url_rule(uploading.PATH, "uploads", uploads, methods=["POST"])
    app.add_url_rule(
        f"{uploading.PATH}/<path:reference>/export", "export", Exports(store, settings.limits, viewer_of)
    )  # fmt: skip
    app.add_url_rule(
        "/api/v1/jobs/<job_id>",
        "job",
        lambda job_id: job_view(queue, viewer_of, audit, job_id),
        methods=["GET", "DELETE"],
    )
    return uploads


def _admits(guard: Guard, uploads: Uploads, environ: dict[str, Any]) -> bool:
    """Whether an upload may be received. One that may not is answered by the application, which finds the same."""
    request = flask.Request({**environ, "wsgi.input": io.BytesIO()})
    try:
        guard.check(request)
        uploads.check(request)
    except Exception:
        return False
    return True


def _share(app: flask.Flask, guard: Guard, metrics: Metrics) -> None:
    """What happens before and after every request."""

    @app.before_request
    def begin() -> None:
        given = flask.request.headers.get(REQUEST_ID, "")
        flask.g.request_id = given if _ID.fullmatch(given) else uuid.uuid4().hex
        flask.g.began = time.perf_counter()
        flask.g.fields = {}
        flask.g.headers = {}
        metrics.in_flight.inc()
        flask.g.counted = True
        guard.check(flask.request)

    @app.after_request
    def end(response: flask.Response) -> flask.Response:
        seconds = time.perf_counter() - flask.g.began
        path = flask.request.endpoint or "none"
        metrics.requests.labels(path, response.status_code).inc()
        metrics.seconds.labels(path).observe(seconds)
        response.headers.update(flask.g.headers)
        response.headers[REQUEST_ID] = flask.g.request_id
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
        guard.allow(flask.request, response, METHODS)
        logs.event(
            "request",
            requestId=flask.g.request_id,
            method=flask.request.method,
            path=flask.request.path,
            status=response.status_code,
            ms=round(seconds * 1e3, 3),
            bytes=response.content_length,
            **flask.g.fields,
        )
        return response

    @app.teardown_request
    def leave(error: BaseException | None) -> None:
        if flask.g.pop("counted", False):
            metrics.in_flight.dec()

    @app.errorhandler(Exception)
    def fail(error: Exception) -> flask.Response:
        """Errors outside of GraphQL, in its form."""
        if isinstance(error, HTTPException):
            response = flask.Response(error.get_response(flask.request.environ).get_data())
            response.status_code = error.code or 500
            for name, value in error.get_headers(flask.request.environ):
                response.headers[name] = value
            return response
        errors = documents_of(error, flask.g.request_id)
        status = error.http_status if isinstance(error, EtgraphError) else 500
        metrics.errors.labels(errors[0]["extensions"]["code"]).inc()
        body = encoded({"errors": errors, "extensions": {"requestId": flask.g.request_id}})
        headers = {**getattr(error, "headers", {}), **challenge(error, flask.request)}
        return flask.Response(body, status, headers, mimetype="application/json")


def _ready(store: Store) -> flask.Response:
    """Whether the store answers."""
    try:
        with deadline(_READY_SECONDS):
            failed = [check.name for check in store.health() if not check.ok]
    except EtgraphError as error:
        logs.LOG.warning("not ready", exc_info=error)
        failed = ["store"]
    return _plain(f"not ready: {', '.join(failed)}\n", 503) if failed else _plain("ready\n")


def _metrics(metrics: Metrics, store: Store, viewer_of: ViewerOf) -> flask.Response:
    """The server's figures, for whoever is known to it: they hold no names but of alerts that the viewer may read.

    Where the store cannot be asked, the others are told alone.
    """
    viewer = viewer_of(flask.request)
    try:
        with deadline(_READY_SECONDS):
            of_alerts = alert_figures(store, viewer)
    except EtgraphError as error:
        logs.LOG.warning("no figures of alerts", exc_info=error)
        of_alerts = b""
    return _plain(metrics.text() + of_alerts)


def _plain(text: str | bytes, status: int = 200) -> flask.Response:
    response = flask.Response(text, status, content_type="text/plain; version=0.0.4; charset=utf-8")
    response.headers["Cache-Control"] = "no-store"
    return response


__all__ = ["ADMITS", "REQUEST_ID", "create_app"]
