"""Files that go to a server: streamed as they lie on disk, a job that reads them there, and what came of it."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

from etgraph.api.jobs.job import Job
from etgraph.cli.remote.asking import arguments_of, ask_root
from etgraph.cli.remote.catalogue import entry, entry_of
from etgraph.cli.remote.failures import made
from etgraph.cli.remote.http import Client
from etgraph.cli.remote.reading import read
from etgraph.cli.remote.selections import selection_of
from etgraph.cli.session import Failure
from etgraph.model.cancelling import check
from etgraph.model.errors import InputError, NotFound
from etgraph.model.progress import Progress
from etgraph.store import TraceInfo

_BLOCK: Final = 1 << 20
_LOOKS: Final = (0.1, 0.2, 0.5, 1.0)
"""Seconds between looks at a job; the last for all further ones."""


@dataclass(frozen=True, slots=True)
class Part:
    """A file of a form, under the name by which the server knows it."""

    path: Path
    name: str
    bytes: int


class Form:
    """A multipart form of fields and files, read from disk as it is sent; its length is known beforehand."""

    def __init__(
        self, fields: Sequence[tuple[str, str]], parts: Sequence[Part], sent: Callable[[int, int], None]
    ) -> None:
        self._boundary = secrets.token_hex(16)
        self._said = [(self._head(f'name="{name}"') + value.encode() + b"\r\n") for name, value in fields]
        self._files = [(self._head(f'name="file"; filename="{_quoted(part.name)}"'), part) for part in parts]
        self._sent = sent
        self._end = f"--{self._boundary}--\r\n".encode()
        self._total = sum(map(len, self._said)) + len(self._end)
        self._total += sum(len(head) + part.bytes + 2 for head, part in self._files)

    @property
    def type(self) -> str:
        """The form's media type."""
        return f"multipart/form-data; boundary={self._boundary}"

    def __len__(self) -> int:
        return self._total

    def __iter__(self) -> Iterator[bytes]:
        yield b"".join(self._said)
        done = 0
        for head, part in self._files:
            yield head
            for block in _blocks(part):
                yield block
                done += len(block)
                self._sent(done, self._total)
            yield b"\r\n"
        yield self._end

    def _head(self, disposition: str) -> bytes:
        return f"--{self._boundary}\r\nContent-Disposition: form-data; {disposition}\r\n\r\n".encode()


def _quoted(name: str) -> str:
    """A name as browsers write it into a form."""
    return name.replace("\r", "%0D").replace("\n", "%0A").replace('"', "%22")


def _blocks(part: Part) -> Iterator[bytes]:
    """The bytes of a file. Raises InputError where there are others than there were."""
    left = part.bytes
    with part.path.open("rb") as file:
        while left:
            check()
            block = file.read(min(_BLOCK, left))
            if not block:
                break
            left -= len(block)
            yield block
    if left:
        raise InputError(
            str(part.path), found=f"{left:,} bytes fewer than before", expected="a file that stays as it is"
        )


def parts_of(path: Path) -> list[Part]:
    """The files of a path: itself, or all below a folder, named by their place in it.

    Raises NotFound where there is nothing, InputError for a folder without files.
    """
    if not path.exists():
        raise NotFound(f"{path}: no such file or folder")
    if path.is_file():
        return [Part(path, path.name, path.stat().st_size)]
    found = sorted(
        Path(folder, name)
        for folder, inside, names in os.walk(path)
        for name in names
        if not name.startswith(".") and not any(part.startswith(".") for part in Path(folder).relative_to(path).parts)
    )
    if not found:
        raise InputError(str(path), found="no file", expected="trace files", hint="is that the run's folder?")
    return [Part(file, file.relative_to(path).as_posix(), file.stat().st_size) for file in found]


def upload(client: Client, path: Path, details: Sequence[tuple[str, str]], progress: Progress) -> Job:
    """Send the files of a path; the job that reads them. Raises what the server says, and what `parts_of` raises."""
    parts = parts_of(path)
    name = f"sending {path.name or path}"

    def sent(done: int, total: int) -> None:
        progress(f"{name}: {done * 100 // max(total, 1)} %", done, total)

    progress(name)
    form = Form(details, parts, sent)
    found = client.rest("POST", "api/v1/traces", data=form, headers={"Content-Type": form.type})
    return read(Job, found["job"])


def job_of(client: Client, job_id: str) -> Job:
    """A job as it is now."""
    return read(Job, client.rest("GET", f"api/v1/jobs/{quote(job_id, safe='')}", again=True)["job"])


def cancelled(client: Client, job_id: str) -> Job:
    """A job that was told to stop."""
    return read(Job, client.rest("DELETE", f"api/v1/jobs/{quote(job_id, safe='')}")["job"])


def jobs_of(client: Client, state: str | None, limit: int) -> list[Job]:
    """The newest jobs of the server, in a state where one is given."""
    ask = ask_root(client, "jobs", arguments_of({"first": limit, "state": state}))
    return [read(Job, each) for each in ask(f"{{ nodes {{ {selection_of(Job).whole} }} }}")["nodes"]]


def waited_for(client: Client, job: Job, progress: Progress, pause: Callable[[float], None] = time.sleep) -> Job:
    """A job as it ended."""
    looks = iter(_LOOKS)
    while not job.has_ended:
        check()
        progress(f"job {job.id[:12]}: {job.step or job.state}", job.done, job.total)
        pause(next(looks, _LOOKS[-1]))
        job = job_of(client, job.id)
    return job


def outcome_of(client: Client, job: Job, path: Path, workload: str | None) -> tuple[list[TraceInfo], list[Failure]]:
    """The traces that came of a job that ended, and what could not be read."""
    named = [_entry(client, each, workload) for each in job.trace_ids]
    errors = [*job.failures, *([job.error] if job.error else [])]
    failures = [Failure(each.file or str(path), made(each.code, each.message, each.hint)) for each in errors]
    if job.state == "cancelled":
        failures.append(Failure(str(path), made("CANCELLED", f"job {job.id[:12]} was cancelled", None)))
    return named, failures


def _entry(client: Client, trace_id: str, workload: str | None) -> TraceInfo:
    """A trace's entry under the workload that it was sent for."""
    from etgraph.cli.remote.catalogue import entries

    known = (each for each in entries(client, workload) if each.id == trace_id) if workload else ()
    return next(iter(known), None) or entry_of(client, entry(client, trace_id))


__all__ = ["Form", "Part", "cancelled", "job_of", "jobs_of", "outcome_of", "parts_of", "upload", "waited_for"]
