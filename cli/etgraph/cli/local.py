"""A session on this machine: traces are read by `etgraph.ingest`, kept in a store, asked by `etgraph.queries`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache, cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, Self

from etgraph.cli.paths import as_path
from etgraph.cli.session import NEO4J_FORMAT, Diagnosis, Failure, Ingested
from etgraph.model import Trace
from etgraph.model.errors import EtgraphError, NotFound, StoreError, UsageError
from etgraph.model.progress import Progress, silent
from etgraph.store import Store, TraceInfo, connect, describe, entry_of, split_iterations

if TYPE_CHECKING:
    import pyarrow as pa

    from etgraph.alerts.findings import CheckResult
    from etgraph.alerts.history import History
    from etgraph.alerts.rules.reading import Placed
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

        def keep(path: Path, trace: Trace) -> None:
            storing = f"storing {path.name or path}"
            progress(storing)
            trace_id = store.publish(
                trace, workload=workload, team=team, labels=labels, commit=commit, branch=branch,
                progress=_by_rows(progress, storing),
            )  # fmt: skip
            stored.append(entry_of(self._store, trace_id, workload))

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
        return Ingested(tuple(stored), tuple(failures))

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
        name, iterations = _split(reference)
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
        name, iterations = _split(reference, exists=False)
        if iterations is not None:
            raise UsageError(
                f"{reference!r} names iterations of a trace; this command takes whole traces", hint=f"say {name!r}"
            )
        return self._find(name, stored=True)

    def _find(self, name: str, *, stored: bool = False) -> TraceInfo:
        try:
            return self._store.find(name)
        except NotFound as error:
            if stored and as_path(name) is not None:
                error.hint = "this command takes traces of the store, which 'etgraph ls' lists, and not their files"
            elif "/" in name:
                error.hint = f"there is no such file or folder either; the store is {self.url}"
            else:
                error.hint = error.hint or f"'etgraph ls' lists the traces of the store {self.url}"
            raise

    def remove(self, reference: str) -> TraceInfo:
        """See `Session.remove`."""
        entry = self.find(reference)
        self._store.remove(entry.id)
        return entry

    def tag(self, reference: str, name: str) -> TraceInfo:
        """See `Session.tag`."""
        entry = self.find(reference)
        self._store.tag(reference, name)
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
        self, question: str, reference: str, *, save: bool = False, simulation: str | None = None, **choices: Any
    ) -> Any:
        """See `Session.ask`. The function sees the whole trace: what a step waited for may lie before it."""
        from etgraph.queries import answer
        from etgraph.queries.questions import question as asked

        function = asked(question)
        name, steps = _split(reference)
        one = choices.get("iteration")
        if steps is not None and one is not None and one not in steps:
            raise UsageError(f"{reference!r} does not hold iteration {one}", hint="leave --iteration or # out")
        if steps is not None and one is None:
            choices["iteration"] = steps
        path = as_path(name)
        if path is None:
            found = self._find(name).id
            return answer(self._store, found, question, save=save, simulation=simulation, **choices)
        if simulation is not None:
            raise _not_stored(name, "--simulation takes traces of the store, beside which simulations are kept")
        if save:
            raise _not_stored(name, "--save takes traces of the store, beside which the answer is kept")
        return function(_read(path), **choices)

    def ask_several(self, question: str, *references: Sequence[str], **choices: Any) -> Any:
        """See `Session.ask_several`. A trace that is named more than once is opened once."""
        from etgraph.queries.questions import OF_SEVERAL
        from etgraph.queries.questions import question as asked
        from etgraph.queries.subjects import Subject

        function = asked(question, OF_SEVERAL)
        opened = {
            name: self._load(name) for name in dict.fromkeys(_split(one)[0] for side in references for one in side)
        }
        sides = [[Subject(opened[_split(one)[0]], _split(one)[1], one) for one in side] for side in references]
        return function(*sides, **choices)

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
        load = cache(lambda trace_id: self._store.load(trace_id))

        def opened(reference: str) -> Run:
            name, iterations = _split(reference)
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
        from etgraph.alerts.history import history
        from etgraph.alerts.runs import Run

        def opened(entry: TraceInfo) -> Run:
            return Run(entry.id, self._store.load(entry.id), info=entry)

        entries = self._store.traces(workload=workload)
        return history(workload, metric, entries, opened, last=last, branch=branch, progress=progress)

    def simulate(self, reference: str, simulator: str, /, *, save: bool = False, **inputs: Any) -> Simulation:
        """See `Session.simulate`."""
        from etgraph.queries import save_simulation
        from etgraph.sim.simulators import simulate

        name, _ = _split(reference)
        if save and as_path(name) is not None:
            raise _not_stored(name, "--save takes traces of the store, beside which the simulation is kept")
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

        name, iterations = _split(reference)
        if save and as_path(name) is not None:
            raise _not_stored(name, "--save takes traces of the store, beside which the sweep is kept")
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

        progress = progress or silent
        check(target, format, workload_for)
        progress(f"reading {reference}")
        trace, iterations = self._whole(reference)
        if format not in TIMELINES or workload_for is not None:
            return write(_selected(trace, iterations), target, format, progress, workload_for=workload_for)
        progress("finding the critical path")
        path, note = _path_to_show(trace, iterations)
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
        names = [name for name, iterations in map(_split, references) if iterations is None and as_path(name) is None]
        ids = {self._find(name).id for name in names}
        return [entry for entry in reversed(self._store.traces()) if entry.id in ids] if ids else []

    def _open(self, reference: str) -> Trace:
        """The trace that a reference means, cut to its iterations."""
        return _selected(*self._whole(reference))

    def _whole(self, reference: str) -> tuple[Trace, tuple[int, ...] | None]:
        """The trace that a reference means, from its path or from the store, and the iterations that it names."""
        name, iterations = _split(reference)
        return self._load(name), iterations

    def _load(self, name: str) -> Trace:
        """The trace of a path or of the store."""
        path = as_path(name)
        return self._store.load(self._find(name).id) if path is None else _read(path)

    def doctor(self, verify: bool = False) -> Diagnosis:
        """See `Session.doctor`."""
        from etgraph.cli.diagnosis import diagnose

        return diagnose(self.url, lambda: self._store, verify)


def _not_stored(name: str, why: str) -> UsageError:
    """The error for a path where a stored trace is needed."""
    return UsageError(
        f"{name} is read from disk: {why}",
        hint="ingest it first, and name it by its workload or id; 'etgraph ls' lists what is stored",
    )


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


def _split(reference: str, *, exists: bool = True) -> tuple[str, tuple[int, ...] | None]:
    """A reference without its iterations, and these. A file whose own name ends in `#1` is taken as a whole."""
    if exists and "#" in reference and Path(reference).exists():
        return reference, None
    return split_iterations(reference)


def _read(path: Path) -> Trace:
    from etgraph.ingest import read

    return read(path)


def _path_to_show(trace: Trace, iterations: tuple[int, ...] | None) -> tuple[pa.Table | None, list[str]]:
    """The segments of the critical path of a timeline; or none, and why there is none."""
    from etgraph.queries import critical_path

    try:
        return critical_path(trace, iteration=iterations).segments, []
    except EtgraphError as error:
        return None, [f"no critical path: {error}"]


def _selected(trace: Trace, iterations: tuple[int, ...] | None) -> Trace:
    return trace if iterations is None else trace.select_iterations(iterations)
