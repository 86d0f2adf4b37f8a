"""`etgraph alerts` and `etgraph rules push`: rules that a store keeps, what breaks them, on either kind of store."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from etgraph.alerts.rules.reading import default_pack
from etgraph.alerts.standing import evaluating
from etgraph.alerts.standing.naming import short
from etgraph.cli.main import main
from etgraph.store import Store, connect
from support.uploading import step

ADDED = """\
# what a nightly run may not add
[[rules]]
id = "operators"
title = "new operators"
metric = 'sum(changes[kind="operator"].added)'
budget = {max = 0}

[[rules]]
id = "long"
level = "warn"
metric = "iterations.durationNs"
budget = {max = "500 us"}
"""
GOOD, BAD = step("aten::mm"), step("aten::mm", "aten::ones")


@dataclass
class Shell:
    """Calls etgraph on one store."""

    folder: Path
    url: str

    def __call__(self, *arguments: str, code: int = 0) -> Result:
        found = CliRunner().invoke(main, [*arguments, "--store", self.url], prog_name="etgraph")
        assert found.exit_code == code, found.output + found.stderr
        return found

    def json(self, *arguments: str) -> Any:
        return json.loads(self(*arguments, "--json").stdout)

    def file(self, content: bytes, name: str = "rank0.json") -> str:
        (self.folder / name).write_bytes(content)
        return str(self.folder / name)

    def ingest(self, content: bytes, *options: str) -> Result:
        return self("ingest", self.file(content), "--workload", "gpt", *options)

    def push(self, *options: str, text: str = ADDED) -> Result:
        return self("rules", "push", "nightly", self.file(text.encode(), "nightly.toml"), *options)

    def listed(self, *options: str) -> list[tuple[str, str, str]]:
        """Rule, verdict and state of each alert, by rule."""
        found = self.json("alerts", "list", *options)["alerts"]
        return sorted((each["finding"]["rule"], each["finding"]["status"], each["state"]) for each in found)

    def ids(self, *options: str) -> list[str]:
        return self("alerts", "list", "-q", *options).stdout.split()


@pytest.fixture
def etgraph(new_store: Callable[[], Store], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """A shell on an empty store of each kind, of the user ada."""
    monkeypatch.setenv("LOGNAME", "ada")
    with new_store() as store:
        return Shell(tmp_path, store.url)


@pytest.fixture
def local(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """The same on a folder alone."""
    monkeypatch.setenv("LOGNAME", "ada")
    return Shell(tmp_path, str(tmp_path / "store"))


def test_from_rules_to_an_alert_and_back(etgraph: Shell) -> None:
    assert "2 rules kept as nightly, for workloads gp*" in etgraph.push("--workload", "gp*").stderr
    first = etgraph.ingest(GOOD)
    assert "by rules nightly: ok (1 broken, 1 not asked yet)" in first.stderr
    assert "operators: baseline 'last:5': workload 'gpt' has no earlier trace" in first.stderr
    broken = etgraph.ingest(BAD, "--branch", "topic", "--json")
    (trace,) = (each["id"] for each in json.loads(broken.stdout)["traces"])
    assert f"{trace[:12]} by rules nightly: regressed (2 broken)" in broken.stderr
    assert f"'etgraph alerts list --trace {trace[:12]}' lists what came of it" in broken.stderr
    (operators,) = etgraph.ids("--rule", "OPER*", "--trace", trace[:12])
    acknowledged = etgraph("alerts", "acknowledge", short(operators), "--note", "known")
    assert "operators of gpt, is acknowledged" in acknowledged.stderr
    etgraph("tag", "gpt", "baseline")
    assert etgraph.listed("--rule", "operators") == []
    shown = etgraph("alerts", "show", operators).stdout
    assert "\nERROR operators: new operators\n" in shown
    told = (operators, "resolved", "aten::ones", "topic", trace, "nightly:2", "etgraph compare", "by ada", "known")
    assert [each for each in (*told, "a later trace passes the rule") if each not in shown] == []


def test_alerts_are_listed_by_what_is_asked(local: Shell) -> None:
    local.push()
    local.ingest(GOOD)
    trace = json.loads(local.ingest(BAD, "--json").stdout)["traces"][0]["id"]
    assert local.listed("--trace", trace[:12]) == [("long", "broken", "open"), ("operators", "broken", "open")]
    assert len(local.ids()) == 3
    assert local.ids("--limit", "1") == local.ids()[:1]
    assert local.ids() == sorted(local.ids(), reverse=True)
    both = ("--workload", "g?t", "--rule", "o*")
    for options in (("--rule", "OPER*"), ("--rule", "operators"), ("--level", "error"), both):
        assert local.listed(*options) == [("operators", "broken", "open")]
    for options in (("--workload", "dlrm*"), ("--state", "resolved"), ("--rule", "oper")):
        assert local.listed(*options) == []
    (operators,) = local.ids("--rule", "operators")
    table = local("alerts", "list").stdout
    assert all(each in table for each in (short(operators), "open", "error", "warning", "gpt", trace[:12], "just now"))
    assert "new operators: aten::ones" in " ".join(table.split())


def test_what_is_silenced_or_resolved_does_not_fire(local: Shell) -> None:
    local.push()
    local.ingest(GOOD)
    local.ingest(BAD)
    (operators,) = local.ids("--rule", "operators")

    def shown() -> tuple[str, bool]:
        found = local.json("alerts", "show", operators)["alert"]
        return found["state"], found["firing"]

    assert shown() == ("open", True)
    local("alerts", "acknowledge", operators)
    assert shown() == ("acknowledged", True)
    made = local("alerts", "silence", "--operator", "*ones", "--reason", "a new library", "--for", "3d")
    assert ": 1 alert of now" in made.stderr
    assert local.listed("--state", "silenced", "--state", "acknowledged") == [("operators", "broken", "silenced")]
    assert shown() == ("silenced", False)
    assert "by ada, until" in local("alerts", "show", operators).stdout
    local.ingest(GOOD + b"\n")
    assert shown() == ("resolved", False)
    assert "operators" not in [rule for rule, _, _ in local.listed()]
    assert "found resolved since" in local("alerts", "acknowledge", operators, code=2).stderr


def test_silences_are_listed_and_ended(local: Shell) -> None:
    assert "no silences" in local("alerts", "silences").stderr
    begins = f"{datetime.now() + timedelta(days=20):%Y-%m-%d}"
    for matcher in (("--rule", "a*"), ("--workload", "gpt"), ("--operator", "nccl*")):
        local("alerts", "silence", *matcher, "--reason", "an upgrade", "--until", begins)
    local("alerts", "silence", "--rule", "*", "--reason", "to come", "--for", "1w", "--from", f"{begins}T12:00Z")
    found = local.json("alerts", "silences")["silences"]
    assert [(each["rule"], each["workload"], each["operator"]) for each in found] == [
        ("*", "*", None), ("*", "*", "nccl*"), ("*", "gpt", None), ("a*", "*", None),
    ]  # fmt: skip
    starts, expires = (datetime.fromisoformat(found[0][each]) for each in ("starts", "expires"))
    assert (found[0]["starts"], expires - starts) == (f"{begins}T12:00:00.000000Z", timedelta(weeks=1))
    assert {each["by"] for each in found} == {"ada"}
    table = local("alerts", "silences").stdout
    assert all(each in table for each in (short(found[0]["id"]), "nccl*", "an upgrade", f"from {begins}"))
    ids = local("alerts", "silences", "-q").stdout.split()
    assert ids == [each["id"] for each in found]
    assert "is ended" in local("alerts", "silences", "--remove", short(ids[0]), "--remove", ids[2]).stderr
    assert local("alerts", "silences", "-q").stdout.split() == [ids[1], ids[3]]
    assert "no silence" in local("alerts", "silences", "--remove", ids[0], code=3).stderr


def test_rules_are_pushed_shown_and_removed(etgraph: Shell) -> None:
    assert "the store keeps no rules" in etgraph("rules", "list").stderr
    etgraph.push("--baseline", "@good", "--baseline", "last:3")
    kept = etgraph.push("--workload", "gpt", "--workload", "dlrm*", "--json")
    (listed,) = etgraph.json("rules", "list")["ruleSets"]
    assert json.loads(kept.stdout)["ruleSet"] == listed == etgraph.json("rules", "show", "nightly")["ruleSet"]
    assert (listed["version"], listed["workloads"], listed["baseline"]) == (2, ["gpt", "dlrm*"], [])
    assert (listed["text"], listed["by"]) == (ADDED, "ada")
    assert etgraph("rules", "show", "nightly").stdout == ADDED
    etgraph("rules", "push", "all", "default")
    assert etgraph("rules", "list", "-q").stdout.split() == ["all", "nightly"]
    assert etgraph("rules", "show", "all").stdout == default_pack()[0]
    etgraph.ingest(GOOD)
    assert ("long", "broken", "open") in etgraph.listed()
    assert etgraph.json("rules", "remove", "nightly")["removed"] == [listed]
    assert "long" not in [rule for rule, _, _ in etgraph.listed()]
    assert "no rules 'nightly'; there are all" in etgraph("rules", "remove", "nightly", code=3).stderr


def test_each_team_has_rules_of_its_own(local: Shell) -> None:
    for team in ("nlp", "ads"):
        local.push("--team", team)
    assert local("rules", "list", "-q").stdout.split() == ["nightly", "nightly"]
    assert "team" in local("rules", "list").stdout
    for verb in ("show", "remove"):
        assert "found those of several teams (ads, nlp)" in local("rules", verb, "nightly", code=2).stderr
    assert local.ingest(GOOD).stderr == ""
    assert "found no rules for workload 'gpt'" in local("alerts", "evaluate", "gpt", code=2).stderr
    local("rules", "remove", "nightly", "--team", "ads")
    assert "regressed" not in local.ingest(GOOD, "--team", "nlp").stderr
    assert [each["team"] for each in local.json("alerts", "list")["alerts"]] == ["nlp"]
    local("alerts", "silence", "--rule", "*", "--reason", "mine", "--for", "1h")
    assert local.listed() == [("long", "broken", "open")]
    local("alerts", "silence", "--rule", "*", "--reason", "theirs", "--for", "1h", "--team", "nlp")
    assert local.listed() == [("long", "broken", "silenced")]


def test_traces_that_were_there_are_evaluated_when_asked(local: Shell) -> None:
    local.ingest(GOOD)
    local.ingest(BAD)
    local.push()
    assert "no alert stands" in local("alerts", "list").stderr
    found = local.json("alerts", "evaluate", "gpt")["evaluations"]
    assert [(each["rules"], each["status"], each["verdicts"]) for each in found] == [
        ("nightly", "regressed", {"operators": "broken", "long": "broken"})
    ]
    assert "by rules nightly: regressed (2 broken)" in local("alerts", "evaluate", "gpt").stdout
    assert len(local.ids()) == 2
    local("tag", "gpt", "baseline")
    assert local.listed() == [("long", "broken", "open")]
    assert "nightly: ok (1 broken, 1 passed)" in local("alerts", "evaluate", "gpt").stdout
    local("rm", "gpt", "--yes")
    assert local.listed() == []
    (long,) = local.ids("--state", "resolved", "--rule", "long")
    assert "the trace was removed" in local("alerts", "show", long).stdout


def test_a_trace_is_stored_whatever_becomes_of_rules(local: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    local.push("--baseline", "gpt@nothing")
    for number, told in enumerate((b"a", b"b")):
        if number:
            monkeypatch.setattr(evaluating, "evaluate", _fails)
        stored = local.ingest(step("aten::mm", told.decode()), "--json")
        assert len(json.loads(stored.stdout)["traces"]) == 1
    (trace,) = (each["id"] for each in json.loads(stored.stdout)["traces"])
    assert f"{trace[:12]} is stored, and could not be checked by rules: ValueError: out of luck" in stored.stderr
    assert len(local.json("ls")["traces"]) == 2


def _fails(*_: Any, **__: Any) -> None:
    raise ValueError("out of luck")


def test_an_ingest_of_what_satisfies_the_rules_names_no_alerts(local: Shell) -> None:
    local.push(text=ADDED.replace("500 us", "2 ms"))
    local.ingest(GOOD)
    told = local.ingest(GOOD + b"\n").stderr.splitlines()
    assert [line.partition(" by ")[2] for line in told] == ["rules nightly: ok (2 passed)"]
    assert local("ingest", local.file(GOOD), "-q", "--workload", "gpt").stderr == ""
    assert local("ingest", local.file(GOOD)).stderr == ""


def test_an_ingest_says_which_rules_could_not_be_checked(local: Shell) -> None:
    local.push()
    with connect(local.url) as store:
        kept = store.records.get("rules", "/nightly")
        assert kept is not None
        store.records.put("rules", "/nightly", {**kept.document, "text": "[[rules]]\nid = 'of another version'"})
    told = local.ingest(GOOD).stderr
    assert "by rules nightly: could not be checked: nightly: line 1, rules." in told
    assert local.listed() == [("(check)", "incomparable", "open")]
    assert (
        "CANNOT BE MEASURED (check): the rules nightly could not be checked"
        in local("alerts", "show", *local.ids()).stdout
    )


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("alerts", "show", "x"), 3, "no alert 'x'"),
        (("alerts", "show", "f" * 12), 3, "no alert 'ffffffffffff'"),
        (("alerts", "acknowledge", "f" * 32), 3, "no alert"),
        (("alerts", "list", "--trace", "nothing"), 3, "nothing"),
        (("alerts", "list", "--state", "shut"), 2, "'shut' is not one of"),
        (("alerts", "silence", "--reason", "r", "--for", "1d"), 2, "--rule, --workload or --operator says which"),
        (("alerts", "silence", "--rule", "a", "--reason", "r"), 2, "either --for or --until says how long"),
        (("alerts", "silence", "--rule", "a", "--reason", "r", "--for", "soon"), 2, "such as 12h, 90d or 4w"),
        (("alerts", "silence", "--rule", "a", "--reason", "r", "--until", "soon"), 2, "expected such as 2026-03-31"),
        (
            ("alerts", "silence", "--rule", "a", "--reason", "r", "--until", "2020-01-01"),
            2,
            "expected a moment to come",
        ),
        (("alerts", "silence", "--rule", "a", "--reason", "r", "--for", "99w"), 2, "an end within 366 days of it"),
        (("alerts", "evaluate", "nothing"), 3, "nothing"),
        (("rules", "show", "nightly"), 3, "no rules 'nightly'; there are none"),
        (("rules", "push", "nightly", "/nothing.toml"), 2, "/nothing.toml"),
        (("rules", "push", "no/name", "default"), 2, "name of rules: found 'no/name'"),
        (("rules", "push", "n", "default", "--baseline", "last:x"), 2, "found 'last:x', expected last:N"),
    ],
)
def test_what_cannot_be_asked(local: Shell, arguments: tuple[str, ...], code: int, told: str) -> None:
    assert told in " ".join(local(*arguments, code=code).stderr.split())


def test_rules_that_are_none_are_told_by_their_file_and_line(local: Shell) -> None:
    file = local.file(ADDED.replace("budget", "budgt").encode(), "own.toml")
    told = local("rules", "push", "nightly", file, code=2).stderr
    assert f"{file}: 4 problems" in told
    assert local.json("rules", "list") == {"ruleSets": []}


def test_a_last_day_is_silent_to_its_end(local: Shell) -> None:
    day = datetime.now().astimezone() + timedelta(days=2)
    local("alerts", "silence", "--rule", "a", "--reason", "r", "--until", f"{day:%Y-%m-%d}")
    (found,) = local.json("alerts", "silences")["silences"]
    assert (
        datetime.fromisoformat(found["expires"]).astimezone()
        == datetime.combine(day.date() + timedelta(days=1), datetime.min.time()).astimezone()
    )
