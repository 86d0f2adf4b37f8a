"""Query files and their headers: a summary, a description, typed parameters, typed columns, then Cypher.

    // Longest operators.
    //
    // Operators without a duration are left out.
    //
    // parameters:
    //   $trace  trace                the trace
    //   $rank   integer?             only this rank
    //   $limit  integer[1..] = 20    no more rows than this
    //
    // columns:
    //   rank        integer  -   rank of the operator
    //   durationNs  integer  ns  time from start to end
    //
    MATCH (t:Trace {id: $trace, state: 'ready'}) …

`?` after a type means that the value may be missing, `= …` gives a default in JSON, `[a..b]` bounds an integer. A query
that asks about a trace takes `$trace`, of type `trace`; one without any parameter of that type is about the catalogue.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from etgraph.model.errors import InputError
from etgraph.queries.library.types import TYPES, UNITS

_NAME: Final = re.compile(r"[a-z]+(?:_[a-z]+)*\Z")
_PARAMETER: Final = re.compile(
    r"\$(?P<name>\w+)\s+(?P<type>[a-z]+)(?P<optional>\?)?(?:\[(?P<low>-?\d*)\.\.(?P<high>-?\d*)\])?"
    r"(?:\s+=\s+(?P<default>\S+))?\s+(?P<meaning>\S.*)\Z"
)
_COLUMN: Final = re.compile(r"(?P<name>\w+)\s+(?P<type>[a-z]+)(?P<nullable>\?)?\s+(?P<unit>\S+)\s+(?P<meaning>\S.*)\Z")
_CAMEL: Final = re.compile(r"[a-z]+(?:[A-Z][a-z0-9]*)*\Z")
_NOT_CYPHER: Final = re.compile(r"""//[^\n]*|/\*.*?\*/|'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*\"""", re.DOTALL)


class QueryFileError(InputError):
    """A file of the library is not what its format asks for. The message names the file and the line."""

    code = "QUERY_FILE"


@dataclass(frozen=True, slots=True)
class Parameter:
    """What a query takes: `required` ones have neither a default nor may they be missing."""

    name: str
    type: str
    meaning: str
    optional: bool = False
    default: Any = None
    low: int | None = None
    high: int | None = None

    @property
    def required(self) -> bool:
        """Whether a call must give it."""
        return not self.optional and self.default is None

    @property
    def spelled(self) -> str:
        """Its type as the header writes it."""
        bounds = ""
        if self.low is not None or self.high is not None:
            bounds = f"[{'' if self.low is None else self.low}..{'' if self.high is None else self.high}]"
        return f"{self.type}{'?' if self.optional else ''}{bounds}"


@dataclass(frozen=True, slots=True)
class Column:
    """What a query gives in one column; `unit` is empty where there is none."""

    name: str
    type: str
    unit: str
    meaning: str
    nullable: bool = False


@dataclass(frozen=True, slots=True)
class NamedQuery:
    """One query of the library: what it answers, what it takes and gives, and its Cypher."""

    name: str
    summary: str
    description: str
    parameters: tuple[Parameter, ...]
    columns: tuple[Column, ...]
    text: str

    @property
    def traces(self) -> tuple[str, ...]:
        """Names of the parameters that are traces; none where the query is about the catalogue."""
        return tuple(parameter.name for parameter in self.parameters if parameter.type == "trace")


def parse(name: str, text: str, file: str) -> NamedQuery:
    """The query that a file holds. Raises QueryFileError with the line; `file` is what the error calls the file."""
    if not _NAME.match(name):
        raise QueryFileError(file, found=f"the name {name!r}", expected="lower-case words joined by _")
    lines = text.splitlines()
    length = next((number for number, line in enumerate(lines) if not line.startswith("//")), len(lines))
    header = _Header(file, [line[2:].removeprefix(" ").rstrip() for line in lines[:length]])
    query = NamedQuery(
        name=name,
        summary=header.summary(),
        description=header.description(),
        parameters=tuple(header.parameters()),
        columns=tuple(header.columns()),
        text="\n".join(lines[length:]).strip() + "\n",
    )
    _check_uses(query, file, length + 1)
    return query


class _Header:
    """The lines of a header, without their slashes, and where each part begins."""

    def __init__(self, file: str, lines: Sequence[str]) -> None:
        self.file = file
        self.lines = lines
        self.parts = {}
        for title in ("parameters:", "columns:"):
            found = [number for number, line in enumerate(lines) if line == title]
            if len(found) != 1:
                raise self.error(len(lines), f"{len(found)} lines '// {title}'", "one")
            self.parts[title] = found[0]
        if self.parts["columns:"] < self.parts["parameters:"]:
            raise self.error(self.parts["columns:"] + 1, "the columns", "the parameters before them")

    def error(self, line: int, found: str, expected: str) -> QueryFileError:
        """The error for one line, counted from 1."""
        return QueryFileError(self.file, place=f"line {line}", found=found, expected=expected)

    def summary(self) -> str:
        """The first line, a sentence."""
        first = self.lines[0]
        if not first.endswith(".") or not first[0].isupper():
            raise self.error(1, repr(first), "a summary: one sentence on one line")
        if self.lines[1]:
            raise self.error(2, repr(self.lines[1]), "an empty line after the summary")
        return first

    def description(self) -> str:
        """What stands between the summary and the parameters; paragraphs have an empty line between them."""
        lines = self.lines[2 : self.parts["parameters:"]]
        if not any(lines):
            raise self.error(3, "no description", "what the query does, in a sentence or more")
        return "\n".join(lines).strip()

    def parameters(self) -> Iterator[Parameter]:
        """The declared parameters."""
        seen: set[str] = set()
        for number, line in self._rows(self.parts["parameters:"] + 1, self.parts["columns:"]):
            match = _PARAMETER.match(line)
            if match is None:
                raise self.error(number, repr(line), "$name type [= default] meaning")
            yield self._parameter(match, number, seen)

    def _parameter(self, match: re.Match[str], number: int, seen: set[str]) -> Parameter:
        name, kind = match["name"], self._type(match["type"], number)
        self._once(name, number, seen)
        if (name == "trace") != (kind == "trace") and name == "trace":
            raise self.error(number, f"$trace of type {kind}", "type trace")
        bounded = match["low"] is not None
        if bounded and kind != "integer":
            raise self.error(number, f"bounds of the type {kind}", "bounds of an integer only")
        low, high = (int(match[part]) if match[part] else None for part in ("low", "high"))
        default = None
        if match["default"] is not None:
            try:
                default = json.loads(match["default"])
            except ValueError:
                raise self.error(number, f"the default {match['default']}", "JSON") from None
            if not TYPES[kind].holds(default):
                raise self.error(number, f"the default {match['default']}", TYPES[kind].words)
        return Parameter(name, kind, match["meaning"], match["optional"] is not None, default, low, high)

    def columns(self) -> Iterator[Column]:
        """The declared columns."""
        seen: set[str] = set()
        start = self.parts["columns:"] + 1
        for number, line in self._rows(start, len(self.lines)):
            match = _COLUMN.match(line)
            if match is None or match["unit"] not in UNITS:
                raise self.error(
                    number, repr(line), f"name type unit meaning, with a unit of {', '.join(sorted(UNITS))}"
                )
            self._once(match["name"], number, seen)
            unit = match["unit"] if match["unit"] != "-" else ""
            if (unit == "ns") != match["name"].endswith("Ns"):
                raise self.error(
                    number, f"{match['name']} in {unit or 'no unit'}", "names in …Ns for ns, and only for ns"
                )
            yield Column(
                match["name"], self._type(match["type"], number), unit, match["meaning"], match["nullable"] is not None
            )
        if not seen:
            raise self.error(start, "no columns", "one or more")

    def _rows(self, start: int, end: int) -> Iterator[tuple[int, str]]:
        """Lines of a part, joined where one goes on deeper in the next, each with its number from 1."""
        rows: list[tuple[int, str]] = []
        for number in range(start, end):
            line = self.lines[number]
            if not line:
                continue
            if re.match(r"  \S", line):
                rows.append((number + 1, line.strip()))
            elif line.startswith("    ") and rows:
                rows[-1] = (rows[-1][0], f"{rows[-1][1]} {line.strip()}")
            else:
                raise self.error(number + 1, repr(line), "a line that is two spaces in, or deeper to go on")
        yield from rows

    def _type(self, name: str, number: int) -> str:
        if name not in TYPES:
            raise self.error(number, f"the type {name}", f"one of {', '.join(TYPES)}")
        return name

    def _once(self, name: str, number: int, seen: set[str]) -> None:
        if not _CAMEL.match(name):
            raise self.error(number, f"the name {name}", "camelCase")
        if name in seen:
            raise self.error(number, f"{name} again", "each name once")
        seen.add(name)


def _check_uses(query: NamedQuery, file: str, line: int) -> None:
    """Raise QueryFileError unless the query uses exactly the declared parameters; its Cypher begins at `line`."""
    declared = {parameter.name for parameter in query.parameters}
    cypher = _NOT_CYPHER.sub("", query.text)
    used = set(re.findall(r"\$(\w+)", cypher))
    if not cypher.strip():
        raise QueryFileError(file, place=f"line {line}", found="no Cypher", expected="a query below the header")
    for name in sorted(used - declared):
        raise QueryFileError(file, place=f"line {line}", found=f"${name} in the query", expected="a declared parameter")
    for name in sorted(declared - used):
        raise QueryFileError(file, place=f"line {line}", found=f"no ${name}", expected="every declared parameter used")
