"""Replay: what it takes over, what it derives, and how near it comes on generated and recorded runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from etgraph.ingest import read
from etgraph.model import Trace
from etgraph.model.errors import MissingData
from etgraph.queries import stragglers
from etgraph.sim.replay import measured_plan, replay, run_plan
from support.build import build
from support.programs import flooded, mixed, turns

LAUNCHES = """
    rank 0 | thread 1 | call    0..10   -> a
    rank 0 | thread 1 | call   20..30   -> b
    rank 0 | thread 1 | call   40..50   -> c
    rank 0 | thread 1 | call   60..70   -> d
    rank 0 | stream 7 | a      14..15
    rank 0 | stream 7 | b      34..35
    rank 0 | stream 7 | c      54..55
    rank 0 | stream 7 | d      {start}..{end}
"""


def replayed(text: str) -> dict[str, int]:
    """Starts by name of the replayed trace."""
    trace = run_plan(measured_plan(build(text)))
    o = trace.operators
    return {str(o.value("name", row)): int(o["start_ns"][row]) for row in range(len(trace))}


@pytest.mark.parametrize(("start", "end"), [(74, 76), (80, 82), (94, 96)])
def test_a_device_operator_starts_a_usual_latency_after_its_launch(start: int, end: int) -> None:
    # However late the fourth one was recorded: that had no reason, and is not taken over.
    assert replayed(LAUNCHES.format(start=start, end=end)) == {"call": 60, "a": 14, "b": 34, "c": 54, "d": 74}


def test_members_wait_for_the_last_and_then_transfer() -> None:
    found = replay(
        build("""
        rank 0 | stream 7 | all_reduce 4MB  10..50
        rank 1 | stream 7 | all_reduce 4MB  30..50
        """)
    )
    assert found.nodes.column("duration_ns").to_pylist() == [40, 20]
    assert (found.makespan_ns, found.measured_ns, found.error) == (40, 40, 0.0)


def test_a_receive_ends_after_its_send_has_started() -> None:
    text = """
        rank 0 | stream 7 | ncclSend  {send}..{end} -COMM-> message
        rank 1 | stream 7 | message: ncclRecv  10..60
    """
    plan = measured_plan(build(text.format(send=40, end=60)))
    assert plan.transfer_ns.tolist() == [20, 20]
    assert run_plan(plan).end_ns.tolist() == [60, 60]


@pytest.mark.parametrize(("lane", "ends"), [("stream 7", [60, 60]), ("thread 7", [30, 60])])
def test_devices_meet_for_a_message_and_hosts_hand_it_over(lane: str, ends: list[int]) -> None:
    # The receiver comes at 40; a sender on a host has gone on by then.
    trace = build(f"""
        rank 0 | {lane} | ncclSend  10..{ends[0]} -COMM-> message
        rank 1 | {lane} | message: ncclRecv  40..60
    """)
    plan = measured_plan(trace)
    assert plan.transfer_ns.tolist() == [20, 20]
    assert plan.rendezvous.tolist() == [lane == "stream 7"]
    assert run_plan(plan).end_ns.tolist() == ends


def test_a_blocking_call_ends_after_what_it_waits_for() -> None:
    text = """
        rank 0 | thread 1 | launch  0..10  -> k
        rank 0 | thread 1 | cudaDeviceSynchronize  12..{end}
        rank 0 | thread 1 | after  {after}..{done}
        rank 0 | stream 7 | k  14..64  -SYNC-> cudaDeviceSynchronize
    """
    trace = build(text.format(end=70, after=72, done=80))
    plan = measured_plan(trace)
    kernel = int(np.flatnonzero(trace.operators["duration_ns"] == 50)[0])
    longer = plan.duration_ns.copy()
    longer[kernel] += 1000
    by_name = {str(trace.operators.value("name", row)): row for row in range(len(trace))}
    after = by_name["after"]
    base, later = run_plan(plan), run_plan(replace(plan, duration_ns=longer))
    assert int(base.operators["start_ns"][after]) == 72
    assert int(later.operators["start_ns"][after]) == 1072


def test_a_trace_without_times_is_refused() -> None:
    trace = build("rank 0 | thread 1 | a 0..1")
    null = np.full(1, trace.operators.table.column("start_ns").null)
    with pytest.raises(MissingData, match="no measured times"):
        replay(trace.with_times(null, null, "none"))


@pytest.mark.parametrize("seed", range(8))
def test_generated_programs_replay_near_to_their_truth(seed: int, tmp_path: Path) -> None:
    found = replay(read(mixed(seed, records=True).write(tmp_path / "trace.json")))
    assert found.error is not None
    assert abs(found.error) < 0.025


@pytest.mark.parametrize("seed", range(3))
def test_a_flooded_queue_and_turns_of_threads_replay(seed: int, tmp_path: Path) -> None:
    for number, made in enumerate((flooded(seed, 64), turns(seed))):
        found = replay(read(made.write(tmp_path / f"{number}.json")))
        assert found.error is not None
        assert abs(found.error) < 0.01


def test_hiccups_without_a_reason_are_no_part_of_a_replay(tmp_path: Path) -> None:
    found = replay(read(mixed(3, records=True, hiccups=0.3).write(tmp_path / "trace.json")))
    assert found.proof is not None
    assert not found.proof.replayable
    assert "not replayable" in found.proof.verdict
    assert any("not replayable" in warning for warning in found.trust.warnings)


# Recorded runs

MEASURED = {
    # mean and worst error of the windows, allowed
    "param/dlrm_kineto": (0.0005, 0.001),
    "hta/ns_resolution_trace": (0.001, 0.003),
    "hta/trace_diff/control": (0.008, 0.02),
    "hta/trace_diff/test": (0.01, 0.025),
    "hta/nccl_parser_config": (0.001, 0.001),
    "kineto_tb/resnet50_num_workers_0": (0.001, 0.001),
    "tracelens/inference/vllm_decode_full": (0.001, 0.001),
}


def test_windows_of_recorded_devices_replay(collection_dir: Path) -> None:
    errors = []
    for name, (mean, worst) in MEASURED.items():
        found = replay(read(collection_dir / name))
        proof = found.proof
        assert proof is not None
        assert proof.replayable, (name, proof.verdict)
        assert proof.mean_error <= mean, (name, proof.mean_error)
        assert abs(proof.worst_error) <= worst, (name, proof.worst_error)
        assert proof.crossed_error is not None
        assert proof.crossed_error <= mean + 0.002, (name, proof.crossed_error)
        errors += [abs(window.error) for window in found.windows]
    assert np.mean(errors) <= 0.003
    assert max(errors) <= 0.03


@pytest.mark.parametrize("name", ["hta/trace_filter", "hta/mtia_inference_trace"])
def test_what_records_too_little_is_not_called_replayable(name: str, collection_dir: Path) -> None:
    proof = replay(read(collection_dir / name)).proof
    assert proof is not None
    # Its windows replay well all the same: that is why the error alone says nothing.
    assert proof.mean_error < 0.01
    assert not proof.replayable


def test_ranks_wait_for_each_other_as_they_did(collection_dir: Path) -> None:
    trace = read(collection_dir / "param/dlrm_kineto")
    again = run_plan(measured_plan(trace))
    assert abs(_whole(again) - _whole(trace)) / _whole(trace) <= 0.001
    before, after = stragglers(trace).collectives, stragglers(again).collectives
    assert [c.last_rank for c in after] == [c.last_rank for c in before]
    for one, other in zip(before, after, strict=True):
        measured = {w.rank: w.ns for w in one.wait_ns}
        assert all(abs(w.ns - measured[w.rank]) <= 10_000 for w in other.wait_ns)


def _whole(trace: Trace) -> int:
    return int(trace.iterations["end_ns"].max() - trace.iterations["start_ns"].min())


def test_runs_over_gloo_replay_with_a_fitted_time_to_wake_up(collection_dir: Path) -> None:
    runs = ["gpt_ddp", "gpt_ddp_regressed", "gpt_ddp_5steps", "gpt_tp2_pp2", "dlrm_alltoall", "series/base_1",
            "series/slow_6", "whatif/late_rank_1", "whatif/extra_all_gather_1"]  # fmt: skip
    errors = []
    for run in runs:
        errors += [abs(window.error) for window in replay(read(collection_dir / "recorded" / run)).windows]
    assert np.mean(errors) <= 0.03
