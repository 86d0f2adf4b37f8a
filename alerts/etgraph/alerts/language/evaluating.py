"""The numbers that a metric gives on answers, each with the row that it comes from."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, is_dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from etgraph.alerts.language.expressions import Amount, Call, Condition, Expression, Operation, Path
from etgraph.alerts.language.vocabulary import QUESTIONS, Fields, Rows, table_of
from etgraph.model.results import Result, camel_case

Answers = Callable[[Path], Result]
"""The answer of the question that a path asks."""


@dataclass(frozen=True, slots=True)
class Row:
    """What a number comes from: a row of an answer, by the names of its fields in Python."""

    values: Mapping[str, Any]


def label_of(row: Row) -> str:
    """What a row of an answer is called."""
    for name in ("id", "key", "name", "type", "pattern", "kind", "category"):
        value = row.values.get(name)
        if isinstance(value, str):
            return value
    for name in ("rank", "last_rank"):
        if row.values.get(name) is not None:
            return f"rank {row.values[name]}"
    return f"step {row.values['index']}" if row.values.get("index") is not None else "a row"


@dataclass(frozen=True, slots=True)
class Value:
    """Numbers, None where one is not known. `rows` are theirs where there may be several; without, there is one."""

    numbers: tuple[float | None, ...]
    rows: tuple[Row, ...] | None = None
    used: tuple[tuple[Row, float], ...] = field(default=())
    """Every row that went into a number, with its own: what `sum` and the like saw."""

    @property
    def known(self) -> list[float]:
        """The numbers that are known."""
        return [number for number in self.numbers if number is not None]


def evaluate(expression: Expression, answers: Answers) -> Value:
    """The numbers of an expression that was found to mean something.

    Numbers that are not known are left out by functions; what is divided by 0 is not known. The sum and the count of
    no rows are 0, everything else of none is not known, and neither is the sum of rows of which none has a number.
    """
    if isinstance(expression, Amount):
        return Value((expression.value,))
    if isinstance(expression, Path):
        return _path(expression, answers)
    if isinstance(expression, Call):
        return _call(expression, answers)
    return _operation(expression, answers)


FUNCTIONS: Final[Mapping[str, Callable[[Sequence[float]], float]]] = MappingProxyType(
    {
        "sum": lambda numbers: float(sum(numbers)),
        "mean": lambda numbers: float(np.mean(numbers)),
        "min": lambda numbers: float(min(numbers)),
        "max": lambda numbers: float(max(numbers)),
        "median": lambda numbers: float(np.median(numbers)),
        "p95": lambda numbers: float(np.percentile(numbers, 95, method="inverted_cdf")),
        "p99": lambda numbers: float(np.percentile(numbers, 99, method="inverted_cdf")),
    }
)


def reduced(function: str, numbers: Sequence[float]) -> float | None:
    """One number of several; None of none, other than for their sum.

    >>> reduced("p95", range(1, 101)), reduced("max", []), reduced("sum", [])
    (95.0, None, 0.0)
    """
    return FUNCTIONS[function](numbers) if len(numbers) or function == "sum" else None


def _call(call: Call, answers: Answers) -> Value:
    values = [evaluate(argument, answers) for argument in call.arguments]
    used = tuple(one for value in values for one in _used(value))
    if call.function == "count":
        return Value((float(len(values[0].rows or ())),), used=used)
    numbers = [number for value in values for number in value.known]
    if not numbers and any(value.numbers for value in values):
        return Value((None,), used=used)
    return Value((reduced(call.function, numbers),), used=used)


def _used(value: Value) -> tuple[tuple[Row, float], ...]:
    if value.rows is None:
        return value.used
    return tuple((row, number) for row, number in zip(value.rows, value.numbers, strict=True) if number is not None)


def _divided(left: float, right: float) -> float | None:
    return left / right if right else None


_SIGNS: Final[Mapping[str, Callable[[float, float], float | None]]] = MappingProxyType(
    {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": _divided}
)


def _operation(operation: Operation, answers: Answers) -> Value:
    left, right = evaluate(operation.left, answers), evaluate(operation.right, answers)
    sign = _SIGNS[operation.sign]
    first, second = left.numbers, right.numbers
    if left.rows is None and right.rows is not None:
        first *= len(second)
    elif right.rows is None and left.rows is not None:
        second *= len(first)
    numbers = tuple(None if a is None or b is None else sign(a, b) for a, b in zip(first, second, strict=True))
    return Value(numbers, left.rows if left.rows is not None else right.rows, left.used or right.used)


# Paths


def _path(path: Path, answers: Answers) -> Value:
    found = _Place(answers(path), QUESTIONS[path.question].fields)
    for number, step in enumerate(path.steps):
        if number:
            found = found.field(step.name)
        elif step.conditions or len(path.steps) == 1:
            found = found.table()
        for condition in step.conditions:
            found = found.where(condition)
    return found.value()


@dataclass(frozen=True)
class _Place:
    """Where a path has come to: one value or, with `many`, the fields of several; `rows` are where these come from."""

    at: Any
    kind: Any
    many: bool = False
    rows: tuple[Row, ...] = ()

    @cached_property
    def fields(self) -> Fields | None:
        kind = self.kind.of if isinstance(self.kind, Rows) else self.kind
        return kind if isinstance(kind, Fields) else None

    def field(self, name: str) -> _Place:
        fields = self.fields
        assert fields is not None
        if name not in fields.fields:
            return self.table().field(name)
        declared = fields.fields[name]
        if not self.many:
            return _at(getattr(self.at, declared.name), declared.kind)
        if isinstance(declared.kind, Rows):
            inner = [row for row in self.rows for row in _rows(row.values[declared.name])]
            return _Place(None, declared.kind, True, tuple(inner))
        return _Place(declared.name, declared.kind, True, self.rows)

    def table(self) -> _Place:
        """The rows that stand for the answer."""
        assert self.fields is not None
        return self.field(camel_case(table_of(type(self.at))))

    def where(self, condition: Condition) -> _Place:
        assert self.fields is not None
        name = self.fields.fields[condition.field].name
        rows = tuple(row for row in self.rows if satisfies(row.values[name], condition))
        return _Place(self.at, self.kind, True, rows)

    def value(self) -> Value:
        if not self.many:
            return Value((_number(self.at),))
        if isinstance(self.kind, Rows):
            return Value((1.0,) * len(self.rows), self.rows)
        return Value(tuple(_number(row.values[self.at]) for row in self.rows), self.rows)


def _at(value: Any, kind: Any) -> _Place:
    return _Place(value, kind) if not isinstance(kind, Rows) else _Place(None, kind, True, tuple(_rows(value)))


def _rows(value: Any) -> list[Row]:
    """The rows of a tuple of dataclasses or of an Arrow table."""
    if value is None:
        return []
    if hasattr(value, "to_pylist"):
        return [Row(row) for row in value.to_pylist()]
    return [Row(_Attributes(row)) for row in value]


class _Attributes(Mapping[str, Any]):
    """The fields of a dataclass as a mapping; those of dataclasses within it too."""

    __slots__ = ("of",)

    def __init__(self, of: Any) -> None:
        self.of = of

    def __getitem__(self, name: str) -> Any:
        try:
            return getattr(self.of, name)
        except AttributeError:
            raise KeyError(name) from None

    def __iter__(self) -> Any:
        return iter(self.of.__dataclass_fields__)

    def __len__(self) -> int:
        return len(self.of.__dataclass_fields__)


def _number(value: Any) -> float | None:
    if value is None or is_dataclass(value):
        return None
    number = float(value)
    return number if np.isfinite(number) else None


_COMPARED: Final[Mapping[str, Callable[[Any, Any], bool]]] = MappingProxyType(
    {"=": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
)


def satisfies(value: Any, condition: Condition) -> bool:
    """Whether a value of a row satisfies a condition; one that is not known satisfies none. Case makes no difference.

    >>> satisfies("ALL_REDUCE", Condition("key", "=", "all_reduce", 0)), satisfies(None, Condition("rank", "<", 3, 0))
    (True, False)
    """
    if value is None:
        return False
    if not isinstance(condition.value, str):
        return _COMPARED[condition.comparison](value, condition.value)
    text, wanted = str(value), condition.value
    found = matches(text, wanted) if "~" in condition.comparison else text.lower() == wanted.lower()
    return found != condition.comparison.startswith("!")


def matches(text: str, pattern: str) -> bool:
    """Whether a text fits a glob of which only * and ? are special. Case makes no difference.

    >>> matches("gemm[128]", "gemm[*"), matches("aten::mm", "AT*"), matches("aten::mm", "mm")
    (True, True, False)
    """
    return fnmatchcase(text.lower(), re.sub(r"\[", "[[]", pattern.lower()))


__all__ = ["FUNCTIONS", "Answers", "Row", "Value", "evaluate", "label_of", "matches", "reduced", "satisfies"]
