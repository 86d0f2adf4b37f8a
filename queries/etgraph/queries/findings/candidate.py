"""What may hold a step back, before anybody knows what mending it would gain."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from etgraph.model.columns import Array
from etgraph.queries.findings.measured import Measured
from etgraph.sim.replay.plan import Plan

Edit = Callable[[Plan], Plan]
"""A change of a measured plan."""


def unchanged(plan: Plan) -> Plan:
    """The plan as it was measured."""
    return plan


@dataclass(frozen=True, slots=True)
class Candidate:
    """A cause and the `edit` that mends it; `rows` are the operators that show it, or that it holds up.

    `about` tells it from others of its kind, empty where there is one. The gain is the step of the plan that the edit
    gives against that of `against`: the measured plan or, where the edit brings modelled times into it, a plan in which
    the same times are modelled, so that the model's own error is no gain.
    `most`, where given, is a plan of the measured times alone that must gain more: no model is believed beyond it.
    `critical_ns` is the time of a step's critical path that it is about, where that is not in the operators.
    """

    title: str
    about: str
    edit: Edit
    rows: Array
    evidence: str
    advice: str
    against: Edit = unchanged
    most: Edit | None = None
    critical_ns: int | None = None


class Kind(Protocol):
    """One kind of finding: the function that looks for its candidates.

    Raises MissingData where the trace does not record what it would have to look at.
    """

    def __call__(self, measured: Measured, /) -> Iterable[Candidate]:
        """The candidates, costliest first."""


__all__ = ["Candidate", "Edit", "Kind", "unchanged"]
