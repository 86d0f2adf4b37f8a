"""Two drafts of a rank into one: times, lanes and nesting of the device's file, and all that the host's file adds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from etgraph.ingest.draft import NULL, Draft
from etgraph.ingest.linking.attributes import join
from etgraph.ingest.linking.identity import Identity
from etgraph.ingest.linking.tables import joint_groups, joint_lanes
from etgraph.model import TABLES, Category, Columns, DependencyKind, Metadata, NodeType, Report, Trace
from etgraph.model.columns import Array

FILLED = ("node_id", "scope", "source", "shapes", "comm_type", "comm_bytes", "group", "peer", "tag")
"""Columns that the host's file fills where the device's says nothing."""
COMPARED = ("comm_type", "comm_bytes", "group", "peer", "tag")
"""Columns whose values are counted as conflicts where the two files disagree; the device's is kept, both in `attrs`."""
_COMMUNICATES = tuple(int(k) for k in (NodeType.COMM_SEND, NodeType.COMM_RECV, NodeType.COMM_COLL))


@dataclass(frozen=True, slots=True)
class Links:
    """For each operator of the host's file its partner: an operator's row, or -1 - an annotation's; `NULL` for none.

    `method` is a `LinkMethod`, -1 for none.
    """

    partner: Array
    method: Array

    @property
    def to_operator(self) -> Array:
        """Rows of the host's file that are operators of the device's."""
        return np.flatnonzero(self.partner >= 0)

    @property
    def to_annotation(self) -> Array:
        """Rows of the host's file that are annotations of the device's."""
        return np.flatnonzero((self.partner < 0) & (self.partner != NULL))


@dataclass(frozen=True, slots=True)
class Places:
    """Where operators go. `device` and `alone` are new rows of the device's operators and of the host's own ones.

    `host` has one value for each operator of the host's file: its new row; for one that is an annotation that of the
    operator around it, -1 where there is none. `rows` are the sources of the new rows: a device's row, or the number of
    these plus a host's row.
    """

    device: Array
    only: Array
    alone: Array
    host: Array
    rows: Array


def merge(host: Draft, device: Draft, links: Links, identity: Identity) -> Draft:
    """One draft of both. What only the host's file records has no times.

    Such an operator comes right after the one that precedes it in the host's order. An annotation that both record
    stays an annotation, as in every trace of the device's kind, and what the host adds goes into its attributes.
    """
    rank = _rank(host, device)
    places = _places(host, links, len(device.trace))
    host_lanes, lanes = joint_lanes(host, device, links.partner, places.only)
    host_groups, groups, members = joint_groups(host.trace, device.trace)
    of_operators, of_spans = links.to_operator, links.to_annotation
    partner, spans = links.partner[of_operators], -1 - links.partner[of_spans]
    o, d = host.trace.operators, device.trace.operators
    attributes, new, more = join(
        device.trace.attributes,
        host.trace.attributes,
        np.concatenate([d["attrs"][partner], device.trace.annotations["attrs"][spans]]),
        o["attrs"][np.concatenate([of_operators, of_spans])],
        o["attrs"][places.only],
        "" if identity is Identity.SAME else str(identity),
    )
    host_attrs = np.full(len(o), -1, dtype=np.int64)
    host_attrs[of_operators], host_attrs[places.only] = new[: len(partner)], more
    moved = o.replace(
        {
            "lane": host_lanes[o["lane"]],
            "group": host_groups[o["group"]],
            "attrs": host_attrs,
            "iteration": _iterations(host, device, links),
        }
    )
    operators, conflicts = _operators(moved, device, links)
    operators = operators.take(places.rows)
    count = len(operators)
    operators = operators.replace(
        {
            "rank": np.full(count, rank, dtype=np.int32),
            "index": np.arange(count, dtype=np.int32),
            "parent": _parents(host, device, links, places, count),
        }
    )
    dependencies, left = _dependencies(host, device, links, places)
    annotations = device.trace.annotations
    if len(spans):
        attrs = annotations["attrs"].copy()
        attrs[spans] = new[len(partner) :]
        annotations = annotations.replace({"attrs": attrs})
    trace = replace(
        _of_rank(device.trace, rank),
        operators=operators,
        dependencies=dependencies,
        lanes=lanes.replace({"rank": np.full(len(lanes), rank, dtype=np.int32)}),
        process_groups=groups,
        group_members=members,
        annotations=annotations.replace({"rank": np.full(len(annotations), rank)}) if len(annotations) else annotations,
        attributes=attributes,
        metadata=_metadata(host, device, rank, identity),
    )
    report = Report(host_operators=len(places.only))
    if identity is Identity.SAME:
        conflicts["linkConflicts:sequence"] = _conflicting(host, device, links, "sequence")
    for name, number in {**conflicts, "hostDependenciesLeft": left}.items():
        report = report.with_count(name, number)
    return Draft(
        trace, _ids(host, device, links, places, count, identity), device.annotation_ids, _tensors(host, places)
    ).with_report(report)


def _rank(host: Draft, device: Draft) -> int:
    ours, theirs = host.trace.metadata.sources[0], device.trace.metadata.sources[0]
    return ours.rank if theirs.rank_from == "default" else theirs.rank


def _places(host: Draft, links: Links, device_count: int) -> Places:
    o = host.trace.operators
    count = len(o)
    only = np.flatnonzero(links.partner == NULL)
    linked = links.to_operator
    before = np.searchsorted(linked, only) - 1
    anchor = np.where(before >= 0, links.partner[linked][before], -1) if len(linked) else np.full(len(only), -1)
    keys = np.concatenate([np.arange(device_count), _not_before_parents(o["parent"], links, only, anchor)])
    late = np.concatenate([np.zeros(device_count, dtype=bool), np.ones(len(only), dtype=bool)])
    sources = np.concatenate([np.arange(device_count), device_count + only])
    order = np.lexsort((sources, late, keys))
    new = np.empty(len(order), dtype=np.int64)
    new[order] = np.arange(len(order))
    to_device, alone = new[:device_count], new[device_count:]
    own = np.full(count + 1, -1, dtype=np.int64)
    own[linked] = to_device[links.partner[linked]]
    own[only] = alone
    gone = np.append((links.partner < 0) & (links.partner != NULL), False)
    around = np.arange(count)
    while len(climbing := np.flatnonzero(gone[around])):
        around[climbing] = o["parent"][around[climbing]]
    return Places(to_device, only, alone, own[around], sources[order])


def _not_before_parents(parent: Array, links: Links, only: Array, anchor: Array) -> Array:
    """The anchors of operators that only the host's file has, those before the operator around it moved after that.

    The device's order is not the host's everywhere, so what precedes in the one may precede the parent in the other.
    """
    row = np.where(links.partner >= 0, links.partner, -1)
    row[only] = anchor
    inner = np.flatnonzero((links.partner < 0) & (parent >= 0))
    while (low := row[inner] < row[parent[inner]]).any():
        row[inner[low]] = row[parent[inner[low]]]
    return row[only]


def _operators(host: Columns, device: Draft, links: Links) -> tuple[Columns, dict[str, int]]:
    """The device's operators, filled from their partners, then all of the host's; and the number of conflicts by name.

    What the host's file calls a communication is one of the device's too, unless that records the kernel which does it:
    then the kernel is, and gets what the host's file says.
    """
    both = Columns.concat([device.trace.operators, host])
    ours, theirs = len(device.trace) + links.to_operator, links.partner[links.to_operator]
    source = np.full(len(device.trace), -1, dtype=np.int64)
    source[theirs] = np.where(np.isin(both["kind"][ours], _COMMUNICATES), ours, -1)
    kernels, around, alone = communication_kernels(device, source >= 0)
    data: dict[str, Array] = {"link": np.full(len(both), TABLES["operators"].column("link").null, dtype=np.int8)}
    data["link"][theirs] = links.method[links.to_operator]
    data["attrs"] = both["attrs"].copy()
    data["attrs"][theirs] = both["attrs"][ours]
    masks: dict[str, Array] = {}
    conflicts: dict[str, int] = {}
    kind = both["kind"].copy()
    adopted = np.isin(kind[ours], _COMMUNICATES) & ~np.isin(theirs, around)
    kind[theirs[adopted]] = kind[ours[adopted]]
    to = np.concatenate([theirs, kernels])
    from_ = np.concatenate([ours, source[around]])
    whole = np.concatenate([np.ones(len(theirs), dtype=bool), alone])
    of_kernel = np.arange(len(to)) >= len(theirs)
    data["kind"] = kind
    for name in FILLED:
        if name not in both.filled:
            continue
        null = both.is_null(name)
        values = both[name].copy()
        empty = null[to] & ~null[from_]
        if name in COMPARED:
            empty &= np.isin(kind[to], _COMMUNICATES)
            empty &= whole | (name != "comm_bytes")
            differ = ~null[to] & ~null[from_] & whole & (values[to] != values[from_])
            conflicts[f"linkConflicts:{name}"] = int(differ.sum())
        else:
            empty &= ~of_kernel
        values[to[empty]] = values[from_[empty]]
        data[name] = values
        if TABLES["operators"].column(name).null is None:
            null[to[empty]] = False
            masks[name] = ~null
    return both.replace(data, masks=masks), conflicts


def communication_kernels(device: Draft, communicates: Array) -> tuple[Array, Array, Array]:
    """Kernels that communicate, the nearest operator around their launch that does, and whether it has no other kernel.

    `communicates` has one value an operator; all three are rows of the device's file.
    """
    trace = device.trace
    o, d = trace.operators, trace.dependencies
    kernels = np.isin(o["kind"], _COMMUNICATES) & (o["category"] >= int(Category.KERNEL))
    launches = (d["kind"] == int(DependencyKind.LAUNCH)) & kernels[d["dst"]]
    kernel, around = d["dst"][launches].astype(np.int64), d["src"][launches].astype(np.int64)
    climbing = np.flatnonzero(~communicates[around])
    while len(climbing):
        around[climbing] = o["parent"][around[climbing]]
        climbing = climbing[around[climbing] >= 0]
        climbing = climbing[~communicates[around[climbing]]]
    found = around >= 0
    kernel, around = kernel[found], around[found]
    return kernel, around, np.bincount(around, minlength=len(o))[around] == 1


def _conflicting(host: Draft, device: Draft, links: Links, name: str) -> int:
    """Linked operators of which the two files record different identifiers."""
    ours, theirs = host.id(name)[links.to_operator], device.id(name)[links.partner[links.to_operator]]
    return int(((ours != NULL) & (theirs != NULL) & (ours != theirs)).sum())


def _parents(host: Draft, device: Draft, links: Links, places: Places, count: int) -> Array:
    """Enclosing operators: the device's for what it records, the host's for the rest."""
    parent = np.full(count, -1, dtype=np.int64)
    theirs = device.trace.operators["parent"]
    parent[places.device] = np.where(theirs >= 0, places.device[theirs], -1) if len(theirs) else -1
    ours = host.trace.operators["parent"][places.only]
    parent[places.alone] = np.where(ours >= 0, places.host[ours], -1)
    return parent


def _iterations(host: Draft, device: Draft, links: Links) -> Array:
    """The device's iteration for each operator of the host's: that in which the first linked one of its own ran."""
    own = host.trace.operators["iteration"]
    if not len(host.trace.iterations) or not len(device.trace.iterations):
        return np.full(len(own), -1, dtype=np.int32)
    linked = links.to_operator
    theirs = device.trace.operators["iteration"][links.partner[linked]]
    known = (own[linked] >= 0) & (theirs >= 0)
    to_new = np.full(len(host.trace.iterations) + 1, -1, dtype=np.int32)
    first, at = np.unique(own[linked][known], return_index=True)
    to_new[first] = theirs[known][at]
    return to_new[own]


def _dependencies(host: Draft, device: Draft, links: Links, places: Places) -> tuple[Columns, int]:
    """Those of both files, and how many of the host's lead nowhere or against the times.

    Nesting and order of what the device's file records are the device's. Of the host's, those stay that concern what
    only it records, and all recorded ones of other kinds, such as what spawned the backward thread.
    """
    theirs = device.trace.dependencies
    theirs = theirs.replace({"src": places.device[theirs["src"]], "dst": places.device[theirs["dst"]]})
    ours = host.trace.dependencies
    kind, src, dst = ours["kind"], ours["src"], ours["dst"]
    only = links.partner == NULL
    call, thread, spawn = (kind == int(k) for k in (DependencyKind.CALL, DependencyKind.THREAD, DependencyKind.SPAWN))
    kept = (call & only[dst]) | (thread & only[src] & only[dst])
    others = ~call & ~thread
    start = np.append(device.trace.operators["start_ns"], NULL)
    end = np.append(device.trace.end_ns, NULL)
    partner = np.where(links.partner >= 0, links.partner, -1)
    from_, to = partner[src], partner[dst]
    timed = (from_ >= 0) & (to >= 0)
    in_order = np.where(spawn, start[from_] < start[to], end[from_] <= start[to])
    kept |= others & ((timed & in_order) | (only[src] & only[dst]))
    kept &= (places.host[src] >= 0) & (places.host[src] != places.host[dst])
    ours = ours.take(kept)
    ours = ours.replace({"src": places.host[ours["src"]], "dst": places.host[ours["dst"]]})
    return Columns.concat([theirs, ours]), int((others & ~kept).sum())


def _ids(host: Draft, device: Draft, links: Links, places: Places, count: int, identity: Identity) -> dict[str, Array]:
    """Recorded identifiers of both files by new row; those of the host's have names that begin with `host_`.

    What the host's file alone tells is needed under its own name: which numbers of collectives are the same within the
    file, and, where both files are of one iteration, the numbers themselves.
    """
    ids = {}
    for name, values in device.ids.items():
        ids[name] = np.full(count, NULL)
        ids[name][places.device] = values
    stays = (links.partner >= 0) | (links.partner == NULL)
    for name, values in host.ids.items():
        ids[f"host_{name}"] = found = np.full(count, NULL)
        found[places.host[stays]] = values[stays]
    if "host_comm_sequence" in ids:
        number = ids["host_comm_sequence"]
        ids["communication"] = np.full(count, NULL)
        ids["communication"][places.host[stays]] = _numbers(host)[stays]
        if identity is Identity.SAME:
            recorded = ids.get("comm_sequence", number)
            ids["comm_sequence"] = np.where(recorded == NULL, number, recorded)
    return ids


def _numbers(host: Draft) -> Array:
    """A number for each pair of process group and number of a collective; `NULL` where none is recorded."""
    sequence, group = host.id("comm_sequence"), host.trace.operators["group"]
    pairs = np.stack([sequence, group.astype(np.int64)])
    return np.where(sequence == NULL, NULL, np.unique(pairs, axis=1, return_inverse=True)[1].ravel())


def _tensors(host: Draft, places: Places) -> dict[str, Array]:
    """The accesses to memory, those of an annotation as the enclosing operator's."""
    if not host.tensors:
        return {}
    operator = places.host[host.tensors["operator"]]
    kept = operator >= 0
    return {**{k: v[kept] for k, v in host.tensors.items()}, "operator": operator[kept].astype(np.int32)}


def _of_rank(trace: Trace, rank: int) -> Trace:
    """The same trace as another rank's; the caller replaces operators, lanes and annotations itself."""
    changed: dict[str, Any] = {}
    for name in ("iterations", "instants", "memory_events", "counters"):
        columns = trace.tables[name]
        if len(columns):
            changed[name] = columns.replace({"rank": np.full(len(columns), rank, dtype=np.int32)})
    return replace(trace, **changed)


def _metadata(host: Draft, device: Draft, rank: int, identity: Identity) -> Metadata:
    ours, theirs = host.trace.metadata, device.trace.metadata
    sources = tuple(replace(source, rank=rank) for source in (*ours.sources, *theirs.sources))
    report = replace(ours.report, host_operators=0) + theirs.report
    return replace(
        theirs,
        sources=sources,
        world_size=theirs.world_size if theirs.world_size is not None else ours.world_size,
        clock_offsets_ns={rank: next(iter(theirs.clock_offsets_ns.values()), 0)},
        report=report + Report(pairs={rank: str(identity)}),
    )
