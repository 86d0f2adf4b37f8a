"""Operators that treat every element by itself: so many operations an element of the result.

One operation is an addition, multiplication, division, comparison, maximum, rounding, or elementary function (exp,
log, erf, tanh, sqrt, power …), counted along the textbook formula, which stands beside each group. Integers and truth
values take none, complex numbers twice as many. A choice (`where`, `masked_fill`) moves data and takes none. Scalars
that are multiplied in by a call's keyword (`alpha`) are not counted.

The result has the dims that the inputs have together; an operator whose name ends in `_` writes its first input. Every
input is read once, the result written once; an operand that is an expanded or repeated tensor counts at its full dims.
"""

from __future__ import annotations

from typing import NamedTuple

from etgraph.ingest.work.call import Call, Family, Formula, Work
from etgraph.model.tensors import BOOL, FLOAT32, Dtype, Tensor, Unknown, broadcast, promoted


class Rule(NamedTuple):
    """Operations an element, number of inputs before an `out` tensor, and whether the result is a truth value."""

    flops: int
    inputs: int
    truth: bool = False


_UNARY = {
    1: "abs neg exp exp2 expm1 log log2 log10 log1p sqrt sin cos tan asin acos atan sinh cosh tanh erf erfc erfinv "
    "reciprocal square relu ceil floor round trunc sign lgamma digamma",
    2: "rsqrt frac relu6",
    # x / (1 + exp(-x)): negation, exp, addition, division
    4: "sigmoid silu",
    # min(x, 0) - log1p(exp(-|x|)): absolute value, negation, exp, log1p, minimum, subtraction
    6: "log_sigmoid log_sigmoid_forward",
    # x · tanh(log1p(exp(x)))
    5: "mish",
}
_BINARY = {
    1: "mul div true_divide divide multiply floor_divide fmod remainder maximum minimum fmax fmin pow atan2 "
    "threshold leaky_relu bitwise_and bitwise_or bitwise_xor",
    # y (1 - y) g, (1 - y²) g
    3: "sigmoid_backward tanh_backward",
}
RULES: dict[str, Rule] = {
    **{name: Rule(n, 1) for n, names in _UNARY.items() for name in names.split()},
    **{name: Rule(n, 2) for n, names in _BINARY.items() for name in names.split()},
    **{name: Rule(1, 2, truth=True) for name in ("eq", "ne", "lt", "le", "gt", "ge", "less", "greater")},
    **{name: Rule(0, 2, truth=True) for name in ("logical_and", "logical_or", "logical_xor")},
    **{name: Rule(1, 1, truth=True) for name in ("isnan", "isinf", "isfinite")},
    "logical_not": Rule(0, 1, truth=True),
    "bitwise_not": Rule(0, 1),
    "add": Rule(1, 3),
    "sub": Rule(1, 3),
    "subtract": Rule(1, 3),
    "rsub": Rule(1, 3),
    # self + value · a · b, self + value · a / b, a + w · (b - a)
    "addcmul": Rule(3, 4),
    "addcdiv": Rule(3, 4),
    "lerp": Rule(3, 3),
    "clamp": Rule(2, 3),
    "clamp_min": Rule(1, 2),
    "clamp_max": Rule(1, 2),
    "hardtanh": Rule(2, 3),
    "hardswish": Rule(5, 1),
    "hardsigmoid": Rule(4, 1),
    "elu": Rule(4, 4),
    "softplus": Rule(4, 3),
    "nan_to_num": Rule(1, 4),
    # log(x / (1 - x))
    "logit": Rule(3, 2),
    "logit_backward": Rule(3, 3),
    # 0.5 x (1 + erf(x / √2)); its gradient adds x · exp(-x²/2) / √(2π)
    "gelu": Rule(5, 2),
    "gelu_backward": Rule(12, 3),
    "silu_backward": Rule(7, 2),
    "log_sigmoid_backward": Rule(6, 3),
    "threshold_backward": Rule(1, 3),
    "leaky_relu_backward": Rule(1, 4),
    "hardtanh_backward": Rule(2, 4),
    "elu_backward": Rule(4, 6),
    "where": Rule(0, 3),
    "masked_fill": Rule(0, 3),
    # mask and scale
    "native_dropout_backward": Rule(2, 3),
}
_FLOATING = frozenset(
    ("div", "true_divide", "divide", "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "sqrt", "sin", "cos",
     "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh", "erf", "erfc", "erfinv", "reciprocal", "rsqrt", "sigmoid",
     "logit", "lgamma", "digamma", "atan2")
)  # fmt: skip
_TYPE_OF_FIRST = frozenset({"masked_fill", "native_dropout_backward"})


def elementwise(name: str) -> Formula:
    """The formula of one operator by its rule; `name` may end in `_`."""
    base = name.removesuffix("_")
    rule, in_place = RULES[base], name != base

    def formula(call: Call) -> Work:
        operands = call.tensors(end=rule.inputs)
        if not operands:
            raise Unknown
        dims, dtype = broadcast(operands), _type(call, base, operands)
        if in_place:
            out = call.tensor(0)
        else:
            out = call.maybe(rule.inputs) or Tensor(dims, BOOL if rule.truth else dtype)
        if rule.flops and dtype is None and not in_place:
            return Work(None, [*operands, out])
        each = Tensor(dims, operands[0].dtype if in_place else dtype)
        return Work(rule.flops * each.arithmetic if rule.flops else 0, [*operands, out])

    return formula


def _type(call: Call, base: str, operands: list[Tensor]) -> Dtype | None:
    """The type in which the operands meet, None where that depends on what is not recorded."""
    if base in _TYPE_OF_FIRST:
        return operands[0].dtype
    dtype = promoted(operands[1:] if base == "where" else operands)
    if dtype is not None and dtype.kind == 3 and base == "abs":
        return None
    if dtype is None or dtype.kind >= 2:
        return dtype
    if base in _FLOATING:
        # With a third argument, the rounding mode, the quotient of integers may be one.
        return None if len(call.inputs) > 2 and call.maybe(2) is None else FLOAT32
    # An integer tensor and a number: a fraction would make the result floating. Between tensors it could not be one.
    number = len(operands) == 1 and len(call.inputs) > 1 and not RULES[base].truth
    return None if number else dtype


def _dropout(call: Call) -> Work:
    """`native_dropout`: the result and its mask; the random numbers are not counted."""
    x = call.tensor(0)
    return Work(2 * x.arithmetic, [x, x, x.typed(BOOL)])


FAMILY = Family(
    "elementwise",
    "so many an element of the result, by the operator",
    "inputs and result, each once; what is changed in place is read and written",
    {
        **{f"aten::{name}": elementwise(name) for name in RULES},
        **{f"aten::{name}_": elementwise(name + "_") for name in RULES if "backward" not in name},
        "aten::native_dropout": _dropout,
    },
    frozenset({"elementwise"}),
)
