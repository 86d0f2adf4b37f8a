"""The path is right, not only as long as the window: a category's share is how much the end moves with its time."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, reject, settings

from etgraph.ingest.inference import unexplained_device_wait
from etgraph.model import DependencyKind, Trace
from etgraph.model.errors import MissingData
from etgraph.queries import critical_path
from etgraph.queries.windows import Window, windows_of
from support.collection import kineto_files, read_once
from support.random_traces import distributed_traces
from support.replay import Replay, SameMoment

POINTS = 0.02
"""As far apart as the two may be: a small stretch can let another cause come last."""


def differences(trace: Trace, iteration: int | None, window: Window, replay: Replay | None = None) -> dict[str, float]:
    """By category: share of the path over all ranks, less what the replay says."""
    shares: dict[str, float] = defaultdict(float)
    for row in critical_path(trace, iteration=iteration, window=window).by_category:
        shares[row.category] += row.share
    replay = replay or Replay(trace, follow=True)
    return {c: shares[c] - v for c, v in replay.shares(windows_of(trace, None, iteration, window)).items()}


@settings(max_examples=100)
@given(distributed_traces())
def test_on_generated_traces(trace: Trace) -> None:
    """Causes that come at the same moment are frequent here: the end moves with the time of any of their paths."""
    assume(critical_path(trace).window_ns)
    try:
        apart = differences(trace, None, "annotation")
    except SameMoment:
        reject()
    assert max(apart.values()) < POINTS


def test_on_every_trace_of_the_collection(traces_dir: Path) -> None:
    """Over all ranks of a run, and on each trace of one rank; where enough was recorded, little is unexplained."""
    checked = 0
    for source in [*sorted(p for p in (traces_dir / "recorded").glob("gpt*") if p.is_dir()), *kineto_files(traces_dir)]:
        trace = read_once(source)
        replay = Replay(trace, follow=True)
        for iteration in [None, *trace.iteration_indices][-2:]:
            for window in ("annotation", "device"):
                try:
                    apart = differences(trace, iteration, window, replay)  # type: ignore[arg-type]
                except MissingData:
                    continue
                assert max(map(abs, apart.values())) < POINTS, (source, iteration, window, apart)
                checked += 1
        alone = len(trace.ranks) == 1 and not trace.metadata.report.device_operators  # a rank of a run on processors
        if unexplained_device_wait(trace).enough_recorded and not alone:
            assert (critical_path(trace).trust.explained_share or 0) >= 0.98, source
    assert checked >= 10


def test_the_replay_sees_a_wrong_path(traces_dir: Path) -> None:
    """Without the dependencies between streams and threads the walk takes another way, and the two differ."""
    name = "gpt_tp2_pp2"
    folder = next(p for p in (traces_dir / "recorded" / name, traces_dir / name) if p.is_dir())
    trace = read_once(folder)
    kinds = trace.dependencies["kind"]
    kept = ~np.isin(kinds, (int(DependencyKind.JOIN), int(DependencyKind.SYNC)))
    blind = replace(trace, dependencies=trace.dependencies.take(np.flatnonzero(kept)))
    wrong: dict[str, float] = defaultdict(float)
    for row in critical_path(blind, iteration=0).by_category:
        wrong[row.category] += row.share
    right = Replay(trace, follow=True).shares(windows_of(trace, None, 0, "annotation"))
    assert max(abs(wrong[c] - v) for c, v in right.items()) > POINTS
    with pytest.raises(MissingData):
        differences(trace, 99, "annotation")
