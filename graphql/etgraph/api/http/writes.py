"""Writes that come by paths of their own, noted in the log of writes as mutations are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import flask

from etgraph.api.access.audit import DONE, Audit
from etgraph.api.context import Viewer
from etgraph.api.errors import INTERNAL
from etgraph.model.errors import EtgraphError


@contextmanager
def noted(audit: Audit, viewer: Viewer, action: str, arguments: Mapping[str, Any]) -> Iterator[None]:
    """Note what became of the block. `arguments` may be added to while it runs."""
    told = INTERNAL
    try:
        yield
        told = DONE
    except EtgraphError as error:
        told = error.code
        raise
    finally:
        audit.note(viewer, action, arguments, told, flask.g.request_id)


__all__ = ["noted"]
