"""Rules that are written are read as the same ones."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from etgraph.alerts.rules import Budget, Regression, Rule, Suppression, Where, load, loads
from etgraph.alerts.rules.rule import Aggregate
from etgraph.alerts.rules.writing import dump

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
SHARES = st.floats(0, 1).map(str) | st.just("500%") | st.sampled_from(["1%", "0.5", "12.5 %"])
TIMES = st.sampled_from(["2ms", "3 us", "0 s", "1.5e3 ns"])
BUDGETS = st.builds(Budget, max=TIMES, min=st.none() | st.just("0 ns"))
REGRESSIONS = st.builds(
    Regression,
    max_increase=SHARES,
    floor=st.none() | TIMES,
    test=st.sampled_from(["auto", "exact", "statistics", "change-point"]),
    min_samples=st.integers(1, 10**6),
    confidence=st.floats(0.5, 1, exclude_max=True),
)
RULES = st.builds(
    Rule,
    id=st.from_regex(r"[a-z][a-z0-9/._-]{0,8}[a-z]", fullmatch=True),
    metric_text=st.just("breakdown.exposedCommunicationNs"),
    title=TEXTS,
    level=st.sampled_from(["error", "warn", "off"]),
    where=st.builds(
        Where, rank=st.none() | st.integers(0, 9), iterations=st.lists(st.integers(0, 9), max_size=3).map(tuple)
    ),
    aggregate=st.builds(
        Aggregate, ranks=st.sampled_from(["max", "mean", "p95"]), iterations=st.sampled_from(["median", "sum"])
    ),
    runs=st.integers(1, 9),
    responsible=st.sampled_from(["", "hotspots.exposedNs"]),
    gain=st.sampled_from(["", 'sum(findings[kind="late-rank"].gainNs)']),
    missing=st.sampled_from(["fail", "pass"]),
    suppress=st.none() | st.builds(Suppression, reason=TEXTS.map(lambda text: f"x{text}"), until=st.just("2026-03-31")),
    owner=TEXTS,
    remediation=TEXTS,
)


@given(RULES, BUDGETS, REGRESSIONS, st.lists(TEXTS, max_size=3).map(tuple))
def test_any_rules_are_read_again(
    rule: Rule, budget: Budget, regression: Regression, baseline: tuple[str, ...]
) -> None:
    rules = (replace(rule, budget=budget), replace(rule, id=f"{rule.id}2", regression=regression, baseline=baseline))
    assert tuple(placed.rule for placed in loads(dump(rules))) == rules


def test_the_rules_that_come_with_etgraph_are_read_again() -> None:
    rules = tuple(placed.rule for placed in load([]))
    assert tuple(placed.rule for placed in loads(dump(rules))) == rules
