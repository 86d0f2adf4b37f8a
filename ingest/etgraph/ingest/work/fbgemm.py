"""FBGEMM's operators of recommender models: batched embeddings, permutations, quantisation.

A batched lookup (table batched embedding) reads rows of several tables at once, sums them into bags and writes
batch × total width; its backward node adds the gradients up and updates the rows in the same kernel. The forward call
records tables and lookups, the backward one batch and total width: each is computed with the other as `partner`. Where
tables differ in width, the dims do not say how lookups spread over them: every lookup is taken to be of the mean width,
which is exact where widths are equal. As in other embeddings every lookup touches a row of its own, but never
more than the tables hold.

Operations: one addition an element looked up (two operations with weights) forward, the same for the gradients
backward, and the update of the elements touched: SGD 2, row-wise Adagrad 4 (square, sum, scaling, subtraction), Adagrad
7, Adam 13.

Source: FBGEMM's generated `split_embedding_codegen_lookup_*_function` (arguments in the order of its schema),
`permute_pooled_embs`, `permute_2D_sparse_data`, and its fp8 row-wise format (two floats beside each row).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from etgraph.ingest.work.call import Call, Family, Work, moved
from etgraph.model.tensors import FLOAT32, UINT8, Input, Tensor, Unknown

LOOKUP = re.compile(r"^fbgemm::(?:split|dense)_embedding_codegen_lookup_(?:(\w+?)_)?function(?:_pt2)?$")
UPDATE = re.compile(r"^torch::autograd::CppNode<SplitLookupFunction_(\w+?)_Op(?:_pt2)?>$")
_UPDATES = {"sgd": (2, 0), "rowwise_adagrad": (4, 1), "adagrad": (7, -1), "adam": (13, -2)}
"""Operations an element, and the state: so many floats a row, or (negative) a float an element."""


NARROWEST = 4
"""FBGEMM's tables have rows of whole groups of four elements."""


class _Batch:
    """What a forward call records of its tables and lookups."""

    def __init__(self, inputs: list[Input], dense: bool) -> None:
        call = Call("", inputs)
        if dense:
            weights, bounds, indices, offsets, samples = [call.tensor(0)], 2, 7, 8, 10
        else:
            weights, bounds, indices, offsets, samples = [call.tensor(1), call.tensor(2)], 6, 11, 12, 14
        self.tables = call.tensor(bounds).numel - 1
        self.elements = sum(w.numel for w in weights)
        self.dtype = next((w.dtype for w in weights if w.numel), weights[0].dtype)
        self.indices, self.offsets = call.tensor(indices), call.tensor(offsets)
        self.weighted = call.maybe(samples)
        self.lookups = self.indices.numel
        if self.tables < 1 or self.offsets.numel < 1:
            raise Unknown
        self.batch = (self.offsets.numel - 1) // self.tables
        self.dims = [self.indices, self.offsets, *([self.weighted] if self.weighted else [])]

    def looked_up(self, width: int) -> int:
        """Elements of all lookups together, each of the mean width."""
        return self.lookups * width // self.tables

    def touched(self, width: int) -> Tensor:
        """The elements of the tables that are read, at most all."""
        return Tensor((min(self.looked_up(width), self.elements),), self.dtype)


def dense(name: str) -> bool:
    """Whether an operator of batched embeddings leaves its update to an optimizer."""
    return "dense_embedding" in name or "_Dense_" in name


def _width(call: Call, batch: _Batch, forward: bool) -> int:
    """The width of all tables together, from an argument or from a gradient that fits the batch and the tables."""
    if forward:
        try:
            return call.integer(3 if dense(call.name) else 7)
        except Unknown:
            pass
    inputs = call.partner if forward else call.inputs
    grad = inputs[0] if inputs else None
    if not isinstance(grad, Tensor) or len(grad.dims) != 2 or grad.dims[0] != batch.batch:
        raise Unknown
    if grad.dims[1] < NARROWEST * batch.tables:
        raise Unknown
    return grad.dims[1]


def tables(name: str, inputs: Sequence[Input], partner: Sequence[Input] | None) -> int:
    """How many tables a batched lookup or its backward node has; 0 where that is not recorded."""
    batch = inputs if batched(name) else partner
    try:
        return _Batch(list(batch or ()), dense(name)).tables
    except Unknown:
        return 0


def _lookup(call: Call) -> Work:
    batch = _Batch(list(call.inputs), dense(call.name))
    width = _width(call, batch, forward=True)
    out = Tensor((batch.batch, width), FLOAT32)
    flops = (2 if batch.weighted else 1) * batch.looked_up(width)
    return Work(flops, [batch.touched(width), *batch.dims, out])


def _update(call: Call) -> Work:
    """The backward node: gradients added up by row, rows updated in place (dense: the gradient is written)."""
    if call.partner is None:
        raise Unknown
    batch = _Batch(list(call.partner), dense(call.name))
    width, grad = _width(call, batch, forward=False), call.tensor(0)
    flops = (2 if batch.weighted else 1) * batch.looked_up(width)
    rows = batch.touched(width)
    if dense(call.name):
        return Work(flops, [grad, *batch.dims, Tensor((batch.elements,), batch.dtype)])
    match = UPDATE.match(call.name)
    if match is None or match[1] not in _UPDATES:
        raise Unknown
    each, state = _UPDATES[match[1]]
    kept = Tensor((rows.numel * -state if state < 0 else state * min(batch.lookups, batch.elements),), FLOAT32)
    return Work(flops + each * rows.numel, [grad, *batch.dims, rows, rows, kept, kept])


def _permute_pooled(call: Call) -> Work:
    """Columns of a batch of pooled embeddings in another order: (values, offsets and orders …)."""
    values = call.tensor(0)
    return moved(values, *call.tensors(1), values)


def _permute_sparse(call: Call) -> Work:
    """(permute, lengths [T, B], indices, weights, total): as many tables come out as the permutation names.

    How many indices these have is an argument; without it only a permutation of all tables keeps their number.
    """
    permute, lengths, indices, weights = call.tensor(0), call.tensor(1), call.tensor(2), call.maybe(3)
    if len(lengths.dims) != 2:
        raise Unknown
    try:
        count = call.integer(4)
    except Unknown:
        if permute.numel != lengths.dims[0]:
            raise
        count = indices.numel
    read = [t for t in (indices, weights) if t is not None]
    written = [t.like(count) for t in read]
    return moved(permute, lengths, *read, lengths.like(permute.numel, lengths.dims[1]), *written)


def _check(call: Call) -> Work:
    """`bounds_check_indices` (rows_per_table, indices, offsets, …): reads them, writes only what is out of bounds."""
    return moved(call.tensor(0), call.tensor(1), call.tensor(2))


def _complete_sum(call: Call) -> Work:
    """`asynchronous_complete_cumsum`: running sums from zero, one more than the input has."""
    x = call.tensor(0)
    if len(x.dims) != 1:
        raise Unknown
    return Work(x.arithmetic, [x, x.like(x.dims[0] + 1)])


def _to_rows_of_bytes(call: Call) -> Work:
    """`FloatToFP8RowwiseQuantized`: the largest of each row, a product an element; scale and padding beside a row."""
    x = call.tensor(0)
    if len(x.dims) != 2:
        raise Unknown
    rows, columns = x.dims
    return Work(2 * x.arithmetic, [x, Tensor((rows, (columns + 3) // 4 * 4 + 8), UINT8)])


def _from_rows_of_bytes(call: Call) -> Work:
    x = call.tensor(0)
    if len(x.dims) != 2 or x.dims[1] < 8:
        raise Unknown
    out = Tensor((x.dims[0], x.dims[1] - 8), FLOAT32)
    return Work(out.arithmetic, [x, out])


def _to_bytes(call: Call) -> Work:
    x = call.tensor(0)
    return moved(x, x.typed(UINT8))


def _from_bytes(call: Call) -> Work:
    x = call.tensor(0)
    return moved(x, x.typed(FLOAT32))


BATCHED_FAMILY = Family(
    "batched embeddings",
    "1 an element looked up (2 with weights), the update 2 to 13 an element touched",
    "a row of the mean width for each lookup, at most the tables; indices, offsets, state and result",
    {},
    frozenset({"batched embeddings"}),
)
DATA_FAMILY = Family(
    "sparse data of FBGEMM",
    "permutations and checks 0; row-wise fp8 2 an element, back 1",
    "what is read and what is written, each once",
    {
        "fbgemm::permute_pooled_embs": _permute_pooled,
        "fbgemm::permute_pooled_embs_auto_grad": _permute_pooled,
        "torch::autograd::CppNode<fbgemm_gpu::PermutePooledEmbsFunction<&fbgemm_gpu::permute_pooled_embs_gpu> >":
            _permute_pooled,
        "fbgemm::recat_embedding_grad_output_mixed_D_batch": _permute_pooled,
        "fbgemm::permute_2D_sparse_data": _permute_sparse,
        "fbgemm::permute_sparse_features": _permute_sparse,
        "fbgemm::bounds_check_indices": _check,
        "fbgemm::asynchronous_complete_cumsum": _complete_sum,
        "fb::asynchronous_complete_cumsum": _complete_sum,
        "fbgemm::FloatToFP8RowwiseQuantized": _to_rows_of_bytes,
        "fbgemm::FP8RowwiseQuantizedToFloat": _from_rows_of_bytes,
        "fbgemm::FloatToHFP8Quantized": _to_bytes,
        "fbgemm::HFP8QuantizedToFloat": _from_bytes,
    },
    frozenset({"sparse data of FBGEMM"}),
    frozenset({"fbgemm::permute_2D_sparse_data", "fbgemm::permute_sparse_features"}),
)  # fmt: skip


def batched(name: str) -> bool | None:
    """Whether an operator is a batched lookup (True), its backward node (False), or neither."""
    return True if LOOKUP.match(name) else False if UPDATE.match(name) else None


def stem(name: str) -> str:
    """What a batched lookup and its backward node have in common: the optimizer."""
    match = LOOKUP.match(name) or UPDATE.match(name)
    return "dense" if dense(name) or match is None else str(match[1])


lookup, update = _lookup, _update
