"""Errors as answers carry them: a message that helps, a code from a closed list, and nothing of the server's inside."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any, Final

from graphql import GraphQLError

from etgraph.api.errors import BAD_USER_INPUT, INTERNAL, code_of
from etgraph.api.http.execution import own_error
from etgraph.api.http.logs import LOG
from etgraph.api.limits.documents import InvalidDocument
from etgraph.model.errors import EtgraphError

MASKED: Final = "something went wrong inside the server"
MOST_LOGGED: Final = 10
"""Tracebacks that one request may leave in the log; a defect in a field of many rows leaves many."""


def documents_of(error: Exception, request_id: str) -> list[dict[str, Any]]:
    """What `errors` of an answer holds for a request that was not executed."""
    if isinstance(error, InvalidDocument):
        return documents_of_fields(error.errors, request_id)
    _log_defects([error], request_id)
    return [{"message": _message(error), "extensions": _extensions(error, request_id)}]


def documents_of_fields(errors: Sequence[GraphQLError], request_id: str) -> list[dict[str, Any]]:
    """What `errors` holds for errors of graphql-core, of a document or of fields."""
    _log_defects(filter(None, map(own_error, errors)), request_id)
    return [_document(error, request_id) for error in errors]


def _document(error: GraphQLError, request_id: str) -> dict[str, Any]:
    cause = own_error(error)
    found: dict[str, Any] = {"message": error.message if cause is None else _message(cause)}
    if error.locations:
        found["locations"] = [{"line": place.line, "column": place.column} for place in error.locations]
    if error.path:
        found["path"] = list(error.path)
    own = {"code": BAD_USER_INPUT, "requestId": request_id}
    return found | {"extensions": own if cause is None else _extensions(cause, request_id)}


def codes_of(documents: Sequence[dict[str, Any]]) -> list[str]:
    """The codes of errors, each once."""
    return list(dict.fromkeys(each["extensions"]["code"] for each in documents))


def _is_defect(error: Exception) -> bool:
    """Whether the client is told nothing of an error but that there is one."""
    return not isinstance(error, EtgraphError) or code_of(error) == INTERNAL


def _message(error: Exception) -> str:
    return MASKED if _is_defect(error) else str(error)


def _log_defects(errors: Iterable[Exception], request_id: str) -> None:
    """Tell the log what the client is not told, under the request's id."""
    for error in islice(filter(_is_defect, errors), MOST_LOGGED):
        LOG.error("defect", exc_info=error, extra={"fields": {"requestId": request_id}})


def _extensions(error: Exception, request_id: str) -> dict[str, Any]:
    """`reason` is etgraph's own code where the closed list has a wider one, `hint` what to do next."""
    if not isinstance(error, EtgraphError) or _is_defect(error):
        return {"code": INTERNAL, "requestId": request_id}
    found = {"code": code_of(error), "requestId": request_id}
    if error.code != found["code"]:
        found["reason"] = error.code
    if error.hint:
        found["hint"] = error.hint
    return found


__all__ = ["MASKED", "codes_of", "documents_of", "documents_of_fields"]
