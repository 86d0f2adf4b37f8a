"""Annotations of GitHub Actions: workflow commands on stdout, which the runner shows beside the code."""

from __future__ import annotations

from etgraph.alerts.findings import CheckResult, Finding
from etgraph.alerts.reports import wording
from etgraph.alerts.reports.names import shown, visible
from etgraph.alerts.reports.places import place

SHOWN_OF_A_KIND = 10
"""GitHub keeps ten errors, ten warnings and ten notices of a step and drops the rest without a word."""
MOST_TITLE = 200


def github(result: CheckResult) -> str:
    """A command a line, the worst first; where there are more than GitHub keeps, the last of a kind says how many."""
    lines = []
    by_command: dict[str, list[Finding]] = {}
    for finding in wording.worst_first(result):
        if wording.needs_reading(finding):
            by_command.setdefault(_command(finding), []).append(finding)
    for command, findings in by_command.items():
        kept = findings if len(findings) <= SHOWN_OF_A_KIND else findings[: SHOWN_OF_A_KIND - 1]
        lines += [_annotation(command, finding) for finding in kept]
        if left := findings[len(kept) :]:
            named = ", ".join(shown(finding.rule) for finding in left)
            lines.append(f"::{command} title=and {len(left):,} more::{escaped(shown(named, 4000))}")
    return "".join(line + "\n" for line in lines)


def _command(finding: Finding) -> str:
    if finding.status == "undecided":
        return "notice" if finding.level == "warn" else "warning"
    return "error" if finding.level == "error" or finding.status == "incomparable" else "warning"


def _annotation(command: str, finding: Finding) -> str:
    found = place(finding)
    title = shown(f"{visible(finding.rule)}: {visible(finding.title)}", MOST_TITLE)
    lines = [shown(finding.message, 2000), wording.figures(finding)]
    lines += [f"{key}  {part}".strip() for key, part in wording.blamed(finding)]
    lines += [f"{label}: {told}" for label, told in wording.rows(finding) if told]
    where = {} if found is None else {"file": visible(found.file), "line": str(found.line)}
    properties = where | {"title": title}
    told = ",".join(f"{name}={escaped_property(value)}" for name, value in properties.items())
    return f"::{command} {told}::{escaped(chr(10).join(dict.fromkeys(filter(None, lines))))}"


def escaped(text: str) -> str:
    r"""The message of a command.

    >>> escaped("50%\n")
    '50%25%0A'
    """
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def escaped_property(text: str) -> str:
    """The value of one of a command's properties.

    >>> escaped_property("a::b, c")
    'a%3A%3Ab%2C c'
    """
    return escaped(text).replace(":", "%3A").replace(",", "%2C")
