"""Uploads: trace files that come by HTTP become a job. The files are streamed to disk, never held in memory."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import IO, Any, Final

import flask
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge
from werkzeug.formparser import FormDataParser
from werkzeug.wsgi import get_input_stream

from etgraph.api.access import Audit, require
from etgraph.api.context import Viewer
from etgraph.api.errors import BadRequest
from etgraph.api.http.jobs import job_response
from etgraph.api.http.viewers import ViewerOf
from etgraph.api.http.writes import noted
from etgraph.api.jobs.checks import ask_checks
from etgraph.api.jobs.job import Job, new_id
from etgraph.api.jobs.queue import Queue
from etgraph.api.jobs.spool import Spool, Upload
from etgraph.api.jobs.uploads import Details, accept
from etgraph.api.limits import Limits
from etgraph.ingest.discovery.members import Refusals
from etgraph.ingest.source import Limits as ReadingLimits
from etgraph.store import Store

PATH: Final = "/api/v1/traces"
FORM: Final = "multipart/form-data"
BODIES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "application/octet-stream": "upload",
        "application/json": "upload.json",
        "application/gzip": "upload.gz",
        "application/x-gzip": "upload.gz",
        "application/zstd": "upload.zst",
        "application/zip": "upload.zip",
        "application/x-zip-compressed": "upload.zip",
        "application/x-tar": "upload.tar",
    }
)
"""Media types of a body that is one file, and what the file is called where nothing else is said."""
FIELDS: Final = ("workload", "label", "commit", "branch", "each", "name")
_FIELD_BYTES: Final = 128 << 10
"""Of a form's field; also what werkzeug may hold of a form at a time, which reads 64 KiB at once."""
_FIELDS: Final = 100
"""Fields of a form beside its files."""
_DIGEST: Final = re.compile(r"sha-256=:([A-Za-z0-9+/]{43}=):")
_CHUNK: Final = 1 << 20


class Uploads:
    """Answers `POST /api/v1/traces`."""

    def __init__(
        self, store: Store, queue: Queue, spool: Spool, limits: Limits, viewer_of: ViewerOf, audit: Audit
    ) -> None:
        self._store = store
        self._queue = queue
        self._spool = spool
        self._limits = limits
        self._viewer_of = viewer_of
        self._audit = audit

    def check(self, request: flask.Request) -> None:
        """Refuse what headers alone tell is to be refused. Raises what the answer to the request would say."""
        require(self._viewer_of(request), "ingest")
        _Body(request, self._limits)

    def __call__(self) -> flask.Response:
        """The response to Flask's current request: 202 with a job, 200 with one that has ended already."""
        viewer = self._viewer_of(flask.request)
        flask.g.fields |= {"viewer": viewer.name, "token": viewer.token}
        told: dict[str, Any] = {}
        with noted(self._audit, viewer, f"POST {PATH}", told):
            require(viewer, "ingest")
            job, new = self._accepted(flask.request, viewer)
            told |= {"job": job.id, "new": new}
        flask.g.fields |= told
        return job_response(job, 200 if job.has_ended else 202)

    def _accepted(self, request: flask.Request, viewer: Viewer) -> tuple[Job, bool]:
        """The job for what a request brings, and whether it is new."""
        body = _Body(request, self._limits)
        self._spool.check_room(request.content_length or 0)
        job_id = new_id(self._queue.clock())
        with self._spool.receiving(job_id) as upload:
            details = body.receive(upload)
            details.check(viewer.team)
            job, new = accept(self._store, self._queue, self._spool, upload, details, viewer)
        if not new:
            self._spool.remove(job_id)
            self._checked_again(job, viewer)
        return job, new

    def _checked_again(self, job: Job, viewer: Viewer) -> None:
        """Have the traces of an upload that came before checked as the newest of their workload, which they are."""
        if job.state == "done" and job.input["workload"] is not None:
            ask_checks(self._queue, viewer, job.trace_ids, job.input["workload"], job.team)


class _Body:
    """The body of a request, of which the media type is accepted. Raises BadRequest: 413, 415."""

    def __init__(self, request: flask.Request, limits: Limits) -> None:
        self._request = request
        self._limits = limits
        self._form = request.mimetype == FORM
        if not self._form and request.mimetype not in BODIES:
            raise BadRequest(
                f"Content-Type: found {request.mimetype or 'none'}, expected {FORM} or {', '.join(BODIES)}",
                status=415, hint="curl: -F file=@run.zip, or -H 'Content-Type: application/zip' -T run.zip -X POST",
            )  # fmt: skip
        if (packed := request.headers.get("Content-Encoding", "identity")) != "identity":
            raise BadRequest(
                f"Content-Encoding: found {packed}, expected none",
                status=415,
                hint="files may be compressed themselves",
            )
        try:
            self._stream = _Hashed(get_input_stream(request.environ, max_content_length=limits.upload_bytes))
        except RequestEntityTooLarge:
            raise self._too_large() from None

    def receive(self, upload: Upload) -> Details:
        """Write the files to an upload; what is said of them."""
        request = self._request
        said = {name: request.args.getlist(name) for name in request.args}
        within = ReadingLimits(max_members=self._limits.upload_files)
        refusals, seen = Refusals(within, 0), set[str]()

        def file(filename: str | None, **_: Any) -> Any:
            return upload.file(refusals.name("upload", filename or "", seen))

        try:
            if self._form:
                said = self._received_form(file, said)
            else:
                (name,) = said.pop("name", [BODIES[request.mimetype]])[:1]
                whole = file(name)
                while chunk := self._stream.read(_CHUNK):
                    whole.write(chunk)
                if not whole.info.bytes:
                    raise BadRequest("the body: found nothing, expected a file")
        except RequestEntityTooLarge:
            raise self._too_large() from None
        except ClientDisconnected:
            raise BadRequest("the body ends before its Content-Length") from None
        while self._stream.read(_CHUNK):  # what comes behind the last part of a form belongs to the digest
            pass
        _check_digest(request.headers.get("Content-Digest"), self._stream.digest, "the body")
        return _details(said)

    def _received_form(self, file: Any, said: dict[str, list[str]]) -> dict[str, list[str]]:
        """Receive a form's files; what its fields and the query say together."""
        parser = FormDataParser(
            file, max_form_memory_size=_FIELD_BYTES, silent=False,
            max_form_parts=self._limits.upload_files + _FIELDS,
        )  # fmt: skip
        request = self._request
        try:
            _, form, files = parser.parse(
                self._stream, request.mimetype, request.content_length, request.mimetype_params  # type: ignore[arg-type]
            )  # fmt: skip
        except ValueError as error:
            raise BadRequest(f"the body: found what is no form ({error})") from None
        except RequestEntityTooLarge:
            if self._stream.bytes >= self._limits.upload_bytes:
                raise
            most = f"{self._limits.upload_files:,} files and {_FIELDS} fields of {_FIELD_BYTES:,} bytes"
            raise BadRequest(f"the form: found more than {most}", status=413) from None
        for part in files.values():
            _check_digest(part.headers.get("Content-Digest"), part.stream.digest, str(part.filename))  # type: ignore[attr-defined]
        for name, values in form.lists():
            said.setdefault(name, []).extend(values)
        return said

    def _too_large(self) -> BadRequest:
        most = self._limits.upload_bytes
        return BadRequest(f"the upload is larger than {most:,} bytes", status=413, hint="the limit is `limits.upload`")


class _Hashed:
    """A stream that is hashed while it is read."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._hash = hashlib.sha256()
        self.bytes = 0

    @property
    def digest(self) -> bytes:
        """The SHA-256 of what was read."""
        return self._hash.digest()

    def read(self, size: int = -1) -> bytes:
        """The next bytes."""
        data = self._stream.read(size)
        self._hash.update(data)
        self.bytes += len(data)
        return data


def _check_digest(header: str | None, digest: bytes, what: str) -> None:
    """Compare what arrived with what the client says that it sent (RFC 9530), by sha-256 alone."""
    if header is None or (said := _DIGEST.search(header)) is None:
        return
    if not hmac.compare_digest(base64.b64decode(said[1]), digest):
        found = base64.b64encode(digest).decode()
        raise BadRequest(f"{what}: found sha-256 {found}, expected {said[1]} of Content-Digest", hint="send it again")


def _details(said: Mapping[str, list[str]]) -> Details:
    """What the fields of a form and the query say. Raises BadRequest for unknown ones, and for two values of one."""
    for name, values in said.items():
        if name not in FIELDS:
            raise BadRequest(f"field {name[:40]!r}: unknown", hint=f"there are {', '.join(FIELDS)}, and files")
        if len(values) > 1 and name != "label":
            raise BadRequest(f"field {name!r}: found {len(values)} values, expected one")
    labels = {}
    for text in said.get("label", ()):
        key, equals, value = text.partition("=")
        if not equals:
            raise BadRequest(f"field 'label': found {text[:80]!r}, expected KEY=VALUE")
        labels[key] = value

    def one(name: str) -> str | None:
        return next((value for value in said.get(name, ()) if value), None)

    each = one("each") or "false"
    if each not in ("true", "false"):
        raise BadRequest(f"field 'each': found {each[:40]!r}, expected true or false")
    return Details(one("workload"), labels, one("commit"), one("branch"), each == "true")


__all__ = ["BODIES", "FORM", "PATH", "Uploads"]
