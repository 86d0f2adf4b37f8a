"""Names that would be markup, commands or illegal characters come out of every format whole, or marked as shortened."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import example, given, settings
from jsonschema import Draft4Validator
from lxml import etree

from etgraph.alerts.findings import CheckResult, Responsible
from etgraph.alerts.reports import FORMATS, render
from etgraph.alerts.reports.markdown import MOST_COMMENT
from etgraph.alerts.reports.names import shown, visible, well_formed
from etgraph.alerts.reports.text import text
from support.checks import HOSTILE, any_result, checked, found, names
from support.report_readers import annotations, page, runner_command, texts

SCHEMAS = Path(__file__).parent / "schemas"
JUNIT = etree.XMLSchema(etree.parse(SCHEMAS / "junit-10.xsd"))
SARIF = Draft4Validator(json.loads((SCHEMAS / "sarif-schema-2.1.0.json").read_text()))
EVERYWHERE = checked(
    *(
        found(
            rule=name, title=name, message=name, trace=name, metric=name, advice=name, owner=name, command=name,
            rule_file=name,
            responsible=(Responsible(name, name, 1.0, (), name), Responsible(name, "x", source=f"{name}:7")),
        )
        for name in HOSTILE
    ),
    traces=HOSTILE,
)  # fmt: skip


def results(test: Callable[[CheckResult], None]) -> Callable[[CheckResult], None]:
    """Try a test with `EVERYWHERE`, then with any results."""
    return settings(max_examples=30)(given(any_result)(example(EVERYWHERE)(test)))


def unescaped(shown_text: str) -> str:
    """The name that a shown one stands for, if it has no backslashes of its own."""
    return re.sub(
        r"\\(?:x(..)|u(....)|U(........)|([nrt]))",
        lambda m: {"n": "\n", "r": "\r", "t": "\t"}[m[4]] if m[4] else chr(int(m[1] or m[2] or m[3], 16)),
        shown_text,
    )


@given(names)
def test_a_visible_name_is_one_printable_line_that_can_be_read_back(name: str) -> None:
    assert visible(name).isprintable()
    if "\\" not in name:
        assert unescaped(visible(name)) == name


@given(names)
def test_a_shortened_name_has_both_ends_and_says_how_much_is_missing(name: str) -> None:
    short = shown(name, 60)
    assert len(short) <= 60
    whole = visible(name)
    if short != whole:
        head, number, tail = re.fullmatch(r"(.*?)…\[([\d,]+) characters left out\]…(.*)", short).groups()  # type: ignore[union-attr]
        assert whole.startswith(head)
        assert whole.endswith(tail)
        assert len(head) + int(number.replace(",", "")) + len(tail) == len(whole)


@results
def test_json_has_every_name_whole(result: CheckResult) -> None:
    document = json.loads(render(result, "json").encode("ascii"))
    assert [each["rule"] for each in document["findings"]] == [well_formed(each.rule) for each in result.findings]
    for told, finding in zip(document["findings"], result.findings):
        assert [each["key"] for each in told["responsible"]] == [well_formed(each.key) for each in finding.responsible]
        json.dumps(told, ensure_ascii=False).encode("utf-8")


@results
def test_junit_is_valid_and_names_every_rule(result: CheckResult) -> None:
    written = render(result, "junit").encode("ascii")
    JUNIT.assertValid(etree.fromstring(written, etree.XMLParser(huge_tree=True)))
    cases = {(case.get("classname"), case.get("name")) for case in ElementTree.fromstring(written).iter("testcase")}
    assert cases == {(shown(finding.trace), shown(finding.rule)) for finding in result.findings}


@results
def test_sarif_is_valid_and_has_every_name_whole(result: CheckResult) -> None:
    log = json.loads(render(result, "sarif").encode("ascii"))
    SARIF.validate(log)
    told = log["runs"][0]["results"]
    expected = {
        (well_formed(finding.rule), tuple(dict.fromkeys(well_formed(each.key) for each in finding.responsible)))
        for finding in result.findings
        if finding.level != "off" and finding.status in ("broken", "suppressed", "undecided", "incomparable")
    }
    assert {
        (each["ruleId"], tuple(where["name"] for where in each["locations"][0]["logicalLocations"])) for each in told
    } == expected


@results
def test_github_understands_every_line_as_one_command_of_ours(result: CheckResult) -> None:
    for each in annotations(render(result, "github")):
        assert each.command in ("error", "warning", "notice")
        assert set(each.properties) <= {"file", "line", "title"}
        assert all(value.isprintable() for value in each.properties.values())


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_github_shows_a_name_as_it_is(name: str) -> None:
    (told,) = annotations(render(checked(found(title=name, rule="r", responsible=(Responsible(name, ""),))), "github"))
    assert told.properties["title"].strip() == shown(f"r: {visible(name)}", 200).strip()
    assert shown(name).strip() in told.message


@results
def test_gitlab_has_every_rule_and_a_path(result: CheckResult) -> None:
    for entry in json.loads(render(result, "gitlab").encode("ascii")):
        assert entry["check_name"] in {well_formed(finding.rule) for finding in result.findings}
        assert entry["location"]["path"]
        assert entry["location"]["lines"]["begin"] >= 1
        assert entry["severity"] in ("info", "minor", "major", "critical", "blocker")


@results
def test_no_line_of_text_steers_a_terminal_or_a_runner(result: CheckResult) -> None:
    for line in text(result).split("\n"):
        assert line.isprintable()
        assert runner_command(line) is None
        assert not re.search(r"##(vso)?\[", line)


@pytest.mark.parametrize("name", [name for name in HOSTILE if len(name) < 300 and "##" not in name], ids=ascii)
def test_text_shows_a_name_as_it_is(name: str) -> None:
    told = text(checked(found(rule=name, responsible=(Responsible(name, ""),))))
    assert f"ERROR {visible(name)}: title" in told
    assert re.search(rf"^  due to    {re.escape(visible(name).strip())}", told, re.MULTILINE)


@results
def test_markdown_is_inert_and_of_one_shape(result: CheckResult) -> None:
    written = render(result, "markdown")
    assert len(written) <= MOST_COMMENT
    tree = page(written)
    assert all(len(list(row.iter("td", "th"))) == 5 for row in tree.iter("tr"))
    assert len(list(tree.iter("details"))) == len(list(tree.iter("summary")))


@given(names)
def test_markdown_shows_a_name_as_it_is(name: str) -> None:
    tree = page(
        render(checked(found(rule=name, title=name, message=name, responsible=(Responsible(name, ""),))), "markdown")
    )
    (_, row) = tree.iter("tr")
    _, rule, title, _, due = row.iter("td")
    same(texts(rule), shown(name, 100))
    same(texts(title), shown(name))
    same(texts(due), shown(name, 100))
    (details,) = tree.iter("details")
    paragraph = details.find("p")
    same("" if paragraph is None else texts(paragraph), shown(name, 4000))


def same(seen: str, name: str) -> None:
    """A page draws blanks together and leaves out those at an end."""
    assert " ".join(seen.split()) == " ".join(name.split())


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("part", ["rule", "title", "message", "trace", "metric", "advice", "owner"])
def test_a_name_of_ten_kilobytes_is_whole_for_programs_and_shortened_for_people(name: str, part: str) -> None:
    changes: dict[str, Any] = {part: "ж" * 10_000, "value": 1.0}
    written = render(checked(found(**changes)), name).encode("ascii", "backslashreplace").decode("unicode_escape")
    longest = max(map(len, re.findall("ж+", written)), default=0)
    if name == "json" or (name == "sarif" and part not in ("message",)):
        assert longest == 10_000
    elif (name, part) not in {("gitlab", "rule"), ("gitlab", "trace"), ("github", "trace")}:
        assert longest <= 4000
        assert "characters left out" in " ".join(written.split()) or not longest
