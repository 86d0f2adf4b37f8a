"""Process groups as files declare them: lists, texts in Python's notation, ranks that are elided or counted out."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Sequence
from typing import Any, Final

LONGEST_TEXT: Final = 1 << 22
"""Characters of a declaration that are read; a longer one is damage, since a group of 100,000 ranks needs a tenth."""
LARGEST_GROUP: Final = 1 << 20
"""A process group of more ranks than this is not written out as members."""

Group = tuple[str, str | None, str | None, int | None, list[int]]
"""Name, description, backend, size and ranks; no ranks where they are not known."""

_NUMBER = re.compile(r"\d{1,10}")


def literal(value: Any) -> Any:
    """The value itself, or the one that a text holds in Python's notation; None where it holds none.

    Only literals are read, nothing is evaluated.
    """
    if not isinstance(value, str):
        return value
    if len(value) > LONGEST_TEXT:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.literal_eval(value)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None


def declared_groups(config: Any) -> list[Group]:
    """Process groups of a `pg_config`: a list of objects, or a text that holds one; what is no group is left out."""
    entries = literal(config)
    found = []
    for entry in entries if isinstance(entries, list) else ():
        if not isinstance(entry, dict) or "pg_name" not in entry:
            continue
        ranks = literal(entry.get("ranks"))
        listed = list(ranks) if isinstance(ranks, (list, tuple, dict)) else []
        members = distinct_ranks(listed)
        size = rank_number(entry.get("pg_size", entry.get("group_size"))) or None
        if not listed and size and size <= LARGEST_GROUP and str(entry["pg_name"]) == "0":
            members = list(range(size))
        found.append((str(entry["pg_name"]), _text(entry.get("pg_desc")), _text(entry.get("backend_config")), size,
                      members))  # fmt: skip
    return found


def listed_ranks(text: bytes, size: int = -1, start: int = -1, stride: int = 0) -> list[int]:
    """Ranks of a text such as `[0, 2, 4]`; of an elided one, `[0, 2, ..., 62]`, where first and stride are recorded.

    Without these a list without gaps can be told by its size alone. Empty where the ranks are not known.
    """
    numbers = [int(digits) for digits in _NUMBER.findall(text.decode(errors="replace"))]
    if b"..." not in text:
        return distinct_ranks(numbers) or strided_ranks(start, stride, size)
    if counted := strided_ranks(start, stride, size):
        return counted if numbers[:1] == counted[:1] and numbers[-1:] == counted[-1:] else []
    if len(numbers) >= 2 and numbers[-1] - numbers[0] + 1 == size <= LARGEST_GROUP:
        return distinct_ranks(list(range(numbers[0], numbers[-1] + 1)))
    return []


def strided_ranks(start: int, stride: int, size: int) -> list[int]:
    """Ranks from a first one in equal steps; empty where one of the three is not known."""
    if start < 0 or stride < 1 or not 0 < size <= LARGEST_GROUP:
        return []
    return distinct_ranks([start + stride * k for k in range(size)])


def distinct_ranks(values: Sequence[Any]) -> list[int]:
    """The values where all are ranks and none occurs twice; else nothing, as a wrong group is worse than none."""
    ranks = [r for r in map(rank_number, values) if r is not None]
    return ranks if len(ranks) == len(values) == len(set(ranks)) else []


def rank_number(value: Any) -> int | None:
    """A whole number from 0 to 2³¹ - 1, None for anything else."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**31 else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
