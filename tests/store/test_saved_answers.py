"""Answers that were saved come back equal from every store, and none of them is computed twice."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import pytest

from etgraph.ingest import read, samples
from etgraph.model.cancelling import deadline
from etgraph.model.errors import DeadlineExceeded, MissingData
from etgraph.queries import answer
from etgraph.queries.questions import QUESTIONS, question
from etgraph.queries.saving import place_of
from etgraph.store import Store
from support.answers import values


def test_every_answer_comes_back_equal(new_store: Callable[[], Store], monkeypatch: pytest.MonkeyPatch) -> None:
    trace = read(samples.path("dlrm_alltoall") / "kineto_rank0.json.gz")
    expected = {}
    with new_store() as store:
        store.publish(trace, workload="dlrm")
        for name in QUESTIONS:
            with deadline(0), pytest.raises(DeadlineExceeded):
                answer(store, "dlrm", name, iteration=0)
            with suppress(MissingData):  # the trace has no device and no memory events
                expected[name] = values(question(name)(trace, iteration=0))
        assert store.artefacts(trace.trace_id) == []
        for name, told in expected.items():
            assert values(answer(store, "dlrm", name, iteration=(0,))) == told
        kept = {(each.kind, each.key) for each in store.artefacts(trace.trace_id)}
        assert kept == {place_of(name, iteration=0) for name in expected}
        assert {"critical-path", "slack"} <= expected.keys()
        assert store.verify() == []
    with new_store() as store:
        monkeypatch.setattr(store, "load", lambda _: pytest.fail("the trace was loaded"))
        for name, told in expected.items():
            assert values(answer(store, "dlrm", name, iteration=0)) == told
