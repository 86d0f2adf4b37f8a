"""What analyses say of every point of a sweep: its breakdown, and the shares of its critical path."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Final

from etgraph.model import Trace
from etgraph.queries.breakdown import breakdown
from etgraph.queries.critical_path import DETAILS, critical_path
from etgraph.queries.questions import QUESTIONS
from etgraph.sim.sweeps import Measure

PARTS: Final = ("computation_ns", "exposed_communication_ns", "exposed_memory_ns", "idle_ns")
CATEGORIES: Final = tuple(dict.fromkeys(category for category, _ in DETAILS))


def parts_of_windows(trace: Trace) -> Mapping[str, float]:
    """The four parts of the ranks' windows in ns, the mean of all ranks; they add up to the mean window."""
    windows = breakdown(trace).windows
    return {name: sum(getattr(window, name) for window in windows) / len(windows) for name in PARTS}


def shares_of_path(trace: Trace) -> Mapping[str, float]:
    """The share of each category in the critical path over all ranks: `path_computation_share`, …."""
    found: Counter[str] = Counter()
    for row in critical_path(trace).by_category:
        found[row.category] += row.ns
    length = max(found.total(), 1)
    return {f"path_{category}_share": found[category] / length for category in CATEGORIES}


MEASURES: Final = (
    Measure("breakdown", parts_of_windows, PARTS, QUESTIONS["breakdown"].version),
    Measure(
        "critical-path", shares_of_path, tuple(f"path_{category}_share" for category in CATEGORIES),
        QUESTIONS["critical-path"].version,
    ),
)  # fmt: skip
"""All measures, for `etgraph.sim.sweeps.sweep`."""
