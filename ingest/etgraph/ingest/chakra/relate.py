"""What Chakra's nodes depend on: the ids that they name become dependencies, and those that lead nowhere are kept."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

import numpy as np

from etgraph.ingest.chakra.attributes import KINDS
from etgraph.ingest.chakra.document import LISTS as WRITTEN_LISTS
from etgraph.ingest.chakra.document import Document, document_of
from etgraph.ingest.chakra.text import with_member
from etgraph.ingest.draft import Draft, dependencies
from etgraph.ingest.identifiers import rows_of
from etgraph.model import TABLES, Columns, DependencyKind, Report, Trace
from etgraph.model.columns import Array
from etgraph.model.errors import CycleError, InputError
from etgraph.model.graph import adjacency, strong_components
from etgraph.model.validation import check_acyclic

LISTS: Final = ("ctrl", "data", "others")
"""Lists of ids, in the order in which a document of ours numbers them."""
FIELDS: Final = {"ctrl": "ctrl_deps", "data": "data_deps", "others": "other_deps"}
"""Name under which the ids that no node has are kept, with their positions in the list."""
DANGLING: Final = "dangling"
CYCLIC: Final = "cyclic"
"""Names under which ids stand among a node's attributes that are no dependencies: no node has them, or on a cycle."""
_KINDS: Final = {"ctrl": DependencyKind.CTRL, "data": DependencyKind.DATA}


@dataclass(frozen=True, slots=True)
class _List:
    """The dependencies of one list: row of what is named (-1: no node), of the node, position in its list, the id."""

    field: str
    src: Array
    dst: Array
    position: Array
    id: Array

    def where(self, mask: Array) -> _List:
        """Some of them."""
        return _List(self.field, self.src[mask], self.dst[mask], self.position[mask], self.id[mask])


def relate(draft: Draft, file: str) -> Draft:
    """Add the dependencies that the nodes record.

    `ctrl_deps` are CTRL and `data_deps` DATA, end to start, node by node in the order of the file; in one of ours they
    are of the kinds that it says. Kept among the node's attributes, and counted, is what cannot be a dependency: an id
    that no node has, and a control dependency on a cycle, as linkers write them between an operator and its own
    kernels. Raises CycleError naming `file` and the members of a cycle of data dependencies.
    """
    (source,) = draft.trace.metadata.sources
    own = document_of(source.document)
    codes = _codes(draft, own, file)
    lists = {name: _resolved(draft, name) for name in LISTS if len(draft.ids[name])}
    known = {name: links.src >= 0 for name, links in lists.items()}
    aside = {DANGLING: [links.where(~known[name]) for name, links in lists.items()]}
    report = Report(dangling_dependencies=sum(len(links.id) for links in aside[DANGLING]))
    if not codes and "ctrl" in lists:
        cyclic = known["ctrl"] & _on_cycles(len(draft.trace), lists)
        aside[CYCLIC] = [lists["ctrl"].where(cyclic)]
        known["ctrl"] &= ~cyclic
        report += _cycles_report(draft.ids["id"], aside[CYCLIC][0])
    found: list[Columns] = []
    for name, links in lists.items():
        kept = links.where(known[name])
        if own is not None and codes:
            found.append(_of_kinds(own, codes[name][known[name]], kept.src, kept.dst, name))
        elif name in _KINDS:
            found.append(dependencies(_KINDS[name], kept.src, kept.dst, kept.field))
    related = replace(draft, ids={}).with_dependencies(*found).with_report(report)
    _check_order(related.trace, file)
    return replace(related, trace=_keep(related.trace, aside))


def _resolved(draft: Draft, name: str) -> _List:
    ids, order, counts = draft.ids["id"], draft.ids["by_id"], draft.ids[f"{name}_count"]
    wanted = draft.ids[name]
    dst = np.repeat(np.arange(len(draft.trace), dtype=np.int32), counts)
    src = rows_of(wanted, ids, order if len(order) else None).astype(np.int32)
    return _List(FIELDS[name], src, dst, _positions(counts), wanted)


def _on_cycles(nodes: int, lists: dict[str, _List]) -> Array:
    """Which control dependencies are on a cycle. Most files list nodes after those that they depend on."""
    both = [lists[name] for name in _KINDS if name in lists]
    src, dst = (np.concatenate([getattr(links, end) for links in both]) for end in ("src", "dst"))
    if (src < dst).all():
        return np.zeros(len(lists["ctrl"].src), dtype=bool)
    known = src >= 0
    component = strong_components(adjacency(nodes, src[known], dst[known]))
    control = lists["ctrl"]
    cyclic: Array = component[control.src] == component[control.dst]
    return cyclic


def _cycles_report(ids: Array, cyclic: _List) -> Report:
    count = len(cyclic.id)
    if not count:
        return Report()
    shown = ", ".join(f"{ids[a]} → {ids[b]}" for a, b in zip(cyclic.src[:3].tolist(), cyclic.dst[:3].tolist()))
    more = ", …" if count > 3 else ""
    warning = f"{count} control dependencies are on cycles and left out of the graph: node {shown}{more}"
    return Report().with_count("cyclicDependencies", count, warning)


def _positions(counts: Array) -> Array:
    """Position of each element in its list, the lists one after another."""
    ends = np.cumsum(counts)
    positions: Array = np.arange(int(counts.sum())) - np.repeat(ends - counts, counts)
    return positions


def _codes(draft: Draft, own: Document | None, file: str) -> dict[str, Array]:
    """For each list the row of each dependency among the document's kinds, -1 for none; empty where nothing is said."""
    if own is None or not len(draft.ids["kinds"]):
        return {}
    counts = {name: _counts(draft, name) for name in (*LISTS, "kinds")}
    first = np.cumsum(counts["kinds"]) - counts["kinds"]
    total = sum(counts[name] for name in LISTS)
    wrong = np.flatnonzero((counts["kinds"] != 0) & (counts["kinds"] != total))
    kind_of = np.array([int(DependencyKind[kind]) for kind, *_ in own.dependencies] or [0])
    outside = np.flatnonzero((draft.ids["kinds"] < 0) | (draft.ids["kinds"] >= len(own.dependencies)))
    if len(wrong) or len(outside):
        node = int(wrong[0]) if len(wrong) else int(np.searchsorted(first, outside[0], side="right")) - 1
        expected = f"one number below {len(own.dependencies)} for each dependency"
        raise InputError(file, found=f"another list in {KINDS}", expected=expected, place=f"node {node}")
    codes = {}
    for name in LISTS:
        count = counts[name]
        at = np.repeat(first, count) + _positions(count)
        said = np.repeat(counts["kinds"] != 0, count)
        kinds = draft.ids["kinds"]
        codes[name] = np.where(said, kinds[np.minimum(at, len(kinds) - 1)], -1)
        misplaced = said & ~np.isin(kind_of[codes[name]], WRITTEN_LISTS[name])
        if misplaced.any():
            node = int(np.repeat(np.arange(len(count)), count)[np.flatnonzero(misplaced)[0]])
            found = DependencyKind(int(kind_of[codes[name]][misplaced][0])).name
            raise InputError(file, found=f"{found} among {FIELDS[name]}", expected="another list", place=f"node {node}")
        first = first + count
    return codes


def _counts(draft: Draft, name: str) -> Array:
    counts = draft.ids[f"{name}_count"]
    return counts if len(counts) else np.zeros(len(draft.trace), dtype=np.int32)


def _of_kinds(own: Document, code: Array, src: Array, dst: Array, name: str) -> Columns:
    """Dependencies of the kinds that a document lists, in the order in which they stand."""
    plain = (_KINDS.get(name, DependencyKind.CTRL).name, False, FIELDS[name], 1.0)
    kinds, inferred, methods, confidence = zip(*own.dependencies, plain)
    known = {method: number for number, method in enumerate(dict.fromkeys(methods))}
    data = {
        "src": src,
        "dst": dst,
        "kind": np.array([DependencyKind[kind] for kind in kinds], dtype=np.int8)[code],
        "inferred": np.array(inferred)[code],
        "method": np.array([known[method] for method in methods], dtype=np.int32)[code],
        "confidence": np.array(confidence, dtype=np.float32)[code],
    }
    return Columns(TABLES["dependencies"], data, {"method": list(known)})


def _check_order(trace: Trace, file: str) -> None:
    """Raise CycleError where the dependencies form one."""
    d = trace.dependencies
    if (d["src"] < d["dst"]).all() and np.isin(d["kind"], [int(kind) for kind in _KINDS.values()]).all():
        return
    try:
        check_acyclic(trace)
    except CycleError as error:
        raise CycleError(f"{file}: {error.message}", error.members) from None


def _keep(trace: Trace, aside: dict[str, list[_List]]) -> Trace:
    """Put what is no dependency among the attributes of the nodes that name it: position and id by turns, by list."""
    of_node: dict[int, list[tuple[str, str, Array]]] = {}
    for why, lists in aside.items():
        for links in lists:
            pairs = np.stack([links.position.astype(np.uint64), links.id], axis=1).ravel()
            rows, first = np.unique(links.dst, return_index=True)
            for row, (low, high) in zip(rows.tolist(), pairwise([*first.tolist(), len(links.dst)])):
                of_node.setdefault(row, []).append((why, links.field, pairs[2 * low : 2 * high]))
    if not of_node:
        return trace
    attrs = trace.operators["attrs"].copy()
    changes: dict[int, bytes] = {}
    more: list[bytes] = []
    texts = trace.attributes.texts(attrs[list(of_node)])
    for (row, parts), found in zip(of_node.items(), texts):
        members: dict[str, dict[str, list[int]]] = {}
        for why, field, pairs in parts:
            members.setdefault(why, {})[field] = pairs.tolist()
        text = found or b"{}"
        for why, ids in members.items():
            text = with_member(text, why, ids)
        if attrs[row] < 0:
            attrs[row] = len(trace.attributes) + len(more)
            more.append(text)
        else:
            changes[int(attrs[row])] = text
    operators = trace.operators.replace({"attrs": attrs})
    return replace(trace, operators=operators, attributes=trace.attributes.edited(changes, more))
