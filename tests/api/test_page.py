"""GraphiQL, opened in a browser from a server at a real port."""

from __future__ import annotations

from etgraph.api.schema import SCHEMA
from etgraph.store import Store
from support.api import application, serving
from support.browser import Browser

EDITOR = "document.querySelector('.graphiql-query-editor .CodeMirror')?.CodeMirror.getValue()"


def test_the_page_opens_with_the_query_of_its_address_and_asks_nobody_else(gpt: Store, browser: Browser) -> None:
    with serving(application(gpt, schema=SCHEMA.graphql_schema)) as url:
        plain, asked = browser.visit(
            f"{url}/graphiql", f"{url}/graphiql?query=%7Bviewer%7Bname%7D%7D",
            look=f"[document.title, {EDITOR}]", until=EDITOR,
        )  # fmt: skip
    for visit in (plain, asked):
        assert (visit.requests, visit.dialogues) == ([], [])
        assert not [line for line in visit.console if line.startswith("Error")]
        assert visit.seen[0] == "etgraph – GraphiQL"
    assert "findings" in plain.seen[1]
    assert asked.seen[1] == "{viewer{name}}"
