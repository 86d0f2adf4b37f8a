"""`etgraph query`: the library of named queries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from etgraph.cli.group import command, pass_settings
from etgraph.cli.options import parameters_option, timeout_option
from etgraph.cli.settings import Settings

if TYPE_CHECKING:
    from etgraph.queries.library import NamedQuery


@command("query")
@click.argument("name", metavar="[NAME]", required=False)
@parameters_option("A value for the query's parameter KEY; may be repeated.")
@click.option("--describe", is_flag=True, help="Tell what the query answers, takes and gives, and do not run it.")
@timeout_option
@pass_settings
def query(settings: Settings, name: str | None, parameters: Mapping[str, str], describe: bool, timeout: float) -> None:
    """Run the query NAME of the library on a store in Neo4j; without NAME, list the library.

    A trace is a parameter as any other: --param trace=gpt.
    """
    from etgraph.queries import library

    if name is None:
        if parameters or describe:
            raise click.UsageError("which query? 'etgraph query' lists them")
        _list(settings)
        return
    found = library.load(name)
    if describe:
        _describe(settings, found)
        return
    values = library.from_texts(found, parameters)
    from etgraph.cli.progress import watched

    with settings.session() as session, watched(settings) as progress:
        progress(f"asking {name}")
        answer = session.query(name, values, timeout_s=timeout)
    output = settings.output()
    if settings.json:
        output.document({"columns": list(answer.columns), "rows": list(answer.rows()), "truncated": answer.truncated})
    else:
        from etgraph.cli.views.cypher import answer_lines

        for line in answer_lines(answer, output.answer.width):
            output.line(line)
    if answer.truncated:
        output.say("there are more rows than a store gives at once")


def _list(settings: Settings) -> None:
    from etgraph.cli.views.cypher import library_view, query_document
    from etgraph.queries import library

    queries = [library.load(name) for name in library.names()]
    output = settings.output()
    if settings.json:
        output.document({"queries": [query_document(found) for found in queries]})
    else:
        output.show(library_view(queries))
        output.say("'etgraph query NAME --describe' tells of one")


def _describe(settings: Settings, found: NamedQuery) -> None:
    from etgraph.cli.views.cypher import query_document, query_view

    output = settings.output()
    if settings.json:
        output.document({"query": query_document(found)})
    else:
        output.show(query_view(found))
