"""`etgraph ingest` of folders and archives, in processes, and of what broke off."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from etgraph.ingest import kept, samples
from support.archives import tarred, zipped

Run = Callable[..., Result]


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    """Two ranks of four, and a file that is no trace."""
    folder = tmp_path / "run"
    folder.mkdir()
    for file in samples.path("dlrm_alltoall").glob("kineto_rank[01]*"):
        shutil.copy(file, folder)
    (folder / "notes.txt").write_text("a run")
    return folder


@pytest.fixture
def ranks_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where ranks are kept."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path / "data/etgraph/ranks"


def answer(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)["traces"]


def members(folder: Path) -> dict[str, bytes]:
    return {f"run/{file.name}": file.read_bytes() for file in sorted(folder.iterdir())}


def test_a_folder_and_its_archives_are_one_trace(
    etgraph: Run, run_folder: Path, ranks_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "run.zip").write_bytes(zipped(members(run_folder)))
    (tmp_path / "run.tar").write_bytes(tarred(members(run_folder)))
    store = ("--store", tmp_path / "store", "--json")
    traces = answer(etgraph("ingest", run_folder, "--workers", "2", *store))
    traces += answer(etgraph("ingest", tmp_path / "run.zip", tmp_path / "run.tar", *store))
    assert len({trace["id"] for trace in traces}) == 1
    assert [trace["ranks"] for trace in traces] == [[0, 1]] * 3
    (stored,) = answer(etgraph("ls", "--store", tmp_path / "store", "--json"))
    report = stored["report"]
    assert report["ignored"] == [{"name": "notes.txt", "reason": "text that begins with b'a run'"}]
    assert [file["rankFrom"] for file in report["files"]] == ["metadata"] * 2
    shown = etgraph("show", stored["id"], "--store", tmp_path / "store")
    assert "1 other file left out (notes.txt: text that begins with" in shown.stdout
    assert list(ranks_folder.glob("[0-9a-f]*")) == []


def test_names_that_are_no_utf_8(etgraph: Run, run_folder: Path, ranks_folder: Path, tmp_path: Path) -> None:
    odd = os.fsdecode(b"\xff")
    (run_folder / "kineto_rank0.json.gz").rename(run_folder / f"{odd}rank0.json.gz")
    folder = run_folder.rename(tmp_path / odd)
    store = ("--store", tmp_path / "store")
    for options in (("--each",), ("--workers", "2"), ("--json",)):
        result = etgraph("ingest", folder, *options, *store)
        assert result.exit_code == 0, result.output
    names = [file["name"] for file in answer(result)[0]["report"]["files"]]
    assert names == ["<ff>rank0.json.gz", "kineto_rank1.json.gz"]
    assert etgraph("ls", *store).exit_code == 0
    (folder / f"{odd}rank0.json.gz").write_bytes(b"text")
    failed = etgraph("ingest", folder, "--json", *store)
    assert failed.exit_code == 3
    assert "rank0.json.gz: found text" in failed.stderr


def test_a_question_about_an_archive(etgraph: Run, run_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "run.zip").write_bytes(zipped(members(run_folder)))
    told = [
        json.loads(etgraph("critical-path", path, "--rank", "1", "--json").stdout)
        for path in (run_folder, tmp_path / "run.zip")
    ]
    assert told[0] == told[1]
    missing = etgraph("critical-path", tmp_path / "nothing.tar.gz")
    assert missing.exit_code == 3
    assert "no such file" in missing.stderr


def test_each_member_of_an_archive(etgraph: Run, run_folder: Path, tmp_path: Path) -> None:
    files = members(run_folder) | {"bad.json": b'{"traceEvents": ['}
    (tmp_path / "run.zip").write_bytes(zipped(files))
    result = etgraph("ingest", tmp_path / "run.zip", "--each", "--store", tmp_path / "store", "--json")
    assert result.exit_code == 3
    document = json.loads(result.stdout)
    assert [trace["ranks"] for trace in document["traces"]] == [[0], [1]]
    assert [failure["path"] for failure in document["failures"]] == [f"{tmp_path}/run.zip!bad.json"]


@pytest.mark.parametrize("option", [("--workers", "2"), ("--resume",)])
def test_options_about_ranks_are_wrong_for_single_files(
    etgraph: Run, run_folder: Path, tmp_path: Path, option: tuple[str, ...]
) -> None:
    result = etgraph("ingest", run_folder, "--each", *option, "--store", tmp_path / "store")
    assert result.exit_code == 2
    assert f"{option[0]} with --each" in result.stderr
    assert "with --each every file is read by itself" in result.stderr


def test_what_an_ingest_that_broke_off_had_read(
    etgraph: Run, run_folder: Path, ranks_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = run_folder / "kineto_rank1.json.gz"
    good = bad.read_bytes()
    bad.write_bytes(good[:-100])
    store = ("--store", tmp_path / "store", "--json")
    failed = etgraph("ingest", run_folder, *store)
    assert failed.exit_code == 3
    assert "1 rank that was read is kept: with --resume it is not read again" in failed.stderr
    bad.write_bytes(good)
    seen: list[int] = []
    read_rank = kept.read_rank
    monkeypatch.setattr(kept, "read_rank", lambda task: seen.append(task.files.rank) or read_rank(task))
    (trace,) = answer(etgraph("ingest", run_folder, "--resume", *store))
    assert trace["ranks"] == [0, 1]
    assert seen == [1]
    assert list(ranks_folder.glob("[0-9a-f]*")) == []


def test_an_ingest_that_is_interrupted_tells_what_it_leaves(
    etgraph: Run, run_folder: Path, ranks_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_rank = kept.read_rank

    def interrupted(task: Any) -> Any:
        if task.files.rank == 1:
            raise KeyboardInterrupt
        return read_rank(task)

    store = ("--store", tmp_path / "store")
    with monkeypatch.context() as patch:
        patch.setattr(kept, "read_rank", interrupted)
        result = etgraph("ingest", run_folder, *store)
    assert result.exit_code == 130
    assert "interrupted\nhint: 1 rank that was read is kept: with --resume it is not read again" in result.stderr
    # What another reading left says nothing of one that came to no rank.
    (run_folder / "kineto_rank0.json.gz").write_bytes(b"text")
    failed = etgraph("ingest", run_folder, *store)
    assert failed.exit_code == 3
    assert "--resume" not in failed.stderr


def test_contradictions_are_errors_of_data(etgraph: Run, run_folder: Path, tmp_path: Path) -> None:
    shutil.copy(run_folder / "kineto_rank0.json.gz", run_folder / "again.json.gz")
    result = etgraph("ingest", run_folder, "--store", tmp_path / "store")
    assert result.exit_code == 3
    assert "rank 0 twice: again.json.gz and kineto_rank0.json.gz" in result.stderr
    assert "--each" in result.stderr
