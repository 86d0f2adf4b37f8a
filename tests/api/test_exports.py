"""Exports over HTTP: what `etgraph export` writes, as a file with the right type and name; nothing is left behind."""

from __future__ import annotations

import io
import json
import tarfile
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from etgraph.api.context import Viewer
from etgraph.api.http import exports
from etgraph.cli.local import LocalSession
from etgraph.ingest.writers import FOLDERS, WRITERS
from etgraph.model import cancelling
from etgraph.store import Store, connect
from support.api import application, serving
from support.read_samples import sample


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with connect(tmp_path_factory.mktemp("exports") / "store") as opened:
        opened.publish(sample("dlrm_alltoall"), workload="team/dlrm", team="ads")
        yield opened


@pytest.fixture
def app(store: Store) -> Flask:
    return application(store)


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files go."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def export(app: Flask, format: str | None = None, reference: str = "team/dlrm", **headers: str) -> TestResponse:
    with app.test_client() as client:
        query = {} if format is None else {"format": format}
        return client.get(f"/api/v1/traces/{reference}/export", query_string=query, headers=headers, buffered=True)


def code_in(response: TestResponse) -> str:
    assert response.json is not None
    return str(response.json["errors"][0]["extensions"]["code"])


@pytest.mark.parametrize("format", WRITERS)
def test_an_export_is_what_the_command_line_writes(store: Store, app: Flask, temporary: Path, format: str) -> None:
    sent = export(app, format)
    assert sent.status_code == 200
    target = temporary / "expected"
    with LocalSession(store.url) as session:
        session.export("team/dlrm", target, format)
    body = sent.get_data()
    assert len(body) == sent.content_length
    name = f"team-dlrm-{store.find('team/dlrm').id[:12]}"
    if format in FOLDERS:
        ending, media = ".tar", "application/x-tar"
        with tarfile.open(fileobj=io.BytesIO(body)) as tar:
            found = {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]
        expected = {
            path.relative_to(target).as_posix(): path.read_bytes() for path in target.rglob("*") if path.is_file()
        }
        assert found == expected
    else:
        ending, media = exports.ENDINGS[format]
        assert body == target.read_bytes()
    assert sent.headers["Content-Type"] == media
    assert sent.headers["Content-Disposition"] == f'attachment; filename="{name}{ending}"'
    assert [path.name for path in temporary.iterdir() if path != target] == []


def test_iterations_are_chosen_in_the_reference(app: Flask) -> None:
    whole = json.loads(export(app, "networkx").get_data())
    part = json.loads(export(app, "networkx", "team/dlrm%230").get_data())
    assert 0 < len(part["nodes"]) < len(whole["nodes"])


@pytest.mark.parametrize(
    ("format", "reference", "status", "code"),
    [
        (None, "team/dlrm", 400, "BAD_USER_INPUT"),
        ("pickle", "team/dlrm", 400, "BAD_USER_INPUT"),
        ("chrome", "nothing", 404, "NOT_FOUND"),
        ("chrome", "../../etc/passwd", 404, "NOT_FOUND"),
        ("chrome", "team/dlrm%2399", 422, "BAD_USER_INPUT"),
    ],
)
def test_what_cannot_be_exported_is_told(
    app: Flask, temporary: Path, format: str | None, reference: str, status: int, code: str
) -> None:
    refused = export(app, format, reference)
    assert (refused.status_code, code_in(refused)) == (status, code)
    assert list(temporary.iterdir()) == []


def test_an_export_has_its_size_and_its_time(store: Store, temporary: Path) -> None:
    large = export(application(store, limits={"export_bytes": 1000}), "chrome")
    assert (large.status_code, code_in(large)) == (400, "COST_EXCEEDED")
    slow = export(application(store, limits={"export_time_ns": 1}), "chrome")
    assert (slow.status_code, code_in(slow)) == (504, "TIMEOUT")
    assert list(temporary.iterdir()) == []


def test_not_many_at_once(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    inside, go_on = threading.Semaphore(0), threading.Event()

    def held(*arguments: Any, **choices: Any) -> None:
        inside.release()
        assert go_on.wait(30)
        cancelling.check()

    monkeypatch.setattr(exports, "write", held)
    threads = [threading.Thread(target=export, args=(app, "dot")) for _ in range(exports.AT_ONCE)]
    for thread in threads:
        thread.start()
    for _ in threads:
        assert inside.acquire(timeout=30)
    busy = export(app, "dot")
    go_on.set()
    for thread in threads:
        thread.join()
    assert (busy.status_code, busy.headers["Retry-After"]) == (503, "5")
    monkeypatch.undo()
    assert export(app, "dot").status_code == 200


def test_a_team_exports_what_it_sees(store: Store) -> None:
    def viewer_of(request: Any) -> Viewer:
        return Viewer("t", request.headers["X-Team"], frozenset(request.headers["X-Scopes"].split()))

    app = application(store, viewer_of=viewer_of)
    asked = {"X-Team": "ads", "X-Scopes": "read"}
    assert export(app, "dot", **asked).status_code == 200
    assert export(app, "dot", **(asked | {"X-Team": "nlp"})).status_code == 404
    assert export(app, "dot", **(asked | {"X-Scopes": "ingest"})).status_code == 403


def test_a_real_server_sends_it_whole(app: Flask, temporary: Path) -> None:
    import urllib.request

    with serving(app) as url, urllib.request.urlopen(f"{url}/api/v1/traces/team/dlrm/export?format=chrome") as sent:
        assert json.load(sent)["traceEvents"]
    assert list(temporary.iterdir()) == []
