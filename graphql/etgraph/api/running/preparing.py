"""What a server does before it listens, so that no request pays for it: modules that are imported where they are used,
and the machine code of kernels, which is made once for a machine and kept in numba's cache.
"""

from __future__ import annotations

import tempfile
import time

from etgraph.api.access import view_of
from etgraph.api.context import Context, Viewer
from etgraph.api.fetch.analyses import ask
from etgraph.api.fetch.rows import Owner, pages
from etgraph.api.http import logs
from etgraph.ingest import read, samples
from etgraph.model.errors import MissingData
from etgraph.model.kernels import compiling_from
from etgraph.queries.questions import QUESTIONS
from etgraph.store import connect

SAMPLE = "gpt_tp2_pp2"


def prepare() -> None:
    """Have every question, and a page of rows, answered on a bundled trace, kernels as machine code."""
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder, connect(f"{folder}/store") as store, compiling_from(0):
        store.publish(read(samples.path(SAMPLE)), workload=SAMPLE)
        server = Viewer("server", scopes=frozenset({"admin"}))
        context = Context(view_of(store, server), server, "prepare")
        found = store.find(SAMPLE)
        for question in QUESTIONS:
            try:
                ask(context, found, question, {})
            except MissingData:
                continue
        pages(context, [Owner(found)], "operators", first=10, after=None)
    logs.event("prepared", seconds=round(time.perf_counter() - began, 1))


__all__ = ["prepare"]
