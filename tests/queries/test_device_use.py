"""Device use: known answers on small traces, each way to be fooled, bad input, and real traces."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from etgraph.model import Trace
from etgraph.model.errors import MissingData, UsageError
from etgraph.model.schema import LAUNCH_QUEUE_FULL
from etgraph.queries import device_use
from etgraph.queries.device_use import Device
from support.build import build
from support.collection import read_once

CAUSES = ("busy", "host", "launch_call", "launch_latency", "waiting", "before_recording", "unexplained")


def times(device: Device) -> dict[str, int]:
    """What a device did, in ns, without what it never did."""
    assert sum(getattr(device, f"{cause}_ns") for cause in CAUSES) == device.window_ns
    return {cause: ns for cause in CAUSES if (ns := getattr(device, f"{cause}_ns"))}


def kinds(trace: Trace, **question: int) -> list[tuple[str, int]]:
    """Kinds of the phases, and how long they last in µs."""
    return [(p.kind, (p.end_ns - p.start_ns) // 1000) for p in device_use(trace, **question).phases]


def test_a_gap_is_told_by_the_launch_of_what_ends_it() -> None:
    trace = build("""
        rank 0 | thread 1 | cudaLaunchKernel     0..10000   -> a
        rank 0 | thread 1 | cudaLaunchKernel 40000..50000   -> b
        rank 0 | stream 7 | a                11000..20000
        rank 0 | stream 7 | b                51000..60000
    """)
    (device,) = device_use(trace).devices
    assert times(device) == {"busy": 18_000, "host": 20_000, "launch_call": 20_000, "launch_latency": 2_000}
    assert (device.rank, device.device, device.start_ns, device.end_ns) == (0, 0, 0, 60_000)
    assert (device.busy_share, device.starved_share, device.communication_ns) == (0.3, 40 / 60, 0)
    assert device_use(trace).trust.explained_share == 1.0


def test_a_deep_queue_and_a_late_operator() -> None:
    """Two operators wait behind a; c then starts 9 µs after b, of which 4 are usual."""
    trace = build("""
        rank 0 | thread 1 | cudaLaunchKernel  0..10   -> a
        rank 0 | thread 1 | cudaLaunchKernel 10..20   -> b
        rank 0 | thread 1 | cudaLaunchKernel 20..30   -> c
        rank 0 | stream 7 | a                10..40000
        rank 0 | stream 7 | b             40000..50000
        rank 0 | stream 7 | c             59000..60000
    """)
    use = device_use(trace)
    (device,) = use.devices
    assert times(device) == {"busy": 50_990, "launch_call": 10, "waiting": 4_000, "unexplained": 5_000}
    assert (device.queue_p50, device.queue_p95, device.queue_max) == (2, 2, 2)
    assert device.queue_mean == pytest.approx((10 + 2 * (40_000 - 30) + 19_000) / 60_000)
    assert device.empty_queue_share == pytest.approx(1_020 / 60_000)
    assert use.trust.explained_share == pytest.approx(55 / 60)
    assert use.slices.column("depth_mean").to_pylist()[1] == pytest.approx(2.0)
    assert use.slices.column("busy_share").to_pylist()[55] == pytest.approx(0.0)


def test_work_that_is_held_on_another_stream_does_not_hide_that_the_host_is_late() -> None:
    """Since 10, b lies launched; but a, which it waits for, is launched only at 40."""
    trace = build("""
        rank 0 | thread 1 | cudaLaunchKernel  0..10   -> b
        rank 0 | thread 1 | cudaLaunchKernel 30..40   -> a
        rank 0 | stream 7 | a                40..50   -EVENT-> b
        rank 0 | stream 9 | b                50..60
    """)
    assert times(device_use(trace).devices[0]) == {"busy": 20, "host": 30, "launch_call": 10}


def test_of_operators_that_start_together_the_one_launched_first_tells_the_gap() -> None:
    """It could have run all the time."""
    trace = build("""
        rank 0 | thread 1 | cudaLaunchKernel      0..10     -> a
        rank 0 | thread 1 | cudaLaunchKernel  90000..90010  -> b
        rank 0 | thread 1 | cudaLaunchKernel     10..20     -> x
        rank 0 | stream 5 | x                    20..30
        rank 0 | stream 7 | a                 90010..90020
        rank 0 | stream 9 | b                 90010..90020
    """)
    found = times(device_use(trace).devices[0])
    assert found["unexplained"] > 80_000
    assert found["host"] == 10


def test_the_median_depth_of_a_tie_is_the_lower_one() -> None:
    trace = build("""
        rank 0 | thread 1 | cudaLaunchKernel  0..10   -> a
        rank 0 | stream 7 | a                60..100
    """)
    (device,) = device_use(trace).devices
    assert (device.queue_p50, device.queue_p95, device.empty_queue_share) == (0, 1, 0.5)


def test_replays_of_a_graph_are_the_kernels_that_they_launch() -> None:
    """Only the first operator on each stream has a stored launch; the others follow it, but k4 and y follow nothing."""
    trace = build("""
        rank 0 | thread 1 | cudaGraphLaunch   0..10   -> k1
        rank 0 | thread 1 | cudaLaunchKernel 80..90   -> x
        rank 0 | stream 7 | k1               20..30
        rank 0 | stream 7 | k2               30..40
        rank 0 | stream 7 | k3               40..50
        rank 0 | stream 7 | x                90..100
        rank 0 | stream 7 | k4              110..120
        rank 0 | stream 9 | y               112..118
    """)
    use = device_use(trace)
    (device,) = use.devices
    assert (device.queue_max, device.queue_p50) == (3, 0)
    assert device.queue_mean == pytest.approx((10 * 3 + 10 * 2 + 10 * 1) / 120)
    assert use.trust.warnings == ("2 of 6 device operators have no recorded launch: the queue's depth is without them",)
    assert times(device) == {"busy": 50, "host": 30, "launch_call": 20, "launch_latency": 10, "waiting": 10}


def test_another_stream_is_not_part_of_a_graph() -> None:
    trace = build("""
        rank 0 | thread 1 | cudaGraphLaunch   0..10   -> k1
        rank 0 | stream 7 | k1               20..30
        rank 0 | stream 9 | y               112..118
    """)
    (device,) = device_use(trace).devices
    assert (device.queue_max, device.queue_mean) == (1, pytest.approx(10 / 118))


def test_work_from_before_the_recording_is_no_waiting() -> None:
    trace = build("""
        rank 0 | thread 1 | cudaLaunchKernel      0..10        -> a
        rank 0 | thread 1 | cudaLaunchKernel     10..20        -> b
        rank 0 | thread 1 | cudaLaunchKernel 900000..900010    -> c
        rank 0 | thread 1 | cudaLaunchKernel 900010..900020    -> d
        rank 0 | stream 7 | a                800000..900000
        rank 0 | stream 7 | b                900000..900005
        rank 0 | stream 9 | c                900010..900100
        rank 0 | stream 11 | d               900020..900100
    """)
    found = times(device_use(trace).devices[0])
    assert found["before_recording"] >= 700_000
    assert "unexplained" not in found
    without = replace(trace, dependencies=trace.dependencies.take(np.zeros(len(trace.dependencies), dtype=bool)))
    device = device_use(without).devices[0]
    assert times(device) == {"busy": 100_095, "unexplained": 800_005}
    assert (device.queue_mean, device.queue_p50, device.queue_max, device.empty_queue_share) == (None,) * 4
    assert device_use(without).slices.column("depth_mean").null_count == len(device_use(without).slices)


ITEM = """
    rank 0 | thread 1 | cudaLaunchKernel            0..10      -> gemm
    rank 0 | thread 1 | aten::item                 20..1060
    rank 0 | thread 1 | aten::_local_scalar_dense  25..1055
    rank 0 | thread 1 | copy: cudaMemcpyAsync      30..1010    -> Memcpy
    rank 0 | thread 1 | cudaStreamSynchronize    1020..1050
    rank 0 | thread 1 | cudaLaunchKernel         1900..2000    -> next
    rank 0 | stream 7 | gemm                       10..900
    rank 0 | stream 7 | Memcpy                    900..1000    -SYNC-> copy  -SYNC-> cudaStreamSynchronize
    rank 0 | stream 7 | next                     2000..2100
"""


def test_the_stall_is_that_of_the_call_that_waited() -> None:
    """The synchronisation after the copy finds nothing left to wait for, though it is nearer to the next launch."""
    first, second = device_use(build(ITEM)).stalls
    assert (first.call, first.operator, first.count, first.ranks) == ("cudaMemcpyAsync", "aten::item", 1, (0,))
    assert (first.blocked_ns, first.waited_ns, first.stall_ns, first.gain_ns) == (980, 970, 1000, 970)
    assert (second.call, second.operator) == ("cudaStreamSynchronize", "aten::item")
    assert (second.blocked_ns, second.waited_ns, second.stall_ns, second.gain_ns) == (30, 0, 0, 0)


def test_of_two_threads_that_wait_the_one_that_waits_longer_has_the_stall() -> None:
    trace = build(f"""
        {ITEM.replace("-SYNC-> copy", "-SYNC-> copy -SYNC-> other")}
        rank 0 | thread 2 | other: cudaDeviceSynchronize  400..1005
    """)
    found = [(s.call, s.waited_ns, s.stall_ns) for s in device_use(trace).stalls]
    assert found[:2] == [("cudaMemcpyAsync", 970, 1000), ("cudaDeviceSynchronize", 600, 0)]


def test_a_call_that_waits_for_nothing_stalls_nothing() -> None:
    trace = build("""
        rank 0 | thread 1 | cudaLaunchKernel        0..10   -> a
        rank 0 | thread 1 | cudaStreamSynchronize 100..110
        rank 0 | thread 1 | cudaLaunchKernel      200..210  -> b
        rank 0 | stream 7 | a                      10..50   -SYNC-> cudaStreamSynchronize
        rank 0 | stream 7 | b                     210..220
    """)
    (stall,) = device_use(trace).stalls
    assert (stall.blocked_ns, stall.waited_ns, stall.stall_ns, stall.gain_ns) == (10, 0, 0, 0)


def test_a_stall_is_told_under_pytorchs_own_operator_in_the_step_in_which_it_ends() -> None:
    """Not under the module around it; and only in the window in which the call returns."""
    trace = build(f"""
        {ITEM}
        rank 0 | thread 1 | Model.forward 15..1070
        rank 0 | thread 1 | iteration ProfilerStep#1     0..1015
        rank 0 | thread 1 | iteration ProfilerStep#2  1015..2200
    """)
    first, second = (device_use(trace, iteration=step).stalls for step in (0, 1))
    assert [(s.call, s.operator) for s in first] == [("cudaMemcpyAsync", "aten::item")]
    assert [(s.call, s.operator) for s in second] == [("cudaStreamSynchronize", "aten::item")]
    assert first[0].stall_ns == 15


def test_a_call_that_waits_while_the_device_has_more_to_do_stalls_nothing() -> None:
    trace = build(f"{ITEM}rank 0 | stream 9 | other  950..2000")
    assert [(s.call, s.waited_ns, s.stall_ns, s.gain_ns) for s in device_use(trace).stalls] == [
        ("cudaMemcpyAsync", 970, 0, 0),
        ("cudaStreamSynchronize", 0, 0, 0),
    ]


def test_a_call_of_which_it_is_not_known_what_it_waited_for_may_have_waited_all_the_time() -> None:
    trace = build("""
        rank 0 | thread 1 | cudaLaunchKernel      0..10    -> a
        rank 0 | thread 1 | cudaEventSynchronize 20..60
        rank 0 | thread 1 | cudaLaunchKernel    200..210   -> b
        rank 0 | stream 7 | a                    10..50
        rank 0 | stream 7 | b                   210..220
    """)
    (stall,) = device_use(trace).stalls
    assert (stall.blocked_ns, stall.waited_ns, stall.stall_ns, stall.gain_ns) == (40, 40, 160, 40)
    assert (stall.operator, stall.scope, stall.source) == (None, None, None)


def test_a_full_queue_is_no_stall() -> None:
    trace = build("""
        rank 0 | thread 1 | cudaLaunchKernel          0..10   -> a
        rank 0 | thread 1 | wait: cudaLaunchKernel   10..100  -> b
        rank 0 | stream 7 | a                        10..90   -SYNC-> wait
        rank 0 | stream 7 | b                       100..120
    """)
    (stall,) = device_use(trace).stalls
    assert stall.waited_ns == 80
    methods = [LAUNCH_QUEUE_FULL if m == "drawn" else m for m in trace.dependencies.texts("method").to_pylist()]
    full = trace.dependencies.replace({}, {"method": methods})
    assert device_use(replace(trace, dependencies=full)).stalls == ()


def test_what_the_host_did_is_told_by_the_innermost_operator() -> None:
    starved = device_use(build(ITEM)).starved
    assert [(s.name, s.count, s.ns) for s in starved] == [
        (None, 0, 840), ("cudaLaunchKernel", 2, 110), ("cudaStreamSynchronize", 1, 30),
        ("aten::_local_scalar_dense", 1, 15), ("cudaMemcpyAsync", 1, 10), ("aten::item", 1, 5),
    ]  # fmt: skip
    assert sum(s.ns for s in starved) == 1010
    assert sum(s.share for s in starved) == pytest.approx(1.0)


# Phases


def steps(*pieces: tuple[str, int, int, int], stream: int = 7) -> str:
    """Operators in µs: name, begin of its launch (which takes 5), start and end on the device."""
    return "\n".join(
        f"rank 0 | thread 1 | cudaLaunchKernel {at * 1000}..{at * 1000 + 5000} -> k{n}_{stream}\n"
        f"rank 0 | stream {stream} | k{n}_{stream}: {name} {start * 1000}..{end * 1000}"
        for n, (name, at, start, end) in enumerate(pieces)
    )


def test_phases_of_a_run_that_changes() -> None:
    """Small operators one by one; then the host stops for 600 µs; then it launches far ahead of long ones."""
    small = [("add", 10 * n, 10 * n + 7, 10 * n + 9) for n in range(40)]
    large = [("gemm", 1000 + 6 * n, 1010 + 90 * n, 1098 + 90 * n) for n in range(20)]
    trace = build(steps(*small, *large))
    assert kinds(trace) == [("launch-bound", 399), ("host-bound", 611), ("device-bound", 1798)]
    assert device_use(trace).devices[0].verdict == "device-bound"
    assert [p.busy_ns // 1000 for p in device_use(trace).phases] == [80, 0, 1760]


def test_operators_too_short_for_the_clock_are_launch_bound_too() -> None:
    """Recorded to the microsecond, a fill of a small tensor may last nothing; one comes every 40 µs."""
    fills = build(steps(*(("fill", 40 * n, 40 * n + 10, 40 * n + 10) for n in range(50))))
    assert kinds(fills) == [("launch-bound", 1970)]
    assert times(device_use(fills).devices[0]) == {"host": 1_470_000, "launch_call": 250_000, "launch_latency": 250_000}


def test_short_operators_behind_a_deep_queue_are_device_bound() -> None:
    """Each takes less than the host needs from one launch to the next, but they were all launched long before."""
    pieces = [("gemm", 0, 6, 700), *(("add", 6 + 10 * n, 700 + 8 * n, 708 + 8 * n) for n in range(60))]
    assert kinds(build(steps(*pieces))) == [("device-bound", 1180)]


def test_a_short_pause_ends_no_phase() -> None:
    large = [("gemm", 6 * n, 10 + 90 * n + 150 * (n >= 10), 98 + 90 * n + 150 * (n >= 10)) for n in range(20)]
    late = [(name, at + 1040 * (n >= 10), start, end) for n, (name, at, start, end) in enumerate(large)]
    assert kinds(build(steps(*large))) == [("device-bound", 1958)]
    assert [kind for kind, _ in kinds(build(steps(*late)))] == ["device-bound"]


def test_first_use_of_the_runtime_is_a_phase_of_its_own() -> None:
    trace = build(f"""
        rank 0 | thread 1 | cudaMalloc   6000000..9000000
        {steps(("gemm", 0, 10, 5900), ("gemm", 9010, 9016, 14000), ("gemm", 14900, 14910, 20000))}
    """)
    assert kinds(trace) == [
        ("device-bound", 5900), ("start-up", 3116), ("device-bound", 4984), ("host-bound", 910), ("device-bound", 5090)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "lasts", "kind"),
    [
        ("cudaMalloc", 3000, "start-up"), ("hipModuleLoadData", 3000, "start-up"), ("cudaMalloc", 900, "host-bound"),
        ("cudaMalloc", 1500, "host-bound"), ("cudaMemcpyAsync", 3000, "host-bound"),
        ("cudaGraphLaunch", 3000, "host-bound"), ("cudaStreamSynchronize", 3000, "host-bound"),
        ("aten::empty", 3000, "host-bound"),
    ],
)  # fmt: skip
def test_a_pause_in_another_call_is_no_start_up(name: str, lasts: int, kind: str) -> None:
    """Nor is one in a call that is short, or that takes less than half of the pause."""
    trace = build(f"""
        rank 0 | thread 1 | {name}   6000000..{(6000 + lasts) * 1000}
        {steps(("gemm", 0, 10, 5900), ("gemm", 9010, 9016, 14000))}
    """)
    assert [found for found, _ in kinds(trace)] == ["device-bound", kind, "device-bound"]


def test_pauses_between_operators_of_a_full_stream_count_as_nothing() -> None:
    """More time passes between them than in them, but none of it is waiting for more than the stream."""
    pieces = [("add", 3 * n, 1000 + 7 * n, 1003 + 7 * n) for n in range(300)]
    trace = build(steps(("gemm", 0, 6, 1000), *((name, at + 6, start, end) for name, at, start, end in pieces)))
    assert kinds(trace) == [("device-bound", 3096)]
    assert times(device_use(trace).devices[0])["waiting"] == 299 * 4000


def test_communication_alone_on_the_device() -> None:
    pieces = [("gemm", 0, 10, 1000), ("all_reduce", 10, 1000, 3500), ("gemm", 20, 3500, 4000)]
    trace = build(steps(*pieces))
    device = device_use(trace).devices[0]
    assert (device.communication_ns, device.verdict) == (2_500_000, "communication-bound")
    assert kinds(trace) == [("device-bound", 1000), ("communication-bound", 2500), ("device-bound", 500)]
    beside = build(f"{steps(*pieces)}\n{steps(('gemm', 30, 1000, 2500), stream=9)}")
    assert device_use(beside).devices[0].communication_ns == 1_000_000


# Windows, ranks, devices


STEPS = """
    rank 0 | thread 1 | iteration ProfilerStep#1     0..100
    rank 0 | thread 1 | iteration ProfilerStep#2   100..200
    rank 0 | thread 1 | cudaLaunchKernel    0..10   -> a
    rank 0 | thread 1 | cudaLaunchKernel  120..130  -> b
    rank 0 | stream 7 | a                  10..140
    rank 0 | stream 7 | b                 140..170
"""


@pytest.mark.parametrize(
    ("question", "start", "end", "busy"),
    [
        ({}, 0, 200, 160),
        ({"iteration": 0}, 0, 100, 90),
        ({"iteration": 1}, 100, 200, 70),
        ({"iteration": 1, "window": "device"}, 140, 170, 30),
        ({"iteration": 0, "window": "launch"}, 0, 140, 130),
        ({"iteration": [0, 1]}, 0, 200, 160),
    ],
)
def test_all_that_runs_in_the_window_counts(question: dict[str, object], start: int, end: int, busy: int) -> None:
    (device,) = device_use(build(STEPS), **question).devices  # type: ignore[arg-type]
    assert (device.start_ns, device.end_ns, device.busy_ns) == (start, end, busy)
    times(device)


def test_a_rank_without_a_device_is_left_out_and_said() -> None:
    trace = build(f"{STEPS}rank 1 | thread 1 | aten::mm 0..50\nrank 1 | thread 1 | iteration ProfilerStep#1 0..60")
    use = device_use(trace)
    assert [device.rank for device in use.devices] == [0]
    assert use.trust.warnings == ("rank 1 left out, without operators in such a window",)
    with pytest.raises(MissingData, match="rank 1 has no operators on a device"):
        device_use(trace, rank=1)


def test_devices_of_a_rank_are_told_apart() -> None:
    """A call is about the device that was used last; what another device does hides no stall."""
    trace = build("""
        rank 0 | thread 1 | cudaLaunchKernel       0..10   -> a
        rank 0 | thread 1 | cudaLaunchKernel      10..20   -> b
        rank 0 | thread 1 | cudaDeviceSynchronize 20..60
        rank 0 | thread 1 | cudaLaunchKernel      90..100  -> c
        rank 0 | stream 7 | a                     10..120
        rank 0 | stream 9 | b                     20..50   -SYNC-> cudaDeviceSynchronize
        rank 0 | stream 9 | c                    100..120
    """)
    lanes = trace.lanes.replace({"device": np.where(trace.lanes["id"] == trace.lanes.code("id", "9"), 1,
                                                    trace.lanes["device"])})  # fmt: skip
    use = device_use(replace(trace, lanes=lanes))
    assert [(device.device, device.busy_ns) for device in use.devices] == [(0, 110), (1, 50)]
    assert [(stall.waited_ns, stall.stall_ns, stall.gain_ns) for stall in use.stalls] == [(30, 50, 30)]
    assert {(phase.device, phase.kind) for phase in use.phases} == {(0, "device-bound"), (1, "launch-bound")}


@pytest.mark.parametrize(
    ("text", "question", "error", "message"),
    [
        ("", {}, MissingData, "the trace holds no operators"),
        ("rank 0 | thread 1 | aten::mm 0..5", {}, MissingData, "no rank of the trace has operators on a device"),
        (STEPS, {"rank": 4}, MissingData, "no rank 4"),
        (STEPS, {"iteration": 7}, MissingData, "no iteration 7"),
        (STEPS, {"window": "week"}, UsageError, "no window 'week'"),
    ],
)
def test_what_is_not_there_is_said(
    text: str, question: dict[str, object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        device_use(build(text), **question)  # type: ignore[arg-type]


def test_an_empty_window_and_operators_that_take_no_time() -> None:
    trace = build("""
        rank 0 | thread 1 | iteration ProfilerStep#1  5..5
        rank 0 | thread 1 | cudaLaunchKernel  0..10   -> a
        rank 0 | stream 7 | a                10..10
    """)
    device = device_use(trace).devices[0]
    assert (device.window_ns, device.busy_ns, device.busy_share, device.starved_share) == (0, 0, 0.0, 0.0)
    assert (device.queue_mean, device.verdict) == (None, "device-bound")
    assert device_use(trace).phases == ()
    whole = replace(trace, iterations=trace.iterations.take(np.zeros(0, dtype=np.int64)))
    assert times(device_use(whole).devices[0]) == {"launch_call": 10}


def test_operators_without_times_do_not_count() -> None:
    trace = build(STEPS)
    null = trace.operators.table.column("duration_ns").null
    some = np.where(trace.operators["name"] == trace.operators.code("name", "b"), null, trace.operators["duration_ns"])
    (device,) = device_use(replace(trace, operators=trace.operators.replace({"duration_ns": some}))).devices
    assert device.busy_ns == 130
    nothing = replace(trace, operators=trace.operators.replace({"duration_ns": np.full(len(trace), null)}))
    with pytest.raises(MissingData, match="no operators with measured times"):
        device_use(nothing)


def test_a_data_frame_has_a_row_for_each_device() -> None:
    frame = device_use(build(STEPS)).to_pandas()
    assert frame.loc[0, "busy_ns"] == 160
    assert "device use, 80.0% busy" in device_use(build(STEPS))._repr_html_()


# Real traces


REAL = {  # busy share, starved share, share of an empty queue, verdict; of the whole recording
    "hta/nccl_parser_config": (0.236, 0.755, 0.919, "host-bound"),
    "hta/critical_path/alexnet": (0.002, 0.998, 1.0, "start-up"),
    "tracelens/inference/vllm_decode_full": (0.562, 0.027, 0.041, "device-bound"),
    "tracelens/h100/Falconsai_nsfw_image_detection__1016002.json.gz": (0.155, 0.812, 0.951, "launch-bound"),
}


@pytest.mark.parametrize("name", REAL)
def test_real_traces(name: str, collection_dir: Path) -> None:
    (device,) = device_use(read_once(collection_dir / name)).devices
    found = (device.busy_share, device.starved_share, device.empty_queue_share or 0.0)
    assert found == pytest.approx(REAL[name][:3], abs=0.001)
    assert device.verdict == REAL[name][3]
    times(device)


def test_a_full_queue_keeps_the_device_at_work(collection_dir: Path) -> None:
    """Steps 102 to 105 are 97 % device computation: the host launches into a queue of 1 022."""
    trace = read_once(collection_dir / "hta" / "ns_resolution_trace")
    for step in range(1, 5):
        (device,) = device_use(trace, iteration=step).devices
        assert device.busy_share >= 0.97
        assert (device.queue_max, device.verdict) == (1021, "device-bound")


def test_idle_time_is_that_of_other_tools(collection_dir: Path, reference_dir: Path) -> None:
    """From the first to the last operator of the step; on ranks 1 and 3 HTA adds what was launched before it."""
    known = json.loads((reference_dir / "breakdown.json").read_text())
    hta = {row["rank"]: row for row in known["hta"]["param/dlrm_kineto"]["temporal"]}
    for device in device_use(read_once(collection_dir / "param" / "dlrm_kineto"), window="device").devices:
        row = hta[device.rank]
        if device.rank not in (1, 3):
            found = (device.window_ns / 1000, (device.window_ns - device.busy_ns) / 1000)
            assert found == (row["kernel_time(us)"], row["idle_time(us)"])
    for name, row in known["tracelens"].items():
        (device,) = device_use(read_once(collection_dir / name), window="device").devices
        assert device.busy_ns / 1e6 == pytest.approx(row["busy_time"], rel=2e-5)
        assert device.window_ns / 1e6 == pytest.approx(row["total_time"], rel=2e-5)
