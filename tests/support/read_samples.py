"""The bundled samples, each read once a test run."""

from __future__ import annotations

import shutil
import tempfile
from functools import cache

from etgraph.ingest import read, samples
from etgraph.model import Trace

NAMES = ("dlrm_alltoall", "gpt_ddp_5steps", "gpt_ddp_regressed", "gpt_tp2_pp2")
"""Samples that differ in what they do."""


@cache
def sample(name: str, ranks: tuple[int, ...] | None = None) -> Trace:
    """The sample of that name, or what one has of it who has only the Kineto files of those ranks."""
    if ranks is None:
        return read(samples.path(name))
    with tempfile.TemporaryDirectory() as folder:
        for rank in ranks:
            shutil.copy(samples.path(name) / f"kineto_rank{rank}.json.gz", folder)
        return read(folder)


__all__ = ["NAMES", "sample"]
