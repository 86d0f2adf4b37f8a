"""Jobs as their viewers see them: those of the team, and of all for the scope admin."""

from __future__ import annotations

import time
from collections.abc import Sequence
from types import MappingProxyType
from typing import Final

from etgraph.api.access import require
from etgraph.api.context import Context, Viewer
from etgraph.api.errors import Forbidden
from etgraph.api.fetch.batches import One, alone, together
from etgraph.api.fetch.lists import Listed, checked_first, listed
from etgraph.api.fetch.tokens import cursor, place_of
from etgraph.api.jobs.job import SCOPE_OF, Job
from etgraph.api.jobs.queue import Queue
from etgraph.model import cancelling
from etgraph.model.errors import EtgraphError, MissingData, NotFound, UsageError
from etgraph.store import TraceInfo

_LOOK_SECONDS: Final = 0.1
"""Between two looks at a job that is waited for."""
_SHARE_OF_DEADLINE: Final = 0.5
_MOST_SECONDS: Final = 10.0
"""For which a request waits for a job, and holds one of the server's threads."""
_KINDS: Final = MappingProxyType({kind.code: kind for kind in (NotFound, UsageError, MissingData, Forbidden)})
"""Errors that are raised as themselves where a job ended in one."""


class JobFailed(EtgraphError):
    """A job has failed."""

    code = "JOB_FAILED"
    http_status = 422


def seen_job(queue: Queue, viewer: Viewer, job_id: str) -> Job:
    """The job of that id. Raises NotFound for one that is not there, or that the viewer must not know of."""
    job = queue.get(job_id)
    if _team_of_jobs(viewer) not in (None, job.team or ""):
        raise NotFound(f"no job {job_id[:40]!r}")
    if SCOPE_OF[job.kind] not in viewer.scopes:  # whoever may ask for such jobs may look at them
        require(viewer, "read")
    return job


def cancelled_job(queue: Queue, viewer: Viewer, job_id: str) -> Job:
    """The job, told to stop: by whoever may ask for such. Raises NotFound; Forbidden without the scope."""
    job = seen_job(queue, viewer, job_id)
    require(viewer, SCOPE_OF[job.kind])
    return queue.cancel(job.id)


def job(context: Context, job_id: str) -> One[Job]:
    """The job of that id."""
    require(context.viewer, "read")
    return alone(seen_job(_queue(context), context.viewer, job_id))


def jobs(
    context: Context, *, first: int, after: str | None = None, state: str | None = None, kind: str | None = None
) -> Listed[One[Job]]:
    """Jobs, newest first."""
    require(context.viewer, "read")
    team = _team_of_jobs(context.viewer)
    name = f"jobs {team} {state} {kind}"
    place = place_of(after, name)
    if place is not None and not isinstance(place[0], str):
        raise UsageError("the cursor is none of this list's")
    behind = None if place is None else place[0]
    found = _queue(context).page(
        team=team, state=state, kind=kind, after=behind, first=checked_first(first) + 1
    )  # fmt: skip
    shown = found[:first]
    cursors = [cursor(name, each.id) for each in shown]
    return listed(together(shown), cursors, more=len(found) > first, begun=place is not None)


def traces_of(context: Context, one: One[Job]) -> list[One[TraceInfo]]:
    """The traces that came of a job, those that are still there; asked for all jobs of a page at once."""

    def fetch(asked: Sequence[Job]) -> list[list[TraceInfo]]:
        wanted = {each for job in asked for each in job.trace_ids}
        by_id: dict[str, TraceInfo] = {}
        for entry in context.store.traces() if wanted else ():
            if entry.id in wanted:
                by_id.setdefault(entry.id, entry)
        return [[by_id[each] for each in job.trace_ids if each in by_id] for job in asked]

    return together(one.ask("traces", fetch))


def cancel(context: Context, job_id: str) -> One[Job]:
    """Have a job stopped."""
    return alone(cancelled_job(_queue(context), context.viewer, job_id))


def simulation(context: Context, reference: str, profile: str | None, *, wait: bool) -> One[Job]:
    """The job that keeps a simulation of a trace; with `wait` as it is when it has ended, or when time runs short.

    The same that waits or runs already is not asked for twice. Raises what the job ended in.
    """
    viewer, queue = context.viewer, _queue(context)
    given = {"trace": context.store.find(reference).id, "profile": profile}
    key = f"simulate {given['trace']} {given['profile']} {viewer.team}"
    at_work = (job for job in queue.page(key=key, first=1) if not job.has_ended and not job.cancelling)
    job = next(at_work, None) or queue.add("simulate", given, viewer, key=key)
    if wait:
        job = _waited_for(queue, job, context.limits.deadline_s * _SHARE_OF_DEADLINE)
    if job.error is not None:
        kind = _KINDS.get(job.error.code, JobFailed)
        raise kind(job.error.message, hint=job.error.hint)
    return alone(job)


def _waited_for(queue: Queue, job: Job, seconds: float) -> Job:
    until = time.monotonic() + min(seconds, _MOST_SECONDS)
    while not job.has_ended and time.monotonic() < until:
        cancelling.check()
        time.sleep(_LOOK_SECONDS)
        job = queue.get(job.id)
    return job


def _queue(context: Context) -> Queue:
    if context.queue is None:
        raise UsageError("jobs: this has none")
    return context.queue


def _team_of_jobs(viewer: Viewer) -> str | None:
    """The team whose jobs a viewer sees, as `Queue.page` takes it: None for those of all."""
    return None if viewer.is_admin else viewer.team or ""


__all__ = ["JobFailed", "cancel", "cancelled_job", "job", "jobs", "seen_job", "simulation", "traces_of"]
