"""Kinds of computation units drawn at random, and single ones by hand."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from etgraph.model.families import FAMILIES
from etgraph.sim.compute.kinds import FAMILY, Kinds
from etgraph.sim.compute.products import HALF, PRECISIONS

_DIM = st.integers(1, 5000)


def kind(
    family: str,
    flops: float = np.nan,
    bytes: float = np.nan,
    product: tuple[float, float, float, float] = (np.nan, np.nan, np.nan, np.nan),
    *,
    precision: int = HALF,
    aligned: bool = True,
    kernels: int = 1,
    helpers: int = 0,
) -> Kinds:
    """One kind; `product` is m, n, k and batch."""
    m, n, k, batch = (np.array([value], dtype=np.float64) for value in product)
    return Kinds(
        (family,), np.array([FAMILY[family]]), np.array([flops], dtype=np.float64), np.array([bytes], dtype=np.float64),
        m, n, k, batch, np.array([precision]), np.array([aligned]), np.array([kernels]),
        np.array([helpers]),
    )  # fmt: skip


def matmul(m: float, n: float, k: float, batch: float = 1, *, precision: int = HALF, aligned: bool = True) -> Kinds:
    """Products of matrices of 16 bit, with the bytes that they have to move."""
    moved = 2.0 * batch * (m * k + k * n + m * n)
    return kind("matmul", 2.0 * batch * m * n * k, moved, (m, n, k, batch), precision=precision, aligned=aligned)


@st.composite
def kinds(draw: st.DrawFn) -> Kinds:
    """A kind of any family, with or without dims, in any number format."""
    family = draw(st.sampled_from(FAMILIES))
    precision = draw(st.integers(0, len(PRECISIONS) - 1))
    aligned, kernels = draw(st.booleans()), draw(st.integers(1, 20))
    if family in ("matmul", "convolution") and draw(st.booleans()):
        m, n, k, batch = (float(draw(_DIM)) for _ in range(4))
        flops, size = 2.0 * batch * m * n * k, 2.0 * batch * (m * k + k * n + m * n)
        return kind(family, flops, size, (m, n, k, batch), precision=precision, aligned=aligned, kernels=kernels)
    flops, size = draw(st.floats(1.0, 1e14)), draw(st.floats(1.0, 1e11))
    rows = draw(st.one_of(st.just(np.nan), st.floats(1.0, 1e6))) if family == "attention" else np.nan
    product = (rows, np.nan, np.nan, np.nan)
    return kind(family, flops, size, product, precision=precision, aligned=aligned, kernels=kernels)
