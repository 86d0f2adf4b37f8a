"""The verdict on one rule: what was measured beside its budget, or beside the baseline."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from etgraph.alerts.findings import Interval, Status
from etgraph.alerts.language.amounts import amount_of
from etgraph.alerts.rules.rule import Rule
from etgraph.alerts.runs import Measured, Part, Run
from etgraph.alerts.statistics import Decision, decide, decide_change
from etgraph.alerts.statistics.estimates import Alternating
from etgraph.alerts.statistics.runs import ROUNDING, typical
from etgraph.model.columns import Array


@dataclass(frozen=True, slots=True)
class Verdict:
    """What comes of a rule, in the unit of its metric; the fields are those of `Finding`.

    `decision` is what statistics say, where they were asked. `why` is why it is undecided, where not for noise. Of a
    rule about every row, `each` are the verdicts on these.
    """

    status: Status
    value: float | None = None
    baseline: float | None = None
    difference: float | None = None
    change: float | None = None
    interval: Interval | None = None
    limit: float | None = None
    runs_needed: int | None = None
    evidence: Mapping[str, Any] = field(default_factory=dict)
    decision: Decision | None = None
    missing: str | None = None
    why: str | None = None
    each: Mapping[Part, Verdict] = field(default_factory=dict)

    @property
    def moved(self) -> float:
        """The difference for the worse or, of what improved, for the better; 0 where there is none."""
        worse = math.copysign(1.0, 0.0 if self.limit is None else self.limit) * (self.difference or 0.0)
        return -worse if self.status == "improved" else worse


def of_budget(rule: Rule, measured: Measured) -> Verdict:
    """Whether a metric is within its budget. One of the program's changes is better than nothing where some went."""
    assert measured.value is not None
    value, most, least = measured.value, rule.limit("max"), rule.limit("min")
    if most is not None and value > most:
        return Verdict("broken", value, limit=most)
    if least is not None and value < least:
        return Verdict("broken", value, limit=least)
    gone = any((row.values.get("removed") or 0) > 0 for row, _ in measured.rows)
    improved = gone and "changes" in rule.metric.questions
    return Verdict("improved" if improved else "passed", value, limit=most if most is not None else least)


def of_regression(
    rule: Rule,
    measured: Sequence[Measured],
    baseline: Sequence[Measured],
    *,
    runs: Sequence[Run],
    baseline_runs: Sequence[Run],
) -> Verdict:
    """Whether runs are worse than those of a baseline by more than a rule allows; every one of them has a number.

    `runs` and `baseline_runs` are those that were measured.
    """
    regression = rule.regression
    assert regression is not None
    floor = amount_of(str(regression.floor), rule.metric.unit) if regression.floor is not None else 0.0
    share, worse = amount_of(str(regression.allowed), "share"), regression.worse
    test, confidence, least = regression.test_of(rule.metric), regression.confidence, regression.min_samples
    steps, before = ([np.array(one.steps) for one in side] for side in (measured, baseline))
    if test == "exact":
        return exact(measured, baseline, share, floor, lower=worse == "lower")
    if test == "ratio":
        return ratio(steps, before, share, floor, lower=worse == "lower", min_runs=least)
    if test == "change-point":
        series = [*zip(baseline_runs, before, strict=True), *zip(runs, steps, strict=True)]
        if all(run.info is not None and run.info.created for run, _ in series):
            series.sort(key=lambda each: str(each[0].info.created if each[0].info else ""))
        decision = decide_change(
            [own for _, own in series], samples=len(runs), max_increase=share, floor=floor, confidence=confidence,
            worse=worse, within=regression.within, min_runs=least,
        )  # fmt: skip
        first = decision.evidence.get("first")
        return of_decision(decision, None if first is None else series[first][0].name)
    return of_decision(
        decide(
            steps, before, max_increase=share, floor=floor, confidence=confidence, worse=worse,
            alternating=take_turns(runs, baseline_runs), ordered=in_order(runs, baseline_runs), min_runs=least,
            test="ranks" if test == "mann-whitney" else "means",
        )
    )  # fmt: skip


def of_decision(decision: Decision, since: str | None = None) -> Verdict:
    """The verdict of statistics; `since` names the first run of a lasting change."""
    evidence = {**decision.evidence, "detectable": decision.detectable, "effect": decision.effect}
    evidence |= {} if since is None else {"since": since}
    return Verdict(
        decision.status, decision.value, decision.baseline, decision.difference, decision.change, decision.interval,
        decision.limit, decision.runs_needed, evidence, decision, why=decision.why,
    )  # fmt: skip


def ratio(
    steps: Sequence[Array], before: Sequence[Array], share: float, floor: float, *, lower: bool, min_runs: int
) -> Verdict:
    """The verdict on the ratio of typical values, one run a side being enough: whatever is beyond the limit is broken.

    It has no interval, and does not know how much of the difference is noise.
    """
    value, base = (float(np.median([typical(run) for run in side])) for side in (steps, before))
    difference, limit = value - base, max(abs(base) * share, floor)
    worsening = -difference if lower else difference
    status: Status = "passed"
    if min(len(steps), len(before)) < min_runs:
        status = "undecided"
    elif abs(worsening) > limit + ROUNDING * abs(base):
        status = "broken" if worsening > 0 else "improved"
    return Verdict(
        status, value, base, difference, difference / abs(base) if base else None, limit=-limit if lower else limit,
        runs_needed=min_runs if status == "undecided" else None, evidence={"design": "ratio", "noise": "not known"},
    )  # fmt: skip


def exact(
    measured: Sequence[Measured], baseline: Sequence[Measured], share: float, floor: float, *, lower: bool
) -> Verdict:
    """The verdict on what does not vary: worse is what is so in every step, beside every one of the baseline."""
    steps, before = ([step for one in side for step in one.steps] for side in (measured, baseline))
    value, base = float(np.median(steps)), float(np.median(before))
    limit = max(abs(base) * share, floor)
    sign = -1.0 if lower else 1.0
    steps, before = [sign * step for step in steps], [sign * step for step in before]
    status: Status = "passed"
    if min(steps) > max(before) and min(steps) - max(before) > limit:
        status = "broken"
    elif max(steps) < min(before) and min(before) - max(steps) > limit:
        status = "improved"
    difference = value - base
    return Verdict(status, value, base, difference, difference / base if base else None, limit=sign * limit)


def take_turns(runs: Sequence[Run], baseline: Sequence[Run]) -> Alternating | None:
    """Whose step is the first one, where both sides are the same runs, whose steps take turns; else None."""
    firsts: set[Alternating | None] = set()
    if len(runs) != len(baseline):
        return None
    for run, other in zip(runs, baseline, strict=True):
        own, theirs = set(run.iterations or ()), set(other.iterations or ())
        turns = [index in own for index in sorted(own | theirs)]
        apart = bool(own) and bool(theirs) and not own & theirs
        if run.trace is not other.trace or not apart or any(a == b for a, b in pairwise(turns)):
            return None
        firsts.add("samples first" if turns[0] else "baseline first")
    return firsts.pop() if len(firsts) == 1 else None


def in_order(runs: Sequence[Run], baseline: Sequence[Run]) -> bool:
    """Whether runs are known to have come one after another, those of the baseline first."""
    moments = [run.info.created if run.info is not None else None for run in (*baseline, *runs)]
    known = [moment for moment in moments if moment is not None]
    return len(known) == len(moments) and known == sorted(known)


__all__ = ["Verdict", "exact", "in_order", "of_budget", "of_decision", "of_regression", "ratio", "take_turns"]
