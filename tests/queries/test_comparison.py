"""Comparison: known answers on small traces, sums, the way back, edits of random traces, and changes of real runs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import get_args

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from etgraph.model import DependencyKind, Source, Trace
from etgraph.model.errors import MissingData, UsageError
from etgraph.model.latency import launch_latency
from etgraph.queries import compare, critical_path
from etgraph.queries.comparison import Comparison, Contribution
from etgraph.queries.comparison.contributions import By
from etgraph.queries.comparison.estimating import rounded, typical
from etgraph.queries.questions import OF_SEVERAL, question
from etgraph.queries.subjects import Subject
from support.build import build, without_times
from support.collection import read_once
from support.random_traces import distributed_traces, traces

BASE = """
    rank 0 | thread 1 | iteration ProfilerStep#0  0..100
    rank 0 | thread 1 | aten::embedding   0..20
    rank 0 | thread 1 | aten::mm         20..60
    rank 0 | thread 1 | aten::relu       60..100
"""
EVERY = get_args(By)


def parts(result: Comparison) -> dict[str, tuple[str, int]]:
    """Status and contribution of everything that contributes."""
    return {one.key: (one.status, one.contribution_ns) for one in result.contributions if one.contribution_ns}


def check_sums(result: Comparison) -> None:
    """What holds of every comparison."""
    explained = sum(one.contribution_ns for one in result.contributions)
    assert explained + result.unexplained_ns == result.difference_ns == result.other_ns - result.base_ns
    assert all(one.other_ns - one.base_ns == one.contribution_ns for one in result.contributions)
    assert all(one.structural for one in result.structural)
    assert 0 <= result.aligned_share <= 1


def test_an_operator_that_takes_longer_contributes_that_much() -> None:
    slower = BASE.replace("20..60", "20..90").replace("60..100", "90..130").replace("0..100", "0..130", 1)
    result = compare(build(BASE), build(slower))
    assert (result.base_ns, result.other_ns, result.difference_ns, result.unexplained_ns) == (100, 130, 30, 0)
    assert parts(result) == {"aten::mm": ("slower", 30)}
    assert (result.aligned_share, result.structural, result.low_ns) == (1.0, (), None)
    assert [one.key for one in result.contributions] == ["aten::mm", "aten::embedding", "aten::relu"]
    assert [one.status for one in result.contributions] == ["slower", "same", "same"]
    assert {one.base_count for one in result.contributions} == {1.0}


ADDED = """
    rank 0 | thread 1 | iteration ProfilerStep#0  0..160
    rank 0 | thread 1 | aten::embedding   0..20
    rank 0 | thread 1 | aten::mm         20..60
    rank 0 | thread 1 | aten::linear     60..90
    rank 0 | thread 1 | aten::addmm      65..85
    rank 0 | thread 1 | aten::linear     90..120
    rank 0 | thread 1 | aten::addmm      95..115
    rank 0 | thread 1 | aten::relu      120..160
"""


def test_what_was_added_goes_by_its_root_with_all_that_it_encloses() -> None:
    (change,) = compare(build(BASE), build(ADDED)).structural
    assert change == Contribution(
        "aten::linear", "added", 0, 60, 60, 0.0, 2.0, structural=True, ranks=(0,), work_ns=60
    )  # fmt: skip
    (gone,) = compare(build(ADDED), build(BASE)).structural
    assert (gone.key, gone.status, gone.contribution_ns, gone.base_count) == ("aten::linear", "removed", -60, 2.0)


def test_a_change_of_the_program_comes_before_noise_that_is_larger() -> None:
    noisy = ADDED.replace("120..160", "120..990").replace("0..160", "0..990")
    result = compare(build(BASE), build(noisy))
    assert [(one.key, one.structural) for one in result.contributions[:2]] == [
        ("aten::linear", True), ("aten::relu", False)
    ]  # fmt: skip
    check_sums(result)


def two_ranks(step: str, shift: int = 0) -> str:
    return "\n".join(step.replace("R", str(rank)) for rank in (0, 1 + shift))


BUCKETS = """
    rank R | thread 1 | aten::mm            0..100
    rank R | stream 7 | all_reduce 4MB     10..110
"""
SMALLER = """
    rank R | thread 1 | aten::mm            0..100
    rank R | stream 7 | all_reduce 1MB     10..40
    rank R | stream 7 | all_reduce 1MB     40..70
    rank R | stream 7 | all_reduce 1MB     70..130
"""


def test_more_and_smaller_collectives_are_one_change_over_all_ranks() -> None:
    result = compare(build(two_ranks(BUCKETS)), build(two_ranks(SMALLER)))
    (change,) = result.structural
    assert (change.key, change.status, change.ranks) == ("all_reduce", "added", (0, 1))
    assert (change.base_count, change.other_count) == (1.0, 3.0)
    assert (change.base_bytes, change.other_bytes) == (4 << 20, 1 << 20)
    assert change.contribution_ns == result.difference_ns == 20


def test_a_change_on_one_rank_names_that_rank() -> None:
    base = build(two_ranks(BUCKETS))
    late = build(two_ranks(BUCKETS) + "\nrank 1 | thread 1 | aten::linear  100..150")
    (change,) = compare(base, late).structural
    assert (change.key, change.ranks, change.base_count, change.other_count) == ("aten::linear", (1,), 0.0, 1.0)


EVENTS = """
    rank 0 | stream 7 | gemm   0..40
    rank 0 | stream 9 | copy  50..60
"""


def test_a_dependency_that_was_added_is_a_change_without_time_of_its_own() -> None:
    waits = EVENTS.replace("0..40", "0..40 -EVENT-> copy")
    (change,) = compare(build(EVENTS), build(waits)).structural
    assert (change.key, change.status) == ("copy waits for gemm (EVENT)", "added")
    assert (change.contribution_ns, change.base_count, change.other_count, change.ranks) == (0, 0.0, 1.0, (0,))
    (change,) = compare(build(waits), build(EVENTS)).structural
    assert change.status == "removed"


MOVED = """
    rank 0 | thread 1 | iteration ProfilerStep#0  0..100
    rank 0 | thread 1 | aten::mm          0..40
    rank 0 | thread 1 | aten::embedding  40..60
    rank 0 | thread 1 | aten::relu       60..100
"""


def test_another_order_is_no_change_of_the_program() -> None:
    result = compare(build(BASE), build(MOVED))
    assert (result.structural, parts(result)) == ((), {})


def steps(*texts: str) -> str:
    """Steps of 1 µs one after another, each with its operators on one thread."""
    lines = []
    for number, text in enumerate(texts):
        at = number * 1000
        for line in text.split():
            name, _, times = line.partition("=")
            first, last = (at + int(time) for time in times.split(".."))
            lines.append(f"rank 0 | thread 1 | aten::{name}  {first}..{last}")
        lines.append(f"rank 0 | thread 1 | iteration ProfilerStep#{number}  {at}..{last}")
    return "\n".join(lines)


def test_what_comes_and_goes_from_step_to_step_is_no_change() -> None:
    base = build(steps("mm=0..100", "mm=0..100", "mm=0..100"))
    sometimes = build(steps("mm=0..100", "mm=0..100 relu=100..200", "mm=0..100"))
    always = build(steps("mm=0..100 relu=100..200", "mm=0..100 relu=100..200", "mm=0..100 relu=100..200"))
    assert compare(base, sometimes).structural == ()
    assert [one.key for one in compare(base, always).structural] == ["aten::relu"]


def test_steps_of_one_trace_against_others_of_it() -> None:
    trace = build(steps(*("mm=0..100", "mm=0..100 relu=100..130") * 3))
    result = compare(Subject(trace, (0, 2, 4)), Subject(trace, (1, 3, 5)))
    assert (result.base_ns, result.other_ns) == (100, 130)
    assert parts(result) == {"aten::relu": ("added", 30)}
    assert result.base_steps is not None
    assert (result.base_steps.steps, result.base_steps.median_ns) == (3, 100)
    assert (result.low_ns, result.high_ns) == (30, 30)


def test_moved_onto_the_path_and_off_it() -> None:
    base = """
        rank 0 | thread 1 | first: cudaLaunchKernel    0..10   -> gemm
        rank 0 | stream 7 | gemm                      10..100
        rank 0 | thread 1 | aten::item                10..50
        rank 0 | thread 1 | cudaDeviceSynchronize     50..102
    """
    hidden = base.replace("10..50", "10..150").replace("50..102", "150..152")
    base, hidden = (
        f"{text}\nrank 0 | stream 7 | gemm2  100..101 -SYNC-> cudaDeviceSynchronize" for text in (base, hidden)
    )
    found = parts(compare(build(base), build(hidden)))
    assert found["aten::item"][0] == "on-path"
    assert found["gemm"][0] == "off-path"
    assert parts(compare(build(hidden), build(base)))["gemm"][0] == "on-path"


def test_hardware_topology_and_versions_that_differ() -> None:
    def on(device: str, ranks: int, torch: str) -> Trace:
        trace = build("\n".join(BASE.replace("rank 0", f"rank {rank}") for rank in range(ranks)), world_size=ranks)
        document = {
            "torch_version": torch,
            "record_shapes": 1,
            "baseTimeNanoseconds": len(torch),
            "env": {"X_VERSION": torch},
        }
        source = Source("a.json", "kineto", 0, 1, "", document=document)
        return replace(trace, metadata=replace(trace.metadata, device_model=device, sources=(source,)))

    result = compare(on("H100", 2, "2.6"), on("MI300X", 1, "2.7.0"))
    assert {(one.what, one.base, one.other) for one in result.differences} == {
        ("device model", "H100", "MI300X"), ("world size", "2", "1"), ("ranks recorded", "0, 1", "0"),
        ("torch_version", "2.6", "2.7.0"),
    }  # fmt: skip


@pytest.mark.parametrize("listed", [5, "H100", {"name": "H100"}, None])
def test_a_list_of_devices_that_is_none_is_left_out(listed: object) -> None:
    trace = build(BASE)
    source = Source("a.json", "kineto", 0, 1, "", document={"deviceProperties": listed})
    odd = replace(trace, metadata=replace(trace.metadata, sources=(source,)))
    assert [one.what for one in compare(odd, trace).differences if "device" in one.what] == []


def test_traces_with_nothing_in_common_cannot_be_compared() -> None:
    other = build("rank 0 | stream 7 | gemm  0..10")
    with pytest.raises(MissingData, match=r"nothing to compare.*aten::embedding.*gemm") as caught:
        compare(Subject(build(BASE), name="one"), Subject(other, name="two"))
    assert "one has" in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(("base", "other", "told"), [
    (["a"], ["b"], "one has a; two has b"), (["a", "b"], ["x", "y"], "one has a, b; two has x, y"),
])  # fmt: skip
def test_operators_of_other_names_are_nothing_in_common(base: list[str], other: list[str], told: str) -> None:
    def side(names: list[str], name: str) -> Subject:
        at = (f"rank 0 | thread 1 | {each}  {row}..{100 - row}" for row, each in enumerate(names))
        return Subject(build("\n".join(at)), name=name)

    with pytest.raises(MissingData, match=told):
        compare(side(base, "one"), side(other, "two"))


def test_operators_without_a_name_are_told_as_such() -> None:
    trace = build("rank 0 | thread 1 | a  0..10")
    unnamed = replace(trace, operators=trace.operators.replace({"name": [0]}, {"name": pa.array([""])}))
    with pytest.raises(MissingData, match=r"one has \(no name\); two has a"):
        compare(Subject(unnamed, name="one"), Subject(trace, name="two"))


def test_a_run_without_the_rank_is_left_out_and_told() -> None:
    both = build(BASE + BASE.replace("rank 0", "rank 1"))
    runs = [Subject(build(BASE), name="without"), Subject(both, name="with"), Subject(both, name="too")]
    result = compare(both, runs, rank=1)
    check_sums(result)
    assert (result.base_ns, result.other_ns) == (100, 100)
    assert (result.other_steps.runs, result.other_steps.steps) == (2, 2)  # type: ignore[union-attr]
    assert "other: without is left out: no rank 1: the trace holds ranks 0" in result.trust.warnings
    with pytest.raises(MissingData, match="no trace of the side 'other' can be compared: without is left out: no rank"):
        compare(both, runs[:1], rank=1)


def test_what_cannot_be_asked() -> None:
    with pytest.raises(UsageError, match="no comparison by 'colour'"):
        compare(build(BASE), build(BASE), by="colour")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="no trace on the side 'other'"):
        compare(build(BASE), [])
    with pytest.raises(MissingData, match="no iteration 3 of gpt: it has 0"):
        compare(build(BASE), Subject(build(BASE), (0, 3), "gpt"))
    with pytest.raises(MissingData, match="no rank 7"):
        compare(build(BASE), build(BASE), rank=7)


# The typical step


def test_one_step_and_two_weigh_as_in_a_median() -> None:
    assert typical(np.array([7]), np.array([0])).weights.tolist() == [1.0]
    assert typical(np.array([9, 7]), np.array([0, 0])).weights.tolist() == [0.5, 0.5]


def test_weights_are_those_of_harrell_and_davis() -> None:
    """Of five, Beta(3, 3): its distribution function is x³(10 − 15x + 6x²)."""
    at = np.linspace(0, 1, 6)
    expected = np.diff(at**3 * (10 - 15 * at + 6 * at**2))
    found = typical(np.array([50, 10, 40, 20, 30]), np.zeros(5)).weights
    assert np.allclose(found[[1, 3, 4, 2, 0]], expected, atol=1e-5)


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=40))
def test_weights_sum_to_one_and_an_outlier_hardly_counts(times: list[int]) -> None:
    found = typical(np.array(times), np.zeros(len(times)))
    assert found.weights.sum() == pytest.approx(1)
    assert (found.weights > 0).all()
    assert np.allclose(found.drawn.sum(axis=1), 1)
    assert min(times) - 1e-3 <= found.of(np.array(times, dtype=float)) <= max(times) + 1e-3
    if len(times) >= 7 and times.count(max(times)) == 1:
        assert found.weights[int(np.argmax(times))] < 1 / len(times)


def test_resamples_draw_whole_runs() -> None:
    """Two runs of three steps: in some resamples one of them has all weight, and steps of both mix in others."""
    drawn = typical(np.array([1, 2, 3, 101, 102, 103]), np.repeat([0, 1], 3)).drawn
    of_first = drawn[:, :3].sum(axis=1)
    assert np.mean(of_first > 0.999) == pytest.approx(0.25, abs=0.05)
    assert np.mean(of_first < 0.001) == pytest.approx(0.25, abs=0.05)


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=20))
def test_rounding_keeps_the_sum(values: list[float]) -> None:
    whole = round(sum(values))
    found = rounded(np.array(values), whole)
    assert found.sum() == whole
    assert (abs(found - np.array(values)) <= 1).all()


# What holds for any trace


@given(distributed_traces(), st.sampled_from(EVERY))
def test_a_trace_compared_with_itself(trace: Trace, by: By) -> None:
    result = compare(trace, trace, by=by)
    assert (result.difference_ns, result.unexplained_ns, result.structural) == (0, 0, ())
    assert all((one.contribution_ns, one.status) == (0, "same") for one in result.contributions)
    check_sums(result)


@given(distributed_traces(), st.integers(1, 40), st.randoms())
def test_time_that_is_put_into_an_operator_on_the_path_is_its_contribution(
    trace: Trace, more: int, random: object
) -> None:
    """All that comes later is later by as much. Only pauses that span the moment may change their reason.

    The path weighs launches by the latency that is usual in the trace: where that moves too, it may go elsewhere.
    """
    segments = [
        row for row in critical_path(trace).segments.to_pylist()
        if row["index"] is not None and row["end_ns"] - row["start_ns"] >= 2
    ]  # fmt: skip
    if not segments:
        return
    chosen = random.choice(segments)  # type: ignore[attr-defined]
    moment = (chosen["start_ns"] + chosen["end_ns"]) // 2
    start, end = trace.operators["start_ns"], trace.end_ns
    start, end = start + np.where(start >= moment, more, 0), end + np.where(end > moment, more, 0)
    edited = trace.with_times(start, end - start, "edited")
    assume(np.array_equal(launch_latency(trace), launch_latency(edited)))
    result = compare(trace, edited)
    found = parts(result)
    check_sums(result)
    assert (result.difference_ns, result.structural) == (more, ())
    assert found.pop(chosen["name"]) == ("slower", more)
    assert {key.split(":")[0] for key in found} <= {"launch", "idle"}


@given(traces(), traces())
def test_the_way_back_says_the_opposite(one: Trace, two: Trace) -> None:
    try:
        there = compare(one, two)
    except MissingData:
        with pytest.raises(MissingData):
            compare(two, one)
        return
    back = compare(two, one)
    check_sums(there)
    check_sums(back)
    assert (back.difference_ns, back.unexplained_ns) == (-there.difference_ns, -there.unexplained_ns)

    def sizes(result: Comparison, sign: int) -> list[tuple[bool, int]]:
        return sorted((one.structural, sign * one.contribution_ns) for one in result.contributions)

    assert sizes(back, -1) == sizes(there, 1)


@given(traces(), st.lists(st.integers(0, 30), min_size=4, max_size=4), st.sampled_from(EVERY))
def test_several_runs_on_a_side_add_up_too(trace: Trace, shifts: list[int], by: By) -> None:
    first = int(trace.operators["start_ns"].min())
    runs = [_stretched(trace, first, shift) for shift in shifts]
    result = compare(runs[:2], runs[1:], by=by)
    check_sums(result)
    assert result.low_ns is not None
    assert result.high_ns is not None
    assert result.low_ns <= result.high_ns
    same = compare(runs, runs)
    assert all(one.contribution_ns == 0 for one in same.contributions)
    assert (same.low_ns, same.high_ns) == (0, 0)


def _stretched(trace: Trace, first: int, shift: int) -> Trace:
    """The trace with what starts first taking so much longer, and all else later."""
    start, end = trace.operators["start_ns"], trace.end_ns
    later = start + np.where(start > first, shift, 0)
    return trace.with_times(later, end + shift - later, f"stretched by {shift}")


# Real runs


@cache
def run(folder: Path) -> Trace:
    return read_once(folder)


WHATIF = {
    "extra_all_gather": ("all_gather", "added", (0, 1), 0.0, 6.0),
    "extra_barriers": ("barrier", "added", (0, 1), 0.0, 20.0),
    "late_rank": ("aten::linear", "added", (1,), 9.0, 33.0),
    "tiny_buckets": ("all_reduce", "added", (0, 1), 5.0, 11.0),
}


@pytest.mark.parametrize("number", range(1, 5))
@pytest.mark.parametrize("variant", WHATIF)
def test_the_known_change_of_a_variant_is_named_first(variant: str, number: int, collection_dir: Path) -> None:
    trace = run(collection_dir / "recorded" / "whatif" / f"{variant}_{number}")
    result = compare(Subject(trace, (0, 2, 4, 6, 8)), Subject(trace, (1, 3, 5, 7, 9)))
    check_sums(result)
    first = result.structural[0]
    assert first == result.contributions[0]
    assert (first.key, first.status, first.ranks, first.base_count, first.other_count) == WHATIF[variant]
    if variant == "tiny_buckets":
        assert (first.base_bytes, first.other_bytes) == (2_129_101, 967_773)  # 10.6 MB in 5, and in 11
    else:
        assert first.low_ns is not None
        assert first.low_ns > 0


@pytest.mark.parametrize("base", range(1, 7))
def test_one_more_all_to_all_is_named_first_whatever_the_noise(base: int, collection_dir: Path) -> None:
    series = collection_dir / "recorded" / "series"
    for other in range(1, 7):
        result = compare(run(series / f"base_{base}"), run(series / f"slow_{other}"))
        check_sums(result)
        first = result.structural[0]
        assert (first.key, first.status, first.base_count, first.other_count) == ("all_to_all", "added", 2.0, 3.0)
        assert first.ranks == (0, 1, 2, 3)


def test_all_runs_of_a_series_at_once(collection_dir: Path) -> None:
    series = collection_dir / "recorded" / "series"
    sides = [[run(series / f"{kind}_{number}") for number in range(1, 7)] for kind in ("base", "slow")]
    result = compare(*sides)
    check_sums(result)
    assert (result.structural[0].key, result.structural[0].other_count) == ("all_to_all", 3.0)
    assert result.base_steps is not None
    assert (result.base_steps.runs, result.base_steps.steps) == (6, 6)
    assert result.low_ns is not None
    assert result.high_ns is not None
    assert result.low_ns < 0 < result.high_ns  # one all-to-all of 1 MB is lost in this machine's noise


def test_fewer_ranks_on_a_side(collection_dir: Path) -> None:
    series = collection_dir / "recorded" / "series"
    base, slow = run(series / "base_1"), run(series / "slow_1")
    result = compare(base, slow.select_ranks([0, 2]))
    check_sums(result)
    assert ("ranks recorded", "0, 1, 2, 3", "0, 2") in {(d.what, d.base, d.other) for d in result.differences}
    assert result.structural[0].key == "all_to_all"


def test_control_and_test_of_hta(collection_dir: Path) -> None:
    folder = collection_dir / "hta" / "trace_diff"
    result = compare(read_once(folder / "control"), read_once(folder / "test"))
    check_sums(result)
    assert abs(result.unexplained_ns) <= 0.05 * abs(result.difference_ns)
    changes = {one.key: one for one in result.structural}
    assert changes["CompiledFunction"].status == "added"  # test is compiled
    assert changes["aten::linear"].status == "removed"
    assert ("device model", "NVIDIA A100-PG509-200", "Tesla V100-SXM2-16GB") in {
        (d.what, d.base, d.other) for d in result.differences
    }
    by_category = compare(*(read_once(folder / name) for name in ("control", "test")), by="category")
    check_sums(by_category)
    assert (by_category.difference_ns, by_category.unexplained_ns) == (result.difference_ns, result.unexplained_ns)
    assert by_category.structural == result.structural


def test_by_category_of_single_steps_is_the_difference_of_their_paths(collection_dir: Path) -> None:
    series = collection_dir / "recorded" / "series"
    base, slow = run(series / "base_2"), run(series / "slow_2")
    result = compare(base, slow, by="category")
    for trace, field in ((base, "base_ns"), (slow, "other_ns")):
        expected = {f"{one.category}: {one.detail}": one.ns for one in critical_path(trace).by_category}
        expected.pop("idle: unexplained", None)
        assert {one.key: getattr(one, field) for one in result.contributions if getattr(one, field)} == expected


@pytest.mark.parametrize("model", ["gaunernst_bert-small-uncased__1016001", "Falconsai_nsfw_image_detection__1016002"])
def test_kernels_of_two_vendors_meet_in_one_part(model: str, collection_dir: Path) -> None:
    sides: Sequence[Trace] = [
        read_once(collection_dir / "tracelens" / device / f"{model}.json.gz") for device in ("h100", "mi300")
    ]
    result = compare(*sides)
    check_sums(result)
    assert result.aligned_share >= 0.95
    assert "cudaDeviceSynchronize → hipDeviceSynchronize" in {one.key for one in result.structural}
    by_source = compare(*sides, by="source")
    check_sums(by_source)
    assert sum(".py:" in one.key for one in by_source.contributions) >= 5


def test_it_is_asked_by_its_name_as_other_questions() -> None:
    asked = question("compare", OF_SEVERAL)
    result = asked([Subject(build(BASE))], [Subject(build(ADDED))], by="category")
    assert isinstance(result, Comparison)
    assert result.by == "category"
    assert result.headline() == "comparison, 0.000 ms to 0.000 ms: +0.000 ms, +60.0%"
    assert list(result.to_pandas()["key"]) == [one.key for one in result.contributions]


CHAIN = """
    rank 0 | stream 7 | gemm        0..40  -EVENT-> {0}
    rank 0 | stream 9 | add        50..60  -EVENT-> copy
    rank 0 | stream 8 | copy       70..80
"""
WITHOUT = """
    rank 0 | stream 7 | gemm        0..40  {0}
    rank 0 | stream 8 | copy       70..80
"""


@pytest.mark.parametrize(("with_it", "direct"), [("add", "-EVENT-> copy"), ("add", "")])
def test_what_waited_through_an_operator_that_went_has_no_dependency_more(with_it: str, direct: str) -> None:
    """gemm → add → copy is gemm → copy without add; where that is gone too, it is no change of its own."""
    chain, short = build(CHAIN.format(with_it)), build(WITHOUT.format(direct))
    assert [(one.key, one.status) for one in compare(chain, short).structural] == [("add", "removed")]
    assert [(one.key, one.status) for one in compare(short, chain).structural] == [("add", "added")]


def test_a_dependency_past_an_operator_that_went_is_one_more_where_nothing_waited_before() -> None:
    apart = build(CHAIN.format("add").replace("  -EVENT-> add", "").replace("  -EVENT-> copy", ""))
    found = compare(apart, build(WITHOUT.format("-EVENT-> copy"))).structural
    assert [(one.key, one.status) for one in found] == [("add", "removed"), ("copy waits for gemm (EVENT)", "added")]


def test_data_dependencies_that_were_inferred_are_no_changes() -> None:
    """They say which memory was used again."""
    waits = build(EVENTS.replace("0..40", "0..40 -DATA-> copy"))
    d = waits.dependencies
    guessed = replace(waits, dependencies=d.replace({"inferred": d["kind"] == int(DependencyKind.DATA)}))
    assert [one.key for one in compare(build(EVENTS), waits).structural] == ["copy waits for gemm (DATA)"]
    assert compare(build(EVENTS), guessed).structural == ()


@pytest.mark.parametrize("timed", [(False, False), (True, False), (False, True)])
@pytest.mark.parametrize("texts", [(BASE, ADDED), (two_ranks(BUCKETS), two_ranks(SMALLER))])
def test_without_times_the_changes_are_those_with_times(texts: tuple[str, str], timed: tuple[bool, bool]) -> None:
    sides = [build(text) for text in texts]
    expected = compare(*sides)
    found = compare(*(side if has else without_times(side) for side, has in zip(sides, timed, strict=True)))
    check_sums(found)
    assert (expected.timed, found.timed, found.base_ns, found.other_ns) == (True, False, 0, 0)
    assert [one for one in found.contributions if not one.structural] == []

    def told(one: Contribution) -> tuple[object, ...]:
        return one.key, one.status, one.base_count, one.other_count, one.base_bytes, one.other_bytes, one.ranks

    assert list(map(told, found.structural)) == list(map(told, expected.structural)) != []
    assert found.headline() == "comparison without times: 1 change of the program"
    assert any("no times" in warning for warning in found.trust.warnings)


def test_without_times_a_step_has_the_operators_of_its_iteration() -> None:
    second = re.sub(r"(\d+)\.\.(\d+)", lambda m: f"{int(m[1]) + 160}..{int(m[2]) + 160}", BASE.replace("#0", "#1"))
    trace = without_times(build(ADDED + second))
    (change,) = compare(Subject(trace, (1,)), Subject(trace, (0,))).structural
    assert (change.key, change.status, change.other_count) == ("aten::linear", "added", 2.0)
    with pytest.raises(MissingData, match="no iteration 7"):
        compare(Subject(trace, (7,)), Subject(trace, (0,)))
