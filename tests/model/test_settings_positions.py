"""Lines of values in TOML: every form of the language, against hand-counted lines and Python's own reader."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etgraph.model.settings.document import quoted, quoted_key
from etgraph.model.settings.positions import Path, positions
from etgraph.sim.profiles.library import builtin_names, builtin_text

EVERY_FORM = '''\
# a comment = "with [what] = looks like TOML"
top = 1
"quoted key" = "a # no comment"
'single.dot' = 'C:\\'
a.b . "c.d" = true

[table]     # comment
text = """
[not] = "a table"
"" \\"""
"""
last = 1979-05-27T07:32:00Z
raw = \'\'\'
x = 1\'\'\'\'
[table.inner."q r"]
list = [1, [2,
  3], # comment ]
  { x = "}", y = [
    4] },
]
inline = { one = 1, two.three = 2, "f]" = { g = "h" } }
[[rows]]
name = "first"
[rows.sub]
k = 1
[[rows.deep]]
v = 1
[[rows.deep]]
v = 2
[[rows]]
rows.name = "second"
[[rows.deep]]
v = 3
'''
LINES: dict[Path, int] = {
    ("top",): 2,
    ("quoted key",): 3,
    ("single.dot",): 4,
    ("a",): 5,
    ("a", "b", "c.d"): 5,
    ("table",): 7,
    ("table", "text"): 8,
    ("table", "last"): 12,
    ("table", "raw"): 13,
    ("table", "inner"): 15,
    ("table", "inner", "q r", "list"): 16,
    ("table", "inner", "q r", "list", 1, 1): 17,
    ("table", "inner", "q r", "list", 2, "x"): 18,
    ("table", "inner", "q r", "list", 2, "y", 0): 19,
    ("table", "inner", "q r", "inline", "two", "three"): 21,
    ("table", "inner", "q r", "inline", "f]", "g"): 21,
    ("rows",): 22,
    ("rows", 0, "name"): 23,
    ("rows", 0, "sub", "k"): 25,
    ("rows", 0, "deep", 1, "v"): 29,
    ("rows", 1): 30,
    ("rows", 1, "rows", "name"): 31,
    ("rows", 1, "deep", 0, "v"): 33,
}


def paths(value: Any, path: Path = ()) -> Iterator[Path]:
    """All paths of a document, as Python's reader has it."""
    if path:
        yield path
    for key, each in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from paths(each, (*path, key))


def test_lines_of_every_form() -> None:
    found = positions(EVERY_FORM)
    assert {path: found[path] for path in LINES} == LINES
    assert set(found) == set(paths(tomllib.loads(EVERY_FORM)))


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("name", builtin_names())
def test_nothing_is_missed_in_profiles(name: str, end: str) -> None:
    text = builtin_text(name).replace("\n", end)
    found = positions(text)
    assert set(found) == set(paths(tomllib.loads(text)))
    lines = text.split(end)
    assert all(str(path[-1]) in lines[line - 1] for path, line in found.items() if isinstance(path[-1], str))


KEYS = st.text(st.characters(codec="utf-8", exclude_categories=("Cc",)), max_size=5)
SCALARS = st.sampled_from(['"a"', "'#'", "1", "-1.5e3", "true", '"""\n]"""', "'''\n}\n'''", "2020-01-01 00:00:00"])
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: "[\n" + ",\n".join(items) + "]")
        | st.dictionaries(KEYS, inner, max_size=3).map(
            lambda pairs: "{ " + ", ".join(f"{quoted_key(key)} = {each}" for key, each in pairs.items()) + " }"
        )
    ),
    max_leaves=6,
)
PAIRS = st.dictionaries(KEYS, VALUES, max_size=4)


@given(PAIRS, st.lists(st.tuples(st.booleans(), PAIRS), max_size=4))
def test_every_value_has_its_line(top: dict[str, str], tables: list[tuple[bool, dict[str, str]]]) -> None:
    lines: list[str] = []
    expected: dict[Path, int] = {}

    def write(pairs: dict[str, str], path: Path) -> None:
        for key, value in pairs.items():
            expected[*path, key] = sum(line.count("\n") + 1 for line in lines) + 1
            lines.append(f"{quoted_key(key)} = {value} # {quoted('[' + key)}")

    write({key: value for key, value in top.items() if key not in ("rows", "t0", "t1", "t2", "t3")}, ())
    rows = 0
    for number, (row, pairs) in enumerate(tables):
        lines.append("[[ rows ]]" if row else f'["t{number}"]')
        write(pairs, ("rows", rows) if row else (f"t{number}",))
        rows += row
    found = positions("\n".join(lines))
    assert {path: found[path] for path in expected} == expected
    assert set(found) == set(paths(tomllib.loads("\n".join(lines))))
