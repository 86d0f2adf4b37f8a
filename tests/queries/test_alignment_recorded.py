"""Alignment of real traces: edited by known edits, recorded on other hardware, with other steps, changed on purpose."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from etgraph.model import Trace
from etgraph.model.columns import Array
from etgraph.queries.alignment import Alignment, align
from etgraph.queries.alignment.program import programs
from support.collection import read_once
from support.edited import Edits, edited

EDITED = (
    "recorded/gpt_ddp",
    "param/dlrm_kineto",
    "tracelens/h100/Falconsai_nsfw_image_detection__1016002.json.gz",
    "hta/trace_diff/control",
)
KINDS = tuple(f.name for f in fields(Edits))
TEN = 10
"""Operators in a thousand that an edit hits."""


@pytest.fixture(scope="module", params=EDITED)
def trace(request: pytest.FixtureRequest, collection_dir: Path) -> Trace:
    return read_once(collection_dir / request.param)


def correct(base: Trace, other: Trace, truth: Array, alignment: Alignment, *, strictly: bool) -> float:
    """The part of the operators that were kept which stand where they did before.

    Where several are equal, with all inside them and all around them, and in one rank's step, nobody can tell which of
    them an edit removed: any of them is right, unless `strictly`.
    """
    kept = np.flatnonzero((truth >= 0) & (alignment.other >= 0))
    position = alignment.other[kept]
    right = position == alignment.base[truth[kept]]
    if strictly:
        return float(right.mean())
    nodes, _ = programs((base, base), (None, None), (None, None))
    row = nodes.row[: len(base)]
    alike = np.zeros((len(base), 2), dtype=np.int64)
    alike[row, 0], alike[row, 1] = nodes.path[: len(row)], nodes.tree[: len(row)]
    o = base.operators
    keys = {}
    for one in np.flatnonzero(alignment.base >= 0).tolist():
        keys[int(alignment.base[one]), int(o["rank"][one]), int(o["iteration"][one])] = one
    for at in np.flatnonzero(~right).tolist():
        before = int(truth[kept[at]])
        found = keys.get((int(position[at]), int(o["rank"][before]), int(o["iteration"][before])))
        right[at] = found is not None and (alike[found] == alike[before]).all()
    return float(right.mean())


@pytest.mark.parametrize("kind", KINDS)
def test_what_an_edit_leaves_is_aligned_with_what_it_was(trace: Trace, kind: str) -> None:
    other, truth = edited(trace, Edits(**{kind: TEN}), seed=1)
    alignment = align(trace, other)
    assert correct(trace, other, truth, alignment, strictly=False) >= 0.9985
    assert not alignment.warnings
    if kind in ("inserted", "wrapped"):
        new = np.flatnonzero((truth < 0) & (alignment.other >= 0))
        assert alignment.common[alignment.other[new]].mean() <= 0.02  # a copy of a neighbour can be taken for it


@pytest.mark.parametrize("seed", [1, 2])
def test_edits_of_all_kinds_leave_the_rest_aligned(trace: Trace, seed: int) -> None:
    few, truth = edited(trace, Edits(*(1.0 for _ in KINDS)), seed)
    assert correct(trace, few, truth, align(trace, few), strictly=False) >= 0.999
    many, truth = edited(trace, Edits(*(float(TEN) for _ in KINDS)), seed)
    assert correct(trace, many, truth, align(trace, many), strictly=False) >= 0.994


def test_edits_whose_place_can_be_told_are_found_at_that_place(trace: Trace) -> None:
    other, truth = edited(trace, Edits(inserted=TEN), seed=3)
    assert correct(trace, other, truth, align(trace, other), strictly=True) >= 0.999
    for kind in ("renamed", "wrapped"):
        other, truth = edited(trace, Edits(**{kind: TEN}), seed=3)
        assert correct(trace, other, truth, align(trace, other), strictly=True) >= 0.998


def test_an_edited_trace_is_aligned_alike_from_both_ends(trace: Trace) -> None:
    other, _ = edited(trace, Edits(*(float(TEN) for _ in KINDS)), seed=4)
    there, back = align(trace, other), align(other, trace)
    assert np.array_equal(there.base, back.other)
    assert np.array_equal(there.other, back.base)
    assert there.ranks == tuple(sorted((a, b) for b, a in back.ranks))


def test_a_trace_is_aligned_with_itself(trace: Trace) -> None:
    alignment = align(trace, trace)
    assert np.array_equal(alignment.base, alignment.other)
    assert alignment.common.all()
    assert alignment.aligned_share == 1.0


@pytest.mark.parametrize(
    "model", ["gaunernst_bert-small-uncased__1016001.json.gz", "Falconsai_nsfw_image_detection__1016002.json.gz"]
)
def test_one_model_on_two_vendors_devices(collection_dir: Path, model: str) -> None:
    base, other = (read_once(collection_dir / "tracelens" / vendor / model) for vendor in ("h100", "mi300"))
    alignment = align(base, other)
    for time in (alignment.base_time, alignment.other_time):
        assert time.host_share >= 0.95
        assert time.device_share >= 0.99


def test_a_slow_rank_has_its_layers_more(traces_dir: Path) -> None:
    trace = read_once(traces_dir / "recorded/whatif/late_rank_1")
    alignment = align(trace, trace, base_iterations=[0, 2, 4, 6, 8], other_iterations=[1, 3, 5, 7, 9])
    o = trace.operators
    assert alignment.ranks == ((0, 0), (1, 1))
    assert not len(alignment.removed)
    assert set(o["rank"][alignment.added].tolist()) == {1}
    names = [str(o.value("name", row)) for row in alignment.added.tolist()]
    assert names.count("aten::linear") == 24 * 5
    linear = [row for row, name in zip(alignment.added.tolist(), names, strict=True) if name == "aten::linear"]
    above = {int(o["parent"][row]) for row in linear}
    assert above == {-1}


def test_a_needless_all_to_all_is_all_that_was_added(traces_dir: Path) -> None:
    base, other = (read_once(traces_dir / "recorded/series" / run) for run in ("base_1", "slow_2"))
    alignment = align(base, other)
    assert not len(alignment.removed)
    added = {str(other.operators.value("name", row)) for row in alignment.added.tolist()}
    assert {"c10d::alltoall_base_", "gloo:all_to_all"} <= added
    assert len(alignment.added) == 6 * 4


def test_ranks_of_a_smaller_run_are_shared(traces_dir: Path) -> None:
    base, other = read_once(traces_dir / "recorded/gpt_ddp"), read_once(traces_dir / "recorded/gpt_ddp_5steps")
    alignment = align(base, other)
    assert alignment.common.all()
    assert alignment.ranks == ((0, 0), (1, 1), (2, 0), (3, 1))


def test_stages_have_no_counterpart_in_a_data_parallel_run(traces_dir: Path) -> None:
    base, other = read_once(traces_dir / "recorded/gpt_tp2_pp2"), read_once(traces_dir / "recorded/gpt_ddp")
    assert align(base, other).alone == ((0, 1, 2, 3), (0, 1, 2, 3))
    assert align(base, base).ranks == ((0, 0), (1, 1), (2, 2), (3, 3))


def test_chakra_nodes_without_any_times(collection_dir: Path) -> None:
    trace = read_once(collection_dir / "chakra/chakra.0.et")
    o = trace.operators
    null = np.full(len(o), o.table.column("start_ns").null)
    bare = replace(trace, operators=o.replace({"start_ns": null, "duration_ns": null}))
    other, truth = edited(bare, Edits(inserted=TEN, removed=TEN), seed=1)
    alignment = align(bare, other)
    assert correct(bare, other, truth, alignment, strictly=True) >= 0.98
    assert alignment.base_time.host_ns == 0
