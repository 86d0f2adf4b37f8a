"""What a question about several traces is asked of: each trace, and which of its steps are meant."""

from __future__ import annotations

from dataclasses import dataclass

from etgraph.model import Trace


@dataclass(frozen=True, slots=True)
class Subject:
    """A trace, the indices of the steps of it that are meant (None: all), and what it is called in answers."""

    trace: Trace
    iterations: tuple[int, ...] | None = None
    name: str = ""


__all__ = ["Subject"]
