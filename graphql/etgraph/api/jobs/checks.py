"""Checks of traces by their teams' rules, as jobs: asked for when a trace comes, and when what it is beside changes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace

from etgraph.api.context import Viewer
from etgraph.api.jobs.job import Job, moment_of, new_id
from etgraph.api.jobs.queue import Queue
from etgraph.store.clock import at
from etgraph.store.records import Conflict


def ask_checks(
    queue: Queue, viewer: Viewer, trace_ids: Iterable[str], workload: str, team: str | None, *, cause: str | None = None
) -> list[Job]:
    """Jobs that check a team's traces under a workload, where there are rules for it.

    `cause` is the job by which they came: done again for the same one, nothing is asked for twice. Without one, a job
    for the same that waits already is the one.
    """
    from etgraph.alerts.standing.rule_sets import sets_for

    found: list[Job] = []
    if not sets_for(queue.records, team or "", workload):
        return found
    # A check sees what the team sees, whoever asks for it: not less, where a token may send alone, and not more, where
    # an administrator asks, because a team's rules name their baselines themselves. Nobody's are administrators' own.
    scopes = frozenset({"read"}) if team is not None else viewer.scopes & {"admin"} | {"read"}
    viewer = replace(viewer, team=team, scopes=scopes)
    for trace_id in trace_ids:
        key = f"check {trace_id} {workload} {team}"
        waiting = [job for job in queue.page(key=key, first=1) if job.state == "queued"] if cause is None else []
        if waiting:
            found += waiting
            continue
        job_id = new_id(queue.clock()) if cause is None else _id_after(cause, trace_id)
        given = {"trace": trace_id, "workload": workload, "asked": at(moment_of(job_id))}
        with suppress(Conflict):
            found.append(queue.add("check", given, viewer, job_id=job_id, key=key))
    return found


def _id_after(cause: str, trace_id: str) -> str:
    """The id of the check of a trace that a job brought: of the same moment, and the same each time."""
    return cause[:12] + hashlib.sha256(f"{cause} {trace_id}".encode()).hexdigest()[:12]


__all__ = ["ask_checks"]
