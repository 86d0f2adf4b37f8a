"""Checks and histories that a server makes: of its own traces alone, as the viewer sees them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from etgraph.alerts.references import check_references
from etgraph.api.access import SCOPES, view_of
from etgraph.api.context import Context, Viewer
from etgraph.api.fetch import alerts
from etgraph.api.schema import SCHEMA
from etgraph.api.shared import Shared
from etgraph.ingest import samples
from etgraph.model.cancelling import deadline
from etgraph.store import Store, connect
from support.asking import CountingStore, asking
from support.emptying import emptied
from support.steps import steps

TIME = """
[[rules]]
id = "time"
metric = "iterations.durationNs"
budget = {max = "1 us"}
"""
ADDED = """
[[rules]]
id = "added"
metric = 'sum(changes[kind="operator"].added)'
budget = {max = 0}
"""
CHECK = """query ($references: [String!]!, $rules: [String!], $baseline: [String!], $workload: String) {
    check(references: $references, rules: $rules, baseline: $baseline, workload: $workload) {
        status traces baseline findings { rule status value runs baselineRuns ruleFile ruleLine }
    }
}"""
HISTORY = """query ($last: Int! = 50, $branch: String, $workload: String! = "gpt") {
    history(workload: $workload, metric: "iterations.durationNs", last: $last, branch: $branch) {
        runs { branch value }
    }
}"""


@pytest.fixture(scope="module", params=["local", pytest.param("neo4j", marks=pytest.mark.neo4j)])
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """Runs of a workload that take 100, 200, … a step, the odd ones of team b, whose branch is other."""
    with emptied(request, tmp_path_factory.mktemp("alerts")) as opened:
        for number in range(1, 6):
            team, branch = ("b", "other") if number % 2 else ("a", "main")
            opened.publish(
                steps([100 * number] * 2), workload="gpt", team=team, branch=branch, labels={"n": str(number)}
            )
        yield opened


def answer(store: Any, document: str, team: str | None = "a", **variables: Any) -> Any:
    """The one field of an answer without errors."""
    scopes = SCOPES if team is None else ("read",)
    found = asking(store, team, scopes)(document, **variables)
    assert found.errors is None
    (value,) = found.data.values()
    return value


def code_and_message(store: Any, document: str, **variables: Any) -> tuple[str, str]:
    """The one error of an answer."""
    (error,) = asking(store, "a", ["read"])(document, **variables).errors
    return getattr(error.original_error, "code", "BAD_USER_INPUT"), error.message


def test_rules_are_texts(store: Store) -> None:
    found = answer(store, CHECK, references=["gpt#0"], rules=[TIME])
    finding = {"rule": "time", "status": "passed", "value": 400.0, "runs": 1, "baselineRuns": 0,
               "ruleFile": "rules.toml", "ruleLine": 2}  # fmt: skip
    assert found == {"status": "ok", "traces": ["gpt#0"], "baseline": [], "findings": [finding]}
    found = answer(store, CHECK, references=["gpt"], rules=[TIME, ADDED], baseline=["gpt@n=2"])
    assert [each["ruleFile"] for each in found["findings"]] == ["rules[0].toml", "rules[1].toml"]
    assert (found["baseline"], found["findings"][1]["baselineRuns"]) == (["gpt@n=2"], 1)


def test_without_rules_those_that_come_with_etgraph_apply(store: Store) -> None:
    usual = answer(store, CHECK, references=["gpt"])
    assert len(usual["findings"]) > 5
    assert answer(store, CHECK, references=["gpt"], rules=["default"]) == usual
    both = answer(store, CHECK, references=["gpt"], rules=["default", TIME])
    assert len(both["findings"]) == len(usual["findings"]) + 1
    assert answer(store, CHECK, references=["gpt"], rules=[])["findings"] == []


@pytest.mark.parametrize(
    ("asked", "code", "told"),
    [
        ({"rules": ["[[rules]"]}, "BAD_RULES", "rules.toml: line 1"),
        ({"rules": [TIME, "\n" + TIME]}, "BAD_RULES", "rules[1].toml: line 3"),
        ({"rules": [ADDED]}, "BAD_USER_INPUT", "rule 'added' compares with a baseline, and none is named"),
        ({"rules": [TIME.replace("durationNs", "duration")]}, "BAD_RULES", "found no field 'duration'"),
        ({"references": []}, "BAD_USER_INPUT", "no trace to check"),
        ({"references": ["gpt#7"]}, "MISSING_DATA", "gpt#7: no iteration 7: the trace holds 0, 1"),
        ({"references": ["gpt#x-"], "rules": [TIME]}, "NOT_FOUND", "gpt#x-"),
        ({"rules": [ADDED], "baseline": ["gpt@n=1"]}, "NOT_FOUND", "has the label n=1"),
        ({"rules": [ADDED], "baseline": ["branch:other"]}, "NOT_FOUND", "no trace on branch 'other'"),
        ({"rules": [ADDED], "baseline": ["last:2000"]}, "BAD_USER_INPUT", "expected last:N"),
    ],
)
def test_what_cannot_be_checked(store: Store, asked: dict[str, Any], code: str, told: str) -> None:
    found = code_and_message(store, CHECK, **{"references": ["gpt"], **asked})
    assert found[0] == code
    assert told in found[1]


@pytest.mark.parametrize("spelled", ["{}", "file://{}", "{}#0", "../{}"])
def test_a_path_is_never_read(store: Store, tmp_path: Path, spelled: str) -> None:
    """A trace that lies on the server, which `etgraph check` reads on the machine where it runs."""
    path = spelled.format(samples.path("gpt_ddp_5steps"))
    assert code_and_message(store, CHECK, references=[path])[0] == "NOT_FOUND"
    assert code_and_message(store, CHECK, references=["gpt"], baseline=[path])[0] == "NOT_FOUND"
    within = f'{ADDED}baseline = ["{path}"]'
    assert code_and_message(store, CHECK, references=["gpt"], rules=[within])[0] == "NOT_FOUND"
    rules = tmp_path / "rules.toml"
    rules.write_text(TIME)
    assert code_and_message(store, CHECK, references=["gpt"], rules=[str(rules)])[0] == "BAD_RULES"


def test_the_last_runs_are_those_that_the_viewer_sees(store: Store) -> None:
    for team, before in (("a", 1), (None, 3)):
        found = answer(store, CHECK, team, references=["gpt@n=4"], rules=[ADDED], baseline=["last:9"])
        assert found["findings"][0]["baselineRuns"] == before
    assert [run["value"] for run in answer(store, HISTORY)["runs"]] == [200.0, 400.0]
    assert [run["value"] for run in answer(store, HISTORY, None, last=3)["runs"]] == [300.0, 400.0, 500.0]
    assert {run["branch"] for run in answer(store, HISTORY, None, branch="other")["runs"]} == {"other"}
    assert code_and_message(store, HISTORY, branch="other")[0] == "NOT_FOUND"
    assert code_and_message(store, HISTORY, workload="nothing")[0] == "NOT_FOUND"


def test_a_check_opens_so_many_traces(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alerts, "MOST_RUNS", 2)
    names_of_one = ["gpt", "gpt", "gpt@n=4"]
    assert answer(store, CHECK, references=names_of_one, rules=[ADDED], baseline=["gpt@n=2"])["status"] == "ok"
    found = asking(store)(CHECK, references=["gpt@n=1", "gpt@n=2", "gpt@n=3"], rules=[TIME])
    assert "more than 2 traces" in found.errors[0].message


@pytest.mark.parametrize("last", [0, -1, 1001])
def test_a_history_has_so_many_runs(store: Store, last: int) -> None:
    assert code_and_message(store, HISTORY, last=last) == (
        "BAD_USER_INPUT",
        f"last: found {last}, expected 1 to 1000",
    )


def test_what_a_run_has_is_worked_out_once_for_all_histories(tmp_path: Path) -> None:
    shared = Shared()

    def ask(last: int) -> int:
        """How often traces were loaded by another request."""
        counting: Any = CountingStore(own)
        viewer = Viewer("tester", None, frozenset(SCOPES))
        context = Context(view_of(counting, viewer), viewer, "test", shared=shared)
        found = SCHEMA.execute(HISTORY, context=context, variables={"last": last})
        assert found.errors is None
        assert found.data["history"]["runs"][-1]["value"] == newest
        return counting.calls["load"]

    with connect(tmp_path / "store") as own:
        for newest in (100, 200):
            own.publish(steps([newest]), workload="gpt")
        assert [ask(50), ask(50), ask(1)] == [2, 0, 0]
        newest = 300
        own.publish(steps([newest]), workload="gpt")
        assert ask(50) == 1


def test_a_check_is_made_once_until_what_it_looks_at_is_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared, made = Shared(), 0
    until = TIME + 'suppress = {reason = "known", until = 2026-03-01}'

    def counting(*arguments: Any, **choices: Any) -> Any:
        nonlocal made
        made += 1
        return check_references(*arguments, **choices)

    def ask(rules: str, *baseline: str) -> tuple[str, int]:
        """The verdict on the one rule, and how many checks were made so far."""
        viewer = Viewer("tester", None, frozenset(SCOPES))
        context = Context(view_of(own, viewer), viewer, "test", shared=shared)
        asked = {"references": ["gpt@best"], "rules": [rules], "baseline": list(baseline)}
        found = SCHEMA.execute(CHECK, context=context, variables=asked)
        assert found.errors is None
        return found.data["check"]["findings"][0]["status"], made

    def on(day: int) -> None:
        clock = SimpleNamespace(UTC=UTC, datetime=SimpleNamespace(now=lambda zone: datetime(2026, 3, day, tzinfo=zone)))
        monkeypatch.setattr(alerts, "datetime", clock)

    monkeypatch.setattr(alerts, "check_references", counting)
    on(1)
    with connect(tmp_path / "store") as own:
        first, second = (own.publish(steps([length] * 2), workload="gpt") for length in (100, 2000))
        own.tag(second, "best")
        assert [ask(until), ask(until)] == [("suppressed", 1)] * 2
        on(2)
        assert [ask(until), ask(until)] == [("broken", 2)] * 2
        assert [ask(ADDED, "last:1"), ask(ADDED, "last:1"), ask(ADDED, "last:2")][1:] == [("passed", 3), ("passed", 4)]
        own.publish(steps([300] * 2), workload="gpt")
        assert ask(ADDED, "last:1") == ("passed", 5)
        own.tag(first, "best")
        assert ask(until) == ("passed", 6)


@pytest.mark.parametrize(("document", "asked"), [(CHECK, {"references": ["gpt"], "rules": [TIME]}), (HISTORY, {})])
def test_time_is_limited(store: Store, document: str, asked: dict[str, Any]) -> None:
    with deadline(0):
        assert code_and_message(store, document, **asked)[0] == "TIMEOUT"
