"""Logs as JSON, one line an event, with the id of the request that it belongs to."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any, Final, TextIO

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


def to_stream(stream: TextIO | None = None, level: int = logging.INFO) -> logging.Handler:
    """Send the logs of the server, and of waitress below it, to a stream as JSON lines; stderr where none is given."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines())
    for logger in (LOG, logging.getLogger("waitress")):
        logger.setLevel(level)
        logger.addHandler(handler)
        logger.propagate = False
    return handler


__all__ = ["LOG", "JsonLines", "event", "to_stream"]
