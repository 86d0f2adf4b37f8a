"""`etgraph check` and `etgraph history` say the same of a folder, of Neo4j, and of a server over either."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner

from etgraph.api.http.app import create_app
from etgraph.api.running.serving import the_schema
from etgraph.cli.main import main
from etgraph.store import Store, connect
from support.api import serving
from support.emptying import emptied
from support.steps import steps

RULES = """
[[rules]]
id = "collectives"
metric = 'sum(changes[kind="collective"].added)'
budget = {max = 0}

[[rules]]
id = "time"
metric = "iterations.durationNs"
regression = {max_increase = "5%"}

[[rules]]
id = "in-a-row"
metric = "iterations.durationNs"
budget = {max = "115 us"}
for = 2
level = "warn"
"""
CALLS = {
    "gpt": 0,
    "gpt --rules RULES --baseline gpt@baseline": 1,
    "gpt --rules RULES --baseline branch:main": 1,
    "gpt --rules RULES --baseline branch:main --json": 1,
    "gpt --rules RULES --baseline last:2:main": 1,
    "gpt --rules RULES --baseline last:9": 1,
    "gpt@baseline gpt@which=1 --rules RULES --baseline gpt@which=2 --baseline gpt@which=3 --output junit": 0,
    "gpt#0 --rules RULES --baseline gpt#1,2 --output markdown": 0,
    "gpt --rules RULES --baseline branch:none": 3,
    "gpt --rules RULES --baseline last:0": 2,
    "gpt --rules RULES": 2,
    "gpt --rules RULES --baseline gpt": 3,
    "dlrm --rules RULES --baseline branch:main --workload gpt": 3,
    "none --rules RULES --baseline gpt": 3,
}
HISTORIES = ("gpt iterations.durationNs", "gpt 'commMatrix.bytes' --branch main --json", "none iterations.durationNs")


_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d)?(?:\.\d+)?Z?")


@dataclass(frozen=True)
class Stores:
    """What `--store` says for a store itself, and for a server over it."""

    own: str
    server: str

    def call(self, store: str, words: list[str]) -> tuple[int, str, str]:
        """Exit code, answer and message, without the store's name and the moments at which traces were stored."""
        found = CliRunner().invoke(main, [*words, "--store", store], prog_name="etgraph")
        said = (_MOMENT.sub("MOMENT", text).replace(store, "STORE") for text in (found.stdout, found.stderr))
        return found.exit_code, *said


def filled(store: Store) -> None:
    """Four runs of main, and one of another branch with an all-gather more; and another workload."""
    for number in range(4):
        trace = steps([100_000 + 100 * number, 100_000, 101_000])
        store.publish(trace, workload="gpt", branch="main", labels={"which": str(number)})
    store.tag("gpt@which=0", "baseline")
    store.publish(steps([120_000] * 3, extra="gloo:all_gather 8MB"), workload="gpt", branch="work")
    store.publish(steps([90_000] * 3), workload="dlrm", branch="main")


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> Callable[[list[str]], tuple[int, str, str]]:
    """What etgraph says of a folder."""
    folder = tmp_path_factory.mktemp("expected") / "store"
    with connect(folder) as store:
        filled(store)
    return lambda words: Stores(str(folder), "").call(str(folder), words)


@pytest.fixture(scope="module", params=["local", pytest.param("neo4j", marks=pytest.mark.neo4j)])
def stores(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stores]:
    """A store of each kind, and a server over it."""
    with emptied(request, tmp_path_factory.mktemp("everywhere")) as store:
        filled(store)
        with serving(create_app(store, the_schema())) as url:
            yield Stores(store.url.removeprefix("file://"), url)


@pytest.mark.parametrize("call", [*(f"check {call}" for call in CALLS), *(f"history {call}" for call in HISTORIES)])
def test_the_same_is_said_everywhere(
    expected: Callable[[list[str]], tuple[int, str, str]], stores: Stores, tmp_path: Path, call: str
) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text(RULES, "utf-8")
    words = [str(rules) if word == "RULES" else word for word in shlex.split(call)]
    found = expected(words)
    assert found[0] == CALLS.get(call.removeprefix("check "), 3 if "none" in call else 0), found
    assert stores.call(stores.own, words) == found
    assert stores.call(stores.server, words) == found
