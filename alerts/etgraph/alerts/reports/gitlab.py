"""GitLab's code quality report, which a merge request shows beside the code."""

from __future__ import annotations

from etgraph.alerts.findings import CheckResult, Finding
from etgraph.alerts.reports import wording
from etgraph.alerts.reports.document import dumped
from etgraph.alerts.reports.names import shown
from etgraph.alerts.reports.places import fingerprint, some_place

MOST_DESCRIPTION = 2000


def gitlab(result: CheckResult) -> str:
    """A list with an entry for each finding that needs reading, the worst first; empty where there is none."""
    entries = []
    for finding in wording.worst_first(result):
        if wording.needs_reading(finding):
            where = some_place(finding)
            entries.append(
                {
                    "description": _description(finding),
                    "check_name": finding.rule,
                    "fingerprint": fingerprint(result, finding),
                    "severity": _severity(finding),
                    "location": {"path": where.file.removeprefix("./"), "lines": {"begin": where.line}},
                }
            )
    return dumped(entries)


def _severity(finding: Finding) -> str:
    if finding.status == "undecided":
        return "info"
    return "critical" if finding.level == "error" or finding.status == "incomparable" else "minor"


def _description(finding: Finding) -> str:
    parts = [shown(finding.title), shown(finding.message, 1000), wording.figures(finding)]
    parts += [f"{key}: {part}" for key, part in wording.blamed(finding)]
    parts += [f"{label}: {told}" for label, told in wording.rows(finding) if told and label in ("worth", "do", "show")]
    return shown(". ".join(part.rstrip(".") for part in parts if part), MOST_DESCRIPTION)
