"""All that a timeline shows, and what it has to say of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from etgraph.ingest.writers.timeline.contents import Contents, contents_of
from etgraph.ingest.writers.timeline.flows import Flows, flows
from etgraph.ingest.writers.timeline.moments import MOMENTS, Series, counters, memory
from etgraph.ingest.writers.timeline.path import Path, path_of
from etgraph.ingest.writers.timeline.sheets import (
    ANNOTATION,
    OPERATOR,
    SEGMENT,
    Sheet,
    by_rank,
    path_sheet,
    rank_sheets,
)
from etgraph.ingest.writers.timeline.timed import Timed, timed
from etgraph.model import Trace
from etgraph.model.columns import Array
from etgraph.model.progress import Progress

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass
class Scene:
    """A trace on the axis of a timeline, with its critical path if there is one."""

    trace: Trace
    path: Path | None
    timed: Timed
    aside: dict[int, int] = field(default_factory=dict)
    """Slices on further tracks of their lanes, by what they are rows of; counted while the sheets are read."""

    @cached_property
    def flows(self) -> Flows:
        """Its arrows."""
        return flows(self.trace, self.timed, self.path)

    @cached_property
    def contents(self) -> dict[int, Contents]:
        """What its slices say."""
        return contents_of(self.trace, self.path)

    @property
    def slices(self) -> int:
        """How many slices there are, at most."""
        return len(self.trace) + len(self.trace.annotations) + (len(self.path) if self.path is not None else 0)

    def sheets(self) -> Iterator[Sheet]:
        """Each rank, then the critical path: an operator comes before what the path spends in it."""
        self.aside.clear()
        for sheet in rank_sheets(self.trace, self.timed):
            for source, count in enumerate(np.bincount(sheet.source[sheet.aside]).tolist()):
                self.aside[source] = self.aside.get(source, 0) + count
            yield sheet
        if self.path is not None:
            yield path_sheet(self.path, self.timed.shift_ns)

    def write(self, sheet: Callable[[Sheet], Iterable[int]], progress: Progress) -> None:
        """Write sheet after sheet. `sheet` yields how many of its slices are written, which `progress` is told."""
        done = 0
        for one in self.sheets():
            for slices in sheet(one):
                progress(f"writing {one.label}", done + slices, self.slices)
            done += len(one)
        progress("done", self.slices, self.slices)

    def nodes(self, source: Array, row: Array) -> Array:
        """The node of the arrows that each slice is; slices without arrows share the last one."""
        path = len(self.path) if self.path is not None else 0
        return np.where(
            source == OPERATOR, row, np.where(source == SEGMENT, len(self.trace) + row, len(self.trace) + path)
        )

    @cached_property
    def _moments(self) -> dict[str, dict[int, Array]]:
        return {name: by_rank(self.trace.tables[name]["rank"], self.trace.ranks)
                for name in MOMENTS}  # fmt: skip

    def instants(self, rank: int) -> Array:
        """Rows of the instants of a rank."""
        return self._moments["instants"][rank]

    def series(self, rank: int) -> Iterator[Series]:
        """What was counted on a rank."""
        yield from memory(self.trace, self._moments["memory_events"][rank])
        yield from counters(self.trace, self._moments["counters"][rank])

    def notes(self, *, arrows: bool = True) -> tuple[str, ...]:
        """What a reader of the export has to know, once its sheets are read."""
        counts = {
            "operators without times, left out": len(self.trace) - int(self.timed.operators.sum()),
            "operators that overlap others of their lane, on further tracks of it": self.aside.get(OPERATOR, 0),
            "annotations that overlap operators or each other, on further tracks": self.aside.get(ANNOTATION, 0),
        }
        if arrows:
            left_out = len(self.trace.dependencies) - self.flows.dependencies
            counts["dependencies of operators without times, left out"] = left_out
            counts["arrows that lead back, as the target had ended when the source began"] = self.flows.backwards
        notes = [f"{what}: {count:,}" for what, count in counts.items() if count]
        if self.timed.shift_ns:
            notes.append(
                f"times are later than the trace's, which begins before its zero: by {self.timed.shift_ns:,} ns"
            )
        return tuple(notes)


def scene_of(trace: Trace, segments: pa.Table | None) -> Scene:
    """What there is to show. Raises MissingData without any times, ExportError where they lie too far apart."""
    path = path_of(trace, segments) if segments is not None else None
    return Scene(trace, path, timed(trace, path))
