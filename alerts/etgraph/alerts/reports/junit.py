"""JUnit XML: a suite for each trace, a test case for each rule, as Jenkins and most others read it."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree

from etgraph.alerts.findings import CheckResult, Finding
from etgraph.alerts.reports import wording
from etgraph.alerts.reports.names import shown


def junit(result: CheckResult) -> str:
    """The report in ASCII, valid by the schema of Jenkins' xUnit plugin.

    A broken rule of level error is a failure, one of any level that cannot be compared an error. What is undecided,
    suppressed, off or broken at level warn does not fail: the first three are skipped tests, the last passes with its
    text.
    """
    root = ElementTree.Element("testsuites", {"name": "etgraph check", **_counts(result.findings)})
    for trace in dict.fromkeys(finding.trace for finding in result.findings):
        findings = [finding for finding in result.findings if finding.trace == trace]
        skipped = {"skipped": str(_count(findings, "skipped"))}
        suite = ElementTree.SubElement(root, "testsuite", {"name": shown(trace), **_counts(findings), **skipped})
        if result.baseline:
            properties = ElementTree.SubElement(suite, "properties")
            for baseline in result.baseline:
                ElementTree.SubElement(properties, "property", name="baseline", value=shown(baseline))
        for finding in findings:
            _case(suite, finding)
    ElementTree.indent(root)
    written: bytes = ElementTree.tostring(root, encoding="us-ascii", xml_declaration=True)
    return written.decode("ascii") + "\n"


def _outcome(finding: Finding) -> str:
    """The element that tells what became of a test; none of one that passed."""
    not_asked = finding.level == "off" or wording.verdict(finding) == wording.NOT_MEASURED
    if not_asked or finding.status in ("undecided", "suppressed"):
        return "skipped"
    if finding.status not in ("broken", "incomparable"):
        return ""
    if finding.status == "incomparable":
        return "error"
    return "failure" if finding.level == "error" else ""


def _count(findings: Sequence[Finding], outcome: str) -> int:
    return sum(_outcome(finding) == outcome for finding in findings)


def _counts(findings: Sequence[Finding]) -> dict[str, str]:
    counts = {"tests": len(findings), "failures": _count(findings, "failure"), "errors": _count(findings, "error")}
    return {name: str(number) for name, number in counts.items()}


def _case(suite: ElementTree.Element, finding: Finding) -> None:
    case = ElementTree.SubElement(suite, "testcase", classname=shown(finding.trace), name=shown(finding.rule))
    if outcome := _outcome(finding):
        verdict = wording.verdict(finding)
        reason = finding.reason if verdict in ("suppressed", wording.NOT_MEASURED) else None
        kind = verdict if verdict in ("off", wording.NOT_MEASURED) else finding.status
        told = ElementTree.SubElement(case, outcome, type=kind, message=shown(reason or finding.title))
        told.text = _told(finding)
    elif finding.status != "passed":
        ElementTree.SubElement(case, "system-out").text = f"{wording.verdict(finding)}: {_told(finding)}"


def _told(finding: Finding) -> str:
    lines = [shown(finding.title), shown(finding.message, 4000), wording.figures(finding)]
    lines += [f"due to: {key}  {part}" for key, part in wording.blamed(finding)]
    lines += [f"{label}: {told}" for label, told in wording.rows(finding) if told]
    return "\n".join(dict.fromkeys(filter(None, lines)))
