"""A check of references: what is checked and what is a baseline, opened from paths and from a store."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from etgraph.alerts.checking import Check, applicable, check
from etgraph.alerts.comparability import different
from etgraph.alerts.findings import CheckResult
from etgraph.alerts.rules.reading import Placed
from etgraph.alerts.runs import Run
from etgraph.model.errors import NotFound, UsageError
from etgraph.model.progress import Progress, silent
from etgraph.store import TraceInfo

_BRANCH: Final = re.compile(r"branch:(?P<branch>.+)", re.DOTALL)
_LAST: Final = re.compile(r"last:(?P<count>[^:]*)(?::(?P<branch>.+))?", re.DOTALL)
SHORT_ID: Final = 12
"""Characters of an id by which runs of a workload are called in findings and commands."""
MOST: Final = 1000
"""Runs that `last:N` may mean."""


@dataclass(frozen=True, slots=True)
class Library:
    """Where references lead: `open` gives the run of one, `entries` the catalogue's of a workload, newest first."""

    open: Callable[[str], Run]
    entries: Callable[[str], Sequence[TraceInfo]]


def check_references(
    library: Library,
    references: Sequence[str],
    rules: Sequence[Placed],
    *,
    baseline: Sequence[str] = (),
    workload: str | None = None,
    today: datetime.date | None = None,
    progress: Progress | None = None,
    beside_itself: bool = False,
) -> CheckResult:
    """Check what references name by rules; see `etgraph.alerts.checking.check`, and its `Check` for `beside_itself`.

    What is named twice is checked once.
    `workload` is that in which `branch:` and `last:` look for traces, where what is checked is not stored itself.
    Raises UsageError for an empty reference and for a baseline that no rule compares with, and what `different`,
    `baseline_runs`, opening and checking raise.
    """
    for name in (*references, *baseline):
        if not name.strip():
            raise UsageError(f"found {name!r}, expected a reference", hint="is a variable of the job empty?")
    if baseline and rules and not any(one.rule.needs_baseline for one in applicable(rules, baseline)):
        raise UsageError(
            f"a baseline is named ({', '.join(baseline)}), and none of the rules compares",
            hint="'etgraph rules init --comparing' writes rules that do; without --baseline budgets alone are checked",
        )
    progress = progress or silent
    opened: list[Run] = []
    for reference in references:
        progress(f"reading {reference}")
        opened.append(library.open(reference))
    runs = different(opened)
    found: dict[tuple[str, ...], tuple[Run, ...]] = {}

    def baselines(names: tuple[str, ...]) -> tuple[Run, ...]:
        if names not in found:
            progress(f"reading the baseline {', '.join(names)}")
            found[names] = different([run for name in names for run in baseline_runs(name, runs, library, workload)])
        return found[names]

    def earlier(run: Run, count: int) -> tuple[Run, ...]:
        if run.info is None or run.info.workload is None:
            return ()
        entries = _before([run], library.entries(run.info.workload), run.info.branch)
        return tuple(library.open(entry.id[:SHORT_ID]) for entry in reversed(entries[:count]))

    today = today or datetime.datetime.now(datetime.UTC).date()
    return check(Check(runs, tuple(baseline), baselines, earlier, today, progress, beside_itself), rules)


def named_baselines(rules: Sequence[Placed], baseline: Sequence[str]) -> tuple[str, ...]:
    """The baselines that a check by rules opens, its own being these. Raises UsageError where a rule lacks one."""
    compare = [placed.rule for placed in applicable(rules, baseline) if placed.rule.needs_baseline]
    return tuple(dict.fromkeys(name for rule in compare for name in rule.baseline or baseline))


def is_of_a_catalogue(name: str) -> bool:
    """Whether a baseline's name is `branch:NAME` or `last:N`, and not a reference."""
    return bool(_LAST.fullmatch(name) or _BRANCH.fullmatch(name))


def baseline_runs(name: str, runs: Sequence[Run], library: Library, workload: str | None = None) -> tuple[Run, ...]:
    """The runs that a baseline's name means, oldest first, none of those that are checked among them.

    A name is a reference, `branch:NAME` (the newest trace of that branch), or `last:N[:BRANCH]` (the last N traces
    before those that are checked). Raises UsageError for another form and where the workload is not known, NotFound
    where there is no such trace.
    """
    last, branch = _LAST.fullmatch(name), _BRANCH.fullmatch(name)
    match = last or branch
    if match is None:
        return (library.open(name),)
    count = 1
    if last is not None:
        text = last["count"]
        if not re.fullmatch(r"[0-9]{1,4}", text, re.ASCII) or not 1 <= int(text) <= MOST:
            raise UsageError(f"baseline {name!r}: found {text!r}, expected last:N or last:N:BRANCH, N from 1 to {MOST}")
        count = int(text)
    of = workload or _workload(name, runs)
    entries = library.entries(of)
    found = _before(runs if last else (), entries, match["branch"])
    checked = {run.trace.trace_id for run in runs}
    found = [entry for entry in found if entry.id not in checked][:count]
    if not found:
        where = f" on branch {match['branch']!r}" if match["branch"] else ""
        raise NotFound(
            f"baseline {name!r}: workload {of!r} has no {'earlier ' if last else ''}trace{where}",
            hint="'etgraph ls' lists the stored traces, with their branches; 'etgraph ingest --branch' names one",
        )
    return tuple(library.open(entry.id[:SHORT_ID]) for entry in reversed(found))


def _workload(name: str, runs: Sequence[Run]) -> str:
    named = {run.info.workload for run in runs if run.info is not None and run.info.workload}
    if len(named) != 1:
        found = f"traces of {', '.join(sorted(named))}" if named else "no stored trace of a workload"
        raise UsageError(
            f"baseline {name!r} looks among the traces of a workload: found {found} to check, expected one",
            hint="say which: --workload NAME",
        )
    return named.pop()


def _before(runs: Sequence[Run], entries: Sequence[TraceInfo], branch: str | None) -> list[TraceInfo]:
    """The entries of a branch, or all, that came before all of the runs that are stored; newest first."""
    moments = [run.info.created for run in runs if run.info is not None and run.info.created]
    ids = {run.trace.trace_id for run in runs}
    return [
        entry
        for entry in entries
        if (branch is None or entry.branch == branch)
        and entry.id not in ids
        and (not moments or entry.created is None or entry.created <= min(moments))
    ]


__all__ = ["Library", "baseline_runs", "check_references", "is_of_a_catalogue", "named_baselines"]
