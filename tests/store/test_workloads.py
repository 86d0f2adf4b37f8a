"""The workloads of a store, summarised: equal from both stores."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from etgraph.model import Trace
from etgraph.queries import answer, save_simulation, waterfall, workloads
from etgraph.queries.waterfall import normalised
from etgraph.store import Store
from support.build import build
from support.predictions import predicted

Revised = Callable[[Trace, int], Trace]

STEPS = """
    rank 0 | thread 1 | iteration ProfilerStep#1    0..100
    rank 0 | thread 1 | iteration ProfilerStep#2  100..300
    rank 0 | thread 1 | cudaLaunchKernel           10..20   -> k1
    rank 0 | thread 1 | cudaLaunchKernel          110..120  -> k2
    rank 0 | stream 7 | k1: gemm                   25..{end}
    rank 0 | stream 7 | k2: gemm                  125..290
"""


def trace_of(name: str, end: int = 85) -> Trace:
    trace = replace(build(STEPS.format(end=end)), trace_id=name * 64)
    return replace(trace, metadata=replace(trace.metadata, device_model="Tesla V100", world_size=4))


def test_a_row_says_what_the_newest_trace_was(store: Store) -> None:
    store.publish(trace_of("a"), workload="gpt", team="ads")
    store.tag("gpt", "first")
    newest = store.publish(trace_of("b"), workload="gpt", team="research")
    store.publish(trace_of("c"), workload="dlrm")
    store.publish(trace_of("d"))
    found = workloads(store)
    dlrm, gpt = found.workloads
    assert (gpt.workload, gpt.teams, gpt.traces, gpt.newest) == ("gpt", ("ads", "research"), 2, newest)
    assert (gpt.tags, gpt.ranks, gpt.world_size, gpt.device_model) == (("first",), 1, 4, "Tesla V100")
    assert (gpt.span_ns, gpt.step_ns, gpt.waterfall) == (trace_of("b").span_ns, 150, None)
    assert (dlrm.workload, dlrm.teams, dlrm.traces) == ("dlrm", (), 1)
    assert [(t.team, t.workloads, t.traces) for t in found.teams] == [("ads", 1, 1), ("research", 1, 1), (None, 1, 1)]
    assert [(row.workload, row.traces) for row in workloads(store, "ads").workloads] == [("gpt", 1)]
    assert workloads(store, "nobody").workloads == ()


def test_its_lost_time_is_that_of_the_waterfall_kept_last(store: Store, revised: Revised) -> None:
    old = trace_of("a")
    store.publish(old, workload="gpt", team="ads")
    assert workloads(store).workloads[0].waterfall is None
    answer(store, "gpt", "waterfall", iteration=0, save=True)
    answer(store, "gpt", "waterfall", save=True)
    # One on a predicted timeline says nothing of what was measured.
    simulation = save_simulation(store, "gpt", predicted(old, profile="dgx-h100"))
    answer(store, "gpt", "waterfall", simulation=simulation, save=True)
    expected = normalised(waterfall(old))
    assert workloads(store).workloads[0].waterfall == expected
    assert expected.ideal is not None
    # A newer trace without one leaves it, as that of the workload's newest that has one.
    store.publish(trace_of("b", end=95), workload="gpt", team="ads")
    found = workloads(store)
    assert found.workloads[0].newest == "b" * 64
    assert found.workloads[0].waterfall == expected
    assert found.teams[0].ideal_share == pytest.approx(expected.ideal)
    # What was worked out from an older revision goes with it.
    store.publish(revised(old, old.revision + 1), workload="gpt")
    assert workloads(store).workloads[0].waterfall is None
