"""Values, texts and times of slices as JSON."""

from __future__ import annotations

from typing import Final

import numpy as np

from etgraph.ingest.writers.rows import json_real, json_text
from etgraph.ingest.writers.timeline.contents import Value
from etgraph.model.columns import Array

MICROSECONDS: Final = "%d.%03d"
"""A time in µs with all its ns, of what `micros` gives."""


def micros(ns: Array) -> tuple[list[int], list[int]]:
    """Whole microseconds, and the nanoseconds beyond them."""
    whole, rest = np.divmod(ns, 1000)
    return whole.tolist(), rest.tolist()


def literals(value: Value, rows: Array) -> list[str]:
    """The value of each row as JSON, null where it has none."""
    found, there = value.of(rows)
    if value.texts is None:
        text = json_real if found.dtype.kind == "f" else str
        return [text(v) if ok else "null" for v, ok in zip(found.tolist(), there.tolist())]
    codes, inverse = np.unique(np.where(there, found, -1), return_inverse=True)
    known = ["null" if code < 0 else json_text(str(value.texts[code])) for code in codes.tolist()]
    return [known[n] for n in inverse.tolist()]


def members(value: Value, rows: Array) -> list[str]:
    """`,"name":value` of each row, nothing where it has none."""
    before = f',"{value.name}":'
    return ["" if text == "null" else before + text for text in literals(value, rows)]
