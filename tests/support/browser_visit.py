"""Opens pages in Qt's Chromium and writes, as JSON, what each of them did: `browser` runs it in a process of its own.

Reads `{"pages": [path or URL, …], "look": expression, "shots": [path, …], "answer": path, "until": expression}` from
standard input.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from PySide6.QtCore import QTimer, QUrl
from PySide6.QtWebEngineCore import (
    QWebEnginePage,
    QWebEngineSettings,
    QWebEngineUrlRequestInfo,
    QWebEngineUrlRequestInterceptor,
)
from PySide6.QtWebEngineWidgets import QWebEngineView
from PySide6.QtWidgets import QApplication

SIZE = (1200, 640)
SETTLED_MS = 300
"""After a page has loaded, what it still does on its own; and between two looks at whether it is done."""


class Requests(QWebEngineUrlRequestInterceptor):
    """Notes what is asked for, and lets nothing but the page itself through, or its own server where it has one."""

    def __init__(self, page: QUrl) -> None:
        super().__init__()
        self.page, self.others = page.toString(), list[str]()
        self.own = f"{page.scheme()}://{page.authority()}/" if page.authority() else self.page

    def interceptRequest(self, info: QWebEngineUrlRequestInfo) -> None:
        url = info.requestUrl().toString()
        if url != self.page and not url.startswith((self.own, "data:", "blob:")):
            self.others.append(url)
            info.block(True)


class Page(QWebEnginePage):
    """Notes what the page says on its console, and every dialogue that it opens."""

    def __init__(self, view: QWebEngineView) -> None:
        super().__init__(view)
        self.console, self.dialogues = list[str](), list[str]()
        # Otherwise what a page on the disk asks of others is refused before anybody could note it.
        self.settings().setAttribute(QWebEngineSettings.WebAttribute.LocalContentCanAccessRemoteUrls, True)

    def javaScriptConsoleMessage(self, level: Any, message: str, line: int, source: str) -> None:
        self.console.append(f"{level.name}: {message}")

    def javaScriptAlert(self, origin: QUrl, message: str) -> None:
        self.dialogues.append(message)


def visit(view: QWebEngineView, wanted: dict[str, Any], found: list[dict[str, Any]]) -> None:
    """Open the next page and note what it did; after the last one, write all that and end."""
    if len(found) == len(wanted["pages"]):
        Path(wanted["answer"]).write_text(json.dumps(found), "utf-8")
        # Qt may crash when it is taken apart, and all is written.
        os._exit(0)
    where = wanted["pages"][len(found)]
    url = QUrl(where) if "://" in where else QUrl.fromLocalFile(where)
    page, requests = Page(view), Requests(url)
    page.setUrlRequestInterceptor(requests)
    view.setPage(page)

    def looked(answer: str | None) -> None:
        if wanted["shots"]:
            view.grab().save(wanted["shots"][len(found)])
        seen = None if answer is None else json.loads(answer)
        noted = {"console": page.console, "dialogues": page.dialogues, "requests": requests.others, "seen": seen}
        found.append(noted)
        visit(view, wanted, found)

    def loaded(ok: bool) -> None:
        if not ok:
            page.console.append("the page did not load")
        QTimer.singleShot(SETTLED_MS, lambda: page.runJavaScript(f"Boolean({wanted['until']})", 0, awaited))

    def awaited(done: bool) -> None:
        if done:
            page.runJavaScript(f"JSON.stringify({wanted['look']})", 0, looked)
        else:
            loaded(True)

    page.loadFinished.connect(loaded)
    view.load(url)


def main() -> None:
    application = QApplication(sys.argv[:1])
    view = QWebEngineView()
    view.resize(*SIZE)
    view.show()
    wanted = json.load(sys.stdin)
    QTimer.singleShot(0, lambda: visit(view, wanted, []))
    application.exec()


if __name__ == "__main__":
    main()
