"""Computation units: a host operator that owns work, with the device operators that do it.

Flops, bytes and dims stand at host operators, times at device operators. One call can launch several kernels, several
calls one operator, and libraries differ in both, so what is predicted and compared is the pair of them. Units of the
same operator, dims and work are of one kind, and everything is computed once a kind.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from weakref import WeakKeyDictionary

import numpy as np

from etgraph.model import Category, Trace
from etgraph.model.arrivals import communicates
from etgraph.model.columns import Array
from etgraph.model.families import family_of
from etgraph.model.graph import nearest_above
from etgraph.model.launching import launching_calls
from etgraph.model.numbering import distinct
from etgraph.model.runtime_calls import GRAPH_LAUNCH
from etgraph.sim.compute.kinds import FAMILY, Kinds
from etgraph.sim.compute.products import FP32, TF32, product_of

NONE: Final = -1
"""The unit of an operator that computes nothing: a host's call, communication, a copy to or from the host."""
_FUSED: Final = re.compile(r"_scaled_dot_product_(?!attention_math)\w+|_(?:flash|efficient|cudnn)_attention_\w+")
_ATTENTION: Final = re.compile(r"scaled_dot_product_attention$")
_HELPING: Final = frozenset({"copy", "elementwise", "other"})
"""Families of kernels that are helpers where others of their unit are of another family."""
_HOST_LINK: Final = re.compile(r"^Memcpy (?:HtoD|DtoH|HtoH)")
_TF32: Final = re.compile(r"tf32|tensorop_s1688|s1688(?:gemm|fprop|dgrad|wgrad)|_xf32")


@dataclass(frozen=True, slots=True)
class Units:
    """The units of a trace, in order of their first device operator.

    `of` is the unit of every operator of the trace, or `NONE`. Of each unit: `owner`, the row of the host operator that
    owns the work (a unit without one: that of its only operator), `measured_ns`, the time of its device operators (NaN:
    not recorded), and `kind`.
    """

    of: Array
    owner: Array
    measured_ns: Array
    kind: Array
    kinds: Kinds

    def __len__(self) -> int:
        return len(self.owner)


def units_of(trace: Trace) -> Units:
    """The units of a trace: those of its device operators, or of its host operators on ranks that have no device.

    A device operator belongs to the nearest operator around its launch that owns work; helpers that a fused attention
    launches belong to the attention. What nobody owns, and what a graph replays, is a unit of its own. O(n log n), once
    a trace.
    """
    if trace not in _UNITS:
        _UNITS[trace] = _units_of(trace)
    return _UNITS[trace]


_UNITS: Final[WeakKeyDictionary[Trace, Units]] = WeakKeyDictionary()
"""Units of traces that are still in use: a sweep asks for those of one trace again and again."""


def _units_of(trace: Trace) -> Units:
    o = trace.operators
    rows, owner = _device_rows(trace)
    host = _host_rows(trace)
    rows, owner = np.concatenate([rows, host]), np.concatenate([owner, host])
    first = np.full(len(o), NONE, dtype=np.int64)
    key = np.where(owner >= 0, owner, rows)
    first[key[::-1]] = np.arange(len(rows))[::-1]
    starts = np.sort(first[first >= 0])
    number = np.empty(len(rows), dtype=np.int64)
    number[starts] = np.arange(len(starts))
    unit = number[first[key]]
    of = np.full(len(o), NONE, dtype=np.int32)
    of[rows] = unit
    on_host = np.zeros(len(o), dtype=bool)
    on_host[host] = True
    unknown = o.is_null("duration_ns") | on_host
    measured = np.bincount(unit, np.where(unknown, np.nan, o["duration_ns"])[rows], len(starts))
    kind, kinds = _kinds(trace, rows, unit, key[starts])
    return Units(of, key[starts], measured, kind, kinds)


def is_device(trace: Trace) -> Array:
    """Whether each operator ran on a device."""
    found: Array = trace.operators["category"] >= int(Category.KERNEL)
    return found


def _works(trace: Trace) -> Array:
    """Whether each operator is a host's and owns work."""
    o = trace.operators
    found: Array = (o["category"] == int(Category.CPU_OP)) & ((o["flops"] > 0) | (o["bytes"] > 0))
    return found


def _device_rows(trace: Trace) -> tuple[Array, Array]:
    """Device operators that compute, and the host operator that owns the work of each (`NONE`: nobody)."""
    o = trace.operators
    over_link = o.codes_where("name", _HOST_LINK.match)[o["name"]] if len(o) else np.zeros(0, dtype=bool)
    rows = np.flatnonzero(is_device(trace) & ~over_link)
    rows = rows[~communicates(trace, rows)]
    if not len(rows):
        return rows, rows
    call = launching_calls(trace)[rows]
    replayed = o.codes_where("name", GRAPH_LAUNCH.match)[o["name"][call]]
    owner = np.where((call >= 0) & ~replayed, _owners(trace, _works(trace))[call], NONE)
    return rows, owner


def _owners(trace: Trace, works: Array) -> Array:
    """For every operator the nearest one around it that owns work, itself included; a fused attention owns all inside.

    The kernel is launched inside one of the operators that a fused attention consists of, helpers (a mask that is
    padded, a seed) inside others. The one with the most flops stands for all of them.
    """
    o = trace.operators
    nearest = nearest_above(o["parent"], works)
    fused = o.codes_where("name", _FUSED.search)[o["name"]] & (o["category"] == int(Category.CPU_OP))
    if not fused.any():
        return nearest
    attention = o.codes_where("name", _ATTENTION.search)[o["name"]]
    around = nearest_above(o["parent"], attention)
    outer = np.zeros(len(o), dtype=bool)
    outer[around[fused & (around >= 0)]] = True
    outer |= fused & (around < 0)
    top = nearest_above(o["parent"], outer & ~_inside(o["parent"], outer))
    inside = np.flatnonzero(fused & works & (o["flops"] > 0) & (top >= 0))
    inside = inside[np.argsort(o["flops"][inside], kind="stable")]
    main = np.full(len(o), NONE, dtype=np.int64)
    main[top[inside]] = inside
    chosen = np.where(top >= 0, main[top], NONE)
    return np.where(chosen >= 0, chosen, nearest)


def _inside(parent: Array, wanted: Array) -> Array:
    """Whether an operator of those that are wanted is somewhere around each, itself left out."""
    return (parent >= 0) & (nearest_above(parent, wanted)[parent] >= 0)


def _host_rows(trace: Trace) -> Array:
    """Host operators that own work, on ranks without a device: what a device would have to do."""
    o = trace.operators
    return np.flatnonzero(_works(trace) & ~np.isin(o["rank"], np.unique(o["rank"][is_device(trace)])))


def _kinds(trace: Trace, rows: Array, unit: Array, owner: Array) -> tuple[Array, Kinds]:
    """The kind of each unit, and the kinds."""
    o = trace.operators
    names = o.texts("name").to_pylist()
    count = len(owner)
    kernels = np.bincount(unit, minlength=count)
    tf32 = np.bincount(unit, o.codes_where("name", _TF32.search)[o["name"][rows]], count) > 0 if count else kernels > 0
    columns = [o["name"][owner].astype(np.int64), o["shapes"][owner].astype(np.int64)]
    computes = o.codes_where("name", lambda name: family_of(name) not in _HELPING)[o["name"][rows]]
    main = np.bincount(unit, computes, count).astype(np.int64)
    helpers = np.where(main > 0, kernels - main, 0)
    columns += [o["flops"][owner], o["bytes"][owner], kernels, helpers, tf32.astype(np.int64), _named_by(trace, owner)]
    kind, _ = distinct(*columns)
    _, example = np.unique(kind, return_index=True)
    name, shapes, flops, size, number, helping, is_tf32, around = (column[example] for column in columns)
    texts = o.texts("shapes")
    nothing = o.table.column("flops").null
    families, products, called = [], [], []
    for at in range(len(example)):
        text = names[name[at]]
        family = family_of(text)
        if family == "other" and around[at] >= 0:
            family = family_of(names[around[at]])
        shape = texts[int(shapes[at])].as_py() if shapes[at] >= 0 else None
        found = product_of(text, family, shape, None if flops[at] == nothing else int(flops[at]))
        families.append(FAMILY[family])
        products.append(found)
        called.append(text)
    m, n, k, batch = (
        np.array([np.nan if p[i] is None else p[i] for p in products], dtype=np.float64) for i in range(4)
    )
    precision = np.array([p.precision for p in products], dtype=np.int64)
    return kind, Kinds(
        name=tuple(called),
        family=np.array(families, dtype=np.int64),
        flops=_or_nan(flops, nothing),
        bytes=_or_nan(size, nothing),
        m=m, n=n, k=k, batch=batch,
        precision=np.where((is_tf32 > 0) & (precision == FP32), TF32, precision),
        aligned=np.array([p.aligned for p in products], dtype=bool),
        kernels=number,
        helpers=helping,
    )  # fmt: skip


def _named_by(trace: Trace, owner: Array) -> Array:
    """For units without an owner the name (a code) of the host operator around their launch, `NONE` for all others."""
    o = trace.operators
    found = np.full(len(owner), NONE, dtype=np.int64)
    alone = np.flatnonzero(is_device(trace)[owner])
    if not len(alone):
        return found
    call = launching_calls(trace)[owner[alone]]
    around = nearest_above(o["parent"], o["category"] == int(Category.CPU_OP))
    around = np.where(call >= 0, around[call], NONE)
    found[alone] = np.where(around >= 0, o["name"][around], NONE)
    return found


def _or_nan(values: Array, null: int) -> Array:
    found: Array = np.where(values == null, np.nan, values.astype(np.float64))
    return found
