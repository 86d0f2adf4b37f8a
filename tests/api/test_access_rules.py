"""Every field, mutation and path of a server × every kind of sender. What has no rule here fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from etgraph.alerts.standing.alert import Alert, alert_id
from etgraph.alerts.standing.evaluation import Evaluation, put_evaluation
from etgraph.alerts.standing.keeping import raise_alert
from etgraph.alerts.standing.silences import silence
from etgraph.api.context import Viewer
from etgraph.api.fetch.tokens import node_id
from etgraph.api.jobs.queue import Queue
from etgraph.api.schema import SCHEMA
from etgraph.queries import save_simulation
from etgraph.sim.simulators import simulate
from etgraph.store import Store, connect
from support.checks import SLOWER
from support.neo4j import Neo4jUnderTest
from support.teams import OURS, WITHOUT_ADMIN, World, world_of
from support.uploading import kineto

DONE, EMPTY, NOT_FOUND, FORBIDDEN = "done", "empty", "NOT_FOUND", "FORBIDDEN"


class Rule(NamedTuple):
    """A request for a field; the scope that it needs, and what another team is answered that has every scope but admin.

    `undone` is sent by who may, after it was, so that the next one finds what this one found.
    """

    asked: str
    scope: str | None
    others: str
    undone: str = ""
    cypher: bool = False


ALERT = Alert(
    alert_id("2026-01-05T12:00:00Z", "nlp", "gpt", OURS, "nightly", "rule"), "nlp", "gpt", OURS, None, None, "nightly",
    "2026-01-05T12:00:00Z", "2026-01-05T12:00:00.000000Z", SLOWER,
)  # fmt: skip
"""An alert of team nlp."""
JOB = f"{1:024x}"
"""A job of team nlp."""
CODE = "{ __typename ... on Error { code } }"
RULES = {
    "Query.node": Rule(f'node(id: "{node_id("Workload", "gpt")}") {{ id }}', "read", NOT_FOUND),
    "Query.trace": Rule('trace(reference: "gpt") { id }', "read", NOT_FOUND),
    "Query.traces": Rule("traces { nodes { id } }", "read", EMPTY),
    "Query.workload": Rule('workload(name: "gpt") { name }', "read", EMPTY),
    "Query.workloads": Rule("workloads { nodes { name } }", "read", EMPTY),
    "Query.workloadSummary": Rule("workloadSummary { nodes: workloads { workload } }", "read", EMPTY),
    "Query.storeChecks": Rule("storeChecks { name }", "admin", FORBIDDEN),
    "Query.tags": Rule("tags { name }", "read", EMPTY),
    "Query.simulations": Rule('simulations(reference: "gpt") { trace }', "read", NOT_FOUND),
    "Query.comparison": Rule(
        'comparison(base: [{reference: "gpt"}], other: [{reference: "gpt"}]) { baseNs }', "read", NOT_FOUND
    ),
    "Query.waterfall": Rule('waterfall(references: ["gpt"]) { rows { trace } }', "read", NOT_FOUND),
    "Query.check": Rule('check(references: ["gpt"]) { status }', "read", NOT_FOUND),
    "Query.history": Rule('history(workload: "gpt", metric: "iterations.durationNs") { metric }', "read", NOT_FOUND),
    "Query.rules": Rule("rules { name }", "read", EMPTY),
    "Query.alerts": Rule("alerts { nodes { id } }", "read", EMPTY),
    "Query.alert": Rule(f'alert(id: "{ALERT.id}") {{ id }}', "read", NOT_FOUND),
    "Query.evaluations": Rule("evaluations { nodes { id } }", "read", EMPTY),
    "Query.silences": Rule("silences { id }", "read", EMPTY),
    "Query.jobs": Rule("jobs { nodes { id } }", "read", EMPTY),
    "Query.job": Rule(f'job(id: "{JOB}") {{ id }}', "read", NOT_FOUND),
    "Query.hardwareProfiles": Rule("hardwareProfiles { name }", None, DONE),
    "Query.hardwareProfile": Rule('hardwareProfile(name: "dgx-h100") { name }', None, DONE),
    "Query.namedQueries": Rule("namedQueries { name }", None, DONE),
    "Query.namedQuery": Rule(
        'namedQuery(name: "longest_operators", parameters: {trace: "gpt"}) { columns }', "read", NOT_FOUND, cypher=True
    ),
    "Query.cypher": Rule('cypher(query: "MATCH (n) RETURN n") { columns }', "admin", FORBIDDEN, cypher=True),
    "Query.serverInfo": Rule("serverInfo { version }", None, DONE),
    "Query.viewer": Rule("viewer { name }", None, DONE),
    "Query.shares": Rule("shares { trace }", "read", EMPTY),
    "Query.tokens": Rule("tokens { id }", "admin", FORBIDDEN),
    "Query.auditLog": Rule("auditLog { nodes { id } }", "admin", FORBIDDEN),
    "Mutation.tagTrace": Rule(f'tagTrace(reference: "gpt", name: "t") {CODE}', "ingest", NOT_FOUND),
    "Mutation.untagTrace": Rule(
        f'untagTrace(workload: "gpt", name: "base") {CODE}', "ingest", NOT_FOUND,
        undone=f'tagTrace(reference: "gpt", name: "base") {CODE}',
    ),
    "Mutation.labelTrace": Rule(
        f'labelTrace(reference: "gpt", labels: [{{key: "k", value: "w"}}]) {CODE}', "ingest", NOT_FOUND
    ),
    "Mutation.deleteTrace": Rule(f'deleteTrace(reference: "gpt-2") {CODE}', "ingest", NOT_FOUND),
    "Mutation.keepAnswer": Rule(f'keepAnswer(reference: "gpt", question: "breakdown") {CODE}', "simulate", NOT_FOUND),
    "Mutation.simulate": Rule(f'simulate(reference: "gpt") {CODE}', "simulate", NOT_FOUND),
    "Mutation.scoreSimulations": Rule(f'scoreSimulations(reference: "gpt") {CODE}', "simulate", NOT_FOUND),
    "Mutation.removeSimulation": Rule(
        f'removeSimulation(reference: "gpt", simulation: "SIMULATION") {CODE}', "simulate", NOT_FOUND
    ),
    "Mutation.cancelJob": Rule(f'cancelJob(id: "{JOB}") {CODE}', "simulate", NOT_FOUND),
    "Mutation.setRules": Rule(f'setRules(name: "mine", text: "default", team: "nlp") {CODE}', "alert", FORBIDDEN),
    "Mutation.removeRules": Rule(
        f'removeRules(name: "kept") {CODE}', "alert", NOT_FOUND,
        undone=f'setRules(name: "kept", text: "default", workloads: ["gpt"]) {CODE}',
    ),
    "Mutation.checkTrace": Rule(f'checkTrace(reference: "gpt") {CODE}', "alert", NOT_FOUND),
    "Mutation.acknowledgeAlert": Rule(f'acknowledgeAlert(id: "{ALERT.id}") {CODE}', "alert", NOT_FOUND),
    "Mutation.silence": Rule(
        f'silence(reason: "r", rule: "other", expires: "TOMORROW", team: "nlp") {CODE}', "alert", FORBIDDEN
    ),
    "Mutation.removeSilence": Rule(f'removeSilence(id: "SILENCED") {CODE}', "alert", NOT_FOUND),
    "Mutation.shareTrace": Rule(
        f'shareTrace(reference: "gpt", with: "mlsys") {CODE}', "ingest", NOT_FOUND,
        undone=f'unshareTrace(reference: "gpt", with: "mlsys") {CODE}',
    ),
    "Mutation.unshareTrace": Rule(
        f'unshareTrace(reference: "gpt", with: "vision") {CODE}', "ingest", NOT_FOUND,
        undone=f'shareTrace(reference: "gpt", with: "vision") {CODE}',
    ),
    "Mutation.shareWorkload": Rule(
        f'shareWorkload(workload: "gpt", with: "mlsys") {CODE}', "ingest", NOT_FOUND,
        undone=f'unshareWorkload(workload: "gpt", with: "mlsys") {CODE}',
    ),
    "Mutation.unshareWorkload": Rule(
        f'unshareWorkload(workload: "gpt", with: "vision") {CODE}', "ingest", NOT_FOUND,
        undone=f'shareWorkload(workload: "gpt", with: "vision") {CODE}',
    ),
    "Mutation.createToken": Rule(f'createToken(name: "n", team: "t", scopes: []) {CODE}', "admin", FORBIDDEN),
    "Mutation.revokeToken": Rule(f'revokeToken(id: "TOKEN") {CODE}', "admin", FORBIDDEN),
}  # fmt: skip

OPEN = "open"
ROUTES = {
    "/": OPEN,
    "/api/v1/jobs/<job_id>": "token",
    "/api/v1/traces": "token",
    "/api/v1/traces/<path:reference>/export": "token",
    "/graphiql": OPEN,
    "/graphiql/<name>": OPEN,
    "/graphql": "token",
    "/healthz": OPEN,
    "/metrics": "token",
    "/readyz": OPEN,
}
"""Paths, and whether a token is needed. What /graphql gives to whom is a matter of its fields."""

UNKNOWN: dict[str, Callable[[World], dict[str, str]]] = {
    "no token": lambda world: {},
    "another scheme": lambda world: {"Authorization": "Basic bmxwOm5scA=="},
    "malformed": lambda world: {"Authorization": "Bearer etg_1_2"},
    "empty": lambda world: {"Authorization": "Bearer "},
    "not of this server": lambda world: {"Authorization": f"Bearer etg_{'0' * 16}_{'0' * 64}"},
    "wrong secret": lambda world: {"Authorization": f"Bearer {world.tokens['ours'][:-1]}"
                                   f"{'0' if world.tokens['ours'][-1] != '0' else '1'}"},
    "expired": lambda world: {"Authorization": f"Bearer {world.tokens['expired']}"},
    "revoked": lambda world: {"Authorization": f"Bearer {world.tokens['revoked']}"},
}  # fmt: skip


@pytest.fixture(scope="module", params=["local", pytest.param("neo4j", marks=pytest.mark.neo4j)])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A server over a store of each kind, which all tests of this file ask."""
    with pytest.MonkeyPatch.context() as patch, opened(request, tmp_path_factory.mktemp("world"), patch) as store:
        made = world_of(store)
        Queue(store.records).add("simulate", {"trace": OURS, "profile": None}, Viewer("a", "nlp"), job_id=JOB)
        raise_alert(store.records, ALERT)
        put_evaluation(store.records, Evaluation("1" * 32, "nlp", "gpt", OURS, "kept", 1, ALERT.asked, "regressed"))
        silenced(made)
        for name in ("unshareTrace", "unshareWorkload", "removeRules"):
            made.data(f"mutation {{ {RULES[f'Mutation.{name}'].undone} }}", made.tokens["ours"])
        yield made


def opened(request: pytest.FixtureRequest, folder: Path, patch: pytest.MonkeyPatch) -> Store:
    if request.param == "local":
        return connect(folder / "store")
    server: Neo4jUnderTest = request.getfixturevalue("neo4j_server")
    server.empty()
    patch.setenv("ETGRAPH_NEO4J_USER", server.user)
    patch.setenv("ETGRAPH_NEO4J_PASSWORD", server.password)
    return connect(server.uri)


def tomorrow() -> str:
    return (datetime.now(UTC) + timedelta(days=1)).isoformat()


def silenced(world: World) -> str:
    """The id of a new silence of team nlp, which means no alert that there is."""
    return silence(world.store.records, "nlp", reason="r", rule="other", expires=tomorrow()).id


def test_every_field_has_a_rule() -> None:
    schema = SCHEMA.graphql_schema
    fields = {f"{kind}.{name}" for kind in ("Query", "Mutation") for name in schema.type_map[kind].fields}
    assert set(RULES) == fields


def test_every_path_has_a_rule(world: World) -> None:
    assert set(ROUTES) == {str(rule) for rule in world.app.url_map.iter_rules()}


def document(name: str, asked: str) -> str:
    return f"{'mutation' if name.startswith('Mutation.') else 'query'} {{ {asked} }}"


def outcome(world: World, name: str, token: str, asked: str | None = None) -> str:
    """The code of the error that a request for a field ends with, `empty`, or `done`."""
    text = document(name, asked or RULES[name].asked)
    if "TOKEN" in text:
        made = world.data("""mutation { createToken(name: "n", team: "t", scopes: []) {
            ... on CreateTokenSuccess { token { id } } } }""", world.tokens["admin"])  # fmt: skip
        text = text.replace("TOKEN", made["createToken"]["token"]["id"])
    text = text.replace("TOMORROW", tomorrow())
    if "SILENCED" in text:
        text = text.replace("SILENCED", silenced(world))
    if "SIMULATION" in text:
        trace = world.store.load(OURS)
        text = text.replace("SIMULATION", save_simulation(world.store, OURS, simulate(trace, "replay"), trace=trace))
    answer = world.ask(text, token)
    found = answer.json
    assert found is not None
    assert answer.status_code == 200, found
    if "errors" in found:
        (error,) = found["errors"]
        return str(error["extensions"]["code"])
    ((_, value),) = found["data"].items()
    if name.startswith("Mutation."):
        return str(value.get("code", DONE))
    value = value.get("nodes", value) if isinstance(value, dict) else value
    return DONE if value else EMPTY


def done(world: World, name: str, usual: str = DONE) -> str:
    """What comes of a request that is let in; a folder has no Cypher."""
    return "BAD_USER_INPUT" if RULES[name].cypher and world.store.url.startswith("file:") else usual


@pytest.mark.parametrize("sender", UNKNOWN)
def test_who_is_not_known_is_answered_nothing(world: World, sender: str) -> None:
    headers = UNKNOWN[sender](world)
    for name, rule in RULES.items():
        answer = world.send("/graphql", method="POST", json={"query": document(name, rule.asked)}, headers=headers)
        assert answer.status_code == 401, name
        assert answer.headers["WWW-Authenticate"].startswith('Bearer realm="etgraph"')
        assert ("invalid_token" in answer.headers["WWW-Authenticate"]) == (sender != "no token")
        assert set(answer.json) == {"errors", "extensions"}
        assert [error["extensions"]["code"] for error in answer.json["errors"]] == ["UNAUTHENTICATED"]
    for path, rule in ROUTES.items():
        method = "POST" if path == "/api/v1/traces" else "GET"
        answer = world.send(path.replace("<name>", "start.js"), method=method, headers=headers)
        assert (answer.status_code == 401) == (rule != OPEN), path


@pytest.mark.parametrize("name", RULES)
def test_a_team_is_answered_with_the_scope_and_with_no_other(world: World, name: str) -> None:
    rule = RULES[name]
    if rule.scope is not None:
        lacking = world.token("nlp", *set(WITHOUT_ADMIN) - {rule.scope})
        assert outcome(world, name, lacking) == FORBIDDEN
    stranger = world.token("web", *WITHOUT_ADMIN)
    expected = FORBIDDEN if rule.others == FORBIDDEN else done(world, name, rule.others)
    assert outcome(world, name, stranger) == expected
    right = world.token("nlp", *({"admin"} if rule.scope == "admin" else {rule.scope, "read"} - {None}))
    assert outcome(world, name, right) == done(world, name)
    if rule.undone:
        assert outcome(world, name, right, rule.undone) == DONE


@pytest.mark.parametrize("name", [name for name in RULES if name.startswith("Query.")])
def test_an_administrator_sees_everything(world: World, name: str) -> None:
    assert outcome(world, name, world.tokens["admin"]) == done(world, name)


def test_paths_with_a_token(world: World) -> None:
    nothing = world.token("ops")
    assert world.send("/metrics", nothing).status_code == 200
    assert world.send("/healthz").data == b"ok\n"
    assert world.send("/readyz").data == b"ready\n"

    def figures(token: str) -> str:
        return world.send("/metrics", token).get_data(as_text=True)

    for token in (nothing, world.token("web", "read")):
        assert not any(name in figures(token) for name in ("gpt", "zeta", "nlp", OURS[:12]))
    firing = 'etgraph_alerts_firing{level="error",rule="step-time",'
    assert (firing in figures(world.token("nlp", "read")), firing in figures(nothing)) == (True, False)
    assert firing in figures(world.tokens["admin"])


@pytest.mark.parametrize(
    ("method", "path", "scope", "others"),
    [
        ("GET", f"/api/v1/jobs/{JOB}", "read", 404),
        ("DELETE", f"/api/v1/jobs/{JOB}", "simulate", 404),
        ("GET", "/api/v1/traces/gpt/export?format=dot", "read", 404),
        ("POST", "/api/v1/traces", "ingest", 202),
    ],
)
def test_paths_for_files_and_jobs(world: World, method: str, path: str, scope: str, others: int) -> None:
    def status(token: str) -> int:
        body = {"data": kineto(), "content_type": "application/json"} if method == "POST" else {}
        return world.send(path, token, method, buffered=True, **body).status_code

    assert status(world.token("nlp", *{"alert", "ingest", "read", "simulate"} - {scope, *SUFFICE.get(path, ())})) == 403
    assert status(world.token("web", *WITHOUT_ADMIN)) == others
    assert status(world.token("nlp", scope, "read")) in (200, 202)
    assert status(world.tokens["admin"]) in (200, 202)


SUFFICE = {f"/api/v1/jobs/{JOB}": ("read", "simulate")}
"""Scopes of which any lets a job be seen."""


def test_what_was_refused_changed_nothing(world: World) -> None:
    """What those who may not ask for has not come about, whichever of the requests above were sent before."""
    refused = world.token("web", *WITHOUT_ADMIN)
    for name, rule in RULES.items():
        if name.startswith("Mutation."):
            outcome(
                world, name, refused, rule.asked.replace('name: "t"', 'name: "z"').replace('value: "w"', 'value: "z"')
            )
    found: Any = world.data('{ trace(reference: "gpt@base") { id tags labels } }', world.tokens["ours"])["trace"]
    assert (found["id"], found["labels"] in ({"k": "v"}, {"k": "w"})) == (OURS, True)
    assert {"base"} <= set(found["tags"]) <= {"base", "t"}
