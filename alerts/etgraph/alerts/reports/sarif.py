"""SARIF 2.1.0, as GitHub's code scanning and most editors read it."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote

from etgraph.alerts.findings import CheckResult, Finding, Level
from etgraph.alerts.reports import wording
from etgraph.alerts.reports.document import dumped
from etgraph.alerts.reports.names import shown
from etgraph.alerts.reports.places import fingerprint, some_place
from etgraph.model.results import to_json

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
LEVELS: dict[Level, str] = {"error": "error", "warn": "warning", "off": "none"}
MOST_MESSAGE = 4000
MOST_LOGICAL_LOCATIONS = 50


def sarif(result: CheckResult) -> str:
    """A log of one run, with every rule and a result for each that is broken, suppressed, undecided or incomparable.

    Broken is of kind `fail` at the rule's level, undecided of kind `open`; a rule that cannot be compared is of kind
    `notApplicable` and a notification of the run beside it. A suppression carries its reason.
    """
    rules = {finding.rule: finding for finding in result.findings}
    index = {rule: number for number, rule in enumerate(rules)}
    listed = [finding for finding in wording.worst_first(result) if _kind(finding) is not None]
    driver: dict[str, Any] = {
        "name": "etgraph",
        "semanticVersion": _version(),
        "rules": [_rule(finding) for finding in rules.values()],
    }
    run = {
        "tool": {"driver": driver},
        "automationDetails": {"id": "etgraph check/"},
        "invocations": [
            {
                "executionSuccessful": result.status != "incomparable",
                "toolExecutionNotifications": [
                    _notification(finding, index) for finding in listed if finding.status == "incomparable"
                ],
            }
        ],
        "columnKind": "unicodeCodePoints",
        "results": [_result(result, finding, index) for finding in listed],
        "properties": {"status": result.status, "traces": list(result.traces), "baseline": list(result.baseline)},
    }
    return dumped({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]})


def _version() -> str:
    try:
        return version("etgraph")
    except PackageNotFoundError:  # run from its source folders, without an installation
        return "0.0.0"


def _kind(finding: Finding) -> str | None:
    """The kind of a result; None of what nobody has to look at."""
    kinds = {"broken": "fail", "suppressed": "fail", "undecided": "open", "incomparable": "notApplicable"}
    return None if finding.level == "off" else kinds.get(finding.status)


def _rule(finding: Finding) -> dict[str, Any]:
    help_lines = [
        shown(finding.advice or f"The rule's metric is {shown(finding.metric)}.", MOST_MESSAGE),
        *([f"Owner: {shown(finding.owner)}"] if finding.owner else []),
        *([f"Rule: {wording.rule_place(finding)}"] if finding.rule_file else []),
    ]
    return {
        "id": finding.rule,
        "shortDescription": {"text": f"{shown(finding.rule)}: {shown(finding.metric)}"},
        "help": {"text": "\n".join(help_lines)},
        "defaultConfiguration": {"level": LEVELS[finding.level], "enabled": finding.level != "off"},
        "properties": {"metric": finding.metric, "unit": finding.unit, "tags": ["performance"]},
    }


def _result(result: CheckResult, finding: Finding, index: dict[str, int]) -> dict[str, Any]:
    where = fingerprint(result, finding)
    kind = _kind(finding)
    told: dict[str, Any] = {
        "ruleId": finding.rule,
        "ruleIndex": index[finding.rule],
        "kind": kind,
        "level": LEVELS[finding.level] if kind == "fail" else "none",
        "message": {"text": _message(finding)},
        "locations": [_location(finding)],
        # The first is GitHub's name for what tells whether an alert is an old one.
        "partialFingerprints": {"primaryLocationLineHash": f"{where}:1", "etgraphFinding/v1": where},
        "properties": {
            name: value
            for name, value in to_json(finding).items()
            if name not in ("rule", "level", "message") and value is not None
        },
    }
    if finding.status == "suppressed":
        told["suppressions"] = [
            {"kind": "external", "status": "accepted", "justification": shown(finding.reason or "", MOST_MESSAGE)}
        ]
    return told


def _message(finding: Finding) -> str:
    lines = [shown(finding.title), shown(finding.message, MOST_MESSAGE), wording.figures(finding)]
    lines += [f"{key}: {part}" for key, part in wording.blamed(finding)]
    lines += [f"{label}: {told}" for label, told in wording.rows(finding) if told and label != "rule"]
    # Brackets before a parenthesis would be a link to something else in the file.
    return "\n".join(dict.fromkeys(filter(None, lines))).replace("](", "\\](")


def _location(finding: Finding) -> dict[str, Any]:
    found = some_place(finding)
    absolute = PurePosixPath(found.file).is_absolute() or found.file[1:3] == ":/"
    path = quote(found.file.encode("utf-8", "backslashreplace"), safe="/~-._+")
    artefact = {"uri": f"file:///{path.lstrip('/')}"} if absolute else {"uri": path, "uriBaseId": "%SRCROOT%"}
    return {
        "physicalLocation": {"artifactLocation": artefact, "region": {"startLine": found.line}},
        "logicalLocations": [
            {"name": key, "fullyQualifiedName": key}
            for key in list(dict.fromkeys(each.key for each in finding.responsible))[:MOST_LOGICAL_LOCATIONS]
        ],
    }


def _notification(finding: Finding, index: dict[str, int]) -> dict[str, Any]:
    return {
        "level": "error",
        "message": {"text": f"{shown(finding.title)}\n{shown(finding.message, MOST_MESSAGE)}".strip()},
        "associatedRule": {"id": finding.rule, "index": index[finding.rule]},
    }
