"""Device use beside an answer that looks at every nanosecond, and phases beside their rule taken literally."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from etgraph.model import DependencyKind, Trace
from etgraph.queries.device_idle import CAUSES, idle_of
from etgraph.queries.device_phases import KINDS, _cut, phases_of
from etgraph.queries.device_use import _depths, _mean_depth
from etgraph.queries.device_work import queue_depth, work_of
from support.random_traces import traces
from support.slow_device import slow_device, slow_phases


@settings(max_examples=50)
@given(traces(), st.data())
def test_busy_idle_by_cause_and_depth_are_those_of_every_nanosecond(trace: Trace, data: st.DataObject) -> None:
    launches = trace.dependencies["kind"] == int(DependencyKind.LAUNCH)
    kept = ~launches | np.array(
        data.draw(st.lists(st.booleans(), min_size=len(launches), max_size=len(launches))), bool
    )
    trace = replace(trace, dependencies=trace.dependencies.take(kept))
    works = work_of(trace, trace.ranks)
    if not works:
        return
    (work,) = works
    edge = max(0, int(trace.end_ns.max()) - 6_000)
    first = data.draw(st.integers(0, 60) | st.integers(edge, edge + 100))
    last = first + data.draw(st.integers(1, 400) | st.integers(5_900, 6_500))
    states, depths = slow_device(trace, first, last)
    idle, depth = idle_of(work, first, last), queue_depth(work)
    found = {name.replace("-", "_"): ns for name, ns in zip(CAUSES, idle.ns.sum(axis=0).tolist()) if ns}
    busy = work.busy.clipped(first, last).ns
    assert found | ({"busy": busy} if busy else {}) == dict(states)
    mean, p50, p95, most, empty = _depths(depth, first, last)
    ordered = sorted(depths)
    assert np.isclose(mean, sum(depths) / len(depths))
    assert most == ordered[-1]
    assert p50 == ordered[-(-len(depths) // 2) - 1]
    assert p95 == ordered[-(-19 * len(depths) // 20) - 1]
    assert np.isclose(empty, depths.count(0) / len(depths))
    edges = np.unique(np.linspace(first, last, 4).astype(np.int64))
    parts = [np.mean(depths[a - first : b - first]) for a, b in pairwise(edges.tolist())]
    assert np.allclose(_mean_depth(work, edges), parts)


@settings(max_examples=30)
@given(traces())
def test_phases_tile_the_window(trace: Trace) -> None:
    for work in work_of(trace, trace.ranks):
        first, last = -5, int(trace.end_ns.max()) + 7
        cut = phases_of(trace, work, idle_of(work, first, last), queue_depth(work), first, last)
        assert cut.start_ns[0] == first
        assert cut.end_ns[-1] == last
        assert (cut.end_ns > cut.start_ns).all()
        assert (cut.start_ns[1:] == cut.end_ns[:-1]).all()
        assert (np.diff(cut.kind) != 0).all()


@settings(max_examples=200)
@given(
    st.lists(st.tuples(st.integers(-1, 3), st.integers(1, 9)), min_size=1, max_size=25),
    st.integers(1, 25),
)
def test_a_phase_ends_where_another_kind_leads_by_enough(pieces: list[tuple[int, int]], more: int) -> None:
    kind = [k for k, _ in pieces]
    moments = [0, *np.cumsum([length for _, length in pieces]).tolist()]
    arrays = np.array(kind), np.array(moments)
    which, begin = _cut.python(*arrays, more, len(KINDS))
    assert list(zip(which.tolist(), begin.tolist())) == slow_phases(kind, moments, more)


def test_the_compiled_cut_does_the_same() -> None:
    random = np.random.default_rng(3)
    kind = random.integers(-1, 6, 500)
    moments = np.concatenate([[0], np.cumsum(random.integers(1, 50, 500))])
    for plain, compiled in zip(_cut.python(kind, moments, 90, 6), _cut.compiled(kind, moments, 90, 6)):
        assert plain.tolist() == compiled.tolist()
