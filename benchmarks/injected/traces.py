"""The recorded runs that regressions are put into, each cut down to a few of its steps."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType
from typing import Final

from benchmarks.collection import folder
from etgraph.ingest import read
from etgraph.model import Trace

STEPS: Final = 2
OPERATORS: Final = 5_000
"""Of a trace of more steps up to `STEPS` are taken, without the first, while they have no more operators than that."""
TUNING: Final = MappingProxyType(
    {
        "gpt_ddp": "recorded/gpt_ddp",
        "gpt_ddp_5steps": "recorded/gpt_ddp_5steps",
        "series": "recorded/series/base_1",
        "dlrm_alltoall": "recorded/dlrm_alltoall",
        "dlrm_kineto": "param/dlrm_kineto",
        "trace_diff/control": "hta/trace_diff/control",
        "ns_resolution": "hta/ns_resolution_trace",
    }
)
"""Traces that were looked at while rules and blame were made."""
HELD_OUT: Final = MappingProxyType(
    {
        "gpt_tp2_pp2": "recorded/gpt_tp2_pp2",
        "whatif": "recorded/whatif/extra_barriers_1",
        "whatif/late_rank": "recorded/whatif/late_rank_1",
        "trace_diff/test": "hta/trace_diff/test",
        "trace_filter": "hta/trace_filter",
        "nccl_parser_config": "hta/nccl_parser_config",
        "resnet50": "kineto_tb/resnet50_num_workers_0",
    }
)
"""Traces that were not."""


def available(names: MappingProxyType[str, str]) -> dict[str, Path]:
    """Those of the traces that the collection holds."""
    return {name: folder() / path for name, path in names.items() if (folder() / path).exists()}


def opened(path: Path) -> Trace:
    """A trace, or some steps of it; of runs whose even steps are the base, these."""
    trace = read(path)
    indices = trace.iteration_indices
    if len(indices) <= 1:
        return trace
    steps = max(1, min(STEPS, OPERATORS * len(indices) // len(trace)))
    return trace.select_iterations([index for index in indices[1:] if index % 2 == 0][:steps] or indices[-steps:])


__all__ = ["HELD_OUT", "STEPS", "TUNING", "available", "opened"]
