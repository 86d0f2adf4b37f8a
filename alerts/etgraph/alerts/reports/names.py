"""Names from traces in reports: no character of them steers what shows the report, and what is left out is told."""

from __future__ import annotations

import re

LONGEST = 300
"""Characters of a name where a person reads it; C++ kernels with their template arguments are seldom longer."""
COMMAND = re.compile(r"##(?=\w*\[)")
"""What begins a command to the runners of GitHub and of Azure wherever in a line it stands."""


def visible(text: str) -> str:
    r"""A text in one line of printable characters: any other one is shown as its escape.

    >>> visible("gemm\n\x1b[31m\ud800 µ")
    'gemm\\n\\x1b[31m\\ud800 µ'
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def shown(text: str, most: int = LONGEST) -> str:
    """A text that is `visible`; of a long one the middle is left out, and how much that is stands in its place.

    >>> shown("a" * 60 + "b" * 60, 40)
    'aaaaaaaa…[104 characters left out]…bbbbbbbb'
    """
    text = visible(text)
    if len(text) <= most:
        return text
    each = max(8, (most - 30) // 2)
    left_out = len(text) - 2 * each
    return f"{text[:each]}…[{left_out:,} characters left out]…{text[-each:]}" if left_out > 0 else text


def well_formed(text: str) -> str:
    r"""A text that every JSON parser takes: lone surrogates, which are no characters, become their escapes.

    >>> well_formed("a\ud800\n")
    'a\\ud800\n'
    """
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def not_a_command(line: str) -> str:
    """A line of a log that the runners of GitHub, Azure and TeamCity print and do not obey.

    >>> not_a_command("  ::add-mask::x")
    '  \\\\x3a:add-mask::x'
    """
    line = COMMAND.sub(r"#\\x23", line)
    words = line.lstrip()
    if words.startswith(("::", "##")):
        line = line[: len(line) - len(words)] + f"\\x{ord(words[0]):x}" + words[1:]
    return line
