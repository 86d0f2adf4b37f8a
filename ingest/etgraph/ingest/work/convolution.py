"""Convolutions forward and backward, transposed and in groups, as `torch.utils.flop_counter` counts them.

Every output element is a sum over the filter and the input channels of its group: 2 · batch · output positions ·
elements of the weight (output channels × input channels of a group × filter). A transposed convolution spreads every
input element instead: input positions take the place of output positions. The gradients of input and weight take as
much each. A bias is not counted.

Of a grouped convolution the counter takes the gradient of the weight for `groups` times what it is (it multiplies all
channels with all); here it is counted as what it is, so there the two differ by that factor.

The output's dims follow from stride, padding and dilation where these are recorded. Older traces have none of them:
there they are those of the gradient in the convolutions backward of the same trace with these dims of input and weight,
where all of them agree. What one half of a backward convolution lacks (`cudnn_convolution_backward_weight` does not
record the weight) the operator around it has.
"""

from __future__ import annotations

from math import prod
from typing import NamedTuple

from etgraph.ingest.work.call import Call, Dims, Family, Work
from etgraph.ingest.work.matmul import MATMUL
from etgraph.model.tensors import Tensor, Unknown


class Layout(NamedTuple):
    """Where an operator has its arguments; -1 for one that it does not have."""

    stride: int
    padding: int
    dilation: int = -1
    groups: int = -1
    transposed: bool | int = False
    output_padding: int = -1


def convolutions() -> dict[str, Layout]:
    """The forward operators and their arguments, by PyTorch's `native_functions.yaml`."""
    plain, spread = Layout(3, 4, 5, 6), Layout(3, 4, 7, 6, True, 5)
    general = Layout(3, 4, 5, 8, 6, 7)
    named = {
        "convolution": general,
        "_convolution": general,
        "convolution_overrideable": general,
        "cudnn_convolution": Layout(3, 2, 4, 5),
        "cudnn_convolution_relu": plain,
        "cudnn_convolution_add_relu": Layout(5, 6, 7, 8),
        "cudnn_convolution_transpose": Layout(4, 2, 5, 6, True, 3),
        "miopen_convolution": Layout(4, 3, 5, 6),
        "miopen_convolution_relu": plain,
        "miopen_depthwise_convolution": Layout(4, 3, 5, 6),
        "miopen_convolution_transpose": Layout(5, 3, 6, 7, True, 4),
        "mkldnn_convolution": Layout(4, 3, 5, 6),
        "thnn_conv2d": Layout(4, 5),
        "_slow_conv2d_forward": Layout(4, 5),
        "slow_conv3d": Layout(4, 5),
        "slow_conv3d_forward": Layout(4, 5),
        "_conv_depthwise2d": Layout(4, 5, 6),
        "conv_depthwise3d": Layout(4, 5, 6),
    }
    by_dims = {f"conv{n}d": plain for n in (1, 2, 3)} | {f"conv_transpose{n}d": spread for n in (1, 2, 3)}
    return {f"aten::{name}": layout for name, layout in (named | by_dims).items()}


HALVES = frozenset(f"aten::{library}_convolution_backward_{half}"
                   for library in ("cudnn", "miopen") for half in ("input", "weight"))  # fmt: skip
"""Operators that compute one gradient, within one that records the dims of both."""
FORWARD = convolutions()
TRIPLES = {
    "aten::convolution_backward": (1, 2, 0),
    "aten::cudnn_convolution_backward": (0, 2, 1),
    "aten::miopen_convolution_backward": (0, 2, 1),
    "aten::mkldnn_convolution_backward": (0, 2, 1),
}
"""Operators that record input, weight and the gradient of the output, and where they have them."""


def _groups(x: Tensor, weight: Tensor, transposed: bool) -> int:
    """How many groups the channels of the input and the weight make. Raises Unknown where they do not fit."""
    channels, per_group = x.dims[1], weight.dims[0 if transposed else 1]
    if transposed:
        if channels != per_group:
            raise Unknown
        return 1
    if not per_group or channels % per_group:
        raise Unknown
    return channels // per_group


def _batched(x: Tensor, weight: Tensor) -> Tensor:
    if len(x.dims) == len(weight.dims) - 1:
        return x.like(1, *x.dims)
    if len(x.dims) != len(weight.dims) or len(x.dims) < 3:
        raise Unknown
    return x


def _forward(call: Call) -> Work:
    layout = FORWARD[call.name]
    weight = call.tensor(1)
    x = _batched(call.tensor(0), weight)
    transposed = layout.transposed if isinstance(layout.transposed, bool) else call.flag(layout.transposed)
    out = _output(call, layout, x, weight, transposed)
    if transposed:
        _groups(x, weight, transposed=True)
        flops = 2 * prod(x.dims[2:]) * x.dims[0] * weight.numel
    elif out is not None:
        _groups(x, weight, transposed=False)
        flops = 2 * prod(out[2:]) * x.dims[0] * weight.numel
    else:
        raise Unknown
    return Work(flops, None if out is None else [*call.tensors(), x.like(*out)])


def _output(call: Call, layout: Layout, x: Tensor, weight: Tensor, transposed: bool) -> Dims | None:
    try:
        return _computed(call, layout, x, weight, transposed)
    except Unknown:
        if transposed:
            return None
        if call.arguments is None and call.backward is not None:
            return call.backward.output(x.dims, weight.dims)
        raise


def _computed(call: Call, layout: Layout, x: Tensor, weight: Tensor, transposed: bool) -> Dims:
    """The output's dims by `torch.nn.ConvNd` and `ConvTransposeNd`."""
    space = len(x.dims) - 2
    stride, padding = call.integers(layout.stride, space), call.integers(layout.padding, space)
    dilation = call.integers(layout.dilation, space) if layout.dilation >= 0 else (1,) * space
    groups = call.integer(layout.groups) if layout.groups >= 0 else 1
    if groups < 1 or any(s < 1 for s in stride):
        raise Unknown
    reach = [d * (k - 1) for d, k in zip(dilation, weight.dims[2:], strict=True)]
    if transposed:
        more = call.integers(layout.output_padding, space)
        sizes = [
            (n - 1) * s - 2 * p + r + m + 1
            for n, s, p, r, m in zip(x.dims[2:], stride, padding, reach, more, strict=True)
        ]
        channels = weight.dims[1] * groups
    else:
        sizes = [(n + 2 * p - r - 1) // s + 1 for n, s, p, r in zip(x.dims[2:], stride, padding, reach, strict=True)]
        channels = weight.dims[0]
        if x.dims[1] != weight.dims[1] * groups:
            raise Unknown
    if any(n < 0 for n in sizes):
        raise Unknown
    return (x.dims[0], channels, *sizes)


def _backward(call: Call) -> Work:
    """Both gradients in one operator; which of them, an argument says."""
    x, weight, grad = (call.tensor(at) for at in TRIPLES[call.name])
    general = call.name == "aten::convolution_backward"
    mask = call.argument(10 if general else len(call.inputs) - 1)
    transposed = call.flag(7) if general else False
    if not isinstance(mask, list) or len(mask) < 2 or any(m.__class__ is not bool for m in mask):
        raise Unknown
    return _gradients(x, weight, grad, transposed, mask)


def _gradients(x: Tensor, weight: Tensor, grad: Tensor, transposed: bool, mask: list[bool]) -> Work:
    if not len(x.dims) == len(weight.dims) == len(grad.dims) >= 3 or x.dims[0] != grad.dims[0]:
        raise Unknown
    positions = prod((x if transposed else grad).dims[2:])
    each = 2 * x.dims[0] * positions * weight.numel
    touched = [grad]
    if mask[0]:
        touched += [weight, x]
    if mask[1]:
        touched += [x, weight]
    if len(mask) > 2 and mask[2]:
        touched.append(grad.like(grad.dims[1]))
    return Work(each * (mask[0] + mask[1]), touched)


def _backward_input(call: Call) -> Work:
    """`cudnn_convolution_backward_input` (self_size, grad_output, weight, …)."""
    grad, weight = call.tensor(1), call.tensor(2)
    x = _recorded(call, 0) or _around(call, 0)
    _fit(grad, weight)
    written = None if x is None else [grad, weight, grad.like(*x)]
    return Work(2 * grad.dims[0] * prod(grad.dims[2:]) * weight.numel, written)


def _backward_weight(call: Call) -> Work:
    """`cudnn_convolution_backward_weight` (weight_size, grad_output, self, …)."""
    grad, x = call.tensor(1), call.tensor(2)
    dims = _recorded(call, 0) or _around(call, 2)
    if dims is None:
        raise Unknown
    weight = x.like(*dims)
    _fit(grad, weight)
    return Work(2 * grad.dims[0] * prod(grad.dims[2:]) * weight.numel, [grad, x, weight])


def _fit(grad: Tensor, weight: Tensor) -> None:
    if len(grad.dims) != len(weight.dims) or len(grad.dims) < 3 or grad.dims[1] != weight.dims[0]:
        raise Unknown


def _recorded(call: Call, position: int) -> Dims | None:
    """Dims that are recorded as an argument."""
    value = call.arguments[position] if call.arguments and position < len(call.arguments) else None
    if isinstance(value, list) and value and all(v.__class__ is int and v >= 0 for v in value):
        return tuple(value)
    return None


def _around(call: Call, position: int) -> Dims | None:
    """Dims from the operator around it, which has input, gradient and weight."""
    found = call.partner[position] if call.partner and position < len(call.partner) else None
    return found.dims if isinstance(found, Tensor) else None


FAMILY = Family(
    "convolution",
    "2 · batch · output positions (transposed: input positions) · elements of the weight, forward and each gradient",
    "input, weight, bias and output, or the gradients, each once",
    {
        **dict.fromkeys(FORWARD, _forward),
        **dict.fromkeys(TRIPLES, _backward),
        "aten::cudnn_convolution_backward_input": _backward_input,
        "aten::miopen_convolution_backward_input": _backward_input,
        "aten::cudnn_convolution_backward_weight": _backward_weight,
        "aten::miopen_convolution_backward_weight": _backward_weight,
    },
    MATMUL,
    frozenset({*FORWARD, *TRIPLES, *HALVES}),
)
