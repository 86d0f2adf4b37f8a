"""Rules and alerts of a server, as those see and change them whom it knows by their tokens."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from etgraph.api.access import Tokens
from etgraph.api.http.app import create_app
from etgraph.api.running.serving import the_schema
from etgraph.api.settings import Settings
from etgraph.cli.main import main
from etgraph.store import connect
from support.api import serving
from support.build import build
from support.uploading import working

FEW = """
[[rules]]
id = "operators"
metric = "sum(structure.operators.count)"
budget = {max = 0}
"""
WHO = {
    "ada": ("nlp", ("read", "alert")),
    "bo": ("nlp", ("read",)),
    "cy": ("ads", ("read", "alert")),
    "root": ("ops", ("admin",)),
}
"""Teams and scopes of tokens."""


class People:
    """Calls etgraph on a server as one of several people."""

    def __init__(self, url: str, secrets: dict[str, str], file: Path) -> None:
        self.url, self.secrets, self.file = url, secrets, file

    def __call__(self, who: str, *arguments: str, code: int = 0) -> Result:
        words = [str(self.file) if each == "FEW" else each for each in arguments]
        environment = {"ETGRAPH_TOKEN": self.secrets[who]}
        found = CliRunner().invoke(main, [*words, "--store", self.url], prog_name="etgraph", env=environment)
        assert found.exit_code == code, found.output + found.stderr
        return found


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Iterator[People]:
    folder = tmp_path_factory.mktemp("people")
    (folder / "few.toml").write_text(FEW)
    with connect(folder / "store") as store, working(store):
        tokens = Tokens(lambda: store.records)
        secrets = {who: tokens.create(who, team, scopes).secret for who, (team, scopes) in WHO.items()}
        store.publish(build("rank 0 | thread 1 | aten::mm 0..10"), workload="gpt", team="nlp")
        settings = Settings(authentication="tokens")
        with serving(create_app(store, the_schema(), settings)) as url:
            yield People(url, secrets, folder / "few.toml")


def test_rules_and_alerts_are_those_of_the_tokens_team(people: People) -> None:
    kept = json.loads(people("ada", "rules", "push", "few", "FEW", "--json").stdout)["ruleSet"]
    assert (kept["team"], kept["by"]) == ("nlp", "ada")
    people("root", "rules", "push", "few", "FEW", "--team", "ads")
    assert "found those of several teams (ads, nlp)" in people("root", "rules", "show", "few", code=2).stderr
    assert people("bo", "rules", "show", "few").stdout == FEW
    assert "by rules few: regressed (1 broken)" in people("ada", "alerts", "evaluate", "gpt").stdout
    (alert,) = people("bo", "alerts", "list", "-q").stdout.split()
    assert people("root", "alerts", "list", "-q").stdout.split() == [alert]
    assert people("cy", "alerts", "list", "-q").stdout == ""
    assert "no alert" in people("cy", "alerts", "show", alert, code=3).stderr
    for arguments in (
        ("acknowledge", alert),
        ("silence", "--rule", "*", "--reason", "r", "--for", "1d"),
        ("evaluate", "gpt"),
    ):
        assert "alert" in people("bo", "alerts", *arguments, code=4).stderr
    assert (
        "of team nlp, and of no other" in people("ada", "rules", "push", "few", "FEW", "--team", "ads", code=4).stderr
    )
    people("root", "alerts", "acknowledge", alert, "--note", "on it")
    assert "by root" in people("bo", "alerts", "show", alert).stdout
    people("ada", "rules", "remove", "few")
    assert "the rules few were removed" in people("bo", "alerts", "show", alert).stdout
    assert people("cy", "rules", "list", "-q").stdout == "few\n"
