"""Findings on real runs: what is known to be there is named, what is not there is not; gains agree with the replay."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import pytest

from etgraph.model import Trace
from etgraph.queries import Finding, Findings, findings
from etgraph.queries.findings.findings import THRESHOLD, critical_ns
from support.collection import read_once
from support.findings import candidates, plain_gain

BASE, VARIANT = (0, 2, 4, 6, 8), (1, 3, 5, 7, 9)
VARIANTS = {
    "tiny_buckets": "small-messages",
    "extra_all_gather": "redundant-collective:ALL_GATHER/4194304",
    "late_rank": "late-rank:rank 1",
    "extra_barriers": "synchronisation:barrier",
}
"""Of each known change the finding that names it."""
RUNS = [f"{change}_{number}" for change in VARIANTS for number in (1, 2, 3, 4)]
ALL = (
    "recorded/gpt_ddp", "recorded/gpt_ddp_5steps", "recorded/gpt_ddp_regressed", "recorded/gpt_tp2_pp2",
    "recorded/dlrm_alltoall", "param/dlrm_kineto", "hta/trace_diff/control", "hta/trace_diff/test",
    "hta/ns_resolution_trace", "hta/nccl_parser_config", "hta/triton_example", "hta/critical_path/alexnet",
    "hta/critical_path/simple_add", "hta/critical_path/cuda_event_sync", "kineto_tb/resnet50_num_workers_0",
    "param/resnet_kineto.json.gz", "tracelens/inference/vllm_decode_full",
    "tracelens/h100/gaunernst_bert-small-uncased__1016001.json.gz",
    "tracelens/h100/Falconsai_nsfw_image_detection__1016002.json.gz",
    "tracelens/mi300/gaunernst_bert-small-uncased__1016001.json.gz",
    "tracelens/mi300/Falconsai_nsfw_image_detection__1016002.json.gz", "recorded/series/base_1",
    "recorded/series/slow_1", "recorded/whatif/tiny_buckets_2", "recorded/whatif/late_rank_2",
)  # fmt: skip


@lru_cache(maxsize=2)
def trace_of(path: Path) -> Trace:
    return read_once(path)


@lru_cache(maxsize=4)
def answer(path: Path) -> Findings:
    return findings(trace_of(path))


def by_id(found: Findings) -> dict[str, Finding]:
    return {one.id: one for one in found.findings}


@pytest.mark.parametrize("run", RUNS)
def test_a_known_change_is_named_in_its_steps_and_in_no_others(collection_dir: Path, run: str) -> None:
    trace = trace_of(collection_dir / "recorded" / "whatif" / run)
    known = VARIANTS[run[:-2]]
    there = by_id(findings(trace.select_iterations(VARIANT)))
    assert there[known].gain_share >= THRESHOLD
    assert there[known].iterations == VARIANT
    assert known not in by_id(findings(trace.select_iterations(BASE)))


@pytest.mark.parametrize("run", RUNS[8:12])
def test_a_late_rank_is_late_by_its_extra_layers(collection_dir: Path, run: str) -> None:
    trace = trace_of(collection_dir / "recorded" / "whatif" / run)
    late = findings(trace.select_iterations(VARIANT)).findings[0]
    assert (late.id, late.ranks) == ("late-rank:rank 1", (1,))
    assert "24 × aten::linear" in late.evidence
    assert late.operators[0] == "aten::linear"


def test_all_three_regressions_of_one_run_are_named(collection_dir: Path) -> None:
    found = by_id(answer(collection_dir / "recorded" / "gpt_ddp_regressed"))
    assert found.keys() >= {"small-messages", "redundant-collective:ALL_GATHER/1048576", "synchronisation:barrier"}
    assert "by recorded storages" in found["redundant-collective:ALL_GATHER/1048576"].evidence
    assert not by_id(answer(collection_dir / "recorded" / "gpt_ddp")).keys() & found.keys() - {"late-rank:rank 3"}


def test_the_rank_that_enters_late_is_named(collection_dir: Path) -> None:
    found = by_id(answer(collection_dir / "param" / "dlrm_kineto"))
    late = found["late-rank:rank 7"]
    assert (late.title, late.ranks) == ("rank 7 begins late", (7,))
    assert 0.35 < late.critical_ns / 20_823_000 < 0.37
    assert 7 in found["imbalance"].ranks


@pytest.mark.parametrize("name", ["control", "test"])
def test_copies_that_block_the_host_are_named(collection_dir: Path, name: str) -> None:
    found = by_id(answer(collection_dir / "hta" / "trace_diff" / name))
    copies = found["memory-copies:Memcpy DtoH (Device -> Pageable)"]
    assert "the host waits in 100% of them" in copies.evidence
    assert "non_blocking=True" in copies.advice


@pytest.mark.parametrize("path", ["hta/ns_resolution_trace", "tracelens/inference/vllm_decode_full"])
def test_where_the_device_is_the_limit_nothing_of_the_host_is_found(collection_dir: Path, path: str) -> None:
    found = answer(collection_dir / path)
    assert (found.bound, found.bound_share > 0.8) == ("device", True)
    assert {one.kind for one in found.findings} <= {"memory-copies", "matrix-units", "small-kernels"}
    assert not any("host" in one.title for one in found.findings)


@pytest.mark.parametrize("path", ["hta/trace_filter", "hta/mtia_inference_trace/mtia_inference_rank_0.json.gz"])
def test_a_trace_that_does_not_say_why_devices_wait_has_no_findings(collection_dir: Path, path: str) -> None:
    found = answer(collection_dir / path)
    assert found.findings == ()
    assert any(told.startswith("not replayable") for told in found.trust.warnings)


def test_what_is_unexplained_is_a_share_of_all_windows_whichever_step_is_asked(collection_dir: Path) -> None:
    path = collection_dir / "hta" / "trace_diff" / "test"
    whole, step = answer(path), findings(trace_of(path), iteration=trace_of(path).iteration_indices[-1])
    assert whole.trust.explained_share != 1.0
    assert step.trust.explained_share == whole.trust.explained_share


@pytest.mark.parametrize("path", ALL)
def test_no_finding_contradicts_the_critical_path_or_the_replay(collection_dir: Path, path: str) -> None:
    """Each gain is what the public replay gives for the edit, below the step, and about something on the path."""
    trace, found = trace_of(collection_dir / path), answer(collection_dir / path)
    named = by_id(found)
    seen, every = candidates(trace, *{one.kind for one in found.findings})
    best: dict[str, int] = {}
    for kind, one in every:
        key = f"{kind}:{one.about}" if one.about else kind
        on_path = critical_ns(seen, one.rows) if one.critical_ns is None else one.critical_ns
        if key in named and on_path > 0:
            best[key] = max(best.get(key, 0), plain_gain(trace, one, slow=False))
    assert {key: one.gain_ns for key, one in named.items()} == best
    for one in found.findings:
        assert 0 < found.least_gain_ns <= one.gain_ns <= found.step_ns
        assert one.critical_ns > 0
        assert all((one.ranks, one.operators, one.evidence, one.advice))
