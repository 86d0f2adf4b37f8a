"""Queries made of a schema: whole selections of a type, and random valid ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graphql import (
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    GraphQLUnionType,
    get_named_type,
    get_nullable_type,
    is_list_type,
    is_required_argument,
)
from hypothesis import strategies as st

LEAVES = (GraphQLScalarType, GraphQLEnumType)


def everything(kind: Any) -> str:
    """A selection of all fields of a type that need no arguments, and of all within them; the type must be a tree."""
    kind = get_named_type(kind)
    if isinstance(kind, LEAVES):
        return ""
    chosen = [
        f"{name} {everything(field.type)}"
        for name, field in kind.fields.items()
        if not any(map(is_required_argument, field.args.values()))
    ]
    return f"{{ {' '.join(chosen)} }}"


@st.composite
def documents(draw: st.DrawFn, schema: GraphQLSchema, values: Mapping[str, st.SearchStrategy[str]]) -> str:
    """A valid query of the schema. `values` are literals of arguments, by `Type.field.argument`, `argument` or type."""
    assert schema.query_type is not None
    return draw(_selection(schema, schema.query_type, values, depth=6))


@st.composite
def _selection(draw: st.DrawFn, schema: GraphQLSchema, kind: Any, values: Mapping[str, Any], depth: int) -> str:
    if isinstance(kind, GraphQLUnionType):
        return "{ __typename }"
    assert isinstance(kind, (GraphQLObjectType, GraphQLInterfaceType))
    able = {
        name: field
        for name, field in kind.fields.items()
        if depth > 1 or isinstance(get_named_type(field.type), LEAVES)
    }
    if not able:
        return "{ __typename }"
    names = draw(st.lists(st.sampled_from(sorted(able)), min_size=1, max_size=3))
    fields = [draw(_field(schema, kind, name, able[name], values, depth, at)) for at, name in enumerate(names)]
    if isinstance(kind, GraphQLInterfaceType) and depth > 1:
        one = draw(st.sampled_from(sorted(each.name for each in schema.get_possible_types(kind))))
        fields.append(f"... on {one} {draw(_selection(schema, schema.type_map[one], values, depth - 1))}")
    return f"{{ __typename {' '.join(fields)} }}"


@st.composite
def _field(
    draw: st.DrawFn, schema: GraphQLSchema, kind: Any, name: str, field: GraphQLField, values: Mapping[str, Any],
    depth: int, at: int,
) -> str:  # fmt: skip
    arguments = []
    for argument, declared in field.args.items():
        if is_required_argument(declared) or draw(st.booleans()):
            named = [key for key in (f"{kind.name}.{name}.{argument}", argument) if key in values]
            literal = values[named[0]] if named else _literal(declared.type, values)
            arguments.append(f"{argument}: {draw(literal)}")
    inner = get_named_type(field.type)
    selected = "" if isinstance(inner, LEAVES) else draw(_selection(schema, inner, values, depth - 1))
    # Each field under a name of its own, so that no two of them have to be merged.
    given = f"({', '.join(arguments)})" if arguments else ""
    return f"{name}{depth}{at}: {name}{given} {selected}"


def _literal(kind: Any, values: Mapping[str, Any]) -> st.SearchStrategy[str]:
    """Literals of an input type."""
    if isinstance(kind, GraphQLNonNull):
        return _literal(kind.of_type, values)
    if is_list_type(get_nullable_type(kind)):
        items = st.lists(_literal(get_nullable_type(kind).of_type, values), max_size=3)
        return items.map(lambda listed: f"[{', '.join(listed)}]")
    if kind.name in values:
        found: st.SearchStrategy[str] = values[kind.name]
        return found
    if isinstance(kind, GraphQLEnumType):
        return st.sampled_from(sorted(kind.values))
    assert isinstance(kind, GraphQLInputObjectType), kind
    return _input_object(kind, values)


@st.composite
def _input_object(draw: st.DrawFn, kind: GraphQLInputObjectType, values: Mapping[str, Any]) -> str:
    required = [name for name, field in kind.fields.items() if isinstance(field.type, GraphQLNonNull)]
    more = draw(st.lists(st.sampled_from(sorted(kind.fields)), max_size=2))
    given = [f"{name}: {draw(_literal(kind.fields[name].type, values))}" for name in dict.fromkeys([*required, *more])]
    return f"{{{', '.join(given)}}}"


__all__ = ["documents", "everything"]
