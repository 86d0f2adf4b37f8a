"""Logs as JSON, one line an event, with the id of the request that it belongs to."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final

LOG: Final = logging.getLogger("etgraph.api")


class JsonLines(logging.Formatter):
    """A record as one JSON object: time, level, event, and the fields that were given as `extra={"fields": …}`."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        found: dict[str, Any] = {"time": moment, "level": record.levelname.lower(), "event": record.getMessage()}
        if record.name != LOG.name:
            found["logger"] = record.name
        found |= getattr(record, "fields", {})
        if record.exc_info:
            found["traceback"] = self.formatException(record.exc_info)
        return json.dumps(found, default=str, ensure_ascii=False)


def event(name: str, **fields: Any) -> None:
    """Log something that happened, with its fields."""
    LOG.info(name, extra={"fields": fields})


def start_to_stderr(level: int = logging.INFO) -> Callable[[], None]:
    """Send logs of the server, and of waitress below it, to stderr as JSON lines; gives what undoes it."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    loggers = (LOG, logging.getLogger("waitress"))
    before = [(each.level, each.propagate) for each in loggers]
    for each in loggers:
        each.setLevel(level)
        each.addHandler(handler)
        each.propagate = False

    def undo() -> None:
        for each, (level, propagate) in zip(loggers, before):
            each.setLevel(level)
            each.removeHandler(handler)
            each.propagate = propagate

    return undo


@contextmanager
def to_stderr(*, quiet: bool = False) -> Iterator[None]:
    """Within, logs go to stderr as JSON lines; with `quiet` warnings alone."""
    undo = start_to_stderr(logging.WARNING if quiet else logging.INFO)
    try:
        yield
    finally:
        undo()


__all__ = ["LOG", "JsonLines", "event", "start_to_stderr", "to_stderr"]
