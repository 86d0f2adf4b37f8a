"""Operators against the peaks of a device: shares of flops, bytes and roofline, and what bounds them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from etgraph.model import Trace
from etgraph.model.families import family_of
from etgraph.queries import operators
from etgraph.queries.grouping import NULL
from etgraph.sim.profiles import Profile, load, with_overrides
from etgraph.sim.profiles.peaks import dtype_of, peak_flops
from support.build import build
from support.collection import read_once

STEP = """
    rank 0 | thread 1 | aten::mm           0..100
    rank 0 | thread 1 | a: cudaLaunchKernel  10..20   -> gemm
    rank 0 | thread 1 | aten::add        100..200
    rank 0 | thread 1 | b: cudaLaunchKernel 110..120   -> plus
    rank 0 | stream 7 | gemm             200..300
    rank 0 | stream 7 | plus             300..400
"""


def device(**peaks: float) -> Profile:
    """A device with 10 B/ns, 100 flop/ns of bf16 matrices and 20 flop/ns of all else."""
    values = {"device.memory_bandwidth": 1e10, "device.matrix_flops.bf16": 1e11, "device.vector_flops.bf16": 2e10}
    return with_overrides(load("h100-sxm"), {**values, "device.vector_flops.fp32": 2e10, **peaks})


def working(flops: dict[str, int], bytes: dict[str, int], shapes: dict[str, str]) -> Trace:
    """The step with work and shapes of the operators of some names."""
    trace = build(STEP)
    o = trace.operators
    names = [o.value("name", row) for row in range(len(o))]
    texts = list(dict.fromkeys(shapes.values()))
    columns = {
        "flops": [flops.get(name, NULL) for name in names],
        "bytes": [bytes.get(name, NULL) for name in names],
        "shapes": [texts.index(shapes[name]) if name in shapes else -1 for name in names],
    }
    return replace(trace, operators=o.replace(columns, {"shapes": texts}))


def shares(trace: Trace, profile: Profile | None) -> dict[str, tuple[Any, ...]]:
    rows = operators(trace, lane="host", profile=profile).rows.to_pylist()
    columns = ("flops_share", "bytes_share", "bound", "roofline_share")
    return {row["key"]: tuple(row[name] for name in columns) for row in rows}


BF16, FP32 = '{"dims":[[2,3]],"types":["c10::BFloat16"]}', '{"dims":[[2,3]],"types":["float"]}'
ALL = {"aten::mm": BF16, "aten::add": BF16}


def test_products_run_on_matrix_units_and_all_else_on_ordinary_ones() -> None:
    trace = working({"aten::mm": 5_000, "aten::add": 200}, {"aten::mm": 100, "aten::add": 400}, ALL)
    found = shares(trace, device())
    assert found["aten::mm"] == pytest.approx((0.5, 0.1, "compute", 0.5))
    assert found["aten::add"] == pytest.approx((0.1, 0.4, "memory", 0.4))
    assert found["cudaLaunchKernel"] == (None, None, None, None)


def test_types_have_peaks_of_their_own() -> None:
    trace = working({"aten::mm": 1_000}, {"aten::mm": 0}, {"aten::mm": FP32})
    assert shares(trace, device())["aten::mm"] == pytest.approx((0.5, None, "compute", 0.5))


@pytest.mark.parametrize("shapes", [None, "not JSON", '{"dims":[]}', '{"dims":[[1]],"types":["long int"]}', "[1]"])
def test_without_a_known_type_there_is_no_roofline(shapes: str | None) -> None:
    trace = working({"aten::mm": 1_000}, {"aten::mm": 100}, {"aten::mm": shapes} if shapes else {})
    assert shares(trace, device())["aten::mm"] == (None, pytest.approx(0.1), None, None)


def test_work_without_flops_needs_no_type() -> None:
    trace = working({"aten::add": 0}, {"aten::add": 100}, {})
    assert shares(trace, device())["aten::add"] == (None, pytest.approx(0.1), "memory", pytest.approx(0.1))


def test_faster_than_the_peak_is_told() -> None:
    trace = working({"aten::mm": 50_000}, {"aten::mm": 100}, ALL)
    answer = operators(trace, profile=device())
    assert any("2 shares are above the peaks of h100-sxm" in told for told in answer.trust.warnings)
    assert answer.profile == "h100-sxm"
    assert not operators(trace).trust.warnings


def test_without_a_profile_the_columns_are_null() -> None:
    trace = working({"aten::mm": 5_000}, {"aten::mm": 100}, ALL)
    assert set(shares(trace, None).values()) == {(None, None, None, None)}
    assert operators(trace).profile is None
    assert operators(trace).rows.schema == operators(trace, profile=device()).rows.schema


def test_shares_of_a_real_trace_follow_from_its_rates(collection_dir: Path) -> None:
    """Rows of one shape have one peak, so that each share is a rate over it."""
    (file,) = sorted((collection_dir / "tracelens/h100").glob("Falconsai*"))
    profile, seen = load("h100-sxm"), 0
    for row in operators(read_once(file), by="shape", lane="host", profile=profile).rows.to_pylist():
        name, brace, shapes = row["key"].partition(" {")
        if row["bytes_per_s"] is not None:
            assert row["bytes_share"] == pytest.approx(row["bytes_per_s"] / 3.35e12)
        if row["flops_per_s"] and brace:
            dtype = dtype_of(json.loads("{" + shapes)["types"])
            peak = peak_flops(profile.device, family_of(name), dtype)
            if peak is None:
                continue
            assert row["flops_share"] == pytest.approx(row["flops_per_s"] / peak)
            shares = [share for share in (row["flops_share"], row["bytes_share"]) if share is not None]
            assert row["roofline_share"] <= 1.001 * max(shares)
            seen += 1
    assert seen >= 10
