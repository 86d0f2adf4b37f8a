"""The peak of an operator, and the tier that a group of ranks spans."""

from __future__ import annotations

import numpy as np
import pytest

from etgraph.sim.profiles import load
from etgraph.sim.profiles.peaks import dtype_of, peak_flops
from etgraph.sim.profiles.profile import Dtype
from etgraph.sim.profiles.spanning import spanning_tiers


@pytest.mark.parametrize(
    ("family", "dtype", "expected"),
    [
        ("matmul", "bf16", 989.4e12),
        ("attention", "fp16", 989.4e12),
        ("convolution", "fp32", 66.9e12),
        ("elementwise", "bf16", 133.8e12),
        ("elementwise", "fp8", 66.9e12),
        ("matmul", "fp4", 66.9e12),
        ("matmul", None, None),
    ],
)
def test_peaks_by_family_and_type(family: str, dtype: Dtype | None, expected: float | None) -> None:
    assert peak_flops(load("h100-sxm").device, family, dtype) == expected


def test_a_device_without_double_precision_has_no_peak_for_it() -> None:
    assert peak_flops(load("tpu-v5p").device, "elementwise", "fp64") is None


@pytest.mark.parametrize(
    ("types", "expected"),
    [
        (["float"], "fp32"),
        (["long int", "c10::Half"], "fp16"),
        (["c10::BFloat16", "float"], "bf16"),
        (["c10::Float8_e4m3fn", "c10::BFloat16"], "fp8"),
        (["double"], "fp64"),
        (["int", "", "Scalar"], None),
        ([], None),
    ],
)
def test_types_of_inputs(types: list[str], expected: str | None) -> None:
    assert dtype_of(types) == expected


def test_the_innermost_tier_that_joins_a_group() -> None:
    """Nodes of 8, units of 32 nodes, 4 units."""
    lowest, highest = np.array([0, 0, 7, 0, 255, 0, 1016, 0]), np.array([7, 8, 8, 255, 256, 1023, 1023, 1024])
    assert spanning_tiers(load("dgx-h100-1024"), lowest, highest).tolist() == [0, 1, 1, 1, 2, 2, 0, -1]
    assert spanning_tiers(load("h100-sxm"), lowest, highest).tolist() == [-1] * 8
