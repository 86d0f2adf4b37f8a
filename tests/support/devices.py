"""Devices by their public figures, and small traces of operators with their work."""

from __future__ import annotations

from dataclasses import replace

from etgraph.ingest.work import estimate
from etgraph.model import Trace
from etgraph.sim.profiles import Device
from support.shaped import shaped

T = 1e12
H100 = Device(
    "H100 SXM", "NVIDIA", "gpu",
    matrix_flops={"bf16": 989.4 * T, "fp16": 989.4 * T, "tf32": 494.7 * T, "fp8": 1978.9 * T, "fp64": 66.9 * T},
    vector_flops={"fp32": 66.9 * T, "fp64": 33.5 * T},
    memory_bandwidth=3.35 * T, memory_bytes=80 * 10**9, units=132, launch_latency_ns=4_000, cache_bytes=50 * 2**20,
)  # fmt: skip
MI300X = Device(
    "MI300X", "AMD", "gpu",
    matrix_flops={
        "bf16": 1307.4 * T, "fp16": 1307.4 * T, "tf32": 653.7 * T, "fp8": 2614.9 * T,
        "fp32": 163.4 * T, "fp64": 163.4 * T,
    },
    vector_flops={"fp32": 163.4 * T, "fp64": 81.7 * T},
    memory_bandwidth=5.3 * T, memory_bytes=192 * 10**9, units=304, launch_latency_ns=6_000, cache_bytes=256 * 2**20,
)  # fmt: skip
V100 = Device(
    "V100", "NVIDIA", "gpu",
    matrix_flops={"fp16": 125 * T}, vector_flops={"fp32": 15.7 * T, "fp64": 7.8 * T},
    memory_bandwidth=0.9 * T, memory_bytes=32 * 10**9, units=80, launch_latency_ns=4_000, cache_bytes=6 * 2**20,
)  # fmt: skip
A100 = Device(
    "A100", "NVIDIA", "gpu",
    matrix_flops={"bf16": 312 * T, "fp16": 312 * T, "tf32": 156 * T, "fp64": 19.5 * T},
    vector_flops={"fp32": 19.5 * T, "fp64": 9.7 * T},
    memory_bandwidth=1.555 * T, memory_bytes=40 * 10**9, units=108, launch_latency_ns=4_000, cache_bytes=40 * 2**20,
)  # fmt: skip


def worked(text: str) -> Trace:
    """The trace that `support.shaped` describes, with flops and bytes."""
    return replace(estimate(shaped(text)).trace, trace_id="0" * 64)
