"""Batch, layer, group and RMS normalisation, forward and backward: so many operations an element of the input.

Forward with statistics of its own: mean 1, variance 3 (subtraction, square, addition), scaling 1, and 2 more with
weight and bias: 7, or 5. With given statistics (a batch norm that is not training): 4. RMS has no mean: square,
addition, scaling, weight: 4, or 3.

Backward, with x̂ the normalised input (2 operations): the gradients of bias and weight 1 and 2, that of the input
g - a - x̂·b and its scaling 4: 9. Where the statistics are those of rows (layer, group) the gradient is multiplied by
the weight first and summed for the rows as well: 13. RMS: 9.
Operations on the statistics themselves, one a channel or row, are not counted.
"""

from __future__ import annotations

from functools import partial

from etgraph.ingest.work.call import Call, Family, Work, same
from etgraph.model.tensors import FLOAT32, Tensor, Unknown


def _statistics(x: Tensor, *dims: int) -> Tensor:
    """Statistics of a tensor: in single precision at least."""
    return Tensor(dims, FLOAT32 if x.dtype is None or x.dtype.size < FLOAT32.size else x.dtype)


def _batch(call: Call, *, training: int | bool) -> Work:
    """(input, weight, bias, running_mean, running_var, training, …); training also writes two statistics a channel."""
    x = call.tensor(0)
    if len(x.dims) < 2:
        raise Unknown
    if isinstance(training, bool):
        learns = training
    elif call.arguments is not None:
        learns = call.flag(training)
    elif call.backward is not None and call.backward.learned(x.dims):
        learns = True
    else:
        raise Unknown
    given = call.tensors(1, 5)
    saved = [_statistics(x, x.dims[1])] * 2 if learns else []
    renewed = call.tensors(3, 5) if learns else []
    flops = (5 if learns else 2) + (2 if call.maybe(1) else 0)
    return Work(flops * x.arithmetic, [x, *given, x, *saved, *renewed])


def _batch_backward(call: Call, *, x: int, grad: int) -> Work:
    """The gradients of input, weight and bias."""
    value, gradient = call.tensor(x), call.tensor(grad)
    if value.dims != gradient.dims or len(value.dims) < 2:
        raise Unknown
    channel = _statistics(value, value.dims[1])
    return Work(9 * value.arithmetic, [*call.tensors(), value, channel, channel])


def _layer(call: Call) -> Work:
    """`native_layer_norm` (input, normalized_shape, weight, bias, eps): the statistics of each row are written too."""
    x, weight = call.tensor(0), call.maybe(2)
    try:
        rank = len(call.argument(1))
    except (Unknown, TypeError):
        if weight is None:
            return Work(5 * x.arithmetic, None)
        rank = len(weight.dims)
    rows = _statistics(x, *x.dims[: len(x.dims) - rank])
    flops = 5 + (call.maybe(2) is not None) + (call.maybe(3) is not None)
    return Work(flops * x.arithmetic, [*call.tensors(), x, rows, rows])


def _layer_backward(call: Call) -> Work:
    """`native_layer_norm_backward` (grad_out, input, normalized_shape, mean, rstd, weight, bias, output_mask)."""
    grad, x, weight, bias = call.tensor(0), call.tensor(1), call.maybe(5), call.maybe(6)
    if grad.dims != x.dims:
        raise Unknown
    written = [x, *(t for t in (weight, bias) if t is not None)]
    return Work((13 if weight else 9) * x.arithmetic, [*call.tensors(), *written])


def _group(call: Call) -> Work:
    """`native_group_norm` (input, weight, bias, N, C, HxW, group, eps)."""
    x = call.tensor(0)
    flops = 5 + (call.maybe(1) is not None) + (call.maybe(2) is not None)
    try:
        rows = Tensor((call.integer(3), call.integer(6)), x.dtype)
    except Unknown:
        return Work(flops * x.arithmetic, None)
    return Work(flops * x.arithmetic, [*call.tensors(), x, rows, rows])


def _group_backward(call: Call) -> Work:
    """`native_group_norm_backward` (grad_out, input, mean, rstd, weight, N, C, HxW, group, output_mask)."""
    grad, x, weight = call.tensor(0), call.tensor(1), call.maybe(4)
    if grad.dims != x.dims:
        raise Unknown
    written = [x, *([weight, weight] if weight else [])]
    return Work((13 if weight else 9) * x.arithmetic, [*call.tensors(), *written])


def _rms(call: Call) -> Work:
    """`_fused_rms_norm` (input, normalized_shape, weight, eps)."""
    x, weight = call.tensor(0), call.maybe(2)
    flops = (4 if weight else 3) * x.arithmetic
    if weight is None:
        return Work(flops, None)
    return Work(flops, [x, weight, x, _statistics(x, *x.dims[: len(x.dims) - len(weight.dims)])])


def _rms_backward(call: Call) -> Work:
    """`_fused_rms_norm_backward` (grad_out, input, normalized_shape, rstd, weight, output_mask)."""
    grad, x, weight = call.tensor(0), call.tensor(1), call.maybe(4)
    if grad.dims != x.dims:
        raise Unknown
    return Work(9 * x.arithmetic, [*call.tensors(), x, *([weight] if weight else [])])


_TRAINING = ("cudnn_batch_norm", "miopen_batch_norm", "native_batch_norm", "_native_batch_norm_legit", "batch_norm",
             "_batch_norm_impl_index")  # fmt: skip

FAMILY = Family(
    "normalisation",
    "forward 7 an element (without weight and bias 5, with given statistics 4, RMS 4), backward 9 to 13",
    "input, parameters, statistics and output, or the gradients, each once",
    {
        **same(partial(_batch, training=5), _TRAINING),
        "aten::_batch_norm_with_update": partial(_batch, training=True),
        "aten::_batch_norm_no_update": partial(_batch, training=False),
        **same(partial(_batch_backward, x=0, grad=1), ("cudnn_batch_norm_backward", "miopen_batch_norm_backward")),
        **same(partial(_batch_backward, x=1, grad=0), ("native_batch_norm_backward", "batch_norm_backward")),
        **same(_layer, ("native_layer_norm", "layer_norm")),
        "aten::native_layer_norm_backward": _layer_backward,
        "aten::native_group_norm": _group,
        "aten::native_group_norm_backward": _group_backward,
        "aten::_fused_rms_norm": _rms,
        "aten::_fused_rms_norm_backward": _rms_backward,
    },
    frozenset({"normalisation"}),
    frozenset(f"aten::{name}" for name in (*_TRAINING, "native_layer_norm", "layer_norm", "native_group_norm")),
)
