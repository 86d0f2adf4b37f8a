"""A profile with single values changed, by their paths: what a sweep over hardware does for each of its points."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from etgraph.model.errors import UsageError
from etgraph.model.settings.declaration import Kind, Leaf, Record, Rows, Table, declared
from etgraph.model.settings.document import Node, document, name_of, spelled, split
from etgraph.model.settings.problems import near
from etgraph.model.settings.units import parse, write
from etgraph.sim.profiles.profile import Profile
from etgraph.sim.profiles.reading import ProfileError, profile_of
from etgraph.sim.profiles.writing import dump

_TIMES = ("x", "×", "*")
_OVERRIDES = "overrides"


class OverrideError(UsageError):
    """A value cannot be overridden: at which path, what was found and what was expected there."""

    def __init__(
        self, path: str, found: str, expected: str, hint: str | None = None, *, message: str | None = None
    ) -> None:
        super().__init__(message or f"override {path}: found {found}, expected {expected}", hint=hint)
        self.path = path
        self.found = found
        self.expected = expected


def with_overrides(profile: Profile, overrides: Mapping[str, object]) -> Profile:
    """The profile with other values at some paths, such as `device.memory_bandwidth` or `tiers.nvlink.bandwidth`.

    A value is a text as in a file (`"4 TB/s"`), a number in the field's own unit (bytes/s, flop/s, bytes, ns, watts),
    or a multiple of what is there (`"x2"`, `"×0.5"`). A figure that changed has no source any more; the name
    stays. Tiers are found by name; a dtype or a family that had no figure gets one. Takes a few milliseconds.

    Raises OverrideError for a path that does not exist, and for a value that cannot be there.

    >>> from etgraph.sim.profiles import load
    >>> with_overrides(load("h100-sxm"), {"device.memory_bandwidth": "x2"}).device.memory_bandwidth
    6700000000000.0
    """
    if not overrides:
        return profile
    root = document(dump(profile), _OVERRIDES, ProfileError)
    for path, value in overrides.items():
        _change(root, profile, path, value)
    try:
        return profile_of(root)
    except ProfileError as error:
        first = error.problems[0]
        raise OverrideError(first.path, first.found, first.expected, first.hint) from None


def paths(profile: Profile) -> tuple[str, ...]:
    """All paths that `with_overrides` takes for a profile, those without a figure as yet among them."""
    return tuple(spelled(keys) for keys in _paths(profile, declared(Profile), ()) if keys[0] != "sources")


def _paths(value: Any, kind: Kind, keys: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    if isinstance(kind, Leaf):
        yield keys
    elif isinstance(kind, Record):
        for field in kind.fields.values():
            inner = None if value is None else getattr(value, field.name)
            if inner is not None or isinstance(field.kind, Leaf):
                yield from _paths(inner, field.kind, (*keys, field.key))
    elif isinstance(kind, Table):
        for key in dict.fromkeys((*value, *kind.keys)):
            yield from _paths(value.get(key), kind.of, (*keys, key))
    elif isinstance(kind, Rows):
        for number, row in enumerate(value):
            yield from _paths(row, kind.of, (*keys, row.name if kind.named else str(number)))


def _change(root: Node, profile: Profile, path: str, value: object) -> None:
    """Put one value into the tree of a document that `dump` made."""
    *outer, last = split(path)
    at: Node = root
    kind: Kind = declared(Profile)
    for key in outer:
        found = _inside(at, kind, key)
        if found is None:
            raise _unknown(profile, path)
        at, kind = found
    leaf = kind.of if isinstance(kind, Table) and last in (kind.keys or (last,)) else None
    if isinstance(kind, Record) and last in kind.fields:
        leaf = kind.fields[last].kind
    if not isinstance(leaf, Leaf) or outer[:1] == ["sources"]:
        raise _unknown(profile, path)
    at.table[last] = Node(_text(at.table.get(last), value, leaf, path), _OVERRIDES)


def _inside(at: Node, kind: Kind, key: str) -> tuple[Node, Kind] | None:
    """What lies below a key, made where it may be and is not; None where there is no such key."""
    if isinstance(kind, Record) and key in kind.fields and not isinstance(kind.fields[key].kind, Leaf):
        inner = kind.fields[key].kind
        return at.table.setdefault(key, Node([] if isinstance(inner, Rows) else {}, _OVERRIDES)), inner
    if isinstance(kind, Table) and key in at.table:
        return at.table[key], kind.of
    if isinstance(kind, Rows) and isinstance(at.value, list):
        for number, row in enumerate(at.value):
            if key == (name_of(row) if kind.named else str(number)):
                return row, kind.of
    return None


def _text(present: Node | None, value: object, leaf: Leaf, path: str) -> object:
    """The value as a document holds it; a number of NumPy's is one of Python's."""
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, str) and leaf.type is not str and value.strip()[:1] in _TIMES:
        if present is None:
            raise OverrideError(path, repr(value), "a value, since there is none to multiply")
        try:
            factor = Decimal(value.strip()[1:].strip())
        except ArithmeticError:
            raise OverrideError(path, repr(value), "a multiple such as 'x2'") from None
        node = present.figure[0] if present.figure else present
        value = (parse(str(node.value), leaf.quantity) if leaf.quantity else Decimal(str(node.value))) * factor
        value = round(value) if leaf.type is int and (leaf.quantity or value == int(value)) else float(value)
    if leaf.quantity is not None and isinstance(value, (int, float)) and not isinstance(value, bool):
        if value != value or abs(value) == float("inf"):
            raise OverrideError(path, str(value), leaf.quantity.expected())
        return write(value, leaf.quantity)
    return value


def _unknown(profile: Profile, path: str) -> OverrideError:
    known = paths(profile)
    hint = near(path, known) or f"there are {', '.join(known)}"
    message = f"{profile.name} has no {path!r}"
    return OverrideError(path, "a path that there is not", f"one of {profile.name}", hint, message=message)
