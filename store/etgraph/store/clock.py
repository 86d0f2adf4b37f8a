"""Moments as catalogues and records note them."""

from __future__ import annotations

from datetime import UTC, datetime


def now() -> str:
    """This moment as ISO 8601 in UTC, to the microsecond."""
    return written(datetime.now(UTC))


def written(moment: datetime, timespec: str = "microseconds") -> str:
    """A moment as ISO 8601 in UTC, as precise as `datetime.isoformat` makes it with that `timespec`.

    >>> from datetime import timedelta, timezone
    >>> written(datetime(1970, 1, 1, 1, tzinfo=timezone(timedelta(hours=1))), "seconds")
    '1970-01-01T00:00:00Z'
    """
    return moment.astimezone(UTC).isoformat(timespec=timespec).replace("+00:00", "Z")


def at(seconds: float, timespec: str = "microseconds") -> str:
    """The moment of a Unix time, in seconds, as `written` writes it.

    >>> at(0.25)
    '1970-01-01T00:00:00.250000Z'
    """
    return written(datetime.fromtimestamp(seconds, UTC), timespec)
