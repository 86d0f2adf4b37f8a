"""What commands ask, whoever answers: a store on this machine now, a server later.

Only the protocol lives here, so that a command's `--help` imports nothing heavy.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, Final, Protocol, Self

if TYPE_CHECKING:
    from etgraph.alerts.findings import CheckResult
    from etgraph.alerts.history import History
    from etgraph.alerts.rules.reading import Placed
    from etgraph.alerts.standing.evaluation import Evaluation
    from etgraph.api.jobs.job import Job
    from etgraph.cli.alerting import Alerting
    from etgraph.ingest.writers import Written
    from etgraph.model.errors import EtgraphError
    from etgraph.model.progress import Progress
    from etgraph.queries import Simulations, Workloads
    from etgraph.queries.library import Answer
    from etgraph.sim.profiles import Profile
    from etgraph.sim.simulation import Simulation
    from etgraph.sim.sweeps import Grid, Sweep
    from etgraph.store import Check, TraceInfo
    from etgraph.store.protocol import CypherResult


NEO4J_FORMAT: Final = "neo4j-csv"
"""The format of an export that holds several traces: files for `neo4j-admin`."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A path that could not be ingested, and why."""

    path: str
    error: EtgraphError


@dataclass(frozen=True, slots=True)
class Checked:
    """What the rules that the store keeps say of a trace that was stored; the error where they could not be asked."""

    trace: TraceInfo
    evaluations: tuple[Evaluation, ...] = ()
    error: Exception | None = None


@dataclass(frozen=True, slots=True)
class Ingested:
    """What an ingest stored, in order, and what it could not read; and what came of the rules for what was stored."""

    traces: tuple[TraceInfo, ...] = ()
    failures: tuple[Failure, ...] = ()
    checks: tuple[Checked, ...] = ()


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What `doctor` found; `exit_code` is 0, 3 where data is damaged, 4 where the store cannot be used."""

    checks: tuple[Check, ...]
    exit_code: int = 0


class Session(Protocol):
    """A place that keeps traces and answers questions. References are those of `etgraph --help`, paths included where
    a question is asked; those of the catalogue's own commands (remove, tag, label) name stored traces only.

    Every method raises EtgraphError: NotFound, UsageError, InputError, StoreError and what else a question may raise.
    """

    @property
    def url(self) -> str:
        """The store or server, as `--store` takes it."""
        ...

    @property
    def is_remote(self) -> bool:
        """Whether a server keeps the traces."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def ingest(
        self,
        paths: Sequence[Path],
        *,
        each: bool = False,
        workload: str | None = None,
        team: str | None = None,
        labels: Mapping[str, str] | None = None,
        commit: str | None = None,
        branch: str | None = None,
        workers: int | None = None,
        resume: bool = False,
        progress: Progress | None = None,
    ) -> Ingested:
        """Store one trace for each path or, with `each`, for each file of a folder or an archive.

        A file that is no trace does not stop the others; what was read is stored. A store that fails stops it all. What
        is stored under a workload is checked by the rules that the store keeps for it, by a server afterwards.
        Ranks are read by `workers` processes (None: as many as are sensible); with `resume` those are taken which an
        ingest that broke off had read. Raises UsageError for either of them with `each`.
        """
        ...

    def traces(
        self, *, workload: str | None = None, team: str | None = None, labels: Mapping[str, str] | None = None
    ) -> list[TraceInfo]:
        """Stored traces that satisfy all conditions, newest first."""
        ...

    def workloads(self, team: str | None = None) -> Workloads:
        """The workloads of the store, or those under which a team published, with a summary of each team."""
        ...

    def show(self, reference: str) -> TraceInfo:
        """What is known of a trace. With a path or an iterations suffix, the trace is opened for it."""
        ...

    def find(self, reference: str) -> TraceInfo:
        """The catalogue's entry of a stored trace."""
        ...

    def remove(self, reference: str) -> TraceInfo:
        """Delete a stored trace with all its names; returns what it was."""
        ...

    def tag(self, reference: str, name: str) -> TraceInfo:
        """Let `workload@name` mean this trace; returns its entry."""
        ...

    def untag(self, workload: str, name: str) -> None:
        """Take a tag away; the trace stays."""
        ...

    def label(self, reference: str, labels: Mapping[str, str]) -> TraceInfo:
        """Set labels on a trace; returns its entry."""
        ...

    def ask(
        self, question: str, reference: str, *, save: bool = False, simulation: str | None = None,
        without: Collection[str] = (), **choices: Any,
    ) -> Any:  # fmt: skip
        """The answer of one of `etgraph.queries.questions`, whose keywords `choices` are.

        Iterations that the reference names choose the window; `simulation` names one that is kept beside the trace, on
        whose timeline the question is asked. Where this was saved for a stored trace before, the
        saved answer is given; with `save`, it is saved for the next time. Fields `without` which it will do may be
        empty, where it takes long to get them.
        """
        ...

    def ask_several(
        self,
        question: str,
        *references: Sequence[str],
        simulation: str | None = None,
        without: Collection[str] = (),
        **choices: Any,
    ) -> Any:
        """The answer of one of `etgraph.queries.questions.OF_SEVERAL` about one or two lists of traces.

        Iterations that a reference names are those that are meant of its trace; `choices` are the question's keywords.
        `simulation` names one that is kept beside each trace of the last list, on whose timeline these are looked at.
        """
        ...

    def check(
        self,
        references: Sequence[str],
        rules: Sequence[Placed],
        *,
        baseline: Sequence[str] = (),
        workload: str | None = None,
        progress: Progress | None = None,
    ) -> CheckResult:
        """What rules find in runs, beside a baseline where one is named; see `etgraph.alerts.references`."""
        ...

    def history(
        self,
        workload: str,
        metric: str,
        *,
        last: int = 50,
        branch: str | None = None,
        progress: Progress | None = None,
    ) -> History:
        """A metric over the last runs of a workload, and where it changed; see `etgraph.alerts.history`."""
        ...

    @property
    def alerts(self) -> Alerting:
        """The rules that the store keeps, alerts and silences."""
        ...

    def evaluate(self, reference: str, *, progress: Progress | None = None) -> list[Evaluation]:
        """Check a stored trace by the rules that are kept for its workload, as if it came now; an evaluation a set.

        Alerts are kept as they come of it. Raises UsageError where there are no rules for it.
        """
        ...

    def simulate(self, reference: str, simulator: str, /, *, save: bool = False, **inputs: Any) -> Simulation:
        """Simulate a trace by one of `etgraph.sim.simulators`, whose inputs are the keywords.

        With `save`, the simulation is kept beside the stored trace.
        """
        ...

    def calibrate(self, references: Sequence[str], base: Profile | None = None, name: str | None = None) -> Profile:
        """The profile fitted on traces; see `etgraph.sim.calibrating.calibrated`."""
        ...

    def simulations(self, reference: str, *, operators: bool = False, score: bool = False) -> Simulations:
        """The simulations that are kept beside a stored trace; with `operators`, what they say of each.

        With `score`, simulations of the workload's other traces that predict this one are scored against it before.
        """
        ...

    def remove_simulation(self, reference: str, name: str) -> str:
        """Delete a simulation that is kept beside a stored trace, with the answers on its timeline; gives its id."""
        ...

    def sweep(
        self,
        reference: str,
        grid: Grid,
        *,
        workers: int | None = None,
        folder: Path | None = None,
        resume: bool = False,
        save: bool = False,
        progress: Progress | None = None,
    ) -> Sweep:
        """The trace on all points of a grid; see `etgraph.sim.sweeps.sweep`.

        Points are kept as they come, in `folder` or, without one, in the user's cache; `resume` takes those that are
        there. With `save`, the answer is kept beside the stored trace.
        """
        ...

    def cypher(
        self,
        text: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        write: bool = False,
        timeout_s: float = 60.0,
        limit: int = 100_000,
    ) -> CypherResult:
        """The rows of a Cypher query; see `etgraph.store.Store.cypher`."""
        ...

    def query(self, name: str, values: Mapping[str, Any], *, timeout_s: float = 60.0) -> Answer:
        """The answer of a named query; see `etgraph.queries.library`."""
        ...

    def export(
        self,
        reference: str,
        target: Path | BinaryIO,
        format: str,
        *,
        workload_for: str | None = None,
        progress: Progress | None = None,
    ) -> Written:
        """Write a trace to a path on this machine or to an open stream; see `etgraph.ingest.writers`."""
        ...

    def export_for_neo4j(self, references: Sequence[str], target: Path, *, progress: Progress | None = None) -> Written:
        """Write traces to a folder from which `neo4j-admin` fills a database; see `etgraph.store.neo4j.offline.export`.

        Stored traces come with their workloads, teams, labels and tags, paths and parts of traces without.
        """
        ...

    def push(
        self,
        paths: Sequence[Path],
        *,
        each: bool = False,
        workload: str | None = None,
        labels: Mapping[str, str] | None = None,
        commit: str | None = None,
        branch: str | None = None,
        progress: Progress | None = None,
    ) -> list[Job]:
        """Send files to the server, as `ingest` does, and give the jobs that read them there. Of a server alone."""
        ...

    def jobs(self, *, state: str | None = None, limit: int = 50) -> list[Job]:
        """Jobs of the store, newest first, no more than `limit`; with `state`, those that are in it."""
        ...

    def job(self, job_id: str, *, cancel: bool = False) -> Job:
        """The job of that id; `cancel` has it stopped."""
        ...

    def doctor(self, verify: bool = False) -> Diagnosis:
        """Check this installation and the store; with `verify`, read every stored byte."""
        ...


def store_url(option: str | None) -> str:
    """The store to use: the option, else `ETGRAPH_STORE`, else a folder in the user's data directory."""
    if option:
        return option
    if named := os.environ.get("ETGRAPH_STORE"):
        return named
    from platformdirs import user_data_path

    return str(user_data_path("etgraph", appauthor=False) / "store")


def local_store_url(option: str | None) -> str:
    """The URL of a store that this process opens itself. Raises UsageError for a server, which has its own."""
    url = store_url(option)
    if is_server(url):
        from etgraph.model.errors import UsageError

        raise UsageError(
            f"store {url} is a server, and this command needs a store of its own",
            hint="give a folder or a database: --store PATH, or ETGRAPH_STORE",
        )
    return url


def is_server(url: str) -> bool:
    """Whether a store's URL is that of a server, which is asked over HTTP."""
    return re.match(r"https?://", url, re.IGNORECASE) is not None


def open_session(option: str | None) -> Session:
    """The session for a store's URL, or for a server's. Raises UsageError for a URL that cannot be one."""
    url = store_url(option)
    if is_server(url):
        from etgraph.cli.remote.session import RemoteSession

        return RemoteSession(url)
    from etgraph.cli.local import LocalSession

    return LocalSession(url)
