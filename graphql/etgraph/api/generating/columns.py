"""Fields, filters and orders of what a trace's tables hold, out of the schema's declaration of their columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any, Final

import graphene

from etgraph.api.generating.descriptions import sentence, words
from etgraph.api.generating.enums import UNKNOWN, enum_of, name_of
from etgraph.api.scalars import Bytes, Count, Nanoseconds
from etgraph.model.errors import UsageError
from etgraph.model.results import camel_case
from etgraph.model.schema import Column, CommType, NodeType, Table
from etgraph.store.rows import ROW, Condition, Order, column_of

_OPEN: Final = (NodeType, CommType)
"""Enums of Chakra's, which may have more members than this version knows."""
_BY_UNIT: Final = MappingProxyType({"ns": Nanoseconds, "B": Bytes})
_PLAIN: Final = MappingProxyType(
    {
        "bool": graphene.Boolean, "int8": graphene.Int, "int32": graphene.Int, "int64": Count,
        "uint64": graphene.String, "float32": graphene.Float, "float64": graphene.Float, "text": graphene.String,
    }
)  # fmt: skip


def type_of(column: Column) -> Any:
    """The type of a column's values."""
    if column.values is not None:
        return enum_of(column.values, open_ended=column.values in _OPEN)
    return _BY_UNIT.get(column.unit) or _PLAIN[column.type]


def column_fields(table: Table, leave_out: Sequence[str] = ()) -> dict[str, graphene.Field]:
    """A field for each column of a table that is no reference."""
    return {
        column.name: graphene.Field(
            type_of(column) if column.nullable else graphene.NonNull(type_of(column)),
            description=sentence(column.meaning),
            resolver=partial(_value_of, column),
        )
        for column in table.columns
        if not column.refers and column.name not in leave_out
    }


def _value_of(column: Column, root: Any, info: Any) -> Any:
    value = getattr(root, column.name)
    if column.values is not None:
        return name_of(value)
    return str(value) if column.type == "uint64" and value is not None else value


def filter_of(name: str, table: Table, columns: Sequence[str], description: str) -> type[graphene.InputObjectType]:
    """Conditions on columns of a table, `reference.column` among them, as an input; all that are given must hold."""
    fields = {_argument_of(each): _input(table, each) for each in columns}
    return type(name, (graphene.InputObjectType,), {"Meta": {"description": description}, **fields})


def _argument_of(column: str) -> str:
    """`lane.kind` → `lane_kind`; an index or name of a reference has the name of the reference."""
    reference, _, rest = column.partition(".")
    return reference if rest in ("", "index", "name") else f"{reference}_{rest}"


def _input(table: Table, name: str) -> graphene.InputField:
    column = column_of(table, name)
    assert column is not None
    meaning = column.meaning.rstrip(".")
    if column.type == "text":
        return graphene.InputField(
            graphene.String,
            description=sentence(f"{meaning}: a pattern, in which * stands for any characters, ? for one"),
        )
    if column.refers or column.values is not None or column.type == "int32":
        kind = graphene.Int if column.refers else type_of(column)
        return graphene.InputField(
            graphene.List(graphene.NonNull(kind)),
            description=sentence(f"{meaning}{', by its number' if column.refers else ''}: any of these"),
        )
    return graphene.InputField(_range_of(type_of(column)), description=sentence(f"{meaning}: within these bounds"))


_ranges: dict[Any, type[graphene.InputObjectType]] = {}


def _range_of(kind: Any) -> type[graphene.InputObjectType]:
    """Bounds of values of a type."""
    if kind not in _ranges:
        name = kind._meta.name
        _ranges[kind] = type(
            f"{name}Range",
            (graphene.InputObjectType,),
            {
                "Meta": {"description": f"Bounds of {name}, which are themselves within; either may be left out."},
                "min": graphene.InputField(kind, description="The least."),
                "max": graphene.InputField(kind, description="The greatest."),
            },
        )
    return _ranges[kind]


def conditions_of(table: Table, columns: Sequence[str], given: Mapping[str, Any] | None) -> tuple[Condition, ...]:
    """The conditions that a filter means."""
    return tuple(_conditions(table, columns, given or {}))


def _conditions(table: Table, columns: Sequence[str], given: Mapping[str, Any]) -> Iterator[Condition]:
    for name in columns:
        value = given.get(_argument_of(name))
        if value is None:
            continue
        column = column_of(table, name)
        assert column is not None
        if isinstance(value, str):
            yield Condition(name, glob=value)
        elif isinstance(value, list):
            yield Condition(name, any_of=tuple(_number(column, each) for each in value))
        else:
            yield Condition(name, low=value.get("min"), high=value.get("max"))


def _number(column: Column, value: Any) -> int:
    """A value of a filter as the column holds it."""
    if column.values is None:
        return int(value)
    name = getattr(value, "value", value)
    if name == UNKNOWN:
        raise UsageError(f"{column.name}: numbers without a name cannot be asked for")
    return int(column.values[name])


def order_of(name: str, table: Table, columns: Sequence[str], description: str) -> type[graphene.InputObjectType]:
    """By which column rows are ordered, and in which direction, as an input."""
    described = {ROW: "As the trace has them."} | {
        each: sentence(f"by {words(each)}, rows without one last") for each in columns
    }
    by_value = {_camel(each): text for each, text in described.items()}

    def describe(value: Any) -> str:
        return (
            f"What a list of rows can be ordered by: {', '.join(by_value)}." if value is None else by_value[value.name]
        )

    kinds = graphene.Enum(f"{name}Field", [(_camel(each), each) for each in described], description=describe)
    return type(
        name,
        (graphene.InputObjectType,),
        {
            "Meta": {"description": description},
            "field": graphene.InputField(graphene.NonNull(kinds), description="What rows are ordered by."),
            "descending": graphene.InputField(
                graphene.NonNull(graphene.Boolean), default_value=False, description="The greatest first."
            ),
        },
    )


def ordered(given: Mapping[str, Any] | None) -> Order:
    """The order that an input means."""
    if given is None:
        return Order()
    return Order(getattr(given["field"], "value", given["field"]), bool(given.get("descending")))


def _camel(name: str) -> str:
    return "position" if name == ROW else camel_case(name)
