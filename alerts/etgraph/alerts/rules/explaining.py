"""A rule in words: what it asks, how many numbers become one, and when it is broken."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from etgraph.alerts.language.amounts import readable
from etgraph.alerts.rules.reading import Placed
from etgraph.alerts.rules.rule import Test

_HOW: Final[Mapping[Test, str]] = {
    "exact": "in no step beyond every one of the baseline",
    "statistics": "by an interval of {confidence:.0%} over runs and steps",
    "ratio": "by the ratio of typical values, whatever the noise",
    "mann-whitney": "by the order of runs by size, and an interval of {confidence:.0%} of their shift",
    "change-point": "by a lasting change that stands among {among}, and its interval of {confidence:.0%}",
}


def explained(placed: Placed) -> Mapping[str, str]:
    """What a rule does, in words by what they are about."""
    rule = placed.rule
    metric = rule.metric
    if rule.regression is not None:
        sense = "grow" if rule.regression.worse == "higher" else "shrink"
        how = _HOW[rule.regression.test_of(metric)].format(
            confidence=rule.regression.confidence,
            among=f"the last {rule.regression.within} runs" if rule.regression.within else "all runs",
        )
        judged = f"may {sense} by {rule.regression.allowed} beside the baseline, {how}"
        if rule.regression.floor is not None:
            judged += f"; a difference below {rule.regression.floor} is none"
    else:
        limits = [
            f"{word} {readable(number, metric.unit)}"
            for word, number in (("at least", rule.limit("min")), ("at most", rule.limit("max")))
            if number is not None
        ]
        judged = f"must be {' and '.join(limits)}"
    where = [f"{key} {getattr(rule.where, key)}" for key in ("rank", "scope", "operator", "group", "size")
             if getattr(rule.where, key) is not None]  # fmt: skip
    where += [f"steps {', '.join(map(str, rule.where.iterations))}"] if rule.where.iterations else []
    asked = "all steps at once" if rule.aggregate.iterations == "together" else "each step"
    rows = metric.meaning.rows
    found = {
        "rule": rule.id,
        "about": rule.title,
        "level": {"error": "error: a check fails when it is broken", "warn": "warn: it is told, and a check goes on",
                  "off": "off: it is not asked"}[rule.level],
        "metric": rule.metric_text,
        "measured in": metric.unit,
        "asks": f"{', '.join(metric.questions)} of {asked}",
        "several rows": _of_rows(rule.aggregate.ranks, rows) if rows is not None else "",
        "several steps": "" if asked != "each step" else rule.aggregate.iterations,
        "where": ", ".join(where),
        "judged": judged,
        "compared with": ", ".join(rule.baseline) or ("the baseline of the check" if rule.needs_baseline else ""),
        "for": f"{rule.runs} runs in a row" if rule.runs > 1 else "",
        "not recorded": "passes" if rule.missing == "pass" else "cannot be checked: exit code 3",
        "suppressed": f"until {rule.suppress.until}: {rule.suppress.reason}" if rule.suppress else "",
        "owner": rule.owner,
        "when broken": rule.remediation,
        "stands in": placed.file if placed.line is None else f"{placed.file}, line {placed.line}",
    }  # fmt: skip
    return {key: text for key, text in found.items() if text}


def _of_rows(ranks: str, rows: str) -> str:
    return f"every one of {rows} by itself" if ranks == "each" else f"{ranks} of what is left of {rows}"


__all__ = ["explained"]
