"""What a finding says to a person, piece by piece: figures in their unit, who is responsible, how sure that is.

Every format puts these pieces together in its own way. Names are made `shown` here, quoting is left to the formats.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator

from etgraph.alerts.findings import CheckResult, Finding, Interval, Level, Responsible, Status
from etgraph.alerts.language.amounts import readable
from etgraph.alerts.reports.names import shown
from etgraph.model.readable import counted, duration, percent

SHOWN_RESPONSIBLE = 5
SHOWN_RANKS = 8
GRAVITY: tuple[Status, ...] = ("broken", "incomparable", "undecided", "suppressed", "improved", "passed")
"""Statuses, the gravest first."""
NOT_MEASURED = "not measured"
NO_MEASURE = "cannot be measured"
LEVELS: tuple[Level, ...] = ("error", "warn", "off")
IN_WORDS: dict[Status, str] = {
    "broken": "broken",
    "incomparable": "cannot be compared",
    "undecided": "undecided",
    "suppressed": "suppressed",
    "improved": "improved",
    "passed": "passed",
}


def worst_first(result: CheckResult) -> tuple[Finding, ...]:
    """The findings by level and status, the gravest first, then by what undoing their cause would gain."""
    return tuple(
        sorted(
            result.findings,
            key=lambda finding: (
                finding.status not in ("broken", "incomparable"),
                LEVELS.index(finding.level),
                GRAVITY.index(finding.status),
                -(finding.gain_ns or 0),
                -abs(finding.change or 0.0),
            ),
        )
    )


def needs_reading(finding: Finding) -> bool:
    """Whether somebody should look at a finding: it is no pass, no improvement, and nobody has suppressed it."""
    return finding.level != "off" and finding.status in ("broken", "incomparable", "undecided")


def is_quiet(finding: Finding) -> bool:
    """Whether a rule's name is all that has to be said of it."""
    return finding.level == "off" or finding.status == "passed"


def quiet(findings: Iterable[Finding]) -> dict[str, list[str]]:
    """The rules of which only the name is told, by what became of them; those not measured by why they were not."""
    found: dict[str, list[str]] = {label: [] for label in (IN_WORDS["passed"], NOT_MEASURED, "off")}
    for finding in filter(is_quiet, findings):
        label = verdict(finding)
        label += f" ({shown(finding.reason or '')})" if label == NOT_MEASURED else ""
        found.setdefault(label, []).append(shown(finding.rule))
    return {label: names for label, names in found.items() if names}


def summary(result: CheckResult) -> str:
    """The outcome in a line: how many rules, and what became of them."""
    found = Counter(map(verdict, worst_first(result)))
    nouns = ("error", "warning")
    told = ", ".join(counted(n, each) if each in nouns else f"{n:,} {each}" for each, n in found.items())
    return f"{counted(len(result.findings), 'rule')}: {told}" if told else "no rule applied"


def sides(result: CheckResult) -> str:
    """What was checked, and against what."""
    against = f" against {', '.join(map(shown, result.baseline))}" if result.baseline else ""
    return ", ".join(map(shown, result.traces)) + against


def verdict(finding: Finding) -> str:
    """Level and status in a word or two: `error`, `warning`, or what else it is; one that passed may lack a number."""
    if finding.level == "off":
        return "off"
    if finding.status == "broken":
        return "error" if finding.level == "error" else "warning"
    if finding.status == "passed" and finding.value is None and finding.reason:
        return NOT_MEASURED
    if finding.status == "incomparable" and not finding.baseline_runs:
        return NO_MEASURE
    return IN_WORDS[finding.status]


def quantity(value: float | None, unit: str) -> str:
    """A figure in its unit; none of one that is no number.

    >>> quantity(41_200_000, "ns"), quantity(0.123, "share"), quantity(14, "count"), quantity(float("nan"), "ns")
    ('41.2 ms', '12.3%', '14', '–')
    """
    return readable(value if value is not None and math.isfinite(value) else None, unit)


def signed(value: float, unit: str) -> str:
    """A difference with its sign; shares differ by percentage points.

    >>> signed(5_100_000, "ns"), signed(-0.02, "share"), signed(0, "count")
    ('+5.10 ms', '-2.0 points', '±0')
    """
    if value == 0:
        return f"±{quantity(0, unit)}"
    if unit == "share":
        return f"{value * 100:+.1f} points"
    return ("+" if value > 0 else "-") + quantity(abs(value), unit)


def relative(change: float) -> str:
    """A difference over the baseline.

    >>> relative(0.1234), relative(-0.5), relative(11.0)
    ('+12.3%', '-50.0%', '12.0 times')
    """
    return f"{change + 1:,.1f} times" if change >= 9 else f"{change * 100:+.1f}%"


def interval(told: Interval, unit: str) -> str:
    """The bounds of a difference and how sure they are.

    >>> interval(Interval(3_900_000, 6_200_000, 0.95), "ns")
    '95% interval +3.90 ms … +6.20 ms'
    """
    return f"{told.confidence * 100:.4g}% interval {signed(told.low, unit)} … {signed(told.high, unit)}"


def change(finding: Finding) -> str:
    """What the metric was and is, and by how much it differs; only its value where there is no baseline."""
    value = quantity(finding.value, finding.unit)
    if finding.baseline is None:
        return value
    told = f"{quantity(finding.baseline, finding.unit)} → {value}"
    if finding.difference is not None:
        told += f", {signed(finding.difference, finding.unit)}"
    return told if finding.change is None else f"{told} ({relative(finding.change)})"


def change_and_limit(finding: Finding) -> str:
    """The change in a cell of a table: a value without a baseline says little beside no limit."""
    told = change(finding)
    broken = finding.baseline is None and finding.limit is not None and finding.status in ("broken", "suppressed")
    return f"{told}, {_limit(finding, finding.limit or 0.0)}" if broken else told


def figures(finding: Finding) -> str:
    """The metric, what it was and is, how sure that is, and the runs; what the message has said is not said again."""
    told = []
    new = finding.value is not None and not _says_values(finding)
    if new:
        told.append(change(finding))
    if finding.interval is not None and "interval" not in finding.message:
        told.append(interval(finding.interval, finding.unit))
    if new and finding.limit is not None:
        told.append(_limit(finding, finding.limit))
    if finding.baseline_runs or finding.runs > 1:
        against = f" against {finding.baseline_runs:,}" if finding.baseline_runs else ""
        told.append(counted(finding.runs, "run") + against)
    if finding.runs_needed is not None and "runs a side" not in finding.message:
        told.append(f"{counted(finding.runs_needed, 'run')} a side would decide")
    return f"{shown(finding.metric)}: {'; '.join(told)}" if told else shown(finding.metric)


def _says_values(finding: Finding) -> bool:
    """Whether the message has the value and the baseline's, each as a number of its own."""
    values = [quantity(value, finding.unit) for value in (finding.value, finding.baseline) if value is not None]
    return all(re.search(rf"(?<![\w.,]){re.escape(value)}(?!\w)", finding.message) for value in values)


def _limit(finding: Finding, limit: float) -> str:
    if finding.baseline is None:
        return f"limit {quantity(limit, finding.unit)}"
    return f"{signed(limit, finding.unit)} is allowed"


def ranks(numbers: tuple[int, ...]) -> str:
    """Ranks in words, many of them shortened.

    >>> ranks((3,)), ranks(tuple(range(12)))
    ('rank 3', 'ranks 0, 1, 2, 3, 4, 5, 6, 7 and 4 more')
    """
    named = ", ".join(map(str, numbers[:SHOWN_RANKS]))
    more = len(numbers) - SHOWN_RANKS
    return f"rank{'s' if len(numbers) > 1 else ''} {named}" + (f" and {more:,} more" if more > 0 else "")


def part(responsible: Responsible, finding: Finding) -> str:
    """What one of those responsible is and contributes, on which ranks, and where the program has it."""
    itself = responsible.what == "rank"
    parts = [shown(responsible.what)] if responsible.what and not itself else []
    if responsible.contribution is not None:
        # Without a baseline it is a part of the value, not of a difference.
        words = signed if finding.baseline_runs else quantity
        parts.append(words(responsible.contribution, responsible.unit or finding.unit))
    parts += [ranks(responsible.ranks)] if responsible.ranks and not itself else []
    parts += [shown(responsible.source)] if responsible.source else []
    return ", ".join(parts)


def blamed(finding: Finding, most: int = SHOWN_RESPONSIBLE) -> Iterator[tuple[str, str]]:
    """Key and part of each of the first of those responsible; the last says how many more there are."""
    for responsible in finding.responsible[:most]:
        yield shown(responsible.key), part(responsible, finding)
    if (more := len(finding.responsible) - most) > 0:
        yield "", f"and {more:,} more"


def worth(finding: Finding) -> str:
    """What the responsible have of the critical path, and what a step would gain without the cause."""
    parts = []
    if finding.critical_share:
        parts.append(f"{percent(finding.critical_share)} of the critical path")
    if finding.gain_ns:
        parts.append(f"undoing it would gain {duration(finding.gain_ns)} a step")
    return "; ".join(parts)


def rule_place(finding: Finding) -> str:
    """File and line of the rule."""
    if finding.rule_file is None:
        return ""
    line = "" if finding.rule_line is None else f":{finding.rule_line}"
    return shown(finding.rule_file) + line


def rows(finding: Finding) -> Iterator[tuple[str, str]]:
    """Everything else that there is to say, as label and text."""
    yield "worth", worth(finding)
    yield "reason", shown(finding.reason or "", 2000) if (finding.reason or "") not in finding.message else ""
    yield "do", shown(finding.advice or "", 2000)
    yield "owner", shown(finding.owner or "")
    yield "rule", rule_place(finding)
    # The whole command: a shortened one cannot be run.
    yield "show", shown(finding.command or "", 20_000)
