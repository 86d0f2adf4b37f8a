"""Linking of recorded pairs, with their ids and without."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from etgraph.ingest import samples
from etgraph.ingest.linking import link
from etgraph.model import Category, NodeType
from etgraph.model.errors import InputError
from support.linked import names
from support.pairs import read_draft, without_ids


@pytest.mark.parametrize("name", ["dlrm_alltoall", "gpt_ddp", "gpt_tp2_pp2"])
@pytest.mark.parametrize("rank", [0, 3])
def test_samples_link_alike_with_and_without_recorded_ids(name: str, rank: int) -> None:
    host, device = (read_draft(samples.path(name) / f"{kind}_rank{rank}.json.gz") for kind in ("et", "kineto"))
    by_id, blind = link(host, device), link(host, without_ids(device))
    records = by_id.trace.metadata.report.counts["recordsOfHostFile"]
    assert by_id.trace.metadata.report.linked_operators == records
    o, b = by_id.trace.operators, blind.trace.operators
    mine, theirs = ~o.is_null("link"), ~b.is_null("link")
    assert np.array_equal(mine, theirs)
    assert np.array_equal(o["node_id"][mine], b["node_id"][mine])
    assert (
        by_id.trace.metadata.report.pairs == blind.trace.metadata.report.pairs == {rank: "same process and iteration"}
    )
    blind.trace.validate()
    left = [n for n, linked in zip(names(by_id.trace), mine.tolist()) if not linked]
    assert all(n.startswith("[pytorch|profiler|") or n == "## process_group:init ##" for n in left)


def test_every_recorded_pair_links_whole(collection_dir: Path) -> None:
    files = sorted((collection_dir / "recorded").glob("*/et_rank*"))
    assert len(files) >= 16
    for file in files:
        host, device = read_draft(file), read_draft(file.with_name(file.name.replace("et_", "kineto_")))
        by_id, blind = link(host, device).trace, link(host, without_ids(device)).trace
        for trace in (by_id, blind):
            report = trace.metadata.report
            assert report.linked_operators == report.counts["recordsOfHostFile"], file
            assert "recordsOfHostFileOnly" not in report.counts
        mine, theirs = by_id.operators, blind.operators
        assert np.array_equal(mine["node_id"], theirs["node_id"]), file


def test_dlrm_links_whole_as_another_iteration(collection_dir: Path) -> None:
    found = records = launched = 0
    for rank in range(8):
        host = read_draft(collection_dir / "param" / "dlrm_pytorch_et" / f"dlrm_eg_{rank}.json.gz")
        (file,) = (collection_dir / "param" / "dlrm_kineto").glob(f"worker{rank}_*")
        device = read_draft(file)
        trace = link(host, device).trace
        trace.validate()
        report = trace.metadata.report
        found, records = found + report.linked_operators, records + report.counts["recordsOfHostFile"]
        assert trace.metadata.report.pairs == {rank: "other iteration"}
        assert report.launched_device_operators == device.trace.metadata.report.launched_device_operators
        launched += trace.dependency_counts["LAUNCH"]
        kernels = trace.operators["category"] == int(Category.KERNEL)
        collectives = kernels & (trace.operators["kind"] == int(NodeType.COMM_COLL))
        assert collectives.sum() == 8
        assert not trace.operators.is_null("comm_bytes")[collectives].any()
        assert not trace.operators.is_null("comm_type")[collectives].any()
    assert (found, records) == (13_376, 13_376)
    assert launched > 2000


@pytest.mark.parametrize("name", ["dlrm_alltoall", "gpt_ddp", "gpt_tp2_pp2"])
def test_files_of_two_ranks_are_refused_although_they_agree(name: str) -> None:
    host, device = (
        read_draft(samples.path(name) / "et_rank0.json.gz"),
        read_draft(samples.path(name) / "kineto_rank1.json.gz"),
    )
    with pytest.raises(InputError, match="ranks 0 and 1"):
        link(host, device)


def test_files_of_two_runs_are_refused(collection_dir: Path) -> None:
    host = read_draft(collection_dir / "param" / "resnet_1gpu_et.json.gz")
    device = read_draft(collection_dir / "param" / "resnet_kineto.json.gz")
    with pytest.raises(InputError, match=r"process 177708 and 23442, recorded 392 days apart"):
        link(host, device)
