"""`etgraph token` and `etgraph share`: the first token of a server, and what it opens."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from etgraph.api.access import Audit, Tokens, view_of
from etgraph.api.context import Viewer
from etgraph.cli.main import main
from etgraph.model.errors import NotFound
from etgraph.store import connect
from support.teams import OURS, trace


def run(store: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["--store", str(store), *arguments])


def test_a_token_is_made_listed_and_revoked(tmp_path: Path) -> None:
    made = run(tmp_path / "s", "token", "create", "--team", "ops", "--name", "root", "--scope", "admin")
    secret = made.stdout.strip()
    with connect(tmp_path / "s") as store:
        viewer = Tokens(lambda: store.records).viewer(secret)
        (event,) = Audit(lambda: store.records).newest(5)
    assert (event.viewer, event.action, event.arguments["name"]) == ("command line", "createToken", "root")
    assert secret.split("_")[2] not in str(event)
    assert (viewer.name, viewer.team, viewer.scopes) == ("root", "ops", {"admin"})
    (listed,) = json.loads(run(tmp_path / "s", "token", "list", "--json").stdout)["tokens"]
    assert listed["id"] == secret.split("_")[1]
    assert set(listed) == {"id", "name", "team", "scopes", "created", "expires", "revoked", "used"}
    assert run(tmp_path / "s", "token", "list", "-q").stdout == f"{listed['id']}\n"
    assert "root" in run(tmp_path / "s", "token", "list").stdout
    assert run(tmp_path / "s", "token", "revoke", listed["id"]).exit_code == 0
    assert "revoked" in run(tmp_path / "s", "token", "list").stdout


def test_json_has_the_secret_beside_the_token(tmp_path: Path) -> None:
    done = run(
        tmp_path, "token", "create", "--team", "t", "--name", "n", "--scope", "read", "--expires", "4w", "--json"
    )
    document = json.loads(done.stdout)
    assert document["secret"].startswith(f"etg_{document['token']['id']}_")
    assert document["token"]["expires"] > document["token"]["created"]


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("create", "--team", "t", "--name", "n", "--scope", "root"), 2, "found root"),
        (("create", "--team", "everyone", "--name", "n"), 2, "stands for all teams"),
        (("create", "--team", "t", "--name", "n", "--expires", "soon"), 2, "such as 12h, 90d or 4w"),
        (("revoke", "0" * 16), 3, "no token has the id"),
    ],
)  # fmt: skip
def test_what_goes_wrong_is_told(tmp_path: Path, arguments: tuple[str, ...], code: int, told: str) -> None:
    done = run(tmp_path / "s", "token", *arguments)
    assert done.exit_code == code
    assert told in " ".join(done.stderr.split())


def test_a_trace_and_a_workload_are_shared_and_taken_back(tmp_path: Path) -> None:
    with connect(tmp_path / "s") as store:
        store.publish(trace("a"), workload="gpt", team="nlp")
        ads = Viewer("ads", "ads")
        for options in ((), ("--workload",)):
            done = run(tmp_path / "s", "share", "gpt", "--with", "ads", *options, "--json")
            told = {"id": None if options else OURS, "workload": "gpt", "with": "ads"}
            assert json.loads(done.stdout) == {"shared": [told]}
            assert view_of(store, ads).find("gpt").id == OURS
            assert run(tmp_path / "s", "share", "gpt", "--with", "ads", *options, "--undo").exit_code == 0
            with pytest.raises(NotFound):
                view_of(store, ads).find("gpt")
            assert run(tmp_path / "s", "share", "gpt", "--with", "ads", *options, "--undo").exit_code == 3
