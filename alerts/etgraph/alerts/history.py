"""The history of a metric: what it was on the runs of a workload, and since which run it is something else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from etgraph.alerts.language.amounts import Unit
from etgraph.alerts.language.expressions import ExpressionError
from etgraph.alerts.language.meaning import Metric, metric
from etgraph.alerts.rules.rule import Aggregate, Where
from etgraph.alerts.runs import Measured, Run, measure
from etgraph.alerts.statistics.levels import change_points, steps_of
from etgraph.alerts.statistics.ordered import FEWEST
from etgraph.model import Trust
from etgraph.model.cancelling import check as check_cancelled
from etgraph.model.errors import MissingData, NotFound, UsageError
from etgraph.model.progress import Progress, silent
from etgraph.model.readable import counted
from etgraph.model.results import Result
from etgraph.store import TraceInfo

LAST = 50
"""Runs that are looked at unless more are asked for."""
MOST = 1000
"""Runs that may be asked for."""


@dataclass(frozen=True, slots=True)
class HistoryRun:
    """A run: its trace and its value.

    `value` is the median of its steps, None where the trace does not tell. `level` is the median of the runs between
    the changes around it.
    """

    trace: str
    created: str | None
    commit: str | None
    branch: str | None
    value: float | None
    level: float | None


@dataclass(frozen=True, slots=True)
class HistoryChange:
    """A lasting change of a metric's level.

    `trace` is the first run after it, of `commit`. `previous_trace` is the last run before it, of `previous_commit`.
    `before` and `after` are the levels, medians of the runs up to the next change. `change` is the difference of the
    levels over the earlier one, None where that is 0. `p_value` is the probability of so clear a shift in a history
    without any, 0 for what is of the program alone and does not vary.
    """

    trace: str
    commit: str | None
    previous_trace: str
    previous_commit: str | None
    created: str | None
    before: float
    after: float
    change: float | None
    p_value: float


@dataclass(frozen=True, slots=True)
class History(Result):
    """A metric over the runs of a workload, oldest first, and its changes in the same order.

    `metric` is what was measured, in `unit`. `runs` are those that were looked at, `changes` those that last.
    """

    workload: str
    metric: str
    unit: Unit
    runs: tuple[HistoryRun, ...]
    changes: tuple[HistoryChange, ...]
    trust: Trust

    FRAME: ClassVar[str] = "runs"
    TABLE: ClassVar[str] = "runs"

    def headline(self) -> str:
        """The answer in a few words."""
        return f"{self.metric} of {self.workload}: {counted(len(self.changes), 'change')} in {len(self.runs):,} runs"


def history(
    workload: str,
    text: str,
    entries: Sequence[TraceInfo],
    measured: Callable[[TraceInfo, Metric], Measured],
    *,
    last: int = LAST,
    branch: str | None = None,
    progress: Progress | None = None,
) -> History:
    """The history of a metric on the last runs of a workload, of one branch or of all.

    `entries` are those of the workload in the catalogue, newest first; `measured` is `of_run` of one. Raises UsageError
    for a metric that means nothing or that needs a baseline, NotFound where there is no run, and MissingData where no
    run has the metric.
    """
    progress = progress or silent
    asked = _metric(text)
    chosen = [entry for entry in entries if branch is None or entry.branch == branch][:last]
    if not chosen:
        raise NotFound(
            f"workload {workload!r} has no trace{f' on branch {branch!r}' if branch is not None else ''}",
            hint="'etgraph ls' lists the stored traces, with their branches",
        )
    values: list[float | None] = []
    reasons: list[str] = []
    for number, entry in enumerate(reversed(chosen)):
        progress(f"{text} of {entry.id[:12]}", number, len(chosen))
        check_cancelled()
        found = measured(entry, asked)
        values.append(found.value)
        reasons += [found.missing] if found.missing else []
    if len(reasons) == len(chosen):
        raise MissingData(f"none of {counted(len(chosen), 'run')} has {text}: {reasons[0]}")
    return _told(workload, asked, list(reversed(chosen)), values, reasons)


def of_run(run: Run, asked: Metric) -> Measured:
    """The metric of a run, or why there is none."""
    found = measure(run, asked, Where(), Aggregate())
    return Measured(found.value, missing=found.missing)


def _metric(text: str) -> Metric:
    try:
        found = metric(text)
    except ExpressionError as error:
        raise UsageError(f"metric {text!r}: {error}", hint=error.hint) from error
    if found.compares:
        raise UsageError(
            f"metric {text!r} compares runs with a baseline, which a history does not have",
            hint="ask for what each run has by itself, such as iterations.durationNs",
        )
    return found


def _told(
    workload: str, asked: Metric, entries: Sequence[TraceInfo], values: Sequence[float | None], reasons: Sequence[str]
) -> History:
    known = [place for place, value in enumerate(values) if value is not None]
    numbers = [value for value in values if value is not None]
    points = steps_of(numbers) if asked.structural else change_points(numbers)
    firsts = [known[point.first] for point in points]
    levels: list[float | None] = [None] * len(values)
    if points:
        every = [points[0].before, *(point.after for point in points)]
        levels = [every[sum(first <= place for first in firsts)] for place in range(len(values))]
    warnings = []
    if reasons:
        warnings.append(f"{counted(len(reasons), 'run')} without a value: {reasons[0]}")
    if len(known) < FEWEST and not asked.structural:
        warnings.append(f"changes are looked for from {FEWEST} runs on")
    runs = [
        HistoryRun(entry.id, entry.created, entry.commit, entry.branch, value, level)
        for entry, value, level in zip(entries, values, levels, strict=True)
    ]
    changes = []
    for point, first in zip(points, firsts, strict=True):
        run, previous = entries[first], entries[known[point.first - 1]]
        changes.append(
            HistoryChange(
                run.id, run.commit, previous.id, previous.commit, run.created, point.before, point.after, point.change,
                point.p_value,
            )
        )  # fmt: skip
    return History(workload, asked.text, asked.unit, tuple(runs), tuple(changes), Trust(warnings=tuple(warnings)))


__all__ = ["LAST", "MOST", "History", "HistoryChange", "HistoryRun", "history", "of_run"]
