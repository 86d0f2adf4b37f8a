"""Autograd nodes: what they record of the operators whose gradients they compute."""

from __future__ import annotations

from collections.abc import Iterable

NODES = {"aten::cat": "CatBackward", "aten::stack": "StackBackward", "aten::index": "IndexBackward"}
"""Operators whose inputs are lists that Kineto may leave out, and the nodes whose input is the size of their result."""


def pair_nodes(operators: Iterable[tuple[int, str, int]], nodes: Iterable[tuple[int, str, int]]) -> dict[int, int]:
    """Operators with the node of their sequence number, where name and number leave no choice on either side.

    Both are given as number, name and sequence number. An operator that needs no gradient makes no node but records the
    number that the next one gets, so several operators can have one number: then it is not said whose node it is.
    """
    made: dict[tuple[str, int], int | None] = {}
    asked: dict[tuple[str, int], int | None] = {}
    for node, name, sequence in nodes:
        key = name.rstrip("0123456789"), sequence
        made[key] = None if key in made else node
    for operator, name, sequence in operators:
        key = NODES[name], sequence
        asked[key] = None if key in asked else operator
    pairs = ((operator, made.get(key)) for key, operator in asked.items())
    return {operator: node for operator, node in pairs if operator is not None and node is not None}
