"""A check: every rule judged on runs, with what is responsible for what it found."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from etgraph.alerts.comparability import incomparable, on_both_sides
from etgraph.alerts.each import of_each, stand_together, untold
from etgraph.alerts.findings import CheckResult, Finding, Outcome, Status
from etgraph.alerts.judging import Verdict, of_budget, of_regression
from etgraph.alerts.rules.reading import DEFAULT_FILE, Placed
from etgraph.alerts.rules.rule import Rule, Where
from etgraph.alerts.runs import Measured, Run, measure, together
from etgraph.alerts.telling import told
from etgraph.model.cancelling import check as check_cancelled
from etgraph.model.errors import MissingData, UsageError
from etgraph.model.progress import Progress, silent
from etgraph.queries.comparison import Comparison, compare

Runs = tuple[Run, ...]
UNDECIDED: Final = "undecided"


@dataclass(frozen=True, slots=True)
class Judged:
    """A rule on the runs of one side, and what came of it: everything from which its finding is told."""

    placed: Placed
    runs: Runs
    baseline: Runs
    verdict: Verdict
    measured: Measured
    before: Measured | None = None
    comparison: Callable[[], Comparison] | None = None

    @property
    def rule(self) -> Rule:
        """The rule."""
        return self.placed.rule


@dataclass(frozen=True, slots=True)
class Check:
    """What rules are judged on: the runs, what is a baseline, and the runs before one, by which `for` goes on.

    `baseline` are the names of the check's own, `baselines` opens those of a rule or of the check; `earlier` gives so
    many runs of the same workload before one, the oldest first. `today` is the day on which suppressions are looked at.
    With `beside_itself` a run may be its own baseline, with which nothing compares as worse: somebody said that it is
    how things shall be. Without, that is a mistake, and incomparable.
    """

    runs: Runs
    baseline: tuple[str, ...] = ()
    baselines: Callable[[tuple[str, ...]], Runs] = lambda names: ()
    earlier: Callable[[Run, int], Runs] = lambda run, count: ()
    today: datetime.date = field(default_factory=datetime.date.today)
    progress: Progress = silent
    beside_itself: bool = False
    compared: dict[tuple[object, ...], Comparison] = field(default_factory=dict)

    def comparison(self, runs: Runs, baseline: Runs, where: Where) -> Comparison:
        """The comparison of runs with a baseline, made once."""
        key = tuple(map(id, runs)), tuple(map(id, baseline)), where.rank, where.iterations
        if key not in self.compared:
            sides = ([run.subject(where.iterations) for run in side] for side in (baseline, runs))
            self.compared[key] = compare(*sides, rank=where.rank)
        return self.compared[key]


def check(of: Check, rules: Sequence[Placed]) -> CheckResult:
    """The findings of all rules that are not off, in their order. Raises what `judged_by` raises."""
    judged = judged_by(of, rules)
    findings = tuple(told(one, of.today) for one in judged)
    names = tuple(dict.fromkeys(run.name for one in judged for run in one.baseline))
    return CheckResult(outcome(findings), tuple(run.name for run in of.runs), names, findings)


def judged_by(of: Check, rules: Sequence[Placed]) -> list[Judged]:
    """The verdicts on all rules that are not off, in their order, looked at together; nothing is told of them yet.

    A budget is judged on every run by itself; what compares with a baseline is judged once, all runs being runs of one
    side.

    Raises what `applicable` raises, and what questions raise other than for missing data.
    """
    if not of.runs:
        raise UsageError("no trace to check")
    judged: list[Judged] = []
    for placed in applicable(rules, of.baseline):
        check_cancelled()
        of.progress(f"rule {placed.rule.id}")
        judged += _judge(of, placed)
    verdicts = stand_together([one.verdict for one in judged])
    return [replace(one, verdict=verdict) for one, verdict in zip(judged, verdicts, strict=True)]


def applicable(rules: Sequence[Placed], baseline: Sequence[str]) -> tuple[Placed, ...]:
    """The rules that are asked: without those that are off, and those that come with etgraph and lack a baseline.

    Raises UsageError where another rule lacks one.
    """
    found = []
    for placed in rules:
        rule = placed.rule
        if rule.level == "off":
            continue
        if not rule.needs_baseline or rule.baseline or baseline:
            found.append(placed)
        elif placed.file != DEFAULT_FILE:
            raise UsageError(
                f"{placed.file}: line {placed.line}: rule {rule.id!r} compares with a baseline, and none is named",
                hint="say --baseline REF, or baseline = [\"REF\"] in the rule; 'etgraph check --help' tells what a "
                "REF is",
            )
    return tuple(found)


def outcome(findings: Sequence[Finding]) -> Outcome:
    """What a check comes to: a broken rule of level error first, then what could not be checked at any level.

    Where the rules that come with etgraph are all, and none has measured anything, nothing was checked.
    """
    errors = {finding.status for finding in findings if finding.level == "error"}
    if "broken" in errors:
        return "regressed"
    unmeasured = all(
        finding.value is None and finding.status == "passed" and finding.rule_file == DEFAULT_FILE
        for finding in findings
    )
    if (findings and unmeasured) or any(finding.status == "incomparable" for finding in findings):
        return "incomparable"
    return "undecided" if UNDECIDED in errors else "ok"


def _judge(of: Check, placed: Placed) -> Iterator[Judged]:
    rule = placed.rule
    if not rule.needs_baseline:
        runs = [(run,) for run in of.runs] if rule.runs == 1 else [of.runs]
        for side in runs:
            yield _in_a_row(of, placed, side, ())
        return
    yield _in_a_row(of, placed, of.runs, of.baselines(rule.baseline or of.baseline))


def _in_a_row(of: Check, placed: Placed, runs: Runs, baseline: Runs) -> Judged:
    """The verdict on the runs; with `for`, on each of the last ones by itself: broken where all of them are."""
    count = placed.rule.runs
    if count == 1:
        return _verdict(of, placed, runs, baseline)
    last = runs[-count:]
    last = (*of.earlier(last[0], count - len(last)), *last)[-count:]
    each = [_verdict(of, placed, (run,), baseline) for run in last]
    newest, broken = each[-1], sum(one.verdict.status == "broken" for one in each)
    evidence = {**newest.verdict.evidence, "broken_in_a_row": broken, "for": count}
    verdict = replace(newest.verdict, evidence=evidence, decision=None, each={})
    if newest.verdict.status == "broken" and len(each) < count:
        verdict = replace(verdict, status=UNDECIDED, runs_needed=count)
    elif newest.verdict.status == "broken" and broken < count:
        verdict = replace(verdict, status="passed")
    return replace(newest, verdict=verdict)


def _verdict(of: Check, placed: Placed, runs: Runs, baseline: Runs) -> Judged:
    rule = placed.rule
    nothing = Measured(None)
    differ = incomparable(runs, baseline) if baseline else ()
    checked = [run for run in runs if any(run is each for each in of.runs)]  # not those before, by which `for` goes on
    same = on_both_sides(checked, baseline)
    if not of.beside_itself:
        differ = differ or same
    if differ:
        verdict = Verdict("incomparable", evidence={"differences": list(differ)}, missing="; ".join(differ))
        return Judged(placed, runs, baseline, verdict, nothing)

    def comparison() -> Comparison:
        return of.comparison(runs, baseline, rule.where)

    try:
        if rule.metric.compares:
            comparison()
    except MissingData as error:  # nothing in common
        verdict = Verdict("incomparable", missing=error.message)
        return Judged(placed, runs, baseline, verdict, nothing)
    compared = comparison if baseline else None
    each = rule.aggregate.ranks == "each"
    if each and not rule.one_run_is_enough:
        try:
            why = untold(runs, baseline, rule.where.iterations)
        except MissingData:  # none of the steps that are meant, which measuring tells
            why = None
        if why is not None:
            verdict = Verdict("passed" if same or rule.missing == "pass" else UNDECIDED, missing=why)
            return Judged(placed, runs, baseline, verdict, nothing)
    own = [measure(run, rule.metric, rule.where, rule.aggregate, compared) for run in runs]
    if rule.metric.compares:
        own = own[:1]
    before = [measure(run, rule.metric, rule.where, rule.aggregate) for run in baseline] if rule.regression else []
    sides = zip((*runs[: len(own)], *baseline), (*own, *before), strict=False)
    missing = next((_missing(run, one, sides=bool(before)) for run, one in sides if one.value is None), None)
    if missing is not None:
        status: Status = "passed" if rule.missing == "pass" else "incomparable"
        return Judged(placed, runs, baseline, Verdict(status, missing=missing), nothing)
    if rule.regression is None:
        verdict = of_budget(rule, own[0])
    else:
        judge = of_each if each else of_regression
        verdict = judge(rule, own, before, runs=runs, baseline_runs=baseline)
        if same and verdict.status == UNDECIDED:
            verdict = replace(verdict, status="passed", decision=None, each={}, runs_needed=None)
    return Judged(placed, runs, baseline, verdict, together(own), together(before) if before else None, compared)


def _missing(run: Run, measured: Measured, *, sides: bool) -> str:
    """Why a run has no number; with its name where there are two sides of which it may be one."""
    why = measured.missing or "not known"
    return why if not sides or run.name in why else f"{run.name}: {why}"


__all__ = ["Check", "Judged", "applicable", "check", "judged_by", "outcome"]
