"""What a team sees of others: nothing, by whatever name; then what is shared with it, and that only to read."""

from __future__ import annotations

import inspect
import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from etgraph.api.access import SCOPES, TeamStore, shares, view_of
from etgraph.api.access.asking import PROBE, TEAM, check_cypher
from etgraph.api.context import Viewer
from etgraph.api.errors import Forbidden
from etgraph.api.fetch.tokens import node_id
from etgraph.model.accuracy import Score
from etgraph.model.errors import NotFound, UsageError
from etgraph.queries import library
from etgraph.store import Store
from etgraph.store.rows import NeighboursRequest, RowsRequest
from etgraph.store.visible import Shared, Visible
from support.build import build
from support.teams import BOTH, NOBODYS, OURS, SECRETS, THEIRS, WITHOUT_ADMIN, World, trace, world_of

TABLE = pa.table({"x": np.arange(3)})
SCORE = Score(None, None, None, None, 0, None, None, 0, 0)


@pytest.fixture
def world(new_store: Callable[[], Store]) -> Any:
    """A server over a store of each kind, for this test alone."""
    with new_store() as store:
        yield world_of(store)


def viewer(team: str, *scopes: str) -> Viewer:
    return Viewer(f"{team}'s", team, frozenset(scopes or WITHOUT_ADMIN))


NAMES = (THEIRS, THEIRS[:6], THEIRS[:40], "zeta-model", "zeta-model@hushed", "zeta-model@dead5ec2e7",
         "zeta-model@codename=omega", "zeta-model@nothing", "zeta-mode", "bbbb", NOBODYS, "old", "ol")  # fmt: skip


def test_no_way_of_naming_leads_to_another_teams_trace(world: World) -> None:
    reads = """query ($r: String!) {
        trace(reference: $r) { id workload tags operators(first: 5) { nodes { name } } breakdown { windows { rank } } }
        simulations(reference: $r) { trace simulations { id } }
        comparison(base: [{reference: $r}], other: [{reference: "gpt"}]) { baseNs }
        waterfall(references: ["gpt", $r]) { rows { trace } }
        traces(workload: $r) { totalCount nodes { id } }
        workload(name: $r) { name tags teams }
        tags(workload: $r) { name } }"""
    changes = """mutation ($r: String!) {
        a: tagTrace(reference: $r, name: "x") { __typename ... on Error { message hint } }
        b: labelTrace(reference: $r, labels: [{key: "k", value: "v"}]) { __typename ... on Error { message } }
        c: deleteTrace(reference: $r) { __typename ... on Error { message } }
        d: simulate(reference: $r, save: true) { __typename ... on Error { message } }
        e: shareTrace(reference: $r, with: "everyone") { __typename ... on Error { message } }
        f: shareWorkload(workload: $r, with: "everyone") { __typename ... on Error { message } }
        g: untagTrace(workload: $r, name: "hushe") { __typename ... on Error { message } } }"""
    before = world.store.traces()
    for name in NAMES:
        for document in (reads, changes):
            answer = world.ask(document, world.tokens["ours"], r=name)
            told = answer.get_data(as_text=True).replace(name, "…")
            assert [secret for secret in SECRETS if secret in told] == [], name
            data = answer.json["data"] or {}  # type: ignore[index]
            assert not any(value.get("__typename", "").endswith("Success") for value in data.values() if value)
            assert data.get("traces", {"totalCount": 0})["totalCount"] == 0
    assert world.store.traces() == before


def test_lists_counts_nodes_and_cursors_know_of_no_others(world: World) -> None:
    lists = """{ traces { totalCount nodes { id workload team } } workloads { totalCount nodes { name teams tags
        traces { totalCount nodes { id } } } } tags { name workload } shares { trace } }"""
    answer = world.ask(lists, world.tokens["ours"])
    assert not [secret for secret in SECRETS if secret in answer.get_data(as_text=True)]
    data = answer.json["data"]  # type: ignore[index]
    assert data["traces"]["totalCount"] == 2
    assert [one["name"] for one in data["workloads"]["nodes"]] == ["gpt-2", "gpt"]
    theirs = world.data("{ traces(first: 1) { pageInfo { endCursor } } }", world.tokens["theirs"])
    cursor = theirs["traces"]["pageInfo"]["endCursor"]
    page = world.data(
        "query ($after: String) { traces(after: $after) { totalCount nodes { team } } }",
        world.tokens["ours"], after=cursor,
    )["traces"]  # fmt: skip
    assert (page["totalCount"], {one["team"] for one in page["nodes"]}) == (2, {"nlp"})
    for node in (THEIRS, node_id("Workload", "zeta-model"), node_id("Operator", THEIRS, 1, 0), NOBODYS):
        found = world.ask("query ($id: ID!) { node(id: $id) { id } }", world.tokens["ours"], id=node).json
        assert found["errors"][0]["extensions"]["code"] == "NOT_FOUND"  # type: ignore[index]


def test_one_trace_of_two_teams_is_two_entries(world: World) -> None:
    for mine, workload in (("ours", "gpt-2"), ("theirs", "zeta-model")):
        found = world.data(f'{{ trace(reference: "{BOTH}") {{ workload }} }}', world.tokens[mine])
        assert found["trace"]["workload"] == workload
    remove = f'mutation {{ deleteTrace(reference: "{BOTH}") {{ __typename }} }}'
    assert world.data(remove, world.tokens["ours"]) == {"deleteTrace": {"__typename": "DeleteTraceSuccess"}}
    assert world.data(remove, world.tokens["ours"]) == {"deleteTrace": {"__typename": "NotFoundError"}}
    assert world.store.find(BOTH).team == "ads"
    world.data(remove, world.tokens["theirs"])
    with pytest.raises(NotFound):
        world.store.find(BOTH)


SHARE = 'mutation { shareTrace(reference: "gpt", with: "ads") { __typename } }'
UNSHARE = 'mutation { unshareTrace(reference: "gpt", with: "ads") { __typename } }'
ASK = '{ trace(reference: "gpt") { id tags } }'


def test_what_is_shared_is_read_and_not_changed_until_it_is_taken_back(world: World) -> None:
    theirs, ours = world.tokens["theirs"], world.tokens["ours"]
    world.data(SHARE, ours)
    assert [world.data(ASK, theirs)["trace"]["id"] for _ in range(2)] == [OURS, OURS]
    assert world.data("{ traces { totalCount } }", theirs) == {"traces": {"totalCount": 3}}
    for change in (
        'tagTrace(reference: "gpt", name: "x")', 'labelTrace(reference: "gpt", labels: [{key: "k", value: "w"}])',
        'deleteTrace(reference: "gpt")', 'untagTrace(workload: "gpt", name: "base")',
        'shareTrace(reference: "gpt", with: "everyone")', 'shareWorkload(workload: "gpt", with: "everyone")',
        'simulate(reference: "gpt", profile: "epyc-9654", save: true)',
    ):  # fmt: skip
        found = world.data(f"mutation {{ outcome: {change} {{ __typename }} }}", theirs)
        assert found == {"outcome": {"__typename": "ForbiddenError"}}, change
    assert world.data('mutation { simulate(reference: "gpt") { __typename } }', theirs) == {
        "simulate": {"__typename": "SimulateSuccess"}
    }
    shared = world.data("{ shares { sharedWith team workload trace } }", ours)["shares"]
    assert shared == [{"sharedWith": "ads", "team": "nlp", "workload": "gpt", "trace": OURS}]
    assert world.data("{ shares { trace } }", theirs) == {"shares": []}
    world.data(UNSHARE, ours)
    assert world.ask(ASK, theirs).json["errors"][0]["extensions"]["code"] == "NOT_FOUND"  # type: ignore[index]


def test_a_workload_is_shared_with_what_comes(world: World) -> None:
    ours, web = world.tokens["ours"], world.token("web", "read")
    world.data('mutation { shareWorkload(workload: "gpt", with: "everyone") { __typename } }', ours)
    view_of(world.store, viewer("nlp")).publish(trace("e"), workload="gpt")
    assert world.data("{ traces { totalCount } }", web) == {"traces": {"totalCount": 2}}
    assert world.data("{ workloads { nodes { name traces { totalCount } } } }", web) == {
        "workloads": {"nodes": [{"name": "gpt", "traces": {"totalCount": 2}}]}
    }
    world.data('mutation { unshareWorkload(workload: "gpt", with: "everyone") { __typename } }', ours)
    assert world.data("{ traces { totalCount } }", web) == {"traces": {"totalCount": 0}}


def test_a_share_goes_with_its_trace(world: World) -> None:
    world.data(SHARE, world.tokens["ours"])
    view = view_of(world.store, viewer("nlp"))
    view.remove(OURS)
    view.publish(trace("a"), workload="gpt")
    with pytest.raises(NotFound):
        view_of(world.store, viewer("ads")).find(OURS)


def test_what_nobody_published_is_seen_when_an_administrator_shares_it(world: World) -> None:
    world.data(
        'mutation { shareTrace(reference: "old", with: "nlp") { ... on Error { message } } }', world.tokens["admin"]
    )
    assert world.data('{ trace(reference: "old") { id } }', world.tokens["ours"])["trace"]["id"] == NOBODYS
    assert view_of(world.store, viewer("ads")).traces(workload="old") == []


def test_a_workloads_name_is_of_the_team_that_came_first(world: World) -> None:
    ours, theirs = (view_of(world.store, viewer(team)) for team in ("nlp", "ads"))
    ours.publish(trace("e"), workload="new")
    for workload in ("new", "gpt", "old"):
        with pytest.raises(Forbidden, match="belongs to others"):
            theirs.publish(trace("f"), workload=workload)
    ours.remove("new")
    with pytest.raises(Forbidden):
        theirs.publish(trace("f"), workload="new")
    with pytest.raises(Forbidden, match="for team ads, and for no other"):
        theirs.publish(trace("f"), team="nlp")
    assert {info.id[0] for info in world.store.traces()} == set("abcd")


def test_of_many_who_come_at_once_one_has_the_name_and_no_share_is_lost(two_teams: Store) -> None:
    teams = [f"team-{number}" for number in range(6)]
    barrier = threading.Barrier(len(teams))

    def come(team: str) -> str:
        barrier.wait(30)
        shares.share(two_teams.records, Shared(team, "contended"), "web", team)
        return shares.claim(two_teams.records, "contended", team)

    with ThreadPoolExecutor(len(teams)) as pool:
        (owner,) = set(pool.map(come, teams))
    assert owner == shares.owner_of(two_teams.records, "contended")
    assert {each.team for each in shares.visible_to(two_teams.records, "web").shared} == set(teams)


def test_a_revoked_token_is_refused_at_once_and_keeps_no_answers(world: World) -> None:
    token = world.token("nlp", "read")
    assert [world.data(ASK, token)["trace"]["id"] for _ in range(2)] == [OURS, OURS]
    world.data(
        "mutation ($id: String!) { revokeToken(id: $id) { __typename } }", world.tokens["admin"], id=token.split("_")[1]
    )
    answer = world.ask(ASK, token)
    assert (answer.status_code, "was revoked" in answer.get_data(as_text=True)) == (401, True)


def test_the_library_tells_of_the_own_team_alone(world: World) -> None:
    """On Neo4j; a folder says that it has no Cypher."""
    ask = "query ($n: String!, $p: Attributes) { namedQuery(name: $n, parameters: $p) { rows } }"
    ours = world.tokens["ours"]
    cases: list[tuple[str, dict[str, Any], str | None]] = [
        ("workloads_by_team", {}, None), ("newest_traces_of_team", {"team": "nlp"}, None),
        ("workloads_by_team", {"team": "ads"}, "FORBIDDEN"), ("newest_traces_of_team", {"team": "ads"}, "FORBIDDEN"),
        ("longest_operators", {"trace": "gpt"}, None), ("longest_operators", {"trace": THEIRS}, "NOT_FOUND"),
        ("operator_count_difference", {"trace": "gpt", "other": "zeta-model"}, "NOT_FOUND"),
    ]  # fmt: skip
    for name, parameters, code in cases:
        answer = world.ask(ask, ours, n=name, p=parameters)
        found = answer.json
        assert found is not None
        if world.store.url.startswith("file:"):
            code = "BAD_USER_INPUT"
        if code is not None:
            assert found["errors"][0]["extensions"]["code"] == code, name
        else:
            assert found["data"]["namedQuery"]["rows"], name
            assert not [secret for secret in SECRETS if secret in json.dumps(found)]


@pytest.mark.parametrize("name", library.names())
def test_every_query_of_the_library_is_of_traces_or_of_a_team(name: str) -> None:
    query = library.load(name)
    traces = dict.fromkeys(query.traces, OURS)
    checked = check_cypher(query.text, traces, "nlp", lambda trace_id: trace_id == OURS)
    assert checked == traces | ({TEAM: "nlp"} if TEAM in [each.name for each in query.parameters] else {})
    for lacking in query.traces:
        for value in (None, THEIRS, "gpt", [OURS]):
            with pytest.raises(NotFound):
                check_cypher(query.text, traces | {lacking: value}, "nlp", lambda trace_id: trace_id == OURS)


def test_other_cypher_is_refused() -> None:
    for text in ("MATCH (n) RETURN n", library.load("longest_operators").text + " ", PROBE + " "):
        with pytest.raises(Forbidden):
            check_cypher(text, {}, "nlp", lambda trace_id: True)
    with pytest.raises(Forbidden):
        view_of(None, Viewer("root", scopes=frozenset(SCOPES))).cypher("CREATE (n)", write=True)  # type: ignore[arg-type]


Call = Callable[[TeamStore], Any]
CALLS: dict[str, Call] = {
    "among": lambda view: view.among(None),
    "artefact_schema": lambda view: view.artefact_schema(THEIRS, "simulation", "x"),
    "artefacts": lambda view: view.artefacts(THEIRS),
    "attributes": lambda view: view.attributes([(THEIRS, 0)]),
    "count_rows": lambda view: view.count_rows([RowsRequest(THEIRS, "operators")]),
    "cypher": lambda view: view.cypher(library.load("longest_operators").text, {"trace": THEIRS}),
    "find": lambda view: view.find(THEIRS),
    "get_artefact": lambda view: view.get_artefact(THEIRS, "simulation", "x"),
    "health": lambda view: view.health(),
    "label": lambda view: view.label(THEIRS, "k", "v"),
    "load": lambda view: view.load(THEIRS),
    "neighbours": lambda view: view.neighbours([NeighboursRequest(THEIRS, 0)]),
    "publish": lambda view: view.publish(trace("f"), workload="zeta-model"),
    "put_artefact": lambda view: view.put_artefact(THEIRS, "simulation", "x", TABLE),
    "remove_artefact": lambda view: view.remove_artefact(THEIRS, "simulation", "x"),
    "put_validation": lambda view: view.put_validation(THEIRS, "x", OURS, SCORE),
    "records": lambda view: view.records,
    "remove": lambda view: view.remove(THEIRS),
    "rows": lambda view: view.rows([RowsRequest(OURS, "operators"), RowsRequest(THEIRS, "operators")]),
    "simulations_of": lambda view: view.simulations_of("zeta-model"),
    "sweep": lambda view: view.sweep(),
    "tag": lambda view: view.tag(THEIRS, "x"),
    "traces": lambda view: view.traces(workload="zeta-model", team="ads", labels={"codename": "omega"}),
    "untag": lambda view: view.untag("zeta-model", "hushe"),
    "validations": lambda view: view.validations(THEIRS),
    "verify": lambda view: view.verify(),
    "workloads": lambda view: view.workloads("ads"),
}
"""How each method of a store would come by another team's trace."""
NEUTRAL = {"url", "close", "__enter__", "__exit__"}
LISTS = {"simulations_of", "traces", "workloads"}


def test_every_method_of_a_store_is_thought_of() -> None:
    own = {"__enter__", "__exit__"}
    methods = {name for name in vars(Store) if not name.startswith("_") or name in own}
    assert methods - NEUTRAL == set(CALLS)
    assert methods <= set(vars(TeamStore)), "methods that a view has not of its own"
    assert not hasattr(TeamStore, "__getattr__")
    for name in methods - {"url", "records"}:
        assert (
            inspect.signature(getattr(Store, name)) == inspect.signature(getattr(TeamStore, name)) or name == "cypher"
        )


@pytest.mark.parametrize("name", CALLS)
def test_a_store_gives_and_changes_nothing_of_another_team(two_teams: Store, name: str) -> None:
    before = two_teams.traces()
    if name in LISTS:
        assert CALLS[name](view_of(two_teams, viewer("nlp"))) == []
    else:
        with pytest.raises((NotFound, Forbidden)) as told:
            CALLS[name](view_of(two_teams, viewer("nlp")))
        message = str(told.value)
        for given in (THEIRS, THEIRS[:12], "zeta-model"):
            message = message.replace(given, "")
        assert not [secret for secret in SECRETS if secret in message]
    with pytest.raises(Forbidden, match=r"needs the scope|no other views"):
        CALLS[name](view_of(two_teams, Viewer("nothing", "ads", frozenset())))
    assert two_teams.traces() == before


@pytest.fixture(scope="module")
def two_teams(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A store that calls which are refused leave as it is."""
    from etgraph.store import connect

    with connect(tmp_path_factory.mktemp("teams") / "store") as store:
        world_of(store)
        yield store


def test_predictions_of_others_traces_are_not_told(two_teams: Store) -> None:
    """A validation names two traces: who does not see both does not see it."""
    (kept,) = [each.key for each in two_teams.artefacts(OURS) if each.kind == "simulation"]
    two_teams.put_validation(OURS, kept, THEIRS, SCORE)
    two_teams.put_validation(OURS, kept, BOTH, SCORE)
    ours = view_of(two_teams, viewer("nlp")).validations(OURS)
    assert [each.trace for each in ours] == [BOTH]
    assert len(two_teams.validations(OURS)) == 2


def test_references_among_ours_resolve_though_others_have_more(two_teams: Store) -> None:
    """A prefix that means several traces to the store means one to a team."""
    another = replace(build("rank 0 | thread 1 | aten::mm  0..10"), trace_id="a" * 63 + "b")
    two_teams.among(Visible("ads")).publish(another, team="ads")
    with pytest.raises(UsageError):
        two_teams.find("a" * 20)
    assert view_of(two_teams, viewer("nlp")).find("a" * 20).id == OURS
