"""What a request asks: the parameters of GraphQL over HTTP, from a query string or from a body."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import flask
import msgspec
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge

from etgraph.api.errors import BadRequest
from etgraph.api.http.negotiation import JSON, is_json

_PARAMETERS = ("query", "operationName", "variables", "extensions")


@dataclass(frozen=True, slots=True)
class Asked:
    """One GraphQL request. `query` is None where it is named by the hash in `extensions` alone."""

    query: str | None
    operation: str | None = None
    variables: Mapping[str, Any] = field(default_factory=dict)
    extensions: Mapping[str, Any] = field(default_factory=dict)
    read_only: bool = False


def asked_by(request: flask.Request) -> Asked:
    """The parameters of a request: of the query string for GET, of the body for POST.

    Raises BadRequest for what is none: 400 for parameters of another form, 413 for a body that is too large, 415 for
    one that is no JSON.
    """
    if request.method == "POST":
        return _asked(_body(request), read_only=False)
    values: dict[str, Any] = {name: request.args[name] for name in _PARAMETERS if name in request.args}
    for name in ("variables", "extensions"):
        if values.get(name):
            values[name] = _decoded(values[name], f"parameter {name}")
        else:
            values.pop(name, None)
    return _asked(values, read_only=True)


def _body(request: flask.Request) -> Any:
    if not is_json(request.headers.get("Content-Type")):
        found = request.headers.get("Content-Type") or "none"
        raise BadRequest(f"Content-Type: found {found}, expected {JSON} in UTF-8", status=415)
    encoding = request.headers.get("Content-Encoding", "identity")
    if encoding != "identity":
        raise BadRequest(f"Content-Encoding: found {encoding}, expected a body that is not compressed", status=415)
    try:
        body = request.get_data(cache=True)
    except RequestEntityTooLarge:
        most = request.max_content_length or 0
        raise BadRequest(f"the body is larger than {most:,} bytes", status=413) from None
    except ClientDisconnected:
        raise BadRequest("the body ends before its Content-Length") from None
    return _decoded(body, "the body")


def _decoded(text: str | bytes, what: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError, ValueError) as error:
        raise BadRequest(f"{what}: found what is no JSON ({error})") from None


def _asked(values: Any, *, read_only: bool) -> Asked:
    if isinstance(values, list):
        raise BadRequest("the body: found an array, expected an object: one request at a time, batches are not taken")
    if not isinstance(values, dict):
        raise BadRequest("the body: found no object, expected one with query, variables, operationName and extensions")
    query = _text(values, "query")
    extensions = _object(values, "extensions")
    if query is None and "persistedQuery" not in extensions:
        raise BadRequest("query: found nothing, expected a GraphQL document")
    return Asked(query, _text(values, "operationName"), _object(values, "variables"), extensions, read_only)


def _text(values: Mapping[str, Any], name: str) -> str | None:
    value = values.get(name)
    if value is not None and not isinstance(value, str):
        raise BadRequest(f"{name}: found {_kind(value)}, expected a text")
    return value


def _object(values: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = values.get(name)
    if value is not None and not isinstance(value, dict):
        raise BadRequest(f"{name}: found {_kind(value)}, expected an object")
    return value or {}


def _kind(value: object) -> str:
    """What a JSON value is, in words."""
    names = {list: "an array", dict: "an object", str: "a text", bool: "a truth value"}
    return names.get(type(value), "a number")


__all__ = ["Asked", "asked_by"]
