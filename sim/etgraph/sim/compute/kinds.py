"""Kinds of computation units: the same operator, dims and work, told once however often it ran."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Final

import numpy as np

from etgraph.model.columns import Array
from etgraph.model.families import FAMILIES

FAMILY: Final = {name: number for number, name in enumerate(FAMILIES)}
"""The number of each family: its position in `FAMILIES`."""
COMPUTE: Final = np.array([FAMILY[name] for name in ("matmul", "convolution", "attention")])
"""Families of products, which matrix units limit; all others memory limits."""


@dataclass(frozen=True, slots=True)
class Kinds:
    """What units compute, one entry a kind. Unknown numbers are NaN.

    `family` is a position in `FAMILIES`, `precision` one in `PRECISIONS`; m, n, k and batch are those of
    `products.Product`. Of the `kernels` of a unit, `helpers` only prepare what the others compute: they copy, fill or
    bring into another order. `known` says that the work is: the flops of products, the bytes of what memory limits.
    """

    name: tuple[str, ...]
    family: Array
    flops: Array
    bytes: Array
    m: Array
    n: Array
    k: Array
    batch: Array
    precision: Array
    aligned: Array
    kernels: Array
    helpers: Array

    @property
    def known(self) -> Array:
        """Whether the work that decides on the time is recorded."""
        known: Array = np.where(np.isin(self.family, COMPUTE), self.flops > 0, self.bytes > 0)
        return known

    def __len__(self) -> int:
        return len(self.name)


def columns_of(kinds: Kinds) -> list[Array]:
    """All that tells two kinds apart, as columns of 8 bytes; names by their place among the names."""
    place = {name: at for at, name in enumerate(dict.fromkeys(kinds.name))}
    names = np.array([place[name] for name in kinds.name], dtype=np.int64)
    columns = [getattr(kinds, f.name) for f in fields(Kinds) if f.name != "name"]
    return [names, *(c if c.dtype.kind == "f" else c.astype(np.int64) for c in columns)]


def taken(kinds: Kinds, which: Array) -> Kinds:
    """Those of the kinds, in that order."""
    columns = {f.name: getattr(kinds, f.name)[which] for f in fields(Kinds) if f.name != "name"}
    return Kinds(name=tuple(kinds.name[at] for at in which.tolist()), **columns)


def joined(parts: Sequence[Kinds]) -> Kinds:
    """The kinds of all parts, in order."""
    names = [f.name for f in fields(Kinds) if f.name != "name"]
    columns = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    return Kinds(name=tuple(text for part in parts for text in part.name), **columns)
