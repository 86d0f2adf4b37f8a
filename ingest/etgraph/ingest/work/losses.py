"""Softmax and losses, forward and backward.

Softmax takes five operations an element (maximum, subtraction, exp, addition, division), its logarithm the same with a
subtraction for the division; the gradients four (g·y, its sum, subtraction, product; for the logarithm the sum, exp,
product, subtraction). The negative log-likelihood looks up and adds one element a row.
"""

from __future__ import annotations

from functools import partial

from etgraph.ingest.work.call import Call, Family, Work, same
from etgraph.model.tensors import DTYPES, FLOAT32, Unknown

_NONE = 0
"""PyTorch's number of the reduction that leaves every element."""


def _softmax(call: Call) -> Work:
    """(self, dim, half_to_float): only a type of half precision can become another."""
    x = call.tensor(0)
    out = x
    if x.dtype == DTYPES["c10::Half"]:
        try:
            out = x.typed(FLOAT32) if call.flag(2) else x
        except Unknown:
            out = x.typed(None)
    return Work(5 * x.arithmetic, [x, out])


def _softmax_backward(call: Call) -> Work:
    """(grad_output, output, dim, input_dtype): only a float gradient can be one of halves."""
    grad, output = call.tensor(0), call.tensor(1)
    if grad.dims != output.dims:
        raise Unknown
    written = grad if grad.dtype != FLOAT32 else grad.typed(call.asked(3, None))
    return Work(4 * grad.arithmetic, [grad, output, written])


def _likelihood(call: Call) -> Work:
    """`nll_loss_forward` (self, target, weight, reduction, ignore_index): the loss and the sum of the weights."""
    x, target, weight = call.tensor(0), call.tensor(1), call.maybe(2)
    if len(x.dims) < 2:
        raise Unknown
    picked = x.like(target.numel)
    touched = [picked, target, *([weight] if weight else [])]
    try:
        each = call.integer(3) == _NONE
    except Unknown:
        return Work(picked.arithmetic, None)
    return Work(picked.arithmetic, [*touched, picked if each else x.like(), x.like()])


def _likelihood_backward(call: Call) -> Work:
    """`nll_loss_backward` (grad_output, self, target, …): zeros, and one element a row."""
    grad, x, target = call.tensor(0), call.tensor(1), call.tensor(2)
    return Work(x.like(target.numel).arithmetic, [grad, target, x])


def _squares(call: Call, *, last: int, inputs: int) -> Work:
    """`mse_loss` and its gradient: a difference, its square or product, and the sum or factor of a reduction."""
    operands = [call.tensor(at) for at in range(inputs)]
    x = operands[-2]
    if operands[-1].dims != x.dims:
        raise Unknown
    each = call.integer(inputs) == _NONE
    out = x if inputs == 3 or each else x.like()
    return Work((last if each else 3) * x.arithmetic, [*operands, out])


FAMILY = Family(
    "softmax and loss",
    "softmax 5 an element and 4 backward; likelihood 1 a row; squared error 3 an element",
    "inputs and results; of the likelihood one element a row",
    {
        **same(_softmax, ("_softmax", "_log_softmax", "softmax", "log_softmax")),
        **same(_softmax_backward, ("_softmax_backward_data", "_log_softmax_backward_data")),
        **same(_likelihood, ("nll_loss_forward", "nll_loss2d_forward", "nll_loss", "nll_loss2d")),
        **same(_likelihood_backward, ("nll_loss_backward", "nll_loss2d_backward")),
        "aten::mse_loss": partial(_squares, last=2, inputs=2),
        "aten::mse_loss_backward": partial(_squares, last=3, inputs=3),
    },
    frozenset({"softmax and loss"}),
    frozenset(f"aten::{name}" for name in
              ("_softmax", "_log_softmax", "_softmax_backward_data", "_log_softmax_backward_data", "nll_loss_forward",
               "nll_loss2d_forward", "nll_loss", "nll_loss2d", "mse_loss", "mse_loss_backward")),
)  # fmt: skip
