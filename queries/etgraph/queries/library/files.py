"""The files of the library: one `.cypher` file for each query, beside this module."""

from __future__ import annotations

import difflib
from functools import cache
from importlib.resources import files

from etgraph.model.errors import NotFound
from etgraph.queries.library.header import NamedQuery, parse

SUFFIX = ".cypher"


@cache
def names() -> tuple[str, ...]:
    """Names of all queries, sorted."""
    entries = (entry.name for entry in files("etgraph.queries.library").iterdir())
    return tuple(sorted(name.removesuffix(SUFFIX) for name in entries if name.endswith(SUFFIX)))


@cache
def load(name: str) -> NamedQuery:
    """One query. Raises NotFound with the nearest names, and QueryFileError for a file that is not well formed."""
    if name not in names():
        near = difflib.get_close_matches(name.replace("-", "_"), names()) or [n for n in names() if name in n]
        hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(names())}"
        raise NotFound(f"the library has no query {name!r}", hint=hint)
    text = (files("etgraph.queries.library") / f"{name}{SUFFIX}").read_text("utf-8")
    return parse(name, text, f"{name}{SUFFIX}")
