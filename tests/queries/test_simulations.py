"""Questions on simulated timelines: kept apart from those on the measured one."""

from __future__ import annotations

import numpy as np
import pytest

from etgraph.model.errors import NotFound
from etgraph.queries import answer, save_simulation
from etgraph.queries.questions import question
from etgraph.queries.saving import place_of
from etgraph.queries.simulations import side_by_side, worst_predicted
from etgraph.store import connect
from support.answers import values
from support.build import build
from support.predictions import predicted

STEP = """
    rank 0 | thread 1 | iteration ProfilerStep#1   0..100
    rank 0 | thread 1 | aten::mm          0..20
    rank 0 | thread 1 | cudaLaunchKernel  5..10   -> gemm
    rank 0 | stream 7 | gemm             15..60
    rank 0 | thread 1 | aten::add        80..90
"""


@pytest.mark.parametrize("name", ["breakdown", "critical-path", "slack", "operators"])
def test_answers_on_timelines_are_not_mixed_up(name: str, tmp_path: object) -> None:
    trace = build(STEP)
    with connect(f"{tmp_path}/store") as store:
        store.publish(trace, workload="w")
        two, three = predicted(trace, 2.0), predicted(trace, 3.0)
        ids = {None: None} | {each.id: save_simulation(store, "w", each) for each in (two, three)}
        timelines = {None: trace, two.id: two.on(trace), three.id: three.on(trace)}
        expected = {at: values(question(name)(timelines[at])) for at in ids}
        assert len({str(each) for each in expected.values()}) == 3
        for _ in range(2):
            for at in ids:
                assert values(answer(store, "w", name, simulation=at)) == expected[at]
        assert values(answer(store, "w", name, simulation=two.id[:6])) == expected[two.id]
        kept = {(each.kind, each.key) for each in store.artefacts(trace.trace_id) if each.kind != "simulation"}
        assert kept == {place_of(name, simulation=at) for at in ids}
        with pytest.raises(NotFound, match="no simulation 'ffffffff'"):
            answer(store, "w", name, simulation="ffffffff")


def test_a_key_names_the_timeline() -> None:
    assert place_of("slack", simulation="ab12") == (
        "model-critical-path", '{"iteration":null,"rank":null,"simulation":"ab12","waiting":"work"}'
    )  # fmt: skip


def test_the_worst_predicted_by_any_simulation() -> None:
    trace = build(STEP)
    table = side_by_side(trace, {"a": predicted(trace, 1.1), "b": predicted(trace, 3.0, never=[2])})
    worst = worst_predicted(table, 3)
    assert worst["name"].to_pylist() == ["aten::mm", "aten::add", "cudaLaunchKernel"]
    apart = np.abs(np.array(worst["b.duration_ns"].to_pylist()) - np.array(worst["duration_ns"].to_pylist()))
    assert apart.tolist() == [40, 20, 10]
    assert len(worst_predicted(table, 99)) == 4
    assert len(worst_predicted(side_by_side(trace, {}), 9)) == 0
