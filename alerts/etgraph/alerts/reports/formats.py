"""The table of formats that a check's result can be written in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from etgraph.alerts.findings import CheckResult
from etgraph.alerts.reports.document import as_json
from etgraph.alerts.reports.github import github
from etgraph.alerts.reports.gitlab import gitlab
from etgraph.alerts.reports.junit import junit
from etgraph.alerts.reports.markdown import markdown, summary
from etgraph.alerts.reports.sarif import sarif
from etgraph.alerts.reports.text import text


@dataclass(frozen=True, slots=True)
class Format:
    """A format: what renders it, for whom it is, and what is known of its target.

    `beside_code` formats name files as in the checkout. `variable` names the environment variable that holds the file
    to append to where none is given.
    """

    name: str
    about: str
    render: Callable[[CheckResult], str]
    beside_code: bool = False
    variable: str | None = None


FORMATS = {
    each.name: each
    for each in (
        Format("text", "for a terminal or a log", text),
        Format("json", "the document of --json", as_json),
        Format("junit", "JUnit XML, for Jenkins, GitLab, Azure and most others", junit),
        Format("sarif", "SARIF 2.1.0, for code scanning and editors", sarif, beside_code=True),
        Format("github", "annotations of GitHub Actions", github, beside_code=True),
        Format("github-summary", "the job's summary of GitHub Actions", summary, variable="GITHUB_STEP_SUMMARY"),
        Format("gitlab", "GitLab's code quality report", gitlab, beside_code=True),
        Format("markdown", "a comment for a pull request", markdown),
    )
}
