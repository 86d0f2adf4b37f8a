"""Recorded dims and dtypes as tensors: what a formula of an operator's work is computed from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from math import prod
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import msgspec


class Unknown(Exception):
    """The trace does not say what a formula needs: the work stays null."""


class Dtype(NamedTuple):
    """Bytes of an element, and its rank in PyTorch's type promotion: boolean 0, integer 1, floating 2, complex 3."""

    size: int
    kind: int

    @property
    def arithmetic(self) -> int:
        """Real operations of one operation on an element: none for integers, two parts for complex numbers."""
        return 0 if self.kind < 2 else self.kind - 1


BOOL, UINT8, INT32, INT64 = Dtype(1, 0), Dtype(1, 1), Dtype(4, 1), Dtype(8, 1)
FLOAT32: Final = Dtype(4, 2)
DTYPES: Final = MappingProxyType(
    {
        "bool": BOOL,
        "unsigned char": UINT8,
        "signed char": UINT8,
        "short": Dtype(2, 1),
        "short int": Dtype(2, 1),
        "int": INT32,
        "long": INT64,
        "long int": INT64,
        "float": FLOAT32,
        "double": Dtype(8, 2),
        "c10::Half": Dtype(2, 2),
        "c10::BFloat16": Dtype(2, 2),
        "c10::Float8_e4m3fn": Dtype(1, 2),
        "c10::Float8_e5m2": Dtype(1, 2),
        "c10::Float8_e4m3fnuz": Dtype(1, 2),
        "c10::Float8_e5m2fnuz": Dtype(1, 2),
        "c10::complex<c10::Half>": Dtype(4, 3),
        "c10::complex<float>": Dtype(8, 3),
        "c10::complex<double>": Dtype(16, 3),
    }
)
"""Element types by the names that PyTorch's profiler and execution trace give them."""


NUMBERED: Final = MappingProxyType(
    {5: DTYPES["c10::Half"], 6: FLOAT32, 7: DTYPES["double"], 15: DTYPES["c10::BFloat16"]}
)
"""Floating element types by their number in PyTorch's `ScalarType`."""


class Tensor(NamedTuple):
    """The dims of a tensor and its element type, None where that is not recorded."""

    dims: tuple[int, ...]
    dtype: Dtype | None = None

    @property
    def numel(self) -> int:
        """Number of elements; 1 without dims."""
        return prod(self.dims)

    @property
    def bytes(self) -> int:
        """Size in bytes. Raises Unknown where the element type is not recorded."""
        if self.dtype is None:
            raise Unknown
        return self.numel * self.dtype.size

    @property
    def arithmetic(self) -> int:
        """Floating-point operations of one operation on each element. Raises Unknown without an element type."""
        if self.dtype is None:
            raise Unknown
        return self.numel * self.dtype.arithmetic

    def like(self, *dims: int) -> Tensor:
        """A tensor of other dims and the same type."""
        return Tensor(dims, self.dtype)

    def typed(self, dtype: Dtype | None) -> Tensor:
        """A tensor of the same dims and another type."""
        return Tensor(self.dims, dtype)


Input = Tensor | list[Tensor] | None
"""One input of an operator: a tensor, a list of tensors, or anything else."""


class Shapes(msgspec.Struct):
    """The text of a `shapes` column."""

    dims: list[Any] = []
    types: list[Any] = []


_decode = msgspec.json.Decoder(Shapes).decode
_dtype = dict(DTYPES).get


@lru_cache(maxsize=1 << 14)
def inputs_of(text: str) -> list[Input]:
    """The inputs that a text of the `shapes` column describes. Raises Unknown for one that cannot be understood.

    >>> inputs_of('{"dims":[[2,3],[],[]],"types":["float","double","Scalar"]}')[0].bytes
    24
    """
    try:
        shapes = _decode(text)
    except (msgspec.DecodeError, RecursionError):
        raise Unknown from None
    types = shapes.types
    if len(types) != len(shapes.dims):
        types = [None] * len(shapes.dims)
    return [_input(dims, type) for dims, type in zip(shapes.dims, types, strict=True)]


def _input(dims: Any, type: Any) -> Input:
    dtype = _dtype(type) if type.__class__ is str else None
    if dtype is None and not dims:
        return None
    if not isinstance(dims, list):
        return None
    if dims and isinstance(dims[0], list):
        return _list(dims, type)
    for size in dims:
        if size.__class__ is not int or size < 0:
            raise Unknown
    return Tensor(tuple(dims), dtype)


def _list(dims: list[Any], type: Any) -> Input:
    """A list of tensors; numbers in a list have empty dims as well, and only the types tell."""
    if isinstance(type, str) and type.startswith("GenericList["):
        names = [name.strip() for name in type[12:-1].split(",")]
        if len(names) != len(dims) or not all(name.startswith("Tensor(") for name in names):
            return None
        types = [_dtype(name[7:-1]) for name in names]
    elif any(dims):
        types = [None] * len(dims)
    else:
        return None
    found = [_input(each, None) or Tensor((), None) for each in dims]
    return [Tensor(t.dims, dtype) for t, dtype in zip(found, types, strict=True) if isinstance(t, Tensor)]


def broadcast(tensors: Iterable[Tensor]) -> tuple[int, ...]:
    """The dims that tensors have together, by PyTorch's rules. Raises Unknown where they do not fit."""
    result: list[int] = []
    for tensor in tensors:
        dims = tensor.dims
        if len(dims) > len(result):
            result[:0] = dims[: len(dims) - len(result)]
        for back in range(1, len(dims) + 1):
            size = dims[-back]
            if size != result[-back]:
                if size != 1 and result[-back] != 1:
                    raise Unknown
                result[-back] = size if result[-back] == 1 else result[-back]
    return tuple(result)


def promoted(tensors: Sequence[Tensor]) -> Dtype | None:
    """The element type of a result: the widest of tensors with dims; those without count where of a higher kind.

    Source: PyTorch's documentation, "Tensor Attributes", type promotion. None where a type is not recorded.
    """
    best: Dtype | None = None
    for with_dims in (True, False):
        for tensor in tensors:
            if bool(tensor.dims) is not with_dims:
                continue
            dtype = tensor.dtype
            if dtype is None:
                return None
            wider = best is not None and with_dims and dtype.kind == best.kind and dtype.size > best.size
            if best is None or dtype.kind > best.kind or wider:
                best = dtype
    return best
