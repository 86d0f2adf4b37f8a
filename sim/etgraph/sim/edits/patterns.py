"""Which operators a pattern names."""

from __future__ import annotations

import difflib
import fnmatch
import re

import numpy as np

from etgraph.model import Trace
from etgraph.model.columns import Array
from etgraph.model.errors import UsageError
from etgraph.model.numbering import distinct

NEAREST = 3
"""Names that an error lists."""


def named(trace: Trace, pattern: str) -> Array:
    """Rows of the operators that a pattern names. Raises UsageError, with the nearest names, where it names none."""
    rows = matching(trace, pattern)
    if len(rows):
        return rows
    text, rank = _apart(pattern)
    elsewhere = np.unique(trace.operators["rank"][matching(trace, text)]).tolist() if rank else []
    if elsewhere:
        ranks = ", ".join(map(str, elsewhere[:8])) + (" and others" if len(elsewhere) > 8 else "")
        raise UsageError(f"{pattern!r} names no operator of rank {rank}", hint=f"there are such on ranks {ranks}")
    near = ", ".join(nearest_names(trace, text))
    raise UsageError(
        f"{pattern!r} names no operator of the trace",
        hint=f"nearest: {near}" if near else "a glob over names or scope/name, such as '*all_reduce*' or 'aten::mm@1'",
    )


def nearest_names(trace: Trace, pattern: str) -> list[str]:
    """Names of operators that come nearest to a pattern that names none: that hold its text, else that look like it."""
    o = trace.operators
    texts = o.texts("name").to_pylist()
    names = [texts[code] for code in np.unique(o["name"][o["name"] >= 0]).tolist()]
    wanted = re.sub(r"[*?\[\]]", "", pattern.rpartition("/")[2]).lower()
    by_letters: dict[str, str] = {}
    for name in names:
        by_letters.setdefault(name.lower(), name)
    inside = sorted((name for letters, name in by_letters.items() if wanted and wanted in letters), key=len)
    alike = difflib.get_close_matches(wanted, by_letters, n=NEAREST, cutoff=0.5)
    return list(dict.fromkeys([*inside, *(by_letters[each] for each in alike)]))[:NEAREST]


def _apart(pattern: str) -> tuple[str, str]:
    """The glob of a pattern, and its rank as text, empty where it has none."""
    text, at, rank = pattern.rpartition("@")
    return (text, rank) if at and rank.isascii() and rank.isdigit() else (pattern, "")


def matching(trace: Trace, pattern: str) -> Array:
    """Rows of the operators that a pattern names: a glob over `scope/name` or the name alone, `@rank` at its end."""
    text, rank = _apart(pattern)
    o = trace.operators
    wanted = re.compile(fnmatch.translate(text))
    chosen = np.asarray(o.codes_where("name", lambda name: wanted.match(name) is not None)[o["name"]])
    if len(o.texts("scope")):
        place, count = distinct(o["scope"], o["name"])
        example = np.empty(count, dtype=np.int64)
        example[place] = np.arange(len(o))
        scopes, names = o.texts("scope").to_pylist(), o.texts("name").to_pylist()
        pairs = zip(o["scope"][example].tolist(), o["name"][example].tolist(), strict=True)
        hit = [scope >= 0 and wanted.match(f"{scopes[scope]}/{names[name]}") is not None for scope, name in pairs]
        chosen = chosen | np.array(hit, dtype=bool)[place]
    if rank:
        chosen = chosen & (o["rank"] == int(rank))
    return np.flatnonzero(chosen)
