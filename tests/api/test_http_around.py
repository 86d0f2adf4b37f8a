"""What lies around GraphQL: the page, health, figures and logs."""

from __future__ import annotations

import io
import json
import logging
import re
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from etgraph.api.http import logs, pages
from etgraph.store import Check, Store
from support.api import application, get, post


def fetch(app: Any, path: str) -> Any:
    with app.test_client() as client:
        return client.get(path)


def figures(app: Any) -> dict[tuple[str, ...], float]:
    """What `/metrics` says: values by name and labels."""
    text = fetch(app, "/metrics").data.decode()
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_health_and_readiness(gpt: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    app = application(gpt)
    assert [fetch(app, path).status_code for path in ("/healthz", "/readyz")] == [200, 200]
    monkeypatch.setattr(type(gpt), "health", lambda store: [Check("folder", False, "gone")])
    answer = fetch(app, "/readyz")
    assert (answer.status_code, answer.data) == (503, b"not ready: folder\n")
    assert fetch(app, "/healthz").status_code == 200


def test_figures_count_requests_errors_and_kept_answers(gpt: Store) -> None:
    app = application(gpt)
    for document in ('{ trace(reference: "gpt") { id } }',) * 3 + ("{ nothing }", "{ defect }"):
        post(app, document)
    found = figures(app)
    assert found["etgraph_http_requests_total", "graphql", "200"] == 4
    assert found["etgraph_http_requests_total", "graphql", "400"] == 1
    assert found["etgraph_http_request_seconds_count", "graphql"] == 5
    assert found["etgraph_graphql_errors_total", "BAD_USER_INPUT"] == 1
    assert found["etgraph_graphql_errors_total", "INTERNAL"] == 1
    assert found["etgraph_answers_total", "executed"] == 2
    assert found["etgraph_answers_total", "kept"] == 2
    assert found["etgraph_http_requests_in_flight",] == 1  # the one that asks


def test_names_that_clients_choose_are_no_figures(gpt: Store) -> None:
    app = application(gpt)
    for number in range(20):
        fetch(app, f"/nothing/{number}")
    assert [key for key in figures(app) if "nothing" in str(key)] == []


def test_a_request_is_one_line_of_json(gpt: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    with logs.to_stderr():
        answer = post(application(gpt), "query Greet { hello }")
        get(application(gpt), "{ defect }")
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert lines[0] | {"time": "", "ms": 0} == {
        "time": "",
        "level": "info",
        "event": "request",
        "requestId": answer.headers["X-Request-Id"],
        "method": "POST",
        "path": "/graphql",
        "status": 200,
        "ms": 0,
        "bytes": len(answer.data),
        "viewer": "local",
        "document": lines[0]["document"],
        "operation": "Greet",
        "type": "query",
        "kept": False,
        "cost": 1,
    }
    assert [line["event"] for line in lines] == ["request", "defect", "request"]
    assert "ValueError: the password is hunter2" in lines[1]["traceback"]
    assert lines[2]["codes"] == ["INTERNAL"]
    assert lines[1]["requestId"] == lines[2]["requestId"]


def test_quiet_logs_tell_of_trouble_alone(gpt: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    with logs.to_stderr(quiet=True):
        post(application(gpt), "{ hello defect }")
    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == ["defect"]
    assert logging.getLogger("etgraph.api").handlers == []


@pytest.fixture
def fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with stand-ins of the page's files."""
    for name in pages.FILES:
        (tmp_path / name).write_text(f"/* {name} */", "utf-8")
    monkeypatch.setattr(pages, "FOLDER", tmp_path)
    return tmp_path


def test_the_page_asks_nobody_but_this_server(gpt: Store, fetched: Path) -> None:
    app = application(gpt)
    page = fetch(app, "/graphiql")
    assert page.status_code == 200
    named = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(named) == 5
    for name in named:
        answer = fetch(app, f"/{name}")
        assert answer.status_code == 200
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "http" not in policy
    assert "script-src 'self';" in policy
    assert "://" not in page.text


def test_files_of_the_page_are_not_sent_again(gpt: Store, fetched: Path) -> None:
    app = application(gpt)
    with app.test_client() as client:
        tag = client.get("/graphiql/graphiql.min.js").headers["ETag"]
        assert client.get("/graphiql/graphiql.min.js", headers={"If-None-Match": tag}).status_code == 304


@pytest.mark.parametrize("name", ["lock.sha256", "..%2fapp.py", "../app.py", "graphiql.html", "nothing.js"])
def test_no_other_file_is_sent(gpt: Store, fetched: Path, name: str) -> None:
    assert fetch(application(gpt), f"/graphiql/{name}").status_code == 404


def test_without_its_files_the_page_says_how_to_come_by_them(
    gpt: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "FOLDER", tmp_path)
    answer = fetch(application(gpt), "/graphiql")
    assert answer.status_code == 503
    assert "make graphiql" in answer.text


def test_the_root_leads_to_the_page(gpt: Store) -> None:
    answer = fetch(application(gpt), "/")
    assert (answer.status_code, answer.headers["Location"]) == (302, "graphiql")
