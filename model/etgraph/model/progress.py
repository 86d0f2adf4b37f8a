"""How a long call tells what it is at."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Told what a long call is at: the step in words, and how many of how many (None: unknown) are done."""

    def __call__(self, step: str, done: int = 0, total: int | None = None) -> None: ...


def silent(step: str, done: int = 0, total: int | None = None) -> None:
    """Progress that nobody watches."""
