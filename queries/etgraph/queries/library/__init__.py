"""The named library: questions in Cypher, one file each, with typed parameters and columns.

    from etgraph.queries import library

    answer = library.run(store, "longest_operators", trace="gpt", limit=5)
    answer.to_pandas()

A file's header declares what the query takes and gives; the reference in `docs/queries/library.md` is made of it.
"""

from etgraph.queries.library.answer import Answer
from etgraph.queries.library.binding import bind, from_texts
from etgraph.queries.library.files import load, names
from etgraph.queries.library.header import Column, NamedQuery, Parameter, QueryFileError
from etgraph.queries.library.running import CypherStore, run

__all__ = [
    "Answer",
    "Column",
    "CypherStore",
    "NamedQuery",
    "Parameter",
    "QueryFileError",
    "bind",
    "from_texts",
    "load",
    "names",
    "run",
]
