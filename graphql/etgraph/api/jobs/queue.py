"""The queue of jobs in a store's records: workers lease jobs, tell that they live, and end them.

Every change is made from a known version of the record, so that of two workers one gets a job. A lease that ran out is
anybody's: its worker is dead, or so slow that it must not end the job any more.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from itertools import chain, takewhile, zip_longest
from types import MappingProxyType
from typing import Any, Final

from etgraph.api.context import Viewer
from etgraph.api.jobs.job import ENDED, ID, RECORD, Job, JobError, job_of, moment_of, new_id, written
from etgraph.api.jobs.rules import Rules
from etgraph.model.errors import EtgraphError, NotFound
from etgraph.store.records import Conflict, Record, Records, every

_LOOKED_AT: Final = 100
"""Jobs of a state that are looked at together."""
_NO_PROGRESS: Final = MappingProxyType({"step": None, "done": 0, "total": None})


class LeaseLost(EtgraphError):
    """Another worker has the job, or nobody has to do it any more."""

    code = "LEASE_LOST"


@dataclass(frozen=True, slots=True)
class Lease:
    """A job that a worker may do, as it was when it was leased."""

    job: Job
    worker: str
    viewer: Viewer
    """Whoever asked for the job, and what it may."""

    def holds(self, document: Mapping[str, Any]) -> bool:
        """Whether a record's document says that this lease is the one that counts."""
        mine = (document["state"], document.get("worker"), document["attempts"])
        return mine == ("running", self.worker, self.job.attempts)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a job ended: the traces and the simulation that came of it, or its error."""

    state: str = "done"
    trace_ids: Sequence[str] = ()
    simulation: str | None = None
    error: JobError | None = None
    failures: Sequence[JobError] = ()


@dataclass(frozen=True, slots=True)
class Queue:
    """The jobs of a store. `clock` gives seconds of Unix time; those of all workers must agree well within a lease."""

    records: Records
    rules: Rules = field(default_factory=Rules)
    clock: Callable[[], float] = time.time
    _served: dict[str, float] = field(default_factory=dict, init=False, repr=False, compare=False)
    """When this queue leased a job of each team last."""

    def add(
        self,
        kind: str,
        given: Mapping[str, Any],
        viewer: Viewer,
        *,
        job_id: str | None = None,
        key: str = "",
        spool: str = "",
    ) -> Job:
        """A new job, for which counts what the viewer may.

        `key` is what other jobs for the same would have too; `spool` names where its files lie.
        """
        moment = self.clock()
        document = {
            "kind": kind, "state": "queued", "team": viewer.team or "", "by": viewer.name,
            "scopes": sorted(viewer.scopes), "created": written(moment), "attempts": 0,
            "input": dict(given), "key": key, "spool": spool,
        }  # fmt: skip
        return job_of(self.records.put(RECORD, job_id or new_id(moment), document, 0))

    def get(self, job_id: str) -> Job:
        """The job of that id. Raises NotFound."""
        return job_of(self._record(job_id))

    def page(
        self,
        *,
        team: str | None = None,
        state: str | None = None,
        kind: str | None = None,
        key: str | None = None,
        after: str | None = None,
        first: int = 100,
    ) -> list[Job]:
        """Jobs, newest first: those behind the id `after`; `team` "" is that of jobs without one."""
        asked = {"team": team, "state": state, "kind": kind, "key": key}
        where = {name: value for name, value in asked.items() if value is not None}
        return [
            job_of(each) for each in self.records.find(RECORD, where, after=after, first=first, newest=True)
        ]  # fmt: skip

    def lease(self, worker: str, spool: str) -> Lease | None:
        """A job whose worker is dead, else one that waits, for a worker that sees the files of a spool.

        Of those that wait, the oldest of the team whose turn it is: of which the fewest jobs run, and of several such
        the one of which this queue leased none for longest. A job that was begun too often fails instead.
        """
        now = self.clock()
        running = list(self._all("running"))
        at_work = Counter(each.document["team"] for each in running if each.document["until"] > now)
        abandoned = (each for each in running if each.document["until"] <= now)
        for record in chain(abandoned, self._in_turn(at_work)):
            said = record.document
            if said["spool"] not in ("", spool):
                continue
            if said.get("cancelling"):
                self._end_as_it_was(record, Outcome("cancelled"))
                continue
            if said["attempts"] >= self.rules.attempts:
                self._end_as_it_was(record, Outcome("failed", error=_given_up(said["attempts"])))
                continue
            document = {
                **said, "state": "running", "worker": worker, "until": now + self.rules.lease_ns / 1e9,
                "started": written(now), "attempts": said["attempts"] + 1, **_NO_PROGRESS,
            }  # fmt: skip
            with suppress(Conflict):
                job = job_of(self.records.put(RECORD, record.name, document, record.version))
                self._served[said["team"]] = now
                return Lease(job, worker, Viewer(job.by, job.team, frozenset(said["scopes"])))
        return None

    def beat(self, lease: Lease, progress: tuple[str, int, int | None] | None = None) -> bool:
        """Tell that the worker lives, and how far it is; whether the job is to go on. Raises LeaseLost."""
        step, done, total = progress or (None, 0, None)
        until = self.clock() + self.rules.lease_ns / 1e9
        said = self._change_mine(lease, {"until": until, "step": step, "done": done, "total": total})
        return not said.document.get("cancelling", False)

    def end(self, lease: Lease, outcome: Outcome) -> Job:
        """Note how a job ended. Raises LeaseLost."""
        return job_of(self._change_mine(lease, self._ending(outcome)))

    def give_back(self, lease: Lease, *, counted: bool = False) -> None:
        """Let another worker take a job at once; `counted`: as an attempt. Raises LeaseLost."""
        attempts = lease.job.attempts - (0 if counted else 1)
        self._change_mine(lease, {"state": "queued", "attempts": attempts, "worker": None, **_NO_PROGRESS})

    def cancel(self, job_id: str) -> Job:
        """Have a job stopped: at once where it waits, else by its worker. One that has ended stays as it is."""

        def change(said: Mapping[str, Any]) -> dict[str, Any]:
            if said["state"] == "queued":
                return self._ending(Outcome("cancelled"))
            return {} if said["state"] in ENDED else {"cancelling": True}

        return job_of(self._change(job_id, change))

    def expire(self) -> list[str]:
        """Forget jobs that ended long ago; their ids."""
        oldest = self.clock() - self.rules.kept_ns / 1e9
        forgotten = []
        for state in sorted(ENDED):
            for record in takewhile(lambda each: moment_of(each.name) <= oldest, self._all(state)):
                if record.document["ended"] <= written(oldest):
                    with suppress(Conflict):
                        self.records.remove(RECORD, record.name, record.version)
                        forgotten.append(record.name)
        return forgotten

    def _in_turn(self, at_work: Mapping[str, int]) -> Iterator[Record]:
        """Records of jobs that wait: one of each team in the order of their turns, then another of each, and so on."""
        waiting: dict[str, list[Record]] = {}
        for record in self._all("queued"):
            waiting.setdefault(record.document["team"], []).append(record)
        teams = sorted(waiting, key=lambda team: (at_work.get(team, 0), self._served.get(team, 0.0)))
        yield from filter(None, chain.from_iterable(zip_longest(*(waiting[team] for team in teams))))

    def _all(self, state: str) -> Iterator[Record]:
        """Records of a state, oldest first."""
        return every(self.records, RECORD, {"state": state}, together=_LOOKED_AT)

    def _record(self, job_id: str) -> Record:
        found = self.records.get(RECORD, job_id) if ID.fullmatch(job_id) else None
        if found is None:
            raise NotFound(f"no job {job_id[:40]!r}", hint="jobs that ended long ago are forgotten; their traces stay")
        return found

    def _change(self, job_id: str, change: Callable[[Mapping[str, Any]], Mapping[str, Any]]) -> Record:
        """Change a record by what a function says of what it is now; nothing where that is nothing."""
        while True:
            record = self._record(job_id)
            changes = change(record.document)
            if not changes:
                return record
            with suppress(Conflict):
                return self.records.put(RECORD, job_id, {**record.document, **changes}, record.version)

    def _change_mine(self, lease: Lease, changes: Mapping[str, Any]) -> Record:
        def change(said: Mapping[str, Any]) -> Mapping[str, Any]:
            if not lease.holds(said):
                raise LeaseLost(f"job {lease.job.id}: worker {lease.worker} has it no longer")
            return changes

        try:
            return self._change(lease.job.id, change)
        except NotFound as error:
            raise LeaseLost(error.message) from error

    def _end_as_it_was(self, record: Record, outcome: Outcome) -> None:
        """End a job that no worker has, if it is still as it was seen."""
        with suppress(Conflict):
            self.records.put(RECORD, record.name, {**record.document, **self._ending(outcome)}, record.version)

    def _ending(self, outcome: Outcome) -> dict[str, Any]:
        """What an end adds to a record."""
        return {
            **(_NO_PROGRESS if outcome.state == "done" else {}),
            "state": outcome.state, "ended": written(self.clock()), "worker": None, "cancelling": False,
            "trace_ids": list(outcome.trace_ids), "simulation": outcome.simulation,
            "error": asdict(outcome.error) if outcome.error else None, "failures": list(map(asdict, outcome.failures)),
        }  # fmt: skip


def _given_up(attempts: int) -> JobError:
    times = "once" if attempts == 1 else f"{attempts} times"
    return JobError(
        "WORKER_DIED",
        f"begun {times}, and each time the worker died or lost the store before the end",
        "perhaps memory ran out; the server's log says more",
    )


__all__ = ["Lease", "LeaseLost", "Outcome", "Queue"]
