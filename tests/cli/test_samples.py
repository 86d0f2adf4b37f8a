"""The commands on the bundled samples and a store: what a user would type, end to end."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from etgraph.ingest import samples

Run = Callable[..., Result]


@pytest.fixture(scope="module")
def sample() -> Path:
    """Five steps of two ranks."""
    return samples.path("gpt_ddp_5steps")


@pytest.fixture(scope="module")
def filled(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with the sample under workload gpt; for tests that only read it."""
    store = tmp_path_factory.mktemp("store")
    command = [sys.executable, "-m", "etgraph.cli", "ingest", str(sample), "--store", str(store), "--workload", "gpt",
               "--label", "gpus=0", "--commit", "9fceb02aa", "--team", "nlp", "-q"]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)
    return store


@pytest.fixture
def own(filled: Path, tmp_path: Path) -> Path:
    """A copy of that store, for a test that changes it."""
    return Path(shutil.copytree(filled, tmp_path / "own"))


def answer(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_a_trace_goes_in_once(etgraph: Run, sample: Path, tmp_path: Path) -> None:
    first = answer(etgraph("ingest", sample, "--store", tmp_path, "--workload", "gpt", "--json"))["traces"][0]
    assert first["ranks"] == [0, 1]
    assert first["workload"] == "gpt"
    assert first["operators"] > 1_000
    assert sum(first["dependencies"].values()) > first["operators"]
    assert len(first["iterations"]) == 5
    assert {file["rank"] for file in first["report"]["files"]} == {0, 1}
    again = answer(etgraph("ingest", sample, "--store", tmp_path, "--workload", "other", "--json"))["traces"][0]
    assert (again["id"], again["workload"]) == (first["id"], "other")
    listed = answer(etgraph("ls", "--store", tmp_path, "--json"))["traces"]
    assert {(info["id"], info["workload"]) for info in listed} == {(first["id"], "gpt"), (first["id"], "other")}


@pytest.mark.parametrize("suffix", ["", "#1-2"])
def test_a_path_and_a_name_give_the_same_answer(etgraph: Run, filled: Path, sample: Path, suffix: str) -> None:
    options = ("--store", filled, "--json", "--segments", "--rank", "1", "--iteration", "2")
    named = answer(etgraph("critical-path", f"gpt{suffix}", *options))
    assert answer(etgraph("critical-path", f"{sample}{suffix}", *options)) == named
    assert named["lengthNs"] == named["windowNs"] == named["endNs"] - named["startNs"]
    assert sum(s["endNs"] - s["startNs"] for s in named["segments"]) == named["windowNs"]
    assert sum(row["ns"] for row in named["byCategory"]) == named["windowNs"]
    assert set(named["segments"][0]) == {
        "rank", "lane", "index", "name", "category", "detail", "startNs", "endNs", "via", "source",
    }  # fmt: skip


@pytest.mark.parametrize("suffix", ["", "#1-2"])
def test_stragglers_of_a_path_and_of_a_name(etgraph: Run, filled: Path, sample: Path, suffix: str) -> None:
    named = answer(etgraph("stragglers", f"gpt{suffix}", "--store", filled, "--json"))
    assert answer(etgraph("stragglers", f"{sample}{suffix}", "--store", filled, "--json")) == named
    assert {row["iteration"] for row in named["collectives"]} == ({1, 2} if suffix else {0, 1, 2, 3, 4})
    assert sum(row["waitCausedNs"] for row in named["byRank"]) == named["waitNs"] > 0


def test_the_model_of_a_path_and_of_a_name(etgraph: Run, filled: Path, sample: Path) -> None:
    options = ("--store", filled, "--model", "--json", "--segments", "--rank", "1", "--iteration", "2")
    named = answer(etgraph("critical-path", "gpt", *options))
    assert answer(etgraph("critical-path", sample, *options)) == named
    assert 0 < named["lengthNs"] <= named["measuredNs"]
    assert sum(s["endNs"] - s["startNs"] for s in named["segments"]) == named["lengthNs"]
    assert sum(band["count"] for band in named["bySlack"]) == len(named["operators"])
    assert {o["rank"] for o in named["operators"]} == {1}
    shown = etgraph("critical-path", "gpt", "--store", filled, "--model").stdout
    assert "have no slack" in shown
    assert shown.splitlines()[-1].startswith("trust: ")
    missing = etgraph("critical-path", "gpt", "--store", filled, "--model", "--iteration", "9")
    assert (missing.exit_code, missing.stdout) == (3, "")


@pytest.mark.parametrize("reference", ["gpt", "gpt@9fceb", "gpt@gpus=0"])
def test_references_of_the_store(etgraph: Run, filled: Path, reference: str) -> None:
    assert answer(etgraph("show", reference, "--store", filled, "--json"))["trace"]["workload"] == "gpt"


def test_a_path_is_not_stored(etgraph: Run, sample: Path, tmp_path: Path) -> None:
    shown = answer(etgraph("show", sample, "--store", tmp_path / "s", "--json"))["trace"]
    assert (shown["created"], shown["workload"]) == (None, None)
    assert shown["id"]
    assert not (tmp_path / "s").exists()


def test_a_part_of_a_trace(etgraph: Run, filled: Path) -> None:
    whole = answer(etgraph("show", "gpt", "--store", filled, "--json"))["trace"]
    part = answer(etgraph("show", "gpt#0,3", "--store", filled, "--json"))["trace"]
    assert [i["index"] for i in part["iterations"]] == [0, 3]
    assert part["id"] == whole["id"]
    assert 0 < part["operators"] < whole["operators"]
    missing = etgraph("show", "gpt#77", "--store", filled)
    assert missing.exit_code == 3
    assert "no iteration 77" in missing.stderr


def test_a_file_whose_name_ends_like_a_suffix(etgraph: Run, sample: Path, tmp_path: Path) -> None:
    odd = tmp_path / "run#1"
    odd.mkdir()
    shutil.copy(sample / "kineto_rank0.json.gz", odd)
    assert answer(etgraph("show", odd, "--json"))["trace"]["ranks"] == [0]
    assert len(answer(etgraph("show", f"{odd}#2", "--json"))["trace"]["iterations"]) == 1


def test_what_nothing_answers_to(etgraph: Run, filled: Path) -> None:
    for reference, words in (("gtp", "gpt"), ("gpt@v9", "tags: none"), ("./gone.json", "no such file")):
        result = etgraph("critical-path", reference, "--store", filled)
        assert (result.exit_code, result.stdout) == (3, "")
        assert words in result.stderr
    assert etgraph("show", "gpt#", "--store", filled).exit_code == 2


def test_names_come_and_go(etgraph: Run, own: Path) -> None:
    store = ("--store", own)
    assert etgraph("tag", "gpt", "baseline", *store).exit_code == 0
    assert answer(etgraph("show", "gpt@baseline", *store, "--json"))["trace"]["tags"] == ["baseline"]
    labelled = answer(etgraph("label", "gpt@baseline", "a=1", "b=2", *store, "--json"))["labelled"][0]
    assert labelled["labels"] == {"gpus": "0", "a": "1", "b": "2"}
    assert answer(etgraph("ls", *store, "--label", "a=1", "--label", "b=2", "--json"))["traces"]
    assert not answer(etgraph("ls", *store, "--label", "a=2", "--json"))["traces"]
    assert etgraph("untag", "gpt@baseline", *store).exit_code == 0
    assert etgraph("show", "gpt@baseline", *store).exit_code == 3
    assert etgraph("untag", "gpt@baseline", *store).exit_code == 3


def test_removing(etgraph: Run, own: Path) -> None:
    assert etgraph("rm", "gpt", "nothing", "--store", own).exit_code == 3
    (info,) = answer(etgraph("ls", "--store", own, "--json"))["traces"]
    gone = answer(etgraph("rm", info["id"][:10], "--store", own, "--json"))
    assert gone == {"removed": [{"id": info["id"], "workload": "gpt"}]}
    assert answer(etgraph("ls", "--store", own, "--json")) == {"traces": []}


def test_the_catalogue_takes_no_paths_and_no_parts(etgraph: Run, own: Path, sample: Path) -> None:
    path = etgraph("rm", sample, "--store", own)
    assert path.exit_code == 3
    assert "not their files" in path.stderr
    part = etgraph("rm", "gpt#1", "--store", own)
    assert part.exit_code == 2
    assert "whole traces" in part.stderr
    assert answer(etgraph("ls", "--store", own, "--json"))["traces"]


def test_each_file_by_itself_and_a_bad_one(etgraph: Run, sample: Path, tmp_path: Path) -> None:
    folder, store = tmp_path / "runs", tmp_path / "store"
    shutil.copytree(sample, folder)
    (folder / "kineto_rank0b.json").write_text('{"traceEvents": [{"ph": ')
    result = etgraph("ingest", folder, "--each", "--workload", "w", "--store", store, "--json")
    assert result.exit_code == 3
    document = json.loads(result.stdout)
    assert [trace["ranks"] for trace in document["traces"]] == [[0], [1]]
    assert [Path(failure["path"]).name for failure in document["failures"]] == ["kineto_rank0b.json"]
    assert "kineto_rank0b.json" in result.stderr
    assert len(answer(etgraph("ls", "--store", store, "--json"))["traces"]) == 2


def test_a_bad_file_alone(etgraph: Run, tmp_path: Path) -> None:
    bad = tmp_path / "bad.json"
    bad.write_text("no trace at all")
    for command in (("ingest", bad, "--store", tmp_path / "s"), ("critical-path", bad)):
        result = etgraph(*command)
        assert (result.exit_code, result.stdout) == (3, "")
        assert "bad.json" in result.stderr
        assert "expected" in result.stderr


def test_doctor_finds_damage(etgraph: Run, own: Path) -> None:
    sound = etgraph("doctor", "--verify", "--store", own, "--json")
    assert sound.exit_code == 0, sound.output
    assert all(check["ok"] for check in json.loads(sound.stdout)["checks"])
    victim = max((path for path in own.rglob("*") if path.suffix == ".arrow"), key=lambda path: path.stat().st_size)
    victim.chmod(0o644)
    content = bytearray(victim.read_bytes())
    content[len(content) // 2] ^= 0xFF
    victim.write_bytes(content)
    assert etgraph("doctor", "--store", own).exit_code == 0
    damaged = etgraph("doctor", "--verify", "--store", own)
    assert damaged.exit_code == 3
    assert "FAIL" in damaged.stdout


def test_doctor_without_a_store_that_works(etgraph: Run, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("no folder")
    result = etgraph("doctor", "--store", file, "--json")
    assert result.exit_code == 4
    assert [check["ok"] for check in json.loads(result.stdout)["checks"]][-1] is False
    assert etgraph("ls", "--store", file).exit_code == 4


def test_the_demo_is_worth_reading(etgraph: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    result = etgraph("demo")
    assert result.exit_code == 0, result.output
    for command in ("$ etgraph ingest", "$ etgraph ls", "$ etgraph show gpt-demo", "$ etgraph critical-path gpt-demo"):
        assert command in result.stdout
    assert "\ntrust: " in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 120
    assert not list(tmp_path.iterdir())


def test_the_demo_in_a_store_that_stays(etgraph: Run, tmp_path: Path) -> None:
    document = answer(etgraph("demo", "--store", tmp_path, "--json"))
    assert set(document) == {"trace", "criticalPath", "stragglers", "simulation", "comparison", "findings"}
    (kept,) = answer(etgraph("ls", "--store", tmp_path, "--json"))["traces"]
    assert kept["id"] == document["trace"]["id"]
