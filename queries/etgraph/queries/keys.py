"""Keys by which answers group operators and collectives: family, scope, type, process group, size."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from etgraph.model import Category, CommType, DependencyKind, NodeType, Trace
from etgraph.model.arrivals import communicates
from etgraph.model.columns import Array
from etgraph.model.families import family_of
from etgraph.model.launching import launching_calls

UNSCOPED = "no scope"
UNKNOWN_TYPE = "UNKNOWN"
MESSAGE_TYPE = "SEND_RECV"
OTHER = "other"
UNGROUPED = "no group recorded"
SIZES = (
    "below 1 kB", "1 to 10 kB", "10 to 100 kB", "100 kB to 1 MB", "1 to 10 MB", "10 to 100 MB", "100 MB to 1 GB",
    "1 GB or more", "size not recorded",
)  # fmt: skip
"""Classes of messages by size, from the lower limit, without the upper one."""
LISTED = 4
"""Ranks of a group that are named one by one."""
DEEPEST = 64
"""How many operators around a launch are asked for their family."""
_COPY = re.compile(r"^Memcpy (\w+)")


@dataclass(frozen=True, slots=True)
class Keys:
    """A key for every operator: `code` is its position in `texts`."""

    code: Array
    texts: tuple[str, ...]


def scopes(trace: Trace) -> Keys:
    """The path of modules and annotations around each operator, `UNSCOPED` where there is none.

    An operator without one, on a thread of the communication library, say, has that of the operator that set it going.
    """
    d, scope = trace.dependencies, trace.operators["scope"].copy()
    spawns = np.flatnonzero(d["kind"] == int(DependencyKind.SPAWN))
    source, target = d["src"][spawns], d["dst"][spawns]
    bare = scope[target] < 0
    scope[target[bare]] = scope[source[bare]]
    texts = trace.operators.texts("scope").to_pylist()
    return Keys(np.where(scope >= 0, scope, len(texts)), (*texts, UNSCOPED))


def types(trace: Trace, rows: Array) -> Keys:
    """The type of collective of those communication operators; sends and receives are `MESSAGE_TYPE`."""
    o = trace.operators
    numbers, position = np.unique(o["comm_type"][rows], return_inverse=True)
    names = [_type_name(number, unknown=o.table.column("comm_type").null) for number in numbers.tolist()]
    message = np.isin(o["kind"][rows], (int(NodeType.COMM_SEND), int(NodeType.COMM_RECV)))
    return _distinct(np.where(message, len(names), position), [*names, MESSAGE_TYPE])


def _type_name(number: int, unknown: int) -> str:
    known = CommType._value2member_map_
    return UNKNOWN_TYPE if number == unknown else known[number].name if number in known else f"{UNKNOWN_TYPE} {number}"


def groups(trace: Trace, rows: Array) -> Keys:
    """The process group of those communication operators, by name and ranks."""
    g, members = trace.process_groups, trace.group_ranks
    texts = [f"{g.value('name', row) or 'group'} {_ranks(members[row])}".strip() for row in range(len(g))]
    group = trace.operators["group"][rows]
    return Keys(np.where(group >= 0, group, len(texts)), (*texts, UNGROUPED))


def _ranks(ranks: Sequence[int]) -> str:
    """Ranks of a group in a few characters: `[0, 1, …, 7]`."""
    if not ranks:
        return ""
    shown = [str(rank) for rank in ranks]
    return f"[{', '.join(shown if len(shown) <= LISTED else [*shown[:2], '…', shown[-1]])}]"


def sizes(bytes: Array) -> Keys:
    """The class of size of each message: powers of ten of bytes; `bytes` below 0 are unknown."""
    limits = np.array([10**power for power in range(3, 10)])
    code = np.where(bytes < 0, len(limits) + 1, np.searchsorted(limits, bytes, side="right"))
    return Keys(code, SIZES)


def families(trace: Trace) -> Keys:
    """What kind of work each operator does: its family, its type of communication, or what its copy goes from and to.

    A kernel whose name says nothing is of the family of the innermost operator around its launch that has one.
    """
    o, category = trace.operators, trace.operators["category"]
    names = o.texts("name").to_pylist()
    by_name = _distinct(np.arange(len(names)), map(family_of, names))
    copies = _distinct(np.arange(len(names)), map(_copy, names))
    code = _of_launch(trace, by_name.code[o["name"]], np.array([text == OTHER for text in by_name.texts]))
    code = np.where(category == int(Category.MEMCPY), len(by_name.texts) + copies.code[o["name"]], code)
    texts = [*by_name.texts, *copies.texts, "memset"]
    code = np.where(category == int(Category.MEMSET), len(texts) - 1, code)
    rows = np.flatnonzero(communicates(trace, np.arange(len(o))))
    kinds = types(trace, rows)
    code[rows] = len(texts) + kinds.code
    return _distinct(code, [*texts, *kinds.texts])


def _copy(name: str) -> str:
    match = _COPY.match(name)
    return f"memcpy {match[1]}" if match else "memcpy"


def _of_launch(trace: Trace, code: Array, other: Array) -> Array:
    """The codes, those of device operators of no family taken from the operators around their launch."""
    parent = trace.operators["parent"]
    kernel = np.flatnonzero(other[code])
    around = launching_calls(trace)[kernel]
    code = code.copy()
    for _ in range(DEEPEST):
        some = around >= 0
        kernel, around = kernel[some], around[some]
        if not len(kernel):
            break
        found = ~other[code[around]]
        code[kernel[found]] = code[around[found]]
        kernel, around = kernel[~found], parent[around[~found]]
    return code


def _distinct(code: Array, texts: Iterable[str]) -> Keys:
    """The same keys, each text once."""
    known: dict[str, int] = {}
    new = np.array([known.setdefault(text, len(known)) for text in texts], dtype=np.int64)
    return Keys(new[code] if len(new) else code, tuple(known))


__all__ = [
    "MESSAGE_TYPE",
    "OTHER",
    "UNKNOWN_TYPE",
    "UNSCOPED",
    "Keys",
    "families",
    "groups",
    "scopes",
    "sizes",
    "types",
]
