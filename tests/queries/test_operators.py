"""Operators in groups: known answers on small traces, brute force and pandas beside them, and every real trace."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etgraph.ingest import samples
from etgraph.model import TABLES, Category, Trace
from etgraph.model.errors import EtgraphError, MissingData, UsageError
from etgraph.model.launching import launching_calls
from etgraph.queries import operators
from etgraph.queries.calls import own_times
from etgraph.queries.grouping import NULL, groups_of
from support.any_traces import any_traces
from support.build import build
from support.collection import read_once
from support.random_traces import chain, crossing_traces, traces
from support.recorded import document

NESTED = """
    rank 0 | thread 1 | aten::linear       0..100
    rank 0 | thread 1 | aten::addmm       10..90
    rank 0 | thread 1 | cudaLaunchKernel  20..30   -> gemm
    rank 0 | thread 1 | aten::copy_       40..80
    rank 0 | thread 1 | cudaLaunchKernel  50..60   -> copy
    rank 0 | stream 7 | gemm             200..500
    rank 0 | stream 7 | copy             500..600
"""


def rows(trace: Trace, **question: Any) -> dict[Any, dict[str, Any]]:
    """Rows of the answer by key."""
    found = operators(trace, **question).rows.to_pylist()
    assert len({row["key"] for row in found}) == len(found)
    return {row["key"]: row for row in found}


def column(trace: Trace, name: str, **question: Any) -> dict[Any, Any]:
    """One column of the answer by key, in the answer's order."""
    return {key: row[name] for key, row in rows(trace, **question).items()}


def working(trace: Trace, **columns: dict[str, int]) -> Trace:
    """The trace with work of the operators of some names; the others' is not known."""
    names = [trace.operators.value("name", row) for row in range(len(trace))]
    data = {name: [known.get(n, NULL) for n in names] for name, known in columns.items()}
    return replace(trace, operators=trace.operators.replace(data))


# Times


def test_own_time_is_without_what_is_enclosed() -> None:
    assert column(build(NESTED), "self_ns") == {
        "gemm": 300, "copy": 100, "aten::addmm": 30, "aten::copy_": 30, "aten::linear": 20, "cudaLaunchKernel": 20
    }  # fmt: skip
    assert column(build(NESTED), "total_ns", lane="host") == {
        "aten::addmm": 80, "aten::copy_": 40, "aten::linear": 100, "cudaLaunchKernel": 20
    }  # fmt: skip


def test_device_time_is_that_of_all_that_was_launched_inside() -> None:
    assert column(build(NESTED), "device_ns") == {
        "gemm": None, "copy": None, "aten::addmm": 400, "aten::copy_": 100, "aten::linear": 400, "cudaLaunchKernel": 400
    }  # fmt: skip


def test_each_lane_has_shares_of_its_own() -> None:
    answer = operators(build(NESTED))
    assert (answer.host_ns, answer.device_ns) == (100, 400)
    assert column(build(NESTED), "share") == {
        "gemm": 0.75, "copy": 0.25, "aten::addmm": 0.3, "aten::copy_": 0.3, "aten::linear": 0.2, "cudaLaunchKernel": 0.2
    }  # fmt: skip
    assert column(build(NESTED), "lane", lane="device") == {"gemm": "device", "copy": "device"}
    assert column(build(NESTED), "share", lane="host")["aten::addmm"] == 0.3


def test_an_operator_inside_one_of_its_name_is_not_counted_twice() -> None:
    trace = build("""
        rank 0 | thread 1 | aten::add          0..100
        rank 0 | thread 1 | aten::sub         10..90
        rank 0 | thread 1 | inner: aten::add  20..60
        rank 0 | thread 1 | cudaLaunchKernel  30..40   -> k
        rank 0 | thread 1 | next: aten::add  100..130
        rank 0 | stream 7 | k                 50..60
    """)
    add = rows(trace)["aten::add"]
    assert (add["count"], add["total_ns"], add["self_ns"], add["device_ns"]) == (3, 130, 80, 10)
    assert (add["mean_ns"], add["min_ns"], add["p50_ns"], add["max_ns"]) == (57, 30, 40, 100)
    assert rows(trace, by="kind", lane="host")["COMP"]["total_ns"] == 130


def test_what_outlives_an_operator_is_whole_in_the_total() -> None:
    trace = build("rank 0 | thread 1 | c10d::send 0..50\nrank 0 | thread 1 | gloo:send 10..80")
    assert column(trace, "self_ns") == {"gloo:send": 40, "c10d::send": 10}
    assert column(trace, "total_ns") == {"gloo:send": 70, "c10d::send": 50}


def test_a_thread_of_another_rank_is_another_thread() -> None:
    trace = build("rank 0 | thread 1 | a 0..10\nrank 1 | thread 1 | a 0..30")
    assert column(trace, "self_ns") == {"a": 40}
    assert column(trace, "self_ns", rank=1) == {"a": 30}


def test_a_graph_replay_is_the_kernels_that_it_launches() -> None:
    trace = build("""
        rank 0 | thread 1 | cudaGraphLaunch   0..10   -> first
        rank 0 | thread 1 | cudaLaunchKernel 20..30   -> plain
        rank 0 | stream 7 | first: gemm      20..30
        rank 0 | stream 7 | gemm             30..50
        rank 0 | stream 7 | plain: add       60..61
        rank 0 | stream 7 | lost             70..75
        rank 0 | stream 9 | before           20..90
    """)
    found = rows(trace)
    assert (found["gemm"]["count"], found["gemm"]["total_ns"]) == (2, 30)
    assert found["cudaGraphLaunch"]["device_ns"] == 30
    assert found["cudaLaunchKernel"]["device_ns"] == 1
    assert "70.8% of the device time has no known launch" in str(operators(trace).trust)
    assert operators(trace, lane="device").trust.warnings == ()


def test_one_of_several_without_a_duration() -> None:
    trace = build("rank 0 | thread 1 | a 0..10\nrank 0 | thread 1 | a 10..40\nrank 0 | thread 1 | a 50..70")
    duration = [10, TABLES["operators"].column("duration_ns").null, 20]
    row = rows(replace(trace, operators=trace.operators.replace({"duration_ns": duration})))["a"]
    assert [row[name] for name in ("count", "total_ns", "mean_ns", "min_ns", "p50_ns", "max_ns")] == [
        3, 30, 15, 10, 10, 20
    ]  # fmt: skip


def test_operators_belong_to_the_step_that_launched_them() -> None:
    trace = build("""
        rank 0 | thread 1 | iteration ProfilerStep#1    0..100
        rank 0 | thread 1 | iteration ProfilerStep#2  100..200
        rank 0 | thread 1 | cudaLaunchKernel           10..20   -> gemm
        rank 0 | thread 1 | aten::mm                  110..150
        rank 0 | stream 7 | gemm                      120..140
    """)
    step = trace.operators["iteration"].copy()
    step[trace.operators["category"] == int(Category.KERNEL)] = 0
    trace = replace(trace, operators=trace.operators.replace({"iteration": step}))
    assert column(trace, "total_ns", iteration=0) == {"gemm": 20, "cudaLaunchKernel": 10}
    assert column(trace, "total_ns", iteration=1) == {"aten::mm": 40}
    assert column(trace, "total_ns", iteration=[0, 1]) == {"aten::mm": 40, "gemm": 20, "cudaLaunchKernel": 10}


# Work


def test_work_is_done_in_the_time_of_what_was_launched_for_it() -> None:
    """The product's kernel is not slowed down by that of the copy inside, which has bytes of its own."""
    trace = working(
        build(NESTED),
        flops={"aten::linear": 0, "aten::addmm": 6000, "aten::copy_": 0},
        bytes={"aten::linear": 0, "aten::addmm": 900, "aten::copy_": 50},
    )
    assert column(trace, "flops", lane="host") == {
        "aten::addmm": 6000, "aten::copy_": 0, "aten::linear": 0, "cudaLaunchKernel": None
    }  # fmt: skip
    assert column(trace, "flops_per_s")["aten::addmm"] == 6000 / 400e-9
    assert column(trace, "bytes_per_s")["aten::addmm"] == 900 / 300e-9
    assert column(trace, "bytes_per_s")["aten::copy_"] == 50 / 100e-9
    assert column(trace, "bytes_per_s")["aten::linear"] is None
    assert rows(trace, by="kind", lane="host")["COMP"]["bytes_per_s"] == 950 / 400e-9


def test_without_a_device_work_is_done_in_own_time() -> None:
    trace = build("""
        rank 0 | thread 1 | aten::linear   0..100
        rank 0 | thread 1 | aten::addmm   10..90
        rank 0 | thread 1 | helper        20..30
        rank 0 | thread 1 | aten::copy_   40..60
    """)
    trace = working(trace, flops={"aten::addmm": 600, "aten::copy_": 0}, bytes={"aten::copy_": 50})
    assert column(trace, "flops_per_s")["aten::addmm"] == pytest.approx(600 / 80e-9)
    assert column(trace, "bytes_per_s")["aten::copy_"] == pytest.approx(50 / 20e-9)
    assert set(column(trace, "device_ns").values()) == {None}


def test_on_a_rank_with_a_device_the_rate_of_what_launched_nothing_is_not_known() -> None:
    trace = build("rank 0 | thread 1 | aten::mm 0..10\nrank 0 | stream 7 | gemm 20..30")
    mm = rows(working(trace, flops={"aten::mm": 100}))["aten::mm"]
    assert (mm["flops"], mm["flops_per_s"], mm["device_ns"]) == (100, None, None)


def test_a_sum_beyond_64_bits_is_left_out_and_said() -> None:
    trace = build("\n".join(f"rank 0 | thread 1 | a {n}..{n + 1}" for n in range(3)))
    trace = working(trace, flops={"a": 2**62})
    answer = operators(trace)
    assert answer.rows["flops"].to_pylist() == [None]
    assert answer.trust.warnings == ("sums of flops beyond 64 bits are left out",)


# Keys


def test_shapes_part_operators_of_one_name() -> None:
    trace = build("rank 0 | thread 1 | aten::mm 0..10\nrank 0 | thread 1 | aten::mm 10..40\nrank 0 | stream 1 | k 0..5")
    shaped = trace.operators.replace({"shapes": [0, -1, 1]}, {"shapes": ["[[2,3]]", "[[4,5]]"]})
    assert column(replace(trace, operators=shaped), "total_ns", by="shape") == {
        "aten::mm [[4,5]]": 30, "aten::mm [[2,3]]": 10, "k": 5
    }  # fmt: skip


@pytest.mark.parametrize("by", ["scope", "source"])
def test_what_is_not_recorded_is_a_row_without_a_key(by: Any) -> None:
    trace = build("rank 0 | thread 1 | a 0..10\nrank 0 | thread 1 | b 10..40")
    marked = replace(trace, operators=trace.operators.replace({by: [0, -1]}, {by: ["model/layer"]}))
    assert column(marked, "total_ns", by=by) == {None: 30, "model/layer": 10}
    assert operators(marked, by=by).trust.warnings == (
        f"75.0% of the time is of operators without a recorded {by}",
    )  # fmt: skip
    assert column(trace, "total_ns", by=by) == {None: 40}


def test_an_unknown_kind_is_told_by_its_number() -> None:
    trace = build("rank 0 | thread 1 | a 0..10\nrank 0 | thread 1 | b 10..40")
    trace = replace(trace, operators=trace.operators.replace({"kind": [4, 99]}))
    assert column(trace, "total_ns", by="kind") == {"99": 30, "COMP": 10}


def test_ties_are_in_order_of_keys() -> None:
    trace = build("rank 0 | thread 1 | b 0..10\nrank 0 | thread 1 | a 10..20\nrank 0 | thread 1 | c 20..30")
    assert list(rows(trace)) == ["a", "b", "c"]


def test_the_answer_is_a_data_frame_and_a_table() -> None:
    answer = operators(build(NESTED))
    assert answer.to_pandas()[["key", "self_ns"]].values.tolist()[0] == ["gemm", 300]
    shown = answer._repr_html_()
    assert "operators by name, 0.000 ms on hosts" in shown
    assert "<td>gemm</td><td>device</td>" in shown


# What cannot be answered


@pytest.mark.parametrize(
    ("question", "error", "words"),
    [
        ({"by": "colour"}, UsageError, "choose name, kind, scope, shape, source"),
        ({"lane": "gpu"}, UsageError, "choose host or device"),
        ({"lane": "device"}, MissingData, "no operators on the device"),
        ({"window": "device"}, MissingData, "no device operators"),
        ({"rank": 7}, MissingData, "no rank 7"),
        ({"iteration": 3}, MissingData, "no iteration 3"),
        ({"window": "year"}, UsageError, "no window"),
    ],
)
def test_a_wrong_question_is_explained(question: dict[str, Any], error: type[EtgraphError], words: str) -> None:
    with pytest.raises(error, match=words):
        operators(build("rank 0 | thread 1 | a 0..10"), **question)


def test_an_empty_trace_has_no_answer() -> None:
    with pytest.raises(MissingData, match="no operators"):
        operators(build(""))


def test_without_start_times_there_are_counts_and_durations() -> None:
    """A Chakra trace may record durations only, an execution trace none at all."""
    trace = build("rank 0 | thread 1 | a 0..100\nrank 0 | thread 1 | b 10..40\nrank 1 | thread 1 | b 10..40")
    null = TABLES["operators"].column("start_ns").null
    trace = replace(trace, operators=trace.operators.replace({"start_ns": np.full(3, null)}))
    assert column(trace, "self_ns") == {"a": 70, "b": 60}
    assert column(trace, "self_ns", rank=1) == {"b": 30}
    with pytest.raises(MissingData, match="no rank 3"):
        operators(trace, rank=3)
    with pytest.raises(MissingData, match="no iteration 0"):
        operators(trace, iteration=0)
    bare = replace(trace, operators=trace.operators.replace({"duration_ns": np.full(3, null)}))
    assert column(bare, "count") == {"b": 2, "a": 1}
    assert {tuple(rows(bare)[key][n] for n in ("total_ns", "p50_ns", "share")) for key in "ab"} == {(None, None, None)}
    assert "3 of 3 operators have no duration" in str(operators(bare).trust)


def test_ranks_without_such_a_window_are_named() -> None:
    trace = build("rank 0 | thread 1 | a 0..10\nrank 1 | thread 1 | a 0..10\nrank 1 | stream 7 | k 5..9")
    answer = operators(trace, window="device")
    assert answer.rows["key"].to_pylist() == ["a", "k"]
    assert answer.trust.warnings[:1] == ("rank 0 left out, without operators in such a window",)


# Oracles


recorded = st.one_of(traces(), crossing_traces())


@settings(max_examples=100)
@given(recorded, st.sampled_from(["name", "kind"]))
def test_times_of_each_group_by_brute_force(trace: Trace, by: Any) -> None:
    o, call = trace.operators, launching_calls(trace)
    duration = o["duration_ns"].tolist()

    def key(row: int) -> tuple[Any, bool]:
        value = o.value(by, row)
        return getattr(value, "name", value), bool(o["category"][row] >= int(Category.KERNEL))

    for found in operators(trace, by=by).rows.to_pylist():
        group = found["key"], found["lane"] == "device"
        members = [row for row in range(len(trace)) if key(row) == group]
        outer = [row for row in members if not any(key(up) == group for up in chain(trace, row)[1:])]
        kernels = [k for k in np.flatnonzero(call >= 0) if any(key(up) == group for up in chain(trace, call[k]))]
        assert found["count"] == len(members)
        assert found["total_ns"] == sum(duration[row] for row in outer) >= found["self_ns"]
        if found["device_ns"] is not None:
            assert found["device_ns"] == sum(duration[k] for k in kernels)


@settings(max_examples=60)
@given(recorded)
def test_counts_and_percentiles_are_those_of_pandas(trace: Trace) -> None:
    frame = pd.DataFrame({"key": [trace.operators.value("name", row) for row in range(len(trace))],
                          "lane": trace.operators["category"] >= int(Category.KERNEL),
                          "ns": trace.operators["duration_ns"], "own": own_times(trace)})  # fmt: skip
    groups = frame.groupby(["key", "lane"])
    for found in operators(trace).rows.to_pylist():
        ns = groups.get_group((found["key"], found["lane"] == "device"))
        nearest = {f"p{share}_ns": np.percentile(ns.ns, share, method="inverted_cdf") for share in (50, 95)}
        assert {name: found[name] for name in nearest} == nearest
        assert (found["count"], found["min_ns"], found["max_ns"]) == (len(ns), ns.ns.min(), ns.ns.max())
        assert abs(found["mean_ns"] - ns.ns.mean()) <= 0.5
        assert found["self_ns"] == ns.own.sum()


@settings(max_examples=60)
@given(st.lists(st.integers(0, 50), min_size=1, max_size=200), st.integers(1, 100))
def test_percentiles_are_nearest_rank(values: list[int], share: int) -> None:
    groups = groups_of(np.zeros(len(values), dtype=np.int64))
    (found,) = groups.percentiles(np.array(values), (share,))
    assert found.tolist() == [np.percentile(values, share, method="inverted_cdf")]


@settings(max_examples=40)
@given(recorded)
def test_both_modes_of_the_kernel_agree(trace: Trace) -> None:
    plain = operators(trace)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("etgraph.model.kernels.COMPILE_FROM", 0)
        assert operators(trace) == plain


@settings(max_examples=40)
@given(any_traces(), st.sampled_from(["name", "kind", "scope", "shape", "source"]))
def test_any_trace_has_an_answer_or_a_clear_error(trace: Trace, by: Any) -> None:
    try:
        answer = operators(trace, by=by)
    except EtgraphError:
        return
    assert sum(answer.rows["count"].to_pylist()) <= len(trace)


# Real traces


def test_real_traces(traces_dir: Path) -> None:
    """A small Kineto file of each folder."""
    checked = 0
    for folder in sorted({file.parent for file in traces_dir.rglob("*.json.gz")}):
        if folder.parent.name in ("whatif", "series"):
            continue
        files = [f for f in folder.glob("*.json.gz") if not f.name.startswith("et_") and f.stat().st_size < 400_000]
        for file in sorted(files)[:1]:
            try:
                trace = read_once(file)
            except EtgraphError:
                continue
            answer = operators(trace)
            table = answer.rows
            for lane, whole in (("host", answer.host_ns), ("device", answer.device_ns)):
                mine = [row for row in table.to_pylist() if row["lane"] == lane]
                assert sum(row["self_ns"] or 0 for row in mine) == whole, file
                assert not whole or sum(row["share"] or 0 for row in mine) == pytest.approx(1), file
                for row in mine:
                    assert 0 <= (row["self_ns"] or 0) <= (row["total_ns"] or 0), (file, row)
                    assert (row["device_ns"] or 0) <= answer.device_ns, (file, row)
                    assert (row["flops_per_s"] or 0) < 2e15, (file, row)
                    assert (row["bytes_per_s"] or 0) < 2e13, (file, row)
            checked += 1
    assert checked >= 3


def test_counts_are_those_of_the_file() -> None:
    """Names and durations read without etgraph; and the figures that the page tells of step 4 on both ranks."""
    folder = samples.path("gpt_ddp_5steps")
    events = [e for e in document(folder / "kineto_rank0.json.gz")["traceEvents"] if e["name"] == "aten::mm"]
    trace = read_once(folder)
    found = rows(trace, rank=0)["aten::mm"]
    assert found["count"] == len(events) == 175
    assert found["total_ns"] == round(sum(e["dur"] for e in events) * 1000)
    step = rows(trace, iteration=4)
    assert operators(trace, iteration=4).host_ns == 1_116_198_172
    assert [step["aten::mm"][name] for name in ("count", "self_ns", "total_ns", "p50_ns", "p95_ns", "flops")] == [
        70, 254_488_232, 258_046_312, 3_089_700, 7_720_578, 16_106_127_360
    ]  # fmt: skip
    assert step["aten::mm"]["flops_per_s"] == pytest.approx(62.4e9, rel=1e-3)
    assert [step["aten::linear"][name] for name in ("count", "self_ns", "total_ns")] == [34, 2_110_018, 192_997_108]


def test_a_graph_in_a_real_trace_has_nearly_all_of_the_device(collection_dir: Path) -> None:
    (file,) = collection_dir.glob("tracelens/inference/vllm_decode_full/*.json.gz")
    answer = operators(read_once(file))
    (replay,) = [row for row in answer.rows.to_pylist() if row["key"] == "hipGraphLaunch"]
    assert answer.device_ns == 10_717_708
    assert replay["device_ns"] > 0.96 * answer.device_ns
    assert "no known launch" not in str(answer.trust)


def test_device_time_is_that_by_correlation_in_the_file(collection_dir: Path) -> None:
    """Kernels under an operator, told without etgraph: by the correlation of a call that lies inside it."""
    file = next(collection_dir.glob("tracelens/h100/Falconsai*.json.gz"))
    events = [e for e in document(file)["traceEvents"] if e["ph"] == "X"]
    calls = {e["args"]["correlation"]: e for e in events if e.get("cat") in ("cuda_runtime", "cuda_driver")}
    kernels = [e for e in events if e.get("cat") in ("kernel", "gpu_memcpy", "gpu_memset")]
    answer = operators(read_once(file))
    assert answer.device_ns == round(1000 * sum(e["dur"] for e in kernels)) == 1_225_310
    found = {row["key"]: row["device_ns"] for row in answer.rows.to_pylist()}
    for name in ("aten::addmm", "aten::linear", "aten::native_layer_norm"):
        spans = [(e["ts"], e["ts"] + e["dur"]) for e in events if e["name"] == name]
        under = [k for k in kernels if any(a <= calls[k["args"]["correlation"]]["ts"] <= b for a, b in spans)]
        assert found[name] == round(1000 * sum(k["dur"] for k in under)) > 0
