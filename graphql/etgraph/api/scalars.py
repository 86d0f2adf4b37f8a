"""Scalars: times, sizes and counts beyond 32 bits, instants, and values of no fixed form."""

from __future__ import annotations

import json
import math
from datetime import datetime
from typing import Any, Final

import graphene
from graphql import GraphQLError, Undefined, ValueNode, value_from_ast_untyped
from graphql.language import print_ast

from etgraph.model.results import to_json

LARGEST: Final = 2**53
"""Integers are within this, so that every reader of JSON has them exactly."""


def _whole(value: Any) -> int:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > LARGEST:
        raise GraphQLError(f"found {str(value)[:40]!r}, expected a whole number of at most 2^53")
    return value


class _Whole(graphene.Scalar):
    class Meta:
        abstract = True

    serialize = staticmethod(int)
    parse_value = staticmethod(_whole)

    @staticmethod
    def parse_literal(node: ValueNode, variables: Any = None) -> int:
        return _whole(value_from_ast_untyped(node, variables))


class Nanoseconds(_Whole):
    """A time in ns, as a whole number within ±2⁵³: a length, or a moment counted from the trace's zero."""


class Bytes(_Whole):
    """A size in bytes, as a whole number within ±2⁵³."""


class Count(_Whole):
    """A number of things or of operations: a whole number within ±2⁵³, which may not fit in 32 bits."""


class DateTime(graphene.Scalar):
    """An instant as ISO 8601 has it, with its offset from UTC where that is recorded."""

    serialize = staticmethod(str)

    @staticmethod
    def parse_value(value: Any) -> str:
        """The text itself, if it is an instant."""
        try:
            datetime.fromisoformat(value)
        except (TypeError, ValueError):
            raise GraphQLError(f"found {str(value)[:40]!r}, expected an instant such as 2026-01-31T12:00:00Z") from None
        return str(value)

    @staticmethod
    def parse_literal(node: ValueNode, variables: Any = None) -> str:
        return DateTime.parse_value(value_from_ast_untyped(node, variables))


class Value(graphene.Scalar):
    """Any JSON value: what has no fixed form, such as a cell of a Cypher query's answer."""

    serialize = staticmethod(to_json)

    @staticmethod
    def parse_value(value: Any) -> Any:
        return value

    @staticmethod
    def parse_literal(node: ValueNode, variables: Any = None) -> Any:
        try:
            found = value_from_ast_untyped(node, variables)
        except (RecursionError, ValueError) as error:
            raise GraphQLError("found a value that cannot be read, expected JSON") from error
        if found is Undefined or (isinstance(found, float) and not math.isfinite(found)):
            raise GraphQLError(f"found {print_ast(node)[:40]}, expected a JSON value")
        return found


class Attributes(Value):
    """A JSON object whose keys are not known beforehand: labels, counts by kind, what a source says of an operator."""

    @staticmethod
    def parse_value(value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise GraphQLError(f"found {json.dumps(value)[:40]}, expected a JSON object")
        return value

    @staticmethod
    def parse_literal(node: ValueNode, variables: Any = None) -> dict[str, Any]:
        return Attributes.parse_value(Value.parse_literal(node, variables))


__all__ = ["Attributes", "Bytes", "Count", "DateTime", "Nanoseconds", "Value"]
