"""The tests say where their traces come from, and stop when the named place is not there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def collect(**environment: str) -> subprocess.CompletedProcess[str]:
    """Start pytest on this folder, without running a test, in a changed environment."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("ETGRAPH_", "PYTEST_"))}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-p", "no:cacheprovider", str(Path(__file__))],
        cwd=ROOT,
        env=inherited | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_without_a_collection_the_header_says_so() -> None:
    run = collect()
    assert run.returncode == 0, run.stdout + run.stderr
    assert "traces: only the bundled samples" in run.stdout


def test_with_a_collection_the_header_names_it(tmp_path: Path) -> None:
    run = collect(ETGRAPH_TRACES=str(tmp_path))
    assert run.returncode == 0, run.stdout + run.stderr
    assert f"traces: the full collection, {tmp_path}" in run.stdout


@pytest.mark.parametrize("variable", ["ETGRAPH_TRACES", "ETGRAPH_REFERENCE"])
def test_a_folder_that_does_not_exist_stops_the_run(variable: str, tmp_path: Path) -> None:
    run = collect(**{variable: str(tmp_path / "gone")})
    assert run.returncode == pytest.ExitCode.USAGE_ERROR
    assert f"{variable}={tmp_path / 'gone'} is not a folder" in run.stderr


def test_the_traces_exist(traces_dir: Path) -> None:
    assert any(path.is_file() for path in traces_dir.rglob("*.json*"))
