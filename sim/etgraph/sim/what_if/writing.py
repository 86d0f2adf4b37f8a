"""Changes as rows of plain values: the inverse of `etgraph.sim.what_if.reading.from_rows`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from etgraph.model.settings.declaration import Leaf, declared
from etgraph.model.settings.units import write
from etgraph.sim.what_if.declared import CHANGES, Change


def to_rows(changes: Sequence[Change]) -> list[dict[str, Any]]:
    """The rows of `[[changes]]` that say these changes, in their order.

    >>> from etgraph.sim.what_if.reading import change
    >>> to_rows([change("scale", "aten::mm=0.5")])
    [{'change': 'scale', 'pattern': 'aten::mm', 'factor': 0.5}]
    """
    names = {kind: name for name, kind in CHANGES.items()}
    return [{"change": names[type(each)], **dict(_keys(each))} for each in changes]


def _keys(change: Change) -> Iterator[tuple[str, Any]]:
    """The keys of a change; one without a value stays out."""
    kind_of_change: type = type(change)
    for field in declared(kind_of_change).fields.values():
        value, kind = getattr(change, field.name), field.kind
        if value is not None:
            yield field.key, write(value, kind.quantity) if isinstance(kind, Leaf) and kind.quantity else value


__all__ = ["to_rows"]
