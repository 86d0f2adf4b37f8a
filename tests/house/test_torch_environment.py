"""Tests that record a run come by PyTorch, or fail and say why; they are left out only where that was asked for."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from support import torch_environment

ROOT = Path(__file__).resolve().parents[2]
Command = list[str]


def collect(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Start pytest on the tests of recording, without running one, in a changed environment."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("ETGRAPH_", "PYTEST_"))}
    tests = str(ROOT / "tests" / "ingest" / "test_record.py")
    return subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-p", "no:cacheprovider", *arguments, tests],
        cwd=ROOT,
        env=inherited | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_switched_off_it_is_said_and_only_what_needs_pytorch_is_left_out() -> None:
    run = collect(ETGRAPH_TORCH="off")
    assert run.returncode == 0, run.stdout + run.stderr
    assert "torch: OFF (ETGRAPH_TORCH=off)" in run.stdout
    assert "<Function test_a_plan_names_the_steps>" in run.stdout
    assert "test_both_traces_hold_the_same_operators" not in run.stdout
    assert "test_in_one_process" not in run.stdout


def test_an_interpreter_that_is_not_there_stops_the_run(tmp_path: Path) -> None:
    run = collect(ETGRAPH_TORCH=str(tmp_path / "python"))
    assert run.returncode == pytest.ExitCode.USAGE_ERROR
    assert f"ETGRAPH_TORCH={tmp_path / 'python'}" in run.stderr


class Installer:
    """Stands in for the commands that make an environment; those that hold one of the words fail."""

    def __init__(self, *failing: str) -> None:
        self.failing, self.commands = failing, list[Command]()

    def run(self, command: Command, seconds: float) -> subprocess.CompletedProcess[str]:
        assert seconds < 900  # after which pytest would end the run
        self.commands.append(command)
        failed = any(word in command for word in self.failing)
        return subprocess.CompletedProcess(command, int(failed), "", f"no {command[-1]} to be had" if failed else "")


@pytest.fixture
def with_installer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[Installer], Path]:
    """Has the environment made in an empty folder, by the given installer; the folder."""
    monkeypatch.delenv("ETGRAPH_TORCH", raising=False)
    monkeypatch.setattr(torch_environment, "_have_our_own", lambda: False)
    monkeypatch.setattr(torch_environment, "user_cache_path", lambda name: tmp_path / name)

    def use(installer: Installer) -> Path:
        monkeypatch.setattr(torch_environment, "_run", installer.run)
        return torch_environment.folder()

    return use


def test_it_is_made_once(with_installer: Callable[[Installer], Path]) -> None:
    installer = Installer()
    folder = with_installer(installer)
    folder.mkdir(parents=True)  # half made: without the stamp it is none
    assert torch_environment.header()[0].endswith("to be made when a test asks for it")
    (folder / "bin").mkdir()
    assert torch_environment.obtain().path == folder / "bin" / "python"
    made = len(installer.commands)
    assert any("--clear" in command for command in installer.commands)
    assert torch_environment.header()[0].endswith(str(folder))
    torch_environment.obtain()
    assert len(installer.commands) == made + 1  # only the check that PyTorch can be imported


def test_without_uv_pip_installs_it(with_installer: Callable[[Installer], Path]) -> None:
    installer = Installer("uv")
    with_installer(installer).mkdir(parents=True)
    torch_environment.obtain()
    assert installer.commands[-2][-2:] == [torch_environment.REQUIREMENT, torch_environment.BESIDE]


def test_where_it_cannot_be_had_every_way_is_told(with_installer: Callable[[Installer], Path]) -> None:
    folder = with_installer(Installer("uv", torch_environment.REQUIREMENT))
    with pytest.raises(pytest.fail.Exception, match="no PyTorch for the tests") as caught:
        torch_environment.obtain()
    text = str(caught.value)
    assert "no uv to be had" in text
    assert f"no {torch_environment.BESIDE} to be had" in text
    assert "ETGRAPH_TORCH=off leaves out" in text
    assert not (folder / torch_environment.STAMP).exists()


def test_a_pytorch_that_cannot_be_imported_fails(with_installer: Callable[[Installer], Path]) -> None:
    with_installer(Installer("-c")).mkdir(parents=True)
    with pytest.raises(pytest.fail.Exception, match="has no PyTorch with gloo"):
        torch_environment.obtain()


def test_an_installation_that_does_not_end_fails(
    with_installer: Callable[[Installer], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    with_installer(Installer())

    def hang(command: Command, seconds: float) -> subprocess.CompletedProcess[str]:
        raise subprocess.TimeoutExpired(command, seconds)

    monkeypatch.setattr(torch_environment, "_run", hang)
    with pytest.raises(pytest.fail.Exception, match="the next run goes on from there"):
        torch_environment.obtain()
