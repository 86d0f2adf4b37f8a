"""Tests that open pages have a browser, or fail and say why; they are left out only where that was asked for."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from support import browser

ROOT = Path(__file__).resolve().parents[2]


def collect(**environment: str) -> subprocess.CompletedProcess[str]:
    """Start pytest on the tests of pages, without running one, in a changed environment."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("ETGRAPH_", "PYTEST_"))}
    tests = [str(ROOT / "tests" / "queries" / name) for name in ("test_pages.py", "test_hotspots.py")]
    return subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-p", "no:cacheprovider", *tests],
        cwd=ROOT,
        env=inherited | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_switched_off_it_is_said_and_only_what_opens_pages_is_left_out() -> None:
    run = collect(ETGRAPH_BROWSER="off")
    assert run.returncode == 0, run.stdout + run.stderr
    assert "browser: OFF (ETGRAPH_BROWSER=off)" in run.stdout
    assert "test_hotspots.py" in run.stdout
    assert "test_names_from_a_trace_are_texts" not in run.stdout


def test_a_mistyped_setting_stops_the_run() -> None:
    run = collect(ETGRAPH_BROWSER="of")
    assert run.returncode == pytest.ExitCode.USAGE_ERROR
    assert "ETGRAPH_BROWSER=of: expected off, or nothing" in run.stderr


def test_without_the_package_the_tests_fail_and_name_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("ETGRAPH_BROWSER", raising=False)
    monkeypatch.setattr(browser, "is_installed", lambda: False)
    assert browser.header() == [
        "browser: none, PySide6-WebEngine is not installed; the tests that open pages will fail"
    ]
    with pytest.raises(pytest.fail.Exception, match="pip install PySide6-WebEngine"):
        browser.obtain(tmp_path)


def test_a_browser_that_does_not_start_fails_with_its_words(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    script = tmp_path / "dies"
    script.write_text("#!/bin/sh\necho 'no display' >&2\nexit 1\n")
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))
    with pytest.raises(pytest.fail.Exception, match="no browser for the tests: no display"):
        browser.Browser(tmp_path).visit(tmp_path / "a.html", look="1")
