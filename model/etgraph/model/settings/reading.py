"""A tree of values as what is declared, with all that is wrong about it."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

from etgraph.model.settings.declaration import Items, Kind, Leaf, Record, Rows, Table
from etgraph.model.settings.document import Node, name_of, spelled
from etgraph.model.settings.problems import Problem, near, nearest, one_of
from etgraph.model.settings.units import MOST_INTEGER, NotAQuantity, Quantity, parse, write

_WORDS = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}
MISSING: Any = object()
"""What stands for a value that has a problem."""


class Reader:
    """Reads nodes by what is declared, and keeps problems and sources."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.sources: dict[str, str] = {}

    def value(self, node: Node, kind: Kind, keys: tuple[str, ...]) -> Any:
        """The value of a node; `MISSING` after a problem was noted."""
        if isinstance(kind, Leaf):
            return self._leaf(node, kind, keys)
        if isinstance(kind, (Items, Rows)):
            return self._items(node, kind, keys) if isinstance(kind, Items) else self._rows(node, kind, keys)
        if not isinstance(node.value, dict):
            return self.refuse(node, keys, described(node), f"a table, [{spelled(keys)}]")
        return self._record(node, kind, keys) if isinstance(kind, Record) else self._table(node, kind, keys)

    def refuse(self, node: Node, keys: tuple[str, ...], found: str, expected: str, hint: str | None = None) -> Any:
        """Note a problem; gives `MISSING`."""
        self.problems.append(Problem(node.file, node.line, spelled(keys), found, expected, hint))
        return MISSING

    def _record(self, node: Node, kind: Record, keys: tuple[str, ...]) -> Any:
        values, meant = {}, set[str]()
        missing = [field for key, field in kind.fields.items() if field.required and key not in node.table]
        for key, each in node.table.items():
            if key in kind.fields:
                field = kind.fields[key]
                values[field.name] = self.value(each, field.kind, (*keys, key))
            else:
                free = [name for name in kind.fields if name not in node.table]
                meant |= {nearest(key, free) or ""}
                hint = near(key, free) or near(key, kind.fields)
                self.refuse(each, (*keys, key), "an unknown key", one_of(free or tuple(kind.fields)), hint)
        # A key that is only misspelt is not missing as well.
        for field in (field for field in missing if field.key not in meant):
            self.refuse(node, (*keys, field.key), "nothing", _expected(field.kind, field.key), field.meaning)
        complete = not missing and MISSING not in values.values()
        return kind.of(**values) if complete else MISSING

    def _table(self, node: Node, kind: Table, keys: tuple[str, ...]) -> Any:
        values = {}
        for key, each in node.table.items():
            if kind.keys and key not in kind.keys:
                self.refuse(each, (*keys, key), "an unknown key", one_of(kind.keys), near(key, kind.keys))
            else:
                values[key] = self.value(each, kind.of, (*keys, key))
        return MISSING if MISSING in values.values() else values

    def _items(self, node: Node, kind: Items, keys: tuple[str, ...]) -> Any:
        if not isinstance(node.value, list):
            return self.refuse(node, keys, described(node), f"an array, each item {_expected(kind.of, keys[-1])}")
        items = [self._leaf(item, kind.of, keys) for item in node.value]
        return MISSING if MISSING in items else tuple(items)

    def _rows(self, node: Node, kind: Rows, keys: tuple[str, ...]) -> Any:
        if not isinstance(node.value, list):
            return self.refuse(node, keys, described(node), f"rows, each [[{spelled(keys)}]]")
        rows, names = [], set[str]()
        for number, row in enumerate(node.value):
            name = name_of(row) if kind.named else None
            if name is not None and name in names:
                rows.append(
                    self.refuse(row.table["name"], (*keys, name), "a name that is there already", "another name")
                )
                continue
            names |= {name} if name is not None else set()
            rows.append(self.value(row, kind.of, (*keys, name if name is not None else str(number))))
        return MISSING if MISSING in rows else tuple(rows)

    def _leaf(self, node: Node, kind: Leaf, keys: tuple[str, ...]) -> Any:
        source = None
        if node.figure is not None:
            node, source = node.figure
        expected = _expected(kind, keys[-1])
        value: Any = node.value
        try:
            if kind.quantity is not None:
                value = _figure(value, kind.quantity)
        except NotAQuantity as error:
            return self.refuse(node, keys, described(node), error.expected, error.hint)
        if kind.type is bool:
            if not isinstance(value, bool):
                return self.refuse(node, keys, described(node), expected)
        elif kind.type is str:
            if not isinstance(value, str) and not (kind.numbers and _is_number(value)):
                return self.refuse(node, keys, described(node), expected)
            if kind.choices and value not in kind.choices:
                return self.refuse(node, keys, described(node), expected, near(value, kind.choices))
        else:
            problem = number_problem(value, kind)
            if problem:
                return self.refuse(node, keys, described(node), problem)
        if source is not None:
            if not isinstance(source.value, str):
                return self.refuse(source, (*keys, "source"), described(source), "a text")
            self.sources[spelled(keys)] = source.references.get(source.value, source.value)
        return kind.type(value)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _figure(value: object, quantity: Quantity) -> Decimal:
    if not isinstance(value, str):
        raise NotAQuantity(quantity.expected(), hint="with its unit, in quotes" if _is_number(value) else None)
    return parse(value, quantity)


def number_problem(value: object, kind: Leaf) -> str | None:
    """What was expected instead of a value that is none of the numbers a leaf may hold."""
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)) or not math.isfinite(value):
        return _expected(kind, "")
    if kind.type is int and value != int(value):
        return f"a whole number of {kind.quantity.suffix.lstrip('_')}" if kind.quantity else _expected(kind, "")
    if kind.type is int and not isinstance(value, Decimal) and not isinstance(value, int):
        return _expected(kind, "")
    if kind.least is not None and value < kind.least:
        return f"{_least(kind)} or more"
    if kind.quantity is not None and kind.quantity.positive and value <= 0:
        return f"{kind.quantity.expected()}, more than 0"
    most = kind.most if kind.most is not None else MOST_INTEGER if kind.type is int else None
    if most is not None and value > most:
        return f"at most {most:,.15g}" if isinstance(most, float) else f"at most {most:,}"
    return None


def _least(kind: Leaf) -> str:
    assert kind.least is not None
    return write(int(kind.least), kind.quantity) if kind.quantity else f"{kind.least:g}"


def _expected(kind: Kind, key: str) -> str:
    """What a value should be, in words."""
    if isinstance(kind, (Record, Table)):
        return f"a table, [{key}]"
    if isinstance(kind, Rows):
        return f"rows, each [[{key}]]"
    if isinstance(kind, Items):
        return f"an array, each item {_expected(kind.of, key)}"
    if kind.quantity is not None:
        return kind.quantity.expected()
    if kind.choices:
        return one_of(kind.choices)
    least = f", {kind.least:g} or more" if kind.least is not None else ""
    return f"{_WORDS[kind.type]}{' or a number' * kind.numbers}{least}"


def described(node: Node) -> str:
    """A value as a message shows it."""
    if isinstance(node.value, dict):
        return "a table"
    if isinstance(node.value, list):
        return "an array"
    if isinstance(node.value, bool):
        return "true" if node.value else "false"
    text = repr(node.value) if not isinstance(node.value, str) else f'"{node.value}"'
    return text if len(text) <= 60 else f"{text[:59]}…"
