"""The questions that can be asked, by name: those about a trace, whose answers can be saved, and those about several.

Command line and servers ask by these tables.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from etgraph.model import Trace
from etgraph.model.cancelling import check
from etgraph.model.errors import UsageError

if TYPE_CHECKING:
    from etgraph.model.results import Result
    from etgraph.queries.subjects import Subject


@dataclass(frozen=True, slots=True)
class Question:
    """A question: where its function is (`module:name`), and the version of its answers.

    The version is raised whenever the function's answer for one and the same trace changes.
    """

    target: str
    version: int = 1

    @property
    def function(self) -> Callable[..., Result]:
        """The function that answers it."""
        module, _, name = self.target.partition(":")
        found: Callable[..., Result] = getattr(importlib.import_module(module), name)
        return found

    def __call__(self, *asked: Trace | Sequence[Subject], **choices: Any) -> Result:
        """Ask a trace, or lists of several; the choices are the function's keywords.

        Raises Cancelled where it is to stop meanwhile.
        """
        check()
        answer = self.function(*asked, **choices)
        check()
        return answer


_HERE = "etgraph.queries"

QUESTIONS: Final[Mapping[str, Question]] = MappingProxyType(
    {
        "breakdown": Question(f"{_HERE}.breakdown:breakdown"),
        "critical-path": Question(f"{_HERE}.critical_path:critical_path", 2),
        "hotspots": Question(f"{_HERE}.hotspots:hotspots", 2),
        "comm-matrix": Question(f"{_HERE}.comm_matrix:comm_matrix"),
        "stragglers": Question(f"{_HERE}.stragglers:stragglers"),
        "device-use": Question(f"{_HERE}.device_use:device_use"),
        "iterations": Question(f"{_HERE}.iterations:iterations"),
        "memory": Question(f"{_HERE}.memory:memory"),
        "operators": Question(f"{_HERE}.operators:operators", 2),
        "findings": Question(f"{_HERE}.findings.findings:findings"),
        "slack": Question(f"{_HERE}.slack:slack"),
        "whatif": Question(f"{_HERE}.whatif:whatif"),
        "waterfall": Question(f"{_HERE}.waterfall:waterfall"),
    }
)

OF_SEVERAL: Final[Mapping[str, Question]] = MappingProxyType(
    {
        "compare": Question(f"{_HERE}.comparison.compare:compare", 2),
    }
)
"""Questions about several traces. Their functions take lists of `etgraph.queries.subjects.Subject`: a question of one
list compares its traces with each other, one of two lists the traces of the first with those of the second."""


_FIELDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "comm-matrix": "communication_matrix",
        "compare": "comparison",
        "iterations": "iteration_summary",
        "operators": "operator_summary",
        "whatif": "what_if",
    }
)
"""Fields of questions that are not named as these: those names are taken, or too short."""


def field_of(name: str) -> str:
    """The field of a trace, or of all that can be asked, under which the answer to a question is found."""
    return _FIELDS.get(name, name.replace("-", "_"))


def question(name: str, questions: Mapping[str, Question] = QUESTIONS) -> Question:
    """The question of that name. Raises UsageError where there is none."""
    if name not in questions:
        raise UsageError(f"no question {name!r}", hint=f"there are {', '.join(questions)}")
    return questions[name]
