"""GitLab's code quality report, which a merge request shows beside the code."""

from __future__ import annotations

from etgraph.alerts.findings import CheckResult, Finding
from etgraph.alerts.reports import wording
from etgraph.alerts.reports.document import dumped
from etgraph.alerts.reports.names import shown
from etgraph.alerts.reports.places import fingerprint, place

MOST_DESCRIPTION = 2000


def gitlab(result: CheckResult) -> str:
    """A list with an entry for each finding that needs reading, the worst first; empty where there is none."""
    return dumped(
        [
            {
                "description": _description(finding),
                "check_name": finding.rule,
                "fingerprint": fingerprint(result, finding),
                "severity": _severity(finding),
                "location": {"path": place(finding).file.removeprefix("./"), "lines": {"begin": place(finding).line}},
            }
            for finding in wording.worst_first(result)
            if wording.needs_reading(finding)
        ]
    )


def _severity(finding: Finding) -> str:
    if finding.status == "undecided":
        return "info"
    return "critical" if finding.level == "error" else "minor"


def _description(finding: Finding) -> str:
    parts = [shown(finding.title), wording.figures(finding)]
    parts += [f"{key}: {part}" for key, part in wording.blamed(finding)]
    parts += [f"{label}: {told}" for label, told in wording.rows(finding) if told and label in ("worth", "do", "show")]
    return shown(". ".join(part.rstrip(".") for part in parts if part), MOST_DESCRIPTION)
