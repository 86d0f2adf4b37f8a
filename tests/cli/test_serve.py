"""`etgraph serve`: what it tells the server, and what the server tells it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from etgraph.api.running import serving
from etgraph.api.settings import Settings
from etgraph.cli.main import main
from etgraph.store import Store


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Settings]]:
    """The stores and settings that were served, instead of serving them."""
    found: list[tuple[str, Settings]] = []

    def serve(store: Store, settings: Settings, *, ready: Any, **_: Any) -> None:
        found.append((store.url, settings))
        ready("http://127.0.0.1:1234")

    monkeypatch.setattr(serving, "serve", serve)
    return found


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["serve", *arguments])


def test_the_address_is_the_answer(served: list[tuple[str, Settings]], tmp_path: Path) -> None:
    done = run("--store", str(tmp_path / "store"))
    assert (done.exit_code, done.stdout) == (0, "http://127.0.0.1:1234\n")
    assert served == [((tmp_path / "store").as_uri(), Settings())]


def test_json_names_the_paths(served: list[tuple[str, Settings]], tmp_path: Path) -> None:
    document = json.loads(run("--json", "--store", str(tmp_path)).stdout)
    assert document["server"] == {
        "url": "http://127.0.0.1:1234",
        "graphql": "http://127.0.0.1:1234/graphql",
        "graphiql": "http://127.0.0.1:1234/graphiql",
    }


def test_options_come_before_the_environment_and_that_before_the_file(
    served: list[tuple[str, Settings]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "server.toml").write_text("port = 1\nthreads = 1\nconnections = 1\n", "utf-8")
    monkeypatch.setenv("ETGRAPH_SERVER_PORT", "2")
    monkeypatch.setenv("ETGRAPH_SERVER_THREADS", "2")
    run("--config", str(tmp_path / "server.toml"), "--port", "3", "--host", "::1", "--store", str(tmp_path / "store"))
    assert served[0][1] == Settings(host="::1", port=3, threads=2, connections=1)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--host", "0.0.0.0"), "without authentication"),
        (("--config", "nowhere.toml"), "nowhere.toml: there is no such file"),
        (("--store", "http://localhost:1"), "this command needs a store of its own"),
    ],
)
def test_what_cannot_be_served_is_told(served: list[tuple[str, Settings]], options: Any, words: str) -> None:
    done = run(*options)
    assert done.exit_code in (2, 3)
    assert words in done.stderr
    assert served == []
