"""What an operation costs: the sum over its fields of their weight times every `first` around them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentSpreadNode,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    IntValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    Undefined,
    VariableNode,
    get_named_type,
    get_nullable_type,
    is_list_type,
)
from graphql.execution.execute import get_field_def

from etgraph.api.limits.fragments import fields_of, innermost_first
from etgraph.api.limits.weights import WEIGHTS

UNPAGED: Final = 100
"""Rows that a list with the argument `first` is taken to have where the argument is neither given nor has a default."""
_PAGES: Final = ("first", "last")


def cost_of(
    schema: GraphQLSchema,
    document: DocumentNode,
    operation: OperationDefinitionNode,
    variables: Mapping[str, Any],
    weights: Mapping[str, int] = WEIGHTS,
) -> int:
    """The cost of an operation of a valid document, with coerced variables. Linear in the document, not in its fields.

    Directives are not looked at: what they leave out counts.
    """
    costs = _Costs(schema, variables, weights)
    for fragment in innermost_first(document):
        on = fragment.type_condition.name.value
        costs.of_fragments[fragment.name.value] = costs.of(fragment.selection_set, schema.get_type(on))
    return costs.of(operation.selection_set, schema.get_root_type(operation.operation))


class _Costs:
    """Costs of selections, given those of the fragments that they spread."""

    def __init__(self, schema: GraphQLSchema, variables: Mapping[str, Any], weights: Mapping[str, int]) -> None:
        self.schema = schema
        self.variables = variables
        self.weights = weights
        self.of_fragments: dict[str, int] = {}

    def of(self, selected: SelectionSetNode, on: Any) -> int:
        """The cost of a selection on a type."""
        total = 0
        stack = [(selected, on, 1)]
        while stack:
            one, parent, rows = stack.pop()
            for selection, condition in fields_of(one):
                if isinstance(selection, FragmentSpreadNode):
                    total += rows * self.of_fragments.get(selection.name.value, 0)
                    continue
                inside = self.schema.get_type(condition) if condition else parent
                name = selection.name.value
                total += rows * self.weights.get(f"{getattr(inside, 'name', '')}.{name}", 1)
                if not selection.selection_set:
                    continue
                field = (
                    get_field_def(self.schema, inside, selection)  # type: ignore[arg-type]
                    if isinstance(inside, (GraphQLObjectType, GraphQLInterfaceType))
                    else None
                )
                if field is not None:
                    stack.append(
                        (selection.selection_set, get_named_type(field.type), rows * self._rows(selection, field))
                    )
        return total

    def _rows(self, node: FieldNode, field: Any) -> int:
        """How many rows a field may have: what its argument `first` or `last` says; 1 where it is no list of rows."""
        declared = [name for name in _PAGES if name in field.args]
        if not declared or not _has_rows(field.type):
            return 1
        given = {argument.name.value: self._value(argument.value) for argument in node.arguments}
        values = [given.get(name, field.args[name].default_value) for name in declared]
        known = [value for value in values if isinstance(value, int)]
        return max(0, *known) if known else UNPAGED

    def _value(self, node: Any) -> Any:
        if isinstance(node, VariableNode):
            return self.variables.get(node.name.value, Undefined)
        return int(node.value) if isinstance(node, IntValueNode) else Undefined


def _has_rows(declared: Any) -> bool:
    """Whether a field is a list, or a connection."""
    inner = get_nullable_type(declared)
    return is_list_type(inner) or get_named_type(inner).name.endswith("Connection")


__all__ = ["UNPAGED", "cost_of"]
