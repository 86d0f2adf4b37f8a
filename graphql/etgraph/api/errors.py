"""Errors of the API."""

from __future__ import annotations

from etgraph.model.errors import EtgraphError


class Forbidden(EtgraphError):
    """The sender is known, and may not do this."""

    code = "FORBIDDEN"
    exit_code = 4
    http_status = 403


__all__ = ["Forbidden"]
