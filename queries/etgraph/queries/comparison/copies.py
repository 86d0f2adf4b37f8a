"""Every step on every rank is a copy of one program: how often something occurs in each of them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from etgraph.model import Trace
from etgraph.model.columns import Array
from etgraph.model.numbering import distinct


@dataclass(slots=True)
class Texts:
    """Numbers of texts, the same for all traces."""

    known: dict[str, int] = field(default_factory=dict)

    def of(self, trace: Trace, column: str) -> Array:
        """The number of the text of every operator, -1 for none."""
        texts = trace.operators.texts(column).to_pylist()
        numbers = np.array([*(self.known.setdefault(text, len(self.known)) for text in texts), -1], dtype=np.int64)
        return numbers[trace.operators[column]]


def extremes(
    kind: Array, step: Array, rank: Array, role: Array, kinds: int, steps: int, members: Array
) -> tuple[Array, Array]:
    """How often each of so many kinds occurs in a step on a rank: at least, and at most.

    The arrays have an entry an occurrence. A kind is of one role, and may occur in all of so many steps on the ranks of
    this role; `members` says how many these are.
    """
    copy, copies = distinct(step, rank)
    both, often = np.unique(kind * copies + copy, return_counts=True)
    of = both // max(copies, 1)
    least, most = np.full(kinds, np.iinfo(np.int64).max), np.zeros(kinds, dtype=np.int64)
    np.minimum.at(least, of, often)
    np.maximum.at(most, of, often)
    expected = np.ones(kinds, dtype=np.int64)
    expected[kind] = np.maximum(steps * np.append(members, 0)[role], 1)
    least[np.bincount(of, minlength=kinds) < expected] = 0
    return least, most
