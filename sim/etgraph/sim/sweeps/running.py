"""A sweep: every point predicted once, by this process or by several; the answer does not depend on their number."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Final

from etgraph.model import Trace, Trust
from etgraph.model.errors import EtgraphError, UsageError
from etgraph.model.kernels import compiling_from
from etgraph.model.machine import processors
from etgraph.model.progress import Progress, silent
from etgraph.model.settings.problems import near, one_of
from etgraph.model.temporary import TemporaryFolder
from etgraph.model.workers import LostWorker, each_done
from etgraph.sim.sweeps.grid import Grid, Setting
from etgraph.sim.sweeps.keeping import KeptPoints
from etgraph.sim.sweeps.measures import Measure
from etgraph.sim.sweeps.objectives import check_objectives, usual_objectives, with_front
from etgraph.sim.sweeps.shipping import ship, unship
from etgraph.sim.sweeps.study import Outcome, Study, digest, step_ns
from etgraph.sim.sweeps.sweep import Sweep, SweepPoint

START_S: Final = 3.0
"""About what another process takes before its first point."""
COMPILE_FROM: Final = 100_000
"""Operators, over all points, from which it pays to load machine code for a trace that is run as plain Python else."""
SHOWN_ERRORS: Final = 3
"""Kinds of errors that a warning lists."""


def sweep(
    trace: Trace,
    grid: Grid,
    *,
    measures: Sequence[Measure] = (),
    workers: int | None = None,
    kept: KeptPoints | None = None,
    progress: Progress = silent,
) -> Sweep:
    """Predict all points of a grid.

    Of `measures` those are asked that the grid names, all where it names none. `workers` is the number of processes
    (None: as many as pay off; 1: this one). With `kept`, points that it holds are taken from there, and others are
    kept as they come; an interrupt says how many. A point that fails is a row with its error.

    Raises UsageError for a measure or an objective that there is none of, Mismatch where ranks of a trace without times
    do not agree on a collective, MissingData for a trace that cannot be replayed.
    """
    study = Study(trace, grid, _chosen(measures, grid.measures))
    check_objectives(grid.objectives, study.measures)
    _ = study.predictor  # what no point can do without is told at once, and not by each of them
    keyed = _distinct(study)
    outcomes: dict[str, Outcome] = {}
    for key, _ in keyed:
        found = kept.find(key) if kept is not None else None
        if found is not None:
            outcomes[key] = found
    reused = len(outcomes)
    todo = list({key: setting for key, setting in keyed if key not in outcomes}.items())
    progress("predicting points", reused, reused + len(todo))
    try:
        with closing(_outcomes(study, [setting for _, setting in todo], workers)) as done:
            for number, outcome in done:
                key = todo[number][0]
                outcomes[key] = outcome
                if kept is not None:
                    kept.add(key, outcome)
                progress("predicting points", len(outcomes), reused + len(todo))
    except (KeyboardInterrupt, LostWorker) as error:
        if kept is not None and outcomes:
            again = f"{len(outcomes):,} of {reused + len(todo):,} points are kept: --resume goes on from there"
            if isinstance(error, LostWorker):
                error.hint = f"{error.hint}; {again}" if error.hint else again
            else:
                error.add_note(again)
        raise
    points = [study.point(number, setting, outcomes[key]) for number, (key, setting) in enumerate(keyed)]
    objectives = grid.objectives or usual_objectives(points)
    return Sweep(
        digest(key.encode() for key, _ in keyed)[:16], with_front(points, objectives), grid.parameters, objectives,
        step_ns(trace) if trace.timed.any() else None, reused, _trust(study, outcomes[keyed[0][0]], points),
    )  # fmt: skip


def _chosen(offered: Sequence[Measure], names: Sequence[str]) -> tuple[Measure, ...]:
    known = {measure.name: measure for measure in offered}
    for name in names:
        if name not in known:
            raise UsageError(f"no measure {name!r}, expected {one_of([*known])}", hint=near(name, known))
    return tuple(known[name] for name in names) if names else tuple(offered)


def _distinct(study: Study) -> list[tuple[str, Setting]]:
    """The points with their keys; what the grid holds twice is there once, unless it has a name."""
    found: dict[str, list[Setting]] = {}
    keyed = []
    for setting in study.grid.settings:
        key = study.key(setting)
        if key not in found or setting.name:
            keyed.append((key, setting))
        found.setdefault(key, []).append(setting)
    return keyed


# Processes


def _outcomes(
    study: Study, settings: Sequence[Setting], workers: int | None
) -> Generator[tuple[int, Outcome], None, None]:
    """The number of each setting and what comes of it, as they are done."""
    tried = 0
    with _machine_code(study, len(settings)):
        if workers is None:
            took = 0.0
            # The second one tells what one takes, since the first pays for all that is done once.
            for tried, setting in enumerate(settings[:2], start=1):
                began = time.perf_counter()
                yield tried - 1, study.evaluate(setting)
                took = time.perf_counter() - began
            left = len(settings) - tried
            workers = min(processors(), left) if took * left > 2 * START_S else 1
        if workers == 1:
            for number in range(tried, len(settings)):
                yield number, study.evaluate(settings[number])
            return
    yield from _in_processes(study, settings, tried, workers)


def _in_processes(
    study: Study, settings: Sequence[Setting], first: int, workers: int
) -> Generator[tuple[int, Outcome], None, None]:
    folder = TemporaryFolder()
    try:
        scratch = folder.path / "workers"
        scratch.mkdir()
        ship(study, folder.path)
        tasks = [(str(folder.path), len(settings), setting) for setting in settings[first:]]
        with closing(each_done(evaluate_shipped, tasks, workers, scratch)) as done:
            for number, outcome in done:
                yield first + number, outcome
    finally:
        folder.remove()


def evaluate_shipped(task: tuple[str, int, Setting]) -> Outcome:
    """What comes of a setting of the study in a folder, one of so many; the study is opened once a process."""
    folder, count, setting = task
    study = _opened(folder)
    with _machine_code(study, count):
        return study.evaluate(setting)


@cache
def _opened(folder: str) -> Study:
    return unship(Path(folder))


def _machine_code(study: Study, points: int) -> AbstractContextManager[None]:
    return compiling_from(0) if len(study.trace) * points >= COMPILE_FROM else nullcontext()


def _trust(study: Study, base: Outcome, points: Sequence[SweepPoint]) -> Trust:
    """How far the base's prediction can be trusted, and what of the points is to be known."""
    try:
        found = study.predictor.predict(study.grid.profiles[0]).trust
    except EtgraphError as error:
        found = Trust(warnings=(f"the base profile gives no prediction: {error.message}",))
    warnings = [*found.warnings, *base.missing]
    unsettled = sum(not point.settled for point in points)
    if unsettled:
        warnings.append(f"shared links had not come to rest in {unsettled:,} points")
    failed = [point.error for point in points if point.error is not None]
    if failed:
        kinds = list(dict.fromkeys(failed))
        more = f" and {len(kinds) - SHOWN_ERRORS} more reasons" if len(kinds) > SHOWN_ERRORS else ""
        warnings.append(f"{len(failed):,} of {len(points):,} points failed: {'; '.join(kinds[:SHOWN_ERRORS])}{more}")
    return replace(found, warnings=tuple(warnings))
