"""Exports: a stored trace as a file that other tools read, by the writers of `etgraph export`."""

from __future__ import annotations

import json
import re
import tarfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import flask
from werkzeug.wsgi import wrap_file

from etgraph.api.access import TeamStore, require, view_of
from etgraph.api.errors import Busy, CostExceeded
from etgraph.api.http.viewers import ViewerOf
from etgraph.api.limits import Limits
from etgraph.ingest.scratch import Scratch
from etgraph.ingest.writers import FOLDERS, TIMELINES, WRITERS, Written, write
from etgraph.model import Trace, cancelling
from etgraph.model.cancelling import deadline
from etgraph.model.errors import UsageError
from etgraph.queries.shown_path import path_to_show
from etgraph.store import Store, split_iterations

if TYPE_CHECKING:
    import pyarrow as pa

AT_ONCE: Final = 2
"""Exports that are written at the same time; further ones are told to come again."""
_LOOK_SECONDS: Final = 0.2
ENDINGS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "networkx": (".json", "application/json"),
        "graphml": (".graphml", "application/xml"),
        "dot": (".dot", "text/vnd.graphviz; charset=utf-8"),
        "perfetto": (".perfetto-trace", "application/octet-stream"),
        "chrome": (".json", "application/json"),
        "speedscope": (".speedscope.json", "application/json"),
    }
)
"""Ending and media type of the formats that are one file; the others are folders, and sent as tar archives."""
WRITTEN: Final = "Etgraph-Written"
"""Header that says what an export holds: an object with the fields of `etgraph.ingest.writers.Written`."""
_TAR: Final = (".tar", "application/x-tar")


class Exports:
    """Answers `GET /api/v1/traces/REFERENCE/export?format=FORMAT`."""

    def __init__(self, store: Store, limits: Limits, viewer_of: ViewerOf) -> None:
        self._store = store
        self._limits = limits
        self._viewer_of = viewer_of
        self._places = threading.BoundedSemaphore(AT_ONCE)

    def __call__(self, reference: str) -> flask.Response:
        """The response to Flask's current request."""
        viewer = self._viewer_of(flask.request)
        flask.g.fields |= {"viewer": viewer.name, "token": viewer.token}
        require(viewer, "read")
        format = flask.request.args.get("format", "")
        if format not in WRITERS:
            found = repr(format[:40]) if format else "nothing"
            raise UsageError(f"format: found {found}, expected one of {', '.join(WRITERS)}")
        if not self._places.acquire(blocking=False):
            raise Busy(f"{AT_ONCE} exports are being written", hint="try again soon")
        try:
            with Scratch() as scratch, deadline(self._limits.export_time_ns / 1e9):
                return self._response(view_of(self._store, viewer), reference, format, scratch)
        finally:
            self._places.release()

    def _response(self, store: TeamStore, reference: str, format: str, scratch: Scratch) -> flask.Response:
        name, iterations = split_iterations(reference)
        entry = store.find(name)
        trace = store.load(entry.id)
        simulator = flask.request.args.get("for")
        timeline = format in TIMELINES and simulator is None
        path, notes = path_to_show(trace, iterations) if timeline else (None, [])
        shown = trace if iterations is None else trace.select_iterations(iterations)
        target, written = _written(shown, format, scratch, self._limits.export_bytes, path, simulator)
        ending, media = ENDINGS.get(format, _TAR)
        file = target.open("rb")  # which outlives the name, so that nothing is left to delete
        response = flask.Response(
            wrap_file(flask.request.environ, file, 1 << 18), mimetype=None, content_type=media, direct_passthrough=True
        )  # fmt: skip
        response.content_length = target.stat().st_size
        response.headers["Content-Disposition"] = f'attachment; filename="{_name(entry.workload, entry.id)}{ending}"'
        response.headers["Cache-Control"] = "no-store"
        told = {name: getattr(written, name) for name in ("operators", "dependencies", "bytes", "replaced")}
        response.headers[WRITTEN] = json.dumps(told | {"notes": [*written.notes, *notes]})
        return response


def _written(
    trace: Trace, format: str, scratch: Scratch, most: int, path: pa.Table | None, simulator: str | None
) -> tuple[Path, Written]:
    """The export as one file, and what it holds. Raises CostExceeded where it becomes too large."""
    looked = time.monotonic()

    def progress(step: str, done: int = 0, total: int | None = None) -> None:
        nonlocal looked
        cancelling.check()
        if time.monotonic() - looked > _LOOK_SECONDS:
            looked = time.monotonic()
            _check_size(scratch.path, most)

    target = scratch.new(ENDINGS[format][0] if format in ENDINGS else "")
    written = write(trace, target, format, progress, path=path, workload_for=simulator)
    _check_size(scratch.path, most)
    if format not in FOLDERS:
        return target, written
    archive = scratch.new(_TAR[0])
    with tarfile.open(archive, "w") as tar:
        for file in sorted(target.rglob("*")):
            cancelling.check()
            if file.is_file():
                tar.add(file, file.relative_to(target).as_posix())
    return archive, written


def _check_size(folder: Path, most: int) -> None:
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    if size > most:
        raise CostExceeded(
            f"export: found {size:,} bytes, limit {most:,}", hint="ask for fewer iterations: gpt#0"
        )  # fmt: skip


def _name(workload: str | None, trace_id: str) -> str:
    """What a browser calls the file, in letters that every header may have."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", workload or "").strip("-.")
    return f"{plain[:80]}-{trace_id[:12]}" if plain else trace_id[:12]


__all__ = ["ENDINGS", "Exports"]
