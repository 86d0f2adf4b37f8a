"""A profile as the TOML that people read and edit: figures with units, each with its source beside it."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields
from typing import Any

from etgraph.model.settings.declaration import Field, Kind, Leaf, Record, Rows, Table, declared
from etgraph.model.settings.document import quoted, quoted_key, spelled
from etgraph.model.settings.units import write
from etgraph.sim.profiles.profile import Profile


def dump(profile: Profile) -> str:
    """The profile as TOML from which `loads` makes an equal one, whatever it was built on.

    Sources that several figures have are written once, as references by number.
    """
    return _Writer(profile).text()


def fingerprint(profile: Profile) -> str:
    """A short text that is another one for each profile whose content differs in anything."""
    return hashlib.sha256(dump(profile).encode()).hexdigest()[:16]


def figures(profile: Profile) -> Iterator[tuple[str, str]]:
    """Every number of a profile as it is written, by its path, in order of the file; texts are left out."""
    for keys, kind, value in _leaves(profile, declared(Profile), ()):
        if kind.type is not str:
            yield spelled(keys), written(value, kind)


def written(value: Any, kind: Leaf) -> str:
    """A value without quotes, its unit beside it."""
    return write(value, kind.quantity) if kind.quantity else str(value)


def _leaves(value: Any, kind: Kind, keys: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Leaf, Any]]:
    """All values below one that are no tables, with their keys."""
    if isinstance(kind, Leaf):
        yield keys, kind, value
    elif isinstance(kind, Record):
        for field in _present(value, kind):
            yield from _leaves(getattr(value, field.name), field.kind, (*keys, field.key))
    elif isinstance(kind, Table):
        for key, each in value.items():
            yield from _leaves(each, kind.of, (*keys, key))
    elif isinstance(kind, Rows):
        for number, row in enumerate(value):
            yield from _leaves(row, kind.of, (*keys, row.name if kind.named else str(number)))


def _present(record: Any, kind: Record) -> Iterator[Field]:
    """Fields of a record that differ from their default."""
    defaults = {each.name: each.default_factory() if each.default_factory is not MISSING else each.default
                for each in fields(kind.of)}  # fmt: skip
    for field in kind.fields.values():
        if getattr(record, field.name) != defaults[field.name]:
            yield field


class _Writer:
    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        beside = {spelled(keys) for keys, _, _ in _leaves(profile, declared(Profile), ()) if keys[0] != "sources"}
        self.beside = {path: source for path, source in profile.sources.items() if path in beside}
        self.others = {path: source for path, source in profile.sources.items() if path not in beside}
        several = [source for source, number in Counter(self.beside.values()).items() if number > 1]
        self.references = {source: str(number) for number, source in enumerate(several, start=1)}

    def text(self) -> str:
        profile = self.profile
        sections = [[f"name = {quoted(profile.name)}"]]
        if profile.description:
            sections[0].append(f"description = {self._leaf(profile.description, Leaf(str), ('description',))}")
        if self.references:
            pairs = (f"{number} = {quoted(source)}" for source, number in self.references.items())
            sections.append(["[references]", *pairs])
        for key in ("device", "tiers", "calibration"):
            value = getattr(profile, key)
            if value not in ((), None):
                sections += self._sections(value, declared(Profile).fields[key].kind, (key,))
        if self.others:
            pairs = (f"{quoted_key(path)} = {quoted(source)}" for path, source in self.others.items())
            sections.append(["[sources]", *pairs])
        return "\n\n".join("\n".join(lines) for lines in sections) + "\n"

    def _sections(self, value: Any, kind: Kind, keys: tuple[str, ...]) -> Iterator[list[str]]:
        """The tables of a value, each with its own keys first."""
        if isinstance(kind, Rows):
            for number, row in enumerate(value):
                name = (*keys, row.name if kind.named else str(number))
                yield [f"[[{spelled(keys)}]]", *self._pairs(row, kind.of, name)]
            return
        inner: list[tuple[str, Kind, Any]]
        if isinstance(kind, Table):
            lines = [f"[{spelled(keys)}]"]
            if isinstance(kind.of, Leaf):
                own = kind.of
                lines += [f"{quoted_key(key)} = {self._leaf(each, own, (*keys, key))}" for key, each in value.items()]
                inner = []
            else:
                inner = [(key, kind.of, each) for key, each in value.items()]
        else:
            assert isinstance(kind, Record)
            lines = [f"[{spelled(keys)}]", *self._pairs(value, kind, keys)]
            inner = [
                (field.key, field.kind, getattr(value, field.name))
                for field in kind.fields.values()
                if not isinstance(field.kind, Leaf)
                and (field.required or field.name in {each.name for each in _present(value, kind)})
            ]
        yield lines
        for key, of, each in inner:
            yield from self._sections(each, of, (*keys, key))

    def _pairs(self, record: Any, kind: Record, keys: tuple[str, ...]) -> list[str]:
        """The keys of a record that hold no tables."""
        return [
            f"{field.key} = {self._leaf(getattr(record, field.name), field.kind, (*keys, field.key))}"
            for field in _present(record, kind)
            if isinstance(field.kind, Leaf)
        ]

    def _leaf(self, value: Any, kind: Leaf, keys: tuple[str, ...]) -> str:
        number = kind.type is not str and kind.quantity is None
        text = repr(value) if number else quoted(written(value, kind))
        source = self.beside.get(spelled(keys))
        if source is None:
            return text
        return f"{{ value = {text}, source = {quoted(self.references.get(source, source))} }}"


def sources_of(profile: Profile) -> Mapping[str, tuple[str, ...]]:
    """The paths that each source is named for, sources in order of the file."""
    found: dict[str, tuple[str, ...]] = {}
    order = [path for path, _ in figures(profile)]
    known = sorted(profile.sources, key=lambda path: order.index(path) if path in order else len(order))
    for path in known:
        found[profile.sources[path]] = (*found.get(profile.sources[path], ()), path)
    return found
