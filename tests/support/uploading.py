"""Uploads for tests: small trace files, an application to send them to, and workers that do the jobs."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flask import Flask
from werkzeug.test import TestResponse

from etgraph.api.jobs.job import Job
from etgraph.api.jobs.queue import Queue
from etgraph.api.jobs.rules import Rules
from etgraph.api.jobs.spool import Spool, spool_of
from etgraph.api.jobs.worker import Worker
from etgraph.api.limits import Limits
from etgraph.api.settings import Settings
from etgraph.store import Store


def kineto(name: str = "aten::mm", rank: int = 0, world_size: int = 1) -> bytes:
    """A Kineto file of one operator."""
    event = {"ph": "X", "cat": "cpu_op", "name": name, "pid": 1, "tid": 1, "ts": 10, "dur": 5}
    document = {"distributedInfo": {"rank": rank, "world_size": world_size}, "traceEvents": [event]}
    return json.dumps(document).encode()


def step(*names: str) -> bytes:
    """A Kineto file of operators one after another, in one step."""
    events = [
        {"ph": "X", "cat": "cpu_op", "name": name, "pid": 1, "tid": 1, "ts": 10 + 10 * place, "dur": 5}
        for place, name in enumerate(names)
    ]
    whole = {"ph": "X", "cat": "user_annotation", "name": "ProfilerStep#1", "pid": 1, "tid": 1, "ts": 5, "dur": 1000}
    document = {"distributedInfo": {"rank": 0, "world_size": 1}, "traceEvents": [whole, *events]}
    return json.dumps(document).encode()


def send(app: Flask, files: Mapping[str, bytes], *, headers: Any = (), **fields: Any) -> TestResponse:
    """Upload files as a form; `label` may be a list."""
    form: dict[str, Any] = {**fields, "file": [(io.BytesIO(data), name) for name, data in files.items()]}
    with app.test_client() as client:
        return client.post("/api/v1/traces", data=form, content_type="multipart/form-data", headers=dict(headers))


def send_body(app: Flask, body: bytes, kind: str = "application/octet-stream", **more: Any) -> TestResponse:
    """Upload a file as the body; `headers`, and the fields as query."""
    headers = dict(more.pop("headers", {}))
    with app.test_client() as client:
        return client.post("/api/v1/traces", data=body, content_type=kind, headers=headers, query_string=more)


def job_in(response: TestResponse) -> dict[str, Any]:
    """The job of an answer."""
    assert response.json is not None
    assert "job" in response.json, response.json
    found: dict[str, Any] = response.json["job"]
    return found


def do_all(store: Store, spool: Path | None = None, **more: Any) -> None:
    """Do the jobs that wait, in this thread."""
    worker_of(store, spool, **more).run(once=True)


def worker_of(store: Store, spool: Path | None = None, *, limits: Limits | None = None, **rules: Any) -> Worker:
    """A worker of a store; a store in Neo4j needs to be told a spool."""
    return Worker(store, Settings(limits=limits or Limits(), jobs=Rules(spool=str(spool or ""), **rules)))


@contextmanager
def working(store: Store, spool: Path | None = None) -> Iterator[Worker]:
    """A worker that does a store's jobs while the block runs."""
    worker = worker_of(store, spool)
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        yield worker
    finally:
        worker.stop()
        thread.join()


def job(store: Store, job_id: str) -> Job:
    """The job of that id."""
    return Queue(store.records).get(job_id)


def left_in(spool: Spool | Store) -> list[str]:
    """The folders of uploads in a spool, or in that of a local store."""
    folder = (spool if isinstance(spool, Spool) else spool_of(spool.url)).folder
    return sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.exists() else []
