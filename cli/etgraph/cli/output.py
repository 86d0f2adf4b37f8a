"""Where a command's words go: its answer to stdout, everything else to stderr."""

from __future__ import annotations

import json
import sys
from typing import Any, TextIO

from rich.console import Console, RenderableType

WIDTH_WITHOUT_TERMINAL = 100
PLAIN = str.maketrans("█▓▒░╱·─…–µ▁▂▃▄▅▆▇→×", "#=%-/.-~-u..--==#>x")
"""What stands for the drawing characters where the encoding has none of them."""


def console(stream: TextIO) -> Console:
    """A console that takes texts literally: what a trace calls its operators is not markup."""
    width = None if stream.isatty() else WIDTH_WITHOUT_TERMINAL
    return Console(file=stream, width=width, markup=False, highlight=False, emoji=False)


class Output:
    """The answer of one command, as tables or as JSON, and the messages beside it."""

    def __init__(self, *, json: bool, quiet: bool) -> None:
        self.as_json = json
        self.quiet = quiet
        self.answer = console(sys.stdout)
        self.messages = console(sys.stderr)
        self.unicode = "utf" in (sys.stdout.encoding or "").lower()

    def document(self, document: dict[str, Any]) -> None:
        """Print the answer as JSON."""
        text = json.dumps(document, indent=2, ensure_ascii=not self.unicode, allow_nan=False)
        sys.stdout.write(text + "\n")

    def show(self, *parts: RenderableType, soft_wrap: bool = False) -> None:
        """Print the answer for a reader; with `soft_wrap`, a text is one line however long."""
        for part in parts:
            with self.answer.capture() as drawn:
                self.answer.print(part, soft_wrap=soft_wrap)
            # Tables are filled up with spaces to their right edge, which only disturb who copies or compares them.
            for line in drawn.get().splitlines():
                self.line(line.rstrip(" "))

    def line(self, text: str) -> None:
        """Print a line of the answer as it is, however long."""
        sys.stdout.write((text if self.unicode else text.translate(PLAIN)) + "\n")

    def say(self, text: RenderableType) -> None:
        """Tell the user something that is not the answer."""
        if not self.quiet:
            self.messages.print(text, soft_wrap=True)
