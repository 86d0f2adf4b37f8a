"""Replay of every recorded run with times: errors of its windows, and what these are worth."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from benchmarks.collection import folder
from etgraph.ingest import read
from etgraph.model.errors import EtgraphError
from etgraph.sim.replay import replay
from etgraph.sim.simulation import Simulation

DEVICES = (
    "param/dlrm_kineto", "hta/ns_resolution_trace", "hta/trace_diff/control", "hta/trace_diff/test",
    "hta/nccl_parser_config", "hta/triton_example", "hta/trace_filter", "hta/mtia_inference_trace",
    "hta/critical_path/alexnet", "hta/critical_path/simple_add", "hta/critical_path/cuda_event_sync",
    "hta/critical_path/cuda_event_sync_multi_stream", "kineto_tb/resnet50_num_workers_0",
    "param/resnet_kineto.json.gz", "tracelens/inference/vllm_decode_full",
)  # fmt: skip


def main() -> None:
    """Print one row a run in Markdown, runs on devices first; then the means over all windows."""
    if not (folder() / "tracelens").is_dir():
        print("needs the collection of traces: ETGRAPH_TRACES")
        return
    models = [
        str(f.relative_to(folder())) for d in ("h100", "mi300") for f in sorted((folder() / "tracelens" / d).iterdir())
    ]
    hosts = [f"recorded/{run.name}" for run in sorted((folder() / "recorded").iterdir()) if list(run.glob("*.gz"))]
    for group in ("whatif", "series"):
        hosts += [
            f"recorded/{group}/{run.name}" for run in sorted((folder() / "recorded" / group).iterdir()) if run.is_dir()
        ]
    _table("devices", (*DEVICES, *models))
    _table("hosts, over gloo", hosts)


def _table(title: str, names: tuple[str, ...] | list[str]) -> None:
    print(f"\n{title}\n")
    print("| run | windows | mean error | worst | constants of the other half | path off the host | unexplained "
          "| device starts, median error | replayable | s |")  # fmt: skip
    print("|---|---:|---:|---:|---:|---:|---:|---:|---|---:|")
    errors: list[float] = []
    for name in names:
        begin = time.perf_counter()
        try:
            found = replay(read(folder() / name))
        except EtgraphError as error:
            print(f"| {name} | {error.message} | | | | | | | | |")
            continue
        proof = found.proof
        assert proof is not None
        print(_row(Path(name).name if len(name) > 40 else name, found, time.perf_counter() - begin), flush=True)
        if proof.replayable:
            errors += [abs(window.error) for window in found.windows]
    print(f"\n{len(errors)} windows of replayable runs: mean {np.mean(errors):.3%}, worst {max(errors):.3%}")


def _row(name: str, found: Simulation, took: float) -> str:
    proof = found.proof
    assert proof is not None
    start = "–" if proof.device_start_median_ns is None else f"{proof.device_start_median_ns / 1e3:,.1f} µs"
    crossed = "–" if proof.crossed_error is None else f"{proof.crossed_error:.3%}"
    return (
        f"| {name} | {len(found.windows)} | {proof.mean_error:.3%} | {proof.worst_error:+.3%} | {crossed} "
        f"| {proof.off_host_share:.1%} | {proof.unexplained_share:.2%} | {start} "
        f"| {'yes' if proof.replayable else 'no'} | {took:.1f} |"
    )
