"""The bundled samples, each read once a test run."""

from __future__ import annotations

from functools import cache

from etgraph.ingest import read, samples
from etgraph.model import Trace

NAMES = ("dlrm_alltoall", "gpt_ddp_5steps", "gpt_ddp_regressed", "gpt_tp2_pp2")
"""Samples that differ in what they do."""


@cache
def sample(name: str) -> Trace:
    """The sample of that name."""
    return read(samples.path(name))
