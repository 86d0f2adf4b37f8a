"""Lost time: a trace, its waterfall, and the steps that are expected; and recorded runs of which the cause is known."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from etgraph.model import Trace
from etgraph.queries import breakdown, critical_path, hotspots, stragglers, waterfall
from etgraph.queries.step_time import step_ns
from etgraph.queries.waterfall import Waterfall, normalised, together
from etgraph.sim.profiles import load
from support.build import build
from support.collection import read_once
from support.work import with_work

H100 = load("h100-sxm")


def steps(found: Waterfall) -> dict[str, int]:
    assert found.measured_ns - sum(step.ns for step in found.steps) == found.ideal_ns
    return {step.name: step.ns for step in found.steps}


def of(text: str, **choices: Any) -> dict[str, int]:
    return steps(waterfall(build(text), **choices))


def test_a_rank_that_comes_late_costs_what_it_is_late() -> None:
    lost = of("""
        rank 0 | stream 7 | a            0..20
        rank 0 | stream 9 | all_reduce  20..70
        rank 1 | stream 7 | a            0..20
        rank 1 | stream 9 | all_reduce  20..70
        rank 2 | stream 7 | a            0..60  -EVENT-> r2
        rank 2 | stream 9 | r2: all_reduce  60..70
    """)
    assert lost["late ranks"] == 40


def test_communication_costs_what_is_not_hidden() -> None:
    lost = of("""
        rank 0 | stream 7 | a            0..20   -EVENT-> r0
        rank 0 | stream 9 | r0: all_reduce  20..50  -EVENT-> c0
        rank 0 | stream 7 | b           20..30
        rank 0 | stream 7 | c0: c       50..80
        rank 1 | stream 9 | all_reduce  20..50
    """)
    assert (lost["late ranks"], lost["exposed communication"]) == (0, 20)


def test_hidden_communication_costs_nothing() -> None:
    lost = of("""
        rank 0 | stream 7 | a            0..20   -EVENT-> r0
        rank 0 | stream 9 | r0: all_reduce  20..50  -EVENT-> c0
        rank 0 | stream 7 | b           20..60
        rank 0 | stream 7 | c0: c       60..80
        rank 1 | stream 9 | all_reduce  20..50
    """)
    assert lost == {"replay": 0, "late ranks": 0, "exposed communication": 0, "host": 0}


LAUNCH_BOUND = """
    rank 0 | thread 1 | iteration ProfilerStep#1   0..200
    rank 0 | thread 1 | aten::mm            0..100
    rank 0 | thread 1 | cudaLaunchKernel   50..70   -> k1
    rank 0 | thread 1 | cudaDeviceSynchronize  110..198
    rank 0 | stream 7 | k1: gemm           90..190  -SYNC-> cudaDeviceSynchronize
"""


def test_a_host_costs_the_time_in_which_its_device_has_nothing_to_do() -> None:
    assert of(LAUNCH_BOUND) == {"replay": 0, "late ranks": 0, "exposed communication": 0, "host": 100}


def test_a_profile_adds_what_operators_are_below_their_roofline() -> None:
    unknown = waterfall(build(LAUNCH_BOUND), profile=H100)
    assert "below roofline" not in steps(unknown)
    assert (unknown.known_share, unknown.utilization) == (0.0, None)
    assert "100% of the computing time is of unknown work, which stays as long as measured" in unknown.trust.warnings
    trace = with_work(build(LAUNCH_BOUND), {"aten::mm": (669_000, 4)})  # 10 ns at 66.9 TFLOP/s
    assert steps(waterfall(trace, profile=H100))["below roofline"] == 90


def test_without_a_device_that_is_known_nothing_is_said_of_peaks() -> None:
    found = waterfall(build(LAUNCH_BOUND))
    assert (found.profile, found.model_flops_utilization, found.bus_bandwidth_share) == (None, None, None)
    assert any("without a profile operators stay as long as measured" in told for told in found.trust.warnings)


def test_the_device_that_a_trace_names_gives_the_peaks() -> None:
    trace = build(LAUNCH_BOUND)
    trace = replace(trace, metadata=replace(trace.metadata, device_model="NVIDIA H100 80GB HBM3"))
    found = waterfall(trace)
    assert found.profile == "h100-sxm"
    assert "peaks are those of h100-sxm, built in for NVIDIA H100 80GB HBM3" in found.trust.warnings


def test_the_utilization_is_the_product_of_what_explains_it() -> None:
    trace = with_work(build(LAUNCH_BOUND), {"aten::mm": (1_672_500, 4)})  # 25 ns at 66.9 TFLOP/s
    used = waterfall(trace, profile=H100).utilization
    assert used is not None
    assert (used.flops, used.peak_flops, used.precision, used.ranks) == (1_672_500, 66.9e12, "fp32", 1)
    assert (used.computing_share, used.roofline_share, used.peak_share) == pytest.approx((100 / 200, 25 / 100, 1.0))
    assert used.share == pytest.approx(25 / 200)
    assert waterfall(trace, profile=H100).known_share == 1.0


def test_a_step_of_several_is_measured_by_what_was_done() -> None:
    # The host runs ahead of its device: without a host, a step is what its device does in it.
    trace = build("""
        rank 0 | thread 1 | iteration ProfilerStep#1    0..50
        rank 0 | thread 1 | iteration ProfilerStep#2   50..100
        rank 0 | thread 1 | iteration ProfilerStep#3  100..150
        rank 0 | thread 1 | cudaLaunchKernel    0..10   -> k1
        rank 0 | thread 1 | cudaLaunchKernel   50..60   -> k2
        rank 0 | thread 1 | cudaLaunchKernel  100..110  -> k3
        rank 0 | stream 7 | k1: gemm   10..40
        rank 0 | stream 7 | k2: gemm   60..90
        rank 0 | stream 7 | k3: gemm  110..140
    """)
    for step in range(3):
        found = waterfall(trace, iteration=step)
        assert (found.measured_ns, found.ideal_ns, found.iterations) == (50, 30, 1)
    whole = waterfall(trace)
    assert (whole.measured_ns, whole.ideal_ns, whole.iterations) == (150, 90, 3)
    apart = waterfall(trace, iteration=(0, 2))
    assert (apart.measured_ns, apart.ideal_ns, apart.iterations) == (100, 60, 2)


def test_a_trace_that_leaves_its_waiting_open_is_said_to_be_no_measure() -> None:
    trace = build("""
        rank 0 | thread 1 | cudaLaunchKernel  0..10   -> a
        rank 0 | thread 1 | cudaLaunchKernel 10..20   -> b
        rank 0 | stream 7 | a      12..100
        rank 0 | stream 7 | b  900000..900010
    """)
    found = waterfall(trace)
    assert not found.replayable
    assert any("not replayable: " in told and "no measure" in told for told in found.trust.warnings)
    assert steps(found)["replay"] > 0


def test_shares_are_of_the_measured_time() -> None:
    row = normalised(waterfall(build(LAUNCH_BOUND)))
    assert (row.measured_ns, row.host, row.ideal, row.below_roofline) == (200, 0.5, 0.5, None)


def test_several_waterfalls_say_of_how_many_a_doubt_is() -> None:
    one = waterfall(build(LAUNCH_BOUND))
    both = together([one, replace(one, trust=replace(one.trust, explained_share=0.5, warnings=()))])
    assert both.trust.explained_share == 0.5
    assert both.trust.warnings == (f"{one.trust.warnings[0]} (1 of 2 traces)",)
    assert together([one]).trust == one.trust


# Recorded runs


@cache
def recorded(path: Path) -> Trace:
    return read_once(path)


@pytest.mark.parametrize(("name", "window"), [
    ("param/dlrm_kineto", "annotation"), ("recorded/gpt_tp2_pp2", "annotation"), ("hta/trace_diff/control", "device"),
    ("hta/ns_resolution_trace", "launch"), ("tracelens/inference/vllm_decode_full", "annotation"),
])  # fmt: skip
def test_the_measured_step_is_the_window_and_its_shares_are_those_of_other_questions(
    name: str, window: Any, collection_dir: Path
) -> None:
    trace = recorded(collection_dir / name)
    found = waterfall(trace, window=window)
    assert found.measured_ns == step_ns(trace, trace, window=window) == critical_path(trace, window=window).window_ns
    windows = breakdown(trace, window=window).windows
    whole = sum(one.end_ns - one.start_ns for one in windows)
    assert found.exposed_share == pytest.approx(sum(one.exposed_communication_ns for one in windows) / whole)
    if found.utilization is not None:
        computing = sum(one.computation_ns for one in windows) / (found.measured_ns * len(windows))
        assert found.utilization.computing_share == pytest.approx(computing)
        # No step is so ideal that it would do its flops faster than the peak.
        assert found.utilization.share <= found.ideal_ns / found.measured_ns
    assert steps(found)


def test_dlrm_loses_its_time_to_a_late_rank_and_the_host(collection_dir: Path) -> None:
    trace = recorded(collection_dir / "param" / "dlrm_kineto")
    found = waterfall(trace)
    lost = {name: ns / found.measured_ns for name, ns in steps(found).items()}
    assert found.wait_share == pytest.approx(0.965, abs=0.001)
    assert abs(lost["replay"]) < 0.001
    # What the step waited for is that rank 7 enters, which the critical path has as 36 % of it; rank 7 is late by a
    # little more. The transfers of 0.2 ms a rank are hidden once nobody waits.
    entry = sum(share.share for share in critical_path(trace).by_category if share.detail == "late-entry")
    assert entry == pytest.approx(0.36, abs=0.01)
    assert entry < lost["late ranks"] < entry + 0.05
    assert lost["exposed communication"] < 0.01
    # What is left is computation, of which there is little.
    assert found.utilization is not None
    assert lost["host"] == pytest.approx(1 - lost["late ranks"] - found.utilization.computing_share, abs=0.01)


def test_a_run_that_its_device_limits_loses_nothing_to_the_host(collection_dir: Path) -> None:
    trace = recorded(collection_dir / "hta" / "ns_resolution_trace")
    for iteration in (1, 2, 3):
        found = waterfall(trace, iteration=iteration)
        assert steps(found)["host"] < 0.02 * found.measured_ns
        assert found.ideal_ns > 0.97 * found.measured_ns


def test_one_rank_of_many_cannot_tell_late_ranks_from_communication(collection_dir: Path) -> None:
    trace = recorded(collection_dir / "hta" / "trace_diff" / "control")
    found = waterfall(trace, iteration=2)
    lost = steps(found)
    assert (lost["late ranks"], found.wait_share) == (0, None)
    assert any("waiting for late ranks counts as communication" in told for told in found.trust.warnings)
    assert lost["replay"] < 0  # this step's replay is longer than the step, and says so
    assert found.profile == "a100-40gb"
    used = found.utilization
    assert used is not None
    assert used.precision == "tf32"
    assert used.share == pytest.approx(used.computing_share * used.roofline_share * used.peak_share)
    # No more is hidden than is exposed.
    assert found.exposed_share is not None
    assert 0 < lost["exposed communication"] / found.measured_ns < found.exposed_share


@pytest.mark.parametrize("run", [1, 2, 3, 4])
def test_the_late_ranks_of_a_run_cost_what_the_change_did(run: int, collection_dir: Path) -> None:
    # Every other step, rank 1 does about 60 ms of further work before the forward pass.
    trace = recorded(collection_dir / "recorded" / "whatif" / f"late_rank_{run}")
    base, variant = (waterfall(trace, iteration=trace.iteration_indices[kind::2]) for kind in (0, 1))
    lost = (steps(variant)["late ranks"] - steps(base)["late ranks"]) / variant.iterations
    effect = (variant.measured_ns - base.measured_ns) / variant.iterations
    assert lost == pytest.approx(60e6, abs=4e6)
    assert lost == pytest.approx(effect, abs=10e6)


def test_a_decode_step_loses_its_time_to_the_host(collection_dir: Path) -> None:
    found = waterfall(recorded(collection_dir / "tracelens" / "inference" / "vllm_decode_full"), profile=H100)
    assert steps(found)["host"] == pytest.approx(0.44 * found.measured_ns, rel=0.03)


def test_data_parallel_training_hides_its_communication_once_nobody_waits(traces_dir: Path) -> None:
    folder = traces_dir / "recorded" if (traces_dir / "recorded").is_dir() else traces_dir
    trace = read_once(folder / "gpt_ddp")
    found = waterfall(trace)
    lost = steps(found)
    assert lost["late ranks"] > 10 * lost["exposed communication"] >= 0
    assert found.wait_share == pytest.approx(stragglers(trace).wait_share, abs=0.001)


def test_bandwidth_is_that_of_hotspots(collection_dir: Path) -> None:
    trace = recorded(collection_dir / "param" / "dlrm_kineto")
    profile = load("dgx-v100")
    found = waterfall(trace, profile=profile).bus_bandwidth_share
    rows = hotspots(trace, profile=profile).rows
    shares = [row.bus_bandwidth_share for row in rows if row.bus_bandwidth_share is not None]
    assert found is not None
    assert min(shares) <= found <= max(shares)
