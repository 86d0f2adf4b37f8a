"""GraphiQL, served from this server alone: the page works without a network.

Its files are fetched from npm when the checkout is set up (`make`), by a lock file with their hashes, and lie in wheels
with their licences (`graphiql/`).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

import flask

FOLDER: Final = Path(__file__).with_name("graphiql")
_OURS: Final = Path(__file__).with_name("page")

FILES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "graphiql.min.css": "text/css",
        "graphiql.min.js": "text/javascript",
        "react.production.min.js": "text/javascript",
        "react-dom.production.min.js": "text/javascript",
        "LICENSES.txt": "text/plain",
    }
)
"""What is fetched, with media types."""

_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "connect-src 'self'",
        "font-src 'self' data:",
        "frame-ancestors 'none'",
        "img-src 'self' data:",
        "script-src 'self'",
        "style-src 'self' 'unsafe-inline'",  # the editor measures its lines by inline styles
    )
)


def is_there() -> bool:
    """Whether all files were fetched."""
    return all((FOLDER / name).is_file() for name in FILES)


def page() -> flask.Response:
    """The page, or how to come by it."""
    name = "graphiql.html" if is_there() else "missing.html"
    response = flask.Response((_OURS / name).read_text("utf-8"), 200 if is_there() else 503, mimetype="text/html")
    return _guarded(response)


def file(name: str) -> flask.Response:
    """One of the page's files; 404 for any other name."""
    if name == "start.js":
        path, media = _OURS / name, "text/javascript"
    elif name in FILES and (FOLDER / name).is_file():
        path, media = FOLDER / name, FILES[name]
    else:
        flask.abort(404)
    response = flask.Response(path.read_bytes(), mimetype=media)
    response.headers["Cache-Control"] = "no-cache"
    response.set_etag(f"{path.stat().st_size:x}-{path.stat().st_mtime_ns:x}")
    response.make_conditional(flask.request)
    return _guarded(response)


def _guarded(response: flask.Response) -> flask.Response:
    response.headers["Content-Security-Policy"] = _POLICY
    return response


__all__ = ["FILES", "FOLDER", "file", "is_there", "page"]
