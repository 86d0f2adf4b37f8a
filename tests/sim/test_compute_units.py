"""Computation units: who owns a kernel's work, which kind it is, what of a product is known."""

from __future__ import annotations

import json

import numpy as np
import pytest

from etgraph.model.families import FAMILIES
from etgraph.sim.compute.products import FP32, HALF, product_of
from etgraph.sim.compute.units import NONE, Units, units_of
from support.build import build
from support.devices import worked


def described(units: Units) -> list[tuple[str, str, float, int]]:
    """Name, family, measured time and number of kernels of each unit."""
    kinds = units.kinds
    return [
        (kinds.name[k], FAMILIES[kinds.family[k]], ns, int(kinds.kernels[k]))
        for k, ns in zip(units.kind.tolist(), units.measured_ns.tolist(), strict=True)
    ]


def test_the_kernels_of_an_operator_are_one_unit_and_helpers_with_work_another() -> None:
    units = units_of(
        worked("""
        aten::linear     4x8 float | 16x8 float | 16 float
          aten::addmm    16 float | 4x8 float | 8x16 float | 1 | 1
            aten::copy_  4x16 float | 4x16 float
              > elementwise_kernel 7
            > gemm 40
            > splitKreduce 10
    """)
    )
    assert described(units) == [("aten::copy_", "copy", 7, 1), ("aten::addmm", "matmul", 50, 2)]


def test_what_a_fused_attention_launches_belongs_to_it() -> None:
    heads_first, rows_first = (" | ".join([f"{dims} c10::BFloat16"] * 3) for dims in ("2x8x64x32", "2x64x8x32"))
    units = units_of(
        worked(f"""
        aten::scaled_dot_product_attention           {heads_first}
          aten::constant_pad_nd                      2x8x64x32 c10::BFloat16
            > fill 3
          aten::_scaled_dot_product_flash_attention  {heads_first} | 0.0 | false | false
            aten::_flash_attention_forward           {rows_first} | - | - | 64 | 64 | 0.0 | false | false
              > attn_fwd 30
            aten::fill_                              1 long int | 0
              > FillFunctor 2
    """)
    )
    assert described(units) == [("aten::_flash_attention_forward", "attention", 35, 3)]


def test_an_attention_by_products_has_the_units_of_its_products() -> None:
    units = units_of(
        worked("""
        aten::scaled_dot_product_attention          2x4x4 float | 2x4x4 float | 2x4x4 float
          aten::_scaled_dot_product_attention_math  2x4x4 float | 2x4x4 float | 2x4x4 float
            aten::bmm                               2x4x4 float | 2x4x4 float
              > gemm 5
            aten::bmm                               2x4x4 float | 2x4x4 float
              > gemm 6
    """)
    )
    assert described(units) == [("aten::bmm", "matmul", 5, 1), ("aten::bmm", "matmul", 6, 1)]
    assert units.kind.tolist() == [0, 0]


def test_kernels_that_prepare_the_work_of_others_are_helpers() -> None:
    units = units_of(
        worked("""
        aten::cudnn_convolution  8x64x56x56 float | 64x64x3x3 float | [1, 1] | [1, 1] | [1, 1] | 1
          > nchwToNhwcKernel 5
          > implicit_convolve_sgemm 50
          > Memset 2
        aten::add_               8x64x56x56 float | 1x64x1x1 float
          > elementwise_kernel 6
    """)
    )
    assert units.kinds.helpers[units.kind].tolist() == [2, 0]


def test_a_kernel_that_nobody_owns_is_a_unit_of_the_family_that_its_name_or_its_launch_tells() -> None:
    trace = build("""
        rank 0 | thread 1 | aten::cat          0..9
        rank 0 | thread 1 | cudaLaunchKernel   1..2    -> k1
        rank 0 | stream 7 | k1: mystery        5..25
        rank 0 | stream 7 | k2: sgemm         30..90
    """)
    units = units_of(trace)
    assert described(units) == [("mystery", "copy", 20, 1), ("sgemm", "matmul", 60, 1)]
    assert not units.kinds.known.any()


def test_communication_copies_to_the_host_and_host_time_are_no_units() -> None:
    trace = build("""
        rank 0 | thread 1 | aten::add          0..9
        rank 0 | stream 7 | all_reduce 4MB    10..20
        rank 0 | stream 7 | kernel            20..30
        rank 1 | thread 1 | aten::add          0..9
    """)
    assert (units_of(trace).of >= 0).tolist() == [False, False, True, False]


def test_a_rank_without_a_device_has_a_unit_for_each_operator_that_owns_work() -> None:
    units = units_of(
        worked("""
        500 aten::linear   4x8 float | 16x8 float | 16 float
          400 aten::addmm  16 float | 4x8 float | 8x16 float | 1 | 1
        100 aten::view     4x16 float
    """)
    )
    assert units.of.tolist() == [NONE, 0, NONE]
    assert np.isnan(units.measured_ns).all()  # what a host takes says nothing of a device


PRODUCTS = [
    ("aten::mm", "[[4,8],[8,16]]", 1024, (4, 16, 8, 1)),
    ("aten::addmm", "[[16],[4,8],[8,16]]", 1024, (4, 16, 8, 1)),
    ("aten::linear", "[[2,2,8],[16,8]]", 1024, (4, 16, 8, 1)),
    ("aten::bmm", "[[3,4,8],[3,8,16]]", 3072, (4, 16, 8, 3)),
    ("aten::mv", "[[4,8],[8]]", 64, (4, 1, 8, 1)),
]


@pytest.mark.parametrize(("name", "dims", "flops", "expected"), PRODUCTS)
def test_a_product_is_read_from_dims(name: str, dims: str, flops: int, expected: tuple[int, ...]) -> None:
    shapes = json.dumps({"dims": json.loads(dims), "types": ["c10::BFloat16"] * len(json.loads(dims))})
    found = product_of(name, "matmul", shapes, flops)
    assert (*found[:4], found.precision) == (*expected, HALF)
    assert product_of(name, "matmul", shapes, flops + 2).m is None


def test_rows_that_do_not_start_at_16_bytes_are_misaligned() -> None:
    def aligned(n: int, k: int, dtype: str = "c10::BFloat16") -> bool:
        text = f'{{"dims":[[8,{k}],[{k},{n}]],"types":["{dtype}","{dtype}"]}}'
        return product_of("aten::mm", "matmul", text, 2 * 8 * k * n).aligned

    assert [aligned(64, 64), aligned(30522, 64), aligned(12, 64), aligned(12, 64, "float")] == [
        True,
        False,
        False,
        True,
    ]


def test_a_convolution_is_a_product_of_positions_and_filters_unless_it_has_one_filter_a_channel() -> None:
    dims = '{{"dims":[[2,{},8,8],[32,{},3,3]],"types":["float","float"]}}'
    flops = 2 * 2 * 64 * 32 * 16 * 9
    found = product_of("aten::cudnn_convolution", "convolution", dims.format(16, 16), flops)
    assert (*found[:4], found.precision) == (128, 32, 144, 1, FP32)
    grouped = product_of("aten::convolution", "convolution", dims.format(32, 8), flops // 2)
    assert grouped[:4] == (128, 8, 72, 4)
    depthwise = product_of("aten::convolution", "convolution", dims.format(32, 1), flops // 16)
    assert depthwise.m is None
