"""What fields weigh in the cost of an operation: 1, and more where answering one means looking at a whole trace."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

ANALYSIS: Final = 100
"""A question to one trace."""
REPLAY: Final = 400
"""A question for which a trace is run again, or several are read."""

WEIGHTS: Final[Mapping[str, int]] = MappingProxyType(
    {
        **{
            f"Trace.{name}": ANALYSIS
            for name in (
                "breakdown",
                "collectives",
                "communicationMatrix",
                "criticalPath",
                "deviceUse",
                "hotspots",
                "iterationSummary",
                "memory",
                "operatorSummary",
                "operators",
                "simulations",
                "slack",
                "stragglers",
            )
        },
        **{f"Trace.{name}": REPLAY for name in ("findings", "waterfall", "whatIf")},
        **{f"Query.{name}": REPLAY for name in ("check", "comparison", "history", "waterfall")},
        **{f"Query.{name}": ANALYSIS for name in ("alerts", "cypher", "evaluations", "namedQuery", "storeChecks")},
    }
)
"""Weights by `Type.field`; every other field weighs 1."""

__all__ = ["ANALYSIS", "REPLAY", "WEIGHTS"]
