"""What changed in the program from the baseline, by kind, as `compare` finds it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar, Literal

from etgraph.model import CommType, Trust
from etgraph.model.results import Result
from etgraph.queries.comparison import Comparison, Contribution
from etgraph.queries.keys import MESSAGE_TYPE, UNKNOWN_TYPE

ChangeKind = Literal["operator", "collective", "dependency"]

_TYPES = frozenset({*(each.name.lower() for each in CommType), MESSAGE_TYPE.lower(), UNKNOWN_TYPE.lower()})
_DEPENDENCY = re.compile(r" waits for .* \((?:CTRL|DATA|EVENT)\)\Z", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Change:
    """Operators of one name, collectives of one type or dependencies of one kind and names, of another number or size.

    Counts and bytes are those of a step and rank; `added` and `removed` are by how many there are more, or fewer, and
    `bytes_added` by how many bytes collectives move more (0: no more). `contribution_ns` is what the change makes of
    the difference of the steps, `work_ns` the time of these operators, None where a side has no times. `status` is that
    of `Contribution`.
    """

    kind: ChangeKind
    key: str
    status: str
    base_count: float
    other_count: float
    added: float
    removed: float
    base_bytes: int | None
    other_bytes: int | None
    bytes_added: float
    contribution_ns: int | None
    work_ns: int | None
    ranks: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Changes(Result):
    """The changes of the program from the baseline, the one that concerns most work first."""

    changes: tuple[Change, ...]
    trust: Trust

    FRAME: ClassVar[str] = "changes"
    TABLE: ClassVar[str] = "changes"


def changes_of(comparison: Comparison) -> Changes:
    """The changes that a comparison found."""
    return Changes(tuple(_change(one, timed=comparison.timed) for one in comparison.structural), comparison.trust)


def _change(one: Contribution, *, timed: bool) -> Change:
    before, after = (
        count * (size or 0)
        for count, size in ((one.base_count, one.base_bytes), (one.other_count, one.other_bytes))
    )  # fmt: skip
    more = one.other_count - one.base_count
    return Change(
        change_kind(one.key), one.key, one.status, one.base_count, one.other_count, max(more, 0.0), max(-more, 0.0),
        one.base_bytes, one.other_bytes, max(after - before, 0.0), one.contribution_ns if timed else None,
        one.work_ns if timed else None, one.ranks,
    )  # fmt: skip


def change_kind(key: str) -> ChangeKind:
    """What a contribution of `compare` is of, by its key: collectives are named by their type, in lower case.

    >>> change_kind("all_reduce"), change_kind("aten::mm"), change_kind("copy waits for gemm (EVENT)")
    ('collective', 'operator', 'dependency')
    """
    if key.lower() in _TYPES or key.lower().startswith(f"{UNKNOWN_TYPE.lower()} "):
        return "collective"
    return "dependency" if _DEPENDENCY.search(key) else "operator"


__all__ = ["Change", "ChangeKind", "Changes", "change_kind", "changes_of"]
