"""What the client takes: the media type of an answer, and whether it may be compressed."""

from __future__ import annotations

from typing import Final

from werkzeug.http import parse_accept_header, parse_options_header

from etgraph.api.errors import BadRequest

JSON: Final = "application/json"
GRAPHQL: Final = "application/graphql-response+json"

Accepted = dict[str, float]


def media_type(accept: str | None) -> str:
    """The media type that a header `Accept` chooses. Raises BadRequest (406) where it takes neither.

    `application/graphql-response+json` has to be named; JSON stands for every pattern that it matches, and for none.

    >>> media_type("application/graphql-response+json, application/json;q=0.9"), media_type("*/*"), media_type(None)
    ('application/graphql-response+json', 'application/json', 'application/json')
    """
    if accept is None or not accept.strip():
        return JSON
    qualities = _qualities(accept)
    graphql = qualities.get(GRAPHQL, 0.0)
    json = next((qualities[name] for name in (JSON, "application/*", "*/*") if name in qualities), 0.0)
    if graphql > 0 and graphql >= qualities.get(JSON, 0.0):
        return GRAPHQL
    if json > 0:
        return JSON
    raise BadRequest(f"Accept: found {accept!r}, expected {GRAPHQL} or {JSON}", status=406)


def content_encoding(accept: str | None) -> str:
    """`gzip` or `identity`, as a header `Accept-Encoding` chooses. Raises BadRequest (406) where it takes neither.

    >>> content_encoding("gzip, br"), content_encoding("gzip;q=0"), content_encoding("identity, gzip;q=0.5")
    ('gzip', 'identity', 'identity')
    """
    qualities = _qualities(accept or "")
    other = qualities.get("*")
    gzip = qualities.get("gzip", other or 0.0)
    identity = qualities.get("identity")
    if gzip > 0 and gzip >= (identity or 0.0):
        return "gzip"
    if identity == 0 or (identity is None and other == 0):
        raise BadRequest(f"Accept-Encoding: found {accept!r}, expected gzip or identity", status=406)
    return "identity"


def is_json(content_type: str | None) -> bool:
    """Whether a header `Content-Type` says JSON in UTF-8, or in no encoding in particular."""
    name, options = parse_options_header(content_type)
    return name.lower() == JSON and options.get("charset", "utf-8").lower() in ("utf-8", "utf8")


def _qualities(header: str) -> Accepted:
    """The quality of each value of an `Accept` header, in lower case and without other parameters.

    A type that asks for another encoding than UTF-8 is left out.
    """
    found: Accepted = {}
    for value, quality in parse_accept_header(header):
        name, options = parse_options_header(value)
        if options.get("charset", "utf-8").lower() in ("utf-8", "utf8"):
            found.setdefault(name.lower(), quality)
    return found


__all__ = ["GRAPHQL", "JSON", "content_encoding", "is_json", "media_type"]
