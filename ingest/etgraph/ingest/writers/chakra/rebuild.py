"""Traces that came from Chakra, as the messages that they came from: columns, and what was kept beside them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from etgraph.ingest.chakra import wire
from etgraph.ingest.chakra.attributes import BY_NAME
from etgraph.ingest.chakra.columns import attribute_values, dictionary, numbers, owners, spread
from etgraph.ingest.chakra.fields import NODE
from etgraph.ingest.chakra.layout import arranged
from etgraph.ingest.chakra.messages import Node
from etgraph.ingest.draft import NULL
from etgraph.ingest.identifiers import sorting, twice
from etgraph.ingest.writers.chakra.dependencies import Lists
from etgraph.ingest.writers.chakra.kept import UNREADABLE, KeptFields, kept_of, with_kept, words
from etgraph.ingest.writers.chakra.pieces import group_names, heads
from etgraph.ingest.writers.chakra.sizes import sized
from etgraph.ingest.writers.output import ExportError
from etgraph.model import Category, Columns, NodeType, Trace
from etgraph.model.columns import Array
from etgraph.model.message_sizes import GATHERED, recorded_bytes

BLOCK: Final = 4096
"""Nodes that are written at one time."""
_WHOLE: Final = frozenset(
    {"bool_val"} | {f"{kind}{bits}_val" for kind in ("int", "uint", "sint", "fixed", "sfixed") for bits in (32, 64)}
)
"""Fields that hold whole numbers."""


class Rebuilder:
    """Writes the nodes of a trace from its columns and from what is kept of them.

    Where a column says something else than the attributes that are kept, such as after an edit, the column counts.
    """

    def __init__(self, trace: Trace, lists: Lists) -> None:
        self._trace = trace
        self._lists = lists
        self._kept = KeptFields()
        self._groups = group_names(trace)
        self._recorded = recorded_bytes(trace)
        self._sized = sized(trace)
        self._zero = trace.metadata.zero_ns or 0

    def nodes(self, rows: slice) -> Iterator[list[bytes]]:
        """The messages of the operators of a rank, a block at a time. Raises ExportError naming a node."""
        self._check_ids(rows)
        for first in range(rows.start, rows.stop, BLOCK):
            yield self._block(first, min(first + BLOCK, rows.stop))

    def _check_ids(self, rows: slice) -> None:
        """Raise ExportError for an operator without an id, and for two of one id: nobody could read them."""
        o = self._trace.operators.take(np.arange(rows.start, rows.stop))
        missing = np.flatnonzero(o.is_null("node_id"))
        if len(missing):
            raise ExportError(f"{self._trace.describe(rows.start + int(missing[0]))} has no node id")
        ids = o["node_id"]
        if (pair := twice(ids, sorting(ids))) is not None:
            both = " and ".join(self._trace.describe(rows.start + row) for row in pair)
            raise ExportError(f"{both} have the same node id {ids[pair[0]]}")

    def _block(self, first: int, last: int) -> list[bytes]:
        # A test for null looks at a whole column: taken of the block, it costs no more the longer the trace is.
        block = self._trace.operators.take(np.arange(first, last))
        kept_texts = self._trace.attributes.texts(block["attrs"])
        ctrl, data = (
            self._lists.flat(name, first, last, self._trace.operators["node_id"]) for name in ("ctrl", "data")
        )
        messages: list[bytes] = []
        layouts: dict[int, list[Any]] = {}
        for at, (text, head) in enumerate(zip(kept_texts, heads(block, block["node_id"], ctrl, data, self._zero))):
            if text is None:
                messages.append(head)
                continue
            try:
                if (rest := self._kept.attributes_only(text)) is not None:
                    messages.append(head + rest)
                    continue
                kept = kept_of(text)
                messages.append(with_kept(head, kept) + self._kept.rest(kept))
            except UNREADABLE as error:
                raise ExportError(f"attributes of {self._trace.describe(first + at)}: {words(error)}") from None
            if kept.layout is not None:
                layouts[at] = kept.layout
        for at, changes in self._changes(messages, block, first).items():
            messages[at] = _changed(messages[at], changes)
        for at, layout in layouts.items():
            try:
                messages[at] = arranged(messages[at], NODE, layout)
            except UNREADABLE:
                raise ExportError(f"attributes of {self._trace.describe(first + at)}: no layout: {layout}") from None
        return messages

    def _changes(self, messages: list[bytes], block: Columns, first: int) -> dict[int, dict[str, Any]]:
        """What the columns say otherwise than the messages, by position of the message and name; None: nothing."""
        count = len(messages)
        found = wire.tokens(*wire.joined(messages), NODE)
        owner = owners(found)
        written, _ = numbers(found, owner, count)
        places = attribute_values(found)
        held = {
            name: spread(found.value[at], owner[at], count, NULL)
            for name, at in places.items() if name in BY_NAME and not BY_NAME[name].text
        }  # fmt: skip
        for name in ("start", "duration"):
            exact = held.get(f"exact_{name}", np.full(count, NULL))
            held[name] = np.where(exact != NULL, exact, written[name])
        changes: dict[int, dict[str, Any]] = {}
        for name, (values, said, has_column) in self._said(block, slice(first, first + count)).items():
            has = held.get(name, np.full(count, NULL))
            gone = ~said & (has != NULL)
            if name in ("start", "duration"):
                gone &= has != 0
            elif name == "comm_bytes":
                gone &= ~np.isin(block["comm_type"], GATHERED)
            for at in np.flatnonzero(has_column & ((said & (values != has)) | gone)).tolist():
                changes.setdefault(at, {})[name] = int(values[at]) if said[at] else None
        on_host = block["category"] < int(Category.KERNEL)
        book_keeping = block["kind"] == int(NodeType.METADATA)
        moved = ((held.get("cpu", np.full(count, NULL)) == 1) != on_host) & ~book_keeping
        for at in np.flatnonzero(moved).tolist():
            changes.setdefault(at, {})["cpu"] = bool(on_host[at])
        self._group_changes(found, places.get("group"), owner, block["group"], changes)
        return changes

    def _said(self, o: Columns, rows: slice) -> dict[str, tuple[Array, Array, Array]]:
        """By name what the columns of a block say, of which operators they say it, and of which they could."""
        kind = o["kind"]
        everywhere = np.ones(len(kind), dtype=bool)
        sends, receives = kind == int(NodeType.COMM_SEND), kind == int(NodeType.COMM_RECV)
        collective = kind == int(NodeType.COMM_COLL)
        recorded = self._recorded[rows]

        def said(column: str) -> Array:
            present: Array = ~o.is_null(column)
            return present

        return {
            "start": (o["start_ns"] + self._zero, said("start_ns"), everywhere),
            "duration": (o["duration_ns"], said("duration_ns"), everywhere),
            "comm_type": (o["comm_type"], said("comm_type"), collective),
            "comm_bytes": (recorded, recorded != NULL, self._sized[rows] & (sends | receives | collective)),
            "receiver": (o["peer"], said("peer"), sends),
            "sender": (o["peer"], said("peer"), receives),
            "tag": (o["tag"], said("tag"), sends | receives),
            "flops": (o["flops"], said("flops"), everywhere),
            "bytes": (o["bytes"], said("bytes"), everywhere),
        }

    def _group_changes(
        self, found: wire.Tokens, at: Array | None, owner: Array, rows: Array, changes: dict[int, dict[str, Any]]
    ) -> None:
        """Add the names of process groups, given by row, that are others than those written."""
        names: list[str | None] = [None] * len(rows)
        if at is not None:
            codes, strings = dictionary(found, at)
            for position, code in zip(owner[at].tolist(), codes.tolist()):
                names[position] = strings[code].decode()
        for position in np.flatnonzero(rows >= 0).tolist():
            if names[position] != (wanted := self._groups[int(rows[position])]):
                changes.setdefault(position, {})["group"] = wanted


def _changed(message: bytes, changes: dict[str, Any]) -> bytes:
    """The message with other times and attributes."""
    node = Node.FromString(message)
    for name, value in changes.items():
        if name in ("start", "duration"):
            whole = max(value or 0, 0) // 1000
            setattr(node, "start_time_micros" if name == "start" else "duration_micros", whole)
            exact = BY_NAME[f"exact_{name}"]
            has_exact = any(a.name == exact.attribute for a in node.attr)
            if value is not None and whole * 1000 == value and not has_exact:
                continue
            name = exact.name
        _set(node, name, value)
    changed: bytes = node.SerializeToString(deterministic=True)
    return changed


def _set(node: Any, name: str, value: int | str | None) -> None:
    """Give the last attribute of that name another value, in the type that it has, or add one; None takes it away."""
    declared = BY_NAME[name]
    found = [position for position, attr in enumerate(node.attr) if attr.name == declared.attribute]
    if value is None:
        for position in reversed(found):
            del node.attr[position]
        return
    attr = node.attr[found[-1]] if found else node.attr.add(name=declared.attribute)
    kind = attr.WhichOneof("value")
    fitting = kind if kind in _WHOLE and not declared.text else declared.field
    try:
        setattr(attr, fitting, value)
    except (ValueError, TypeError):
        setattr(attr, declared.field, value)
