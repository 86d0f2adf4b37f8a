"""Jobs for a reader: a row each, or all that is known of one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

from etgraph.cli.units import age, count, moment, printable, shortened, size
from etgraph.cli.views.tables import SHORT_ID, facts, grid

if TYPE_CHECKING:
    from etgraph.api.jobs.job import Job

MESSAGE = 60
"""Characters of an error that a list shows."""


def jobs_view(jobs: Sequence[Job]) -> RenderableType:
    """A row for each job."""
    table = grid("job", "kind", "state", "created", "team", "what", "said")
    for job in jobs:
        table.add_row(
            job.id, job.kind, job.state, age(job.created), printable(job.team or "–"), shortened(_what(job), 40),
            shortened(_said(job), MESSAGE),
        )  # fmt: skip
    return table


def job_view(job: Job) -> RenderableType:
    """All that is known of a job."""
    files = job.input.get("files", ())
    total = sum(each["bytes"] for each in files)
    rows: list[tuple[str, str | Text]] = [
        ("job", job.id),
        ("kind", job.kind),
        ("state", f"{job.state}, to be cancelled" if job.cancelling else job.state),
        ("by", printable(job.by if job.team is None else f"{job.by}, team {job.team}")),
        ("created", moment(job.created)),
        ("started", moment(job.started) if job.started else ""),
        ("ended", moment(job.ended) if job.ended else ""),
        ("attempts", count(job.attempts)),
        ("what", _what(job)),
        ("files", f"{count(len(files))}, {size(total)}" if files else ""),
        ("at", _at(job)),
        ("traces", " ".join(job.trace_ids)),
        ("simulation", job.simulation or ""),
        ("error", printable(job.error.message) if job.error else ""),
        ("hint", printable(job.error.hint or "") if job.error else ""),
    ]
    parts: list[RenderableType] = [facts(rows)]
    if job.failures:
        table = grid("file", "error")
        for failure in job.failures:
            table.add_row(printable(failure.file or ""), printable(failure.message))
        parts += [Text(), table]
    return Group(*parts)


def _what(job: Job) -> str:
    """What a job is about: the workload, or the first file, or the trace."""
    given = job.input
    if job.kind == "simulate":
        return f"{given['trace'][:SHORT_ID]} on {given['profile'] or 'its own hardware'}"
    return printable(given["workload"] or given["files"][0]["name"])


def _said(job: Job) -> str:
    """How a job ended, or what it is at."""
    if job.error is not None:
        return printable(job.error.message)
    if job.simulation is not None:
        return job.simulation
    return " ".join(each[:SHORT_ID] for each in job.trace_ids) or _at(job)


def _at(job: Job) -> str:
    """What a running job is at."""
    if job.state != "running" or job.step is None:
        return ""
    return printable(job.step if job.total is None else f"{job.step}, {count(job.done)} of {count(job.total)}")
