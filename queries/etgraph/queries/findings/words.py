"""Figures in the evidence of findings."""

from __future__ import annotations


def duration(ns: float) -> str:
    """Nanoseconds in µs or ms.

    >>> duration(1_234_567), duration(2_500)
    ('1.23 ms', '2.5 µs')
    """
    return f"{ns / 1e6:,.2f} ms" if abs(ns) >= 1e6 else f"{ns / 1e3:,.1f} µs"


def size(count: float) -> str:
    """Bytes in decimal units.

    >>> size(1_048_576), size(200)
    ('1.0 MB', '0.2 kB')
    """
    return f"{count / 1e6:,.1f} MB" if count >= 1e6 else f"{count / 1e3:,.1f} kB"


def a_step(count: float, noun: str, several: str | None = None) -> str:
    """How often something comes in a step.

    >>> a_step(20.0, "barrier"), a_step(1.0, "barrier"), a_step(2.5, "copy", "copies")
    ('20 barriers a step', '1 barrier a step', '2.5 copies a step')
    """
    number = f"{count:,.0f}" if count >= 10 or count == int(count) else f"{count:.1f}"
    return f"{number} {noun if count == 1 else several or noun + 's'} a step"
