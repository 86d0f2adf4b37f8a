"""What each format says of a check, read back by other people's parsers and schemas."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from jsonschema import Draft4Validator
from lxml import etree

from etgraph.alerts.findings import Responsible
from etgraph.alerts.reports import FORMATS, render
from etgraph.alerts.reports.github import SHOWN_OF_A_KIND
from etgraph.alerts.reports.markdown import MARKER, MOST_COMMENT
from etgraph.alerts.reports.places import fingerprint, in_checkout, place
from etgraph.alerts.reports.text import text
from support.checks import EVERY_VERDICT, SLOWER, checked, found
from support.report_readers import annotations, page, texts

SCHEMAS = Path(__file__).parent / "schemas"
EVERYTHING = checked(*EVERY_VERDICT)


def test_text_begins_with_the_worst_and_says_what_changed_by_whom_and_what_to_do() -> None:
    assert render(checked(found(rule="fine", status="passed"), SLOWER), "text") == (
        "etgraph check: regressed. 2 rules: 1 error, 1 passed\n"
        "runs/new against gpt@baseline\n"
        "\n"
        "ERROR step-time: the step takes longer\n"
        "  The median step takes 5.10 ms longer than in the baseline.\n"
        "  metric    step_ns: 41.2 ms → 46.3 ms, +5.10 ms (+12.4%); 95% interval +3.90 ms … +6.20 ms; +2.06 ms is "
        "allowed; 3 runs\n"
        "            against 3\n"
        "  due to    all_gather@2  new, +3.10 ms, ranks 0, 1, 2, 3, model/train.py:88\n"
        "            barrier       new, +1.20 ms, rank 0\n"
        "  worth     78.0% of the critical path; undoing it would gain 4.60 ms a step\n"
        "  do        Gather the parameters once.\n"
        "  owner     perf team\n"
        "  rule      perf.toml:12\n"
        "  show      etgraph compare gpt@baseline runs/new\n"
        "\n"
        "passed: fine\n"
    )


def test_what_was_not_measured_is_told_apart_from_what_passed() -> None:
    """By why it was not, since nobody has looked at it."""
    missing = [found(rule=rule, status="passed", value=None, reason="no times") for rule in ("a", "b")]
    result = checked(*missing, found(rule="c", status="passed"))
    said = render(result, "text")
    assert "3 rules: 2 not measured, 1 passed\n" in said
    assert said.endswith("\npassed: c\n\nnot measured (no times): a, b\n")
    assert "<summary>2 rules not measured (no times)</summary>" in render(result, "markdown")
    suite = ElementTree.fromstring(render(result, "junit"))[0]
    assert suite.attrib["skipped"] == "2"
    assert [each.attrib for each in suite.iter("skipped")] == [{"type": "not measured", "message": "no times"}] * 2


def test_what_cannot_be_measured_is_no_comparison() -> None:
    told = found(status="incomparable", value=None, reason="no times", message="cannot be measured: no times")
    assert "\nCANNOT BE MEASURED " in render(checked(told), "text")
    assert "\nCANNOT BE COMPARED " in render(checked(dataclasses.replace(told, baseline_runs=1)), "text")
    assert "reason" not in render(checked(told), "text")


def test_what_cannot_be_compared_for_one_reason_is_told_once() -> None:
    other = {"status": "incomparable", "baseline_runs": 1, "message": "world size: 4 in a, 2 in b"}
    told = text(checked(*(found(rule=name, **other) for name in ("one", "two", "three")), status="incomparable"))
    assert told.count("world size") == 1
    assert "cannot be compared, for the same reason as one: two, three" in told


def test_what_the_message_has_said_is_not_said_again() -> None:
    told = dataclasses.replace(SLOWER, message="41.2 ms → 46.3 ms (+5.10 ms; 95% interval +3.90 ms to +6.20 ms)")
    assert "  metric    step_ns: 3 runs against 3\n" in text(checked(told))


def test_a_part_of_a_value_has_no_sign_and_its_own_unit() -> None:
    late = Responsible("rank 3", "rank", 3_560_000.0, (3,), unit="ns")
    told = text(checked(found(metric="waiting", unit="share", value=0.546, limit=0.15, responsible=(late,))))
    assert "  metric    waiting: 54.6%; limit 15.0%\n  due to    rank 3  3.56 ms\n" in told


def test_the_order_is_by_gravity() -> None:
    heads = re.findall(r"^([A-Z][A-Z ]*) [\w-]+:", text(EVERYTHING), re.MULTILINE)
    assert heads == ["ERROR", "CANNOT BE MEASURED", "WARNING", "UNDECIDED", "SUPPRESSED", "IMPROVED"]


def test_colour_changes_nothing_but_the_colour() -> None:
    coloured = text(EVERYTHING, colour=True)
    assert "\x1b[1;31mERROR\x1b[0m step-time" in coloured
    assert re.sub(r"\x1b\[[\d;]*m", "", coloured) == text(EVERYTHING)


def test_json_is_the_result_in_camel_case() -> None:
    document = json.loads(render(EVERYTHING, "json"))
    assert (document["status"], document["baseline"]) == ("regressed", ["gpt@baseline"])
    (slower,) = [finding for finding in document["findings"] if finding["rule"] == "step-time"]
    assert slower["interval"] == {"low": 3_900_000.0, "high": 6_200_000.0, "confidence": 0.95}
    assert (slower["gainNs"], slower["ruleLine"], slower["criticalShare"]) == (4_600_000, 12, 0.78)
    assert slower["responsible"][0]["ranks"] == [0, 1, 2, 3]


def test_not_a_number_is_null_in_json() -> None:
    document = json.loads(render(checked(found(value=float("nan"), change=float("inf"))), "json"))
    assert (document["findings"][0]["value"], document["findings"][0]["change"]) == (None, None)


def test_junit_is_valid_and_counts_what_failed() -> None:
    written = render(checked(*EVERY_VERDICT, found(trace="runs/b")), "junit")
    etree.XMLSchema(etree.parse(SCHEMAS / "junit-10.xsd")).assertValid(etree.fromstring(written.encode()))
    root = ElementTree.fromstring(written)
    first, second = root.findall("testsuite")
    assert first.attrib == {"name": "runs/new", "tests": "8", "failures": "1", "errors": "1", "skipped": "3"}
    assert (root.get("tests"), root.get("failures"), second.get("failures")) == ("9", "2", "1")
    outcomes = {case.get("name"): [child.tag for child in case] for case in first.findall("testcase")}
    assert outcomes == {
        "quiet": [], "warned": ["system-out"], "unsure": ["skipped"], "step-time": ["failure"],
        "other-machine": ["error"], "known": ["skipped"], "faster": ["system-out"], "asleep": ["skipped"],
    }  # fmt: skip


def test_the_schema_of_junit_refuses_what_is_wrong() -> None:
    wrong = etree.fromstring(render(EVERYTHING, "junit").encode())
    del wrong[0].attrib["tests"]
    assert not etree.XMLSchema(etree.parse(SCHEMAS / "junit-10.xsd")).validate(wrong)


def sarif_of(result: Any) -> dict[str, Any]:
    """The only run of a log that is valid."""
    log = json.loads(render(result, "sarif"))
    Draft4Validator(json.loads((SCHEMAS / "sarif-schema-2.1.0.json").read_text())).validate(log)
    (run,) = log["runs"]
    assert isinstance(run, dict)
    return run


def test_sarif_is_valid_and_lists_what_needs_reading() -> None:
    run = sarif_of(EVERYTHING)
    assert [(each["ruleId"], each["kind"], each["level"]) for each in run["results"]] == [
        ("step-time", "fail", "error"), ("other-machine", "notApplicable", "none"), ("warned", "fail", "warning"),
        ("unsure", "open", "none"), ("known", "fail", "error"),
    ]  # fmt: skip
    rules = run["tool"]["driver"]["rules"]
    assert len(rules) == len(EVERY_VERDICT)
    assert all(rules[each["ruleIndex"]]["id"] == each["ruleId"] for each in run["results"])
    assert run["results"][-1]["suppressions"][0]["justification"] == "until the driver is mended"
    (notification,) = run["invocations"][0]["toolExecutionNotifications"]
    assert notification["associatedRule"]["id"] == "other-machine"


def test_sarif_points_at_the_recorded_line_else_at_the_rule() -> None:
    run = sarif_of(checked(SLOWER, found(rule="x", rule_file="rules/my rules.toml", rule_line=3)))
    places = [each["locations"][0]["physicalLocation"] for each in run["results"]]
    assert [(each["artifactLocation"]["uri"], each["region"]["startLine"]) for each in places] == [
        ("model/train.py", 88), ("rules/my%20rules.toml", 3),
    ]  # fmt: skip


def test_two_rules_of_one_name_in_sarif_are_one_rule() -> None:
    run = sarif_of(checked(found(), found(trace="b"), traces=("runs/new", "b")))
    assert len(run["tool"]["driver"]["rules"]) == 1
    assert len({each["partialFingerprints"]["etgraphFinding/v1"] for each in run["results"]}) == 2


def test_a_fingerprint_is_of_the_problem_and_not_of_the_run() -> None:
    again = dataclasses.replace(
        SLOWER,
        value=48e6,
        responsible=(Responsible("other", "new"),),
        rule_line=40,
        trace="runs/newer",
        message="other",
    )
    other = dataclasses.replace(SLOWER, rule="other")
    assert fingerprint(checked(SLOWER), SLOWER) == fingerprint(checked(again), again)
    assert fingerprint(checked(SLOWER), SLOWER) != fingerprint(checked(other), other)
    twice = checked(SLOWER, dataclasses.replace(SLOWER))
    assert len({fingerprint(twice, each) for each in twice.findings}) == 2


def test_github_annotates_the_line_that_is_to_blame() -> None:
    first, *others = annotations(render(EVERYTHING, "github"))
    assert (first.command, first.properties) == (
        "error", {"file": "model/train.py", "line": "88", "title": "step-time: the step takes longer"}
    )  # fmt: skip
    assert "step_ns: 41.2 ms → 46.3 ms, +5.10 ms (+12.4%); 95% interval" in first.message.splitlines()[1]
    assert first.message.endswith("show: etgraph compare gpt@baseline runs/new")
    assert [each.command for each in others] == ["error", "warning", "warning"]


def test_github_keeps_ten_of_a_kind_and_says_what_is_not_shown() -> None:
    findings = [found(rule=f"rule-{number}", gain_ns=100 - number) for number in range(14)]
    told = annotations(render(checked(*findings), "github"))
    assert len(told) == SHOWN_OF_A_KIND
    assert told[-1].properties == {"title": "and 5 more"}
    assert told[-1].message == "rule-9, rule-10, rule-11, rule-12, rule-13"


def test_gitlab_has_an_entry_for_each_that_needs_reading() -> None:
    entries = json.loads(render(EVERYTHING, "gitlab"))
    assert [(each["check_name"], each["severity"]) for each in entries] == [
        ("step-time", "critical"), ("other-machine", "critical"), ("warned", "minor"), ("unsure", "info"),
    ]  # fmt: skip
    assert entries[0]["location"] == {"path": "model/train.py", "lines": {"begin": 88}}
    assert len({each["fingerprint"] for each in entries}) == len(entries)
    assert json.loads(render(checked(found(status="passed"), status="ok"), "gitlab")) == []


def test_markdown_is_a_table_with_details_under_a_marker() -> None:
    written = render(EVERYTHING, "markdown")
    assert written.startswith(MARKER)
    tree = page(written)
    rows = [[texts(cell) for cell in row.iter("td")] for row in tree.iter("tr")][1:]
    assert rows[0] == [
        "❌ error", "step-time", "the step takes longer", "41.2 ms → 46.3 ms, +5.10 ms (+12.4%)",
        "all_gather@2, barrier",
    ]  # fmt: skip
    assert [row[1] for row in rows] == ["step-time", "other-machine", "warned", "unsure", "known", "faster"]
    folded = [texts(each) for each in tree.iter("summary")]
    assert folded[0] == "step-time: the step takes longer"
    assert folded[-2:] == ["1 rule passed", "1 rule off"]


def test_the_summary_of_a_job_is_the_same_without_the_marker() -> None:
    assert MARKER + "\n" + render(EVERYTHING, "github-summary") == render(EVERYTHING, "markdown")


@pytest.mark.parametrize(("number", "length"), [(20, 4000), (400, 40), (3000, 4000)])
def test_markdown_that_would_be_too_long_says_what_is_left_out(number: int, length: int) -> None:
    findings = [
        found(rule=f"r{n}", message="*" * length, responsible=(Responsible("|" * 500, "x"),)) for n in range(number)
    ]
    passed = [found(rule=f"passed-{n}" * 5, status="passed") for n in range(number)]
    written = render(checked(*findings, *passed), "markdown")
    assert MOST_COMMENT * 0.5 < len(written) <= MOST_COMMENT
    tree = page(written)
    rows = len(list(tree.iter("tr"))) - 1
    details = len(list(tree.iter("details"))) - 1
    missing = (number - rows, rows - details)
    said = [int(each.replace(",", "")) for each in re.findall(r"\*([\d,]+) finding\S* .*?left out: ", written)]
    assert said == [each for each in missing if each]
    assert f"{number:,} rules passed" in written


def test_files_are_named_as_in_the_checkout(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "train.py").touch()
    (tmp_path / "functional.py").touch()
    sources = {
        f"{tmp_path}/model/train.py:7": "model/train.py",
        "/srv/job/checkout/model/train.py:7": "model/train.py",
        "C:\\job\\model\\train.py:7": "model/train.py",
        "./model/train.py:7:12": "model/train.py",
        "/lib/site-packages/torch/functional.py:7": "/lib/site-packages/torch/functional.py",
        "/srv/other.py:7": "/srv/other.py",
    }
    for source, expected in sources.items():
        (finding,) = in_checkout(
            checked(found(responsible=(Responsible("mm", "x", source=source),))), tmp_path
        ).findings
        assert (place(finding).file, place(finding).line) == (expected, 7)


def test_a_file_outside_of_the_checkout_is_not_below_its_root_in_sarif() -> None:
    run = sarif_of(checked(found(responsible=(Responsible("mm", "slower", source="/opt/lib/a b.py:7"),))))
    artefact = run["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]
    assert artefact == {"uri": "file:///opt/lib/a%20b.py"}


@pytest.mark.parametrize("name", FORMATS)
def test_a_check_without_findings_has_a_report(name: str) -> None:
    assert render(checked(status="ok"), name) is not None
