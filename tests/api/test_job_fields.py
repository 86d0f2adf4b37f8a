"""Jobs in GraphQL: listed, looked at, cancelled, and made by simulations that are to be kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from etgraph.api.access import SCOPES, view_of
from etgraph.api.context import Viewer
from etgraph.api.jobs.job import Job
from etgraph.api.jobs.queue import Queue
from etgraph.model.results import to_json
from etgraph.store import Store, connect
from support.api import application
from support.asking import Ask, CountingStore, asking
from support.build import build
from support.uploading import do_all, job, job_in, kineto, send

EVERYTHING = frozenset({"read", "ingest", "simulate"})
OF_JSON = """id kind state team by created started ended step done total attempts cancelling input traceIds simulation
    error { code message hint file } failures { code message hint file }"""
"""Every field that a job has in JSON."""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with connect(tmp_path / "store") as opened:
        yield opened


@pytest.fixture
def ask(store: Store) -> Ask:
    return asking(store)


def data(found: Any) -> Any:
    assert not found.errors, found.errors
    return found.data


def upload(store: Store, name: str, **fields: Any) -> str:
    """The id of a job for a small file that was uploaded."""
    found: str = job_in(send(application(store), {f"{name}.json": kineto(name)}, **fields))["id"]
    return found


def test_a_job_has_the_fields_of_its_json(store: Store, ask: Ask) -> None:
    done = upload(store, "a", workload="w")
    send(application(store), {"b.json": b"[]", "c.json": kineto("c")}, each="true")
    do_all(store)
    nodes = data(ask(f"{{ jobs {{ nodes {{ {OF_JSON} }} }} }}"))["jobs"]["nodes"]
    assert nodes == [to_json(each) for each in Queue(store.records).page()]
    assert set(nodes[0]) == set(to_json(job(store, done)))
    found = data(ask(f'{{ job(id: "{done}") {{ traces {{ id workload }} }} node(id: "{done}") {{ __typename id }} }}'))
    assert found["job"]["traces"] == [{"id": job(store, done).trace_ids[0], "workload": "w"}]
    assert found["node"] == {"__typename": "Job", "id": done}


def test_jobs_a_page_at_a_time_with_one_look_at_the_catalogue(store: Store) -> None:
    ids = [upload(store, name) for name in "abcde"]
    do_all(store)
    counting = CountingStore(store)
    ask = asking(counting)
    query = """query ($after: String) { jobs(first: 2, after: $after, state: done, kind: ingest) {
        nodes { id traces { id } } pageInfo { hasNextPage hasPreviousPage endCursor } } }"""
    found, after = list[str](), None
    for pages in (1, 2, 3):
        page = data(ask(query, after=after))["jobs"]
        found += [each["id"] for each in page["nodes"]]
        after = page["pageInfo"]["endCursor"]
        assert page["pageInfo"]["hasNextPage"] is (pages < 3)
        assert page["pageInfo"]["hasPreviousPage"] is (pages > 1)
    assert found == sorted(ids, reverse=True)
    assert counting.calls["traces"] == 3
    assert counting.calls["find"] == 0
    (error,) = ask(query.replace("done", "failed"), after=after).errors
    assert "is of another list" in error.message


def test_jobs_are_those_of_the_team(store: Store) -> None:
    queue = Queue(store.records)
    ids = {
        team: queue.add("ingest", {"files": []}, Viewer("x", team), job_id=f"{number:024x}").id
        for number, team in enumerate(["nlp", "ads", None])
    }

    def seen(**viewer: Any) -> list[str]:
        found = data(asking(store, **viewer)("{ jobs { nodes { id } } }"))
        return [each["id"] for each in found["jobs"]["nodes"]]

    assert seen(team="nlp", scopes=EVERYTHING) == [ids["nlp"]]
    assert seen(scopes=EVERYTHING) == [ids[None]]
    assert len(seen(team="nlp", scopes=EVERYTHING | {"admin"})) == 3
    for query in (f'{{ job(id: "{ids["ads"]}") {{ id }} }}', f'{{ node(id: "{ids["ads"]}") {{ id }} }}'):
        (error,) = asking(store, team="nlp", scopes=EVERYTHING)(query).errors
        assert error.original_error.code == "NOT_FOUND"
    (error,) = asking(store, scopes=frozenset())("{ jobs { nodes { id } } }").errors
    assert error.original_error.code == "FORBIDDEN"


CANCEL = "mutation ($id: ID!) { cancelJob(id: $id) { __typename ... on CancelJobSuccess { job { state } } } }"


def test_a_job_is_cancelled(store: Store, ask: Ask) -> None:
    waits = upload(store, "a")
    assert data(ask(CANCEL, id=waits))["cancelJob"]["job"] == {"state": "cancelled"}
    assert data(ask(CANCEL, id="f" * 24))["cancelJob"]["__typename"] == "NotFoundError"
    other = upload(store, "b")
    others = asking(store, scopes={"read", "simulate"})
    assert data(others(CANCEL, id=other))["cancelJob"]["__typename"] == "ForbiddenError"
    assert job(store, other).state == "queued"


SIMULATE = """mutation ($wait: Boolean!, $profile: String) {
  simulate(reference: "w", save: true, wait: $wait, profile: $profile) {
    __typename ... on Error { message code }
    ... on SimulateSuccess { simulation { id } job { id state simulation traceIds } } } }"""


@pytest.fixture
def trace(store: Store) -> str:
    return store.publish(replace(build("rank 0 | thread 1 | aten::mm 0..10"), trace_id="a" * 64), workload="w")


def test_a_simulation_that_is_kept_is_a_job(store: Store, ask: Ask, trace: str) -> None:
    found = data(ask(SIMULATE, wait=False))["simulate"]
    assert found["simulation"] is None
    assert found["job"] == {"id": found["job"]["id"], "state": "queued", "simulation": None, "traceIds": []}
    assert data(ask(SIMULATE, wait=False))["simulate"]["job"]["id"] == found["job"]["id"]
    do_all(store)
    done = job(store, found["job"]["id"])
    (kept,) = store.artefacts(trace)
    assert (done.state, done.simulation, done.trace_ids) == ("done", kept.key, (trace,))


def test_whoever_waits_too_long_gets_the_job_as_it_is(
    store: Store, trace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from etgraph.api.fetch import jobs as fetched

    monkeypatch.setattr(fetched, "_MOST_SECONDS", 0.0)
    found = data(asking(store)(SIMULATE, wait=True))["simulate"]
    assert (found["simulation"], found["job"]["state"]) == (None, "queued")


def test_what_a_simulation_lacks_is_an_outcome(store: Store, trace: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from etgraph.api.fetch import jobs as fetched
    from etgraph.api.jobs.job import JobError

    def ended(queue: Queue, job: Job, seconds: float) -> Job:
        return replace(job, state="failed", error=JobError(code, "no times"))

    monkeypatch.setattr(fetched, "_waited_for", ended)
    code = "MISSING_DATA"
    found = data(asking(store)(SIMULATE, wait=True))["simulate"]
    assert found == {"__typename": "MissingDataError", "message": "no times", "code": "MISSING_DATA"}
    code = "WORKER_DIED"
    (error,) = asking(store)(SIMULATE, wait=True).errors
    assert (error.original_error.code, error.message) == ("JOB_FAILED", "no times")


def test_simulations_need_their_scope(store: Store, trace: str) -> None:
    found = data(asking(store, scopes={"read"})(SIMULATE, wait=False))["simulate"]
    assert (found["__typename"], Queue(store.records).page()) == ("ForbiddenError", [])


def test_a_simulation_is_kept_beside_ones_own_traces(store: Store, trace: str) -> None:
    store.publish(replace(build("rank 0 | thread 1 | aten::mm 0..9"), trace_id="b" * 64), workload="own", team="nlp")
    view_of(store, Viewer("a", None, frozenset(SCOPES))).share("w", "nlp")
    ask = asking(store, team="nlp", scopes=EVERYTHING)
    found = data(ask(SIMULATE.replace('"w"', '"own"'), wait=False))["simulate"]
    do_all(store)
    assert job(store, found["job"]["id"]).state == "done"
    assert data(ask(SIMULATE, wait=False))["simulate"]["__typename"] == "ForbiddenError"
    assert (len(Queue(store.records).page()), store.artefacts(trace)) == (1, [])


def test_a_trace_that_is_shared_no_more_is_not_simulated(store: Store, trace: str) -> None:
    stale = Queue(store.records).add(
        "simulate", {"trace": trace, "profile": None}, Viewer("a", "nlp", frozenset(EVERYTHING))
    )
    do_all(store)
    failed = job(store, stale.id).error
    assert failed is not None
    assert (failed.code, store.artefacts(trace)) == ("NOT_FOUND", [])
