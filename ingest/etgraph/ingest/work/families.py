"""All families of operators, and which one an operator belongs to."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal, NamedTuple

from etgraph.ingest.work import (
    attention,
    convolution,
    copies,
    elementwise,
    embedding,
    fbgemm,
    generated,
    losses,
    matmul,
    normalisation,
    optimizers,
    pooling,
    reductions,
    wrappers,
)
from etgraph.ingest.work.call import Family, Formula
from etgraph.ingest.work.nodes import NODES

FAMILIES: tuple[Family, ...] = (
    matmul.FAMILY,
    convolution.FAMILY,
    attention.FAMILY,
    embedding.LOOKUP_FAMILY,
    embedding.BAG_FAMILY,
    fbgemm.BATCHED_FAMILY,
    fbgemm.DATA_FAMILY,
    normalisation.FAMILY,
    elementwise.FAMILY,
    reductions.FAMILY,
    losses.FAMILY,
    pooling.FAMILY,
    copies.FAMILY,
    optimizers.FAMILY,
    generated.FAMILY,
    wrappers.VIEW_FAMILY,
    wrappers.WRAPPER_FAMILY,
)
"""Every family; an operator has at most one."""
NUMBER = {family.name: number for number, family in enumerate(FAMILIES)}
VIEWS, WRAPPERS = NUMBER["views"], NUMBER["wrappers"]


class Known(NamedTuple):
    """An operator whose work can be known: its family's number, its formula, and what else that reads.

    `partner` is where the inputs of another call come from: the other half of a batched lookup, the operator around, or
    the autograd node of the same sequence number.
    """

    family: int
    formula: Formula
    arguments: bool = False
    partner: Literal["", "half", "around", "node"] = ""


def _partner(name: str) -> Literal["", "around", "node"]:
    return "around" if name in convolution.HALVES else "node" if name in NODES else ""


_BY_NAME = {
    name: Known(number, formula, name in family.with_arguments, _partner(name))
    for number, family in enumerate(FAMILIES)
    for name, formula in family.formulas.items()
}


@lru_cache(maxsize=1 << 14)
def known(name: str) -> Known | None:
    """What is known of an operator by its name; None where its semantics are not.

    >>> FAMILIES[known("aten::addmm").family].name
    'matmul'
    >>> known("my::kernel") is None
    True
    """
    found = _BY_NAME.get(name)
    if found is not None:
        return found
    half = fbgemm.batched(name)
    if half is not None:
        formula = fbgemm.lookup if half else fbgemm.update
        return Known(NUMBER["batched embeddings"], formula, arguments=half, partner="half")
    if name.startswith(generated.PREFIX):
        return Known(NUMBER["generated kernels"], generated.pointwise, arguments=True)
    return Known(WRAPPERS, wrappers.nothing) if wrappers.is_node(name) else None
