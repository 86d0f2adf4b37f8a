"""Where a finding is shown in the code: the recorded source line that it is due to, else its rule."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
from pathlib import Path, PurePosixPath

from etgraph.alerts.findings import CheckResult, Finding, Responsible
from etgraph.alerts.rules.reading import DEFAULT_FILE

INSTALLED = {"site-packages", "dist-packages"}
"""Folders of what is not the checkout's own, whatever its files are called."""


@dataclasses.dataclass(frozen=True, slots=True)
class Place:
    """A file, relative to the checkout where it lies in it, with `/` between its parts, and a line from 1."""

    file: str
    line: int


def place(finding: Finding) -> Place | None:
    """The first source line of those responsible, else the rule's; None for a rule that comes with etgraph."""
    for responsible in finding.responsible:
        if responsible.source and (found := _parsed(responsible.source)):
            return found
    if finding.rule_file and finding.rule_file != DEFAULT_FILE:
        return Place(finding.rule_file.replace("\\", "/"), finding.rule_line or 1)
    return None


def some_place(finding: Finding) -> Place:
    """The same for formats that need one: a rule without a file of its own is taken to be in etgraph's."""
    return place(finding) or Place(DEFAULT_FILE, finding.rule_line or 1)


def _parsed(source: str) -> Place | None:
    """`file:line`, the column that some tools add left out."""
    parts = source.replace("\\", "/").rsplit(":", 2)
    if len(parts) == 3 and _is_line(parts[1]) and _is_line(parts[2]):
        parts = parts[:2]
    elif len(parts) == 3:
        parts = [":".join(parts[:2]), parts[2]]
    if len(parts) != 2 or not parts[0] or not _is_line(parts[1]):
        return None
    return Place(parts[0], int(parts[1]))


def _is_line(text: str) -> bool:
    return text.isascii() and text.isdigit() and 0 < int(text[:10]) <= 2**31 - 1 and len(text) <= 10


def fingerprint(result: CheckResult, finding: Finding) -> str:
    """What stays the same from run to run as long as it is the same problem: 32 hexadecimal digits.

    It is made of the rule and its metric, and of the trace's name where several are checked; figures, operators and
    lines may change while a problem stays. Findings that have all of that in common are told apart by their order.
    """
    parts = _identity(result, finding)
    before = itertools.takewhile(lambda each: each is not finding, result.findings)
    parts += ["again"] * sum(_identity(result, each) == parts for each in before)
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _identity(result: CheckResult, finding: Finding) -> list[str]:
    return [finding.rule, finding.metric, *([finding.trace] if len(result.traces) > 1 else [])]


def in_checkout(result: CheckResult, root: Path) -> CheckResult:
    """The result with its files named as in the checkout at `root`, for tools that show findings beside the code.

    A path is taken relative to `root`; one of another machine by its longest end that exists below it. What is not
    found stays as it was recorded.
    """
    findings = tuple(
        dataclasses.replace(
            finding,
            responsible=tuple(_moved(each, root) for each in finding.responsible),
            rule_file=finding.rule_file and _relative(finding.rule_file, root),
        )
        for finding in result.findings
    )
    return dataclasses.replace(result, findings=findings)


def _moved(responsible: Responsible, root: Path) -> Responsible:
    found = _parsed(responsible.source) if responsible.source else None
    if found is None:
        return responsible
    return dataclasses.replace(responsible, source=f"{_relative(found.file, root)}:{found.line}")


def _relative(name: str, root: Path) -> str:
    path = PurePosixPath(name.replace("\\", "/"))
    try:
        if (root / path).is_file():
            return (root / path).resolve().relative_to(root.resolve()).as_posix()
        parts = [part for part in path.parts if part not in ("/", "..", ".")]
        if INSTALLED & set(parts):
            return name
        for start in range(len(parts)):
            if root.joinpath(*parts[start:]).is_file():
                return "/".join(parts[start:])
    except (OSError, ValueError):  # too long a name, one with a zero byte, or a file outside of the checkout
        pass
    return name
