"""Rules about every row by itself, such as every operator; and verdicts of many rows and rules looked at together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from etgraph.alerts.findings import Status
from etgraph.alerts.judging import Verdict, of_decision, of_regression
from etgraph.alerts.rules.rule import Rule
from etgraph.alerts.runs import Measured
from etgraph.alerts.statistics.deciding import Decision
from etgraph.alerts.statistics.estimates import Alternating
from etgraph.alerts.statistics.many import RATE, adjusted, combined, threshold

LEAST_SHARE: Final = 0.01
"""Rows that have less than this of all rows' baseline are not looked at: each one more hides something in the others."""
_WORST_FIRST: Final[tuple[Status, ...]] = ("broken", "undecided", "improved", "passed")


def of_each(
    rule: Rule,
    measured: Sequence[Measured],
    baseline: Sequence[Measured],
    *,
    alternating: Alternating | None,
    ordered: bool,
) -> Verdict:
    """The verdict on every row that is on both sides and has enough of the baseline, and from these on all."""
    labels = dict.fromkeys(label for one in baseline for label in one.parts)
    typical = {label: float(np.mean([np.median(_steps(one, label)) for one in baseline])) for label in labels}
    least = LEAST_SHARE * sum(map(abs, typical.values()))
    kept = [
        label
        for label, number in typical.items()
        if number and abs(number) >= least and all(label in one.parts for one in measured)
    ]
    sides = {label: [[_row(one, label) for one in side] for side in (measured, baseline)] for label in kept}
    return of_rows(
        {
            label: of_regression(rule, own, before, alternating=alternating, ordered=ordered)
            for label, (own, before) in sides.items()
        }
    )


def of_rows(each: Mapping[str, Verdict]) -> Verdict:
    """The verdict on all rows: that of the worst ones, with the figures of the one among them that differs most."""
    if not each:
        return Verdict("passed", evidence={"rows": 0})
    status = min((verdict.status for verdict in each.values()), key=_WORST_FIRST.index)
    alike = {label: verdict for label, verdict in each.items() if verdict.status == status}
    label = max(alike, key=lambda label: abs(alike[label].difference or 0.0))
    counts = {"row": label, "rows": len(each), "rows_alike": len(alike)}
    needed = max((verdict.runs_needed or 0 for verdict in alike.values()), default=0)
    shown = alike[label]
    return replace(
        shown, evidence={**shown.evidence, **counts}, decision=None, each=each,
        runs_needed=needed or None,
    )  # fmt: skip


def stand_together(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """The verdicts of all rules of a check, with at most a share of `RATE` false ones expected among the broken.

    A rule about many rows takes part with one p-value, that of Simes (Biometrika 73, 1986) for all its rows, and has as
    much for its own rows as was left for the rule (Benjamini and Bogomolov, JRSS B 76, 2014).
    """
    decisions = [_decisions(verdict) for verdict in verdicts]
    p_values = [combined([one.case.p_value for one in some.values()]) for some in decisions if some]
    if not p_values:
        return list(verdicts)
    level = threshold(p_values, RATE)
    return [_at(verdict, some, level) if some else verdict for verdict, some in zip(verdicts, decisions, strict=True)]


def _decisions(verdict: Verdict) -> dict[str, Decision]:
    """What statistics say of every row, or of the whole."""
    if verdict.decision is not None:
        return {"": verdict.decision}
    return {label: one.decision for label, one in verdict.each.items() if one.decision is not None}


def _at(verdict: Verdict, decisions: Mapping[str, Decision], level: float) -> Verdict:
    again = dict(zip(decisions, map(of_decision, adjusted(list(decisions.values()), level)), strict=True))
    return of_rows({**verdict.each, **again}) if verdict.each else again[""]


def _steps(measured: Measured, label: str) -> tuple[float, ...]:
    return measured.parts.get(label, (0.0,) * len(measured.steps))


def _row(measured: Measured, label: str) -> Measured:
    steps = _steps(measured, label)
    return Measured(float(np.median(steps)), steps)


__all__ = ["LEAST_SHARE", "of_each", "of_rows", "stand_together"]
