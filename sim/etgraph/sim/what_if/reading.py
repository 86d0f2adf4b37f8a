"""Changes as texts: the options of a command, and rows of a TOML file, read by what the changes declare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from etgraph.model.errors import UsageError
from etgraph.model.settings.declaration import Leaf, declared
from etgraph.model.settings.document import Node, document, text_of
from etgraph.model.settings.problems import FileProblems, near, one_of
from etgraph.model.settings.reading import MISSING, Reader, described, number_problem
from etgraph.sim.what_if.declared import CHANGES, NAMES, Change


class ChangesError(FileProblems):
    """A file of changes cannot be used."""

    code = "BAD_CHANGES"


def load(path: Path | str) -> tuple[Change, ...]:
    """The changes in a file, in its order. Raises NotFound where there is none, ChangesError with all its problems."""
    path = Path(path).expanduser()
    return loads(text_of(path, "changes are a TOML file: docs/queries/whatif.md"), file=str(path))


def loads(text: str, *, file: str = "changes.toml") -> tuple[Change, ...]:
    """The changes in a TOML text, rows of `[[changes]]`; `file` names it in messages."""
    reader = Reader()
    root = document(text, file, ChangesError)
    rows = root.table.get("changes")
    for key, node in root.table.items():
        if key != "changes":
            reader.refuse(node, (key,), "an unknown key", "changes", near(key, ("changes",)))
    found: list[Any] = []
    if rows is None or not isinstance(rows.value, list) or not rows.value:
        reader.refuse(
            rows or root, ("changes",), "nothing" if rows is None else described(rows), "rows, each [[changes]]"
        )
    else:
        found = _changes(reader, rows.value)
    return _checked(reader, found)


def from_rows(rows: Sequence[Mapping[str, Any]], *, source: str = "changes") -> tuple[Change, ...]:
    """The changes in rows of plain values, those of a file's `[[changes]]`; `source` names them in messages.

    Raises ChangesError with all their problems.
    """
    reader = Reader()
    return _checked(reader, _changes(reader, [_node(row, source) for row in rows]))


def _node(value: Any, source: str) -> Node:
    if isinstance(value, Mapping):
        return Node({str(key): _node(each, source) for key, each in value.items()}, source)
    return Node([_node(each, source) for each in value] if isinstance(value, list) else value, source)


def _changes(reader: Reader, rows: Sequence[Node]) -> list[Any]:
    return [_change(reader, row, ("changes", str(number))) for number, row in enumerate(rows)]


def _checked(reader: Reader, found: list[Any]) -> tuple[Change, ...]:
    if reader.problems:
        raise ChangesError(sorted(reader.problems, key=lambda problem: problem.line or 0))
    return tuple(found)


def _change(reader: Reader, row: Node, place: tuple[str, ...]) -> Any:
    """The change that a row says; `MISSING` after a problem was noted."""
    if not isinstance(row.value, dict):
        return reader.refuse(row, place, described(row), "a table, [[changes]]")
    kind = row.table.get("change")
    name = kind.value if kind is not None and isinstance(kind.value, str) else ""
    if kind is None or name not in CHANGES:
        found = "nothing" if kind is None else described(kind)
        return reader.refuse(kind or row, (*place, "change"), found, one_of(tuple(CHANGES)), near(name, CHANGES))
    rest = Node({key: node for key, node in row.table.items() if key != "change"}, row.file, row.line)
    return _of_kind(reader, rest, name, place)


def _of_kind(reader: Reader, node: Node, name: str, place: tuple[str, ...]) -> Any:
    try:
        return reader.value(node, declared(CHANGES[name]), place)
    except UsageError as error:  # what the keys say together
        found, _, expected = error.message.removeprefix("found ").partition(", expected ")
        return reader.refuse(node, place, found, expected)


def change(option: str, text: str) -> Change:
    """The change that an option of the command says, such as `scale` and `'aten::mm=0.5'`.

    Raises UsageError, which names the option, what was found and what was expected.
    """
    reader = Reader()
    given = f"--{option} {text!r}"
    node = Node({key: Node(value, given) for key, value in _keys(option, text).items()}, given)
    found = _of_kind(reader, node, option, ())
    if found is MISSING:
        problem = reader.problems[0]
        raise UsageError(f"{given}: found {problem.found}, expected {problem.expected}", hint=problem.hint)
    checked: Change = found
    return checked


def check(change: Change) -> None:
    """Raise UsageError for a number that the change's declaration does not allow, however the change was made."""
    name = NAMES[type(change)]
    for field in declared(CHANGES[name]).fields.values():
        value = getattr(change, field.name)
        if isinstance(field.kind, Leaf) and field.kind.type in (int, float) and value is not None:
            problem = number_problem(value, field.kind)
            if problem:
                raise UsageError(f"{name}, {field.name}: found {value!r}, expected {problem}")


def _keys(option: str, text: str) -> Mapping[str, Any]:
    """The keys that a text of an option gives values to."""
    if option in ("scale", "split"):
        pattern, equals, value = text.rpartition("=")
        if not equals or not pattern:
            form = "FACTOR" if option == "scale" else "N"
            raise UsageError(f"--{option} {text!r}: found no pattern and '=', expected PATTERN={form}")
        return {"pattern": pattern, "factor" if option == "scale" else "parts": _number(value)}
    if option == "launch-latency":
        if text.startswith("x"):
            return {"factor": _number(text.removeprefix("x"))}
        if not isinstance(_number(text), str):
            raise UsageError(
                f"--{option} {text!r}: found a bare number, expected a time or a factor",
                hint="2us is a time, x2 twice what it was",
            )
        return {"latency": text}
    if option == "queue-depth":
        return {"depth": _number(text)}
    return {"size": text} if option == "buckets" else {"pattern": text}


def _number(text: str) -> int | float | str:
    """A text as the number that it is, or itself."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


__all__ = ["ChangesError", "change", "check", "from_rows", "load", "loads"]
