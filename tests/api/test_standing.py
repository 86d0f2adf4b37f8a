"""Alerts on a server: rules that are kept, checks that come with traces, and what is told of them."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from prometheus_client.parser import text_string_to_metric_families

from etgraph.alerts.standing.evaluation import evaluations
from etgraph.alerts.standing.keeping import alerts
from etgraph.api.access import Tokens
from etgraph.api.context import Viewer
from etgraph.api.http import alert_metrics
from etgraph.api.http.app import create_app
from etgraph.api.jobs.checks import ask_checks
from etgraph.api.jobs.queue import Queue
from etgraph.api.jobs.rules import Rules
from etgraph.api.jobs.worker import Worker
from etgraph.api.schema import SCHEMA
from etgraph.api.settings import Settings
from etgraph.model.errors import StoreError
from etgraph.store import Store, connect
from support.uploading import do_all, job, job_in, send, step, working

SLOW = """
[[rules]]
id = "operators"
metric = 'sum(changes[kind="operator"].added)'
budget = {max = 0}
"""
HELD = Path(__file__).parents[1] / "support" / "held_worker.py"
TOMORROW = (datetime.now(UTC) + timedelta(days=1)).isoformat()


class Server:
    """A server of tokens over a store, asked in the process."""

    def __init__(self, store: Store, spool: Path) -> None:
        self.store = store
        self.spool = spool
        settings = Settings(authentication="tokens", jobs=Rules(spool=str(spool)))
        self.app: Flask = create_app(store, SCHEMA.graphql_schema, settings)
        self.secrets: dict[tuple[str, ...], str] = {}

    def headers(self, team: str, *scopes: str) -> dict[str, str]:
        if (team, *scopes) not in self.secrets:
            made = Tokens(lambda: self.store.records).create(team, team, scopes or ("read", "ingest", "alert"))
            self.secrets[team, *scopes] = made.secret
        return {"Authorization": f"Bearer {self.secrets[team, *scopes]}"}

    def ask(self, document: str, *scopes: str, team: str = "nlp", **variables: Any) -> Any:
        """The data of an answer without errors."""
        with self.app.test_client() as client:
            sent = {"query": document, "variables": variables}
            found = client.post("/graphql", json=sent, headers=self.headers(team, *scopes)).json
        assert found is not None
        assert "errors" not in found, found["errors"]
        return found["data"]

    def upload(self, files: Mapping[str, bytes], *scopes: str, team: str = "nlp", **fields: Any) -> str:
        """The id of the job of an upload."""
        sent = send(self.app, files, headers=self.headers(team, *scopes), **fields)
        found: str = job_in(sent)["id"]
        return found

    def figures(self, *scopes: str, team: str = "nlp") -> dict[tuple[str, ...], float]:
        """The figures of alerts: names with values of their labels, by name."""
        with self.app.test_client() as client:
            text = client.get("/metrics", headers=self.headers(team, *scopes)).get_data(as_text=True)
        return {
            (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name.startswith("etgraph_alert")
        }

    def do_all(self) -> None:
        do_all(self.store, self.spool)

    def firing(self) -> float:
        """How many alerts are firing."""
        return sum(value for key, value in self.figures().items() if key[0] == "etgraph_alerts_firing")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with connect(tmp_path / "store") as store:
        yield Server(store, tmp_path / "spool")


SET = """mutation ($text: String!, $workloads: [String!]! = ["*"], $baseline: [String!]! = [], $version: Int) {
    setRules(name: "nightly", text: $text, workloads: $workloads, baseline: $baseline, version: $version) {
        ... on SetRulesSuccess { rules { name version by workloads } } ... on Error { code message hint } } }"""
ALERTS = """query ($state: AlertState, $workload: String, $after: String, $first: Int! = 10) {
    alerts(state: $state, workload: $workload, first: $first, after: $after) {
        nodes { id state firing trace workload rules resolution { trace } silence { reason }
                finding { rule level status responsible { key ranks } command } }
        pageInfo { hasNextPage endCursor } } }"""

GOOD, BAD, OTHER = step("aten::mm"), step("aten::mm", "aten::ones"), step("aten::mm", "aten::mm")


def recorded(folder: Path, **more: Any) -> dict[str, bytes]:
    """The Kineto files of a recorded run; `more` is added to each, which makes it another run."""
    found = {}
    for path in sorted(folder.glob("kineto_*.json.gz")):
        found[path.name] = gzip.compress(json.dumps(json.loads(gzip.decompress(path.read_bytes())) | more).encode())
    return found


def test_from_an_upload_to_an_alert_and_back(server: Server, collection_dir: Path) -> None:
    runs = collection_dir / "recorded"
    assert server.ask(SET, text="default", workloads=["gpt*"])["setRules"]["rules"]["name"] == "nightly"
    with working(server.store, server.spool):

        def checked(files: dict[str, bytes], **fields: Any) -> Any:
            """The alerts that are open once an upload was read and checked."""
            before = len(evaluations(server.store.records))
            server.upload(files, "ingest", workload="gpt", **fields)
            until = time.monotonic() + 60
            while len(evaluations(server.store.records)) == before or Queue(server.store.records).page(state="running"):
                assert time.monotonic() < until
                time.sleep(0.02)
            return server.ask(ALERTS)["alerts"]["nodes"]

        first = checked(recorded(runs / "gpt_ddp"))
        assert not [each for each in first if each["finding"]["level"] == "error"]
        left_out = server.ask("{ evaluations { nodes { status leftOut { rule reason } } } }")["evaluations"]["nodes"]
        assert "collectives-added" in [each["rule"] for each in left_out[0]["leftOut"]]
        second = checked(recorded(runs / "gpt_ddp_regressed"))
        (added,) = [each for each in second if each["finding"]["rule"] == "collectives-added"]
        assert added["finding"]["status"] == "broken"
        assert (added["state"], added["firing"], added["rules"]) == ("open", True, "nightly")
        assert [each["key"] for each in added["finding"]["responsible"]] == ["all_reduce", "all_gather", "barrier"]
        name = ("etgraph_alerts_firing", "error", "collectives-added", "open", "nlp", "gpt")
        assert server.figures()[name] == 1
        server.ask(f"""mutation {{ silence(rule: "collective*", reason: "known", expires: "{TOMORROW}") {{
            ... on SilenceSuccess {{ silence {{ id }} }} }} }}""")
        assert name not in server.figures()
        silenced = server.ask(ALERTS, state="silenced")["alerts"]["nodes"]
        assert added["id"] in [each["id"] for each in silenced]
        again = checked(recorded(runs / "gpt_ddp", run="another"))
        by_id = {each["id"]: each for each in again}
        newest = server.store.traces(workload="gpt")[0].id
        assert by_id[added["id"]]["state"] == "resolved"
        assert by_id[added["id"]]["resolution"] == {"trace": newest}
    figures = server.figures()
    assert figures["etgraph_alert_checks_total", "regressed"] == 1
    assert figures["etgraph_alert_check_seconds_count",] == 3


def test_rules_are_set_by_graphql_and_their_faults_are_told(server: Server) -> None:
    set_ = server.ask(SET, text=SLOW, workloads=["gpt*"])["setRules"]
    assert set_ == {"rules": {"name": "nightly", "version": 1, "by": "nlp", "workloads": ["gpt*"]}}
    wrong = server.ask(SET, text=SLOW.replace("max", "mx"))["setRules"]
    assert (wrong["code"], "line 5, rules.operators.budget" in wrong["message"]) == ("BAD_USER_INPUT", True)
    assert server.ask(SET, text=SLOW, version=7)["setRules"]["message"].endswith("found version 1, expected version 7")
    assert server.ask("{ rules { name text team } }")["rules"] == [{"name": "nightly", "text": SLOW, "team": "nlp"}]
    assert server.ask("{ rules { name } }", team="ads")["rules"] == []
    other = SET.replace('name: "nightly",', 'name: "nightly", team: "nlp",')
    assert server.ask(other, team="ads", text=SLOW)["setRules"]["code"] == "FORBIDDEN"
    by_admin = server.ask(other, "admin", team="ops", text=SLOW)["setRules"]["rules"]
    assert (by_admin["version"], by_admin["by"]) == (2, "ops")
    removed = server.ask('mutation { removeRules(name: "nightly") { ... on RemoveRulesSuccess { rules { name } } } }')
    assert removed["removeRules"]["rules"]["name"] == "nightly"
    actions = server.ask("{ auditLog { nodes { action outcome } } }", "admin", team="ops")["auditLog"]["nodes"]
    assert [(each["action"], each["outcome"]) for each in actions][:2] == [
        ("removeRules", "done"),
        ("setRules", "done"),
    ]


def test_a_workload_without_rules_costs_no_job(server: Server) -> None:
    server.ask(SET, text=SLOW, workloads=["other"])
    server.upload({"a.json": GOOD}, workload="gpt")
    server.upload({"a.json": BAD})
    server.do_all()
    assert [each.kind for each in Queue(server.store.records).page()] == ["ingest", "ingest"]


def test_alerts_are_acknowledged_paged_and_found_by_node(server: Server) -> None:
    server.ask(SET, text=SLOW)
    for name, data in (("good", GOOD), ("bad", BAD), ("worse", BAD.replace(b"mm", b"bmm")), ("bad", BAD)):
        server.upload({f"{name}.json": data}, workload="gpt")
        server.do_all()
    first = server.ask(ALERTS, first=1)["alerts"]
    second = server.ask(ALERTS, first=1, after=first["pageInfo"]["endCursor"])["alerts"]
    assert (first["pageInfo"]["hasNextPage"], second["pageInfo"]["hasNextPage"]) == (True, False)
    (alert,) = second["nodes"]
    assert server.ask(ALERTS, workload="other")["alerts"]["nodes"] == []
    acknowledge = """mutation ($id: ID!) { acknowledgeAlert(id: $id, note: "on it") {
        ... on AcknowledgeAlertSuccess { alert { state acknowledgement { by note } firing } }
        ... on Error { code } } }"""
    done = server.ask(acknowledge, id=alert["id"])["acknowledgeAlert"]["alert"]
    expected = {"state": "acknowledged", "acknowledgement": {"by": "nlp", "note": "on it"}, "firing": True}
    assert done == expected
    assert server.ask(acknowledge, team="ads", id=alert["id"])["acknowledgeAlert"]["code"] == "NOT_FOUND"
    node = server.ask(f'{{ node(id: "{alert["id"]}") {{ __typename id }} alert(id: "{alert["id"]}") {{ state }} }}')
    assert node == {"node": {"__typename": "Alert", "id": alert["id"]}, "alert": {"state": "acknowledged"}}
    assert [each["id"] for each in server.ask(ALERTS, state="acknowledged")["alerts"]["nodes"]] == [alert["id"]]


def test_silences_are_made_listed_and_removed(server: Server) -> None:
    server.ask(SET, text=SLOW)
    for data in (GOOD, BAD):
        server.upload({"a.json": data}, workload="gpt")
    server.do_all()
    assert server.firing() == 1
    made = server.ask(
        """mutation ($expires: DateTime!) { silence(reason: "known", operator: "aten::on*", expires: $expires) {
            ... on SilenceSuccess { silence { id by rule operator } } ... on Error { message } } }""", expires=TOMORROW
    )["silence"]["silence"]  # fmt: skip
    assert (made["by"], made["rule"], made["operator"], server.firing()) == ("nlp", "*", "aten::on*", 0)
    assert [each["id"] for each in server.ask("{ silences { id } }")["silences"]] == [made["id"]]
    assert server.ask("{ silences { id } }", team="ads")["silences"] == []
    remove = (
        f'mutation {{ removeSilence(id: "{made["id"]}") {{ ... on RemoveSilenceSuccess {{ silence {{ id }} }} }} }}'
    )
    assert server.ask(remove)["removeSilence"]["silence"]["id"] == made["id"]
    assert (server.firing(), server.ask("{ silences(expired: true) { id } }")["silences"]) == (1, [])


def test_alerts_of_a_removed_trace_are_resolved(server: Server) -> None:
    server.ask(SET, text=SLOW)
    for data in (GOOD, BAD):
        server.upload({"a.json": data}, workload="gpt")
        server.do_all()
    assert server.firing() == 1
    server.ask('mutation { deleteTrace(reference: "gpt") { __typename } }')
    (alert,) = server.ask(ALERTS)["alerts"]["nodes"]
    assert (alert["state"], alert["resolution"], server.firing()) == ("resolved", {"trace": None}, 0)


def test_a_tag_that_becomes_the_baseline_has_the_newest_trace_checked(server: Server) -> None:
    server.ask(SET, text=SLOW)
    for data in (GOOD, BAD):
        server.upload({"a.json": data}, workload="gpt")
        server.do_all()
    assert server.firing() == 1
    server.ask('mutation { tagTrace(reference: "gpt", name: "other") { __typename } }')
    server.ask('mutation { tagTrace(reference: "gpt", name: "baseline") { __typename } }')
    assert [each.kind for each in Queue(server.store.records).page(state="queued")] == ["check"]
    server.do_all()
    assert (server.firing(), server.ask(ALERTS)["alerts"]["nodes"][0]["state"]) == (0, "resolved")


def test_a_trace_is_checked_when_somebody_asks_for_it(server: Server) -> None:
    check = """mutation { checkTrace(reference: "gpt") {
        ... on CheckTraceSuccess { jobs { id kind state } } ... on Error { code message } } }"""
    server.upload({"a.json": BAD}, workload="gpt")
    server.do_all()
    assert "found no rules for workload 'gpt'" in server.ask(check)["checkTrace"]["message"]
    server.ask(SET, text=SLOW.replace('changes[kind="operator"].added', "structure.operators.count"))
    (asked,) = server.ask(check)["checkTrace"]["jobs"]
    assert (asked["kind"], asked["state"]) == ("check", "queued")
    server.do_all()
    assert server.firing() == 1


def test_a_check_sees_what_the_team_sees_also_where_an_administrator_asks(server: Server) -> None:
    server.upload({"a.json": GOOD}, team="ads", workload="secret")
    server.do_all()
    foreign = server.store.traces(workload="secret")[0].id
    server.ask(SET, text=SLOW, baseline=[foreign])
    server.upload({"a.json": BAD}, workload="gpt")
    server.do_all()
    check = 'mutation { checkTrace(reference: "gpt") { ... on CheckTraceSuccess { jobs { team by } } } }'
    (asked,) = server.ask(check, "admin", team="ops")["checkTrace"]["jobs"]
    assert asked == {"team": "nlp", "by": "ops"}
    server.do_all()
    told = [each.left_out[0].reason for each in evaluations(server.store.records, "nlp")]
    assert len(told) == 2
    assert all(f"no trace answers to {foreign!r}" in each for each in told), told
    assert alerts(server.store.records) == []


def test_a_repeated_upload_is_checked_again(server: Server) -> None:
    server.ask(SET, text=SLOW)
    for data in (GOOD, BAD, GOOD):
        server.upload({"a.json": data}, workload="gpt")
        server.do_all()
    (alert,) = server.ask(ALERTS)["alerts"]["nodes"]
    assert alert["state"] == "resolved"
    server.upload({"a.json": BAD}, workload="gpt")
    server.do_all()
    (alert,) = server.ask(ALERTS)["alerts"]["nodes"]
    assert alert["state"] == "open"


def test_who_may_send_alone_has_its_traces_checked(server: Server) -> None:
    server.ask(SET, text=SLOW)
    for data in (GOOD, BAD):
        server.upload({"a.json": data}, "ingest", workload="gpt")
    server.do_all()
    assert server.firing() == 1
    (check, *_) = Queue(server.store.records).page(kind="check")
    cancel = f'mutation {{ cancelJob(id: "{check.id}") {{ __typename ... on Error {{ code }} }} }}'
    assert server.ask(cancel, "read", "ingest")["cancelJob"]["code"] == "FORBIDDEN"
    assert server.ask(cancel, "alert")["cancelJob"]["__typename"] == "CancelJobSuccess"


def test_a_check_that_is_killed_half_way_is_done_again_and_keeps_every_alert_once(
    empty_store: Store, tmp_path: Path
) -> None:
    spool = tmp_path / "spool"
    server = Server(empty_store, spool)
    server.ask(SET, text=SLOW + SLOW.replace("operators", "again"))
    for data in (GOOD, BAD):
        server.upload({"a.json": data}, workload="gpt")
    command = [sys.executable, "-P", str(HELD), empty_store.url, str(spool), "check", "30"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "inside\n"
        process.kill()
    assert [each.finding.rule for each in alerts(empty_store.records)] == ["operators"]
    (check,) = Queue(empty_store.records).page(state="running")
    Worker(empty_store, Settings(jobs=Rules(spool=str(spool))), clock=lambda: time.time() + 31).run(
        once=True
    )  # the lease of 30 s has run out by this clock
    assert (job(empty_store, check.id).state, job(empty_store, check.id).attempts) == ("done", 2)
    assert sorted(each.finding.rule for each in alerts(empty_store.records)) == ["again", "operators"]
    assert [each.status for each in evaluations(empty_store.records)] == ["regressed", "ok"]
    assert server.figures()["etgraph_alert_checks_total", "regressed"] == 1


def test_an_upload_that_is_read_again_asks_for_one_check(server: Server) -> None:
    server.ask(SET, text=SLOW)
    queue = Queue(server.store.records)
    viewer = Viewer("a", "nlp", frozenset({"ingest"}))
    asked = [ask_checks(queue, viewer, ["a" * 64], "gpt", "nlp", cause="0" * 24) for _ in range(2)]
    assert [len(each) for each in asked] == [1, 0]
    assert asked[0][0].id.startswith("0" * 12)
    (first,), (again,) = (ask_checks(queue, viewer, ["b" * 64], "gpt", "nlp") for _ in range(2))
    assert first == again
    assert ask_checks(queue, viewer, ["b" * 64], "gpt", "ads") == []


def test_figures_are_bounded_and_the_rest_is_told_without_a_store(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    rule = SLOW.replace('sum(changes[kind="operator"].added)', "structure.operators.count")
    text = "".join(rule.replace('operators"', f'r{number}"', 1) for number in range(5))
    server.ask(SET, text=text)
    server.upload({"a.json": BAD}, workload="gpt")
    server.do_all()
    assert server.firing() == 5
    monkeypatch.setattr(alert_metrics, "MOST", 2)
    figures = {key: value for key, value in server.figures().items() if key[0] == "etgraph_alerts_firing"}
    assert sorted(figures.values()) == [1, 1, 3]
    assert ("etgraph_alerts_firing", "error", "(others)", "open", "(others)", "(others)") in figures

    def fail(*_: Any) -> Any:
        raise StoreError("it does not answer")

    monkeypatch.setattr(alert_metrics, "totals", fail)
    assert server.figures() == {}
    with server.app.test_client() as client:
        text = client.get("/metrics", headers=server.headers("nlp")).get_data(as_text=True)
    assert "etgraph_http_requests_total" in text
