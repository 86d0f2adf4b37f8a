"""Rules: what a run must satisfy. Files of them are TOML; docs/alerts/rules.md tells all of it."""

from __future__ import annotations

from etgraph.alerts.rules.reading import DEFAULT, RulesError, load, loads
from etgraph.alerts.rules.rule import Aggregate, Budget, Regression, Rule, Suppression, Where

__all__ = [
    "DEFAULT", "Aggregate", "Budget", "Regression", "Rule", "RulesError", "Suppression", "Where", "load", "loads",
]  # fmt: skip
