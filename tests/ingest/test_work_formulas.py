"""Formulas of work: the numbers of PyTorch's own counter, and bytes counted one by one."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etgraph.ingest.work import estimate
from etgraph.ingest.work.arguments import recorded_arguments
from etgraph.ingest.work.call import LARGEST, Call
from etgraph.ingest.work.elementwise import RULES
from etgraph.ingest.work.families import FAMILIES, known
from etgraph.model import AttributeWriter
from etgraph.model.tensors import DTYPES, Unknown, broadcast, inputs_of
from support.shaped import shaped

TABLE = Path(__file__).parent / "data" / "flop_counter.jsonl"
Numbers = tuple[int | None, int | None]


def work(line: str, *, values: bool = True) -> Numbers:
    """Flops and bytes of the one operator in a line."""
    o = estimate(shaped(line, values=values)).trace.operators
    return o.value("flops", 0), o.value("bytes", 0)


def formula(name: str, dims: list[Any], types: list[Any], values: list[Any] | None = None) -> Numbers:
    found = known(name)
    assert found is not None, name
    try:
        return found.formula(Call(name, inputs_of(json.dumps({"dims": dims, "types": types})), values)).numbers()
    except Unknown:
        return None, None


# Flops: PyTorch's counter


def table() -> Iterator[tuple[str, list[Any], list[Any], list[Any], int]]:
    for line in TABLE.read_text().splitlines():
        name, dims, types, values, flops = json.loads(line)
        yield name, dims, types, values, flops


def grouped(name: str, dims: list[Any], values: list[Any]) -> int:
    """Groups of a convolution backward, 1 for anything else."""
    return values[9] if name == "aten::convolution_backward" else 1


def test_operations_are_those_of_pytorchs_counter() -> None:
    checked: Counter[str] = Counter()
    for name, dims, types, values, flops in table():
        if grouped(name, dims, values) == 1:
            assert formula(name, dims, types, values)[0] == flops, (name, dims, values)
            checked[name] += 1
    assert len(checked) == 20
    assert sum(checked.values()) > 450
    assert min(checked.values()) >= 10


def test_the_gradient_of_a_grouped_weight_is_not_counted_for_every_group() -> None:
    """There the counter multiplies all channels with all, which is `groups` times the products that are."""
    several = [case for case in table() if grouped(case[0], case[1], case[3]) > 1]
    for name, dims, types, values, flops in several:
        groups, mask = values[9], values[10]
        ours = formula(name, dims, types, values)[0]
        assert ours is not None
        each = ours // (mask[0] + mask[1]) if ours else 0
        assert ours == each * (mask[0] + mask[1])
        assert flops == each * mask[0] + each * groups * mask[1]
    assert len(several) > 5


def test_convolution_is_what_a_loop_over_its_definition_multiplies() -> None:
    for groups, stride, padding, dilation in itertools.product((1, 2), (1, 2), (0, 1), (1, 2)):
        multiplied = 0
        x, weight = (2, 4, 7, 6), (6, 4 // groups, 3, 2)
        for _, place in itertools.product(range(x[0] * weight[0] * weight[1]), itertools.product(range(9), range(9))):
            starts = [at * stride - padding for at in place]
            reach = [dilation * (k - 1) for k in weight[2:]]
            ends = [s + r for s, r in zip(starts, reach, strict=True)]
            if all(e < n + padding for e, n in zip(ends, x[2:], strict=True)):
                multiplied += prod(weight[2:])
        values = [None, None, None, [stride] * 2, [padding] * 2, [dilation] * 2, groups]
        found = formula("aten::conv2d", [x, weight, [], [], [], [], []], ["float", "float", *[""] * 5], values)
        assert found[0] == 2 * multiplied


def test_memory_efficient_attention_counts_like_the_operator_around_it() -> None:
    """Its dims are batch × positions × heads × width; heads and positions exchanged, it is the same attention."""
    inner = formula("aten::_efficient_attention_forward", [[2, 5, 3, 8]] * 3 + [[]], ["float"] * 3 + [""])
    outer = formula("aten::_scaled_dot_product_efficient_attention", [[2, 3, 5, 8]] * 3 + [[]], ["float"] * 3 + [""])
    assert inner == outer
    assert inner[0] == 2 * 2 * 3 * 5 * 5 * (8 + 8)


# Bytes: every element that a definition touches, once a direction


class Touched:
    """Elements of named buffers that were read or written, by index."""

    def __init__(self) -> None:
        self.read: set[tuple[str, tuple[int, ...]]] = set()
        self.written: set[tuple[str, tuple[int, ...]]] = set()
        self.operations = 0

    def bytes(self, size: int) -> int:
        return (len(self.read) + len(self.written)) * size


def indices(*dims: int) -> Iterator[tuple[int, ...]]:
    return itertools.product(*map(range, dims))


@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 4), st.integers(1, 3))
def test_bytes_of_a_product_are_those_of_its_definition(m: int, k: int, n: int, b: int) -> None:
    t = Touched()
    for batch, row, column, inner in indices(b, m, n, k):
        t.read |= {("a", (batch, row, inner)), ("b", (batch, inner, column))}
        t.written.add(("c", (batch, row, column)))
        t.operations += 2
    assert formula("aten::bmm", [[b, m, k], [b, k, n]], ["double", "double"]) == (t.operations, t.bytes(8))


@given(st.integers(1, 3), st.integers(1, 2), st.integers(1, 3), st.integers(1, 3), st.integers(2, 4))
def test_bytes_of_a_convolution_are_those_of_its_definition(b: int, c: int, o: int, k: int, positions: int) -> None:
    t, length = Touched(), positions + k - 1
    for batch, out, at, channel, tap in indices(b, o, positions, c, k):
        t.read |= {("x", (batch, channel, at + tap)), ("w", (out, channel, tap))}
        t.written.add(("y", (batch, out, at)))
        t.operations += 2
    values = [None, None, None, [1], [0], [1], False, [0], 1]
    dims = [[b, c, length], [o, c, k], *[[]] * 7]
    found = formula("aten::convolution", dims, ["float", "float", *[""] * 7], values)
    assert found == (t.operations, t.bytes(4))


@given(st.lists(st.integers(1, 3), max_size=3), st.data())
def test_bytes_of_a_broadcast_sum_are_those_of_its_definition(dims: list[int], data: st.DataObject) -> None:
    def part() -> list[int]:
        kept = dims[data.draw(st.integers(0, len(dims))) :]
        return [n if data.draw(st.booleans()) else 1 for n in kept]

    a, b = part(), part()
    whole = broadcast([inputs_of(json.dumps({"dims": [d], "types": ["float"]}))[0] for d in (a, b)])  # type: ignore[misc]
    t = Touched()
    for at in indices(*whole):
        for name, own in (("a", a), ("b", b)):
            inner = at[len(at) - len(own) :]
            t.read.add((name, tuple(0 if n == 1 else i for i, n in zip(inner, own, strict=True))))
        t.written.add(("c", at))
        t.operations += 1
    assert formula("aten::add", [a, b, []], ["float", "float", "Scalar"]) == (t.operations, t.bytes(4))


def test_bytes_of_a_bag_are_those_of_its_definition() -> None:
    """Two bags of two and three rows out of a table of eight, all different."""
    t, width, bags = Touched(), 4, [[1, 6], [0, 3, 7]]
    for bag, rows in enumerate(bags):
        for place, row in enumerate(rows):
            for column in range(width):
                t.read.add(("table", (row, column)))
                t.written.add(("out", (bag, column)))
                t.operations += 1
            t.read |= {("indices low", (bag, place)), ("indices high", (bag, place))}
    t.read |= {(half, (bag,)) for bag in range(2) for half in ("offsets low", "offsets high")}
    line = "aten::_embedding_bag 8x4 float | 5 long | 2 long | false | 0 | false | - | false | -1"
    assert work(line) == (t.operations, t.bytes(4))


def test_bytes_of_pooling_are_those_of_its_definition() -> None:
    t = Touched()
    for batch, row, column, i, j in indices(2, 3, 3, 2, 2):
        t.read.add(("x", (batch, 2 * row + i, 2 * column + j)))
        t.written.add(("y", (batch, row, column)))
        t.operations += 1
    assert work("aten::avg_pool2d 2x6x6 float | [2, 2] | [] | [0, 0] | false") == (t.operations, t.bytes(4))


# Each family by hand


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        # matmul
        ("aten::mm 4x8 float | 8x16 float", (1024, 4 * (32 + 128 + 64))),
        ("aten::mm 4x8 float | 9x16 float", (None, None)),
        ("aten::matmul 5x2x3 float | 3 float", (60, 4 * (30 + 3 + 10))),
        ("aten::matmul 5x1x2x3 float | 7x3x4 float", (2 * 35 * 24, 4 * (30 + 84 + 280))),
        ("aten::linear 2x3x8 float | 5x8 float | 5 float", (480, 4 * (48 + 40 + 5 + 30))),
        ("aten::_scaled_mm 16x32 c10::Float8_e4m3fn | 32x16 c10::Float8_e4m3fn | scalar float", (16384, None)),
        ("aten::_scaled_mm 16x32 c10::Float8_e5m2 | 32x16 c10::Float8_e5m2 | scalar float | scalar float | - | - | 15",
         (16384, 512 + 512 + 8 + 2 * 256)),
        ("aten::mv 4x8 float | 8 float", (64, 4 * (32 + 8 + 4))),
        ('aten::einsum "bij,bjk->bik" | {2x3x4 float; 2x4x5 float} | -', (2 * 120, 4 * (24 + 40 + 30))),
        ('aten::einsum "ij,j->ij" | {3x4 float; 4 float} | -', (12, 4 * (12 + 4 + 12))),
        ('aten::einsum "...i,i->..." | {3x4 float; 4 float} | -', (None, None)),
        # convolution
        ("aten::cudnn_convolution 1x2x5x5 float | 4x2x3x3 float | [1, 1] | [2, 2] | [1, 1] | 1", (1296, 632)),
        ("aten::conv_transpose1d 1x2x5 float | 2x3x4 float | - | [2] | [0] | [0] | 1 | [1]", (240, 4 * (10 + 24 + 36))),
        ("aten::conv1d 1x4x5 float | 4x1x3 float | - | [1] | [1] | [1] | 4", (2 * 5 * 12, 4 * (20 + 12 + 20))),
        ("aten::conv1d 1x4x5 float | 4x3x3 float | - | [1] | [1] | [1] | 1", (None, None)),
        ("aten::conv1d 1x4x5 float | 4x2x3 float | - | [1] | [1] | [1] | 1", (None, None)),
        ("aten::conv_transpose1d 1x2x5 float | 2x3x4 float | - | [2] | [0] | [1] | 1 | [1]", (240, 4 * (10 + 24 + 39))),
        # attention
        ("aten::scaled_dot_product_attention 2x4x6x8 float | 2x4x7x8 float | 2x4x7x8 float",
         (2 * 8 * 42 * 16, 4 * 8 * (48 + 56 + 56 + 48))),
        ("aten::_flash_attention_forward 60x4x8 float | 60x4x8 float | 60x4x8 float | 3 int | 3 int", (None, None)),
        ("aten::_efficient_attention_forward 1x6x4x8 float | 1x6x4x8 float | 1x6x4x8 float | - | 3 int | 3 int",
         (None, None)),
        # embedding and lookup
        ("aten::embedding 10x4 float | 2x3 long", (0, 4 * 24 + 8 * 6 + 4 * 24)),
        ("aten::embedding 3x4 float | 50 long", (0, 4 * 12 + 8 * 50 + 4 * 200)),
        ("aten::embedding_dense_backward 6x4 float | 6 long | 10 | -1 | false", (24, 4 * 24 + 48 + 160)),
        ("aten::gather 50 float | 0 | 8 long | false", (0, 4 * 8 + 64 + 32)),
        ("aten::index_select 10x4 float | 1 | 2 long", (0, 80 + 16 + 80)),
        ("aten::scatter_add_ 50 float | 0 | 8 long | 8 float", (8, 64 + 32 + 32 + 32)),
        ("aten::index 10x4 float | {3 long int}", (0, 48 + 48)),
        ("aten::_index_put_impl_ 10x4 float | - | 3x4 float | true | true", (12, 3 * 48)),
        ("aten::index 10x4 float | {10 bool}", (None, None)),
        # normalisation
        ("aten::native_layer_norm 2x3x8 float | [8] | 8 float | 8 float | 0.1", (7 * 48, 4 * (96 + 16 + 12))),
        ("aten::cudnn_batch_norm 2x3x4 float | 3 float | 3 float | 3 float | 3 float | true",
         (7 * 24, 4 * (48 + 12 + 6 + 6))),
        ("aten::cudnn_batch_norm 2x3x4 float | 3 float | 3 float | 3 float | 3 float | false", (96, 4 * (48 + 12))),
        ("aten::native_layer_norm 3x8 c10::Half | [8] | 8 c10::Half | - | 0.1", (6 * 24, 2 * (24 + 8 + 24) + 4 * 6)),
        ("aten::native_layer_norm_backward 2x8 float | 2x8 float | [8] | 2x1 float | 2x1 float | 8 float | 8 float",
         (13 * 16, 4 * (16 + 16 + 4 + 16 + 16 + 16))),
        # elementwise
        ("aten::add_ 4x8 float | 8 float | 1", (32, 4 * (32 + 8 + 32))),
        ("aten::add 4 long | 4 long | 1", (0, 96)),
        ("aten::div 4 long | 4 long", (4, 64 + 16)),
        ('aten::div 4 long | 4 long | "floor"', (None, None)),
        ("aten::mul 4 c10::Half | 4 float", (4, 8 + 16 + 16)),
        ("aten::mul 4 float | scalar double", (4, 16 + 8 + 16)),
        ("aten::mul 4 long | 2.5", (None, None)),
        ("aten::mul_ 4 long | 2", (0, 64)),
        ("aten::eq 4 float | 4 float", (4, 36)),
        ("aten::where 4 bool | 4 float | 4 float", (0, 4 + 48)),
        ("aten::nan_to_num 4 float | 0 | - | - | 4 float", (4, 32)),
        ("aten::add 4 float | 5 float | 1", (None, None)),
        # reductions
        ("aten::sum 4x8 float | -", (32, 132)),
        ("aten::sum 4x8 float | [0] | true | -", (32, 128 + 32)),
        ("aten::sum 4x8 float | [1] | false | -", (32, 128 + 16)),
        ("aten::mean 4x8 float | [-1] | true | -", (32, 128 + 16)),
        ("aten::max 4x8 float | 1 | false", (32, 128 + 16 + 32)),
        ("aten::cumsum 4 int | 0 | -", (0, 16 + 32)),
        ("aten::argmax 4x8 float | 1 | false", (32, 128 + 32)),
        ("aten::sum 4x8 float | [7] | true | -", (32, None)),
        ("aten::sort 4x8 long | -1 | false", (0, 3 * 256)),
        ("aten::topk 4x8 float | 2 | -1 | true | true", (None, 128 + 32 + 64)),
        # softmax and loss
        ("aten::_softmax 2x5 float | 1 | false", (50, 80)),
        ("aten::_softmax 2x5 c10::Half | 1 | true", (50, 60)),
        ("aten::_softmax 2x5 c10::Half | 1", (50, None)),
        ("aten::_log_softmax_backward_data 2x5 float | 2x5 float | 1 | 6", (40, 120)),
        ("aten::_log_softmax_backward_data 2x5 float | 2x5 float | 1 | 5", (40, 100)),
        ("aten::_log_softmax_backward_data 2x5 float | 2x5 float", (40, None)),
        ("aten::nll_loss_forward 8x100 float | 8 long | - | 1 | -100", (8, 32 + 64 + 8)),
        ("aten::nll_loss_backward scalar float | 8x100 float | 8 long | - | 1 | -100 | scalar float",
         (8, 4 + 64 + 3200)),
        ("aten::mse_loss 4 float | 4 float | 1", (12, 36)),
        ("aten::mse_loss 4 float | 4 float | 0", (8, 48)),
        # pooling
        ("aten::max_pool2d_with_indices 1x1x5x5 float | [3, 3] | [2, 2] | [1, 1] | [1, 1] | false",
         (81, 100 + 36 + 72)),
        ("aten::max_pool2d_with_indices 1x1x6x6 float | [3, 3] | [2, 2] | [0, 0] | [1, 1] | true",
         (81, 144 + 36 + 72)),
        ("aten::max_pool2d 1x1x3x3 float | [1, 1] | [3, 3] | [0, 0] | [1, 1] | true", (1, 36 + 4)),
        ("aten::_adaptive_avg_pool2d 1x2x4x4 float | [2, 2]", (32, 128 + 32)),
        ("aten::_adaptive_avg_pool2d 1x2x4x4 float | [3, 3]", (None, None)),
        # copies
        ("aten::copy_ 4x8 c10::Half | 8 float | false", (0, 64 + 32)),
        ("aten::fill_ 4x8 float | 0", (0, 128)),
        ("aten::cat {4x8 float; 2x8 float} | 0", (0, 2 * 192)),
        ("aten::cat {4 long int; 2 int} | 0", (0, None)),
        ("aten::random_ 4 float", (None, 16)),
        # optimizers
        ("aten::_foreach_add_ {4 float; 6 float} | {4 float; 6 float} | -1", (10, 4 * 30)),
        ("aten::_foreach_sqrt {4 float; 6 float}", (10, 4 * 20)),
        ("aten::_fused_adam_ {4 float} | {4 float} | {4 float} | {4 float} | - | {1 float} | 0.1 | 0.9 | 0.9 | 0 ",
         (13 * 4, 4 * 4 * 7)),
        ("aten::_fused_adam_ {4 float} | {4 float} | {4 float} | {4 float} | {4 float} | {1 float} | 1 | 0.9 | 0.9 | 1",
         (16 * 4, 4 * 4 * 9)),
        ("aten::_fused_adamw_ {4 float} | {4 float} | {4 float} | {4 float} | - | {1 float} | 0.1 | 0.9 | 0.9 | 0.01",
         (14 * 4, 4 * 4 * 7)),
        ("aten::_fused_sgd_ {4 float} | {4 float} | {4 float} | 0.1 | 0.9 | 0.1 | 0 | false", (7 * 4, 4 * 4 * 5)),
        # views and what nobody knows
        ("aten::view 4x8 float | [32]", (0, 0)),
        ("my::kernel 4x8 float", (None, None)),
        # FBGEMM
        ("fbgemm::permute_2D_sparse_data 3 int | 3x2 int | 10 long", (0, 12 + 24 + 80 + 24 + 80)),
        ("fbgemm::permute_2D_sparse_data 5 int | 3x2 int | 10 long", (None, None)),
        ("fbgemm::permute_2D_sparse_data 5 int | 3x2 int | 10 long | - | 14", (0, 20 + 24 + 80 + 40 + 112)),
        ("fbgemm::FloatToFP8RowwiseQuantized 4x6 float | true", (48, 96 + 4 * 16)),
        ("fb::asynchronous_complete_cumsum 7 long", (0, 56 + 64)),
        # generated kernels
        ("triton_poi_fused_add_0 10x10 float | 10x10 float | 100", (None, 800)),
        ("triton_poi_fused_embedding_0 50x10 float | 10x10 float | 100", (None, None)),
    ],
)  # fmt: skip
def test_work_by_hand(line: str, expected: Numbers) -> None:
    assert work(line) == expected


def test_what_needs_recorded_values_is_null_without_them() -> None:
    conv = "aten::conv2d 1x2x5x5 float | 4x2x3x3 float | - | [1, 1] | [0, 0] | [1, 1] | 1"
    assert work(conv)[0] == 1296
    assert work(conv, values=False) == (None, None)
    total = "aten::sum 4x8 float | [0] | true | -"
    assert work(total, values=False) == (32, None)
    assert work("aten::_fused_adam_ {4 float} | {4 float} | {4 float} | {4 float} | -", values=False) == (None, 112)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"Concrete Inputs":["[1, 2]","True","0.5","nan","",""]}', [[1, 2], True, 0.5, "nan", None, None]),
        ('{"inputs":{"values":[[1,2,0,4,4,"cpu"],3,[1,2],"<None>",[[1,2,0,4,4,"cpu"]],[]]}}',
         [None, 3, [1, 2], None, None, []]),
        ('{"inputs":[[1,1,0,1,4,"cpu"],false,[true,false]]}', [None, False, [True, False]]),
        ('{"inputs":5}', None),
        ('{"Concrete Inputs":7}', None),
        ("{}", None),
        ("[]", None),
    ],
)  # fmt: skip
def test_values_are_read_from_every_format(text: str, expected: list[Any] | None) -> None:
    with AttributeWriter() as attributes:
        attributes.append(text.encode())
    (found,) = recorded_arguments(attributes.attributes, np.zeros(1, dtype=np.int32))
    assert (None if found is None else json.loads(found)) == expected


def test_equal_dims_with_other_values_are_other_work() -> None:
    conv = "aten::conv2d 1x2x9x9 float | 4x2x3x3 float | - | [{0}, {0}] | [0, 0] | [1, 1] | 1"
    o = estimate(shaped("\n".join(conv.format(stride) for stride in (1, 2, 1)))).trace.operators
    assert o["flops"].tolist() == [144 * 49, 144 * 16, 144 * 49]


def test_a_number_beyond_int64_is_null() -> None:
    large = 2**31
    found = formula("aten::mm", [[large, large], [large, large]], ["float", "float"])
    assert found == (None, None)
    assert 2 * large**3 > LARGEST
    assert formula("aten::add_", [[large, 2**29], [], []], ["float", "Scalar", "Scalar"]) == (2**60, None)


dims = st.recursive(st.integers(-2, 5) | st.none() | st.text(max_size=3), lambda inner: st.lists(inner, max_size=4))
types = st.sampled_from([*DTYPES, "", "Scalar", "TensorList", "GenericList[Tensor(float)]", "GenericList[Int]"])
NAMES = sorted({name for family in FAMILIES for name in family.formulas} | {
    "fbgemm::split_embedding_codegen_lookup_adagrad_function",
    "torch::autograd::CppNode<SplitLookupFunction_adagrad_Op>", "triton_poi_fused_x_0"})  # fmt: skip


@given(
    st.sampled_from(NAMES), st.lists(st.lists(dims, max_size=5), max_size=12),
    st.lists(types, max_size=12), st.none() | st.lists(dims | st.booleans() | st.floats(), max_size=12),
)  # fmt: skip
def test_any_dims_give_numbers_or_nothing(
    name: str, sizes: list[Any], kinds: list[Any], values: list[Any] | None
) -> None:
    for number in formula(name, sizes, kinds, values):
        assert number is None or 0 <= number <= LARGEST


def test_every_operator_has_one_family_and_a_rule_counts_some_elements() -> None:
    names = [name for family in FAMILIES for name in family.formulas]
    assert [name for name, times in Counter(names).items() if times > 1] == []
    assert {family for f in FAMILIES for family in f.yields_to} <= {family.name for family in FAMILIES}
    assert all(f.with_arguments <= set(f.formulas) for f in FAMILIES)
    assert all(rule.flops >= 0 and rule.inputs >= 1 for rule in RULES.values())
