"""Tests of rules: traces, and what rules are to find in them; as files, in the manner of promtool."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from etgraph.alerts.findings import CheckResult, Finding, Outcome, Status
from etgraph.alerts.language.amounts import NotAnAmount, amount_of, readable
from etgraph.alerts.rules.reading import DEFAULT, Placed, RulesError, load
from etgraph.model.errors import EtgraphError
from etgraph.model.settings.declaration import declared
from etgraph.model.settings.document import document, text_of
from etgraph.model.settings.reading import MISSING, Reader


class TestsError(RulesError):
    """A file of tests of rules cannot be used."""

    code = "BAD_TESTS"
    __test__ = False


@dataclass(frozen=True, slots=True)
class Expected:
    """What one rule is to find."""

    rule: Annotated[str, "its id"]
    status: Annotated[Status, "what comes of it"]
    value: Annotated[str | float | None, "what is measured, with its unit; within a hundredth of it"] = None
    responsible: Annotated[tuple[str, ...], "keys of operators, collectives or ranks that are named, among others"] = ()
    message: Annotated[str, "a part of what is said"] = ""


@dataclass(frozen=True, slots=True)
class RuleTest:
    """One check of traces, and what is to come of it."""

    traces: Annotated[tuple[str, ...], "references; paths that are relative begin at the file"]
    name: Annotated[str, "what it shows"] = ""
    baseline: Annotated[tuple[str, ...], "as --baseline takes it"] = ()
    workload: Annotated[str | None, "as --workload takes it"] = None
    status: Annotated[Outcome | None, "what the check comes to"] = None
    findings: Annotated[tuple[Expected, ...], "what rules find; others may find anything"] = ()
    error: Annotated[str, "the code of the error that the check ends with instead, such as NOT_FOUND"] = ""


@dataclass(frozen=True, slots=True)
class TestFile:
    """A file of tests: the rules that it is about, and the tests."""

    __test__ = False

    rules: Annotated[tuple[str, ...], "files of rules, from the file on, or `default`"] = (DEFAULT,)
    tests: Annotated[tuple[RuleTest, ...], "the tests"] = field(default=())


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of a test: `failures` say what was found and what was expected; none where it held."""

    file: str
    name: str
    failures: tuple[str, ...]


Checker = Callable[[Sequence[str], Sequence[Placed], Sequence[str], str | None], CheckResult]
"""Checks references by rules beside a baseline, among the traces of a workload."""


def read_tests(path: Path) -> TestFile:
    """The tests of a file. Raises NotFound where there is none, TestsError with all its problems."""
    text = text_of(path, "tests of rules are a TOML file: docs/alerts/rules.md")
    reader = Reader()
    root = document(text, str(path), TestsError)
    found = reader.value(root, declared(TestFile), ())
    if found is not MISSING and not found.tests:
        reader.refuse(root, ("tests",), "nothing", "rows, each [[tests]]")
    if reader.problems:
        raise TestsError(sorted(reader.problems, key=lambda problem: problem.line or 0))
    assert isinstance(found, TestFile)
    return found


def try_rules(path: Path, check: Checker) -> Iterator[Tried]:
    """Every test of a file, one after another. Raises what reading the file and its rules raises."""
    file = read_tests(path)
    rules = load([each if each == DEFAULT else path.parent / each for each in file.rules])
    known = {placed.rule.id: placed for placed in rules}
    for number, test in enumerate(file.tests, 1):
        name = test.name or f"test {number}"
        yield Tried(str(path), name, tuple(_failures(path.parent, test, rules, known, check)))


def _failures(
    folder: Path, test: RuleTest, rules: Sequence[Placed], known: dict[str, Placed], check: Checker
) -> Iterator[str]:
    unknown = [expected.rule for expected in test.findings if expected.rule not in known]
    for rule in unknown:
        yield f"no rule {rule!r} among {', '.join(known)}"
    if unknown:
        return
    chosen = [known[expected.rule] for expected in test.findings] if test.findings and not test.status else rules
    try:
        traces, baseline = ([_from(folder, each) for each in side] for side in (test.traces, test.baseline))
        result = check(traces, chosen, baseline, test.workload)
    except EtgraphError as error:
        if error.code != test.error:
            yield f"found error {error.code} ({error.message}), expected {test.error or 'findings'}"
        return
    if test.error:
        yield f"found {result.status}, expected error {test.error}"
    if test.status and result.status != test.status:
        yield f"found {result.status}, expected {test.status}"
    for expected in test.findings:
        found = [finding for finding in result.findings if finding.rule == expected.rule]
        if not found:
            yield f"{expected.rule}: found nothing, expected {expected.status}: it is off, or lacks a baseline"
        for finding in found:
            yield from (f"{expected.rule}: {told}" for told in _unlike(finding, expected))


def _unlike(finding: Finding, expected: Expected) -> Iterator[str]:
    if finding.status != expected.status:
        yield f"found {finding.status} ({finding.message}), expected {expected.status}"
    if expected.value is not None:
        unit: Any = finding.unit
        try:
            value = amount_of(str(expected.value), unit)
        except NotAnAmount as error:
            yield f"found {expected.value!r} in the test, expected {error}"
        else:
            if finding.value is None or abs(finding.value - value) > abs(value) / 100:
                yield f"found {readable(finding.value, unit)}, expected {readable(value, unit)}"
    keys = [one.key for one in finding.responsible]
    for key in expected.responsible:
        if key not in keys:
            yield f"found {', '.join(keys) or 'nobody'} to be responsible, expected {key}"
    if expected.message not in finding.message:
        yield f"found {finding.message!r}, expected {expected.message!r} in it"


def _from(folder: Path, reference: str) -> str:
    """A reference, from the folder on where it is a path there."""
    name = reference.partition("#")[0]
    return str(folder / reference) if not Path(reference).is_absolute() and (folder / name).exists() else reference


__all__ = ["Checker", "Expected", "RuleTest", "TestFile", "TestsError", "Tried", "read_tests", "try_rules"]
