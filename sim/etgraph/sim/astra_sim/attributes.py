"""What the Chakra nodes of a trace say beyond its columns, of the few nodes where it matters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from etgraph.model import Trace
from etgraph.model.attributes import decoded
from etgraph.model.columns import Array

_LOOKED_FOR: Final = '"involved_dim"|"dangling":|"cyclic":|"duration_micros":'
"""What a node's text has if it is decoded for itself alone."""


@dataclass(frozen=True, slots=True)
class Kept:
    """By position among the rows that were asked about: values of attributes, and what else the text holds."""

    values: Mapping[int, dict[str, Any]] = field(default_factory=dict)
    more: Mapping[int, dict[str, Any]] = field(default_factory=dict)

    def value(self, at: int, name: str) -> Any:
        """The value of a node's attribute, None where it has none or was not looked at."""
        return self.values.get(at, {}).get(name)


def kept(trace: Trace, rows: Array, asked: Array) -> Kept:
    """What is kept of the rows where `asked` is true, and of those with something that matters of any node."""
    attrs = trace.operators["attrs"][rows]
    if not len(trace.attributes) or not (attrs >= 0).any():
        return Kept()
    import pyarrow.compute as pc

    wanted = asked & (attrs >= 0)
    place = np.full(len(trace.attributes), -1, dtype=np.int64)
    place[attrs[attrs >= 0]] = np.flatnonzero(attrs >= 0)
    for first, texts in trace.attributes.batches():
        matter = pc.match_substring_regex(texts, _LOOKED_FOR).to_numpy(zero_copy_only=False)
        at = place[first + np.flatnonzero(matter)]
        wanted[at[at >= 0]] = True
    positions = np.flatnonzero(wanted)
    values: dict[int, dict[str, Any]] = {}
    more: dict[int, dict[str, Any]] = {}
    for position, text in zip(positions.tolist(), trace.attributes.texts(attrs[positions])):
        document = decoded(text or b"{}")
        listed = document.get("attr")
        if isinstance(listed, list):
            named = (each for each in listed if isinstance(each, dict) and "name" in each)
            values[position] = {each["name"]: _value(each) for each in named}
        more[position] = document
    return Kept(values, more)


def _value(attribute: Mapping[str, Any]) -> Any:
    """The value of an attribute; of a list the list."""
    for name, value in attribute.items():
        if name.endswith("_val"):
            return value
        if name.endswith("_list"):
            return value.get("values", []) if isinstance(value, dict) else None
    return None
