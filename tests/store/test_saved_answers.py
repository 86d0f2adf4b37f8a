"""Answers that were saved come back equal from every store, and none of them is computed twice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any

import pyarrow as pa
import pytest

from etgraph.ingest import read, samples
from etgraph.model.cancelling import deadline
from etgraph.model.errors import DeadlineExceeded
from etgraph.queries import answer
from etgraph.queries.questions import QUESTIONS, question
from etgraph.queries.result import Result
from etgraph.queries.saving import place_of
from etgraph.store import Store


def values(result: Result) -> dict[str, Any]:
    """The fields of an answer; of tables the types and values, since dictionaries of texts may come back in part."""
    held = {field.name: getattr(result, field.name) for field in fields(result)}  # type: ignore[arg-type]
    return {
        name: (value.schema, value.to_pydict()) if isinstance(value, pa.Table) else value
        for name, value in held.items()
    }


def test_every_answer_comes_back_equal(new_store: Callable[[], Store], monkeypatch: pytest.MonkeyPatch) -> None:
    trace = read(samples.path("dlrm_alltoall") / "kineto_rank0.json.gz")
    with new_store() as store:
        store.publish(trace, workload="dlrm")
        for name in QUESTIONS:
            with deadline(0), pytest.raises(DeadlineExceeded):
                answer(store, "dlrm", name, iteration=0)
        assert store.artefacts(trace.trace_id) == []
        for name in QUESTIONS:
            assert values(answer(store, "dlrm", name, iteration=(0,))) == values(question(name)(trace, iteration=0))
        assert {(kept.kind, kept.key) for kept in store.artefacts(trace.trace_id)} == {
            place_of(name, iteration=0) for name in QUESTIONS
        }
        assert store.verify() == []
    with new_store() as store:
        monkeypatch.setattr(store, "load", lambda _: pytest.fail("the trace was loaded"))
        for name in QUESTIONS:
            assert values(answer(store, "dlrm", name, iteration=0)) == values(question(name)(trace, iteration=0))
