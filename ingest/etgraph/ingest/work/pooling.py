"""Pooling forward and backward.

Every output element is the largest or the mean of its window: as many operations as the window has positions. The
gradient of a maximum is one addition an output element, that of a mean one a position of each window. An adaptive mean
whose output divides its input takes one operation an input element; where it does not, windows overlap by sizes that
depend on the position, and the work is unknown.
"""

from __future__ import annotations

from functools import partial
from math import prod

from etgraph.ingest.work.call import Call, Dims, Family, Formula, Work
from etgraph.model.tensors import INT64, Tensor, Unknown


def _windows(call: Call, x: Tensor, space: int, first: int, *, dilation: int | None, ceil: int) -> tuple[Dims, int]:
    """Dims of the output and positions of a window, from kernel, stride and padding at `first` and after."""
    kernel = call.integers(first, space)
    stride = kernel if call.argument(first + 1) == [] else call.integers(first + 1, space)
    padding = call.integers(first + 2, space)
    spread = (1,) * space if dilation is None else call.integers(dilation, space)
    rounded_up = call.flag(ceil)
    if len(x.dims) < space + 1 or any(s < 1 for s in stride):
        raise Unknown
    sizes = []
    for n, k, s, p, d in zip(x.dims[-space:], kernel, stride, padding, spread, strict=True):
        room = n + 2 * p - d * (k - 1) - 1
        size = (-(-room // s) if rounded_up else room // s) + 1
        # A last window must start inside the input or its left padding.
        if rounded_up and (size - 1) * s >= n + p:
            size -= 1
        if size < 0:
            raise Unknown
        sizes.append(size)
    return (*x.dims[:-space], *sizes), prod(kernel)


def _largest(call: Call, *, space: int, places: bool) -> Work:
    """(self, kernel_size, stride, padding, dilation, ceil_mode)."""
    x = call.tensor(0)
    dims, window = _windows(call, x, space, 1, dilation=4, ceil=5)
    out = x.like(*dims)
    return Work(window * out.arithmetic, [x, out, *([out.typed(INT64)] if places else [])])


def _largest_backward(call: Call) -> Work:
    """(grad_output, self, kernel_size, stride, padding, dilation, ceil_mode, indices)."""
    grad, x = call.tensor(0), call.tensor(1)
    return Work(grad.arithmetic, [grad, *call.tensors(7), x])


def _mean(call: Call, *, space: int) -> Work:
    """(self, kernel_size, stride, padding, ceil_mode, count_include_pad, …)."""
    x = call.tensor(0)
    dims, window = _windows(call, x, space, 1, dilation=None, ceil=4)
    out = x.like(*dims)
    return Work(window * out.arithmetic, [x, out])


def _mean_backward(call: Call, *, space: int) -> Work:
    """(grad_output, self, kernel_size, …)."""
    grad, x = call.tensor(0), call.tensor(1)
    return Work(prod(call.integers(2, space)) * grad.arithmetic, [grad, x])


def _adaptive(call: Call, *, space: int) -> Work:
    """(self, output_size)."""
    x = call.tensor(0)
    out = x.like(*x.dims[:-space], *call.integers(1, space))
    _divides(x, out, space)
    return Work(x.arithmetic, [x, out])


def _adaptive_backward(call: Call, *, space: int) -> Work:
    """(grad_output, self)."""
    grad, x = call.tensor(0), call.tensor(1)
    _divides(x, grad, space)
    return Work(x.arithmetic, [grad, x])


def _divides(x: Tensor, out: Tensor, space: int) -> None:
    if len(x.dims) != len(out.dims) or len(x.dims) <= space:
        raise Unknown
    if any(not m or n % m for n, m in zip(x.dims[-space:], out.dims[-space:], strict=True)):
        raise Unknown


def _formulas() -> dict[str, Formula]:
    found: dict[str, Formula] = {}
    for space in (1, 2, 3):
        found[f"aten::max_pool{space}d"] = partial(_largest, space=space, places=False)
        found[f"aten::max_pool{space}d_with_indices"] = partial(_largest, space=space, places=True)
        found[f"aten::max_pool{space}d_with_indices_backward"] = _largest_backward
        found[f"aten::avg_pool{space}d"] = partial(_mean, space=space)
        found[f"aten::avg_pool{space}d_backward"] = partial(_mean_backward, space=space)
        for name in (f"_adaptive_avg_pool{space}d", f"adaptive_avg_pool{space}d"):
            found[f"aten::{name}"] = partial(_adaptive, space=space)
        found[f"aten::_adaptive_avg_pool{space}d_backward"] = partial(_adaptive_backward, space=space)
    return found


_FORMULAS = _formulas()

FAMILY = Family(
    "pooling",
    "positions of the window for each element of the output; backward 1, or the window for a mean",
    "input, output and the places of maxima, or the gradients, each once",
    _FORMULAS,
    frozenset({"pooling", "reductions"}),
    frozenset(name for name in _FORMULAS if "max" not in name or "backward" not in name),
)
