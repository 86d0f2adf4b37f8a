"""The first file of rules for a workload: those that come with etgraph, with budgets from what a run measures."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Final

from etgraph.alerts.findings import CheckResult, Finding
from etgraph.alerts.language.amounts import readable
from etgraph.alerts.rules.reading import Placed

ROOM: Final = 1.2
"""How much more than what was measured a first budget allows."""
_BUDGET: Final = re.compile(r"^budget = \{(max|min) = .*\}$", re.MULTILINE)
_ID: Final = re.compile(r'^id = "(.*)"$', re.MULTILINE)
_HEAD: Final = """\
# Rules of a workload, written from what {traces} measures: a budget is that with a fifth to spare. docs/alerts/rules.md
# tells what else a rule may say. 'etgraph check REF --rules FILE' checks by them, 'etgraph rules lint FILE' reads them.
"""


def first_rules(result: CheckResult, baseline: Sequence[str] = ()) -> str:
    """The text of a file of rules, from a check by the rules that come with etgraph.

    Budgets of what does not occur in the run stay as they are.
    """
    found = {finding.rule: finding for finding in result.findings}
    text = resources.files("etgraph.alerts.rules").joinpath("default.toml").read_text("utf-8")
    _, *rules = re.split(r"^(?=\[\[rules\]\]$)", text, flags=re.MULTILINE)
    written = [_HEAD.format(traces=", ".join(result.traces))]
    for rule in rules:
        match = _ID.search(rule)
        assert match is not None
        written.append(_with_budget(rule, found.get(match[1])).strip() + "\n")
    return "\n".join(written)


def _with_budget(rule: str, finding: Finding | None) -> str:
    if finding is None or finding.value is None:
        return rule
    measured = f"# measured: {readable(finding.value, finding.unit)}\n"

    def budget(match: re.Match[str]) -> str:
        assert finding is not None and finding.value is not None
        value = finding.value * ROOM if match[1] == "max" else finding.value / ROOM
        return f"{measured}budget = {{{match[1]} = {written(value, finding.unit)}}}"

    return _BUDGET.sub(budget, rule)


def written(value: float, unit: str) -> str:
    """An amount as rules have it, to three digits.

    >>> written(0.2345678, "share"), written(123_456, "ns"), written(7.2, "count"), written(8.4e9, "bytes/s")
    ('"23.5%"', '"0.123 ms"', '7.2', '"8.4 GB/s"')
    """
    scale, name = _SCALES.get(unit, (1.0, ""))
    number = value / scale
    digits = 0 if number == 0 else max(0, 2 - math.floor(math.log10(abs(number))))
    text = f"{number:.{digits}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return f'"{text}{name}"' if name else text


_SCALES: Final[Mapping[str, tuple[float, str]]] = {
    "share": (0.01, "%"), "ns": (1e6, " ms"), "bytes": (1e6, " MB"), "bytes/s": (1e9, " GB/s"),
    "flop/s": (1e12, " TFLOP/s"),
}  # fmt: skip


def explained(placed: Placed) -> Mapping[str, str]:
    """What a rule does, in words by what they are about."""
    rule = placed.rule
    metric = rule.metric
    if rule.regression is not None:
        limit = rule.regression.max_increase if rule.regression.max_increase is not None else rule.regression.max_decrease
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
        "several rows": f"{rule.aggregate.ranks} of what is left of {rows}" if rows is not None else "",
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


__all__ = ["ROOM", "explained", "first_rules", "written"]
