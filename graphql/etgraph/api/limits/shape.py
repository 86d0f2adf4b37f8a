"""The shape of a document, counted before it is validated: how deep, how wide, how many aliases, directives, literals.

Validation itself is work that grows with these, some of it with their square.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from graphql import (
    DirectiveNode,
    DocumentNode,
    EnumValueNode,
    FieldNode,
    FloatValueNode,
    FragmentSpreadNode,
    IntValueNode,
    Node,
    OperationDefinitionNode,
    SelectionSetNode,
    StringValueNode,
)

from etgraph.api.errors import CostExceeded
from etgraph.api.limits.fragments import fields_of, innermost_first
from etgraph.api.limits.limits import Limits

_INTROSPECTION: Final = frozenset({"__schema", "__type"})
"""Fields inside which graphql-core has a bound on depth of its own."""
_LITERALS: Final = (StringValueNode, IntValueNode, FloatValueNode, EnumValueNode)


@dataclass(frozen=True, slots=True)
class Shape:
    """Counts of a document: of operations the largest; `root_fields`, `depth` and `width` with fragments unfolded."""

    root_fields: int
    depth: int
    width: int
    aliases: int
    directives: int
    literal: int


@dataclass(frozen=True, slots=True)
class _Extent:
    fields: int = 0
    depth: int = 0
    width: int = 0


def shape_of(document: DocumentNode) -> Shape:
    """The shape of a document. Raises UsageError for fragments that spread each other in a circle."""
    fragments: dict[str, _Extent] = {}
    for fragment in innermost_first(document):
        fragments[fragment.name.value] = _extent(fragment.selection_set, fragments)
    operations = [
        _extent(definition.selection_set, fragments)
        for definition in document.definitions
        if isinstance(definition, OperationDefinitionNode)
    ]
    every = [*operations, *fragments.values()]
    aliases, directives, literal = _counted(document)
    return Shape(
        max((one.fields for one in operations), default=0),
        max((one.depth for one in every), default=0),
        max((one.width for one in every), default=0),
        aliases, directives, literal,
    )  # fmt: skip


def check_shape(document: DocumentNode, limits: Limits) -> None:
    """Raise CostExceeded, naming the first limit that a document exceeds."""
    found = shape_of(document)
    for what, count, most in (
        ("aliases", found.aliases, limits.aliases),
        ("fields at the root", found.root_fields, limits.root_fields),
        ("levels of fields", found.depth, limits.depth),
        ("fields in one selection", found.width, limits.width),
        ("directives", found.directives, limits.directives),
        ("characters in a literal", found.literal, limits.literal_bytes),
    ):
        if count > most:
            raise CostExceeded(
                f"the document has {_number(count)} {what}, {most:,} are allowed",
                hint="ask in several requests, and pass long values as variables",
            )


def _number(count: int) -> str:
    """A number in words; that of a document that unfolds without end is left at its size."""
    return f"{count:,}" if count < 10**12 else f"more than {10**12:,}"


def _extent(selected: SelectionSetNode, fragments: Mapping[str, _Extent]) -> _Extent:
    """Fields, depth and width of a selection, given those of the fragments that it spreads."""
    own = depth = width = 0
    stack = [(selected, 0)]
    while stack:
        one, level = stack.pop()
        here = 0
        for selection, _ in fields_of(one):
            if isinstance(selection, FragmentSpreadNode):
                spread = fragments.get(selection.name.value, _Extent())
                here += spread.fields
                depth, width = max(depth, level + spread.depth), max(width, spread.width)
                continue
            here += 1
            depth = max(depth, level + 1)
            if selection.selection_set and selection.name.value not in _INTROSPECTION:
                stack.append((selection.selection_set, level + 1))
        width = max(width, here)
        own = here if one is selected else own
    return _Extent(own, depth, width)


def _counted(document: DocumentNode) -> tuple[int, int, int]:
    """Aliases and directives of a document, and the length of its longest literal."""
    aliases = directives = literal = 0
    stack: list[Node] = [document]
    while stack:
        node = stack.pop()
        if isinstance(node, FieldNode):
            aliases += node.alias is not None
        elif isinstance(node, DirectiveNode):
            directives += 1
        elif isinstance(node, _LITERALS):
            literal = max(literal, len(node.value))
        for key in node.keys:
            value = getattr(node, key, None)
            if isinstance(value, Node):
                stack.append(value)
            elif isinstance(value, (list, tuple)):
                stack.extend(each for each in value if isinstance(each, Node))
    return aliases, directives, literal


__all__ = ["Shape", "check_shape", "shape_of"]
