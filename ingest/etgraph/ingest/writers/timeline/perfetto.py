"""Perfetto's protobuf format: packets of track events, for the Perfetto UI and its trace processor.

Names and numbers of fields are those of Perfetto's `perfetto_trace.proto`. The packets of a rank follow each other in
the order of time, and a block of them is encoded at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import count
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from etgraph.ingest.writers.output import Sink, Target, Written, file_output, name_of
from etgraph.ingest.writers.rows import REPLACEMENT
from etgraph.ingest.writers.timeline.contents import Contents, Value, text_of
from etgraph.ingest.writers.timeline.moments import Series
from etgraph.ingest.writers.timeline.scene import Scene, scene_of
from etgraph.ingest.writers.timeline.sheets import Sheet
from etgraph.ingest.writers.timeline.wire import Constant, Field, Fixed64, Message, Number, encode, field
from etgraph.model import Trace
from etgraph.model.columns import Array
from etgraph.model.progress import Progress, silent

if TYPE_CHECKING:
    import pyarrow as pa

ROWS: Final = 1 << 14
"""Events that are encoded at one time."""
_UNSHOWN: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
"""Characters that neither the user interface nor the trace processor's texts show."""
_PACKET: Final = 1
_SEQUENCE: Final = field(10, 1)
"""All packets are of one sequence, whose interned texts they share."""
_STATE: Final = _SEQUENCE + field(13, 2)
_BEGIN, _END, _INSTANT, _COUNTER = 1, 2, 3, 4
_BYTES: Final = 3
_CATEGORIES, _NAMES, _LABELS, _STRINGS = 1, 2, 3, 29
"""Kinds of interned texts: the numbers of their fields in InternedData."""


def write_perfetto(
    trace: Trace, target: Target, progress: Progress | None = None, *, path: pa.Table | None = None
) -> Written:
    """Write a trace as Perfetto's protobuf: a process for each rank, a thread for each lane, flows for dependencies.

    `path` is a table of segments (`CriticalPath.segments`), which becomes a process of its own. Flow n + 1 is row n of
    the dependencies. Raises MissingData where no operator has times, ExportError where the target cannot be written.
    """
    scene = scene_of(trace, path)
    with file_output(target) as out:
        writer = _Writer(scene, out)
        scene.write(writer.sheet, progress or silent)
    return Written(
        "perfetto", name_of(target), int(scene.timed.operators.sum()), scene.flows.dependencies, out.bytes,
        writer.replaced, scene.notes(),
    )  # fmt: skip


class _Interned:
    """Texts of one dictionary that packets name by number, once they have been told."""

    def __init__(self, kind: int, texts: Any, first: int) -> None:
        self.first = first
        self.replaced = 0
        self._kind, self._texts = kind, texts
        self._told = np.zeros(len(texts), dtype=bool)

    def news(self, codes: Array) -> Iterable[bytes]:
        """The fields of InternedData for those of the texts that were not told before."""
        codes = np.unique(codes)
        for code in codes[~self._told[codes]].tolist():
            text, replaced = _UNSHOWN.subn(REPLACEMENT, str(self._texts[code]))
            self.replaced += replaced
            yield field(self._kind, field(1, self.first + code) + field(2, text.encode()))
        self._told[codes] = True


class _Writer:
    def __init__(self, scene: Scene, out: Sink) -> None:
        self._scene, self._out = scene, out
        self._numbers = count(1)
        self._replaced = 0
        self._free: dict[int, int] = {}
        self._dictionaries: dict[tuple[int, int], _Interned] = {}
        self._labels: dict[str, int] = {}
        self._instant_names = text_of(scene.trace.instants, "name")
        self._packet(field(60, field(1, 0) + field(19, 1) + field(20, 1)), state=False)

    @property
    def replaced(self) -> int:
        """Characters that were replaced in the texts."""
        return self._replaced + sum(texts.replaced for texts in self._dictionaries.values())

    def sheet(self, sheet: Sheet) -> Iterable[int]:
        """Write the packets of a sheet; yields how many slices are written."""
        process = next(self._numbers)
        name = sheet.label.encode()
        self._describe(process, field(3, field(1, process) + field(6, name)), sheet.place(process))
        threads = [next(self._numbers) for _ in sheet.tracks]
        for number, track in zip(threads, sheet.tracks):
            thread = field(1, process) + field(2, number) + field(5, self._text(track.name))
            self._describe(number, field(4, thread), number)
        slices, ends = sheet.order
        uuids = np.array(threads, dtype=np.int64)
        for first in range(0, len(slices), ROWS):
            some = slice(first, first + ROWS)
            self._events(sheet, uuids, slices[some], ends[some])
            yield min(first + ROWS, len(slices)) // 2
        if sheet.rank >= 0:
            own = {track.lane: number for number, track in zip(threads, sheet.tracks) if track.own and track.operators}
            self._instants(self._scene.instants(sheet.rank), process, own)
            for series in self._scene.series(sheet.rank):
                self._series(series, process)

    def _text(self, text: str) -> bytes:
        clean, replaced = _UNSHOWN.subn(REPLACEMENT, text)
        self._replaced += replaced
        return clean.encode()

    def _packet(self, body: bytes, *, state: bool = True) -> None:
        self._out.write_bytes(field(_PACKET, (_STATE if state else _SEQUENCE + field(13, 1)) + body))

    def _describe(self, number: int, body: bytes, place: int) -> None:
        """A track, and its place among those beside it."""
        self._packet(field(60, field(1, number) + body + field(12, place)))

    def _events(self, sheet: Sheet, uuids: Array, slices: Array, ends: Array) -> None:
        source, row, begins = sheet.source[slices], sheet.row[slices], ~ends
        news: list[bytes] = []
        fields: list[Field] = [Number(9, np.where(ends, _END, _BEGIN)), Number(11, uuids[sheet.track[slices]])]
        for kind, contents in self._scene.contents.items():
            chosen = np.flatnonzero(begins & (source == kind))
            if len(chosen):
                fields += self._contents(contents, row[chosen], chosen, len(slices), news)
        nodes, flows = self._scene.nodes(source, row), self._scene.flows
        for number, edges, chosen in ((47, flows.out, begins), (48, flows.into, begins), (48, flows.late, ends)):
            counts = np.zeros(len(slices), dtype=np.int64)
            counts[chosen], found = edges.of(nodes[chosen])
            fields.append(Fixed64(number, counts, found + 1))
        self._tell(news)
        self._write(np.where(ends, sheet.end_ns[slices], sheet.start_ns[slices]), fields)

    def _contents(self, contents: Contents, rows: Array, at: Array, events: int, news: list[bytes]) -> Iterator[Field]:
        """The fields of name, category and values of the events `at` some places; texts that are new go to `news`."""
        for value, number, kind in ((contents.name, 10, _NAMES), (contents.category, 3, _CATEGORIES)):
            codes, there = value.of(rows)
            yield Number(
                number, *_spread(self._texts(kind, value, codes[there], news).first + codes, there, at, events)
            )
        for value in contents.values:
            numbers, there = value.of(rows)
            if not there.any():
                continue
            number = {"u": 3, "f": 5}.get(numbers.dtype.kind, 4)
            if value.texts is not None:
                numbers, number = self._texts(_STRINGS, value, numbers[there], news).first + numbers, 17
            spread, present = _spread(numbers, there, at, events)
            label = Constant(field(1, self._label(value.name, news)), present)
            real = numbers.dtype.kind == "f"
            shown = Fixed64(number, present * 1, spread[present]) if real else Number(number, spread, present)
            yield Message(4, [label, shown], present)

    def _texts(self, kind: int, value: Value, codes: Array, news: list[bytes]) -> _Interned:
        """The dictionary of a value, after it has told these codes."""
        key = kind, id(value)
        if key not in self._dictionaries:
            assert value.texts is not None
            first = self._free.get(kind, 1)
            self._dictionaries[key] = _Interned(kind, value.texts, first)
            self._free[kind] = first + len(value.texts)
        news += self._dictionaries[key].news(codes)
        return self._dictionaries[key]

    def _label(self, name: str, news: list[bytes]) -> int:
        """The number of a value's name."""
        if name not in self._labels:
            self._labels[name] = len(self._labels) + 1
            news.append(field(_LABELS, field(1, self._labels[name]) + field(2, name.encode())))
        return self._labels[name]

    def _instants(self, rows: Array, process: int, lanes: dict[int, int]) -> None:
        """Instants stand on the track of their lane, or on that of the rank."""
        instants = self._scene.trace.instants
        for first in range(0, len(rows), ROWS):
            some = rows[first : first + ROWS]
            news: list[bytes] = []
            codes, _ = self._instant_names.of(some)
            names = self._texts(_NAMES, self._instant_names, codes, news).first + codes
            self._tell(news)
            tracks = np.array([lanes.get(lane, process) for lane in instants["lane"][some].tolist()], dtype=np.int64)
            self._write(
                instants["time_ns"][some] + self._scene.timed.shift_ns,
                [Number(9, np.full(len(some), _INSTANT)), Number(11, tracks), Number(10, names)],
            )

    def _series(self, series: Series, process: int) -> None:
        number = next(self._numbers)
        unit = field(3, _BYTES) if series.in_bytes else b""
        self._packet(
            field(60, field(1, number) + field(5, process) + field(2, self._text(series.name)) + field(8, unit))
        )
        for first in range(0, len(series.values), ROWS):
            values = series.values[first : first + ROWS]
            ones = np.ones(len(values), dtype=np.int64)
            value = Number(30, values) if series.in_bytes else Fixed64(44, ones, values)
            times = series.time_ns[first : first + ROWS] + self._scene.timed.shift_ns
            self._write(times, [Number(9, _COUNTER * ones), Number(11, number * ones), value])

    def _tell(self, news: list[bytes]) -> None:
        if news:
            self._packet(field(12, b"".join(news)))

    def _write(self, times: Array, fields: Sequence[Field]) -> None:
        """Packets of one event each."""
        everywhere = np.ones(len(times), dtype=bool)
        self._out.write_bytes(
            encode(Message(_PACKET, [Constant(_STATE, everywhere), Number(8, times), Message(11, fields)]))
        )


def _spread(values: Array, there: Array, at: Array, count: int) -> tuple[Array, Array]:
    """Values of some events among all of them, and which have one."""
    spread, present = np.zeros(count, dtype=values.dtype), np.zeros(count, dtype=bool)
    spread[at], present[at] = values, there
    return spread, present
