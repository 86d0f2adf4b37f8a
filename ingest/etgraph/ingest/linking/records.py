"""What two files say of the same operators, in comparable form: one row a record, in order of start."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from etgraph.ingest.draft import NULL, Draft, Texts
from etgraph.model import Category, Columns, LaneKind, Span
from etgraph.model.columns import Array

_NUMBER = re.compile(r"#\d+$")
_COMMUNICATION = re.compile(r"^(?:gloo|nccl|mpi|ucc):")
_STEP = re.compile(r"^ProfilerStep#")


@dataclass(frozen=True, slots=True)
class Records:
    """Records of host operators of one file. All arrays have one value a record.

    `row` is the operator's, or -1 - the annotation's; `token` the code of its name without a step's number, `name` that
    with it, both common to the two files; `shapes` a code of the file's own; `sequence` and `record_function` are
    `NULL` where there is none; `start` and `end` are ns, in the host's file without meaning.
    """

    row: Array
    token: Array
    name: Array
    lane: Array
    shapes: Array
    sequence: Array
    record_function: Array
    start: Array
    end: Array

    def __len__(self) -> int:
        return len(self.row)


@dataclass(frozen=True, slots=True)
class Names:
    """Names by code, and of the tokens those that communicate or mark steps."""

    names: list[str]
    communicates: Array
    step: Array


def records(host: Draft, device: Draft) -> tuple[Records, Records, Names]:
    """The records of both files. Left out are the profiler's own book-keeping, calls of the runtime, and devices."""
    names, tokens = Texts(), Texts()
    ours = _host_records(host, names, tokens)
    theirs = _device_records(device, names, tokens)
    communicates = np.array([_COMMUNICATION.match(token) is not None for token in tokens] or [False])
    step = np.array([_STEP.match(token) is not None for token in tokens] or [False])
    return ours, theirs, Names(list(names), communicates, step)


def _codes(columns: Columns, names: Texts, tokens: Texts) -> tuple[Array, Array]:
    """Codes of name and token for each code of a table's dictionary of names."""
    texts = columns.texts("name").to_pylist()
    name = [names[text] for text in texts]
    token = [tokens[_NUMBER.sub("#", text)] for text in texts]
    return np.array(name or [0], dtype=np.int64), np.array(token or [0], dtype=np.int64)


def _host_records(host: Draft, names: Texts, tokens: Texts) -> Records:
    o = host.trace.operators
    rows = np.flatnonzero(o["category"] != int(Category.METADATA))
    name, token = _codes(o, names, tokens)
    code = o["name"][rows]
    nothing = np.zeros(len(rows), dtype=np.int64)
    return Records(
        rows, token[code], name[code], o["lane"][rows].astype(np.int64), o["shapes"][rows],
        host.id("sequence")[rows], host.id("record_function")[rows], nothing, nothing,
    )  # fmt: skip


def _device_records(device: Draft, names: Texts, tokens: Texts) -> Records:
    trace = device.trace
    o, a = trace.operators, trace.annotations
    threads = np.append(trace.lanes["kind"] == int(LaneKind.THREAD), False)
    host = np.isin(o["category"], (int(Category.CPU_OP), int(Category.ANNOTATION)))
    rows = np.flatnonzero(host & threads[o["lane"]] & ~o.is_null("start_ns"))
    spans = np.flatnonzero((a["kind"] == int(Span.USER)) & threads[a["lane"]])
    (name, token), (span_name, span_token) = _codes(o, names, tokens), _codes(a, names, tokens)
    code, span_code = o["name"][rows], a["name"][spans]
    start = np.concatenate([o["start_ns"][rows], a["start_ns"][spans]])
    duration = np.concatenate([o["duration_ns"][rows], a["duration_ns"][spans]])
    of_spans = {
        key: device.annotation_ids[key][spans] if key in device.annotation_ids else np.full(len(spans), NULL)
        for key in ("order", "record_function", "sequence")
    }
    ids = {key: np.concatenate([device.id(key)[rows], of_spans[key]]) for key in of_spans}
    # Files without an order of their own keep the rows', annotations first: these enclose what starts with them.
    order = np.lexsort((ids["order"], start))
    return Records(
        np.concatenate([rows, -1 - spans])[order],
        np.concatenate([token[code], span_token[span_code]])[order],
        np.concatenate([name[code], span_name[span_code]])[order],
        np.concatenate([o["lane"][rows], a["lane"][spans]])[order].astype(np.int64),
        np.concatenate([o["shapes"][rows], np.full(len(spans), -1)])[order],
        ids["sequence"][order],
        ids["record_function"][order],
        start[order],
        (start + np.maximum(duration, 0))[order],
    )
