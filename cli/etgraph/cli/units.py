"""Numbers and moments as people read them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from etgraph.model.readable import (
    byte_rate,
    count,
    counted,
    duration,
    flop_rate,
    percent,
    printable,
    shortened,
    size,
)


def ranges(numbers: Iterable[int]) -> str:
    """Numbers with their runs drawn together.

    >>> ranges([0, 1, 2, 3, 7, 9, 10])
    '0–3, 7, 9, 10'
    """
    runs: list[list[int]] = []
    for number in sorted(set(numbers)):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    parts = []
    for first, last in runs:
        parts.append(f"{first}–{last}" if last - first > 1 else ", ".join(map(str, range(first, last + 1))))
    return ", ".join(parts) or "none"


def _instant(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def moment(text: str | None) -> str:
    """An ISO 8601 instant in local time, to the minute; a text that is none as it stands.

    >>> moment(None), moment("yesterday")
    ('–', 'yesterday')
    """
    instant = _instant(text) if text else None
    if instant is None:
        return printable(text or "–")
    return (instant.astimezone() if instant.tzinfo else instant).strftime("%Y-%m-%d %H:%M")


def age(text: str | None, now: datetime | None = None) -> str:
    """How long ago an ISO 8601 instant was; the date of one that is weeks away.

    >>> age("2026-01-05T12:30:00+00:00", datetime.fromisoformat("2026-01-05T14:40:00+00:00"))
    '2 h ago'
    """
    instant = _instant(text) if text else None
    if instant is None or instant.tzinfo is None:
        return moment(text)
    seconds = ((now or datetime.now(UTC)) - instant).total_seconds()
    if seconds < 60:
        return "just now"
    for limit, unit, name in ((3600, 60, "min"), (86_400, 3600, "h"), (14 * 86_400, 86_400, "d")):
        if seconds < limit:
            return f"{int(seconds // unit)} {name} ago"
    return moment(text)[:10]


__all__ = [
    "age",
    "byte_rate",
    "count",
    "counted",
    "duration",
    "flop_rate",
    "moment",
    "percent",
    "printable",
    "ranges",
    "shortened",
    "size",
]
