"""What operations cost: weights times every `first` around them."""

from __future__ import annotations

from typing import Any

import pytest
from graphql import OperationDefinitionNode, build_schema, parse
from hypothesis import given
from hypothesis import strategies as st

from etgraph.api.limits.cost import UNPAGED, cost_of

SCHEMA = build_schema("""
    interface Node { id: ID, next: Node }
    type Trace implements Node {
      id: ID, next: Node
      breakdown: Breakdown
      operators(first: Int = 50, last: Int): OperatorConnection
      ranks(first: Int): [Rank]
    }
    type Breakdown { windows: [Rank] }
    type OperatorConnection { edges: [Edge] }
    type Edge { node: Rank }
    type Rank { id: ID, name: String }
    type Query { trace: Trace, traces(first: Int!): [Trace], node: Node, history(last: Int = 50): Breakdown }
""")
WEIGHTS = {"Trace.breakdown": 10, "Query.traces": 3}


def cost(text: str, **variables: Any) -> int:
    document = parse(text)
    (operation,) = [each for each in document.definitions if isinstance(each, OperationDefinitionNode)]
    return cost_of(SCHEMA, document, operation, variables, WEIGHTS)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{ trace { id } }", 2),
        ("{ trace { breakdown { windows { name } } } }", 1 + 10 + 1 + 1),
        ("{ traces(first: 5) { id } }", 3 + 5),
        ("{ traces(first: 5) { breakdown { windows { id name } } } }", 3 + 5 * (10 + 1 + 2)),
        ("{ traces(first: 2) { operators(first: 3) { edges { node { id } } } } }", 3 + 2 * (1 + 3 * 3)),
        ("{ trace { operators { edges { node { id } } } } }", 1 + 1 + 50 * 3),
        ("{ trace { operators(last: 70) { edges { node { id } } } } }", 1 + 1 + 70 * 3),
        ("{ history(last: 70) { windows { id } } }", 1 + 1 + 1),
        ("{ trace { ranks { id } } }", 1 + 1 + UNPAGED),
        ("{ trace { ranks(first: 0) { id } } }", 2),
        ("{ trace { ranks(first: -9) { id } } }", 2),
        ("{ traces(first: 4) { ...F } } fragment F on Trace { id breakdown { windows { id } } }", 3 + 4 * (1 + 12)),
        ("{ node { ... on Trace { breakdown { windows { id } } } next { id } } }", 1 + 12 + 2),
        ("{ node { ...F } } fragment F on Node { id next { id } }", 4),
        ("{ __typename trace { __typename } }", 3),
        ("{ __schema { types { name } } }", 3),
    ],
)
def test_an_operation_costs_its_fields_times_the_rows_around_them(text: str, expected: int) -> None:
    assert cost(text) == expected


def test_rows_may_be_variables() -> None:
    text = "query ($n: Int!, $m: Int = 7) { traces(first: $n) { ranks(first: $m) { id } } }"
    assert cost(text, n=3, m=7) == 3 + 3 * (1 + 7)
    assert cost(text, n=3, m=None) == 3 + 3 * (1 + UNPAGED)


@given(rounds=st.integers(0, 60), first=st.integers(0, 1000))
def test_a_fragment_costs_the_same_wherever_it_is_spread(rounds: int, first: int) -> None:
    """2ⁿ fields are counted in n steps: an independent sum says the same."""
    fragments = [
        f"fragment F{n} on Node {{ a: next {{ ...F{n + 1} }} b: next {{ ...F{n + 1} }} }}" for n in range(rounds)
    ]
    text = f"{{ traces(first: {first}) {{ ...F0 }} }} {' '.join(fragments)} fragment F{rounds} on Node {{ id }}"
    inside = 1
    for _ in range(rounds):
        inside = 2 * (1 + inside)
    assert cost(text) == 3 + first * inside
