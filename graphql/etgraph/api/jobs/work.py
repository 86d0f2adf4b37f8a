"""What jobs do: ingest the files of an upload, run a trace again and keep the simulation, check a trace by rules."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Final

from etgraph.api.access import TeamStore
from etgraph.api.jobs.checks import ask_checks
from etgraph.api.jobs.job import Job, JobError, error_of
from etgraph.api.jobs.queue import Outcome, Queue
from etgraph.api.jobs.spool import Spool
from etgraph.api.limits import Limits
from etgraph.model import Trace
from etgraph.model.errors import EtgraphError, InputError, NotFound, StoreError, UsageError
from etgraph.model.progress import Progress


@dataclass(frozen=True, slots=True)
class Task:
    """What a job may use. `store` is as whoever asked for it sees it, `queue` holds everybody's jobs."""

    job: Job
    store: TeamStore
    queue: Queue
    spool: Spool
    limits: Limits
    progress: Progress
    alerts_last: timedelta
    """For which alerts are remembered."""


def ingest(task: Task) -> Outcome:
    """Read the files of an upload and publish what they hold, as `etgraph ingest` does."""
    from etgraph.ingest import KeptRanks, read, read_each

    job, given = task.job, task.job.input
    folder = task.spool.files_of(job.id)
    names = [each["name"] for each in given["files"]]
    path = folder / names[0] if len(names) == 1 else folder
    within = task.limits.of_reading()
    published: list[str] = []
    failures: list[JobError] = []

    def keep(trace: Trace) -> None:
        task.progress("storing")
        published.append(
            task.store.publish(
                trace, workload=given["workload"], team=job.team, labels=given["labels"], commit=given["commit"],
                branch=given["branch"], progress=task.progress,
            )
        )  # fmt: skip
        if given["workload"] is not None:
            ask_checks(task.queue, task.store.viewer, published[-1:], given["workload"], job.team, cause=job.id)

    try:
        if not given["each"]:
            with KeptRanks(task.spool.ranks_of(job.id), resume=True) as kept:
                keep(read(path, limits=within, kept=kept, progress=task.progress))
        else:
            for file, found in read_each(path, limits=within):
                task.progress(f"read {file.name}")
                if isinstance(found, EtgraphError):
                    failures.append(error_of(_plain(found, folder), str(file).removeprefix(f"{folder}/")))
                else:
                    keep(found)
    except (StoreError, UsageError):
        raise
    except EtgraphError as error:
        raise _plain(error, folder) from error
    if failures and not published:
        first = failures[0]
        return Outcome("failed", error=replace(first, file=None), failures=failures)
    return Outcome(trace_ids=published, failures=failures)


def _plain(error: EtgraphError, folder: Path) -> EtgraphError:
    """An error without the place of the spool, which is nothing that a client knows."""
    shown = str(error.message).replace(f"{folder}/", "").replace(str(folder), "the upload")
    hint = error.hint
    if isinstance(error, InputError) and hint and "read(path" in hint:
        hint = "the server's limits are told by serverInfo"
    told = EtgraphError(shown, hint=hint)
    told.code = error.code
    return told


def simulate(task: Task) -> Outcome:
    """Run a trace again, on its own hardware or on a profile, and keep the simulation beside it."""
    from etgraph.api.fetch.hardware import given_profile
    from etgraph.api.fetch.simulations import simulate_on
    from etgraph.queries import save_simulation

    given = task.job.input
    profile = None if given["profile"] is None else given_profile(given["profile"])
    task.progress("reading")
    trace = task.store.load(given["trace"])
    task.progress("simulating")
    found = simulate_on(trace, profile)
    task.progress("storing")
    save_simulation(task.store, given["trace"], found, profile=profile, trace=trace)
    return Outcome(trace_ids=[given["trace"]], simulation=found.id)


def check(task: Task) -> Outcome:
    """Check a trace by its team's rules, and keep what alerts come of it."""
    from etgraph.alerts.standing.evaluating import evaluate

    job, given = task.job, task.job.input
    task.progress("checking")
    of_team = (each for each in task.store.traces(workload=given["workload"]) if each.team == job.team)
    entry = next((each for each in of_team if each.id == given["trace"]), None)
    if entry is None:
        raise NotFound(f"trace {given['trace'][:12]} is no longer under workload {given['workload']!r}")
    evaluate(
        task.store, task.queue.records, entry, asked=given["asked"], keeps=task.alerts_last, progress=task.progress
    )  # fmt: skip
    return Outcome(trace_ids=[entry.id])


DOES: Final[Mapping[str, Callable[[Task], Outcome]]] = MappingProxyType(
    {"ingest": ingest, "simulate": simulate, "check": check}
)
"""What is done for each kind of job."""

__all__ = ["DOES", "Task", "check", "ingest", "simulate"]
