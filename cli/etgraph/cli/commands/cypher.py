"""`etgraph cypher`: a query in Cypher on the store's graph."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from etgraph.cli.group import command, pass_settings
from etgraph.cli.options import parameters_option, timeout_option
from etgraph.cli.settings import Settings

FILES = (".cypher", ".cql")


@command("cypher")
@click.argument("query", metavar="QUERY")
@parameters_option("A value for $KEY: JSON where it is JSON, else a text; may be repeated.")
@click.option("--write", is_flag=True, help="Let the query change the graph; otherwise it may only read.")
@timeout_option
@click.option(
    "--limit", metavar="N", type=click.IntRange(0), default=100_000, show_default=True, help="No more rows than this."
)
@pass_settings
def cypher(
    settings: Settings, query: str, parameters: Mapping[str, str], write: bool, timeout: float, limit: int
) -> None:
    """Run QUERY, a text in Cypher, on the graph of a store in Neo4j.

    QUERY may also be a file that ends in .cypher or .cql, or - for stdin. Without --write, a query that would do more
    than read the graph is refused before it runs.
    """
    from etgraph.cli.progress import watched

    text = _text_of(query)
    values = {key: value_of(value) for key, value in parameters.items()}
    with settings.session() as session, watched(settings) as progress:
        progress("running the query")
        result = session.cypher(text, values, write=write, timeout_s=timeout, limit=limit)
    output = settings.output()
    for warning in result.warnings:
        output.say(f"! {warning}")
    if settings.json:
        output.document(
            {
                "columns": list(result.columns),
                "rows": list(result.rows()),
                "truncated": result.truncated,
                "warnings": list(result.warnings),
            }
        )
    elif result.columns:
        from etgraph.cli.views.cypher import result_lines

        for line in result_lines(result, output.answer.width):
            output.line(line)
    if result.truncated:
        output.say(f"there are more than {limit:,} rows; --limit gives more of them")


def _text_of(query: str) -> str:
    """The text of a query that is an argument, a file or stdin."""
    if query == "-":
        return sys.stdin.read()
    if query.endswith(FILES):
        try:
            return Path(query).read_text("utf-8")
        except UnicodeDecodeError as error:
            raise click.BadParameter(f"{query}: found bytes that are no UTF-8 ({error})") from error
    return query


def value_of(text: str) -> Any:
    """JSON where the text is JSON, which has no NaN, else the text."""

    def refuse(constant: str) -> Any:
        raise ValueError(constant)

    try:
        return json.loads(text, parse_constant=refuse)
    except ValueError:
        return text
