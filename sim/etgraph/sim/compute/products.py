"""The product that an operator computes: m·n·k of matrix products and convolutions, rows of queries of attention."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Final, NamedTuple

from etgraph.model.tensors import Input, Tensor, Unknown, inputs_of

PRECISIONS: Final = ("fp32", "tf32", "16 bit", "fp8", "fp64", "int8")
"""Number formats that matrix units tell apart: bf16 and fp16 are equally fast."""
FP32, TF32, HALF, FP8, FP64, INT8 = range(len(PRECISIONS))
BYTES: Final = (4, 4, 2, 1, 8, 1)
"""Bytes of an element, by precision."""
_BY_SIZE: Final = {(4, 2): FP32, (2, 2): HALF, (1, 2): FP8, (8, 2): FP64, (1, 1): INT8, (8, 3): FP32, (16, 3): FP64}
_ALIGNED_BYTES: Final = 16
"""Matrix units are fed by loads of 16 bytes; a leading dimension that is no multiple of them is read in pieces."""
_LEFT: Final = {"addmm": 1, "baddbmm": 1, "_addmm_activation": 1, "addmv": 1}
"""Where the first of the two factors stands, if it is not the first input."""
_WEIGHT_FIRST: Final = frozenset({"linear", "mkldnn_linear", "rocm_unquantized_gemm"})
"""Operators whose second factor has the dims of a transposed matrix: n×k."""


class Product(NamedTuple):
    """`batch` products of m×k and k×n matrices in one number format, and whether their rows start at 16 bytes.

    n, k and batch are None where only the number of rows is known (attention), m as well where nothing is.
    """

    m: float | None
    n: float | None
    k: float | None
    batch: float | None
    precision: int
    aligned: bool


def product_of(name: str, family: str, shapes: str | None, flops: int | None) -> Product:
    """The product behind an operator's name, the text of its `shapes` and its flops; what is not recorded is None.

    Dims that do not multiply to the operator's flops are not taken: the operator computes something else then.

    >>> shapes = '{"dims":[[4],[2,3],[3,4]],"types":["float","float","float"]}'
    >>> product_of("aten::addmm", "matmul", shapes, 48)[:4]
    (2.0, 4.0, 3.0, 1.0)
    """
    try:
        inputs = inputs_of(shapes) if shapes else []
    except Unknown:
        inputs = []
    tensors = [t for t in inputs if isinstance(t, Tensor)]
    precision = next((_BY_SIZE[t.dtype] for t in tensors if t.dtype in _BY_SIZE and t.dims), FP32)
    found: Product | None = None
    if flops and family == "matmul":
        found = _matrices(name, inputs, flops, precision)
    elif flops and family == "convolution":
        found = _convolution(name, inputs, flops, precision)
    elif flops and family == "attention" and tensors and tensors[0].dims and tensors[0].dims[-1]:
        found = Product(tensors[0].numel / tensors[0].dims[-1], None, None, None, precision, True)
    return found or Product(None, None, None, None, precision, True)


def _matrices(name: str, inputs: Sequence[Input], flops: int, precision: int) -> Product | None:
    operator = name.rpartition("::")[2].removesuffix("_")
    at = _LEFT.get(operator, 0)
    left, right = (inputs[i] if i < len(inputs) else None for i in (at, at + 1))
    if not isinstance(left, Tensor) or not isinstance(right, Tensor) or not left.dims or not right.dims:
        return None
    batch = prod(right.dims[:-2])
    k = left.dims[-1]
    n = right.dims[0] if operator in _WEIGHT_FIRST else right.dims[-1] if len(right.dims) > 1 else 1
    m = flops / (2 * batch * n * k) if n * k * batch else 0
    if not m or left.numel != batch * m * k:
        return None
    # Without strides it is not known which of m and k a transposed left factor is stored by.
    aligned = _is_aligned(n, left) and (_is_aligned(k, left) or _is_aligned(int(m), left))
    return Product(float(m), float(n), float(k), float(batch), precision, aligned)


def _convolution(name: str, inputs: Sequence[Input], flops: int, precision: int) -> Product | None:
    """An implicit product: a row for each output position, a column for each filter, a group for each batch.

    One filter a channel is no product: such convolutions have kernels of their own, which memory limits.
    """
    if "backward" in name or "transpose" in name or len(inputs) < 2:
        return None
    image, weight = inputs[:2]
    if not isinstance(image, Tensor) or not isinstance(weight, Tensor):
        return None
    if len(weight.dims) < 3 or len(image.dims) != len(weight.dims) or not weight.numel:
        return None
    filters, channels = weight.dims[:2]
    groups, rest = divmod(image.dims[1], channels)
    depthwise = channels == 1 and groups > 1
    if rest or not groups or filters % groups or depthwise:
        return None
    aligned = _is_aligned(channels, weight) and _is_aligned(filters, weight)
    rows, columns = flops / (2 * weight.numel), filters // groups
    return Product(rows, float(columns), float(weight.numel // filters), float(groups), precision, aligned)


def _is_aligned(size: int, tensor: Tensor) -> bool:
    return tensor.dtype is None or size * tensor.dtype.size % _ALIGNED_BYTES == 0
