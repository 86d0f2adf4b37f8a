"""One call of an operator as formulas see it, and what they answer: its work."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

from etgraph.model.tensors import NUMBERED, Dtype, Input, Tensor, Unknown

Dims = tuple[int, ...]
LARGEST = 2**63 - 1
"""Larger numbers do not fit the columns: the work stays null."""


class Work(NamedTuple):
    """Floating-point operations, and the tensors that are read or written, each once; None where unknown."""

    flops: int | None
    tensors: Sequence[Tensor] | None

    def numbers(self) -> tuple[int | None, int | None]:
        """Flops and bytes; None for what is unknown or exceeds int64."""
        flops, size = self.flops, None if self.tensors is None else 0
        for dims, dtype in self.tensors or ():
            if dtype is None:
                size = None
                break
            size += prod(dims) * dtype.size  # type: ignore[operator]
        return (
            flops if flops is not None and 0 <= flops <= LARGEST else None,
            size if size is not None and 0 <= size <= LARGEST else None,
        )


class Relations(Protocol):
    """What backward operators say of forward ones; see `relatives`."""

    def output(self, x: Dims, weight: Dims) -> Dims | None:
        """Dims of a convolution's output."""

    def learned(self, x: Dims) -> bool:
        """Whether a batch norm was trained."""


class Call:
    """Name, inputs and, where recorded, the values of the inputs that are no tensors.

    `partner` has the inputs of a call that completes this one: the other half of a batched lookup, the operator around
    it, or its autograd node. `backward` is what the backward operators of the trace say of forward ones.
    """

    __slots__ = ("arguments", "backward", "inputs", "name", "partner")

    def __init__(
        self,
        name: str,
        inputs: Sequence[Input],
        arguments: Sequence[Any] | None = None,
        partner: Sequence[Input] | None = None,
        backward: Relations | None = None,
    ) -> None:
        self.name, self.inputs, self.arguments, self.partner = name, inputs, arguments, partner
        self.backward = backward

    def maybe(self, position: int) -> Tensor | None:
        """The tensor at a position, None where there is none."""
        found = self.inputs[position] if position < len(self.inputs) else None
        return found if isinstance(found, Tensor) else None

    def tensor(self, position: int) -> Tensor:
        """The tensor at a position. Raises Unknown where there is none."""
        found = self.maybe(position)
        if found is None:
            raise Unknown
        return found

    def tensor_list(self, position: int) -> list[Tensor]:
        """The tensors of the list at a position. Raises Unknown where there is none or it is not recorded."""
        found = self.inputs[position] if position < len(self.inputs) else None
        if not isinstance(found, list) or not found:
            raise Unknown
        return found

    def tensors(self, first: int = 0, end: int | None = None) -> list[Tensor]:
        """All tensors among the inputs, lists left out."""
        return [t for t in self.inputs[first:end] if isinstance(t, Tensor)]

    def gradient(self) -> Tensor:
        """The gradient of the result, from the autograd node. Raises Unknown where there is none."""
        found = self.partner[0] if self.partner else None
        if not isinstance(found, Tensor):
            raise Unknown
        return found

    def argument(self, position: int) -> Any:
        """The value of an input that is no tensor, None for `None`. Raises Unknown where it is not recorded."""
        if self.arguments is None or not 0 <= position < len(self.arguments):
            raise Unknown
        return self.arguments[position]

    def integer(self, position: int) -> int:
        """A whole number among the arguments. Raises Unknown for anything else."""
        value = self.argument(position)
        if value.__class__ is not int:
            raise Unknown
        return int(value)

    def flag(self, position: int) -> bool:
        """A truth value among the arguments. Raises Unknown for anything else."""
        value = self.argument(position)
        if value.__class__ is not bool:
            raise Unknown
        return bool(value)

    def asked(self, position: int, otherwise: Dtype | None) -> Dtype | None:
        """The element type that an argument asks for, `otherwise` where it is `None`; None where nothing is known."""
        try:
            number = self.argument(position)
        except Unknown:
            return None
        return otherwise if number is None else NUMBERED.get(number) if number.__class__ is int else None

    def integers(self, position: int, count: int) -> Dims:
        """So many whole numbers: a list of them, or one for all. Raises Unknown for anything else."""
        value = self.argument(position)
        values = value if isinstance(value, list) else [value]
        if len(values) == 1:
            values = values * count
        if len(values) != count or any(v.__class__ is not int for v in values):
            raise Unknown
        return tuple(values)


Formula = Callable[[Call], Work]
"""The work of one call. Raises Unknown where the trace does not say enough."""


@dataclass(frozen=True, slots=True)
class Family:
    """Operators whose work follows the same reasoning.

    An operator leaves its work to those inside it that are of its own family or one in `yields_to`. `with_arguments`
    names the operators whose formula reads values of inputs that are no tensors; `flops` and `bytes` say in words
    what is counted.
    """

    name: str
    flops: str
    bytes: str
    formulas: Mapping[str, Formula]
    yields_to: frozenset[str] = frozenset()
    with_arguments: frozenset[str] = field(default_factory=frozenset)

    def __post_init__(self) -> None:
        object.__setattr__(self, "formulas", MappingProxyType(dict(self.formulas)))


def same(formula: Formula, names: Iterable[str]) -> dict[str, Formula]:
    """One formula for several operators of PyTorch, named without their namespace `aten::`."""
    return {f"aten::{name}": formula for name in names}


def moved(*tensors: Tensor) -> Work:
    """Work that only moves data: those tensors, each read or written once."""
    return Work(0, tensors)
