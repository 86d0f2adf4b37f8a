"""From received files to a job: what is said of them, whether they were sent before, and the job that ingests them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

from etgraph.api.access import TeamStore, view_of
from etgraph.api.context import Viewer
from etgraph.api.jobs.job import Job
from etgraph.api.jobs.queue import Queue
from etgraph.api.jobs.spool import FileInfo, Spool, Upload
from etgraph.model.errors import NotFound, UsageError
from etgraph.model.schema import REVISION
from etgraph.store import Store
from etgraph.store.references import check_publication

_ANY_ID: Final = "0" * 64
"""Stands for the id of a trace that is not read yet."""


@dataclass(frozen=True, slots=True)
class Details:
    """What is said of uploaded files: as of `etgraph ingest`."""

    workload: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    commit: str | None = None
    branch: str | None = None
    each: bool = False

    def check(self, team: str | None) -> None:
        """Raise UsageError for what no trace can be published with."""
        details = {"team": team, "commit": self.commit, "branch": self.branch}
        check_publication(_ANY_ID, self.workload, details, self.labels)


def accept(
    store: Store, queue: Queue, spool: Spool, upload: Upload, details: Details, viewer: Viewer
) -> tuple[Job, bool]:
    """The job that ingests an upload, and whether it is new: the same team's same files have one job.

    Raises UsageError for an upload without files. When this returns, files and job survive a crash.
    """
    files = upload.finish()
    if not files:
        raise UsageError("upload: found no file, expected one or more")
    key = _key(files, details, viewer.team)
    spool_name = spool.name
    with spool.committing():
        before = _same(view_of(store, _reading(viewer)), queue, key)
        if before is not None:
            return before, False
        given = asdict(details) | {"files": list(map(asdict, files))}
        job = queue.add("ingest", given, viewer, job_id=upload.job_id, key=key, spool=spool_name)
        return job, True


def _same(store: TeamStore, queue: Queue, key: str) -> Job | None:
    """The job of an upload that was the same, where it may still succeed, or has and its traces are there."""
    for job in queue.page(key=key, first=1):
        if job.state in ("queued", "running") and not job.cancelling:
            return job
        if job.state == "done" and job.trace_ids and all(_is_there(store, one) for one in job.trace_ids):
            return job
    return None


def _is_there(store: TeamStore, trace_id: str) -> bool:
    try:
        store.find(trace_id)
    except NotFound:
        return False
    return True


def _reading(viewer: Viewer) -> Viewer:
    """The viewer, who may see whether the traces of its own upload are there."""
    return replace(viewer, scopes=viewer.scopes | {"read"})


def _key(files: Sequence[FileInfo], details: Details, team: str | None) -> str:
    """What two uploads have in common that would give the same traces under the same names."""
    said: dict[str, Any] = asdict(details) | {
        "labels": sorted(details.labels.items()),
        "files": sorted((file.name, file.sha256) for file in files),
        "team": team,
        "revision": REVISION,
    }
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


__all__ = ["Details", "accept"]
