"""A rule in words: what it asks, how many numbers become one, and when it is broken."""

from __future__ import annotations

from collections.abc import Mapping

from etgraph.alerts.language.amounts import readable
from etgraph.alerts.rules.reading import Placed


def explained(placed: Placed) -> Mapping[str, str]:
    """What a rule does, in words by what they are about."""
    rule = placed.rule
    metric = rule.metric
    if rule.regression is not None:
        limit = (
            rule.regression.max_increase if rule.regression.max_increase is not None else rule.regression.max_decrease
        )
        sense = "grow" if rule.regression.max_increase is not None else "shrink"
        exact = rule.regression.test == "exact" or (rule.regression.test == "auto" and metric.structural)
        judged = f"may {sense} by {limit} beside the baseline" + (
            ", in no step beyond every one of the baseline" if exact else
            f", by an interval of {rule.regression.confidence:.0%} over runs and steps"
        )  # fmt: skip
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
