"""Matrix products: 2·m·n·k operations, as `torch.utils.flop_counter` counts them.

A product of an m×k and a k×n matrix takes m·n·k multiplications and as many additions (one of them starts from zero,
which the counter ignores as well). The bias of `addmm` and its kind is not counted. Every matrix is read once, the
result is written once.
"""

from __future__ import annotations

import re
from math import prod

from etgraph.ingest.work.call import Call, Family, Work, same
from etgraph.model.tensors import Tensor, Unknown, broadcast

MATMUL = frozenset({"matmul", "convolution", "attention"})
"""Families that compute the same sums of products, by one another."""


def _product(a: Tensor, b: Tensor, *others: Tensor) -> Work:
    """Two matrices, or two batches of them."""
    if len(a.dims) < 2 or len(b.dims) < 2:
        raise Unknown
    (*batch, m, k), (*other, k2, n) = a.dims, b.dims
    if k != k2 or batch != other:
        raise Unknown
    return Work(2 * prod(batch) * m * n * k, [a, b, *others, a.like(*batch, m, n)])


def _mm(call: Call) -> Work:
    return _product(call.tensor(0), call.tensor(1))


def _addmm(call: Call) -> Work:
    return _product(call.tensor(1), call.tensor(2), call.tensor(0))


def _mv(call: Call) -> Work:
    return _vector(call, call.tensor(0), call.tensor(1))


def _addmv(call: Call) -> Work:
    return _vector(call, call.tensor(1), call.tensor(2))


def _vector(call: Call, matrix: Tensor, vector: Tensor) -> Work:
    if len(matrix.dims) != 2 or vector.dims != matrix.dims[1:]:
        raise Unknown
    return Work(2 * matrix.numel, [*call.tensors(), matrix.like(matrix.dims[0])])


def _dot(call: Call) -> Work:
    a, b = call.tensor(0), call.tensor(1)
    if a.dims != b.dims:
        raise Unknown
    return Work(2 * a.numel, [a, b, a.like()])


def _scaled_mm(call: Call) -> Work:
    """fp8: matrices of one byte an element, their scales, an optional bias; the result's type is an argument.

    (self, mat2, scale_a, scale_b, bias, scale_result, out_dtype, use_fast_accum)
    """
    a, b = call.tensor(0), call.tensor(1)
    if len(a.dims) != 2 or len(b.dims) != 2 or a.dims[1] != b.dims[0]:
        raise Unknown
    return Work(2 * a.numel * b.dims[1], [*call.tensors(), Tensor((a.dims[0], b.dims[1]), call.asked(6, a.dtype))])


def _linear(call: Call) -> Work:
    """x·Wᵀ + b with any number of leading dims of x."""
    x, weight = call.tensor(0), call.tensor(1)
    if not x.dims or len(weight.dims) not in (1, 2) or x.dims[-1] != weight.dims[-1]:
        raise Unknown
    out = x.like(*x.dims[:-1], *weight.dims[:-1])
    return Work(2 * out.numel * x.dims[-1], [*call.tensors(), out])


def _matmul(call: Call) -> Work:
    """PyTorch's `matmul`: vectors get a dim of 1 that the result loses, leading dims are broadcast."""
    a, b = call.tensor(0), call.tensor(1)
    if not a.dims or not b.dims:
        raise Unknown
    left = a.dims if len(a.dims) > 1 else (1, *a.dims)
    right = b.dims if len(b.dims) > 1 else (*b.dims, 1)
    if left[-1] != right[-2]:
        raise Unknown
    batch = broadcast([Tensor(left[:-2]), Tensor(right[:-2])])
    rows, columns = left[-2:-1] if len(a.dims) > 1 else (), right[-1:] if len(b.dims) > 1 else ()
    flops = 2 * prod(batch) * left[-2] * right[-1] * left[-1]
    return Work(flops, [a, b, a.like(*batch, *rows, *columns)])


_EINSUM = re.compile(r"^([a-zA-Z]+),([a-zA-Z]+)(?:->([a-zA-Z]*))?$")


def _einsum(call: Call) -> Work:
    """Two operands, no repeated or elided letters: 2 · the product of the sizes of all letters.

    Without letters to sum over it is a product of elements, which takes one operation each.
    """
    match = _EINSUM.match(str(call.argument(0)).replace(" ", ""))
    operands = call.tensor_list(1)
    if match is None or len(operands) != 2:
        raise Unknown
    size: dict[str, int] = {}
    for letters, operand in zip(match.groups()[:2], operands, strict=True):
        if len(set(letters)) != len(letters) or len(letters) != len(operand.dims):
            raise Unknown
        for letter, count in zip(letters, operand.dims, strict=True):
            if size.setdefault(letter, count) != count:
                raise Unknown
    left, right, kept = match.groups()
    if kept is None:
        kept = "".join(sorted(letter for letter in size if (letter in left) != (letter in right)))
    summed = set(size) - set(kept)
    # What only one operand has is summed before the product.
    if any((letter in left) != (letter in right) for letter in summed):
        raise Unknown
    out = operands[0].like(*(size[letter] for letter in kept))
    return Work((2 if summed else 1) * prod(size.values()), [*operands, out])


FAMILY = Family(
    "matmul",
    "2·m·n·k, batches times that; the bias is free",
    "each matrix, bias and result once",
    {
        **same(_mm, ("mm", "bmm")),
        **same(_addmm, ("addmm", "addmm_", "baddbmm", "baddbmm_", "_addmm_activation")),
        **same(_mv, ("mv",)),
        **same(_addmv, ("addmv", "addmv_")),
        **same(_dot, ("dot", "vdot")),
        **same(_scaled_mm, ("_scaled_mm",)),
        **same(_linear, ("linear", "mkldnn_linear")),
        **same(_matmul, ("matmul",)),
        **same(_einsum, ("einsum",)),
        "vllm::rocm_unquantized_gemm": _linear,
    },
    MATMUL,
    frozenset({"aten::einsum", "aten::_scaled_mm"}),
)
