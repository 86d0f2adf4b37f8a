"""Which steps a question is about: what names them, and steps that do not follow each other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from etgraph.model.errors import UsageError
from etgraph.queries.questions import QUESTIONS, question
from etgraph.queries.saving import place_of
from support.build import build

THREE_STEPS = """
    rank 0 | thread 1 | iteration ProfilerStep#3      0..100
    rank 0 | thread 1 | aten::a                       0..30
    rank 0 | stream 7 | all_reduce 4MB               10..60
    rank 0 | thread 1 | iteration ProfilerStep#4    100..200
    rank 0 | thread 1 | aten::b                     110..120
    rank 0 | stream 7 | gemm                        120..130
    rank 0 | stream 7 | all_reduce 2MB              130..140
    rank 0 | thread 1 | iteration ProfilerStep#5    200..300
    rank 0 | thread 1 | aten::c                     210..280
    rank 0 | stream 7 | all_reduce 1MB              270..290
    rank 1 | thread 1 | iteration ProfilerStep#3      0..100
    rank 1 | stream 7 | all_reduce 4MB               20..60
    rank 1 | thread 1 | iteration ProfilerStep#4    100..200
    rank 1 | stream 7 | all_reduce 2MB              130..140
    rank 1 | thread 1 | iteration ProfilerStep#5    200..300
    rank 1 | stream 7 | all_reduce 1MB              280..290
"""
ABOUT_STEPS = sorted(QUESTIONS.keys() - {"memory"})  # of which the trace records nothing


@pytest.mark.parametrize("name", ABOUT_STEPS)
@pytest.mark.parametrize("iteration", [[], 1.5, True, [0, True], "0", [None], np.array([0.5])], ids=repr)
def test_what_is_no_index_of_a_step_is_told(name: str, iteration: Any) -> None:
    with pytest.raises(UsageError, match="expected the index of a step"):
        question(name)(build(THREE_STEPS), iteration=iteration)
    with pytest.raises(UsageError, match="expected the index of a step"):
        place_of(name, iteration=iteration)


@pytest.mark.parametrize("name", ABOUT_STEPS)
def test_numbers_of_numpy_are_indices(name: str) -> None:
    trace, ask = build(THREE_STEPS), question(name)
    one, two = ask(trace, iteration=np.int64(1)), ask(trace, iteration=np.array([1, 0, 1]))
    assert (str(one), str(two)) == (str(ask(trace, iteration=1)), str(ask(trace, iteration=(0, 1))))
    assert str(one) != str(two)
