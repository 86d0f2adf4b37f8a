"""Copies, fills and joins: no operations, every byte read once and written once.

A tensor list whose dims or types are not recorded leaves the bytes unknown, unless the call has the result among its
inputs, or the autograd node of the same sequence number has the gradient of the result, which is of its size and type;
the parts together are of that size, too. Random numbers are written once; how many operations they take depends on the
generator and stays unknown.
"""

from __future__ import annotations

from etgraph.ingest.work.call import Call, Family, Work, moved, same
from etgraph.model.tensors import Tensor, Unknown


def _copy(call: Call) -> Work:
    """`copy_` (self, src): the source is broadcast into the target."""
    target, source = call.tensor(0), call.tensor(1)
    return moved(source, target)


def _fill(call: Call) -> Work:
    """One tensor, written (`fill_`) or read (`_local_scalar_dense`)."""
    return moved(call.tensor(0))


def _random(call: Call) -> Work:
    return Work(None, [call.tensor(0)])


def _clone(call: Call) -> Work:
    x = call.tensor(0)
    return moved(x, x)


def _join(call: Call) -> Work:
    """`cat` and `stack`: the parts are read, a result of their size is written.

    The result may be among the inputs, before the list or at the end; its size is then that of the parts too.
    """
    given = call.tensors()
    if len(given) == 1:
        return moved(given[0], given[0])
    parts = next((x for x in call.inputs if isinstance(x, list)), None)
    if given:
        raise Unknown
    if not parts or any(part.dtype is None for part in parts):
        whole = call.gradient()
        return moved(whole, whole)
    dtypes = {part.dtype for part in parts}
    # Parts of several types are converted to one of them.
    dtype = dtypes.pop() if len(dtypes) == 1 else None
    return moved(*parts, Tensor((sum(part.numel for part in parts),), dtype))


FAMILY = Family(
    "copies",
    "0",
    "what is read and what is written, each once",
    {
        **same(_copy, ("copy_", "_copy_from")),
        **same(_fill, ("fill_", "zero_", "_local_scalar_dense")),
        **same(_random, ("normal_", "uniform_", "random_", "bernoulli_", "exponential_")),
        **same(_clone, ("clone", "roll", "flip", "tril", "triu")),
        **same(_join, ("cat", "_cat", "stack", "concat")),
    },
    frozenset({"copies"}),
)
