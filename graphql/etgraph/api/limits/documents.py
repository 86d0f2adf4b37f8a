"""Documents that were parsed, counted and validated, kept so that the next request with the same text does neither."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLSchema,
    GraphQLSyntaxError,
    NoSchemaIntrospectionCustomRule,
    OperationDefinitionNode,
    parse,
    specified_rules,
    validate,
)
from graphql.validation.rules import overlapping_fields_can_be_merged
from graphql.validation.validate import ValidationAbortedError

from etgraph.api.bounded import Bounded
from etgraph.api.errors import CostExceeded
from etgraph.api.limits.limits import Limits
from etgraph.api.limits.shape import check_shape
from etgraph.model.errors import UsageError

KEPT_BYTES: Final = 16 << 20
"""How much memory kept documents take, if nothing else is said."""
_BYTES_A_CHARACTER: Final = 280
"""Memory of a parsed document for each character of its text, at most: measured 45 to 280, the most for short names."""
_MOST_ERRORS: Final = 20
_ABORTED: Final = "Parsing aborted"
_TOO_MANY: Final = "Too many validation errors"
"""How graphql-core says that a bound was reached."""


class InvalidDocument(UsageError):
    """A document that is not valid; `errors` are those of graphql-core, with their places."""

    def __init__(self, errors: list[GraphQLError]) -> None:
        super().__init__(errors[0].message)
        self.errors = errors


@dataclass(frozen=True, slots=True)
class Validated:
    """A document that may be executed, and the hash (SHA-256) of its text."""

    hash: str
    document: DocumentNode

    def operation(self, name: str | None) -> OperationDefinitionNode:
        """The operation of that name; the only one without a name. Raises UsageError where it is not clear."""
        operations = [each for each in self.document.definitions if isinstance(each, OperationDefinitionNode)]
        if name is None:
            if len(operations) != 1:
                raise UsageError(f"the document has {len(operations)} operations: operationName says which to execute")
            return operations[0]
        for each in operations:
            if each.name and each.name.value == name:
                return each
        raise UsageError(f"the document has no operation {name!r}")


class Documents:
    """Validates documents against a schema within limits, and keeps the valid ones."""

    def __init__(self, schema: GraphQLSchema, limits: Limits, most_bytes: int = KEPT_BYTES) -> None:
        self.schema = schema
        self.limits = limits
        self._kept: Bounded[str, Validated] = Bounded(most_bytes)
        self._rules = [*specified_rules, *([] if limits.introspection else [NoSchemaIntrospectionCustomRule])]
        # graphql-core reads it from its module, for every document of the process.
        overlapping_fields_can_be_merged.MAX_COMPLEXITY_BUDGET = limits.overlaps

    def get(self, text: str) -> Validated:
        """The document of a text. Raises InvalidDocument, UsageError, and CostExceeded for one beyond the limits."""
        key = hash_of(text)
        found = self._kept.get(key)
        if found is None:
            found = Validated(key, self._validated(text))
            self._kept.put(key, found, _BYTES_A_CHARACTER * len(text))
        return found

    def _validated(self, text: str) -> DocumentNode:
        limits = self.limits
        if len(text) > limits.document_bytes:
            raise CostExceeded(f"the document has {len(text):,} characters, {limits.document_bytes:,} are allowed")
        try:
            document = parse(text, max_lexical_tokens=limits.tokens, max_comments=limits.tokens)
        except GraphQLSyntaxError as error:
            if _ABORTED in error.message:
                raise CostExceeded(error.message) from None
            raise InvalidDocument([error]) from None
        check_shape(document, limits)
        errors = validate(
            self.schema,
            document,
            self._rules,
            max_errors=_MOST_ERRORS,
            hide_suggestions=not limits.introspection,
        )
        if any(isinstance(error, ValidationAbortedError) and _TOO_MANY not in error.message for error in errors):
            raise CostExceeded(
                f"comparing the document's fields takes more than {limits.overlaps:,} steps",
                hint="select fewer fields of the same name",
            )
        if errors:
            raise InvalidDocument(errors)
        return document


def hash_of(text: str) -> str:
    """The SHA-256 of a document's text, in hexadecimal digits."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


__all__ = ["Documents", "InvalidDocument", "Validated", "hash_of"]
