"""The communication matrix as a heat map of the bytes from each rank to each other."""

from __future__ import annotations

from typing import Final

import numpy as np

from etgraph.model.columns import Array
from etgraph.model.drawing.charts import Axis, Chart, HeatMap, Panel
from etgraph.model.errors import MissingData
from etgraph.model.readable import byte_rate, duration, size
from etgraph.queries.comm_matrix import CommunicationMatrix
from etgraph.queries.pictures.scales import size_scale

MOST_CELLS: Final = 128
"""Cells of a row; of more ranks, neighbours share one."""
WIDE_SPAN: Final = 100
"""Colours follow the logarithm where the largest number is so many times the smallest."""


def heat_map(matrix: CommunicationMatrix) -> Chart:
    """Bytes from each rank (row) to each other (column), with transfer times and bandwidths as texts.

    Pairs that exchange nothing are blank. Beyond `MOST_CELLS` ranks, neighbours share a cell. Raises MissingData where
    nobody sends anything.
    """
    if not matrix.bytes.any():
        raise MissingData("nothing is sent: there is nothing to plot")
    first = np.arange(0, len(matrix.ranks), -(-len(matrix.ranks) // MOST_CELLS))
    sent = _shared(matrix.bytes, first)
    texts, names = _texts(matrix, sent, first), _names(matrix, first)
    positive = sent[sent > 0]
    scale = size_scale(int(positive.max()))
    rows = [[None if count == 0 else count / scale.factor for count in row] for row in sent.tolist()]
    wide = int(positive.max()) >= WIDE_SPAN * int(positive.min())
    notes = []
    if len(first) < len(matrix.ranks):
        notes.append(
            f"{len(matrix.ranks):,} ranks: up to {-(-len(matrix.ranks) // len(first))} neighbours share a cell"
        )
    if any(name.endswith("*") for name in names):
        notes.append("* not recorded: what it sends is known from receivers of messages only")
    return Chart(
        f"Communication of {len(matrix.ranks):,} ranks, {size(int(matrix.bytes.sum()))}",
        (
            Panel(
                "", Axis("rank that receives", names), Axis("rank that sends", names, downwards=True),
                (HeatMap(rows, scale.unit, texts, logarithmic=wide),),
            ),
        ),
        tuple(notes),
    )  # fmt: skip


def _shared(values: Array, first: Array) -> Array:
    """Sums over the ranks of each cell; `first` are those that cells begin with."""
    summed: Array = np.add.reduceat(np.add.reduceat(values, first, axis=0), first, axis=1)
    return summed


def _names(matrix: CommunicationMatrix, first: Array) -> tuple[str, ...]:
    """The ranks of each row and column; a star marks those that are not recorded."""
    unrecorded = set(matrix.unrecorded_ranks)
    blocks = np.split(np.array(matrix.ranks), first[1:])
    return tuple(
        (f"{block[0]}" if len(block) == 1 else f"{block[0]}–{block[-1]}")
        + ("*" if {*block.tolist()} <= unrecorded else "")
        for block in blocks
    )


def _texts(matrix: CommunicationMatrix, sent: Array, first: Array) -> list[list[str]]:
    names = [name.rstrip("*") for name in _names(matrix, first)]
    took, timed = np.zeros_like(sent), np.zeros_like(sent)
    if matrix.transfer_ns is not None:
        known = ~np.ma.getmaskarray(matrix.transfer_ns)
        took, timed = _shared(matrix.transfer_ns.filled(0), first), _shared(np.where(known, matrix.bytes, 0), first)
    return [
        [
            "\n".join((f"rank {sender} → rank {receiver}", size(count), *_time(ns, of)))
            for receiver, count, ns, of in zip(names, *columns)
        ]
        for sender, *columns in zip(names, sent.tolist(), took.tolist(), timed.tolist())
    ]


def _time(ns: int, timed_bytes: int) -> tuple[str, ...]:
    """The time of a transfer and its bandwidth, where they are known."""
    return (f"in {duration(ns)}, {byte_rate(timed_bytes / ns * 1e9)}",) if ns and timed_bytes else ()
