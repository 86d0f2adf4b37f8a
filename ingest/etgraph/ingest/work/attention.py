"""Scaled dot-product attention forward and backward, as `torch.utils.flop_counter` counts it.

Forward: the scores q·kᵀ and their product with v, 2·b·h·s·t·(d + e) for b batches, h heads of the query, s queries, t
keys, widths d of the keys and e of the values. Backward: the scores again, two products with the gradient, two with
its gradient, 2·b·h·s·t·(3·d + 2·e). The softmax is not counted, and neither is what a causal mask leaves out: the
numbers are those of the full square.

Batches of sequences of different lengths (`cum_seq`) stay unknown, since their lengths are values of a tensor. The
counter takes `_efficient_attention_…` for batch × heads × positions, but it is batch × positions × heads; here it
counts like the operator around it.
"""

from __future__ import annotations

from etgraph.ingest.work.call import Call, Family, Formula, Work
from etgraph.ingest.work.matmul import MATMUL
from etgraph.model.tensors import FLOAT32, Tensor, Unknown

_HEADS_FIRST = ("efficient_attention", "flash_attention", "flash_attention_for_cpu", "cudnn_attention")


def _sizes(query: Tensor, key: Tensor, value: Tensor, heads_first: bool) -> tuple[int, int, int, int, int, int]:
    """Batch, heads, queries, keys, width of keys, width of values. Raises Unknown where the dims do not fit."""
    if not len(query.dims) == len(key.dims) == len(value.dims) == 4:
        raise Unknown
    (b, h, s, d), (b2, h2, t, d2), (b3, h3, t3, e) = (
        dims if heads_first else (dims[0], dims[2], dims[1], dims[3]) for dims in (query.dims, key.dims, value.dims)
    )
    if not b == b2 == b3 or d != d2 or t != t3 or h2 != h3 or not h2 or h % h2:
        raise Unknown
    return b, h, s, t, d, e


def _forward(heads_first: bool, lengths: tuple[int, ...] = (), sums: bool = True) -> Formula:
    """The formula of a forward operator; at `lengths` it has the ends of sequences, if they differ."""

    def formula(call: Call) -> Work:
        query, key, value = call.tensor(0), call.tensor(1), call.tensor(2)
        if any(call.maybe(at) is not None for at in lengths):
            raise Unknown
        b, h, s, t, d, e = _sizes(query, key, value, heads_first)
        out = query.like(*query.dims[:3], e)
        log_sums = [Tensor((b, h, s), FLOAT32)] if sums else []
        return Work(2 * b * h * s * t * (d + e), [*call.tensors(), out, *log_sums])

    return formula


def _backward(heads_first: bool, lengths: tuple[int, ...] = ()) -> Formula:
    """The formula of a backward operator: gradient, query, key, value, and what the forward one kept."""

    def formula(call: Call) -> Work:
        query, key, value = call.tensor(1), call.tensor(2), call.tensor(3)
        if any(call.maybe(at) is not None for at in lengths):
            raise Unknown
        b, h, s, t, d, e = _sizes(query, key, value, heads_first)
        if call.tensor(0).dims != (*query.dims[:3], e):
            raise Unknown
        return Work(2 * b * h * s * t * (3 * d + 2 * e), [*call.tensors(), query, key, value])

    return formula


def _formulas() -> dict[str, Formula]:
    plain = _forward(heads_first=True, sums=False)
    found = {"aten::scaled_dot_product_attention": plain, "aten::_scaled_dot_product_attention_math": plain}
    for kind in _HEADS_FIRST:
        # Whether the memory-efficient one returns its sums is an argument.
        found[f"aten::_scaled_dot_product_{kind}"] = _forward(True, sums=kind != "efficient_attention")
        found[f"aten::_scaled_dot_product_{kind}_backward"] = _backward(True)
    found["aten::_flash_attention_forward"] = _forward(False, lengths=(3, 4))
    found["aten::_flash_attention_backward"] = _backward(False, lengths=(6, 7))
    found["aten::_efficient_attention_forward"] = _forward(False, lengths=(4, 5), sums=False)
    found["aten::_efficient_attention_backward"] = _backward(False, lengths=(6, 7))
    return found


FAMILY = Family(
    "attention",
    "2·b·h·s·t·(d + e) forward, 2·b·h·s·t·(3·d + 2·e) backward; masks leave nothing out",
    "query, key, value, mask, output and what is kept for the gradient, or the gradients, each once",
    _formulas(),
    MATMUL,
)
