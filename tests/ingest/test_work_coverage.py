"""How much computation time is covered: the rule by hand, and on every recorded trace that has dims."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from etgraph.ingest import read, trace_files
from etgraph.ingest.draft import NULL, Draft
from etgraph.ingest.work import Coverage, coverage, estimate
from etgraph.ingest.work.families import known
from etgraph.model import Category, Trace
from support.shaped import shaped


def covered(text: str) -> Coverage:
    return coverage(estimate(shaped(text)).trace)


def test_a_kernel_is_covered_by_any_operator_around_its_launch_that_has_work() -> None:
    found = covered("""
        aten::linear     4x8 float | 16x8 float
          my::launch     4x8 float
            aten::mm     4x8 float | 8x16 float
              cudaLaunchKernel
                > gemm   40
        aten::mm         4x8 float | 8x16 float
          my::helper     4x8 float
            > convert    5
        my::operator     4x8 float
          > mine         7
    """)
    assert (found.covered_ns, found.base_ns, found.total_ns) == (45, 52, 52)
    assert found.uncovered == (("my::operator", 7),)
    assert found.on_device
    assert found.share == pytest.approx(45 / 52)


def test_wrappers_and_views_cover_no_kernel() -> None:
    """False friend: their work is known, but it is none."""
    found = covered("""
        aten::_to_copy  4 long | 6
          aten::copy_   4 float | 4 long | false
          > strange     9
        aten::cat       - | 0
          > joined      3
    """)
    assert (found.covered_ns, found.base_ns) == (0, 12)
    assert found.uncovered == (("aten::_to_copy", 9), ("aten::cat", 3))


def test_the_base_is_what_lies_under_recorded_dims() -> None:
    text = """
        aten::mm 4x8 float | 8x16 float
          > gemm 40
        > lost 5
        my::operator 4 float
          > mine 5
    """
    draft = estimate(shaped(text.replace("        > lost 5\n", "")))
    o = draft.trace.operators
    bare = draft.with_operators({"shapes": np.where(o["name"] == o.code("name", "my::operator"), -1, o["shapes"])})
    found = coverage(bare.trace)
    assert (found.covered_ns, found.base_ns, found.total_ns) == (40, 40, 45)


def test_communication_and_copies_of_the_device_are_no_computation() -> None:
    draft = estimate(shaped("""
        aten::mm 4x8 float | 8x16 float
          > gemm 40
          > ncclDevKernel_AllReduce 30
          > Memcpy 20
    """))  # fmt: skip
    o = draft.trace.operators
    category = np.where(o["name"] == o.code("name", "Memcpy"), int(Category.MEMCPY), o["category"])
    kind = np.where(o["name"] == o.code("name", "ncclDevKernel_AllReduce"), 7, o["kind"])
    found = coverage(draft.with_operators({"category": category, "kind": kind}).trace)
    assert (found.covered_ns, found.total_ns) == (40, 40)


def test_without_a_device_the_self_time_of_host_operators_counts() -> None:
    found = covered("""
        100 aten::linear   4x8 float | 16x8 float
          80 aten::addmm   16 float | 4x8 float | 8x16 float
            10 my::helper  4x8 float
        50 my::operator    4x8 float
          20 aten::view    4x8 float
    """)
    assert (found.covered_ns, found.base_ns, found.total_ns) == (120, 150, 150)
    assert found.uncovered == (("my::operator", 30),)
    assert not found.on_device


def test_waiting_for_communication_on_the_host_is_no_computation() -> None:
    """An operator that calls a collective waits for it in its own time, too."""
    found = covered("""
        100 AllReduce           4 float
          60 c10d::allreduce_   4 float
            10 aten::mul_       4 float | 2
        30 aten::mul_           4 float | 2
    """)
    assert (found.covered_ns, found.total_ns) == (40, 40)


def test_nothing_recorded_gives_no_share() -> None:
    assert coverage(Trace.concat([shaped("my::operator").trace])).share is None


# Recorded traces

NOT_LAUNCHED = {"hta/mtia_inference_trace/mtia_inference_rank_0.json.gz", "chakra/chakra.0.et"}
"""Files with dims and device operators, but no record of what launched them: there is no base."""

LEFT_OUT = re.compile(r"series/|whatif/(?!extra_all_gather_1/kineto_rank0)|worker[2-7]_|_et\.json|/et_|dlrm_eg"
                      r"|resnet_kineto|ns_resolution|nccl_data")  # fmt: skip
"""Repetitions of other files, and large files without times or dims; `python -m benchmarks work` reads them all."""


def shaped_and_timed(trace: Trace) -> bool:
    o = trace.operators
    host = (o["category"] == int(Category.CPU_OP)) & (o["shapes"] >= 0)
    return bool((host & ~o.is_null("duration_ns")).any())


def test_nine_tenths_of_the_computation_under_recorded_dims_are_covered(traces_dir: Path) -> None:
    manifest = traces_dir / "manifest.json"
    named = [traces_dir / e["file"] for e in json.loads(manifest.read_text())] if manifest.exists() else []
    checked, without = 0, set()
    for file in named or trace_files(traces_dir):
        if LEFT_OUT.search(str(file)):
            continue
        trace = read(file)
        if not shaped_and_timed(trace):
            continue
        found = coverage(trace)
        if found.share is None:
            without.add(str(file.relative_to(traces_dir)))
            continue
        assert found.share >= 0.9, (file, found)
        assert 0 < found.covered_ns <= found.base_ns <= found.total_ns
        checked += 1
    assert without <= NOT_LAUNCHED
    assert checked >= (28 if named else 1)


def test_the_base_of_recorded_traces(collection_dir: Path) -> None:
    """Shares of device computation under recorded dims: whole vision and text models, parts of others."""
    bases = {}
    for name in ("hta/trace_diff/test/test.json.gz", "tracelens/h100/gaunernst_bert-small-uncased__1016001.json.gz",
                 "tracelens/inference/vllm_decode_full/graph_execution.json.gz"):  # fmt: skip
        found = coverage(read(collection_dir / name))
        bases[name.split("/")[1]] = round(found.base_ns / found.total_ns, 3)
    assert bases == {"trace_diff": 0.434, "h100": 1.0, "inference": 0.027}


def test_a_recorded_residual_network_has_the_operations_of_its_layers(collection_dir: Path) -> None:
    """ResNet-50 on images of 224 × 224: 4.09 G multiplications and additions an image forward (He et al. 2015: 3.8 G
    without the first layers' strides of today's version), twice that backward but for the first layer's input."""
    trace = read(collection_dir / "kineto_tb/resnet50_num_workers_0/worker0.1623143089861.pt.trace.json.gz")
    o = trace.operators
    steps, batch = 6, 32
    by_name = {}
    for name in ("aten::cudnn_convolution", "aten::cudnn_convolution_backward_weight", "aten::addmm", "aten::mm",
                 "aten::cudnn_convolution_backward_input"):  # fmt: skip
        rows = (o["name"] == o.code("name", name)) & (o["flops"] != NULL)
        by_name[name] = int(o["flops"][rows].sum())
    forward = by_name["aten::cudnn_convolution"]
    assert forward / steps / batch / 2 == pytest.approx(4.087e9, rel=1e-3)
    assert by_name["aten::cudnn_convolution_backward_weight"] == forward
    first = 2 * batch * 112 * 112 * 64 * 3 * 49 * steps
    assert by_name["aten::cudnn_convolution_backward_input"] == forward - first
    assert by_name["aten::addmm"] == steps * 2 * batch * 2048 * 1000


def test_host_and_device_traces_of_one_run_agree(collection_dir: Path) -> None:
    """PyTorch's execution trace and Kineto record the same operators: equal flops by name."""
    folder = collection_dir / "recorded" / "dlrm_alltoall"
    totals = []
    for file in ("et_rank0.json.gz", "kineto_rank0.json.gz"):
        o = read(folder / file).operators
        names = o.texts("name").to_pylist()
        codes = [c for c, n in enumerate(names) if n.startswith("aten::") and known(n)]
        rows = [(o["name"] == c) & (o["flops"] > 0) for c in codes]
        totals.append({names[c]: int(o["flops"][r].sum()) for c, r in zip(codes, rows, strict=True) if r.any()})
    assert totals[0] == totals[1]
    assert totals[0]["aten::mm"] > 10**6


def test_an_estimate_again_changes_nothing(traces_dir: Path) -> None:
    file = min(trace_files(traces_dir), key=lambda p: p.stat().st_size)
    once = estimate(Draft(read(file)))
    again = estimate(replace(once))
    assert again.trace.operators.equals(once.trace.operators)
