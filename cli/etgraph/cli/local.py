"""A session on this machine: traces are read by `etgraph.ingest`, kept in a store, asked by `etgraph.queries`."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache, cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, Final, Self

from etgraph.cli.local_alerts import alerting_of, check_beside, check_by_rules, forget_trace
from etgraph.cli.paths import as_path, explain_not_found, not_stored, split, whole, with_steps
from etgraph.cli.session import NEO4J_FORMAT, Checked, Diagnosis, Failure, Ingested
from etgraph.model import Trace
from etgraph.model.errors import EtgraphError, NotFound, StoreError, UsageError
from etgraph.model.progress import Progress, silent
from etgraph.store import Store, TraceInfo, connect, describe, entry_of

if TYPE_CHECKING:
    from etgraph.alerts.findings import CheckResult
    from etgraph.alerts.history import History
    from etgraph.alerts.language.meaning import Metric
    from etgraph.alerts.rules.reading import Placed
    from etgraph.alerts.standing.evaluation import Evaluation
    from etgraph.api.jobs.job import Job
    from etgraph.api.jobs.queue import Queue
    from etgraph.cli.alerting import Alerting
    from etgraph.ingest.writers import Written
    from etgraph.queries import Simulations, Workloads
    from etgraph.queries.library import Answer
    from etgraph.sim.profiles import Profile
    from etgraph.sim.simulation import Simulation
    from etgraph.sim.sweeps import Grid, Sweep
    from etgraph.store.protocol import CypherResult


class LocalSession:
    """Implements `Session` on a store that this process opens itself, when it first needs it."""

    def __init__(self, url: str) -> None:
        self.url = url

    @cached_property
    def _store(self) -> Store:
        return connect(self.url)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if "_store" in self.__dict__:
            self._store.close()

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
        """See `Session.ingest`. A StoreError and a UsageError end it at once: they would meet every path alike."""
        from etgraph.ingest import KeptRanks, read, read_each

        if each and (workers is not None or resume):
            raise UsageError(
                f"{'--workers' if workers is not None else '--resume'} with --each",
                hint="both are about the ranks of one run; with --each every file is read by itself",
            )
        progress = progress or silent
        store = self._store
        stored: list[TraceInfo] = []
        failures: list[Failure] = []
        checks: list[Checked] = []

        def keep(path: Path, trace: Trace) -> None:
            storing = f"storing {path.name or path}"
            progress(storing)
            trace_id = store.publish(
                trace, workload=workload, team=team, labels=labels, commit=commit, branch=branch,
                progress=_by_rows(progress, storing),
            )  # fmt: skip
            stored.append(entry_of(self._store, trace_id, workload))
            if workload is not None:
                checks.extend(check_by_rules(store, stored[-1], progress))

        for path in paths:
            kept = KeptRanks(_kept_ranks_folder(), resume=resume)
            reading = _within(progress, f"{path.name or path}: ")
            try:
                if each:
                    reading("reading")
                    for file, found in read_each(path):
                        if isinstance(found, EtgraphError):
                            failures.append(_failure(file, found))
                        else:
                            keep(file, found)
                        reading(f"read {file.name}")
                else:
                    with kept:
                        keep(path, read(path, workers=workers, kept=kept, progress=reading))
            except (EtgraphError, KeyboardInterrupt) as error:
                if not each:
                    _tell_kept(error, kept.count())
                if isinstance(error, KeyboardInterrupt):
                    raise
                failures.append(_failure(path, error))
        progress("done", len(paths), len(paths))
        return Ingested(tuple(stored), tuple(failures), tuple(checks))

    def traces(
        self, *, workload: str | None = None, team: str | None = None, labels: Mapping[str, str] | None = None
    ) -> list[TraceInfo]:
        """See `Session.traces`."""
        return self._store.traces(workload=workload, team=team, labels=labels)

    def workloads(self, team: str | None = None) -> Workloads:
        """See `Session.workloads`."""
        from etgraph.queries import workloads

        return workloads(self._store, team)

    def show(self, reference: str) -> TraceInfo:
        """See `Session.show`."""
        name, iterations = split(reference)
        path = as_path(name)
        if path is not None:
            return describe(_selected(_read(path), iterations))
        entry = self._find(name)
        if iterations is None:
            return entry
        part = describe(_selected(self._store.load(entry.id), iterations))
        return replace(
            entry, ranks=part.ranks, operators=part.operators, dependencies=part.dependencies,
            collectives=part.collectives, span_ns=part.span_ns, iterations=part.iterations,
        )  # fmt: skip

    def find(self, reference: str) -> TraceInfo:
        """See `Session.find`. Raises UsageError for a part of a trace, which the catalogue does not know."""
        return self._find(whole(reference), stored=True)

    def _find(self, name: str, *, stored: bool = False) -> TraceInfo:
        try:
            return self._store.find(name)
        except NotFound as error:
            explain_not_found(error, name, self.url, stored=stored)
            raise

    def remove(self, reference: str) -> TraceInfo:
        """See `Session.remove`."""
        entry = self.find(reference)
        self._store.remove(entry.id)
        forget_trace(self._store, entry.id)
        return entry

    def tag(self, reference: str, name: str) -> TraceInfo:
        """See `Session.tag`."""
        entry = self.find(reference)
        self._store.tag(reference, name)
        check_beside(self._store, entry, name)
        return entry_of(self._store, entry.id, entry.workload)

    def untag(self, workload: str, name: str) -> None:
        """See `Session.untag`."""
        self._store.untag(workload, name)

    def label(self, reference: str, labels: Mapping[str, str]) -> TraceInfo:
        """See `Session.label`."""
        entry = self.find(reference)
        for key, value in labels.items():
            self._store.label(reference, key, value)
        return entry_of(self._store, entry.id, entry.workload)

    def ask(
        self, question: str, reference: str, *, save: bool = False, simulation: str | None = None,
        without: Collection[str] = (), **choices: Any,
    ) -> Any:  # fmt: skip
        """See `Session.ask`. The function sees the whole trace: what a step waited for may lie before it."""
        from etgraph.queries import answer
        from etgraph.queries.questions import question as asked

        function = asked(question)
        name, steps = split(reference)
        choices = with_steps(reference, steps, choices)
        path = as_path(name)
        if path is None:
            found = self._find(name).id
            return answer(self._store, found, question, save=save, simulation=simulation, **choices)
        if simulation is not None:
            raise not_stored(name, _NO_SIMULATIONS)
        if save:
            raise not_stored(name, "--save takes traces of the store, beside which the answer is kept")
        return function(_read(path), **choices)

    def ask_several(
        self,
        question: str,
        *references: Sequence[str],
        simulation: str | None = None,
        without: Collection[str] = (),
        **choices: Any,
    ) -> Any:
        """See `Session.ask_several`. A trace that is named more than once is opened once."""
        from etgraph.queries.questions import OF_SEVERAL
        from etgraph.queries.questions import question as asked
        from etgraph.queries.subjects import Subject

        function = asked(question, OF_SEVERAL)
        opened: dict[tuple[str, str | None], Trace] = {}

        def subject(reference: str, timeline: str | None) -> Subject:
            name, iterations = split(reference)
            if (name, timeline) not in opened:
                opened[name, timeline] = self._load(name) if timeline is None else self._load_on(name, timeline)
            return Subject(opened[name, timeline], iterations, reference)

        *firsts, last = references
        sides = [[subject(one, None) for one in side] for side in firsts]
        return function(*sides, [subject(one, simulation) for one in last], **choices)

    def check(
        self,
        references: Sequence[str],
        rules: Sequence[Placed],
        *,
        baseline: Sequence[str] = (),
        workload: str | None = None,
        progress: Progress | None = None,
    ) -> CheckResult:
        """See `Session.check`. A trace that is named more than once, with other iterations, is opened once."""
        from etgraph.alerts.references import Library, check_references
        from etgraph.alerts.runs import Run

        read = cache(_read)

        @cache
        def load(trace_id: str) -> Trace:
            return self._store.load(trace_id)

        def opened(reference: str) -> Run:
            name, iterations = split(reference)
            path = as_path(name)
            entry = self._find(name) if path is None else None
            trace = load(entry.id) if entry is not None else read(path)
            return Run(reference, trace, iterations, entry)

        library = Library(opened, lambda of: self._store.traces(workload=of))
        return check_references(library, references, rules, baseline=baseline, workload=workload, progress=progress)

    def history(
        self,
        workload: str,
        metric: str,
        *,
        last: int = 50,
        branch: str | None = None,
        progress: Progress | None = None,
    ) -> History:
        """See `Session.history`."""
        from etgraph.alerts.history import history, of_run
        from etgraph.alerts.runs import Measured, Run

        def measured(entry: TraceInfo, asked: Metric) -> Measured:
            return of_run(Run(entry.id, self._store.load(entry.id), info=entry), asked)

        entries = self._store.traces(workload=workload)
        return history(workload, metric, entries, measured, last=last, branch=branch, progress=progress)

    @property
    def alerts(self) -> Alerting:
        """See `Session.alerts`."""
        return alerting_of(self._store)

    def evaluate(self, reference: str, *, progress: Progress | None = None) -> list[Evaluation]:
        """See `Session.evaluate`."""
        from etgraph.alerts.standing.evaluating import evaluate
        from etgraph.cli.alerting import rules_for

        entry = self.find(reference)
        rules_for(self.alerts, entry)
        return evaluate(self._store, self._store.records, entry, progress=progress)

    def simulate(self, reference: str, simulator: str, /, *, save: bool = False, **inputs: Any) -> Simulation:
        """See `Session.simulate`."""
        from etgraph.queries import save_simulation
        from etgraph.sim.simulators import simulate

        name, _ = split(reference)
        if save and as_path(name) is not None:
            raise not_stored(name, "--save takes traces of the store, beside which the simulation is kept")
        if save:
            self.find(reference)
        trace = self._open(reference)
        found = simulate(trace, simulator, **inputs)
        if save:
            save_simulation(self._store, trace.trace_id, found, profile=inputs.get("profile"), trace=trace)
        return found

    def calibrate(self, references: Sequence[str], base: Profile | None = None, name: str | None = None) -> Profile:
        """See `Session.calibrate`."""
        from etgraph.sim.calibrating import calibrated

        return calibrated([self._open(reference) for reference in references], base, name)

    def simulations(self, reference: str, *, operators: bool = False, score: bool = False) -> Simulations:
        """See `Session.simulations`."""
        from etgraph.queries import simulations
        from etgraph.store import scoring

        found = self.find(reference)
        if score:
            scoring.score(self._store, reference)
        return simulations(self._store, found.id, operators=operators)

    def remove_simulation(self, reference: str, name: str) -> str:
        """See `Session.remove_simulation`."""
        from etgraph.queries import remove_simulation

        return remove_simulation(self._store, self.find(reference).id, name)

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
        """See `Session.sweep`. Raises UsageError where what is to be saved is no stored trace, or a part of one."""
        from etgraph.queries.sweep_measures import MEASURES
        from etgraph.queries.tables import to_table
        from etgraph.sim.sweeps import KeptPoints, sweep

        name, iterations = split(reference)
        if save and as_path(name) is not None:
            raise not_stored(name, "--save takes traces of the store, beside which the sweep is kept")
        if save and iterations is not None:
            raise UsageError(f"{reference!r} names iterations of a trace: a sweep is kept beside a whole one")
        progress = progress or silent
        progress(f"reading {reference}")
        trace = self._open(reference)
        file = folder / "points.jsonl" if folder is not None else _kept_points_folder() / f"{trace.trace_id[:16]}.jsonl"
        found = sweep(
            trace, grid, measures=MEASURES, workers=workers, kept=KeptPoints(file, resume=resume), progress=progress
        )
        if save:
            table = to_table(found, found.FRAME)
            self._store.put_artefact(trace.trace_id, "sweep", found.id, table, revision=trace.revision)
        return found

    def cypher(
        self,
        text: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        write: bool = False,
        timeout_s: float = 60.0,
        limit: int = 100_000,
    ) -> CypherResult:
        """See `Session.cypher`."""
        return self._store.cypher(text, parameters, write=write, timeout_s=timeout_s, limit=limit)

    def query(self, name: str, values: Mapping[str, Any], *, timeout_s: float = 60.0) -> Answer:
        """See `Session.query`. Traces are found in the store, as those of the catalogue's commands."""
        from etgraph.queries import library

        # A store without Cypher says so, rather than that it lacks the trace.
        self._store.cypher("RETURN 1", limit=1)
        return library.run(self, name, timeout_s=timeout_s, **values)

    def export(
        self,
        reference: str,
        target: Path | BinaryIO,
        format: str,
        *,
        workload_for: str | None = None,
        progress: Progress | None = None,
    ) -> Written:
        """See `Session.export`. The target is looked at before the trace, which may take long to read."""
        from etgraph.ingest.writers import TIMELINES, check, write
        from etgraph.queries.shown_path import path_to_show

        progress = progress or silent
        check(target, format, workload_for)
        progress(f"reading {reference}")
        trace, iterations = self._whole(reference)
        if format not in TIMELINES or workload_for is not None:
            return write(_selected(trace, iterations), target, format, progress, workload_for=workload_for)
        progress("finding the critical path")
        path, note = path_to_show(trace, iterations)
        written = write(_selected(trace, iterations), target, format, progress, path=path)
        return replace(written, notes=(*written.notes, *note))

    def export_for_neo4j(self, references: Sequence[str], target: Path, *, progress: Progress | None = None) -> Written:
        """See `Session.export_for_neo4j`. Traces are opened one after another."""
        from etgraph.ingest.writers.output import Written, check_folder, folder_output, mark_folder
        from etgraph.store.neo4j.offline.export import write_import

        progress = progress or silent

        def opened() -> Iterator[Trace]:
            for reference in references:
                progress(f"reading {reference}")
                yield self._open(reference)

        check_folder(target)
        entries = self._entries(references)
        with folder_output(target) as folder:
            found = write_import(folder, opened(), entries, progress)
            mark_folder(folder, {"format": NEO4J_FORMAT, "version": 1, "traces": found.traces})
        return Written(NEO4J_FORMAT, str(target), found.operators, found.dependencies, found.bytes)

    def _entries(self, references: Sequence[str]) -> list[TraceInfo]:
        """What the catalogue says of the traces that are named as a whole, oldest first."""
        names = [name for name, iterations in map(split, references) if iterations is None and as_path(name) is None]
        ids = {self._find(name).id for name in names}
        return [entry for entry in reversed(self._store.traces()) if entry.id in ids] if ids else []

    def _open(self, reference: str) -> Trace:
        """The trace that a reference means, cut to its iterations."""
        return _selected(*self._whole(reference))

    def _whole(self, reference: str) -> tuple[Trace, tuple[int, ...] | None]:
        """The trace that a reference means, from its path or from the store, and the iterations that it names."""
        name, iterations = split(reference)
        return self._load(name), iterations

    def _load(self, name: str) -> Trace:
        """The trace of a path or of the store."""
        path = as_path(name)
        return self._store.load(self._find(name).id) if path is None else _read(path)

    def _load_on(self, name: str, simulation: str) -> Trace:
        """A trace of the store on the timeline of one of its simulations."""
        from etgraph.queries.saved_simulations import load_on

        if as_path(name) is not None:
            raise not_stored(name, _NO_SIMULATIONS)
        return load_on(self._store, self._find(name).id, simulation)

    @property
    def is_remote(self) -> bool:
        """See `Session.is_remote`."""
        return False

    def push(self, paths: Sequence[Path], **details: Any) -> list[Job]:
        """See `Session.push`."""
        raise UsageError(f"{self.url} is no server")

    def jobs(self, *, state: str | None = None, limit: int = 50) -> list[Job]:
        """See `Session.jobs`."""
        return self._queue.page(state=state, first=limit)

    def job(self, job_id: str, *, cancel: bool = False) -> Job:
        """See `Session.job`."""
        return self._queue.cancel(job_id) if cancel else self._queue.get(job_id)

    @property
    def _queue(self) -> Queue:
        from etgraph.api.jobs.queue import Queue

        return Queue(self._store.records)

    def doctor(self, verify: bool = False) -> Diagnosis:
        """See `Session.doctor`."""
        from etgraph.cli.diagnosis import diagnose

        return diagnose(self.url, lambda: self._store, verify)


_NO_SIMULATIONS: Final = "--simulation takes traces of the store, beside which simulations are kept"


def _by_rows(progress: Progress, what: str) -> Progress:
    """Progress of a step, told with the rows that are done of it."""

    def tell(step: str, done: int = 0, total: int | None = None) -> None:
        progress(f"{what}: {done:,} of {total or 0:,} rows", done, total)

    return tell


def _failure(path: Path, error: EtgraphError) -> Failure:
    """A path that cannot be read. Raises what would meet every path alike."""
    if isinstance(error, (StoreError, UsageError)):
        raise error
    return Failure(str(path), error)


def _tell_kept(error: EtgraphError | KeyboardInterrupt, number: int) -> None:
    """Add to what ended an ingest how many ranks it leaves for another one."""
    if not number:
        return
    are, they = ("rank that was read is", "it is") if number == 1 else ("ranks that were read are", "they are")
    again = f"{number:,} {are} kept: with --resume {they} not read again"
    if isinstance(error, KeyboardInterrupt):
        error.add_note(again)
    else:
        error.hint = f"{error.hint}; {again}" if error.hint else again


def _within(progress: Progress, prefix: str) -> Progress:
    """Progress of a part, which its steps name."""

    def step(step: str, done: int = 0, total: int | None = None) -> None:
        progress(prefix + step, done, total)

    return step


def _kept_points_folder() -> Path:
    """Where points of sweeps are kept for the next one, a file for each trace."""
    from platformdirs import user_cache_path

    return user_cache_path("etgraph", appauthor=False) / "sweeps"


def _kept_ranks_folder() -> Path:
    """Where ranks outlive an ingest that breaks off: beside the user's own store."""
    from platformdirs import user_data_path

    return user_data_path("etgraph", appauthor=False) / "ranks"


def _read(path: Path) -> Trace:
    from etgraph.ingest import read

    return read(path)


def _selected(trace: Trace, iterations: tuple[int, ...] | None) -> Trace:
    return trace if iterations is None else trace.select_iterations(iterations)
