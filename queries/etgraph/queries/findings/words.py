"""Words in the evidence of findings."""

from __future__ import annotations


def a_step(count: float, noun: str, several: str | None = None) -> str:
    """How often something comes in a step.

    >>> a_step(20.0, "barrier"), a_step(1.0, "barrier"), a_step(2.5, "copy", "copies")
    ('20 barriers a step', '1 barrier a step', '2.5 copies a step')
    """
    number = f"{count:,.0f}" if count >= 10 or count == int(count) else f"{count:.1f}"
    return f"{number} {noun if count == 1 else several or noun + 's'} a step"
