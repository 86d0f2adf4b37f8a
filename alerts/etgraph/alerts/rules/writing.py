"""Rules as TOML: the inverse of `etgraph.alerts.rules.reading.loads`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from etgraph.alerts.rules.rule import Rule
from etgraph.model.settings.declaration import Items, Kind, Record, declared
from etgraph.model.settings.document import quoted

_NOTHING: Final = "{}"


def dump(rules: Sequence[Rule]) -> str:
    """The text of a file from which `loads` makes equal rules, in their order.

    >>> from etgraph.alerts.rules.rule import Budget
    >>> print(dump([Rule("step", "iterations.durationNs", budget=Budget(max="2ms"))]).splitlines()[5])
    budget = {max = "2ms"}
    """
    tables = ["\n".join(["[[rules]]", *_pairs(rule, declared(Rule))]) for rule in rules]
    return "\n\n".join(tables) + "\n"


def _pairs(record: Any, kind: Record) -> Iterator[str]:
    """Keys with their values; what has none, which is what it is unless it is said, stays out."""
    for field in kind.fields.values():
        value = getattr(record, field.name)
        if value is not None and value not in ("", ()) and (text := _written(value, field.kind)) != _NOTHING:
            yield f"{field.key} = {text}"


def _written(value: Any, kind: Kind) -> str:
    if isinstance(kind, Record):
        return f"{{{', '.join(_pairs(value, kind))}}}"
    if isinstance(kind, Items):
        return f"[{', '.join(_written(each, kind.of) for each in value)}]"
    return quoted(value) if isinstance(value, str) else repr(value)


__all__ = ["dump"]
