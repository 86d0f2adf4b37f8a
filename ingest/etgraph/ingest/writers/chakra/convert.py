"""Traces of other formats as Chakra messages, with all that is known of them in the standard's words and in ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from typing import Any, Final

import msgspec
import numpy as np

from etgraph.ingest.chakra.attributes import BY_NAME, DOCUMENT, KINDS, OTHERS
from etgraph.ingest.chakra.document import LISTS, Document, Group, Iteration, Lane
from etgraph.ingest.chakra.messages import GlobalMetadata, IOInfo, Node
from etgraph.ingest.draft import NULL
from etgraph.ingest.writers.astra_sim.lowering import SIMULATOR_ATTRIBUTES
from etgraph.ingest.writers.chakra.dependencies import Lists
from etgraph.ingest.writers.chakra.kept import (
    UNREADABLE,
    Kept,
    KeptFields,
    kept_of,
    metadata_message,
    unknown_fields,
    with_kept,
    words,
)
from etgraph.ingest.writers.chakra.pieces import attribute, attribute_list, group_names, heads
from etgraph.ingest.writers.output import ExportError
from etgraph.model import Category, Columns, DependencyKind, LaneKind, NodeType, Trace
from etgraph.model.columns import Array
from etgraph.model.message_sizes import recorded_bytes

VERSION: Final = "0.0.4"
"""Version of the schema that is written into the metadata."""
OWN: Final = frozenset({OTHERS, KINDS, *(declared.attribute for declared in BY_NAME.values())})
"""Attributes that are written from columns."""
_Fields = tuple[bytes, bytes, bytes]
"""Fields of a node: those up to its times, inputs, and what comes last."""
BLOCK: Final = 8192
"""Nodes that are written at one time."""


class Converter:
    """Writes the metadata and nodes of a trace, rank by rank.

    `plain` leaves out what is ours: the document in the metadata, and the attributes that begin with `etgraph.`. `read`
    is, by rank, the metadata of such files that the trace was read from: what other tools added to them is written too.
    """

    def __init__(self, trace: Trace, lists: Lists, read: Mapping[int, dict[str, Any]], *, plain: bool = False) -> None:
        self._trace = trace
        self._lists = lists
        self._read = read
        self._plain = plain
        self._ids, self._numbered = node_ids(trace)
        self._kept = KeptFields()
        self._kinds, self._kind_of = _dependency_kinds(trace)
        self._columns = self._attribute_columns()
        self._zero = trace.metadata.zero_ns or 0
        self._texts = {"group": group_names(trace)}
        if not plain:
            self._texts |= {name: trace.operators.texts(name).to_pylist() for name in ("scope", "source")}
        self._shapes: dict[int, bytes] = {-1: b""}

    def metadata(self, rank: int) -> bytes:
        """The GlobalMetadata of a rank."""
        message = GlobalMetadata(version=VERSION)
        if not self._plain:
            message.attr.add(name=DOCUMENT, string_val=self._document(rank).text())
            if rank in self._read:
                others = GlobalMetadata.FromString(metadata_message(self._read[rank]))
                message.attr.extend(a for a in others.attr if a.name != DOCUMENT)
        written: bytes = message.SerializeToString(deterministic=True)
        return written

    def nodes(self, rows: slice) -> Iterator[list[bytes]]:
        """The messages of the operators of a rank, a block at a time."""
        rank = int(self._trace.operators["rank"][rows.start]) if rows.stop > rows.start else -1
        for first in range(rows.start, rows.stop, BLOCK):
            last = min(first + BLOCK, rows.stop)
            parts = self._block(first, last)
            if self._plain:
                self._add_kept(parts, first, last, self._for_simulators)
            elif rank in self._read:
                self._add_kept(parts, first, last, self._foreign)
            yield list(map(b"".join, zip(*parts)))

    def _add_kept(self, parts: list[list[bytes]], first: int, last: int, of: Callable[..., _Fields]) -> None:
        """Add what is kept of nodes; `of` says what of it, given the head, the inputs, and what is kept."""
        ends = [b""] * (last - first)
        texts = self._trace.attributes.texts(self._trace.operators["attrs"][first:last])
        for at, text in enumerate(texts):
            if text is not None:
                try:
                    parts[0][at], parts[1][at], ends[at] = of(parts[0][at], parts[1][at], kept_of(text))
                except UNREADABLE as error:
                    raise ExportError(f"attributes of {self._trace.describe(first + at)}: {words(error)}") from None
        parts.append(ends)

    def _foreign(self, head: bytes, inputs: bytes, kept: Kept) -> _Fields:
        """What other tools put into nodes of ours: ids that lead nowhere, arguments, attributes, unknown fields."""
        if kept.outputs or b'"values"' in bytes(kept.inputs):
            inputs = self._kept.arguments(kept)
        return (
            with_kept(head, kept),
            inputs,
            self._kept.named(kept, lambda name: name not in OWN) + unknown_fields(kept),
        )

    def _for_simulators(self, head: bytes, inputs: bytes, kept: Kept) -> _Fields:
        """What a simulator reads of a node beside what columns hold."""
        return head, inputs, self._kept.named(kept, SIMULATOR_ATTRIBUTES.__contains__)

    def _block(self, first: int, last: int) -> list[list[bytes]]:
        # A test for null looks at a whole column: taken of the block, it costs no more the longer the trace is.
        block = self._trace.operators.take(np.arange(first, last))
        ctrl, data = (self._lists.flat(name, first, last, self._ids) for name in ("ctrl", "data"))
        parts = [
            heads(block, self._ids[first:last], ctrl, data, self._zero),
            self._inputs(block),
            self._attributes(block, first, last),
        ]
        if not self._plain:
            parts.append(self._list_attributes(first, last))
        return parts

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
                "link": (o["link"], ~o.is_null("link")),
                "waves": (o["waves"], ~o.is_null("waves")),
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

    def _attributes(self, block: Columns, first: int, last: int) -> list[bytes]:
        """The attributes with one value, in one order for all operators."""
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
        if not self._plain:
            for name, column, zero in (("exact_start", "start_ns", self._zero), ("exact_duration", "duration_ns", 0)):
                put(name, (block[column] + zero).tolist(), (~block.is_null(column)).tolist())
            parent = block["parent"]
            around = self._ids[parent].astype(np.int64)
            put("parent", around.tolist(), ((parent >= 0) & (around >= 0)).tolist())
        for name, known in self._texts.items():
            codes = block[name]
            if (codes >= 0).any():
                put(name, [known[code] for code in codes.tolist()], (codes >= 0).tolist())
        return [b"".join(row) for row in zip(*parts)]

    def _list_attributes(self, first: int, last: int) -> list[bytes]:
        """What kind each dependency is of, and those that stand in neither list."""
        others = self._lists.ids("others", first, last, self._ids)
        kinds = [self._lists.of_each(name, first, last, self._kind_of) for name in LISTS]
        return [
            (attribute_list(OTHERS, "uint64_list", tuple(ids)) if ids else b"")
            + (attribute_list(KINDS, "int32_list", tuple(chain.from_iterable(said))) if any(said) else b"")
            for ids, said in zip(others, zip(*kinds))
        ]

    def _inputs(self, block: Columns) -> list[bytes]:
        """Shapes and types of the inputs as a field of a node."""
        codes, texts, known = block["shapes"].tolist(), block.texts("shapes"), self._shapes
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
        return Document(
            rank=rank,
            numbered=rank in self._numbered,
            lanes=[_lane(t.lanes.row(row)) for row in position],
            iterations=[
                Iteration(i["index"], i["name"], position.get(i["lane"]), i["start_ns"], i["end_ns"])
                for i in iterations
            ],
            process_groups=[
                Group(**t.process_groups.row(row), ranks=list(ranks)) for row, ranks in enumerate(t.group_ranks)
            ],
            dependencies=self._kinds,
            zero_ns=m.zero_ns,
            world_size=m.world_size,
            device_model=m.device_model,
            start_time=m.start_time,
        )  # fmt: skip


def node_ids(trace: Trace) -> tuple[Array, frozenset[int]]:
    """The recorded ids, or indices for the ranks, given too, on which an operator has none or two have the same."""
    o = trace.operators
    ids = o["node_id"].copy() if "node_id" in o.filled else np.zeros(len(trace), dtype=np.uint64)
    missing = o.is_null("node_id")
    numbered = set()
    for rank, rows in trace.rank_rows.items():
        if missing[rows].any() or len(np.unique(ids[rows])) < rows.stop - rows.start:
            ids[rows] = o["index"][rows].astype(np.uint64)
            numbered.add(rank)
    return ids, frozenset(numbered)


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
    methods = d.texts("method").to_pylist()
    columns = (d["kind"], d["inferred"].astype(np.int8), d["method"], d["confidence"].view(np.int32))
    distinct, code = np.unique(np.stack(columns).astype(np.int64), axis=1, return_inverse=True)
    kinds = [
        (DependencyKind(kind).name, bool(inferred), methods[method], float(np.int32(bits).view(np.float32)))
        for kind, inferred, method, bits in distinct.T.tolist()
    ]
    # In an order that does not depend on the table's, so that the same trace gives the same file.
    order = sorted(range(len(kinds)), key=kinds.__getitem__)
    place = np.empty(len(kinds), dtype=np.int32)
    place[order] = np.arange(len(kinds))
    return [kinds[at] for at in order], place[code]
