"""`--save` and `--timeout`: an answer is kept beside its trace and given again, and one that takes too long is not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from etgraph.ingest import samples
from etgraph.store import Store, connect
from etgraph.store.local.store import LocalStore

Run = Callable[..., Result]
FILE = samples.path("dlrm_alltoall") / "kineto_rank0.json.gz"


@pytest.fixture
def ask(etgraph: Run, tmp_path: Path) -> Callable[..., Any]:
    """Ask the store that holds one trace, as workload `dlrm`; gives the JSON answer."""
    etgraph("ingest", FILE, "--workload", "dlrm", "--store", tmp_path)

    def asked(*args: str) -> Any:
        result = etgraph(*args, "--store", tmp_path, "--json")
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    return asked


def kept(folder: Path) -> list[tuple[str, str]]:
    store: Store
    with connect(folder) as store:
        return [(each.kind, each.key) for each in store.artefacts(store.find("dlrm").id)]


def test_a_saved_answer_is_given_again_without_the_trace(
    ask: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands = [("critical-path", "dlrm", "--segments"), ("critical-path", "dlrm#0", "--model")]
    fresh = [ask(*command) for command in commands]
    assert kept(tmp_path) == []
    assert [ask(*command, "--save") for command in commands] == fresh
    assert len(kept(tmp_path)) == 2
    monkeypatch.setattr(LocalStore, "load", lambda *_: pytest.fail("the trace was loaded"))
    assert [ask(*command) for command in commands] == fresh
    assert ask("critical-path", "dlrm", "--model", "--iteration", "0") == fresh[1]
    assert ask("critical-path", "dlrm#0", "--model", "--save") == fresh[1]


def test_an_answer_is_kept_only_beside_a_stored_trace(etgraph: Run, tmp_path: Path) -> None:
    result = etgraph("critical-path", FILE, "--save", "--store", tmp_path / "store")
    assert result.exit_code == 2
    assert "takes traces of the store" in result.stderr
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize("name", ["dlrm", str(FILE)], ids=["stored", "path"])
def test_an_analysis_that_takes_too_long_ends(name: str, etgraph: Run, ask: Any, tmp_path: Path) -> None:
    result = etgraph("critical-path", name, "--timeout", "1e-9", "--json", "--store", tmp_path)
    assert result.exit_code == 3
    assert result.stdout == ""
    assert json.loads(result.stderr.splitlines()[-1])["error"]["code"] == "TIMEOUT"
    assert "not done within 1e-09 s" in result.stderr
    assert kept(tmp_path) == []


def test_an_analysis_that_is_done_in_time(ask: Callable[..., Any]) -> None:
    assert ask("critical-path", "dlrm", "--timeout", "600") == ask("critical-path", "dlrm")


@pytest.mark.parametrize("seconds", ["0", "-1", "soon", "nan", "inf", "1e999"])
@pytest.mark.parametrize("asked", [("critical-path", "gpt"), ("cypher", "RETURN 1")], ids=" ".join)
def test_a_timeout_is_a_number_of_seconds(asked: tuple[str, ...], seconds: str, run: Run) -> None:
    result = run(*asked, "--timeout", seconds)
    assert result.exit_code == 2
    assert "--timeout" in result.stderr
