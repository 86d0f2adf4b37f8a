"""Opens pages in Qt's Chromium and writes, as JSON, what each of them did: `browser` runs it in a process of its own.

Reads `{"pages": [path, …], "look": expression, "dark": bool, "shots": [path, …], "answer": path}` from standard input.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

SIZE = (1200, 640)
SETTLED_MS = 300
"""After a page has loaded, what it still does on its own."""
LIGHT, DARK = 1, 0
"""Chromium's numbers of what a reader prefers."""

WANTED = json.load(sys.stdin)
os.environ |= {
    "QT_QPA_PLATFORM": "offscreen",
    "QTWEBENGINE_DISABLE_SANDBOX": "1",  # it refuses to run as root, and pages are the tests' own
    "QTWEBENGINE_CHROMIUM_FLAGS": "--disable-gpu --log-level=3 "
    f"--blink-settings=preferredColorScheme={DARK if WANTED['dark'] else LIGHT}",
}

from PySide6.QtCore import QTimer, QUrl
from PySide6.QtWebEngineCore import QWebEnginePage, QWebEngineUrlRequestInfo, QWebEngineUrlRequestInterceptor
from PySide6.QtWebEngineWidgets import QWebEngineView
from PySide6.QtWidgets import QApplication


class Requests(QWebEngineUrlRequestInterceptor):
    """Notes what is asked for, and lets nothing but the page itself through."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.page, self.others = page, list[str]()

    def interceptRequest(self, info: QWebEngineUrlRequestInfo) -> None:
        url = info.requestUrl().toString()
        if url != self.page and not url.startswith(("data:", "blob:")):
            self.others.append(url)
            info.block(True)


class Page(QWebEnginePage):
    """Notes what the page says on its console, and every dialogue that it opens."""

    def __init__(self, view: QWebEngineView) -> None:
        super().__init__(view)
        self.console, self.dialogues = list[str](), list[str]()

    def javaScriptConsoleMessage(self, level: Any, message: str, line: int, source: str) -> None:
        self.console.append(f"{level.name}: {message}")

    def javaScriptAlert(self, origin: QUrl, message: str) -> None:
        self.dialogues.append(message)


def visit(view: QWebEngineView, number: int, found: list[dict[str, Any]]) -> None:
    """Open the page of that number, then the next one; after the last, write what was found and end."""
    if number == len(WANTED["pages"]):
        Path(WANTED["answer"]).write_text(json.dumps(found), "utf-8")
        # Qt may crash when it is taken apart, and all is written.
        os._exit(0)
    url = QUrl.fromLocalFile(WANTED["pages"][number])
    page, requests = Page(view), Requests(url.toString())
    page.setUrlRequestInterceptor(requests)
    view.setPage(page)

    def looked(answer: str | None) -> None:
        if WANTED["shots"]:
            view.grab().save(WANTED["shots"][number])
        seen = None if answer is None else json.loads(answer)
        noted = {"console": page.console, "dialogues": page.dialogues, "requests": requests.others, "seen": seen}
        found.append(noted)
        visit(view, number + 1, found)

    def loaded(ok: bool) -> None:
        if not ok:
            page.console.append("the page did not load")
        QTimer.singleShot(SETTLED_MS, lambda: page.runJavaScript(f"JSON.stringify({WANTED['look']})", 0, looked))

    page.loadFinished.connect(loaded)
    view.load(url)


if __name__ == "__main__":
    application = QApplication(sys.argv[:1])
    view = QWebEngineView()
    view.resize(*SIZE)
    view.show()
    QTimer.singleShot(0, lambda: visit(view, 0, []))
    application.exec()
