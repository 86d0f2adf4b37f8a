"""The reference of the library as Markdown, from the headers of its files.

`python -m etgraph.queries.library > docs/queries/library.md` writes the page.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence

from etgraph.queries.library.files import load, names
from etgraph.queries.library.header import NamedQuery, Parameter
from etgraph.queries.library.types import TYPES

_INTRODUCTION = """\
# The library of queries

Questions in Cypher that come with etgraph, for stores in Neo4j; [cypher.md](../cypher.md) tells how to ask your own.
Each is a file in `queries/etgraph/queries/library/`, and this page is made of their headers. After a change there,
write it anew:

    python -m etgraph.queries.library > docs/queries/library.md

```sh
etgraph query longest_operators --param trace=gpt --param limit=5
```

```python
from etgraph.queries import library
from etgraph.store import connect

with connect("neo4j://localhost:7687") as store:
    library.run(store, "longest_operators", trace="gpt", limit=5).to_pandas()
```

A `trace` is given as every command takes it: an id, a workload, `workload@tag`. A parameter with a default may be left
out, and so may one whose type ends in `?`; then it chooses nothing. A column whose type ends in `?` may be empty.
Times are integer nanoseconds from the trace's zero. Rows that are equal in what an answer is sorted by come in the
order of rank and index.
"""


def library_page() -> str:
    """All of `docs/queries/library.md`."""
    queries = [load(name) for name in names()]
    contents = _table(("query", "answers"), ((f"[`{q.name}`](#{q.name})", q.summary) for q in queries))
    types = _table(("type", "is"), ((f"`{t.name}`", t.words) for t in TYPES.values()))
    sections = [_INTRODUCTION.rstrip(), contents, types, *(part for query in queries for part in _section(query))]
    return "\n\n".join(sections) + "\n"


def _section(query: NamedQuery) -> Iterator[str]:
    yield f"## `{query.name}`"
    yield query.summary
    yield query.description
    yield _table(
        ("parameter", "type", "default", "meaning"),
        ((f"`{p.name}`", f"`{p.spelled}`", _default(p), p.meaning) for p in query.parameters),
    )
    yield _table(
        ("column", "type", "unit", "meaning"),
        ((f"`{c.name}`", f"`{c.type}{'?' if c.nullable else ''}`", c.unit, c.meaning) for c in query.columns),
    )


def _default(parameter: Parameter) -> str:
    return "" if parameter.default is None else f"`{json.dumps(parameter.default)}`"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
