"""The peak that an operator can reach on a device: which unit it runs on, and in which type of numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from etgraph.sim.profiles.profile import Device, Dtype

MATRIX_FAMILIES: Final = frozenset({"attention", "convolution", "matmul"})
"""Families of `etgraph.model.families` whose work is products of matrices."""
_DTYPES: Final[Mapping[str, Dtype]] = {
    "double": "fp64", "float64": "fp64", "c10::complex<double>": "fp64",
    "float": "fp32", "float32": "fp32", "c10::complex<float>": "fp32",
    "c10::half": "fp16", "half": "fp16", "float16": "fp16",
    "c10::bfloat16": "bf16", "bfloat16": "bf16",
}  # fmt: skip
_FP8 = "float8_"


def dtype_of(types: Iterable[object]) -> Dtype | None:
    """The type of numbers in which an operator computes, by the types of its inputs as traces record them.

    It is that of the first input of floating-point numbers: what comes after it may be an accumulator, or masks.

    >>> dtype_of(["long int", "c10::BFloat16", "float"]), dtype_of(["Scalar"])
    ('bf16', None)
    """
    for text in (str(each).lower() for each in types):
        if text in _DTYPES:
            return _DTYPES[text]
        if text.removeprefix("c10::").startswith(_FP8):
            return "fp8"
    return None


def peak_flops(device: Device, family: str, dtype: Dtype | None) -> float | None:
    """The dense peak of operators of a family in flop/s; None where it or the dtype is not known.

    Products of matrices run on matrix units, all else on ordinary ones. A device without a matrix peak for a type runs
    its products on ordinary units; one without a peak for a type on ordinary units computes it as fp32 there.
    """
    if dtype is None:
        return None
    if family in MATRIX_FAMILIES and dtype in device.matrix_flops:
        return device.matrix_flops[dtype]
    return device.vector_flops.get(dtype, None if dtype == "fp64" else device.vector_flops.get("fp32"))
