"""Traces of other formats as Chakra messages, with all that is known of them in the standard's words and in ours."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any, Final

import msgspec
import numpy as np

from etgraph.ingest.chakra.attributes import BY_NAME, DOCUMENT, KINDS, OTHERS
from etgraph.ingest.chakra.document import Document, Group, Iteration, Lane
from etgraph.ingest.chakra.messages import GlobalMetadata, IOInfo, Node
from etgraph.ingest.draft import NULL
from etgraph.ingest.writers.chakra.dependencies import LISTS, Lists
from etgraph.ingest.writers.chakra.pieces import attribute, attribute_list, heads
from etgraph.ingest.writers.chakra.sizes import recorded_bytes
from etgraph.model import Category, DependencyKind, LaneKind, NodeType, Trace
from etgraph.model.columns import Array

VERSION: Final = "0.0.4"
"""Version of the schema that is written into the metadata."""
BLOCK: Final = 8192
"""Nodes that are written at one time."""


class Converter:
    """Writes the metadata and nodes of a trace, rank by rank.

    `plain` leaves out what is ours: the document in the metadata, and the attributes that begin with `etgraph.`.
    """

    def __init__(self, trace: Trace, lists: Lists, *, plain: bool = False) -> None:
        self._trace = trace
        self._lists = lists
        self._plain = plain
        self._ids = node_ids(trace)
        self._kinds, self._kind_of = _dependency_kinds(trace)
        self._columns = self._attribute_columns()
        self._shapes: dict[int, bytes] = {-1: b""}

    def metadata(self, rank: int) -> bytes:
        """The GlobalMetadata of a rank."""
        message = GlobalMetadata(version=VERSION)
        if not self._plain:
            message.attr.add(name=DOCUMENT, string_val=self._document(rank).text())
        written: bytes = message.SerializeToString(deterministic=True)
        return written

    def nodes(self, rows: slice) -> Iterator[list[bytes]]:
        """The messages of the operators of some rows, a block at a time."""
        for first in range(rows.start, rows.stop, BLOCK):
            yield self._block(rows.start, first, min(first + BLOCK, rows.stop))

    def _block(self, rank_first: int, first: int, last: int) -> list[bytes]:
        o = self._trace.operators
        absolute = self._absolute(first, last)
        start = np.where(absolute == NULL, 0, np.maximum(absolute // 1000, 0))
        duration = np.where(o.is_null("duration_ns")[first:last], 0, o["duration_ns"][first:last] // 1000)
        ctrl, data = (self._lists.flat(name, first, last, self._ids) for name in ("ctrl", "data"))
        parts = [
            heads(
                self._ids[first:last], o.texts("name").take(o["name"][first:last]), o["kind"][first:last], ctrl, data,
                start, duration,
            ),
            self._inputs(first, last),
            self._attributes(first, last, absolute, rank_first),
        ]  # fmt: skip
        if not self._plain:
            parts.append(self._list_attributes(first, last))
        return list(map(b"".join, zip(*parts)))

    def _absolute(self, first: int, last: int) -> Array:
        """Starts in the recorded clock, `NULL` where there is none."""
        o, zero = self._trace.operators, self._trace.metadata.zero_ns or 0
        return np.where(o.is_null("start_ns")[first:last], NULL, o["start_ns"][first:last] + zero)

    def _attribute_columns(self) -> dict[str, tuple[Array, Any]]:
        """By raw column of an attribute: the values of all operators, and which of them there are."""
        o, trace = self._trace.operators, self._trace
        sends, receives = o["kind"] == int(NodeType.COMM_SEND), o["kind"] == int(NodeType.COMM_RECV)
        peer, has_peer = o["peer"], ~o.is_null("peer")
        recorded = recorded_bytes(trace)
        columns: dict[str, tuple[Array, Any]] = {
            "cpu": (o["category"] < int(Category.KERNEL), np.ones(len(trace), dtype=bool)),
            **self._lane_numbers(),
            "comm_type": (o["comm_type"], ~o.is_null("comm_type")),
            "comm_bytes": (recorded, recorded != NULL),
            "sender": (np.where(sends, o["rank"], peer), (sends | receives) & has_peer),
            "receiver": (np.where(receives, o["rank"], peer), (sends | receives) & has_peer),
            "tag": (o["tag"], ~o.is_null("tag")),
            "flops": (o["flops"], ~o.is_null("flops")),
            "bytes": (o["bytes"], ~o.is_null("bytes")),
        }
        if not self._plain:
            columns |= {
                "category": (o["category"], np.ones(len(trace), dtype=bool)),
                "lane": (self._local("lanes", "lane"), o["lane"] >= 0),
                "iteration": (self._local("iterations", "iteration"), o["iteration"] >= 0),
            }
        return {name: (values, said) for name, (values, said) in columns.items() if said.any()}

    def _lane_numbers(self) -> dict[str, tuple[Array, Any]]:
        """`tid` of operators on threads and `stream` of those on streams, where these are numbers."""
        lanes, lane = self._trace.lanes, self._trace.operators["lane"]
        numbers = [_number(text) for text in lanes.texts("id").to_pylist()]
        of_lane = np.array([NULL if n is None else n for n in numbers] or [NULL])[lanes["id"]]
        found = {}
        for name, kind in (("thread", LaneKind.THREAD), ("stream", LaneKind.STREAM)):
            values = np.append(np.where(lanes["kind"] == int(kind), of_lane, NULL), NULL)[lane]
            found[name] = (values, values != NULL)
        return found

    def _local(self, table: str, column: str) -> Array:
        """Rows of a table as positions among the rows of their rank."""
        ranks = self._trace.tables[table]["rank"]
        order = np.argsort(ranks, kind="stable")
        first = np.searchsorted(ranks[order], ranks)
        position = np.empty(len(ranks) + 1, dtype=np.int64)
        position[order] = np.arange(len(ranks))
        position[:-1] -= first
        position[-1] = -1
        return position[self._trace.operators[column]]

    def _attributes(self, first: int, last: int, absolute: Array, rank_first: int) -> list[bytes]:
        """The attributes with one value, in one order for all operators."""
        o = self._trace.operators
        parts: list[list[bytes]] = []

        def put(name: str, values: list[Any], said: list[bool]) -> None:
            declared = BY_NAME[name]
            parts.append([
                attribute(declared.attribute, declared.field, value) if has else b""
                for value, has in zip(values, said)
            ])  # fmt: skip

        for name, (values, said) in self._columns.items():
            listed = values[first:last].tolist()
            put(name, [bool(v) for v in listed] if name == "cpu" else listed, said[first:last].tolist())
        texts: list[tuple[str, list[str] | None]] = [("group", self._group_names())]
        if not self._plain:
            texts += [("scope", None), ("source", None)]
            put("exact_start", absolute.tolist(), (absolute != NULL).tolist())
            known = ~o.is_null("duration_ns")[first:last]
            put("exact_duration", o["duration_ns"][first:last].tolist(), known.tolist())
            parent = o["parent"][first:last]
            put("parent", (parent - rank_first).tolist(), (parent >= 0).tolist())
        for name, names in texts:
            codes = o[name][first:last]
            if (codes >= 0).any():
                known_texts = names if names is not None else o.texts(name).to_pylist()
                put(name, [known_texts[code] for code in codes.tolist()], (codes >= 0).tolist())
        return [b"".join(row) for row in zip(*parts)]

    def _group_names(self) -> list[str]:
        groups = self._trace.process_groups
        texts = groups.texts("name").to_pylist()
        return [texts[code] for code in groups["name"].tolist()] or [""]

    def _list_attributes(self, first: int, last: int) -> list[bytes]:
        """What kind each dependency is of, and those that stand in neither list."""
        others = self._lists.ids("others", first, last, self._ids)
        kinds = [self._lists.of_each(name, first, last, self._kind_of) for name in LISTS]
        return [
            (attribute_list(OTHERS, "uint64_list", tuple(ids)) if ids else b"")
            + (attribute_list(KINDS, "int32_list", tuple(chain.from_iterable(said))) if any(said) else b"")
            for ids, said in zip(others, zip(*kinds))
        ]

    def _inputs(self, first: int, last: int) -> list[bytes]:
        """Shapes and types of the inputs as a field of a node."""
        codes = self._trace.operators["shapes"][first:last].tolist()
        known = self._shapes
        texts = self._trace.operators.texts("shapes")
        for code in set(codes) - known.keys():
            shapes = msgspec.json.decode(texts[code].as_py())
            message = IOInfo(shapes=msgspec.json.encode(shapes["dims"]).decode())
            if "types" in shapes:
                message.types = msgspec.json.encode(shapes["types"]).decode()
            node = Node()
            node.inputs.CopyFrom(message)
            known[code] = node.SerializeToString()
        return [known[code] for code in codes]

    def _document(self, rank: int) -> Document:
        t, m = self._trace, self._trace.metadata
        lanes = np.flatnonzero(t.lanes["rank"] == rank)
        position = {row: at for at, row in enumerate(lanes.tolist())}
        iterations = [t.iterations.row(row) for row in np.flatnonzero(t.iterations["rank"] == rank).tolist()]
        groups, members = t.process_groups, t.group_members
        return Document(
            rank=rank,
            lanes=[_lane(t.lanes.row(row)) for row in position],
            iterations=[
                Iteration(i["index"], i["name"], position.get(i["lane"]), i["start_ns"], i["end_ns"])
                for i in iterations
            ],
            process_groups=[
                Group(**groups.row(row), ranks=members["rank"][members["group"] == row].tolist())
                for row in range(len(groups))
            ],
            dependencies=self._kinds,
            zero_ns=m.zero_ns,
            world_size=m.world_size,
            device_model=m.device_model,
            start_time=m.start_time,
        )  # fmt: skip


def node_ids(trace: Trace) -> Array:
    """The recorded ids where every operator of a rank has one and no two are equal, else their indices."""
    o = trace.operators
    ids = o["node_id"].copy() if "node_id" in o.filled else np.zeros(len(trace), dtype=np.uint64)
    missing = o.is_null("node_id")
    for rows in trace.rank_rows.values():
        if missing[rows].any() or len(np.unique(ids[rows])) < rows.stop - rows.start:
            ids[rows] = o["index"][rows].astype(np.uint64)
    return ids


def _lane(row: dict[str, Any]) -> Lane:
    kind = row["kind"]
    return Lane(int(kind), row["id"], row["process"], row["device"], row["name"])


def _number(text: str) -> int | None:
    try:
        number = int(text)
    except ValueError:
        return None
    return number if str(number) == text and abs(number) < 2**63 - 1 else None


def _dependency_kinds(trace: Trace) -> tuple[list[tuple[str, bool, str, float]], Array]:
    """The distinct kinds with what is said of them, and which of them each dependency is."""
    d = trace.dependencies
    if not len(d):
        return [], np.zeros(0, dtype=np.int32)
    confidence, level = np.unique(d["confidence"], return_inverse=True)
    key = ((d["kind"].astype(np.int64) * 2 + d["inferred"]) * (len(d.texts("method")) + 1) + d["method"]) * len(
        confidence
    ) + level
    _, first, code = np.unique(key, return_index=True, return_inverse=True)
    kinds = [
        (DependencyKind(int(d["kind"][row])).name, bool(d["inferred"][row]), d.value("method", row),
         float(d["confidence"][row]))
        for row in first.tolist()
    ]  # fmt: skip
    return kinds, code.astype(np.int32)
