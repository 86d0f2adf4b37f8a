"""Answers of questions, compared by what they hold."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np
import pyarrow as pa

from etgraph.model.results import Result


def values(result: Result) -> dict[str, Any]:
    """The fields of an answer; of tables the types and values, since dictionaries of texts may come back in part."""
    return {field.name: _values(getattr(result, field.name)) for field in fields(result)}  # type: ignore[arg-type]


def _values(value: Any) -> Any:
    if isinstance(value, pa.Table):
        return value.schema, value.to_pydict()
    if isinstance(value, np.ndarray):
        return value.dtype, value.tolist()
    return value
