"""Errors of the API, and the closed list of codes that `extensions.code` of an answer is one of."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from etgraph.model.errors import EtgraphError, UsageError

BAD_USER_INPUT: Final = "BAD_USER_INPUT"
UNAUTHENTICATED: Final = "UNAUTHENTICATED"
FORBIDDEN: Final = "FORBIDDEN"
NOT_FOUND: Final = "NOT_FOUND"
COST_EXCEEDED: Final = "COST_EXCEEDED"
TIMEOUT: Final = "TIMEOUT"
INTERNAL: Final = "INTERNAL"

CODES: Final = (BAD_USER_INPUT, UNAUTHENTICATED, FORBIDDEN, NOT_FOUND, COST_EXCEEDED, TIMEOUT, INTERNAL)
"""Every value of `extensions.code`."""

_BY_STATUS: Final[Mapping[int, str]] = MappingProxyType(
    {
        400: BAD_USER_INPUT,
        401: UNAUTHENTICATED,
        403: FORBIDDEN,
        404: NOT_FOUND,
        422: BAD_USER_INPUT,
        429: COST_EXCEEDED,
        499: TIMEOUT,
        504: TIMEOUT,
        507: COST_EXCEEDED,
    }
)


class Unauthenticated(EtgraphError):
    """Nobody is known by what the request says of its sender."""

    code = UNAUTHENTICATED
    exit_code = 4
    http_status = 401


class Forbidden(EtgraphError):
    """The sender is known, and may not do this."""

    code = FORBIDDEN
    exit_code = 4
    http_status = 403


class CostExceeded(EtgraphError):
    """The request asks for more than one request may; the message names the limit, and both numbers."""

    code = COST_EXCEEDED
    exit_code = 2
    http_status = 400


class Busy(CostExceeded):
    """The server does as many of these as it can at once."""

    http_status = 503
    headers: Final = MappingProxyType({"Retry-After": "5"})


class RateExceeded(CostExceeded):
    """The sender has asked too much lately; `seconds` later it may ask this again."""

    code = "RATE_EXCEEDED"
    http_status = 429

    def __init__(self, message: str, seconds: int) -> None:
        super().__init__(message, hint=f"ask again in {seconds:,} s")
        self.headers = {"Retry-After": str(seconds)}


class BadRequest(UsageError):
    """The request is no GraphQL request; `status` is that of its answer, whatever form that has."""

    def __init__(
        self, message: str, *, status: int = 400, hint: str | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.http_status = status
        self.headers = dict(headers or {})


def code_of(error: EtgraphError) -> str:
    """The code under which an error is told: its own where the list has it, else that of its HTTP status.

    >>> from etgraph.model.errors import MissingData, StoreError
    >>> code_of(MissingData("no times")), code_of(StoreError("out of reach"))
    ('BAD_USER_INPUT', 'INTERNAL')
    """
    return error.code if error.code in CODES else _BY_STATUS.get(error.http_status, INTERNAL)


__all__ = [
    "BAD_USER_INPUT",
    "CODES",
    "COST_EXCEEDED",
    "FORBIDDEN",
    "INTERNAL",
    "NOT_FOUND",
    "TIMEOUT",
    "UNAUTHENTICATED",
    "BadRequest",
    "Busy",
    "CostExceeded",
    "Forbidden",
    "RateExceeded",
    "Unauthenticated",
    "code_of",
]
