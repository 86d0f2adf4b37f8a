"""Executing an operation: coerced variables first, then under a deadline and a bound on the answer's size."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graphql import ExecutionContext, ExecutionResult, GraphQLError, GraphQLSchema, OperationDefinitionNode
from graphql.execution import execute_sync
from graphql.execution.values import get_variable_values

from etgraph.api.context import Context
from etgraph.api.errors import CostExceeded
from etgraph.api.limits import Validated
from etgraph.api.limits.documents import InvalidDocument
from etgraph.model.cancelling import check
from etgraph.model.errors import Cancelled, EtgraphError

_BYTES_A_VALUE = 8
"""What a number, a name or a truth value takes at least, with its quotes and commas."""


class _Abort(BaseException):
    """Ends an execution at once: no field may take it for an error of its own."""

    def __init__(self, error: EtgraphError) -> None:
        self.error = error


def coerced(
    schema: GraphQLSchema, operation: OperationDefinitionNode, variables: Mapping[str, Any]
) -> Mapping[str, Any]:
    """The variables of an operation as its types have them. Raises InvalidDocument where they do not fit."""
    found = get_variable_values(schema, operation.variable_definitions or (), dict(variables), max_errors=20)
    if isinstance(found, list):
        raise InvalidDocument(found)
    return found


def execute(
    schema: GraphQLSchema,
    valid: Validated,
    operation: OperationDefinitionNode,
    variables: Mapping[str, Any],
    context: Context,
) -> ExecutionResult:
    """Execute an operation with the variables that the client sent, within the limits of the context.

    Raises Cancelled where the work was to stop, whatever it had found until then, and CostExceeded where the answer
    grows beyond its bound; both as soon as the next field is begun.
    """
    try:
        result = execute_sync(
            schema,
            valid.document,
            context_value=context,
            variable_values=dict(variables),
            operation_name=operation.name.value if operation.name else None,
            execution_context_class=_Guarded,
        )
    except _Abort as abort:
        raise abort.error from None
    check()
    return result


class _Guarded(ExecutionContext):
    """Looks, at each field, whether to go on."""

    context_value: Context
    bytes = 0

    def execute_field(self, *arguments: Any) -> Any:
        """Resolve a field, unless the work is to stop."""
        try:
            check()
        except Cancelled as error:
            raise _Abort(error) from None
        return super().execute_field(*arguments)

    def complete_leaf_value(self, return_type: Any, result: Any) -> Any:  # type: ignore[override]
        """Serialise a value, unless the answer is too large with it."""
        value = ExecutionContext.complete_leaf_value(return_type, result)
        self.bytes += len(value) if isinstance(value, str) else _BYTES_A_VALUE
        if self.bytes > self.context_value.limits.response_bytes:
            raise _Abort(too_large(self.context_value.limits.response_bytes))
        return value


def too_large(most: int) -> CostExceeded:
    """The error for an answer beyond its bound."""
    return CostExceeded(f"the answer is larger than {most:,} bytes", hint="ask for fewer rows (first) or fewer fields")


def own_error(error: GraphQLError) -> Exception | None:
    """What a resolver raised, None where the error is graphql-core's own."""
    original = error.original_error
    while isinstance(original, GraphQLError):
        original = original.original_error
    return original


__all__ = ["coerced", "execute", "own_error", "too_large"]
