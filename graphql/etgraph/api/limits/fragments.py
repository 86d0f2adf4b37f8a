"""Documents with fragments, read without unfolding them: a fragment is measured once, however often it is spread.

A document in which each fragment spreads the next one twice unfolds to 2ⁿ fields. What is asked of it (depth, width,
cost) adds up over spreads, so that the figures of each fragment, innermost first, are all that is needed.
"""

from __future__ import annotations

from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    SelectionSetNode,
)

from etgraph.model.errors import UsageError


def innermost_first(document: DocumentNode) -> list[FragmentDefinitionNode]:
    """The fragments, each after those that it spreads. Raises UsageError for fragments that spread each other."""
    fragments = {
        definition.name.value: definition
        for definition in document.definitions
        if isinstance(definition, FragmentDefinitionNode)
    }
    order = TopologicalSorter({name: set(_spreads(fragments[name].selection_set)) for name in fragments})
    try:
        return [fragments[name] for name in order.static_order() if name in fragments]
    except CycleError as error:
        circle = " → ".join(error.args[1])
        raise UsageError(f"fragments spread each other in a circle: {circle}") from None


def fields_of(selected: SelectionSetNode) -> Iterator[tuple[FieldNode | FragmentSpreadNode, str | None]]:
    """Fields and spreads of one selection, those of inline fragments among them, with the type these are on."""
    stack: list[tuple[SelectionSetNode, str | None]] = [(selected, None)]
    while stack:
        one, on = stack.pop()
        for selection in one.selections:
            if isinstance(selection, InlineFragmentNode):
                condition = selection.type_condition
                stack.append((selection.selection_set, condition.name.value if condition else on))
            else:
                assert isinstance(selection, (FieldNode, FragmentSpreadNode))
                yield selection, on


def _spreads(selected: SelectionSetNode) -> Iterator[str]:
    """Names of the fragments that are spread anywhere inside a selection."""
    stack = [selected]
    while stack:
        for selection, _ in fields_of(stack.pop()):
            if isinstance(selection, FragmentSpreadNode):
                yield selection.name.value
            elif selection.selection_set:
                stack.append(selection.selection_set)


__all__ = ["fields_of", "innermost_first"]
