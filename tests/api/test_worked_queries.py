"""The queries that the documentation shows run as they stand, and so do the tables of fields that it names."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest
from graphql import get_operation_ast, parse

from etgraph.api.http.execution import coerced
from etgraph.api.limits import Limits
from etgraph.api.limits.cost import cost_of
from etgraph.api.schema import SCHEMA
from etgraph.store import Store, connect
from support.asking import asking
from support.uploading import working

PAGES = Path(__file__).resolve().parents[2] / "docs" / "api"
TEXT = "".join((PAGES / name).read_text("utf-8") for name in ("queries.md", "client.md"))
QUERIES = re.findall(r"^## ([^\n]+)$|^```graphql\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


def _titled() -> Iterator[tuple[str, str]]:
    title = ""
    for heading, query in QUERIES:
        title = heading or title
        if query:
            yield title, query


TITLED = list(_titled())


@pytest.fixture
def own_store(samples_store: Store, tmp_path: Path) -> Iterator[Store]:
    """A copy of the store of samples, to change."""
    folder = Path(samples_store.url.removeprefix("file://"))
    shutil.copytree(folder, tmp_path / "store")
    with connect(tmp_path / "store") as store:
        yield store


@pytest.mark.parametrize("query", [query for _, query in TITLED], ids=[title for title, _ in TITLED])
def test_the_query_runs(own_store: Store, query: str) -> None:
    with working(own_store) if "save: true" in query else nullcontext():
        found = asking(own_store)(query)
    assert found.errors is None
    assert all(found.data.values())


@pytest.mark.parametrize("query", [query for _, query in TITLED], ids=[title for title, _ in TITLED])
def test_the_query_is_within_what_one_may_cost(query: str) -> None:
    schema, document = SCHEMA.graphql_schema, parse(query)
    operation = get_operation_ast(document)
    assert operation is not None
    assert cost_of(schema, document, operation, coerced(schema, operation, {})) <= Limits().cost


def test_the_page_has_queries() -> None:
    assert len(TITLED) >= 10
