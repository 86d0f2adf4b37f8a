"""The pass that fills `flops` and `bytes` of host operators, once for each distinct name, shapes and arguments."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from etgraph.ingest.draft import NULL, Draft
from etgraph.ingest.work.arguments import codes_of, decoded, recorded_arguments
from etgraph.ingest.work.call import Call
from etgraph.ingest.work.families import Known, known
from etgraph.ingest.work.fbgemm import tables
from etgraph.ingest.work.nodes import NODES, pair_nodes
from etgraph.ingest.work.ownership import owned
from etgraph.ingest.work.relatives import RELATED, BackwardDims, pair_lookups
from etgraph.model import Category, Report
from etgraph.model.columns import Array
from etgraph.model.tensors import Input, Unknown, inputs_of


def estimate(draft: Draft) -> Draft:
    """Add floating-point operations and unique bytes of the operators whose semantics and dims are known.

    An operator has the work that it does itself: what operators inside it have is not counted again, so that a sum over
    any operators counts nothing twice (`ownership`). Null where the semantics, the dims or a needed argument are not
    known, and where a number exceeds int64. Device operators get nothing: the host operator that launched them has the
    work. Recorded numbers are kept. The report counts the operators whose work is known, and the batched lookups of
    several tables, whose width is taken at its mean.
    """
    o = draft.trace.operators
    names = o.texts("name").to_pylist()
    by_name = [known(name) for name in names]
    family_of = np.array([-1 if k is None else k.family for k in by_name] + [-1], dtype=np.int8)
    host = o["category"] == int(Category.CPU_OP)
    family = np.where(host, family_of[o["name"]], np.int8(-1))
    rows = np.flatnonzero((family >= 0) & (o["shapes"] >= 0))
    if not len(rows):
        return draft
    distinct, which = _distinct(draft, rows, names, by_name)
    work = _computed(draft, distinct, names, by_name)
    flops, size = (np.full(len(o), NULL, dtype=np.int64) for _ in range(2))
    flops[rows], size[rows] = work[which, 0], work[which, 1]
    owned(o["parent"], family, flops, size)
    data = {}
    for name, values in (("flops", flops), ("bytes", size)):
        data[name] = np.where(o.is_null(name), values, o[name])
    report = Report().with_count("operatorsOfKnownWork", int(((flops != NULL) | (size != NULL)).sum()))
    report = report.with_count("batchedLookupsAtMeanWidth", _at_mean_width(distinct, which, work, names, by_name))
    return draft.with_operators(data).with_report(report)


class _Distinct:
    """Distinct (name, shapes, arguments, partner's shapes), and the inputs that they are computed from."""

    def __init__(self, keys: Array, arguments: list[bytes], texts: list[str]) -> None:
        self.keys, self.arguments, self.texts = keys, arguments, texts
        self._inputs: dict[int, list[Input] | None] = {}

    def inputs(self, shapes: int) -> list[Input] | None:
        """The inputs by the code of their shapes; None where they cannot be understood."""
        if shapes not in self._inputs:
            try:
                self._inputs[shapes] = inputs_of(self.texts[shapes])
            except Unknown:
                self._inputs[shapes] = None
        return self._inputs[shapes]


def _distinct(draft: Draft, rows: Array, names: list[str], by_name: list[Known | None]) -> tuple[_Distinct, Array]:
    o = draft.trace.operators
    name, shapes = o["name"][rows].astype(np.int64), o["shapes"][rows].astype(np.int64)
    needs = np.array([k is not None and k.arguments for k in by_name])[name]
    completed = [k.partner if k is not None else "" for k in by_name]
    halves, within, graded = (np.array([c == kind for c in completed])[name] for kind in ("half", "around", "node"))
    plain = ~needs & ~halves & ~within & ~graded
    width = int(shapes.max()) + 1
    key = name * width + shapes
    argument, partner = np.full(len(rows), -1, dtype=np.int64), np.full(len(rows), -1, dtype=np.int64)
    texts: list[bytes] = []
    if needs.any():
        at = np.flatnonzero(needs)
        argument[at], texts = codes_of(recorded_arguments(draft.trace.attributes, o["attrs"][rows[at]]))
    if halves.any():
        at = np.flatnonzero(halves)
        pairs = pair_lookups(zip(at.tolist(), [names[n] for n in name[at].tolist()], strict=True))
        for half, other in pairs.items():
            partner[half] = shapes[other]
    if within.any():
        around = o["parent"][rows[within]]
        partner[within] = np.where(around >= 0, o["shapes"][around], -1)
    if graded.any():
        at = np.flatnonzero(graded)
        for operator, node in _nodes(draft, rows, at, names).items():
            partner[operator] = o["shapes"][node]
    special = np.flatnonzero(~plain)
    more = np.unique(np.stack([key[special], argument[special], partner[special]]), axis=1, return_inverse=True)
    values, inverse = _unique(key[plain], len(names) * width)
    which = np.empty(len(rows), dtype=np.int64)
    which[plain] = inverse
    which[special] = len(values) + more[1].reshape(-1)
    keys = np.concatenate([np.stack([values, np.full_like(values, -1), np.full_like(values, -1)]), more[0]], axis=1)
    keys = np.stack([keys[0] // width, keys[0] % width, keys[1], keys[2]])
    return _Distinct(keys, texts, o.texts("shapes").to_pylist()), which


def _unique(keys: Array, limit: int) -> tuple[Array, Array]:
    """Distinct keys below a limit, ascending, and the place of each key among them; by a table where that is small."""
    if limit > 16 * len(keys):
        values, inverse = np.unique(keys, return_inverse=True)
        return values, inverse
    place = np.zeros(limit, dtype=np.int32)
    place[keys] = 1
    values = np.flatnonzero(place)
    place[values] = np.arange(len(values), dtype=np.int32)
    return values, place[keys]


def _nodes(draft: Draft, rows: Array, at: Array, names: list[str]) -> dict[int, int]:
    """For positions `at` of rows the rows of their autograd nodes, by sequence number."""
    o, sequence = draft.trace.operators, draft.id("sequence")
    wanted = tuple(NODES.values())
    is_node = np.array([name.startswith(wanted) for name in names])[o["name"]]
    nodes = np.flatnonzero(is_node & (sequence != NULL) & (o["shapes"] >= 0))
    at = at[sequence[rows[at]] != NULL]
    if not len(nodes) or not len(at):
        return {}

    def described(chosen: Array, numbers: Array) -> Iterator[tuple[int, str, int]]:
        texts = [names[n] for n in o["name"][chosen].tolist()]
        return zip(numbers.tolist(), texts, sequence[chosen].tolist(), strict=True)

    return pair_nodes(described(rows[at], at), described(nodes, nodes))


def _at_mean_width(
    distinct: _Distinct, which: Array, work: Array, names: list[str], by_name: list[Known | None]
) -> int:
    """How many operators are batched lookups of several tables whose work is known."""
    halves = np.array([k is not None and k.partner == "half" for k in by_name])[distinct.keys[0]]
    mean = np.zeros(len(work), dtype=bool)
    for at in np.flatnonzero(halves & (work[:, 0] != NULL)).tolist():
        name, shapes, _, partner = distinct.keys[:, at].tolist()
        other = distinct.inputs(partner) if partner >= 0 else None
        mean[at] = tables(names[name], distinct.inputs(shapes) or (), other) > 1
    return int(mean[which].sum())


def _computed(draft: Draft, distinct: _Distinct, names: list[str], by_name: list[Known | None]) -> Array:
    """Flops and bytes of each distinct call."""
    backward = BackwardDims()
    related = np.array([name in RELATED for name in names])[distinct.keys[0]]
    for name, shapes, _, _ in distinct.keys[:, related].T.tolist():
        if (inputs := distinct.inputs(shapes)) is not None:
            backward.add(names[name], inputs)
    work = np.full((distinct.keys.shape[1], 2), NULL, dtype=np.int64)
    for at, (name, shapes, argument, partner) in enumerate(distinct.keys.T.tolist()):
        found, inputs = by_name[name], distinct.inputs(shapes)
        if found is None or inputs is None:
            continue
        text = distinct.arguments[argument] if argument >= 0 else None
        other = distinct.inputs(partner) if partner >= 0 else None
        try:
            numbers = found.formula(Call(names[name], inputs, decoded(text, inputs), other, backward)).numbers()
        except Unknown:
            continue
        work[at] = [NULL if number is None else number for number in numbers]
    return work
