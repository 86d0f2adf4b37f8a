"""A trace that came is checked by the rules of its team, and what came of them is kept."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cache

from etgraph.alerts.findings import CheckResult, Finding
from etgraph.alerts.references import SHORT_ID, Library, check_references
from etgraph.alerts.runs import Run
from etgraph.alerts.standing.alert import RAISED, UNCHECKED, Alert, alert_id, bounded
from etgraph.alerts.standing.baselines import Beside, beside
from etgraph.alerts.standing.evaluation import Evaluation, Failure, evaluation_id, put_evaluation
from etgraph.alerts.standing.keeping import (
    KEPT,
    broken_traces,
    expire,
    raise_alert,
    settle_by,
    withdraw_trace,
    withdraw_unasked,
)
from etgraph.alerts.standing.rule_sets import RuleSet, rule_set, sets_for
from etgraph.model import Trace
from etgraph.model.errors import Cancelled, DeadlineExceeded, EtgraphError, NotFound, UsageError
from etgraph.model.progress import Progress, silent
from etgraph.store import Store, TraceInfo, split_iterations
from etgraph.store.clock import now
from etgraph.store.errors import StoreBusy, StoreUnavailable
from etgraph.store.records import Records

FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Evaluated:
    """An evaluation with what it found: the findings that raise alerts, and what rules were compared with."""

    evaluation: Evaluation
    findings: tuple[Finding, ...]
    beside: Beside
    defect: Exception | None = None


def evaluate(
    store: Store,
    records: Records,
    entry: TraceInfo,
    *,
    asked: str | None = None,
    keeps: timedelta = KEPT,
    progress: Progress | None = None,
) -> list[Evaluation]:
    """Check an entry of the catalogue by its team's rules for its workload, and keep alerts; an evaluation a set.

    `store` is as the team sees it, and `asked` the moment at which this was asked for, now unless given. Done again
    for the same moment, nothing changes: it may be broken off anywhere. Where rules cannot be checked, that is an
    alert, too. Raises UsageError for a trace without a workload, Cancelled, StoreUnavailable, StoreBusy; and, once
    all is kept, what is a defect of etgraph.
    """
    workload, team, asked = entry.workload, entry.team or "", asked or now()
    if workload is None:
        raise UsageError(f"trace {entry.id[:SHORT_ID]}: found no workload, expected one, whose rules it is checked by")
    library = _library(store, entry)
    found = []
    for rules in sets_for(records, team, workload):
        begun = Evaluation(
            evaluation_id(asked, team, workload, entry.id, rules.name), entry.team, workload, entry.id, rules.name,
            rules.version, asked, "begun",
        )  # fmt: skip
        put_evaluation(records, begun)
        bad = broken_traces(records, team, workload, rules.name)
        one = _evaluated(begun, rules, library, bad - {entry.id}, progress or silent)
        # First what settles others, then what others settle: of two that meet, one sees the other's.
        put_evaluation(records, one.evaluation)
        for finding in one.findings:
            raise_alert(records, _alert(entry, one, finding))
        settle_by(records, one.evaluation)
        _withdraw_gone(store, records, begun, rules)
        found.append(one)
    expire(records, keeps)
    for each in found:
        if each.defect is not None:
            raise each.defect
    return [each.evaluation for each in found]


def _withdraw_gone(store: Store, records: Records, of: Evaluation, rules: RuleSet) -> None:
    """Resolve what was just raised where meanwhile somebody removed the rules or the trace, who could not see it."""
    team = of.team or ""
    there = rule_set(records, team, rules.name)
    if there is None or not there.is_for(of.workload):
        withdraw_unasked(records, team, rules.name)
    try:
        store.find(of.trace)
    except NotFound:
        withdraw_trace(records, team, of.trace)


def _library(store: Store, entry: TraceInfo) -> Library:
    """Where references lead in a store, each trace being opened once."""

    @cache
    def load(trace_id: str) -> Trace:
        return store.load(trace_id)

    @cache
    def opened(reference: str) -> Run:
        name, iterations = split_iterations(reference)
        found = entry if name == entry.id[:SHORT_ID] else store.find(name)
        return Run(reference, load(found.id), iterations, found)

    @cache
    def entries(workload: str) -> Sequence[TraceInfo]:
        return [each for each in store.traces(workload=workload) if each.team == entry.team]

    return Library(opened, entries)


def _evaluated(
    begun: Evaluation, rules: RuleSet, library: Library, bad: frozenset[str], progress: Progress
) -> Evaluated:
    """What came of a set of rules: its findings, or why they could not be had."""
    began = time.monotonic_ns()
    name, told = begun.trace[:SHORT_ID], Beside((), {}, ())
    try:
        told = beside(rules.rules(), rules.baseline, library.open(name), library, begun.workload, bad)
        result = CheckResult("ok", (name,), (), ())
        if told.rules:
            result = check_references(
                library, [name], told.rules, workload=begun.workload, progress=progress, beside_itself=True
            )
    except Exception as error:
        if isinstance(error, (Cancelled, StoreUnavailable, StoreBusy)) and not isinstance(error, DeadlineExceeded):
            raise  # it is done again
        failure = _failure(error)
        return Evaluated(
            replace(begun, status=FAILED, ended=now(), duration_ns=time.monotonic_ns() - began, failure=failure,
                    left_out=told.left_out),
            (_unchecked(rules, name, failure),),
            told,
            None if isinstance(error, (EtgraphError, MemoryError)) else error,
        )  # fmt: skip
    evaluation = replace(
        begun, status=result.status, ended=now(), duration_ns=time.monotonic_ns() - began, left_out=told.left_out,
        verdicts={finding.rule: finding.status for finding in result.findings},
    )  # fmt: skip
    return Evaluated(evaluation, tuple(each for each in result.findings if each.status in RAISED), told)


def _failure(error: Exception) -> Failure:
    if isinstance(error, EtgraphError):
        return Failure(error.code, error.message, error.hint)
    if isinstance(error, MemoryError):
        return Failure("OUT_OF_MEMORY", "the check needs more memory than there is", "let rules ask for fewer steps")
    return Failure("INTERNAL", "something went wrong inside etgraph", "the log of whoever checked has it")


def _unchecked(rules: RuleSet, trace: str, failure: Failure) -> Finding:
    return Finding(
        rule=UNCHECKED, level="error", status="incomparable", title=f"the rules {rules.name} could not be checked",
        message=failure.message, trace=trace, metric="", unit="count", reason=failure.code, advice=failure.hint,
        rule_file=rules.name,
    )  # fmt: skip


def _alert(entry: TraceInfo, found: Evaluated, finding: Finding) -> Alert:
    of = found.evaluation
    created = entry.created or of.asked
    return Alert(
        alert_id(created, of.team or "", of.workload, of.trace, of.rules, finding.rule), of.team, of.workload,
        of.trace, entry.branch, entry.commit, of.rules, created, of.asked, bounded(finding),
        found.beside.traces.get(finding.rule, ()),
    )  # fmt: skip


__all__ = ["evaluate"]
