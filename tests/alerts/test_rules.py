"""Files of rules: what they say, all that is wrong about them at once, the schemas, and rules in words."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from etgraph.alerts.language.amounts import Unit, amount_of
from etgraph.alerts.language.expressions import COMPARISONS, FUNCTIONS
from etgraph.alerts.language.meaning import metric
from etgraph.alerts.language.vocabulary import QUESTIONS
from etgraph.alerts.rules import DEFAULT, Budget, Regression, Rule, RulesError, Suppression, Where, load, loads
from etgraph.alerts.rules.explaining import explained
from etgraph.alerts.rules.reading import FEWEST_OF_HISTORY
from etgraph.alerts.rules.schema import schema_of_rules, schema_of_tests, schema_text
from etgraph.alerts.rules.starting import written
from etgraph.alerts.rules.trying import TestsError, read_tests
from etgraph.alerts.statistics.ordered import FEWEST
from etgraph.model.errors import NotFound
from etgraph.model.settings.declaration import Record, declared

DOCS = Path(__file__).resolve().parents[2] / "docs" / "alerts"
GOOD = """
[[rules]]
id = "exposed"
metric = "breakdown.exposedCommunicationNs"
level = "warn"
where = {rank = 3, iterations = [1, 2]}
aggregate = {ranks = "mean", iterations = "p95"}
budget = {max = "2ms", min = 0}
for = 3
owner = "team"
remediation = "overlap it"

[[rules]]
id = "bandwidth/all_reduce"
metric = 'hotspots[key="all_reduce"].busBandwidth'
baseline = ["gpt@baseline", "last:3:main"]
regression = {max_decrease = 0.1, floor = "1 GB/s", min_samples = 2, confidence = 0.95}
suppress = {reason = "known", until = 2026-03-31}
"""
RULE = '[[rules]]\nid = "a"\nmetric = "breakdown.idleNs"\n'


def test_a_file_says_rules() -> None:
    first, second = loads(GOOD, file="rules.toml")
    assert first.rule == Rule(
        "exposed", "breakdown.exposedCommunicationNs", level="warn", where=Where(3, (1, 2)),
        aggregate=first.rule.aggregate, budget=Budget("2ms", "0"), runs=3, owner="team", remediation="overlap it",
    )  # fmt: skip
    assert (first.rule.aggregate.ranks, first.rule.aggregate.iterations) == ("mean", "p95")
    assert (first.rule.limit("max"), first.rule.limit("min"), first.rule.needs_baseline) == (2e6, 0, False)
    assert (first.file, first.line, second.line) == ("rules.toml", 2, 13)
    assert second.rule.regression == Regression(
        max_decrease="0.1", floor="1 GB/s", min_samples=2, confidence=0.95
    )  # fmt: skip
    assert second.rule.suppress == Suppression("known", "2026-03-31")
    assert second.rule.baseline == ("gpt@baseline", "last:3:main")
    assert second.rule.needs_baseline


def test_all_problems_are_told_at_once_each_with_its_line() -> None:
    text = """
[[rules]]
id = "a b"
metric = "breakdown.idelNs"
levl = "warn"
budget = {max = "2 parsecs"}

[[rules]]
id = "c"
metric = "iterations.durationNs"
where = {scope = "a", group = "b"}
regression = {max_increase = "5%", max_decrease = "5%", floor = "3"}
suppress = {reason = "", until = "soon"}
"""
    with pytest.raises(RulesError) as caught:
        loads(text, file="bad.toml")
    error = caught.value
    assert (error.exit_code, error.code) == (2, "BAD_RULES")
    told = [(problem.line, problem.path.rpartition(".")[2], problem.found) for problem in error.problems]
    assert told == [
        (3, "id", "'a b'"),
        (4, "metric", "no field 'idelNs' of breakdown at character 11 of 'breakdown.idelNs'"),
        (5, "levl", "an unknown key"),
        (11, "where", "scope and group"),
        (12, "regression", "both"),
        (12, "floor", "'3'"),
        (13, "until", "'soon'"),
        (13, "reason", "nothing"),
    ]
    assert "bad.toml: 8 problems" in error.message


@pytest.mark.parametrize(
    ("text", "found", "expected"),
    [
        ("", "nothing", "rows, each [[rules]]"),
        ("rules = 3", "3", "rows, each [[rules]]"),
        ("[[rule]]\nid = 1", "an unknown key", "rows, each [[rules]]"),
        ("[[rules]", "expected", "TOML"),
        ('[[rules]]\nid = "a"', "nothing", "a text"),
        (RULE, "neither budget nor regression", "one of them"),
        (RULE + "budget = {}", "nothing", "max, min or both"),
        (RULE + "budget = {max = 3}", "'3'", 'an amount such as "2 ms"'),
        (RULE + "budget = {max = '1 ms', min = '2 ms'}", "a min above the max", "one below it"),
        (RULE + "budget = {max = 0}\nregression = {max_increase = '5%'}", "a regression beside a budget", "one of"),
        (RULE + "regression = {}", "neither max_increase nor max_decrease", "one of max_increase and max_decrease"),
        (RULE + "regression = {max_increase = '2 ms'}", "'2 ms'", 'an amount such as "10%"'),
        (RULE + "regression = {max_increase = 5}", "5, which is 500%", 'a share such as "5%" or 0.05'),
        (RULE + "regression = {max_increase = '3'}", "3, which is 300%", 'a share such as "3%"'),
        (RULE + "regression = {max_increase = -0.1}", "'-0.1'", "0 or more"),
        (RULE + "regression = {max_increase = 0, confidence = 1}", "1", "a share from 0.5 to below 1"),
        (RULE + "regression = {max_increase = 0, confidence = 0.4}", "0.4", "0.5"),
        (RULE + "regression = {max_decrease = '100%'}", "'100%'", "less than 100%"),
        (
            RULE + "regression = {max_increase = 0, test = 't'}", '"t"',
            "one of auto, exact, statistics, ratio, mann-whitney, change-point",
        ),
        (RULE + "regression = {max_increase = 0, within = 5}", "within beside test = 'auto'", "change-point alone"),
        (RULE + "regression = {max_increase = 0, test = 'change-point', within = 0}", "0", "1"),
        (
            RULE + "regression = {max_increase = 0, test = 'ratio', confidence = 0.99}",
            "confidence beside test = 'ratio'", "a test with an interval",
        ),
        (
            RULE + "baseline = ['last:4', 'last:2:main']\nregression = {max_increase = 0, test = 'change-point'}",
            "a history of 6 runs and the one that is checked", "8 or more",
        ),
        (
            RULE + "for = 2\nregression = {max_increase = 0, test = 'mann-whitney'}",
            "each of 2 runs by itself", "a baseline of 19 runs or more",
        ),
        (
            RULE + "for = 2\nbaseline = ['last:19']\n"
            "regression = {max_increase = 0, test = 'mann-whitney', confidence = 0.95}",
            "each of 2 runs by itself", "a baseline of 39 runs or more",
        ),
        (RULE + "budget = {max = 0}\nfor = 0", "0", "1 or more"),
        (RULE + "budget = {max = 0}\nfor = true", "true", "a whole number"),
        (RULE + "budget = {max = 0}\nwhere = {iterations = [-1]}", "-1", "indices from 0"),
        (RULE + "budget = {max = 0}\nwhere = {size = 'a'}", "size of a metric of breakdown", "told apart by size"),
        (RULE + "budget = {max = 0}\nresponsible = 'sum(hotspots.bytes)'", "one number", "a field of several rows"),
        (RULE + "budget = {max = 0}\ngain = 'sum(hotspots.bytes)'", "bytes", "one number of ns"),
        (RULE + "budget = {max = 0}\nbaseline = ['gpt']", "a baseline", "none: nothing of the rule compares"),
        (RULE + "budget = {max = 0}\nresponsible = 'changes.added'", "a comparison", "a question about the run"),
        (RULE + "budget = {max = 0}\ngain = 'compare.differenceNs'", "a comparison", "a question about the run"),
        (RULE + "budget = {max = 0}\nlevel = 'fatal'", '"fatal"', "one of error, warn, off"),
        (
            RULE.replace("breakdown.idleNs", "sum(changes.added)") + "regression = {max_increase = 0}",
            "a metric that is a comparison itself", "budget instead of regression",
        ),
        (
            RULE + "aggregate = {iterations = 'together'}\nregression = {max_increase = '1%'}",
            "together", "median, mean or the like",
        ),
        (RULE + "budget = {max = 0}\n" + RULE + "budget = {max = 0}", "a rule 'a' as in line 1", "an id of its own"),
    ],
)  # fmt: skip
def test_what_is_no_rule_is_refused(text: str, found: str, expected: str) -> None:
    with pytest.raises(RulesError) as caught:
        loads(text)
    (problem, *_) = caught.value.problems
    assert found in problem.found
    assert expected in problem.expected


@pytest.mark.parametrize("more", [
    "baseline = ['last:7']\nregression = {max_increase = 0, test = 'change-point', within = 3}",
    "baseline = ['gpt@a', 'last:2']\nregression = {max_increase = 0, test = 'change-point'}",
    "regression = {max_increase = '500%'}",
    "for = 2\nbaseline = ['last:19']\nregression = {max_increase = 0, test = 'mann-whitney'}",
    "regression = {max_increase = 0, test = 'mann-whitney', confidence = 0.99}",
    "regression = {max_decrease = '99%', test = 'ratio', min_samples = 2}",
])  # fmt: skip
def test_what_tests_need_may_be_there(more: str) -> None:
    (placed,) = loads(RULE + more)
    assert placed.rule.regression is not None


def test_the_fewest_runs_of_a_history_are_those_of_statistics() -> None:
    assert FEWEST_OF_HISTORY == FEWEST


def test_problems_of_several_files_are_told_together(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(RULE)
    (tmp_path / "b.toml").write_text("[[rules]\n")
    (tmp_path / "c.toml").write_text(GOOD)
    with pytest.raises(RulesError, match=r"a\.toml: 1 problem\n[^\n]*\n.*b\.toml: 1 problem"):
        load([tmp_path / name for name in ("a.toml", "b.toml", "c.toml")])
    with pytest.raises(NotFound) as caught:
        load([tmp_path / "d.toml"])
    assert caught.value.exit_code == 2
    (tmp_path / "d.toml").write_text(RULE.replace('"a"', '"exposed"') + "budget = {max = 0}")
    with pytest.raises(RulesError, match=r"a rule 'exposed' as in .*c\.toml"):
        load([tmp_path / "c.toml", tmp_path / "d.toml"])


def test_the_rules_that_come_with_etgraph_are_rules() -> None:
    rules = [placed.rule for placed in load([])]
    assert load([DEFAULT]) == load([])
    assert {rule.level for rule in rules if not rule.needs_baseline} == {"warn"}
    assert [rule.id for rule in rules if rule.level == "error"] == [
        "collectives-added", "collective-bytes", "operators-added", "step-time", "operator-times",
        "collective-times",
    ]  # fmt: skip
    about = {question for rule in rules for question in rule.metric.questions}
    assert {"breakdown", "stragglers", "deviceUse", "findings", "hotspots", "changes", "iterations"} <= about
    for rule in rules:
        assert rule.title
        for text in filter(None, (rule.responsible, rule.gain)):
            Rule("a", text).metric  # noqa: B018


# Schemas


@pytest.mark.parametrize(("name", "schema"), [("rules", schema_of_rules()), ("tests", schema_of_tests())])
def test_the_schemas_are_those_of_the_declarations(name: str, schema: dict[str, Any]) -> None:
    told = f"run: python -m etgraph.alerts.rules.schema{' tests' * (name == 'tests')} > docs/alerts/{name}.schema.json"
    assert (DOCS / f"{name}.schema.json").read_text("utf-8") == schema_text(schema), told
    jsonschema.Draft202012Validator.check_schema(schema)


def _fits(text: str, schema: dict[str, Any]) -> bool:
    document = json.loads(json.dumps(tomllib.loads(text), default=str))
    return jsonschema.Draft202012Validator(schema).is_valid(document)


def test_good_files_fit_the_schema() -> None:
    assert _fits(GOOD, schema_of_rules())
    default = Path(__file__).resolve().parents[2] / "alerts/etgraph/alerts/rules/default.toml"
    assert _fits(default.read_text("utf-8"), schema_of_rules())


@pytest.mark.parametrize(
    "text",
    [
        "", "rules = 3", "rules = []", '[[rules]]\nid = "a"', RULE + "levl = 'warn'", RULE + "level = 'fatal'",
        RULE + "for = 0", RULE + "budget = {most = 3}", RULE + "budget = {max = true}", RULE + "where = {rank = -1}",
        RULE + "suppress = {reason = 'a'}", RULE + "regression = {test = 't'}", RULE + "baseline = 'gpt'",
    ],
)  # fmt: skip
def test_the_schema_refuses_what_reading_refuses(text: str) -> None:
    assert not _fits(text, schema_of_rules())
    with pytest.raises(RulesError):
        loads(text)


# Tests of rules, as files


TESTS = """
rules = ["mine.toml", "default"]

[[tests]]
name = "more of them"
traces = ["a"]
baseline = ["b"]
status = "regressed"
findings = [{rule = "a", status = "broken", value = "2 ms", responsible = ["all_reduce"], message = "2.00 ms"}]
"""


def test_a_file_of_tests(tmp_path: Path) -> None:
    file = tmp_path / "tests.toml"
    file.write_text(TESTS)
    found = read_tests(file)
    assert found.rules == ("mine.toml", "default")
    (test,) = found.tests
    assert (test.name, test.traces, test.baseline, test.status) == ("more of them", ("a",), ("b",), "regressed")
    assert test.findings[0].value == "2 ms"
    assert _fits(TESTS, schema_of_tests())


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ('status = "regressed"', 'status = "worse"', 8), ('"broken"', '"bad"', 9), ("[[tests]]", "[[test]]", 1),
        ('traces = ["a"]\n', "", 4), ('rule = "a", ', "", 9), ("value = ", "valeu = ", 9),
    ],
)  # fmt: skip
def test_a_file_that_is_none(tmp_path: Path, old: str, new: str, line: int) -> None:
    file = tmp_path / "tests.toml"
    file.write_text(TESTS.replace(old, new))
    with pytest.raises(TestsError) as caught:
        read_tests(file)
    assert caught.value.exit_code == 2
    assert caught.value.problems[-1].line == line or old == "[[tests]]"
    assert old == "[[tests]]" or not _fits(TESTS.replace(old, new), schema_of_tests())


# In words


def test_a_rule_in_words() -> None:
    exposed, bandwidth = loads(GOOD)
    words = explained(exposed)
    assert words["judged"] == "must be at least 0 ns and at most 2.00 ms"
    assert words["where"] == "rank 3, steps 1, 2"
    assert words["several rows"] == "mean of what is left of breakdown.windows"
    assert words["for"] == "3 runs in a row"
    words = explained(bandwidth)
    assert words["judged"].startswith("may shrink by 0.1 beside the baseline, by an interval of 95%")
    assert words["compared with"] == "gpt@baseline, last:3:main"
    assert words["suppressed"] == "until 2026-03-31: known"
    assert all(explained(placed)["about"] for placed in load([]))


@pytest.mark.parametrize(
    ("value", "unit"),
    [(0.2345, "share"), (1234, "ns"), (5e6, "bytes"), (0.0, "count"), (1.5e9, "bytes/s"), (7.0, "count"),
     (3e12, "flop/s")],
)  # fmt: skip
def test_amounts_are_written_as_rules_read_them(value: float, unit: Unit) -> None:
    text = tomllib.loads(f"max = {written(value, unit)}")["max"]
    assert amount_of(str(text), unit) == pytest.approx(value, rel=0.01)


def test_the_page_tells_of_every_key_question_function_and_rule() -> None:
    page = (DOCS / "rules.md").read_text("utf-8")

    def keys(record: Record) -> Iterator[str]:
        for key, field in record.fields.items():
            yield key
            if isinstance(field.kind, Record):
                yield from keys(field.kind)

    words = [*keys(declared(Rule)), *QUESTIONS, *FUNCTIONS, *COMPARISONS, *(placed.rule.id for placed in load([]))]
    assert [word for word in words if f"`{word}`" not in page and f"`{word} " not in page] == []
    levels = {placed.rule.id: placed.rule.level for placed in load([])}
    assert all(f"| `{name}` | {level} |" in page for name, level in levels.items())
    for block in re.findall(r"```toml\n(\[\[rules\]\].*?)```", page, re.DOTALL):
        assert loads(block)
    (shown,) = re.findall(r"## Metrics\n.*?```\n(.*?)```", page, re.DOTALL)
    for line in shown.splitlines():
        assert metric(re.split(r"  +", line)[0])


@pytest.mark.parametrize(("regression", "judged"), [
    ("max_increase = '5%'", "may grow by 5% beside the baseline, by an interval of 90% over runs and steps"),
    ("max_increase = '5%', test = 'ratio'",
     "may grow by 5% beside the baseline, by the ratio of typical values, whatever the noise"),
    ("max_decrease = 0.1, test = 'mann-whitney', confidence = 0.99",
     "may shrink by 0.1 beside the baseline, by the order of runs by size, and an interval of 99% of their shift"),
    ("max_increase = '5%', test = 'change-point', floor = '1 ms'",
     "may grow by 5% beside the baseline, by a lasting change that stands among all runs, and its interval of 90%; "
     "a difference below 1 ms is none"),
    ("max_increase = '5%', test = 'change-point', within = 9",
     "may grow by 5% beside the baseline, by a lasting change that stands among the last 9 runs, and its interval of "
     "90%"),
])  # fmt: skip
def test_every_test_in_words(regression: str, judged: str) -> None:
    (placed,) = loads(RULE + f"regression = {{{regression}}}")
    assert explained(placed)["judged"] == judged
