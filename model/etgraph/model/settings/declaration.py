"""What a dataclass declares of its file form: keys, kinds of values, units, limits, and what each field means."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Literal, TypeAlias, Union, get_args, get_origin, get_type_hints

from etgraph.model.settings.units import Quantity


@dataclass(frozen=True, slots=True)
class AtLeast:
    """Annotation: the least number that a field may have."""

    number: float


@dataclass(frozen=True, slots=True)
class AtMost:
    """Annotation: the largest number that a field may have."""

    number: float


@dataclass(frozen=True, slots=True)
class OneOf:
    """Annotation: a function that gives the texts of which a text is one."""

    names: Callable[[], tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Key:
    """Annotation: the key of a field in files, where its name in Python cannot be that."""

    key: str


@dataclass(frozen=True, slots=True)
class Leaf:
    """A number, a text or a truth value: its Python type, its quantity where it has a unit, its limits.

    A text with `numbers` may stand in a file as a number, too.
    """

    type: type
    quantity: Quantity | None = None
    least: float | None = None
    most: float | None = None
    choices: tuple[str, ...] = ()
    numbers: bool = False


@dataclass(frozen=True, slots=True)
class Items:
    """Numbers or texts in order."""

    of: Leaf


@dataclass(frozen=True, slots=True)
class Table:
    """Values of one kind by key; `keys` are all that there are, none where any may be."""

    of: Kind
    keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rows:
    """Records in order, each with a name of its own where they have that field."""

    of: Record

    @property
    def named(self) -> bool:
        """Whether a row is found by its name."""
        return "name" in self.of.fields


@dataclass(frozen=True, slots=True)
class Field:
    """One key of a record: the dataclass' field, what it holds, its meaning, and whether it must be there."""

    key: str
    name: str
    kind: Kind
    meaning: str
    required: bool


@dataclass(frozen=True, slots=True)
class Record:
    """A dataclass, its fields by key."""

    of: type
    fields: Mapping[str, Field]


Kind: TypeAlias = Leaf | Items | Table | Rows | Record


@cache
def declared(of: type) -> Record:
    """What a dataclass declares. Raises TypeError for an annotation that has no file form."""
    hints = get_type_hints(of, include_extras=True)
    fields = {}
    for each in dataclasses.fields(of):
        hint, notes = _apart(hints[each.name])
        required = each.default is dataclasses.MISSING and each.default_factory is dataclasses.MISSING
        kind = _kind(hint, notes)
        figure = kind.of if isinstance(kind, Table) else kind
        quantity = figure.quantity if isinstance(figure, Leaf) else None
        key = each.name.removesuffix(quantity.suffix) if quantity else each.name
        key = next((note.key for note in notes if isinstance(note, Key)), key)
        meaning = next((note for note in notes if isinstance(note, str)), "")
        fields[key] = Field(key, each.name, kind, meaning, required)
    return Record(of, types.MappingProxyType(fields))


def _apart(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    """A type and its annotations."""
    return (hint.__origin__, hint.__metadata__) if get_origin(hint) is Annotated else (hint, ())


def _kind(hint: Any, notes: tuple[Any, ...]) -> Kind:
    if get_origin(hint) in (Union, types.UnionType):
        some = {each for each in get_args(hint) if each is not types.NoneType}
        if some == {str, float}:
            return Leaf(str, numbers=True)
        (hint,) = some
    origin, arguments = get_origin(hint), get_args(hint)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return declared(hint)
    if origin is tuple:
        item = _kind(*_apart(arguments[0]))
        return Items(item) if isinstance(item, Leaf) else Rows(declared(arguments[0]))
    if origin is not None and isinstance(origin, type) and issubclass(origin, Mapping):
        keys = _kind(*_apart(arguments[0]))
        assert isinstance(keys, Leaf)
        return Table(_kind(*_apart(arguments[1])), keys.choices)
    if origin is Literal:
        return Leaf(str, choices=arguments)
    if hint in (int, float, str, bool):
        quantity = next((note for note in notes if isinstance(note, Quantity)), None)
        least = next((note.number for note in notes if isinstance(note, AtLeast)), 0 if quantity else None)
        most = next((note.number for note in notes if isinstance(note, AtMost)), None)
        choices = next((note.names() for note in notes if isinstance(note, OneOf)), ())
        return Leaf(hint, quantity, least, most, choices)
    raise TypeError(f"{hint} has no form in a file")
