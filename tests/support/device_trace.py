"""A small trace with a device and with memory events, which no bundled sample has."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

from etgraph.model import Trace
from support.build import build
from support.memory_events import with_memory

DEVICES = """
    rank 0 | thread 1 | iteration ProfilerStep#1   0..200
    rank 0 | thread 1 | aten::mm                   0..20
    rank 0 | thread 1 | cudaLaunchKernel           5..10   -> gemm
    rank 0 | stream 7 | gemm                      15..60   -EVENT-> k2
    rank 0 | stream 9 | k2: add                   61..70
    rank 0 | stream 7 | all_reduce 4MB            70..90
"""
MEMORY = """
    rank 0 | thread 1 | cuda:0   15  @a  +100  =600
    rank 0 | thread 1 | cuda:0   40  @b  +50   =650
    rank 0 | thread 1 | cuda:0   60  @a  -100  =550
"""


@cache
def on_a_device() -> Trace:
    """The trace, whose id is `d` throughout."""
    return replace(with_memory(build(DEVICES), MEMORY), trace_id="d" * 64)


__all__ = ["on_a_device"]
