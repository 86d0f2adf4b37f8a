"""A job as others see it, and as a store keeps it: a record of kind `job` under an id that tells its moment."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, Literal, TypeAlias, get_args

from etgraph.model.errors import EtgraphError
from etgraph.store import clock
from etgraph.store.records import Record

RECORD: Final = "job"
"""The kind of its record."""
JobKind: TypeAlias = Literal["ingest", "simulate", "check"]
JobState: TypeAlias = Literal["queued", "running", "done", "failed", "cancelled"]
KINDS: Final[tuple[str, ...]] = get_args(JobKind)
STATES: Final[tuple[str, ...]] = get_args(JobState)
ENDED: Final = frozenset({"done", "failed", "cancelled"})
ID: Final = re.compile(r"[0-9a-f]{24}")
SCOPE_OF: Final[Mapping[str, str]] = MappingProxyType({"ingest": "ingest", "simulate": "simulate", "check": "alert"})
"""The scope of whoever may ask for a kind of job, look at one, and cancel it."""
_MILLISECONDS: Final = 12
"""Hexadecimal digits of an id that tell its moment."""


@dataclass(frozen=True, slots=True)
class JobError:
    """Why a job, or a file of it, has failed.

    `code` is its kind, as etgraph names it everywhere. `message` tells the place, what was found, what was expected.
    `hint` says what to do about it. `file` is the file, None where it is the whole.
    """

    code: str
    message: str
    hint: str | None = None
    file: str | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """Work that the server was given: files to ingest, a simulation to keep, a trace to check by its team's rules. It
    ends done, failed or cancelled.

    `kind` is ingest, simulate or check. `state` is queued, running, done, failed or cancelled. `by` is the name of who
    asked for it. `created` is the moment at which it was accepted. `started` is that at which it was last begun.
    `ended` is that of its end. `step` says what it is at. `done` says how much of the step is done. `total` is of how
    much, null where that is not known. `attempts` counts how often it was begun: where a worker dies, another begins
    again. `cancelling` says that it is to stop and has not yet. `input` is what it was given. `trace_ids` are those of
    the traces that came of it, or of the one that is simulated or checked. `simulation` is the id of the one that was
    kept. `error` says why it has failed. `failures` are files that could not be read beside others that could.
    """

    id: str
    kind: str
    state: str
    team: str | None
    by: str
    created: str
    started: str | None = None
    ended: str | None = None
    step: str | None = None
    done: int = 0
    total: int | None = None
    attempts: int = 0
    cancelling: bool = False
    input: Mapping[str, Any] = field(default_factory=dict)
    trace_ids: tuple[str, ...] = ()
    simulation: str | None = None
    error: JobError | None = None
    failures: tuple[JobError, ...] = ()

    @property
    def has_ended(self) -> bool:
        """Whether nothing will change it any more."""
        return self.state in ENDED


def job_of(record: Record) -> Job:
    """The job that a record keeps."""
    said = record.document
    names = (name for name in Job.__dataclass_fields__ if name in said)
    values = {name: said[name] for name in names} | {"id": record.name, "team": said["team"] or None}
    values["trace_ids"] = tuple(said.get("trace_ids", ()))
    values["error"] = JobError(**said["error"]) if said.get("error") else None
    values["failures"] = tuple(JobError(**each) for each in said.get("failures", ()))
    return Job(**values)


def new_id(moment: float) -> str:
    """An id for a job that is accepted now (seconds of Unix time): later ones come behind it."""
    return f"{int(moment * 1000):0{_MILLISECONDS}x}{secrets.token_hex(6)}"


def moment_of(job_id: str) -> float:
    """The moment that an id tells, in seconds of Unix time.

    >>> moment_of(new_id(1_000_000.25))
    1000000.25
    """
    return int(job_id[:_MILLISECONDS], 16) / 1000


def written(moment: float) -> str:
    """A moment as records tell it: ISO 8601 in UTC.

    >>> written(0.25)
    '1970-01-01T00:00:00.250Z'
    """
    return clock.at(moment, "milliseconds")


def error_of(error: EtgraphError, file: str | None = None) -> JobError:
    """What a job tells of an error."""
    return JobError(error.code, error.message, error.hint, file)


__all__ = [
    "ENDED",
    "ID",
    "KINDS",
    "RECORD",
    "SCOPE_OF",
    "STATES",
    "Job",
    "JobError",
    "JobKind",
    "JobState",
    "error_of",
    "job_of",
    "moment_of",
    "new_id",
    "written",
]
