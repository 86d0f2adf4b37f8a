"""Breakdown: known answers on small traces, and laws on random and recorded ones."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etgraph.model import TABLES, Columns, Trace
from etgraph.model.errors import MissingData, UsageError
from etgraph.queries import breakdown
from etgraph.queries.breakdown import WindowBreakdown
from support.build import build
from support.random_traces import traces
from support.read_samples import NAMES, sample

TWO_STREAMS = """
    rank 0 | thread 1 | iteration ProfilerStep#1   0..100
    rank 0 | thread 1 | aten::mm                   0..10
    rank 0 | stream 7 | ampere_sgemm_32x32         10..40
    rank 0 | stream 9 | all_reduce 4MB             30..60
    rank 0 | stream 7 | Memcpy                     50..75
    rank 0 | stream 9 | add                        90..120
"""


def parts(one: WindowBreakdown) -> tuple[int, ...]:
    return (one.computation_ns, one.exposed_communication_ns, one.exposed_memory_ns, one.idle_ns)


def test_computation_hides_communication_and_that_hides_copies() -> None:
    (one,) = breakdown(build(TWO_STREAMS)).windows
    assert (one.rank, one.iteration, one.start_ns, one.end_ns) == (0, None, 0, 100)
    assert parts(one) == (30 + 10, 20, 15, 25)
    assert (one.overlap_ns, one.communication_ns, one.memory_ns) == (10, 30, 25)


@pytest.mark.parametrize(
    ("window", "expected"),
    [("annotation", (40, 20, 15, 25)), ("device", (60, 20, 15, 15)), ("launch", (60, 20, 15, 25))],
)
def test_the_window_cuts_what_runs_in_it(window: str, expected: tuple[int, ...]) -> None:
    (one,) = breakdown(build(TWO_STREAMS), window=window).windows  # type: ignore[arg-type]
    assert parts(one) == expected


def test_each_iteration_has_a_row_and_owns_what_runs_in_its_time() -> None:
    trace = build("""
        rank 0 | thread 1 | iteration ProfilerStep#1   0..100
        rank 0 | thread 1 | iteration ProfilerStep#2   100..150
        rank 0 | thread 1 | cudaLaunchKernel           10..20   -> gemm
        rank 0 | stream 7 | gemm                       80..130
        rank 1 | thread 1 | aten::mm                    0..30
    """)
    found = breakdown(trace, each=True).windows
    assert [(w.rank, w.iteration, *parts(w)) for w in found] == [
        (0, 0, 20, 0, 0, 80),
        (0, 1, 30, 0, 0, 20),
        (1, None, 30, 0, 0, 0),
    ]
    assert [(w.rank, w.iteration, w.computation_ns) for w in breakdown(trace, iteration=1, rank=0).windows] == [
        (0, 1, 30)
    ]
    assert breakdown(trace, rank=0, iteration=[0, 1]).windows[0].iteration is None


def test_steps_that_overlap_on_the_device_each_count_by_themselves() -> None:
    trace = build("""
        rank 0 | thread 1 | iteration ProfilerStep#1   0..50
        rank 0 | thread 1 | iteration ProfilerStep#2   50..90
        rank 0 | thread 1 | cudaLaunchKernel           10..20   -> a
        rank 0 | thread 1 | cudaLaunchKernel           55..60   -> b
        rank 0 | stream 7 | a: ampere_sgemm            20..80
        rank 0 | stream 9 | b: all_reduce              60..100
    """)
    steps = trace.operators["iteration"].copy()
    steps[2:] = (0, 1)
    found = breakdown(replace(trace, operators=trace.operators.replace({"iteration": steps})), window="device",
                      each=True, by="family")  # fmt: skip
    assert [(w.start_ns, w.end_ns, *parts(w)) for w in found.windows] == [
        (20, 80, 60, 0, 0, 0),
        (60, 100, 20, 20, 0, 0),
    ]
    assert [(r.key, r.count, r.total_ns, r.exposed_ns) for r in found.rows] == [
        ("matmul", 1, 80, 80),
        ("ALL_REDUCE", 1, 60, 20),
    ]


def test_a_rank_without_a_device_computes_on_its_threads() -> None:
    trace = build("""
        rank 0 | thread 1 | autograd::engine   0..50
        rank 0 | thread 1 | aten::mm          10..30
        rank 0 | thread 2 | aten::mul         20..40
        rank 0 | thread 3 | gloo:all_reduce   35..60
    """)
    (one,) = breakdown(trace).windows
    assert parts(one) == (30, 20, 0, 10)
    assert (one.overlap_ns, one.communication_ns, one.memory_ns) == (5, 25, 0)


def test_an_operator_that_others_interrupt_counts_once() -> None:
    trace = build("""
        rank 0 | thread 1 | aten::linear  0..30
        rank 0 | thread 1 | aten::mul     5..10
        rank 0 | thread 1 | aten::mul    15..20
    """)
    rows = breakdown(trace, by="family").rows
    assert [(r.key, r.count, r.total_ns, r.exposed_ns) for r in rows] == [
        ("matmul", 1, 20, 20),
        ("elementwise", 2, 10, 10),
    ]


def test_families_own_the_time_in_which_they_came_first() -> None:
    trace = build("""
        rank 0 | stream 7 | ampere_sgemm_32x32  0..40
        rank 0 | stream 9 | cudnn_winograd     30..60
        rank 0 | stream 9 | all_reduce 4MB     55..80
        rank 0 | stream 7 | Memcpy             70..90
    """)
    rows = breakdown(trace, by="family").rows
    assert [(r.key, r.activity, r.count, r.total_ns, r.exposed_ns) for r in rows] == [
        ("matmul", "computation", 1, 40, 40),
        ("convolution", "computation", 1, 30, 20),
        ("ALL_REDUCE", "communication", 1, 25, 20),
        ("memcpy", "memory", 1, 20, 10),
    ]
    assert sum(r.share for r in rows) == pytest.approx(1.0)


def test_a_kernel_whose_name_says_nothing_is_of_the_family_that_launched_it() -> None:
    trace = build("""
        rank 0 | thread 1 | aten::addmm        0..30
        rank 0 | thread 1 | cudaLaunchKernel   5..10   -> mystery
        rank 0 | stream 7 | mystery           15..60
        rank 0 | stream 7 | enigma            60..70
    """)
    assert [(r.key, r.total_ns) for r in breakdown(trace, by="family").rows] == [("matmul", 45), ("other", 10)]


def test_scopes_are_keys_too() -> None:
    trace = build("rank 0 | stream 7 | a  0..10\nrank 0 | stream 7 | b  10..30\nrank 0 | stream 7 | c  30..35")
    scope = np.array([0, 0, -1], dtype=np.int32)
    trace = replace(trace, operators=trace.operators.replace({"scope": scope}, {"scope": ["model/layer"]}))
    rows = breakdown(trace, by="scope").rows
    assert [(r.key, r.count, r.exposed_ns) for r in rows] == [("model/layer", 2, 30), ("no scope", 1, 5)]


DEVICE = {"gemm": "computation", "conv": "computation", "all_reduce": "communication", "Memcpy": "memory"}
ON_STREAMS = st.lists(
    st.tuples(st.sampled_from(list(DEVICE)), st.integers(1, 3), st.integers(0, 50), st.integers(0, 30)),
    min_size=1, max_size=8,
)  # fmt: skip


@given(ON_STREAMS)
def test_every_moment_goes_to_the_first_of_the_strongest_activity(operators: list[tuple[str, int, int, int]]) -> None:
    """Compared with a walk through the moments one by one."""
    lines = [f"rank 0 | stream {s} | {name}  {a}..{a + length}" for name, s, a, length in operators]
    trace = build("\n".join(["rank 0 | thread 1 | iteration ProfilerStep#1  5..60", *lines]))
    order = list(dict.fromkeys(DEVICE.values()))
    expected: Counter[str] = Counter()
    owned: Counter[str] = Counter()
    for t in range(5, 60):
        now = [(order.index(DEVICE[name]), a, name) for name, _, a, length in operators if a <= t < a + length]
        expected[order[min(now)[0]] if now else "idle"] += 1
        owned.update([order[min(now)[0]]] if now else [])
    found = breakdown(trace, by="family")
    assert parts(found.windows[0]) == tuple(expected[name] for name in [*order, "idle"])
    by_activity: Counter[str] = Counter()
    for row in found.rows:
        by_activity[row.activity] += row.exposed_ns
    assert +by_activity == owned


@given(traces())
def test_the_parts_add_up_and_the_keys_own_all_that_is_not_idle(trace: Trace) -> None:
    try:
        found = breakdown(trace, by="family")
    except MissingData:
        return
    for one in found.windows:
        assert sum(parts(one)) == one.end_ns - one.start_ns
        assert min(parts(one)) >= 0
        assert one.overlap_ns + one.exposed_communication_ns == one.communication_ns
        assert one.exposed_memory_ns <= one.memory_ns
    busy = sum(sum(parts(one)[:3]) for one in found.windows)
    assert sum(row.exposed_ns for row in found.rows) == busy
    assert all(row.exposed_ns <= row.total_ns for row in found.rows)


@pytest.mark.parametrize("name", NAMES)
def test_the_samples_compute_most_of_their_time_on_threads(name: str) -> None:
    found = breakdown(sample(name), each=True)
    for one in found.windows:
        assert sum(parts(one)) == one.end_ns - one.start_ns
        assert one.memory_ns == 0
        assert 0.3 < one.computation_ns / (one.end_ns - one.start_ns) < 1


def test_steps_and_the_gaps_between_them_are_the_whole_window() -> None:
    trace = sample("gpt_ddp_5steps")
    whole, each = breakdown(trace, rank=0).windows, breakdown(trace, rank=0, each=True).windows
    assert len(each) == 5
    between = (whole[0].end_ns - whole[0].start_ns) - sum(w.end_ns - w.start_ns for w in each)
    assert 0 <= whole[0].computation_ns - sum(w.computation_ns for w in each) <= between


@pytest.mark.parametrize(
    ("question", "error"),
    [({"rank": 7}, MissingData), ({"iteration": 3}, MissingData), ({"by": "colour"}, UsageError),
     ({"window": "soon"}, UsageError)],
)  # fmt: skip
def test_bad_questions_are_refused(question: dict[str, object], error: type[Exception]) -> None:
    with pytest.raises(error):
        breakdown(build(TWO_STREAMS), **question)  # type: ignore[arg-type]


def test_an_empty_trace_and_one_without_times_are_refused_in_words() -> None:
    with pytest.raises(MissingData, match="holds no operators"):
        breakdown(Trace(Columns.empty(TABLES["operators"])))
    trace = build(TWO_STREAMS)
    null = np.full(len(trace), trace.operators.table.column("start_ns").null)
    with pytest.raises(MissingData, match="no operators with measured times"):
        breakdown(replace(trace, operators=trace.operators.replace({"start_ns": null})))
    with pytest.raises(MissingData, match="no device operators"):
        breakdown(build("rank 0 | thread 1 | a  0..10"), window="device")


def test_a_rank_without_the_window_is_left_out_by_name() -> None:
    trace = build("rank 0 | stream 7 | gemm  0..10\nrank 1 | thread 1 | aten::mm  0..10")
    found = breakdown(trace, window="device")
    assert [w.rank for w in found.windows] == [0]
    assert found.trust.warnings == ("rank 1 left out, without operators in such a window",)


def test_a_device_that_is_driven_but_not_recorded_is_said() -> None:
    trace = build("rank 0 | thread 1 | aten::mm  0..10\nrank 0 | thread 1 | cudaLaunchKernel  2..8")
    found = breakdown(trace)
    assert parts(found.windows[0]) == (4, 0, 0, 6)
    assert found.trust.warnings == (
        "rank 0 drives a device of which no operator is recorded: what its host does is taken for computation",
    )


def test_an_empty_window_has_no_shares() -> None:
    trace = build("rank 0 | thread 1 | iteration ProfilerStep#1  5..5\nrank 0 | thread 1 | aten::mm  0..10")
    found = breakdown(trace, by="family")
    assert parts(found.windows[0]) == (0, 0, 0, 0)
    assert found.rows == ()
    assert "empty" in found.headline()


def test_it_becomes_a_data_frame_and_a_table() -> None:
    trace = build(TWO_STREAMS)
    assert breakdown(trace).to_pandas()["idle_ns"].tolist() == [25]
    assert breakdown(trace, by="family").to_pandas()["key"].tolist()[0] == "matmul"
    assert breakdown(trace).headline() == "breakdown, 40.0% computation"
    assert "<td>ALL_REDUCE</td>" in breakdown(trace, by="family")._repr_html_()


def test_the_page_tells_the_figures_of_the_sample() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "queries" / "breakdown.md").read_text("utf-8")
    found = breakdown(sample("gpt_ddp_5steps"), each=True)
    slow = next(w for w in found.windows if (w.rank, w.iteration) == (1, 4))
    for ns in (slow.end_ns - slow.start_ns, *parts(slow)[:2], slow.idle_ns):
        assert f"{ns / 1e6:.1f} ms" in page
