"""The declaration of the schema is complete and consistent, and the reference is current."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from etgraph.model import DEPENDENCIES, TABLES, DependencyKind, Trace
from etgraph.model.documentation import schema_markdown, schema_page
from etgraph.model.schema import TYPES, Column, Table

COLUMNS = [pytest.param(t, c, id=f"{t.name}.{c.name}") for t in TABLES.values() for c in t.columns]
PAGE = Path(__file__).resolve().parents[2] / "docs" / "schema.md"
CAMEL_CASE = r"[a-z]+([A-Z][a-z0-9]*)*"
UPPER_SNAKE = r"[A-Z]+(_[A-Z]+)*"


@pytest.mark.parametrize(("table", "column"), COLUMNS)
def test_a_column_is_declared_in_full(table: Table, column: Column) -> None:
    assert column.meaning
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", column.name)
    assert column.type in TYPES
    assert (column.type == "row") == bool(column.refers)
    assert column.refers in {"", "attributes", *TABLES}
    assert column.type != "enum" or column.values is not None


@pytest.mark.parametrize(("table", "column"), COLUMNS)
def test_times_and_sizes_have_units(table: Table, column: Column) -> None:
    assert (column.unit == "ns") == column.name.endswith("_ns")
    assert (column.unit == "B") == (column.name.split("_")[-1] in ("bytes", "allocated", "reserved"))


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_names_in_neo4j_are_well_formed_and_unique(table: Table) -> None:
    names = [column.neo4j for column in table.columns]
    assert len(set(names)) == len(names)
    for column in table.columns:
        assert re.fullmatch(f"{CAMEL_CASE}|{UPPER_SNAKE}", column.neo4j)
        assert column.type == "row" or re.fullmatch(CAMEL_CASE, column.neo4j), "only a reference is a relationship"
    assert re.fullmatch(r"([A-Z][a-z]+)*", table.neo4j)


def test_labels_are_unique() -> None:
    labels = [table.neo4j for table in TABLES.values() if table.neo4j]
    assert len(set(labels)) == len(labels)


def test_a_column_name_occurs_once_in_a_table() -> None:
    for table in TABLES.values():
        assert len({column.name for column in table.columns}) == len(table.columns)


def test_an_unknown_column_is_an_error() -> None:
    with pytest.raises(KeyError, match="table lanes has no column 'absent'"):
        TABLES["lanes"].column("absent")


def test_a_trace_has_a_field_for_every_table() -> None:
    assert set(TABLES) <= set(Trace.__dataclass_fields__)


def test_every_kind_of_dependency_is_declared() -> None:
    assert list(DEPENDENCIES) == list(DependencyKind)
    names = [meaning.neo4j for meaning in DEPENDENCIES.values()]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(UPPER_SNAKE, name) for name in names)
    assert all(meaning.ends and meaning.meaning for meaning in DEPENDENCIES.values())


# The reference


def test_the_reference_is_current() -> None:
    assert PAGE.read_text("utf-8") == schema_page(), "run: python -m etgraph.model.documentation > docs/schema.md"


def test_the_reference_has_every_column_and_kind() -> None:
    text = schema_markdown()
    for table in TABLES.values():
        section = text.split(f"## Table `{table.name}`\n")[1].split("\n## ")[0]
        for column in table.columns:
            assert f"| `{column.name}` |" in section
            assert f"| {column.meaning} | `{column.neo4j}` |" in section
    for kind, meaning in DEPENDENCIES.items():
        (line,) = (row for row in text.splitlines() if row.startswith(f"| `{kind.name}` |"))
        assert all(ends.value in line for ends in meaning.ends)
        assert line.endswith(f"| {meaning.neo4j} |")


def test_every_line_of_a_table_has_as_many_cells() -> None:
    for block in schema_page().split("\n\n"):
        if block.startswith("|"):
            assert len({len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}) == 1
