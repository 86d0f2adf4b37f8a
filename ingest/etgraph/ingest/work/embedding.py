"""Embeddings and their bags, forward and backward, and lookups by index.

Which rows are looked up twice is in the values of a tensor, not in its dims: every lookup is taken to touch a row of
its own, but never more than the table has. A lookup takes no operations; a bag takes one addition an element looked up
(two operations with a weight of each sample), and so does its gradient. Of `index` and `index_put`, whose indices are
lists of tensors that Kineto leaves out, only the elements are counted, not the indices; the size of the result is then
that of its gradient in the autograd node of the same sequence number. What a bag notes for its gradient (the bag of
each index, the sizes of bags) is not counted.
"""

from __future__ import annotations

from functools import partial

from etgraph.ingest.work.call import Call, Family, Formula, Work, moved, same
from etgraph.model.tensors import BOOL, Tensor, Unknown, broadcast


def looked_up(table: Tensor, lookups: int) -> Tensor:
    """The elements of a table that so many lookups touch, at most all of it."""
    if len(table.dims) < 1:
        raise Unknown
    width = Tensor(table.dims[1:]).numel
    return table.like(min(lookups, table.dims[0]), width)


def _embedding(call: Call) -> Work:
    """`embedding` (weight, indices, …)."""
    weight, indices = call.tensor(0), call.tensor(1)
    rows = looked_up(weight, indices.numel)
    return moved(rows, indices, weight.like(*indices.dims, *weight.dims[1:]))


def _embedding_backward(call: Call) -> Work:
    """`embedding_dense_backward` (grad_output, indices, num_weights, …): the whole gradient is written."""
    grad, indices = call.tensor(0), call.tensor(1)
    try:
        table = [grad.like(call.integer(2), grad.dims[-1])]
    except (Unknown, IndexError):
        return Work(grad.arithmetic, None)
    return Work(grad.arithmetic, [grad, indices, *table])


def _bag(call: Call) -> Work:
    """`_embedding_bag` (weight, indices, offsets, scale, mode, sparse, per_sample_weights, include_last_offset, …)."""
    weight, indices, offsets = call.tensor(0), call.tensor(1), call.tensor(2)
    samples = call.maybe(6)
    elements = weight.like(indices.numel, *weight.dims[1:])
    flops = (2 if samples else 1) * elements.arithmetic
    try:
        bags = offsets.numel - call.flag(7)
    except Unknown:
        return Work(flops, None)
    out = weight.like(bags, *weight.dims[1:])
    return Work(flops, [looked_up(weight, indices.numel), *call.tensors(1), out])


def _bag_backward(call: Call) -> Work:
    """`_embedding_bag_dense_backward` (grad, indices, offset2bag, bag_size, maximum_indices, num_weights, …)."""
    grad, indices = call.tensor(0), call.tensor(1)
    if len(grad.dims) != 2:
        raise Unknown
    added = grad.like(indices.numel, grad.dims[1]).arithmetic
    try:
        table = grad.like(call.integer(5), grad.dims[1])
    except Unknown:
        return Work(added, None)
    return Work(added, [grad, indices, table])


def _index_select(call: Call) -> Work:
    """(self, dim, index)."""
    x, index = call.tensor(0), call.tensor(2)
    dim = 0 if len(x.dims) == 1 else call.integer(1)
    if not -len(x.dims) <= dim < len(x.dims):
        raise Unknown
    dims = list(x.dims)
    dims[dim] = index.numel
    out = x.like(*dims)
    return moved(x if out.numel > x.numel else out, index, out)


def _gather(call: Call) -> Work:
    """(self, dim, index)."""
    x, index = call.tensor(0), call.tensor(2)
    out = x.like(*index.dims)
    return moved(x if out.numel > x.numel else out, index, out)


def _scatter(call: Call, *, adds: bool) -> Work:
    """`scatter_add_`, `index_add_`, `index_copy_` (self, dim, index, source, …): self is changed where indexed."""
    x, index, source = call.tensor(0), call.tensor(2), call.tensor(3)
    changed = x if source.numel > x.numel else source.typed(x.dtype)
    return Work(source.arithmetic if adds else 0, [index, source, *([changed, changed] if adds else [changed])])


def _index(call: Call) -> Work:
    """(self, indices) where the leading dims are indexed by tensors of numbers, the rest is kept."""
    x = call.tensor(0)
    indices = call.inputs[1] if len(call.inputs) > 1 else None
    if not isinstance(indices, list) or any(index.dtype is None for index in indices):
        out = x.like(*call.gradient().dims)
        return moved(x if out.numel > x.numel else out, out)
    if len(indices) > len(x.dims) or any(not index.dims for index in indices):
        raise Unknown
    # A mask has as many dims as it selects from, and its result depends on its values.
    if any(index.dtype is BOOL for index in indices):
        raise Unknown
    out = x.like(*broadcast(indices), *x.dims[len(indices) :])
    return moved(x if out.numel > x.numel else out, out)


def _index_put(call: Call) -> Work:
    """`_index_put_impl_` (self, indices, values, accumulate, …): self is changed, or added to, where it is indexed."""
    x, values, adds = call.tensor(0), call.tensor(2), call.flag(3)
    changed = x if values.numel > x.numel else values.typed(x.dtype)
    return Work(values.arithmetic if adds else 0, [values, changed, *([changed] if adds else [])])


_BAGS: dict[str, Formula] = {
    **same(_embedding_backward, ("embedding_dense_backward", "embedding_backward")),
    **same(_bag, ("_embedding_bag", "_embedding_bag_forward_only", "embedding_bag")),
    "aten::_embedding_bag_dense_backward": _bag_backward,
}
LOOKUP_FAMILY = Family(
    "lookup",
    "0, where something is added 1 an element of it",
    "a row for each lookup, at most the table; indices and result",
    {
        "aten::embedding": _embedding,
        "aten::index_select": _index_select,
        "aten::gather": _gather,
        "aten::index": _index,
        "aten::_index_put_impl_": _index_put,
        **same(partial(_scatter, adds=True), ("scatter_add_", "scatter_add", "index_add_", "index_add")),
        **same(partial(_scatter, adds=False), ("index_copy_", "index_copy", "scatter_")),
    },
    frozenset({"lookup"}),
    frozenset({"aten::index_select", "aten::_index_put_impl_"}),
)
BAG_FAMILY = Family(
    "embedding bag",
    "1 an element looked up, 2 with weights; gradients of embeddings likewise",
    "a row for each lookup, at most the table; indices and result, or the whole gradient",
    _BAGS,
    # They look indices up themselves, to sort them; that is not the work of the bag.
    frozenset({"embedding bag"}),
    frozenset(_BAGS),
)
