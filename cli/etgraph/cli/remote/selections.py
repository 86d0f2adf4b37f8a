"""What is asked for, out of the dataclass that an answer is: the declarations of which the schema's types are made."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final, get_args, get_origin

from etgraph.model.result_tables import declared_fields, has_rows, only, row_declared
from etgraph.model.results import Result, camel_case

MOST_ROWS: Final = 1000
"""Rows that a list of an answer gives at once."""
WORTH: Final = 40_000
"""Values that one request asks for: somewhat less than a server's usual limit of cost."""


@dataclass(frozen=True, slots=True)
class Selection:
    """The fields of an answer: those that come `whole`, as text, and lists that come in `windows`, with that of a row.

    `values` is how many values a row of all windows together has.
    """

    whole: str
    windows: Mapping[str, str] = field(default_factory=dict)
    values: int = 0

    @property
    def rows(self) -> int:
        """How many rows of each window are worth asking for at once."""
        return max(1, min(MOST_ROWS, WORTH // max(1, self.values)))

    def text(self, first: int, offsets: Mapping[str, int], *, whole: bool = True) -> str:
        """The selection with the next rows of the windows that have an offset; `whole` with the other fields too."""
        listed = (f"{name}(first: {first}, offset: {offset}) {self.windows[name]}" for name, offset in offsets.items())
        return f"{{ __typename {self.whole if whole else ''} {' '.join(listed)} }}"


def selection_of(kind: type, without: Iterable[str] = (), *, windows: bool | None = None) -> Selection:
    """What to ask of a dataclass' type, `without` some fields. Lists of answers come in windows, others whole."""
    return _selection(kind, frozenset(without), issubclass(kind, Result) if windows is None else windows)


@cache
def _selection(kind: type, without: Collection[str], windows: bool) -> Selection:
    hints = {name: hint for name, hint in declared_fields(kind).items() if name not in without}
    apart = {name: hint for name, hint in hints.items() if windows and has_rows(hint)}
    whole = " ".join(f"{camel_case(name)} {_inner(hint)}" for name, hint in hints.items() if name not in apart)
    inner = {camel_case(name): _inner(hint) for name, hint in apart.items()}
    values = sum(1 + sum(word.isalnum() for word in each.split()) for each in inner.values())
    return Selection(whole, inner, values)


def _inner(hint: Any) -> str:
    """The selection of a field's values; nothing for plain ones."""
    row = row_declared(hint)
    if row is not None:
        return f"{{ {' '.join(camel_case(column.name) for column in row.columns)} }}"
    one = only(hint)
    if get_origin(one) is tuple:
        return _inner(get_args(one)[0])
    if dataclasses.is_dataclass(one):
        assert isinstance(one, type)
        return f"{{ {_selection(one, frozenset(), False).whole} }}"
    return ""


__all__ = ["MOST_ROWS", "Selection", "selection_of"]
