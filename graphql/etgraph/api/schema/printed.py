"""The schema as text, as it stands in the documentation: `python -m etgraph.api.schema.printed`."""

from __future__ import annotations

from typing import Final

from graphql import print_schema

from etgraph.api.schema import SCHEMA

PRINTED: Final = "docs/api/schema.graphql"
"""Where it is kept in the repository. What breaks clients fails a test until this file is written again."""


def printed() -> str:
    """The schema in GraphQL's own language, with all descriptions."""
    return print_schema(SCHEMA.graphql_schema) + "\n"


if __name__ == "__main__":
    print(printed(), end="")
