"""Errors as answers carry them: a message that helps, a code from a closed list, and nothing of the server's inside."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, Final

from graphql import GraphQLError

from etgraph.api.errors import BAD_USER_INPUT, INTERNAL, code_of
from etgraph.api.http.execution import own_error
from etgraph.api.limits.documents import InvalidDocument
from etgraph.model.errors import EtgraphError

_LOG = logging.getLogger("etgraph.api")
MASKED: Final = "something went wrong inside the server"


def documents_of(error: Exception, request_id: str) -> list[dict[str, Any]]:
    """What `errors` of an answer holds for a request that was not executed."""
    if isinstance(error, InvalidDocument):
        return [document_of(each, request_id) for each in error.errors]
    return [{"message": _message(error, request_id), "extensions": _extensions(error, request_id)}]


def document_of(error: GraphQLError, request_id: str) -> dict[str, Any]:
    """One error of graphql-core, of the document or of a field."""
    cause = own_error(error)
    found: dict[str, Any] = {"message": error.message if cause is None else _message(cause, request_id)}
    if error.locations:
        found["locations"] = [{"line": place.line, "column": place.column} for place in error.locations]
    if error.path:
        found["path"] = list(error.path)
    found["extensions"] = (
        {"code": BAD_USER_INPUT, "requestId": request_id} if cause is None else _extensions(cause, request_id)
    )
    return found


def codes_of(documents: Sequence[dict[str, Any]]) -> list[str]:
    """The codes of errors, each once."""
    return list(dict.fromkeys(each["extensions"]["code"] for each in documents))


def _message(error: Exception, request_id: str) -> str:
    """What the client is told. What went wrong inside is told to the log alone, under the request's id."""
    if isinstance(error, EtgraphError) and code_of(error) != INTERNAL:
        return error.message
    _LOG.error("defect", exc_info=error, extra={"fields": {"requestId": request_id}})
    return MASKED


def _extensions(error: Exception, request_id: str) -> dict[str, Any]:
    """`reason` is etgraph's own code where the closed list has a wider one, `hint` what to do next."""
    code = code_of(error) if isinstance(error, EtgraphError) else INTERNAL
    found: dict[str, Any] = {"code": code, "requestId": request_id}
    if isinstance(error, EtgraphError) and code != INTERNAL:
        if error.code != code:
            found["reason"] = error.code
        if error.hint:
            found["hint"] = error.hint
    return found


__all__ = ["MASKED", "codes_of", "document_of", "documents_of"]
