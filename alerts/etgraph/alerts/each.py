"""Rules about every row by itself, such as every operator; and verdicts of many rows and rules looked at together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from etgraph.alerts.findings import Status
from etgraph.alerts.judging import Verdict, of_decision, of_regression, take_turns
from etgraph.alerts.rules.rule import Rule
from etgraph.alerts.runs import Measured, Part, Run
from etgraph.alerts.statistics.deciding import Decision
from etgraph.alerts.statistics.many import RATE, adjusted, combined, threshold

LEAST_SHARE: Final = 0.01
"""Rows with less than this of the baseline of their rank are not looked at: each one more hides something in others."""
WEIGHT_OF_ROWS: Final = 0.25
"""What a rule about every row counts for beside one about the whole."""
ONE_RUN: Final = (
    "one run a side does not tell how far the times of single rows differ from run to run; 3 runs a side would"
)
LEAST_STEPS: Final = 3
"""Steps of a side's only run, of which the typical one is not moved by a single disturbance."""
FEW_STEPS: Final = (
    f"a side of one run with fewer than {LEAST_STEPS} steps does not tell a row that became slower from one that was "
    "disturbed once; more steps would, or more runs"
)
_WHOLE: Final[Part] = ("", None)
_WORST_FIRST: Final[tuple[Status, ...]] = ("broken", "undecided", "improved", "passed")


def untold(runs: Sequence[Run], baseline: Sequence[Run], only: Sequence[int]) -> str | None:
    """Why runs cannot tell how far single rows differ by noise, of the steps that are meant; None where they can.

    A step as a whole has many operators in which disturbances even out; a single one takes five times as long in one
    step of twenty, and there are a hundred of them. Raises what `Run.steps` raises.
    """
    if len(runs) == len(baseline) == 1 and take_turns(runs, baseline) is None:
        return ONE_RUN
    few = any(len(side) == 1 and len(side[0].steps(only)) < LEAST_STEPS for side in (runs, baseline))
    return FEW_STEPS if few else None


def of_each(
    rule: Rule,
    measured: Sequence[Measured],
    baseline: Sequence[Measured],
    *,
    runs: Sequence[Run],
    baseline_runs: Sequence[Run],
) -> Verdict:
    """The verdict on every row that is on both sides and has enough of the baseline of its rank, and so on all."""
    typical: dict[Part, float] = {}
    for part in dict.fromkeys(part for one in baseline for part in one.parts):
        if all(part in one.parts for one in measured):
            typical[part] = float(np.mean([np.median(_row(one, part).steps) for one in baseline]))
    of_ranks: dict[int | None, float] = {}
    for (_, rank), number in typical.items():
        of_ranks[rank] = of_ranks.get(rank, 0.0) + abs(number)
    kept = [part for part, number in typical.items() if number and abs(number) >= LEAST_SHARE * of_ranks[part[1]]]
    sides = {part: [[_row(one, part) for one in side] for side in (measured, baseline)] for part in kept}
    return of_rows(
        {
            part: of_regression(rule, own, before, runs=runs, baseline_runs=baseline_runs)
            for part, (own, before) in sides.items()
        }
    )


def of_rows(each: Mapping[Part, Verdict]) -> Verdict:
    """The verdict on all rows: that of the worst ones, with the figures of the one among them that differs most."""
    if not each:
        return Verdict("passed", evidence={"rows": 0})
    status = min((verdict.status for verdict in each.values()), key=_WORST_FIRST.index)
    alike = {part: verdict for part, verdict in each.items() if verdict.status == status}
    part = max(alike, key=lambda part: alike[part].moved)
    counts = {"row": part[0], "rank": part[1], "rows": len(each), "rows_alike": len(alike)}
    shown = alike[part]
    return replace(shown, evidence={**shown.evidence, **counts}, decision=None, each=each)


def stand_together(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """The verdicts of all rules of a check, with at most a share of `RATE` false ones expected among the broken.

    A rule about many rows takes part with one p-value, that of Simes (Biometrika 73, 1986) for all its rows, and has as
    much for its own rows as was left for the rule (Benjamini and Bogomolov, JRSS B 76, 2014). It counts for less than
    one about the whole, by weights (Genovese, Roeder and Wasserman, Biometrika 93, 2006): single operators differ by
    more than steps do, and rules about them must not hide the step's time.
    """
    decisions = [_decisions(verdict) for verdict in verdicts]
    asked = [place for place, some in enumerate(decisions) if some]
    if not asked:
        return list(verdicts)
    weights = np.array([WEIGHT_OF_ROWS if verdicts[place].each else 1.0 for place in asked])
    weights /= weights.mean()
    p_values = [combined([one.case.p_value for one in decisions[place].values()]) for place in asked]
    level = threshold(list(np.array(p_values) / weights), RATE)
    found = list(verdicts)
    for place, weight in zip(asked, weights.tolist(), strict=True):
        found[place] = _at(verdicts[place], decisions[place], level * weight)
    return found


def _decisions(verdict: Verdict) -> dict[Part, Decision]:
    """What statistics say of every row, or of the whole."""
    if verdict.decision is not None:
        return {_WHOLE: verdict.decision}
    return {part: one.decision for part, one in verdict.each.items() if one.decision is not None}


def _at(verdict: Verdict, decisions: Mapping[Part, Decision], level: float) -> Verdict:
    earlier = verdict.each or {_WHOLE: verdict}
    again = {
        part: of_decision(decision, earlier[part].evidence.get("since"))
        for part, decision in zip(decisions, adjusted(list(decisions.values()), level), strict=True)
    }
    return of_rows({**verdict.each, **again}) if verdict.each else again[_WHOLE]


def _row(measured: Measured, part: Part) -> Measured:
    steps = measured.parts.get(part, (0.0,) * len(measured.steps))
    return Measured(float(np.median(steps)), steps)


__all__ = ["LEAST_SHARE", "LEAST_STEPS", "of_each", "of_rows", "stand_together", "untold"]
