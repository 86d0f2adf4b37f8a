"""A browser for the tests: Qt's Chromium, which is a package of Python's index and needs no display.

`ETGRAPH_BROWSER=off` leaves out the tests that open pages.
"""

from __future__ import annotations

import functools
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

FIXTURES = {"browser"}
PACKAGE = "PySide6-WebEngine"
SECONDS = 120
LIGHT, DARK = 1, 0
"""Chromium's numbers of what a reader prefers."""
HOW_TO_LEAVE_OUT = "ETGRAPH_BROWSER=off leaves out, on purpose, the tests that open pages"


@dataclass(frozen=True, slots=True)
class Visit:
    """What a page did: lines of its console, dialogues that it opened, what it asked for, and what the look saw."""

    console: list[str]
    dialogues: list[str]
    requests: list[str]
    seen: Any

    @property
    def quiet(self) -> bool:
        """Whether it said nothing on the console, opened no dialogue and asked for nothing."""
        return not (self.console or self.dialogues or self.requests)


@dataclass(frozen=True, slots=True)
class Browser:
    """Opens pages; `folder` is for what it leaves."""

    folder: Path

    def visit(
        self, *pages: Path | str, look: str, dark: bool = False, shots: Sequence[Path] = (),
        seconds: float = SECONDS, until: str = "true",
    ) -> list[Visit]:  # fmt: skip
        """Open files or addresses, one after the other; `look` is an expression of JavaScript that each is asked then.

        A page is looked at after it has loaded, and once the expression `until` holds. What an address asks of its own
        server is no request.

        `shots` are files for a picture of each page. A promise is no answer. Fails where the browser cannot be started.
        """
        answer = self.folder / "answer.json"
        answer.unlink(missing_ok=True)
        wanted = {
            "pages": [page if isinstance(page, str) else str(page.resolve()) for page in pages], "look": look,
            "shots": [str(shot.resolve()) for shot in shots], "answer": str(answer), "until": until,
        }  # fmt: skip
        environment = os.environ | {
            "QT_QPA_PLATFORM": "offscreen",
            "QTWEBENGINE_DISABLE_SANDBOX": "1",  # it refuses to run as root, and pages are the tests' own
            "QTWEBENGINE_CHROMIUM_FLAGS": "--disable-gpu --log-level=3 "
            f"--blink-settings=preferredColorScheme={DARK if dark else LIGHT}",
        }
        command = [sys.executable, str(Path(__file__).with_name("browser_visit.py"))]
        try:
            done = subprocess.run(
                command,
                input=json.dumps(wanted),
                env=environment,
                capture_output=True,
                text=True,
                timeout=seconds,
                check=False,
            )
            why = "\n".join(done.stderr.strip().splitlines()[-8:]) or f"it ended with {done.returncode}"
        except subprocess.TimeoutExpired:
            why = f"no end after {seconds:.0f} s"
        if not answer.is_file():
            pytest.fail(f"no browser for the tests: {why}\n{HOW_TO_LEAVE_OUT}", pytrace=False)
        return [Visit(**page) for page in json.loads(answer.read_text("utf-8"))]


def is_off() -> bool:
    """Whether this run leaves out what opens pages."""
    value = os.environ.get("ETGRAPH_BROWSER", "")
    if value not in ("", "off"):
        raise pytest.UsageError(f"ETGRAPH_BROWSER={value}: expected off, or nothing")
    return value == "off"


def needs_browser(item: pytest.Item) -> bool:
    """Whether a test opens pages."""
    return bool(FIXTURES & set(getattr(item, "fixturenames", ())))


@functools.cache
def is_installed() -> bool:
    """Whether the package with the browser is there."""
    found = importlib.util.find_spec("PySide6") is not None
    return found and importlib.util.find_spec("PySide6.QtWebEngineCore") is not None


def header() -> list[str]:
    """What the first lines of a run say of the browser."""
    if is_off():
        return ["browser: OFF (ETGRAPH_BROWSER=off); the tests that open pages are left out"]
    if not is_installed():
        return [f"browser: none, {PACKAGE} is not installed; the tests that open pages will fail"]
    from importlib.metadata import version

    return [f"browser: the Chromium of {PACKAGE} {version(PACKAGE)}"]


def obtain(folder: Path) -> Browser:
    """The browser. Fails, with the reason, where there is none."""
    if is_off():
        pytest.fail("ETGRAPH_BROWSER=off, but a test asks for a browser: name its fixture in browser.FIXTURES")
    if not is_installed():
        pytest.fail(f"no browser for the tests: pip install {PACKAGE}\n{HOW_TO_LEAVE_OUT}", pytrace=False)
    return Browser(folder)
