"""The reference of the schema as Markdown, from the declaration itself.

`python -m etgraph.model.documentation > docs/schema.md` writes the page.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from etgraph.model.schema import DEPENDENCIES, TABLES, TYPES, Column, DependencyMeaning, Table

_INTRODUCTION = """\
# Schema of a trace

A trace is the tables below; rows refer to each other by row number. This page follows from the declaration in
`model/etgraph/model/schema.py`. After a change there, write it anew:

    python -m etgraph.model.documentation > docs/schema.md

The last column of a table is the name in Neo4j: of a property in camelCase, of the relationship that a reference
becomes in UPPER_SNAKE.
"""


def schema_page() -> str:
    """All of `docs/schema.md`: the introduction and `schema_markdown`."""
    return f"{_INTRODUCTION}\n{schema_markdown()}"


def schema_markdown() -> str:
    """Types, tables with their columns, enumerations, and the kinds of dependencies with the ends they join."""
    enums = {c.values.__name__: c.values for t in TABLES.values() for c in t.columns if c.values is not None}
    sections = [
        "## Types",
        _table(
            ("type", "held as", "null"),
            ((f"`{t.name}`", f"`{t.dtype}`", "a mask" if t.null is None else f"`{t.null}`") for t in TYPES.values()),
        ),
        "A `text` is the code of a string in the column's dictionary, a `row` the number of a row of the table named"
        " after the arrow, an `enum` the number of a value below.",
        *(part for table in TABLES.values() for part in _table_section(table)),
        "## Values of enumerations",
        _table(
            ("enumeration", "values"),
            ((f"`{name}`", ", ".join(f"{int(v)} `{v.name}`" for v in values)) for name, values in enums.items()),
        ),
        "A number that is not listed is kept as it is, except for the kind of a dependency.",
        "## Kinds of dependencies",
        "An edge joins a certain end of the source (`src`) to a certain end of the target (`dst`). A kind outside"
        " the order explains a delay; the event graph, which must be acyclic, does without it.",
        _table(
            ("kind", "edges", "in the order", "meaning", "Neo4j"),
            (
                (f"`{kind.name}`", _edges(meaning), "yes" if meaning.ordering else "no", meaning.meaning, meaning.neo4j)
                for kind, meaning in DEPENDENCIES.items()
            ),
        ),
    ]
    return "\n\n".join(sections) + "\n"


def _edges(meaning: DependencyMeaning) -> str:
    return "; ".join(ends.value for ends in meaning.ends)


def _table_section(table: Table) -> tuple[str, str, str]:
    label = f" Label in Neo4j: `{table.neo4j}`." if table.neo4j else ""
    rows = (
        (f"`{c.name}`", _type(c), c.unit, "yes" if c.nullable else "", c.meaning, f"`{c.neo4j}`") for c in table.columns
    )
    return (
        f"## Table `{table.name}`",
        f"{table.meaning[0].upper()}{table.meaning[1:]}.{label}",
        _table(("column", "type", "unit", "nullable", "meaning", "Neo4j"), rows),
    )


def _type(column: Column) -> str:
    if column.refers:
        return f"`{column.type}` → {column.refers}"
    if column.values is not None:
        return f"`{column.type}` {column.values.__name__}"
    return f"`{column.type}`"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


if __name__ == "__main__":
    print(schema_page(), end="")
