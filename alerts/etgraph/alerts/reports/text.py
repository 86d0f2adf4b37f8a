"""Text for a terminal or the log of a build: the worst first, each finding from what changed to what shows it."""

from __future__ import annotations

from collections.abc import Iterator
from textwrap import wrap

from etgraph.alerts.findings import CheckResult, Finding
from etgraph.alerts.reports import wording
from etgraph.alerts.reports.names import not_a_command, shown

WIDTH = 120
LABEL = 10
INDENT = "  "
RESET = "\x1b[0m"
RED, YELLOW, GREEN = "\x1b[1;31m", "\x1b[1;33m", "\x1b[1;32m"
STYLES = {
    "error": RED, "warning": YELLOW, "improved": GREEN, "cannot be compared": RED, "cannot be measured": RED,
}  # fmt: skip


def text(result: CheckResult, *, colour: bool = False) -> str:
    """The report; without `colour` it holds printable characters and line ends alone."""
    findings = wording.worst_first(result)
    lines = [f"etgraph check: {result.status}. {wording.summary(result)}"]
    if result.traces:
        lines += [wording.sides(result)]
    # What differs between two sides does so for every rule that compares them.
    reasons: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        same = reasons.setdefault((finding.trace, finding.message), []) if finding.status == "incomparable" else []
        same.append(finding)
        if len(same) == 1 and not wording.is_quiet(finding):
            lines += ["", *lines_of(finding, colour=colour, several=len(result.traces) > 1)]
    for first, *others in reasons.values():
        if others:
            label = f"{wording.verdict(first)}, for the same reason as {shown(first.rule)}"
            lines += ["", *_wrapped(f"{label}: {', '.join(shown(one.rule) for one in others)}", WIDTH)]
    for label, names in wording.quiet(findings).items():
        lines += ["", *_wrapped(f"{label}: {', '.join(names)}", WIDTH)]
    return "\n".join(map(not_a_command, lines)) + "\n"


def lines_of(finding: Finding, *, colour: bool = False, several: bool = False) -> Iterator[str]:
    """The lines of one finding; with `several` its trace is named."""
    verdict = wording.verdict(finding)
    style = STYLES.get(verdict, "") if colour else ""
    where = f"  ({shown(finding.trace)})" if several else ""
    yield f"{style}{verdict.upper()}{RESET if style else ''} {shown(finding.rule)}: {shown(finding.title)}{where}"
    if finding.message and finding.message != finding.title:
        yield from (INDENT + line for line in _wrapped(shown(finding.message, 4000), WIDTH - len(INDENT)))
    yield from _row("metric", wording.figures(finding))
    blamed = list(wording.blamed(finding))
    width = min(60, max((len(key) for key, _ in blamed), default=0))
    for number, (key, part) in enumerate(blamed):
        yield f"{INDENT}{('due to' if number == 0 else '').ljust(LABEL)}{f'{key.ljust(width)}  {part}'.strip()}"
    for label, told in wording.rows(finding):
        if label == "show" and told:
            yield f"{INDENT}{label.ljust(LABEL)}{told}"  # in one line, so that it can be copied
        elif told:
            yield from _row(label, told)


def _row(label: str, told: str) -> Iterator[str]:
    room = WIDTH - len(INDENT) - LABEL
    for number, line in enumerate(_wrapped(told, room)):
        yield f"{INDENT}{(label if number == 0 else '').ljust(LABEL)}{line}"


def _wrapped(told: str, width: int) -> list[str]:
    """Lines that end between words only: a name that is cut in two cannot be searched for."""
    return wrap(told, width, break_long_words=False, break_on_hyphens=False)
