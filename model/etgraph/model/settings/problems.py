"""What is wrong with a file of settings: each problem with its line, what was found and what was expected."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from etgraph.model.errors import InputError

LISTED = 8
"""Names that a message lists; of more it says how many there are."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: `path` as overrides write it, `line` from 1 (None where there is none)."""

    file: str
    line: int | None
    path: str
    found: str
    expected: str
    hint: str | None = None

    @property
    def place(self) -> str:
        """Line and path, as far as they are known."""
        return ", ".join(filter(None, (f"line {self.line}" if self.line else "", self.path)))

    def __str__(self) -> str:
        text = f"{self.place}: found {self.found}, expected {self.expected}"
        return f"{text} ({self.hint})" if self.hint else text


class FileProblems(InputError):
    """A file of settings cannot be used; `problems` are all that were found, in order of the file."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        first = problems[0]
        super().__init__(
            first.file, place=first.place or None, found=first.found, expected=first.expected, hint=first.hint
        )
        self.problems = tuple(problems)
        if len(problems) > 1:
            files = dict.fromkeys(problem.file for problem in problems)
            self.message = "\n".join(
                line
                for file in files
                for own in ([problem for problem in problems if problem.file == file],)
                for line in (f"{file}: {len(own)} problem{'s' * (len(own) > 1)}", *(f"  {each}" for each in own))
            )
            self.args = (self.message,)
            self.hint = None


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Which known name comes nearest to one that is not known, if any comes near."""
    by_letters = {each.lower(): each for each in known}
    found = difflib.get_close_matches(name.lower(), by_letters, n=1, cutoff=0.5)
    return by_letters[found[0]] if found else None


def near(name: str, known: Iterable[str]) -> str | None:
    """The known name that comes nearest, as a question."""
    found = nearest(name, known)
    return f"did you mean {found!r}?" if found else None


def one_of(names: Sequence[str]) -> str:
    """Names to choose from, in words."""
    if len(names) > LISTED:
        return f"one of {', '.join(names[:LISTED])} and {len(names) - LISTED} more"
    return f"one of {', '.join(names)}" if len(names) > 1 else names[0] if names else "none here"
