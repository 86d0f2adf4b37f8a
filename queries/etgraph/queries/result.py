"""What every answer can do: become a data frame, and a table in a notebook."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from etgraph.model import Trust

if TYPE_CHECKING:
    import pandas as pd

SHOWN = 20
"""Rows of an answer that a notebook shows; all of them are in its data frame."""


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
        return pd.DataFrame([dict(_cells(row)) for row in rows])

    def headline(self) -> str:
        """The answer in a few words."""
        return type(self).__name__

    def _repr_html_(self) -> str:
        from html import escape

        rows = getattr(self, self.TABLE)
        listed = rows.slice(0, SHOWN).to_pylist() if hasattr(rows, "to_pylist") else rows[:SHOWN]
        shown = [dict(_cells(row)) for row in listed]
        heads = "".join(f"<th>{escape(name.removesuffix('_ns'))}</th>" for name in (shown[0] if shown else ()))
        body = "".join(
            f"<tr>{''.join(f'<td>{escape(_text(k, v))}</td>' for k, v in row.items())}</tr>" for row in shown
        )
        more = f"; the first {SHOWN} of {len(rows):,} rows" if len(rows) > SHOWN else ""
        caption = escape(f"{self.headline()}{more}; trust: {self.trust}")
        return f"<table><caption>{caption}</caption><tr>{heads}</tr>{body}</table>"


def _cells(row: Any) -> Iterable[tuple[str, Any]]:
    if isinstance(row, Mapping):
        return row.items()
    return ((field.name, getattr(row, field.name)) for field in dataclasses.fields(row))


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
