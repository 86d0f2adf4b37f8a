"""Checks of stored traces by rules, and the history of a metric. Clients name no files of the server."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from functools import cache
from typing import Final

from etgraph.alerts.findings import CheckResult
from etgraph.alerts.history import MOST, History, of_run
from etgraph.alerts.history import history as history_of
from etgraph.alerts.language.meaning import Metric
from etgraph.alerts.references import Library, check_references, is_of_a_catalogue, named_baselines
from etgraph.alerts.rules.reading import DEFAULT, Placed, default_pack, load, loads_all
from etgraph.alerts.runs import Measured, Run
from etgraph.api.context import Context
from etgraph.api.fetch.analyses import OpenOnce, worked_out
from etgraph.model import Trace
from etgraph.model.errors import UsageError
from etgraph.store import TraceInfo
from etgraph.store.references import split_iterations

MOST_RUNS: Final = 100
"""Traces that one check opens: all of them are in memory at once."""


def check(
    context: Context,
    *,
    references: Sequence[str],
    rules: Sequence[str] | None = None,
    baseline: Sequence[str] | None = None,
    workload: str | None = None,
) -> CheckResult:
    """What rules find in stored traces that the viewer sees; a reference is never a path.

    It is worked out once for all requests of a day, on which suppressions end. Raises UsageError for more than
    MOST_RUNS traces, RulesError for texts that are no rules, and what checking raises.
    """
    placed, baseline = _rules(rules), tuple(baseline or ())
    today = datetime.datetime.now(datetime.UTC).date()
    entry_of = cache(lambda reference: context.store.find(split_iterations(reference)[0]))
    entries = cache(lambda of: context.store.traces(workload=of))

    def work() -> CheckResult:
        library = Library(_opening(context, entry_of), entries)
        return check_references(library, references, placed, baseline=baseline, workload=workload, today=today)

    baselines = named_baselines(placed, baseline)
    checked = [entry_of(reference) for reference in references]
    named = [entry_of(name) for name in baselines if not is_of_a_catalogue(name)]
    looks_around = any(map(is_of_a_catalogue, baselines)) or any(one.rule.runs > 1 for one in placed)
    workloads = {of for of in (workload, *(entry.workload for entry in checked)) if of} if looks_around else set()
    listed = (entry for of in sorted(workloads) for entry in entries(of))
    catalogue = tuple((entry.id, entry.revision, entry.branch, entry.created) for entry in listed)
    texts = None if rules is None else tuple(rules)
    asked = "check", tuple(references), texts, baseline, workload, today, catalogue
    return worked_out(context, [*checked, *named], asked, work)


def _opening(context: Context, entry_of: Callable[[str], TraceInfo]) -> Callable[[str], Run]:
    """What opens the run of a reference, for one check: a trace that is named by several references is one."""
    store, traces = OpenOnce(context), dict[str, Trace]()

    @cache
    def opened(reference: str) -> Run:
        entry = entry_of(reference)
        if entry.id not in traces:
            if len(traces) == MOST_RUNS:
                raise UsageError(f"found more than {MOST_RUNS} traces to check and to compare with", hint="name fewer")
            traces[entry.id] = store.load(entry.id)
        return Run(reference, traces[entry.id], split_iterations(reference)[1], entry)

    return opened


def _rules(texts: Sequence[str] | None) -> tuple[Placed, ...]:
    """The rules in texts, which messages call `rules.toml`, or by number; those that come with etgraph without any."""
    if texts is None:
        return load([])
    names = ["rules.toml"] if len(texts) == 1 else [f"rules[{number}].toml" for number in range(len(texts))]
    given = zip(texts, names, strict=True)
    return loads_all([default_pack() if text == DEFAULT else (text, name) for text, name in given])


def history(context: Context, *, workload: str, metric: str, last: int, branch: str | None = None) -> History:
    """A metric over the last runs of a workload that the viewer sees. What a run has of it is worked out once for all.

    Raises UsageError for a `last` out of range, and what `etgraph.alerts.history.history` raises.
    """
    if not 1 <= last <= MOST:
        raise UsageError(f"last: found {last}, expected 1 to {MOST}")
    store = OpenOnce(context)

    def measured(entry: TraceInfo, asked: Metric) -> Measured:
        def work() -> Measured:
            return of_run(Run(entry.id, store.load(entry.id), info=entry), asked)

        return worked_out(context, [entry], ("history", asked.text), work)

    return history_of(workload, metric, context.store.traces(workload=workload), measured, last=last, branch=branch)


__all__ = ["MOST_RUNS", "check", "history"]
