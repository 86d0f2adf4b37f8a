"""What every answer has in common: the trust that it deserves, and how it becomes JSON, a data frame or a table."""

from __future__ import annotations

import dataclasses
import enum
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, get_args, get_origin, get_type_hints

if TYPE_CHECKING:
    import pandas as pd

SHOWN = 20
"""Rows of an answer that a notebook shows; all of them are in its data frame."""


@dataclasses.dataclass(frozen=True, slots=True)
class Trust:
    """How far an answer can be trusted.

    `explained_share` is the part of the answer (0 to 1) that recorded or inferred causes account for, None where
    the question has no such part; `unmatched_collectives` counts collectives that are not recorded whole, and operators
    of collectives and messages that met nobody; `weak_links` counts links below a confidence of 0.9 that it rests on.
    """

    explained_share: float | None = None
    unmatched_collectives: int = 0
    weak_links: int = 0
    warnings: tuple[str, ...] = ()

    def __str__(self) -> str:
        parts = []
        if self.explained_share is not None:
            parts.append(f"{self.explained_share:.1%} explained")
        if self.unmatched_collectives:
            one = self.unmatched_collectives == 1
            what, whose = ("collective or message", "its") if one else ("collectives or messages", "their")
            parts.append(f"{self.unmatched_collectives:,} {what} without all {whose} peers")
        if self.weak_links:
            parts.append(f"{self.weak_links} links of low confidence")
        return "; ".join([*parts, *self.warnings]) or "nothing against it"


def camel_case(name: str) -> str:
    """`window_ns` → `windowNs`: a Python field's name in JSON and GraphQL."""
    head, *tail = name.split("_")
    return head + "".join(part.capitalize() for part in tail)


def to_json(value: Any) -> Any:
    """Plain JSON values of a result: field names in camelCase, enums by name, NaN and infinity as null.

    Takes dataclasses, mappings, sequences, Arrow tables (a list of objects), NumPy arrays and scalars, nested. Keys of
    mappings stay as they are, enums again by name. Raises TypeError for anything else.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {camel_case(f.name): to_json(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, enum.Enum):
        return value.name
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {k.name if isinstance(k, enum.Enum) else str(k): to_json(v) for k, v in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [to_json(v) for v in value]
    if hasattr(value, "to_pylist") and hasattr(value, "column_names"):
        return [{camel_case(k): to_json(v) for k, v in row.items()} for row in value.to_pylist()]
    if hasattr(value, "tolist"):
        return to_json(value.tolist())
    raise TypeError(f"{type(value).__name__} has no JSON form")


class Result:
    """Base of the answers, which are frozen dataclasses with a field `trust`.

    `FRAME` names the field whose rows `to_pandas()` gives, `TABLE` that which a notebook shows: an Arrow table, or a
    tuple of small dataclasses.
    """

    __slots__ = ()

    FRAME: ClassVar[str]
    TABLE: ClassVar[str]
    trust: Trust

    def to_pandas(self) -> pd.DataFrame:
        """The rows of the answer as a data frame, one column a field."""
        import pandas as pd

        rows = getattr(self, self.FRAME)
        if hasattr(rows, "to_pandas"):
            frame: pd.DataFrame = rows.to_pandas()
            return frame
        names = _columns(type(self), self.FRAME, rows)
        return pd.DataFrame([{name: getattr(row, name) for name in names} for row in rows], columns=names)

    def headline(self) -> str:
        """The answer in a few words."""
        return type(self).__name__

    def _repr_html_(self) -> str:
        from html import escape

        rows = getattr(self, self.TABLE)
        names = _columns(type(self), self.TABLE, rows)
        listed = rows.slice(0, SHOWN).to_pylist() if hasattr(rows, "to_pylist") else rows[:SHOWN]
        shown = [[row[name] if isinstance(row, Mapping) else getattr(row, name) for name in names] for row in listed]
        heads = "".join(f"<th>{escape(name.removesuffix('_ns'))}</th>" for name in names)
        body = "".join(
            f"<tr>{''.join(f'<td>{escape(_text(k, v))}</td>' for k, v in zip(names, row))}</tr>" for row in shown
        )
        more = f"; the first {SHOWN} of {len(rows):,} rows" if len(rows) > SHOWN else ""
        caption = escape(f"{self.headline()}{more}; trust: {self.trust}")
        return f"<table><caption>{caption}</caption><tr>{heads}</tr>{body}</table>"


def annotations_of(declared: type | Callable[..., Any]) -> dict[str, Any]:
    """Types of a dataclass' fields or a function. Modules of answers import Arrow for the type checker only."""
    import pyarrow as pa

    return get_type_hints(declared, localns={"pa": pa})


def _columns(answers: type[Result], name: str, rows: Any) -> list[str]:
    """Names of the columns of a field's rows; where there are none, as its annotation has them."""
    if hasattr(rows, "schema"):
        names: list[str] = rows.schema.names
        return names
    row = rows[0] if rows else _row_type(answers, name)
    return [field.name for field in dataclasses.fields(row)]


def _row_type(answers: type[Result], name: str) -> Any:
    """The dataclass of the rows of a field or property that is a tuple of them, the first of several."""
    declared = getattr(answers, name)
    getter = getattr(declared, "fget", None)
    hint = annotations_of(answers)[name] if getter is None else annotations_of(getter)["return"]
    tuples = [each for each in (hint, *get_args(hint)) if get_origin(each) is tuple]
    return get_args(tuples[0])[0]


def _text(name: str, value: Any) -> str:
    """A value as a reader wants it: times in ms, shares in per cent."""
    if value is None:
        return "–"
    if name.endswith("_ns") and isinstance(value, int):
        return f"{value / 1e6:.3f} ms"
    if name.endswith("share") and isinstance(value, float):
        return f"{value:.1%}"
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value)
