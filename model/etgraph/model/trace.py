"""The trace: all ranks of one recorded run as columns, structure and times apart."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from etgraph.model.attributes import Attributes
from etgraph.model.columns import Array, Columns
from etgraph.model.errors import EtgraphError, MissingData
from etgraph.model.graph import Adjacency, EventGraph, adjacency, event_graph, nearest_above
from etgraph.model.metadata import Metadata
from etgraph.model.schema import REVISION, TABLES, TYPES, DependencyKind

if TYPE_CHECKING:
    import networkx as nx
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Trace:
    """Operators, dependencies and everything around them. Rows of `operators` are sorted by (rank, index).

    References between tables (`parent`, `lane`, `src`, …) are row numbers. Times are integer nanoseconds from the
    trace's zero. Nothing is ever changed in place: what looks like an edit returns another trace that shares the rest.
    Two traces are equal when they are the same object; `Columns.equals` compares values.
    """

    operators: Columns
    dependencies: Columns = field(default_factory=lambda: Columns.empty(TABLES["dependencies"]))
    lanes: Columns = field(default_factory=lambda: Columns.empty(TABLES["lanes"]))
    collectives: Columns = field(default_factory=lambda: Columns.empty(TABLES["collectives"]))
    process_groups: Columns = field(default_factory=lambda: Columns.empty(TABLES["process_groups"]))
    group_members: Columns = field(default_factory=lambda: Columns.empty(TABLES["group_members"]))
    iterations: Columns = field(default_factory=lambda: Columns.empty(TABLES["iterations"]))
    annotations: Columns = field(default_factory=lambda: Columns.empty(TABLES["annotations"]))
    instants: Columns = field(default_factory=lambda: Columns.empty(TABLES["instants"]))
    memory_events: Columns = field(default_factory=lambda: Columns.empty(TABLES["memory_events"]))
    counters: Columns = field(default_factory=lambda: Columns.empty(TABLES["counters"]))
    attributes: Attributes = field(default_factory=Attributes.none)
    metadata: Metadata = field(default_factory=Metadata)
    trace_id: str = ""
    revision: int = REVISION

    def __len__(self) -> int:
        return len(self.operators)

    def __repr__(self) -> str:
        return (
            f"<Trace {self.trace_id[:12] or 'without id'}: {len(self.ranks)} ranks, {len(self)} operators, "
            f"{len(self.dependencies)} dependencies, {len(self.iteration_indices)} iterations>"
        )

    def _repr_html_(self) -> str:
        from html import escape

        rows = (
            ("trace", self.trace_id[:12]), ("ranks", len(self.ranks)), ("operators", len(self)),
            ("dependencies", ", ".join(f"{k} {n}" for k, n in self.dependency_counts.items())),
            ("iterations", len(self.iteration_indices)), ("span", f"{self.span_ns / 1e6:.3f} ms"),
            ("device", self.metadata.device_model or "–"), ("timeline", self.metadata.timeline),
        )  # fmt: skip
        cells = "".join(f"<tr><th>{k}</th><td>{escape(str(v))}</td></tr>" for k, v in rows)
        return f"<table><caption>etgraph trace</caption>{cells}</table>"

    @property
    def tables(self) -> Mapping[str, Columns]:
        """All tables by name, in the schema's order."""
        return {name: getattr(self, name) for name in TABLES}

    @cached_property
    def ranks(self) -> tuple[int, ...]:
        """Ranks that the trace holds, ascending."""
        return tuple(np.unique(self.operators["rank"]).tolist())

    @cached_property
    def rank_rows(self) -> Mapping[int, slice]:
        """The rows of each rank's operators."""
        values = self.operators["rank"]
        starts = np.searchsorted(values, self.ranks, side="left").tolist()
        ends = np.searchsorted(values, self.ranks, side="right").tolist()
        return {rank: slice(a, b) for rank, a, b in zip(self.ranks, starts, ends, strict=True)}

    @cached_property
    def iteration_rows(self) -> Mapping[int, Array]:
        """The rows of each rank's iterations, ascending; ranks without iterations are not there."""
        order = np.argsort(self.iterations["rank"], kind="stable")
        ranks, first = np.unique(self.iterations["rank"][order], return_index=True)
        return dict(zip(ranks.tolist(), np.split(order, first[1:])))

    @cached_property
    def iterations_timed(self) -> Array:
        """Whether each iteration has a start and an end."""
        i = self.iterations
        return np.asarray(~i.is_null("start_ns") & ~i.is_null("end_ns"))

    @cached_property
    def iteration_indices(self) -> tuple[int, ...]:
        """Indices of the iterations, ascending, over all ranks."""
        return tuple(np.unique(self.iterations["index"]).tolist())

    @cached_property
    def group_ranks(self) -> tuple[tuple[int, ...], ...]:
        """The members of each process group, in the group's order; empty where they are not known."""
        group = self.group_members["group"]
        order = np.argsort(group, kind="stable")
        ends = np.searchsorted(group[order], np.arange(len(self.process_groups) + 1))
        ranks = self.group_members["rank"][order].tolist()
        return tuple(tuple(ranks[a:b]) for a, b in pairwise(ends.tolist()))

    @property
    def dependency_counts(self) -> dict[str, int]:
        """Number of stored dependencies by kind, kinds that occur only; a collective's row counts as one."""
        counts = np.bincount(self.dependencies["kind"], minlength=len(DependencyKind)).tolist()
        counts[DependencyKind.COLLECTIVE] += len(self.collectives)
        return {kind.name: counts[kind] for kind in DependencyKind if counts[kind]}

    @cached_property
    def end_ns(self) -> Array:
        """End of every operator; null where start or duration is."""
        start, duration = self.operators["start_ns"], self.operators["duration_ns"]
        null = self.operators.is_null("start_ns") | self.operators.is_null("duration_ns")
        return np.where(null, self.operators.table.column("start_ns").null, start + np.where(null, 0, duration))

    @cached_property
    def timed(self) -> Array:
        """Whether each operator has a start and a duration on a thread or stream."""
        o = self.operators
        return ~(o.is_null("start_ns") | o.is_null("duration_ns") | o.is_null("lane"))

    @cached_property
    def enclosing(self) -> Array:
        """For each operator the nearest one around it that has times, -1 for none."""
        parent = self.operators["parent"]
        above = parent >= 0
        if self.timed[parent[above]].all():
            return parent
        nearest = nearest_above(parent, self.timed)
        return np.where(above, nearest[parent], -1)

    @cached_property
    def extent_ns(self) -> tuple[int, int]:
        """First start and last end of the operators and iterations with times; (0, 0) where there are none."""
        start, duration = self.operators["start_ns"], self.operators["duration_ns"]
        pieces = [slice(at, at + _AT_ONCE) for at in range(0, len(self), _AT_ONCE)]
        extents = [_extent(start[piece], start[piece] + duration[piece], duration[piece]) for piece in pieces]
        start, end = self.iterations["start_ns"], self.iterations["end_ns"]
        found = [extent for extent in (*extents, _extent(start, end, end)) if extent is not None]
        return (min(first for first, _ in found), max(last for _, last in found)) if found else (0, 0)

    @property
    def span_ns(self) -> int:
        """Time from the first start to the last end."""
        return self.extent_ns[1] - self.extent_ns[0]

    @cached_property
    def successors(self) -> Adjacency:
        """Dependencies by their source: `edges` are rows of `dependencies`."""
        return adjacency(len(self), self.dependencies["src"], self.dependencies["dst"])

    @cached_property
    def predecessors(self) -> Adjacency:
        """Dependencies by their target: `edges` are rows of `dependencies`."""
        return adjacency(len(self), self.dependencies["dst"], self.dependencies["src"])

    @cached_property
    def events(self) -> EventGraph:
        """The graph of starts and ends; see `etgraph.model.graph`."""
        return event_graph(self.operators, self.dependencies, self.collectives)

    def operator_attributes(self, row: int) -> dict[str, Any]:
        """Everything that the source says of an operator beyond the columns, decoded from disk."""
        return self.attributes.get(int(self.operators["attrs"][row]))

    def describe(self, row: int) -> str:
        """An operator in words: rank, index, name and lane."""
        o = self.operators
        lane = int(o["lane"][row])
        on = f" on {self.lane_label(lane)}" if lane >= 0 else ""
        return f"rank {o['rank'][row]} operator {o['index'][row]} ({o.value('name', row)}{on})"

    def lane_label(self, lane: int) -> str:
        """A lane in words: `thread 1234`, `stream 7`; with device or process where the rank has several of the name."""
        kind, device = self.lanes.value("kind", lane), self.lanes.value("device", lane)
        label = f"{getattr(kind, 'name', str(kind)).lower()} {self.lanes.value('id', lane)}"
        if lane not in self._homonyms:
            return label
        process = self.lanes.value("process", lane)
        return f"{label} of process {process}" if device is None else f"{label} of device {device}"

    @cached_property
    def _homonyms(self) -> frozenset[int]:
        """Lanes that share rank, kind and id with another lane."""
        names = list(zip(*(self.lanes[c].tolist() for c in ("rank", "kind", "id")), strict=True))
        count = Counter(names)
        return frozenset(lane for lane, name in enumerate(names) if count[name] > 1)

    # Times

    def with_times(self, start_ns: Array, duration_ns: Array, timeline: str) -> Trace:
        """The same structure on another timeline, such as a simulated one.

        `start_ns` and `duration_ns` hold one int64 an operator. An iteration's window moves with its operators on the
        lane of its annotation, or with all of them where none is on it or the lane is not known: its distance to the
        first start and the last end of those with times on both timelines stays (one without such operators stays where
        it is). Annotations, instants, memory events and counters keep their measured times. Raises ValueError for
        arrays of another length. The new timeline has an id of its own.
        """
        if len(start_ns) != len(self) or len(duration_ns) != len(self):
            raise ValueError(f"expected {len(self)} starts and durations, found {len(start_ns)}, {len(duration_ns)}")
        operators = self.operators.replace({"start_ns": start_ns, "duration_ns": duration_ns})
        times = (operators[name].tobytes() for name in ("start_ns", "duration_ns"))
        trace_id = _derived_id(self, timeline.encode(), *times)
        metadata = replace(self.metadata, timeline=timeline)
        moved = replace(self, operators=operators, metadata=metadata, trace_id=trace_id)
        if not len(self.iterations):
            return moved
        rows = _window_rows(self, moved)
        (old_start, old_end), (new_start, new_end) = (_iteration_extents(t, rows) for t in (self, moved))
        has = np.bincount(self.operators["iteration"][rows], minlength=len(self.iterations)) > 0
        windows = {}
        for name, shift in (("start_ns", new_start - old_start), ("end_ns", new_end - old_end)):
            known = has & ~self.iterations.is_null(name)
            windows[name] = self.iterations[name] + np.where(known, shift, 0)
        return replace(moved, iterations=self.iterations.replace(windows))

    # Parts

    def select_ranks(self, ranks: Iterable[int]) -> Trace:
        """Only those ranks and their sources. Raises MissingData for a rank that the trace does not hold.

        As with every part, operators keep their index, process groups stay whole, and the report is that of the whole.
        """
        wanted = sorted(set(ranks))
        missing = [r for r in wanted if r not in self.ranks]
        if missing:
            raise MissingData(f"no rank {missing[0]}: the trace holds {_some(self.ranks)}")
        return _part(self, np.isin(self.operators["rank"], wanted), ranks=wanted)

    def select_iterations(self, indices: Iterable[int]) -> Trace:
        """Only the operators of those iterations, which keep their index within the rank.

        Raises MissingData for an iteration that the trace does not hold.
        """
        wanted = sorted(set(indices))
        missing = [i for i in wanted if i not in self.iteration_indices]
        if missing:
            raise MissingData(f"no iteration {missing[0]}: the trace holds {_some(self.iteration_indices)}")
        rows = np.flatnonzero(np.isin(self.iterations["index"], wanted))
        return _part(self, np.isin(self.operators["iteration"], rows), iterations=wanted)

    def select_lanes(self, lanes: Iterable[int]) -> Trace:
        """Only the operators on those lanes (rows of `lanes`), which keep their index within the rank."""
        return _part(self, np.isin(self.operators["lane"], list(lanes)))

    @staticmethod
    def concat(parts: Sequence[Trace]) -> Trace:
        """One trace of several ranks. Each part must hold ranks that the others do not.

        Times are kept: the caller brings them to one zero first. Process groups that are equal become one;
        collectives do not, since nothing in their rows says that two are the same. Raises EtgraphError for a rank that
        occurs twice or more rows than can be numbered, ValueError where there is no part.
        """
        return _concat(sorted(parts, key=lambda p: p.ranks))

    # Other forms

    def validate(self) -> None:
        """Check what every trace must satisfy; see `etgraph.model.validation`."""
        from etgraph.model.validation import validate

        validate(self)

    def to_pandas(self) -> pd.DataFrame:
        """The operators as a data frame."""
        return self.operators.to_pandas()

    def to_networkx(self) -> nx.MultiDiGraph[tuple[int, int]]:
        """A graph whose nodes are (rank, index) with the operators' values, edges carry kind, method, confidence."""
        import networkx as nx

        graph: nx.MultiDiGraph[tuple[int, int]] = nx.MultiDiGraph(trace=self.trace_id)
        keys = list(zip(self.operators["rank"].tolist(), self.operators["index"].tolist(), strict=True))
        for row, key in enumerate(keys):
            values = self.operators.row(row)
            graph.add_node(key, **{k: v for k, v in values.items() if v is not None and k not in ("parent", "attrs")})
        for row in range(len(self.dependencies)):
            values = self.dependencies.row(row)
            source, target = keys[values.pop("src")], keys[values.pop("dst")]
            graph.add_edge(source, target, **{**values, "kind": DependencyKind(values["kind"]).name})
        return graph

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """The operators one by one as dictionaries: for looking, not for work on many."""
        return (self.operators.row(row) for row in range(len(self)))


_AT_ONCE = 1 << 16
"""Rows that are looked at together where all are looked at once, so that nothing of the trace's size is made."""
_MOST_ROWS = 2**31 - 1
"""Rows of a table that a `row` column can number."""


def _some(numbers: Sequence[int], most: int = 12) -> str:
    shown = ", ".join(map(str, numbers[:most]))
    return shown + (f", … ({len(numbers)} in all)" if len(numbers) > most else "") or "none"


def _extent(start: Array, end: Array, also: Array) -> tuple[int, int] | None:
    """First start and last end of the rows without a null in `start` and `also`; None where there is none."""
    null = TYPES["int64"].null
    timed = (start != null) & (also != null)
    return (int(start[timed].min()), int(end[timed].max())) if timed.any() else None


def _window_rows(before: Trace, after: Trace) -> Array:
    """The operators with times on both timelines that an iteration's window moves with: on its lane, else all of it."""
    iteration, iterations = before.operators["iteration"], before.iterations
    timed = iteration >= 0
    for operators in (before.operators, after.operators):
        timed &= ~(operators.is_null("start_ns") | operators.is_null("duration_ns"))
    rows = np.flatnonzero(timed)
    of, lane = iteration[rows], before.operators["lane"][rows]
    own = (lane >= 0) & (lane == iterations["lane"][of])
    has_own = np.bincount(of[own], minlength=len(iterations)) > 0
    chosen: Array = rows[own | ~has_own[of]]
    return chosen


def _iteration_extents(trace: Trace, rows: Array) -> tuple[Array, Array]:
    """First start and last end of those operators in each iteration; without meaning for one that has none of them."""
    count, of = len(trace.iterations), trace.operators["iteration"][rows]
    limits = np.iinfo(np.int64)
    first, last = np.full(count, limits.max), np.full(count, limits.min)
    np.minimum.at(first, of, trace.operators["start_ns"][rows])
    np.maximum.at(last, of, trace.end_ns[rows])
    return first, last


def _renumber(length: int, kept: Array) -> Array:
    """Old row → new row for the kept ones, -1 for the rest."""
    to_new = np.full(length + 1, -1, dtype=np.int32)
    to_new[kept] = np.arange(len(kept), dtype=np.int32)
    return to_new


def _follow(columns: Columns, moved: Mapping[str, Array]) -> Columns:
    """Rewrite the `row` columns after the tables they refer to were renumbered."""
    changed = {}
    for column in columns.table.columns:
        if column.type == "row" and column.refers in moved and column.name in columns.filled:
            changed[column.name] = moved[column.refers][columns[column.name]]
    return columns.replace(changed) if changed else columns


def _part(
    trace: Trace, mask: Array, *, ranks: Sequence[int] | None = None, iterations: Sequence[int] | None = None
) -> Trace:
    """The operators of a mask, with what belongs to them; dependencies with an end outside go."""
    rows, metadata = np.flatnonzero(mask), trace.metadata
    kept: dict[str, Array] = {"operators": rows}
    kept["dependencies"] = np.flatnonzero(mask[trace.dependencies["src"]] & mask[trace.dependencies["dst"]])
    if ranks is not None:
        for name, columns in trace.tables.items():
            if name not in kept and name != "group_members" and any(c.name == "rank" for c in columns.table.columns):
                kept[name] = np.flatnonzero(np.isin(columns["rank"], list(ranks)))
        metadata = replace(
            metadata,
            sources=tuple(s for s in metadata.sources if s.rank in ranks),
            clock_offsets_ns={r: offset for r, offset in metadata.clock_offsets_ns.items() if r in ranks},
        )
    if iterations is not None:
        kept["iterations"] = np.flatnonzero(np.isin(trace.iterations["index"], list(iterations)))
    used = np.unique(trace.operators["collective"][rows])
    kept["collectives"] = used[used >= 0]
    if all(len(which) == len(trace.tables[name]) for name, which in kept.items()):
        return trace
    trace_id = _derived_id(trace, rows.astype(np.int64).tobytes(), repr((ranks, iterations)).encode())
    return replace(_taken(trace, kept), metadata=metadata, trace_id=trace_id)


def _derived_id(trace: Trace, *parts: bytes) -> str:
    """The id of what was made from a trace: another one, and the same whenever the same is made again."""
    if not trace.trace_id:
        return ""
    digest = hashlib.sha256(trace.trace_id.encode())
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()


def _taken(trace: Trace, kept: Mapping[str, Array]) -> Trace:
    """The kept rows of each table (of one that is not named: all), and references that follow them."""
    moved = {name: _renumber(len(trace.tables[name]), rows) for name, rows in kept.items()}
    tables: dict[str, Any] = {
        name: _follow(columns.take(kept[name]) if name in kept else columns, moved)
        for name, columns in trace.tables.items()
    }
    return replace(trace, **tables)


def _concat(parts: Sequence[Trace]) -> Trace:
    if not parts:
        raise ValueError("no traces to join")
    if len(parts) == 1:
        return parts[0]
    seen: set[int] = set()
    for part in parts:
        twice = seen & set(part.ranks)
        if twice:
            raise EtgraphError(f"rank {min(twice)} occurs in two of the traces to join")
        seen |= set(part.ranks)
    groups, to_group = _union_of_groups(parts)
    tables: dict[str, Any] = {"process_groups": groups[0], "group_members": groups[1]}
    lengths = {name: np.cumsum([0] + [len(p.tables[name]) for p in parts]) for name in TABLES}
    lengths["attributes"] = np.cumsum([0] + [len(p.attributes) for p in parts])
    for name, ends in lengths.items():
        if ends[-1] > _MOST_ROWS:
            raise EtgraphError(f"the traces to join have {ends[-1]} rows of {name}, the most is {_MOST_ROWS}")
    for name in TABLES:
        if name in tables:
            continue
        pieces = []
        for number, part in enumerate(parts):
            columns = part.tables[name]
            changed = {}
            for column in columns.table.columns:
                if column.type != "row" or column.name not in columns.filled:
                    continue
                rows = columns[column.name]
                if column.refers == "process_groups":
                    changed[column.name] = np.where(rows < 0, -1, to_group[number][rows])
                else:
                    changed[column.name] = np.where(rows < 0, -1, rows + np.int32(lengths[column.refers][number]))
            pieces.append(columns.replace(changed))
        tables[name] = Columns.concat(pieces)
    joined = Trace(
        **tables,
        attributes=Attributes.concat([p.attributes for p in parts]),
        metadata=_joint_metadata([p.metadata for p in parts]),
    )
    rank = joined.operators["rank"]
    if np.all(rank[1:] >= rank[:-1]):
        return joined
    return _taken(joined, {"operators": np.argsort(rank, kind="stable")})


def _union_of_groups(parts: Sequence[Trace]) -> tuple[tuple[Columns, Columns], list[Array]]:
    """Process groups of all parts, the same group of several parts once; and old row → new row for each part."""
    known: dict[tuple[Any, ...], int] = {}
    to_new: list[Array] = []
    for part in parts:
        keys = [(*part.process_groups.row(i).values(), ranks) for i, ranks in enumerate(part.group_ranks)]
        to_new.append(np.array([known.setdefault(key, len(known)) for key in keys] or [-1], dtype=np.int32))
    return process_group_tables(list(known)), to_new


def process_group_tables(
    groups: Sequence[tuple[str, str | None, str | None, int | None, Sequence[int]]],
) -> tuple[Columns, Columns]:
    """Tables of process groups and their members from (name, description, backend, size, ranks)."""
    table = TABLES["process_groups"]
    if not groups:
        return Columns.empty(table), Columns.empty(TABLES["group_members"])
    names, descriptions, backends, sizes, members = zip(*groups)
    data: dict[str, Any] = {"size": [table.column("size").null if size is None else size for size in sizes]}
    dictionaries = {}
    for name, values in (("name", names), ("description", descriptions), ("backend", backends)):
        codes = {text: code for code, text in enumerate(dict.fromkeys(v for v in values if v is not None))}
        dictionaries[name] = list(codes)
        data[name] = [-1 if value is None else codes[value] for value in values]
    return Columns(table, data, dictionaries), Columns(
        TABLES["group_members"],
        {
            "group": np.repeat(np.arange(len(members)), [len(ranks) for ranks in members]),
            "rank": [rank for ranks in members for rank in ranks],
        },
    )


def _joint_metadata(parts: Sequence[Metadata]) -> Metadata:
    first = parts[0]
    report = first.report
    for part in parts[1:]:
        report = report + part.report
    models = dict.fromkeys(p.device_model for p in parts if p.device_model)
    sizes = {p.world_size for p in parts if p.world_size is not None}
    return replace(
        first,
        sources=tuple(s for p in parts for s in p.sources),
        world_size=max(sizes) if sizes else None,
        device_model=", ".join(models) or None,
        start_time=min((p.start_time for p in parts if p.start_time), default=None),
        clock_offsets_ns={rank: offset for p in parts for rank, offset in p.clock_offsets_ns.items()},
        report=report,
    )
