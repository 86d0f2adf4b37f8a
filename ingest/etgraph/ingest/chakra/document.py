"""What a trace of another format says beside its operators, as one JSON text in the metadata of a Chakra file.

Lanes, iterations, process groups, clock and hardware of one rank, and the kinds of its dependencies, of which Chakra
knows two. Written by `etgraph export --format chakra`, and taken back when such a file is read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from etgraph.ingest.chakra.attributes import DOCUMENT
from etgraph.ingest.chakra.limits import EARLIEST_NS
from etgraph.model import TABLES, Columns, DependencyKind
from etgraph.model.schema import Table

LISTS: Final = {
    "ctrl": (
        DependencyKind.CTRL, DependencyKind.CALL, DependencyKind.THREAD, DependencyKind.LAUNCH, DependencyKind.SPAWN,
        DependencyKind.JOIN,
    ),
    "data": (DependencyKind.DATA, DependencyKind.STREAM, DependencyKind.EVENT),
    "others": (DependencyKind.SYNC, DependencyKind.OCCUPANCY, DependencyKind.COMM),
}  # fmt: skip
"""Kinds by list of a node. Control and data dependencies order nodes by their starts; the others do not."""
WRITTEN: Final = frozenset(kind.name for kinds in LISTS.values() for kind in kinds)


class Lane(msgspec.Struct, omit_defaults=True):
    """A row of `lanes`."""

    kind: int
    id: str
    process: str = ""
    device: int | None = None
    name: str | None = None


class Iteration(msgspec.Struct, omit_defaults=True):
    """A row of `iterations`; `lane` is a position among the document's lanes."""

    index: int
    name: str
    lane: int | None = None
    start_ns: int | None = None
    end_ns: int | None = None


class Group(msgspec.Struct, omit_defaults=True):
    """A row of `process_groups` and its members."""

    name: str
    description: str | None = None
    backend: str | None = None
    size: int | None = None
    ranks: list[int] = []


class Document(msgspec.Struct, omit_defaults=True):
    """All of it. `dependencies` lists kind, whether inferred, method, confidence.

    `numbered` says that the ids of the nodes are their numbers, because the trace had none.
    """

    rank: int
    numbered: bool = False
    lanes: list[Lane] = []
    iterations: list[Iteration] = []
    process_groups: list[Group] = []
    dependencies: list[tuple[str, bool, str, float]] = []
    zero_ns: int | None = None
    world_size: int | None = None
    device_model: str | None = None
    start_time: str | None = None

    def text(self) -> str:
        """The JSON text."""
        return msgspec.json.encode(self).decode()

    def sound(self) -> bool:
        """Whether all that it refers to exists and every number fits its column."""
        int32 = range(2**31)
        return (
            self.rank in int32
            and all(abs(t) <= EARLIEST_NS for i in self.iterations for t in (i.start_ns, i.end_ns) if t is not None)
            and abs(self.zero_ns or 0) <= EARLIEST_NS
            and all(lane.kind in (0, 1) and (lane.device is None or lane.device in int32) for lane in self.lanes)
            and all(i.index in int32 and (i.lane is None or 0 <= i.lane < len(self.lanes)) for i in self.iterations)
            and all(r in int32 for g in self.process_groups for r in (g.size or 0, *g.ranks))
            and all(kind in WRITTEN and 0 <= confidence <= 1 for kind, _, _, confidence in self.dependencies)
            and all((i.end_ns or 0) >= (i.start_ns or 0) for i in self.iterations if None not in (i.start_ns, i.end_ns))
            and (self.world_size is None or self.world_size in int32)
        )


def document_of(metadata: Mapping[str, Any]) -> Document | None:
    """The document among the attributes of a file's metadata; None where there is none, or another tool's."""
    for attribute in metadata.get("attr", ()):
        if attribute.get("name") == DOCUMENT and isinstance(text := attribute.get("string_val"), str):
            try:
                document = msgspec.json.decode(text, type=Document)
            except (msgspec.DecodeError, RecursionError):
                return None
            return document if document.sound() else None
    return None


def lane_table(document: Document) -> Columns:
    """The lanes."""
    return columns_of("lanes", [{"rank": document.rank} | msgspec.structs.asdict(lane) for lane in document.lanes])


def iteration_table(document: Document) -> Columns:
    """The iterations."""
    return columns_of("iterations", [{"rank": document.rank} | msgspec.structs.asdict(i) for i in document.iterations])


def columns_of(name: str, rows: Sequence[Mapping[str, Any]]) -> Columns:
    """A table from its rows; None is null."""
    table: Table = TABLES[name]
    if not rows:
        return Columns.empty(table)
    data: dict[str, Any] = {}
    dictionaries: dict[str, list[str]] = {}
    for column in table.columns:
        values = [row.get(column.name) for row in rows]
        if column.type == "text":
            known: dict[str, int] = {}
            data[column.name] = [-1 if v is None else known.setdefault(v, len(known)) for v in values]
            dictionaries[column.name] = list(known)
        else:
            data[column.name] = [column.null if v is None else v for v in values]
    return Columns(table, data, dictionaries)
