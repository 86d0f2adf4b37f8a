"""Optimizer kernels: whole lists of tensors in one call.

`_foreach_NAME` does to every tensor what `NAME` does elementwise. The fused steps, operations an element of the
parameters (Kingma and Ba 2014, Loshchilov and Hutter 2017; PyTorch's `fused_adam_utils.cuh`, `FusedSgdKernel.cu`):
Adam 13 — first moment 3, second moment 4, root, division and addition of the denominator 3, step 3 — and 2 more for
weight decay in the gradient, 1 for AdamW's decay of the parameter, 1 for AMSGrad. SGD 2, momentum 3, Nesterov 2, weight
decay 2, each where it is on. Adagrad 7 and 2.
"""

from __future__ import annotations

from functools import partial

from etgraph.ingest.work.call import Call, Family, Formula, Work
from etgraph.ingest.work.elementwise import RULES
from etgraph.model.tensors import Tensor, Unknown

_FOREACH = ("add", "sub", "mul", "div", "addcmul", "addcdiv", "lerp", "sqrt", "neg", "abs", "exp", "reciprocal",
            "maximum", "minimum", "clamp_min", "clamp_max", "pow")  # fmt: skip


def _arithmetic(tensors: list[Tensor], each: int) -> int | None:
    """Operations of so many an element; types are often left out of lists, which then are of floating type."""
    if any(t.dtype is not None and t.dtype.kind != 2 for t in tensors):
        return None
    return each * sum(t.numel for t in tensors)


def _foreach(call: Call, *, each: int) -> Work:
    """Lists of equal length; the first is changed in place, or a list like it is written."""
    lists = [x for x in call.inputs if isinstance(x, list)]
    if not lists:
        raise Unknown
    return Work(_arithmetic(lists[0], each), [*(t for x in lists for t in x), *call.tensors(), *lists[0]])


def _foreach_copy(call: Call) -> Work:
    return Work(0, [*call.tensor_list(0), *call.tensor_list(1)])


def _foreach_zero(call: Call) -> Work:
    return Work(0, call.tensor_list(0))


def _foreach_norm(call: Call) -> Work:
    tensors = call.tensor_list(0)
    return Work(_arithmetic(tensors, 2), [*tensors, *(t.like() for t in tensors)])


def _unscale(call: Call) -> Work:
    """`_amp_foreach_non_finite_check_and_unscale_` (self[], found_inf, inv_scale)."""
    tensors = call.tensor_list(0)
    return Work(_arithmetic(tensors, 2), [*tensors, *tensors, *call.tensors()])


def _adam(call: Call, *, decoupled: bool) -> Work:
    """(self[], grads[], exp_avgs[], exp_avg_sqs[], max_exp_avg_sqs[], state_steps[], lr, β₁, β₂, weight_decay, …)."""
    parameters, gradients, first, second = (call.tensor_list(at) for at in range(4))
    largest = call.inputs[4] if isinstance(call.inputs[4], list) else []
    changed = [*parameters, *first, *second, *(largest or [])]
    try:
        decay = bool(call.argument(9))
        each = 13 + (1 if decoupled else 2) * decay + bool(largest)
        flops = _arithmetic(parameters, each)
    except Unknown:
        flops = None
    return Work(flops, [*gradients, *changed, *changed])


def _sgd(call: Call) -> Work:
    """(self[], grads[], momentum_buffer_list[], weight_decay, momentum, lr, dampening, nesterov, …)."""
    parameters, gradients = call.tensor_list(0), call.tensor_list(1)
    buffers = call.inputs[2] if isinstance(call.inputs[2], list) else []
    changed = [*parameters, *(buffers or [])]
    try:
        decay, momentum, nesterov = bool(call.argument(3)), bool(call.argument(4)), call.flag(7)
        flops = _arithmetic(parameters, 2 + 3 * momentum + 2 * (momentum and nesterov) + 2 * decay)
    except Unknown:
        flops = None
    return Work(flops, [*gradients, *changed, *changed])


def _adagrad(call: Call) -> Work:
    """(self[], grads[], state_sums[], state_steps[], lr, lr_decay, weight_decay, …)."""
    parameters, gradients, sums = (call.tensor_list(at) for at in range(3))
    try:
        flops = _arithmetic(parameters, 7 + 2 * bool(call.argument(6)))
    except Unknown:
        flops = None
    return Work(flops, [*gradients, *parameters, *sums, *parameters, *sums])


def _formulas() -> dict[str, Formula]:
    found: dict[str, Formula] = {}
    for name in _FOREACH:
        formula = partial(_foreach, each=RULES[name].flops)
        found |= {f"aten::_foreach_{name}": formula, f"aten::_foreach_{name}_": formula}
    return found


FAMILY = Family(
    "optimizer",
    "lists as the elementwise operator; fused Adam 13 an element, SGD 2 to 9, Adagrad 7, and weight decay",
    "parameters and state read and written, gradients read",
    {
        **_formulas(),
        "aten::_foreach_copy_": _foreach_copy,
        "aten::_foreach_zero_": _foreach_zero,
        "aten::_foreach_norm": _foreach_norm,
        "aten::_amp_foreach_non_finite_check_and_unscale_": _unscale,
        "aten::_fused_adam_": partial(_adam, decoupled=False),
        "aten::_fused_adamw_": partial(_adam, decoupled=True),
        "aten::_fused_sgd_": _sgd,
        "aten::_fused_adagrad_": _adagrad,
    },
    # Without a fused kernel a list is treated tensor by tensor.
    frozenset({"optimizer", "elementwise", "copies", "reductions"}),
    frozenset({"aten::_fused_adam_", "aten::_fused_adamw_", "aten::_fused_sgd_", "aten::_fused_adagrad_"}),
)
