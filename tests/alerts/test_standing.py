"""Alerts that stand: raised by a trace, kept once, settled by a later one, on either store."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etgraph.alerts.findings import Finding, Interval, Responsible
from etgraph.alerts.rules import RulesError
from etgraph.alerts.standing import evaluating
from etgraph.alerts.standing.alert import Acknowledgement, Alert, alert_of, bounded, document_of
from etgraph.alerts.standing.evaluating import evaluate
from etgraph.alerts.standing.evaluation import Evaluation, LeftOut, evaluations, totals
from etgraph.alerts.standing.keeping import (
    Firing,
    acknowledge,
    alerts,
    expire,
    firing,
    get_alert,
    withdraw_trace,
    withdraw_unasked,
)
from etgraph.alerts.standing.naming import short
from etgraph.alerts.standing.rule_sets import LARGEST, MOST, remove_rules, rule_sets, set_rules, sets_for
from etgraph.alerts.standing.settling import settled
from etgraph.alerts.standing.silences import silence, silences
from etgraph.model import Trace
from etgraph.model.errors import Cancelled, DeadlineExceeded, NotFound, UsageError
from etgraph.store import Store, TraceInfo
from etgraph.store.errors import StoreUnavailable
from etgraph.store.records import Record, Records, encoded
from support.checks import SLOWER, any_finding
from support.steps import steps

ADDED = """
[[rules]]
id = "operators"
metric = 'sum(changes[kind="operator"].added)'
budget = {max = 0}
owner = "runtime"
"""
LONG = """
[[rules]]
id = "long"
level = "warn"
metric = "iterations.durationNs"
budget = {max = "500 ns"}
"""
SLOW = """
[[rules]]
id = "slow"
metric = "iterations.durationNs"
regression = {test = "TEST", max_increase = "5 %"}
"""
GOOD, OTHER, BAD, WORSE = (
    steps([100, 100]), steps([110, 100]), steps([100, 100], extra="aten::ones"), steps([120, 100], extra="aten::ones"),
)  # fmt: skip


@pytest.fixture
def store(new_store: Callable[[], Store]) -> Iterator[Store]:
    """An empty store of each kind."""
    with new_store() as opened:
        yield opened


ALERT = Alert(
    "1" * 32, "nlp", "gpt", "a", None, None, "kept", "2026-01-05T12:00:00Z", "2026-01-05T12:00:00.000000Z", SLOWER,
    ("b",),
)  # fmt: skip
ON_ONE = pytest.mark.parametrize("new_store", ["local"], indirect=True)
"""For what the kind of store makes no difference to."""


class Runs:
    """Traces that come to a store at moments one second apart, each checked when it has come."""

    def __init__(self, store: Store, team: str | None = "nlp") -> None:
        self.store = store
        self.team = team
        self.count = 0

    def __call__(self, trace: Trace, workload: str = "gpt", **details: Any) -> list[Evaluation]:
        self.store.publish(trace, workload=workload, team=self.team, **details)
        self.count += 1
        return self.check(trace, self.moment(), workload)

    def moment(self) -> str:
        return f"2099-01-01T00:00:{self.count:02d}.000000Z"

    def check(self, trace: Trace, asked: str, workload: str = "gpt") -> list[Evaluation]:
        return evaluate(self.store, self.store.records, self.entry(trace, workload), asked=asked)

    def entry(self, trace: Trace, workload: str = "gpt") -> TraceInfo:
        return next(each for each in self.store.traces(workload=workload) if each.id == trace.trace_id)


@pytest.fixture
def runs(store: Store) -> Runs:
    set_rules(store.records, "nlp", "nightly", ADDED, workloads=["gpt*"], by="ada")
    return Runs(store)


@given(finding=any_finding(), silent=st.booleans())
@settings(max_examples=50)
def test_any_finding_is_kept(finding: Finding, silent: bool) -> None:
    """What a record holds of an alert is JSON, fits in one, and says the same when it was read."""
    alert = replace(ALERT, finding=bounded(finding), acknowledgement=None if silent else Acknowledgement("a", "b", "c"))
    document = document_of(alert)
    encoded("alert", alert.id, document)
    read = alert_of(Record("alert", alert.id, 1, json.loads(json.dumps(document)), "", ""))
    assert document_of(read) == document
    assert read.state == ("open" if silent else "acknowledged")
    assert (read.finding.rule, read.finding.status) == (alert.finding.rule, finding.status)


def test_a_huge_finding_is_kept_as_its_beginning() -> None:
    culprits = tuple(Responsible("x" * 100_000, "operator") for _ in range(20))
    short = bounded(replace(ALERT.finding, responsible=culprits, message="y" * 10_000, evidence={"a": [0.0] * 50_000}))
    encoded("alert", ALERT.id, document_of(replace(ALERT, finding=short)))
    assert (len(short.responsible), len(short.message), short.value) == (10, 2001, ALERT.finding.value)
    assert bounded(replace(ALERT.finding, interval=Interval(0.0, math.inf, 0.9))).interval is None
    assert bounded(ALERT.finding) == ALERT.finding


@pytest.mark.parametrize(
    ("status", "changes", "reason"),
    [
        ("broken", {"verdicts": {"step-time": "passed"}}, "a later trace passes the rule"),
        ("broken", {"verdicts": {"step-time": "improved"}}, "a later trace passes the rule"),
        ("broken", {"verdicts": {"step-time": "broken"}}, None),
        ("broken", {"verdicts": {"step-time": "undecided"}}, None),
        ("undecided", {"verdicts": {"step-time": "broken"}}, "a later trace is broken"),
        ("undecided", {"verdicts": {"step-time": "undecided"}}, "a later trace is undecided"),
        ("broken", {"verdicts": {"step-time": "suppressed"}}, "the rule is let pass for a while"),
        ("broken", {"verdicts": {"other": "broken"}}, "the rules kept ask for step-time no more"),
        ("broken", {"left_out": (LeftOut("step-time", "nothing"),)}, None),
        ("broken", {"left_out": (LeftOut("step-time", "nothing"),), "trace": "b"}, "it was compared with came again"),
        ("broken", {"status": "failed"}, None),
        ("broken", {"status": "begun", "verdicts": {"step-time": "passed"}}, None),
        ("broken", {"asked": "2026-01-05T12:00:00.000000Z", "verdicts": {"step-time": "passed"}}, None),
        ("broken", {"workload": "dlrm", "verdicts": {"step-time": "passed"}}, None),
        ("broken", {"rules": "others", "verdicts": {"step-time": "passed"}}, None),
        ("broken", {"team": None, "verdicts": {"step-time": "passed"}}, None),
    ],
)
def test_what_settles_an_alert(status: Any, changes: dict[str, Any], reason: str | None) -> None:
    alert = replace(ALERT, finding=replace(ALERT.finding, status=status))
    later = Evaluation("2" * 32, "nlp", "gpt", "c", "kept", 1, "2026-01-05T12:00:01.000000Z", "ok", ended="then")
    done = settled(alert, replace(later, **changes))
    if reason is None:
        assert done is None
        return
    assert done is not None
    assert done.resolution is not None
    assert done.resolution.reason.endswith(reason)
    assert (done.state, done.resolution.moment, done.is_firing) == ("resolved", "then", False)
    assert settled(done, replace(later, **changes)) is None


def states(store: Store, **asked: Any) -> list[tuple[str, str, str]]:
    """Rule, verdict and state of each alert, newest first."""
    return [(each.finding.rule, each.finding.status, each.state) for each in alerts(store.records, "nlp", **asked)]


def test_rules_are_kept_as_they_were_written(store: Store) -> None:
    records = store.records
    first = set_rules(records, "nlp", "nightly", ADDED, workloads=["gpt*"], baseline=["@base", "last:3:main"], by="ada")
    assert (first.name, first.team, first.version, first.by) == ("nightly", "nlp", 1, "ada")
    assert [placed.rule.id for placed in first.rules()] == ["operators"]
    set_rules(records, "nlp", "all", "default")
    set_rules(records, "ads", "nightly", LONG)
    assert [(each.name, each.text) for each in rule_sets(records, "nlp")] == [("all", "default"), ("nightly", ADDED)]
    assert [each.team for each in rule_sets(records, None)] == ["ads", "nlp", "nlp"]
    assert [each.name for each in sets_for(records, "nlp", "GPT-2")] == ["all", "nightly"]
    assert [each.name for each in sets_for(records, "nlp", "dlrm")] == ["all"]
    assert sets_for(records, "nlp", None) == []
    second = set_rules(records, "nlp", "nightly", LONG, version=1)
    assert (second.version, second.created, second.workloads) == (2, first.created, ("*",))
    with pytest.raises(UsageError, match="rules 'nightly': found version 2, expected version 1"):
        set_rules(records, "nlp", "nightly", ADDED, version=1)
    assert remove_rules(records, "nlp", "nightly") == second
    assert [each.name for each in rule_sets(records, "nlp")] == ["all"]
    with pytest.raises(NotFound, match="no rules 'nightly'; there are all"):
        remove_rules(records, "nlp", "nightly")


@ON_ONE
@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"text": ADDED.replace("budget", "budgt")}, r"(?s)nightly: 2 problems.*line 5, rules.operators.budgt"),
        ({"text": "[[rules"}, "nightly: line 1"),
        ({"text": "#" * (LARGEST + 1)}, "found 131,073 bytes, expected 131,072 or fewer"),
        ({"name": "a/b"}, "name of rules: found 'a/b'"),
        ({"workloads": []}, "workloads: found 0, expected 1 to 50"),
        ({"workloads": ["a\nb"]}, "found 'a\\\\nb'"),
        ({"baseline": ["last:x"]}, "found 'last:x', expected last:N or last:N:BRANCH"),
    ],
)
def test_rules_that_cannot_be_used_are_refused_with_their_line(
    store: Store, changes: dict[str, Any], told: str
) -> None:
    given = {"name": "nightly", "text": ADDED} | changes
    with pytest.raises((RulesError, UsageError), match=told):
        set_rules(store.records, "nlp", **given)
    assert rule_sets(store.records, None) == []


@ON_ONE
def test_a_team_has_so_many_sets(new_store: Callable[[], Store], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("etgraph.alerts.standing.rule_sets.MOST", 2)
    assert MOST == 100
    with new_store() as store:
        for name in ("a", "b", "b"):
            set_rules(store.records, "nlp", name, ADDED)
        with pytest.raises(UsageError, match="has 2 sets of rules"):
            set_rules(store.records, "nlp", "c", ADDED)
        set_rules(store.records, "ads", "c", ADDED)


def test_a_rule_that_a_trace_breaks_is_an_alert_and_a_later_trace_resolves_it(store: Store, runs: Runs) -> None:
    (first,) = runs(GOOD, branch="main")
    assert (first.status, first.verdicts, alerts(store.records)) == ("ok", {}, [])
    assert first.left_out[0].rule == "operators"
    assert "has no earlier trace" in first.left_out[0].reason
    (second,) = runs(BAD, branch="work", commit="0123abc")
    assert (second.status, second.verdicts) == ("regressed", {"operators": "broken"})
    (alert,) = alerts(store.records)
    assert (alert.team, alert.workload, alert.trace, alert.branch, alert.commit, alert.rules, alert.state) == (
        "nlp", "gpt", BAD.trace_id, "work", "0123abc", "nightly", "open",
    )  # fmt: skip
    finding = alert.finding
    assert (finding.rule, finding.value, finding.owner, finding.rule_file) == ("operators", 1, "runtime", "nightly")
    assert [each.key for each in finding.responsible] == ["aten::ones"]
    assert finding.command == f"etgraph compare {str(GOOD.trace_id)[:12]} {str(BAD.trace_id)[:12]}"
    assert alert.baseline == (GOOD.trace_id,)
    assert get_alert(store.records, "nlp", alert.id) == alert
    # What broke the rules once is no baseline: the next one is as bad.
    runs(WORSE)
    assert states(store) == [("operators", "broken", "open")] * 2
    (fourth,) = runs(OTHER)
    assert fourth.status == "ok"
    resolved = alerts(store.records)
    assert [each.state for each in resolved] == ["resolved", "resolved"]
    assert {each.resolution and each.resolution.trace for each in resolved} == {OTHER.trace_id}
    assert firing(store.records) == {}
    assert totals(store.records).statuses == {"ok": 2, "regressed": 2}
    assert totals(store.records).classes[-1] == 4
    assert [each.status for each in evaluations(store.records, "nlp")] == ["ok", "regressed", "regressed", "ok"]


@ON_ONE
def test_the_trace_that_was_the_baseline_resolves_when_it_comes_again(store: Store, runs: Runs) -> None:
    for trace in (GOOD, BAD, GOOD):
        runs(trace)
    (alert,) = alerts(store.records)
    assert alert.resolution is not None
    assert alert.resolution.reason == "the trace that it was compared with came again"


@ON_ONE
def test_a_tag_is_the_baseline_where_there_is_one(store: Store, runs: Runs) -> None:
    runs(GOOD)
    runs(BAD)
    assert states(store) == [("operators", "broken", "open")]
    store.tag(str(BAD.trace_id), "baseline")  # that is how it is to be now
    runs(WORSE)
    assert states(store) == [("operators", "broken", "resolved")]
    set_rules(store.records, "nlp", "nightly", ADDED, baseline=["@missing"])
    (last,) = runs(OTHER)
    assert (last.status, [each.rule for each in last.left_out]) == ("ok", ["operators"])
    assert "'missing'" in last.left_out[0].reason
    set_rules(store.records, "nlp", "nightly", ADDED, baseline=["gpt@baseline#0"])
    (last,) = runs(steps([130, 100]))
    assert (last.verdicts, last.left_out) == ({"operators": "improved"}, ())


@ON_ONE
@pytest.mark.parametrize("test", ["ratio", "mann-whitney"])
def test_a_trace_that_is_its_own_baseline_is_how_things_shall_be(store: Store, runs: Runs, test: str) -> None:
    set_rules(store.records, "nlp", "nightly", SLOW.replace("TEST", test))
    slow = steps([300, 200, 270, 310])  # too few and too far apart to say anything of, beside others
    runs(steps([100, 101, 100, 101]))
    runs(slow)
    assert states(store) == [("slow", "broken" if test == "ratio" else "undecided", "open")]
    store.tag(slow.trace_id or "", "baseline")
    runs.count += 1
    (evaluation,) = runs.check(slow, runs.moment())
    assert evaluation.verdicts == {"slow": "passed"}
    assert states(store, state="open") == []


@ON_ONE
def test_alerts_are_of_the_team_of_the_trace(store: Store, runs: Runs) -> None:
    others = Runs(store, "ads")
    set_rules(store.records, "ads", "time", LONG)
    others(steps([600, 600]), "gpt")
    assert (states(store), len(alerts(store.records, "ads"))) == ([], 1)
    nobody = Runs(store, None)
    set_rules(store.records, "", "time", LONG)
    nobody(steps([700, 700]), "old")
    (alert,) = alerts(store.records, "")
    assert (alert.team, alert.workload, alert.finding.level) == (None, "old", "warn")
    assert len(alerts(store.records)) == 2


def test_a_check_that_was_broken_off_and_is_done_again_keeps_everything_once(
    store: Store, runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs(GOOD)
    set_rules(store.records, "nlp", "time", LONG)
    store.publish(BAD, workload="gpt", team="nlp")
    asked = "2099-01-01T00:01:00.000000Z"

    class Killed(BaseException):
        pass

    calls = ["put_evaluation", "put_evaluation", "raise_alert", "settle_by", "put_evaluation"]
    for number in range(len(calls)):
        with monkeypatch.context() as patch:
            left = iter([*calls[:number], None])

            def step(name: str, real: Any, left: Iterator[str | None] = left) -> Callable[..., Any]:
                def call(*arguments: Any) -> Any:
                    if next(left) is None:
                        raise Killed
                    return real(*arguments)

                return call

            for name in set(calls):
                patch.setattr(evaluating, name, step(name, getattr(evaluating, name)))
            with pytest.raises(Killed):
                runs.check(BAD, asked)
    runs.check(BAD, asked)
    kept = alerts(store.records)
    runs.check(BAD, asked)
    assert alerts(store.records) == kept
    assert [each.finding.rule for each in kept] == ["operators"]
    assert totals(store.records).statuses == {"ok": 2, "regressed": 1}
    assert [each.status for each in evaluations(store.records, rules="nightly")] == ["regressed", "ok"]


def test_of_checks_out_of_order_the_later_trace_counts(store: Store, runs: Runs) -> None:
    runs(GOOD)
    for trace in (BAD, OTHER):
        store.publish(trace, workload="gpt", team="nlp")
    runs.check(OTHER, "2099-01-01T00:02:00.000000Z")
    runs.check(BAD, "2099-01-01T00:01:00.000000Z")
    assert states(store) == [("operators", "broken", "resolved")]
    runs.check(BAD, "2099-01-01T00:03:00.000000Z")  # the bad one came again
    assert states(store) == [("operators", "broken", "open")]


@ON_ONE
def test_what_cannot_be_checked_is_an_alert(store: Store, runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    four, eight, worse, other_four = (
        replace(trace, metadata=replace(trace.metadata, world_size=size), trace_id=f"{number}" * 64)
        for number, (trace, size) in enumerate([(GOOD, 4), (BAD, 8), (WORSE, 4), (OTHER, 4)])
    )
    runs(four)
    (other,) = runs(eight)
    assert (other.status, states(store)) == ("incomparable", [("operators", "incomparable", "open")])
    assert sum(firing(store.records).values()) == 1

    with monkeypatch.context() as patch:
        patch.setattr(evaluating, "check_references", _raising(NotFound("it is gone", hint="look for it")))
        (failed,) = runs(worse)
        assert failed.failure is not None
        assert (failed.status, failed.failure.message, failed.failure.hint) == ("failed", "it is gone", "look for it")
        assert states(store)[0] == ("(check)", "incomparable", "open")
        patch.setattr(evaluating, "check_references", _raising(StoreUnavailable("it does not answer")))
        with pytest.raises(StoreUnavailable):
            runs(other_four)
    assert evaluations(store.records, status="begun")[0].trace == other_four.trace_id
    runs.count += 1
    runs.check(other_four, runs.moment())
    assert {state for _, _, state in states(store)} == {"resolved"}


@ON_ONE
def test_runs_are_compared_with_those_of_their_own_shape(store: Store, runs: Runs) -> None:
    def wide(trace: Trace, size: int, number: int) -> Trace:
        return replace(trace, metadata=replace(trace.metadata, world_size=size), trace_id=f"{number}" * 64)

    found = [runs(wide(GOOD, size, number))[0] for number, size in enumerate((4, 8, 8, 4))]
    assert [each.status for each in found] == ["ok", "incomparable", "ok", "ok"]
    assert [len(each.left_out) for each in found] == [1, 0, 0, 0]
    assert states(store) == [("operators", "incomparable", "resolved")]


@ON_ONE
def test_a_defect_is_an_alert_and_is_raised_when_all_is_kept(
    store: Store, runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_rules(store.records, "nlp", "time", LONG)
    monkeypatch.setattr(evaluating, "check_references", _raising(ZeroDivisionError("secret")))
    with pytest.raises(ZeroDivisionError):
        runs(GOOD)
    (alert,) = alerts(store.records)
    assert (alert.finding.rule, alert.finding.reason, alert.rules) == ("(check)", "INTERNAL", "time")
    assert "secret" not in alert.finding.message
    assert [each.status for each in evaluations(store.records)] != ["begun", "begun"]
    for error, code in ((MemoryError(), "OUT_OF_MEMORY"), (DeadlineExceeded("too long"), "TIMEOUT")):
        monkeypatch.setattr(evaluating, "check_references", _raising(error))
        (_, last) = runs(BAD)
        assert last.failure is not None
        assert (last.failure.code, alerts(store.records)[0].finding.reason) == (code, code)
    monkeypatch.setattr(evaluating, "check_references", _raising(Cancelled("stop")))
    with pytest.raises(Cancelled):
        runs(OTHER)


def _raising(error: Exception) -> Callable[..., Any]:
    def fail(*arguments: Any, **choices: Any) -> Any:
        raise error

    return fail


@ON_ONE
def test_rules_that_are_no_more_leave_no_alerts(store: Store, runs: Runs) -> None:
    runs(GOOD)
    runs(BAD)
    set_rules(store.records, "nlp", "nightly", LONG)
    runs(WORSE)
    (alert,) = alerts(store.records)
    assert alert.resolution is not None
    assert alert.resolution.reason == "the rules nightly ask for operators no more"
    runs(steps([900, 900]))
    assert states(store, state="open") == [("long", "broken", "open")]
    set_rules(store.records, "nlp", "nightly", LONG, workloads=["g*"])
    withdraw_unasked(store.records, "nlp", "nightly")
    assert states(store, state="open") == [("long", "broken", "open")]
    set_rules(store.records, "nlp", "nightly", LONG, workloads=["dlrm"])
    withdraw_unasked(store.records, "nlp", "nightly")
    (alert,) = alerts(store.records, rule="long")
    assert alert.resolution is not None
    assert alert.resolution.reason == "the rules nightly are not for gpt any more"


@ON_ONE
@pytest.mark.parametrize("gone", ["rules", "trace"])
def test_what_is_removed_while_it_is_checked_leaves_no_alerts(
    store: Store, runs: Runs, monkeypatch: pytest.MonkeyPatch, gone: str
) -> None:
    runs(GOOD)
    raised = evaluating.raise_alert

    def remove_first(records: Records, alert: Alert) -> None:
        if gone == "rules":
            remove_rules(records, "nlp", "nightly")
            withdraw_unasked(records, "nlp", "nightly")
        else:
            store.remove(alert.trace)
            withdraw_trace(records, "nlp", alert.trace)
        raised(records, alert)

    monkeypatch.setattr(evaluating, "raise_alert", remove_first)
    runs(BAD)
    (alert,) = alerts(store.records)
    assert alert.resolution is not None
    assert alert.resolution.reason == ("the rules nightly were removed" if gone == "rules" else "the trace was removed")


@ON_ONE
def test_a_short_id_means_an_alert_of_ones_own_team(store: Store, runs: Runs) -> None:
    runs(GOOD)
    runs(BAD)
    (own,) = alerts(store.records)
    foreign = replace(own, team="ads", id="f" * 14 + own.id[14:])
    store.records.put("alert", foreign.id, document_of(foreign))
    assert get_alert(store.records, "nlp", short(own.id)).id == own.id
    assert get_alert(store.records, "ads", short(own.id)).id == foreign.id


@ON_ONE
def test_an_alert_is_acknowledged(store: Store, runs: Runs) -> None:
    runs(GOOD)
    runs(BAD)
    (alert,) = alerts(store.records)
    seen = acknowledge(store.records, "nlp", alert.id, "ada", "on it")
    assert seen.acknowledgement is not None
    assert (seen.state, seen.acknowledgement.by, seen.acknowledgement.note) == ("acknowledged", "ada", "on it")
    assert get_alert(store.records, "nlp", alert.id) == seen
    runs.check(BAD, runs.moment())  # the same check again
    assert get_alert(store.records, "nlp", alert.id) == seen
    assert firing(store.records) == {Firing("nlp", "gpt", "operators", "error", "acknowledged"): 1}
    for team, name in (("ads", alert.id), ("nlp", "0" * 32), ("nlp", "x")):
        with pytest.raises(NotFound, match="no alert"):
            acknowledge(store.records, team, name, "eve")
    with pytest.raises(UsageError, match="note: found 2,001 characters"):
        acknowledge(store.records, "nlp", alert.id, "ada", "x" * 2001)
    runs(OTHER)
    with pytest.raises(UsageError, match="found resolved since"):
        acknowledge(store.records, "nlp", alert.id, "ada")


def test_a_silenced_alert_is_kept_and_not_heard(store: Store, runs: Runs) -> None:
    set_rules(store.records, "nlp", "time", LONG)
    now = runs.moment()
    silence(store.records, "nlp", rule="oper*", operator="aten::o*", reason="known", by="ada", moment=now,
            expires="2099-06-01T00:00:00Z")  # fmt: skip
    runs(GOOD)
    runs(BAD)
    runs(steps([900, 900], extra="aten::ones"))
    assert states(store, state="silenced", moment=now) == [("operators", "broken", "silenced")] * 2
    assert states(store, state="open", moment=now) == [("long", "broken", "open")]
    assert firing(store.records, moment=now) == {Firing("nlp", "gpt", "long", "warn", "open"): 1}
    later = "2099-07-01T00:00:00.000000Z"
    assert len(alerts(store.records, state="open", moment=later)) == 3
    assert sum(firing(store.records, "nlp", later).values()) == 3
    assert firing(store.records, "ads") == {}


def test_alerts_a_page_at_a_time(store: Store, runs: Runs) -> None:
    set_rules(store.records, "nlp", "time", LONG)
    runs(GOOD)
    for time in (600, 700, 800):
        runs(steps([time, time], extra="aten::ones"), branch="work")
    found: list[Alert] = []
    while page := alerts(store.records, "nlp", state="open", first=4, after=found[-1].id if found else None):
        found += page
    assert len(found) == 6
    assert [each.id for each in found] == sorted((each.id for each in found), reverse=True)
    assert {each.finding.rule for each in alerts(store.records, level="warn")} == {"long"}
    assert len(alerts(store.records, rule="operators", workload="gpt", status="broken", rules="nightly")) == 3
    assert len(alerts(store.records, trace=found[0].trace)) == 2
    assert alerts(store.records, workload="dlrm") == alerts(store.records, state="resolved") == []


def test_old_alerts_are_forgotten(store: Store, runs: Runs) -> None:
    runs(GOOD)
    runs(BAD)
    silence(store.records, "nlp", reason="old", expires="2098-01-02T00:00:00Z", starts="2098-01-01T00:00:00Z",
            moment="2098-01-01T00:00:00.000000Z")  # fmt: skip
    assert expire(store.records) == 0
    assert expire(store.records, timedelta(days=90), "2099-03-01T00:00:00.000000Z") == 1
    assert (len(alerts(store.records)), silences(store.records, None)) == (1, [])  # its trace came long before
    assert expire(store.records, timedelta(days=90), "2100-03-01T00:00:00.000000Z") == 3
    assert alerts(store.records) == evaluations(store.records) == []


def test_alerts_are_found_by_globs_and_short_ids(store: Store, runs: Runs) -> None:
    runs(GOOD)
    runs(BAD)
    (found,) = alerts(store.records, "nlp", rule="OPER*", workload="g?t")
    for options in (
        {"rule": "o*", "workload": "d*"},
        {"rule": "oper"},
        {"rule": "*x"},
        {"rule": "o*", "state": "resolved"},
    ):
        assert alerts(store.records, "nlp", **options) == []
    runs(WORSE)
    assert len(alerts(store.records, "nlp", rule="*")) == 2
    assert len(alerts(store.records, "nlp", rule="*", first=1)) == 1
    assert get_alert(store.records, "nlp", short(found.id)).id == found.id
    assert acknowledge(store.records, None, short(found.id), "ada").id == found.id
    for team, name in (("ads", short(found.id)), ("nlp", "f" * 12), ("nlp", found.id[:12])):
        with pytest.raises(NotFound, match="no alert"):
            get_alert(store.records, team, name)
