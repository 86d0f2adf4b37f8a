"""Every command with a server in place of its store: the same answer, message and exit code."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from etgraph.alerts.standing.alert import Alert
from etgraph.alerts.standing.evaluating import evaluate
from etgraph.alerts.standing.keeping import acknowledge, alerts
from etgraph.alerts.standing.naming import short
from etgraph.alerts.standing.rule_sets import set_rules
from etgraph.alerts.standing.silences import silence
from etgraph.api.http.app import create_app
from etgraph.api.running.serving import the_schema
from etgraph.cli.main import COMMANDS, main
from etgraph.cli.session import open_session
from etgraph.ingest import samples
from etgraph.queries import saved_simulations
from etgraph.sim.profiles import dump, load
from etgraph.store import Store, connect
from etgraph.store.clock import written
from support.api import serving
from support.device_trace import on_a_device
from support.remote_calls import AS_JSON, CALLS, IN_A_TERMINAL, WITHOUT_A_STORE

CHANGES = """
[[changes]]
change = "work"
after = "aten::mm"
time = "250 us"
count = 2

[[changes]]
change = "launch-latency"
factor = 0.5
"""


RULES = """
[[rules]]
id = "own"
metric = 'sum(structure.operators[name~"aten::*"].count) + 0'
where = {rank = 0, iterations = [0, 1]}
aggregate = {ranks = "sum", iterations = "max"}
budget = {max = 10, min = "1"}
owner = "who \\"knows\\" \\u007f \U0001f600"

[[rules]]
id = "let-pass"
metric = "iterations.durationNs"
budget = {max = "1 ns"}
suppress = {reason = "new machines", until = 2999-01-01}
"""
COMPARING = """
[[rules]]
id = "compared"
metric = "iterations.durationNs"
regression = {max_increase = "1%", floor = "2 us", confidence = 0.95}
"""
KEPT = """
[[rules]]
id = "own"
metric = "sum(structure.operators.count)"
budget = {max = 1}

[[rules]]
id = "quiet"
level = "warn"
metric = "sum(structure.dependencies.count)"
budget = {max = 1}
"""
TESTS = """
rules = ["rules.toml"]

[[tests]]
traces = ["gpt"]
findings = [{rule = "own", status = "broken"}, {rule = "let-pass", status = "passed"}]

[[tests]]
traces = ["nothing"]
error = "NOT_FOUND"
"""


@dataclass(frozen=True)
class Said:
    """What a call gave."""

    code: int
    answer: str
    message: str


@dataclass(frozen=True)
class Both:
    """A folder, and the server over it."""

    folder: str
    url: str
    words: dict[str, str]

    def call(self, store: str, *arguments: str) -> Said:
        """What etgraph says on a store."""
        words = "|".join(self.words)
        filled = [re.sub(rf"^({words})(?=#|$)", lambda match: self.words[match[1]], each) for each in arguments]
        found = CliRunner().invoke(main, [*filled, "--store", store], prog_name="etgraph")
        return Said(
            found.exit_code, found.stdout, found.stderr.replace(self.url, "STORE").replace(self.folder, "STORE")
        )


@pytest.fixture(scope="module")
def both(samples_store: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    """The samples' store with a trace that has a device, and a server over it."""
    folder = tmp_path_factory.mktemp("remote")
    shutil.copytree(samples_store.url.removeprefix("file://"), folder / "store")
    store = connect(folder / "store")
    store.publish(on_a_device(), workload="device", team="ads")
    alert, silenced = _alerts_of(store)
    (profile, changes) = (folder / "own.toml", folder / "changes.toml")
    profile.write_text(dump(load("h100-sxm")).replace('name = "h100-sxm"', 'name = "own"'))
    changes.write_text(CHANGES)
    files = {"RULES": ("rules.toml", RULES), "COMPARING": ("comparing.toml", COMPARING), "TESTS": ("tests.toml", TESTS)}
    for name, text in files.values():
        (folder / name).write_text(text, "utf-8")
    words = {
        "SIMULATION": saved_simulations(store, "dlrm")[0].id,
        "FILE": str(profile),
        "CHANGES": str(changes),
        "RETURN_1": "RETURN 1",
        "ALERT": short(alert.id),
        "SILENCED": silenced.id,
        "RUN": str(samples.path("gpt_ddp_5steps")),
        **{word: str(folder / name) for word, (name, _) in files.items()},
    }
    with serving(create_app(store, the_schema())) as url:
        yield Both(str(folder / "store"), url, words)


def _alerts_of(store: Store) -> tuple[Alert, Alert]:
    """Let the store have alerts: one that is acknowledged, and a silenced one."""
    for team, name, text in (("ads", "nightly", KEPT), ("ads", "twice", "default"), ("nlp", "twice", "default")):
        set_rules(store.records, team, name, text, workloads=["d*"], by="ada")
    for workload in ("dlrm", "device"):
        evaluate(store, store.records, store.find(workload))
    tomorrow = written(datetime.now(UTC) + timedelta(days=1))
    silence(store.records, "ads", rule="own", workload="device", reason="known", expires=tomorrow, by="ada")
    (own,) = alerts(store.records, "ads", rule="own", workload="dlrm")
    (silenced,) = alerts(store.records, "ads", state="silenced")
    return acknowledge(store.records, "ads", own.id, "bo", "looking into it"), silenced


@pytest.mark.parametrize("call", [*AS_JSON, *IN_A_TERMINAL])
def test_a_server_answers_as_its_store_does(both: Both, call: str) -> None:
    assert both.call(both.url, *shlex.split(call)) == both.call(both.folder, *shlex.split(call))


@pytest.mark.parametrize("options", ["", "--verify"])
def test_doctor_says_of_a_servers_store_what_it_says_of_the_store(both: Both, options: str) -> None:
    said = [both.call(store, "doctor", *options.split(), "--json") for store in (both.folder, both.url)]
    here, there = (json.loads(re.sub(r"\d+ bytes", "", each.answer))["checks"] for each in said)
    assert [each for each in there if each["name"] not in ("server", "viewer")] == here
    assert len(there) == len(here) + 2
    assert said[1].code == said[0].code


@pytest.mark.parametrize(
    "call",
    [
        "RUN --baseline gpt",
        "gpt --baseline RUN",
        "RUN --workload gpt --baseline branch:main",
        "dlrm RUN --baseline gpt",
    ],
)
def test_files_are_not_checked_beside_traces_of_a_server(both: Both, call: str) -> None:
    said = both.call(both.url, "check", *call.split(), "--rules", "COMPARING")
    assert (said.code, said.answer) == (2, "")
    assert "is a file of this machine, and others are traces of STORE: they cannot be asked together" in said.message


def test_first_rules_are_written_from_a_servers_trace(both: Both, tmp_path: Path) -> None:
    files = (tmp_path / "here.toml", tmp_path / "there.toml")
    for store, file in zip((both.folder, both.url), files, strict=True):
        assert both.call(store, "rules", "init", "dlrm", "-o", str(file)).code == 0
    here, there = (file.read_text("utf-8") for file in files)
    assert "# measured: " in here
    assert here == there


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("rules", {}),
        ("alerts", {"workload": "d*", "first": 3}),
        ("alerts", {"level": "error", "status": "broken", "rules": "nightly", "rule": "own"}),
        ("alerts", {"state": "silenced"}),
        ("evaluations", {"workload": "dlrm"}),
        ("silences", {}),
    ],
)
def test_a_session_gives_the_same_objects_in_python(both: Both, name: str, asked: dict[str, Any]) -> None:
    with open_session(both.folder) as here, open_session(both.url) as there:
        found = getattr(here.alerts, name)(**asked)
        assert len(found) > 0
        assert getattr(there.alerts, name)(**asked) == found


def test_alerts_come_in_pages(both: Both, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("etgraph.cli.remote.standing._TOGETHER", 2)
    with open_session(both.folder) as here, open_session(both.url) as there:
        known = here.alerts.alerts()
        assert len(known) > 4
        for first in (1, 2, 3, 4, len(known), len(known) + 1):
            assert there.alerts.alerts(first=first) == known[:first]


def test_every_command_is_tried_or_says_why_not() -> None:
    assert {entry.name for entry in COMMANDS} == {*CALLS, *WITHOUT_A_STORE}
