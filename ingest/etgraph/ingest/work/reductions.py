"""Sums and their kind over some or all dims, running sums and sorting: so many operations an element of the input.

A sum takes one addition an element (one less for each result, which is not subtracted), a maximum one comparison. The
variance takes four (the mean, a subtraction, a square, an addition), a norm two. Which dims go is an argument; where it
is not recorded the size of the result is unknown, and so are the bytes, but not the operations. How often sorting
compares depends on the values: unknown for floating types.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from etgraph.ingest.work.call import Call, Dims, Family, Formula, Work, same
from etgraph.model.tensors import BOOL, INT64, Dtype, Tensor, Unknown


def _kept(x: Tensor, dims: Any, keep: bool) -> Dims:
    """The dims of a reduced tensor. An empty list, or None, stands for all dims."""
    chosen = [] if dims is None else dims if isinstance(dims, list) else [dims]
    rank = len(x.dims)
    if any(d.__class__ is not int or not -rank <= d < rank for d in chosen):
        raise Unknown
    gone = {d % rank for d in chosen} if chosen else set(range(rank))
    return tuple(1 if at in gone else n for at, n in enumerate(x.dims) if keep or at not in gone)


def _reduced(
    call: Call, *, each: int, full: int, dims: int, keep: int, out: int, result: Dtype | None = None, dtype: int = -1
) -> Work:
    """A reduction: `full` inputs where it is over all dims, else arguments at `dims` and `keep`, a result at `out`."""
    x = call.tensor(0)
    flops = each * x.arithmetic if x.dtype is not None else None
    written: Tensor | None = call.maybe(out)
    if written is None:
        try:
            if len(call.inputs) <= full:
                size: Dims = ()
            else:
                size = _kept(x, call.argument(dims), call.flag(keep))
            asked = dtype >= 0 and len(call.inputs) > full and call.argument(dtype) is not None
            kind = None if asked else result or (INT64 if x.dtype and x.dtype.kind < 2 and dtype >= 0 else x.dtype)
            written = Tensor(size, kind)
        except Unknown:
            return Work(flops, None)
    return Work(flops, [x, written])


def _with_places(call: Call, *, each: int) -> Work:
    """`max` and `min`: of all elements (self), or along a dim with places (self, dim, keepdim), or of two tensors."""
    x, other = call.tensor(0), call.maybe(1)
    flops = each * x.arithmetic
    if other is not None:
        if other.dims != x.dims:
            raise Unknown
        return Work(flops, [x, other, x])
    if len(call.inputs) == 1:
        return Work(flops, [x, x.like()])
    try:
        kept = x.like(*_kept(x, call.argument(1), call.flag(2)))
    except Unknown:
        return Work(flops, None)
    return Work(flops, [x, kept, kept.typed(INT64)])


def _running(call: Call) -> Work:
    """A running sum has the size of its input; integers become int64. An `out` form may have the result first."""
    tensors = call.tensors()
    if not tensors:
        raise Unknown
    x = tensors[0]
    written = tensors[1] if len(tensors) > 1 else x.typed(INT64) if x.dtype and x.dtype.kind < 2 else x
    if written.dims != x.dims:
        raise Unknown
    return Work(x.arithmetic, [x, written])


def _sort(call: Call) -> Work:
    """`sort` (self, …) gives the values in order and their places, `topk` (self, k, dim, …) the first k of them."""
    x = call.tensor(0)
    out = x
    if call.name == "aten::topk":
        dim, count = call.argument(2), call.integer(1)
        kept = _kept(x, [dim], keep=True)
        out = x.like(*(count if n != k else k for n, k in zip(x.dims, kept, strict=True)))
        if out.numel > x.numel:
            raise Unknown
    return Work(0 if x.dtype and x.dtype.kind < 2 else None, [x, out, out.typed(INT64)])


def _by(each: int, **places: Any) -> Formula:
    return partial(_reduced, each=each, **places)


_DIMS = {"full": 2, "dims": 1, "keep": 2, "out": 4, "dtype": 3}

FAMILY = Family(
    "reductions",
    "1 an element of the input (variance 4, norm and log-sum-exp more), integers none",
    "input and result; null where the reduced dims are not recorded",
    {
        **same(_by(1, **_DIMS), ("sum", "nansum", "mean")),
        "aten::prod": _by(1, full=2, dims=1, keep=2, out=4, dtype=3),
        **same(_by(1, full=1, dims=1, keep=2, out=3), ("amax", "amin")),
        **same(_by(1, full=1, dims=1, keep=2, out=3, result=INT64), ("argmax", "argmin")),
        **same(_by(0, full=1, dims=1, keep=2, out=3, result=BOOL), ("any", "all")),
        **same(_by(4, full=2, dims=1, keep=3, out=4), ("var", "std")),
        "aten::logsumexp": _by(4, full=0, dims=1, keep=2, out=3),
        "aten::linalg_vector_norm": _by(2, full=0, dims=2, keep=3, out=5),
        "aten::norm": _by(2, full=2, dims=2, keep=3, out=5),
        **same(partial(_with_places, each=1), ("max", "min")),
        **same(_sort, ("sort", "topk")),
        **same(_running, ("cumsum", "cumsum_", "cumprod", "logcumsumexp")),
    },
    frozenset({"reductions"}),
    frozenset(f"aten::{name}" for name in
              ("sum", "nansum", "mean", "prod", "amax", "amin", "argmax", "argmin", "any", "all", "var", "std",
               "logsumexp", "linalg_vector_norm", "norm", "max", "min", "topk")),
)  # fmt: skip
