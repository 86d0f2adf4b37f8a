"""Single figures of a profile by their paths: what they are, and the profile with others in their place.

`with_overrides` reads texts as files have them, and takes milliseconds; what is here takes values that were read
before, and a fraction of that: a sweep puts the same few values together again and again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from etgraph.model.settings.declaration import Kind, Leaf, Record, Rows, Table, declared
from etgraph.model.settings.document import spelled, split
from etgraph.sim.profiles.profile import Profile


def leaf_at(path: str) -> Leaf:
    """What a figure may be, whichever profile it is of. Raises KeyError for a path that no profile has."""
    kind: Kind = declared(Profile)
    for key in split(path):
        if isinstance(kind, Record):
            kind = kind.fields[key].kind
        elif isinstance(kind, (Rows, Table)):
            kind = kind.of
        else:
            raise KeyError(path)
    if not isinstance(kind, Leaf):
        raise KeyError(path)
    return kind


def value_at(profile: Profile, path: str) -> Any:
    """The value at a path, in the field's own unit; None where the profile has none there."""
    value, kind = profile, declared(Profile)
    for key in split(path):
        value, kind = _inside(value, kind, key)
    return value


def with_values(profile: Profile, values: Mapping[str, Any]) -> Profile:
    """The profile with other values at some paths, which are as they came from `value_at`; their sources are gone."""
    changed: Any = profile
    for path, value in values.items():
        changed = _changed(changed, declared(Profile), split(path), value)
    gone = {spelled(split(path)) for path in values}
    found: Profile = replace(changed, sources={p: s for p, s in profile.sources.items() if p not in gone})
    return found


def _inside(value: Any, kind: Any, key: str) -> tuple[Any, Any]:
    """What lies below a key, and what it may be."""
    if isinstance(kind, Record):
        field = kind.fields[key]
        return (None if value is None else getattr(value, field.name)), field.kind
    if isinstance(kind, Table):
        return (None if value is None else value.get(key)), kind.of
    return (value[at] if (at := _place(value, kind, key)) is not None else None), kind.of


def _place(rows: Any, kind: Rows, key: str) -> int | None:
    """Where in rows the one stands that a key means."""
    names = (row.name if kind.named else str(at) for at, row in enumerate(rows or ()))
    return next((at for at, name in enumerate(names) if name == key), None)


def _changed(value: Any, kind: Any, keys: tuple[str, ...], new: Any) -> Any:
    if not keys:
        return new
    key, *rest = keys
    inner, inner_kind = _inside(value, kind, key)
    changed = _changed(inner, inner_kind, tuple(rest), new)
    if isinstance(kind, Record):
        return replace(value if value is not None else kind.of(), **{kind.fields[key].name: changed})
    if isinstance(kind, Table):
        return {**(value or {}), key: changed}
    at = _place(value, kind, key)
    if at is None:
        raise KeyError(key)
    return (*value[:at], changed, *value[at + 1 :])
