"""The table of questions: each can be stopped, before it does any work and while it runs."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest

from etgraph.model.cancelling import BETWEEN_LOOKS, Cancellation, deadline
from etgraph.model.errors import Cancelled, DeadlineExceeded, UsageError
from etgraph.model.kernels import Kernel
from etgraph.queries.questions import QUESTIONS, question
from support.stopping import looks_of, stops_midway

# The package's attribute of that name is the function.
SLACK = importlib.import_module("etgraph.queries.slack")


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_deadline_that_has_passed_stops_a_question_before_it_begins(name: str) -> None:
    nothing: Any = object()  # a trace at which nobody can look
    with deadline(0), pytest.raises(DeadlineExceeded):
        question(name)(nothing)


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_question_that_was_stopped_meanwhile_gives_no_answer(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    nothing: Any = object()
    asked = question(name)
    module, _, attribute = asked.target.partition(":")
    with Cancellation() as work:

        def stopped_at_the_end(trace: Any) -> Any:
            work.cancel(Cancelled("too late"))
            return trace

        monkeypatch.setattr(importlib.import_module(module), attribute, stopped_at_the_end)
        with pytest.raises(Cancelled, match="too late"):
            asked(nothing)


def test_an_unknown_question() -> None:
    with pytest.raises(UsageError, match="no question 'why'") as caught:
        question("why")
    assert "critical-path" in (caught.value.hint or "")


def nest(operators: int) -> dict[Kernel[..., Any], tuple[Any, ...]]:
    """The kernels of slack, and what they are given for operators each of which encloses the next."""
    order, parent, duration = np.arange(2 * operators), np.arange(operators) - 1, np.arange(operators, 0, -1)
    return {
        SLACK._enclosed: (order, parent, np.ones_like(duration), duration),
        SLACK._own_times: (order, parent, duration, duration > 0),
    }


@pytest.mark.parametrize("of_slack", nest(4), ids=lambda found: found.__name__)
def test_kernels_of_slack_stop_within_bounded_steps(of_slack: Kernel[..., Any]) -> None:
    assert looks_of(of_slack, *nest(4 * BETWEEN_LOOKS)[of_slack]) >= 4
    assert stops_midway(of_slack, *nest(1_000_000)[of_slack])
