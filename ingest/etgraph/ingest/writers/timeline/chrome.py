"""The Trace Event Format of Chrome, as JSON: for Perfetto, chrome://tracing and many other viewers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import count
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from etgraph.ingest.writers.output import Sink, Target, Written, file_output, name_of
from etgraph.ingest.writers.rows import json_real, json_text
from etgraph.ingest.writers.timeline.contents import Contents, text_of
from etgraph.ingest.writers.timeline.flows import KINDS, Arrows
from etgraph.ingest.writers.timeline.literals import MICROSECONDS, literals, members, micros
from etgraph.ingest.writers.timeline.moments import Series
from etgraph.ingest.writers.timeline.scene import Scene, scene_of
from etgraph.ingest.writers.timeline.sheets import Sheet
from etgraph.model import Trace
from etgraph.model.columns import Array
from etgraph.model.progress import Progress, silent

if TYPE_CHECKING:
    import pyarrow as pa

ROWS: Final = 1 << 13
"""Events that are text at one time."""
_ARROW: Final = '{"ph":"%s","id":%d,"name":"%s","cat":"dependency","pid":%d,"tid":%d,"ts":' + MICROSECONDS


def write_chrome(
    trace: Trace, target: Target, progress: Progress | None = None, *, path: pa.Table | None = None
) -> Written:
    """Write a trace as trace events: complete events (X) in order of time, arrows (s, f), counters, names of tracks.

    `path` is a table of segments (`CriticalPath.segments`), which becomes a process of its own. Times are µs with three
    decimals; arrow n + 1 is row n of the dependencies. Raises MissingData where no operator has times, ExportError
    where the target cannot be written.
    """
    scene = scene_of(trace, path)
    with file_output(target) as out:
        out.write(f'{{"displayTimeUnit":"ns","otherData":{{"trace":{json_text(trace.trace_id)}}},"traceEvents":[\n')
        writer = _Writer(scene, out)
        scene.write(writer.sheet, progress or silent)
        out.write("\n]}\n")
    return Written(
        "chrome", name_of(target), int(scene.timed.operators.sum()), scene.flows.dependencies, out.bytes,
        notes=scene.notes(),
    )  # fmt: skip


class _Writer:
    def __init__(self, scene: Scene, out: Sink) -> None:
        self._scene, self._out = scene, out
        self._numbers = count(1)
        self._begun = False

    def sheet(self, sheet: Sheet) -> Iterable[int]:
        """Write the events of a sheet; yields how many slices are written."""
        process = next(self._numbers)
        threads = [next(self._numbers) for _ in sheet.tracks]
        self._lines(_names("process", process, process, sheet.label, sheet.place(process)))
        for number, track in zip(threads, sheet.tracks):
            self._lines(_names("thread", process, number, track.name, number))
        slices, ends = sheet.order
        numbers = np.array(threads, dtype=np.int64)
        for first in range(0, len(slices), ROWS):
            some = slice(first, first + ROWS)
            self._lines(self._events(sheet, process, numbers, slices[some], ends[some]))
            yield min(first + ROWS, len(slices)) // 2
        if sheet.rank >= 0:
            own = {track.lane: number for number, track in zip(threads, sheet.tracks) if track.own and track.operators}
            self._instants(self._scene.instants(sheet.rank), process, own)
            for series in self._scene.series(sheet.rank):
                self._series(series, process)

    def _lines(self, lines: Sequence[str]) -> None:
        if lines:
            self._out.write((",\n" if self._begun else "") + ",\n".join(lines))
            self._begun = True

    def _events(self, sheet: Sheet, process: int, numbers: Array, slices: Array, ends: Array) -> list[str]:
        """The lines of some events: a slice with the arrows at its beginning, and arrows at the ends of others."""
        source, row, thread = sheet.source[slices], sheet.row[slices], numbers[sheet.track[slices]]
        time = np.where(ends, sheet.end_ns[slices], sheet.start_ns[slices])
        places: list[Array] = []
        lines: list[str] = []
        for kind, contents in self._scene.contents.items():
            at = np.flatnonzero(~ends & (source == kind))
            if len(at):
                places.append(at * 3)
                duration = sheet.end_ns[slices[at]] - time[at]
                lines += _slices(contents, row[at], process, thread[at], time[at], duration)
        nodes, flows = self._scene.nodes(source, row), self._scene.flows
        for phase, edges, chosen in (("f", flows.late, ends), ("f", flows.into, ~ends), ("s", flows.out, ~ends)):
            at, found = _touched(edges, nodes, np.flatnonzero(chosen))
            places.append(at * 3 + (1 if phase == "f" else 2))
            lines += self._arrows(phase, found, process, thread[at], time[at])
        order = np.argsort(np.concatenate(places), kind="stable")
        return [lines[n] for n in order.tolist()]

    def _arrows(self, phase: str, found: Array, process: int, thread: Array, time: Array) -> list[str]:
        template = _ARROW + (',"bp":"e"}' if phase == "f" else "}")
        kinds = self._scene.flows.kind[found].tolist()
        rows = zip((found + 1).tolist(), kinds, thread.tolist(), *micros(time))
        return [template % (phase, n, KINDS[kind], process, tid, us, ns) for n, kind, tid, us, ns in rows]

    def _instants(self, rows: Array, process: int, lanes: dict[int, int]) -> None:
        instants = self._scene.trace.instants
        names = text_of(instants, "name")
        template = '{"ph":"i","s":"t","name":%s,"pid":%d,"tid":%d,"ts":' + MICROSECONDS + "}"
        for first in range(0, len(rows), ROWS):
            some = rows[first : first + ROWS]
            tracks = [lanes.get(lane, process) for lane in instants["lane"][some].tolist()]
            time = instants["time_ns"][some] + self._scene.timed.shift_ns
            found = zip(literals(names, some), tracks, *micros(time))
            self._lines([template % (name, process, tid, us, ns) for name, tid, us, ns in found])

    def _series(self, series: Series, process: int) -> None:
        template = f'{{"ph":"C","name":{json_text(series.name)},"pid":{process},'.replace("%", "%%")
        template += '"ts":' + MICROSECONDS + ',"args":{"value":%s}}'
        for first in range(0, len(series.values), ROWS):
            some = slice(first, first + ROWS)
            values: list[Any] = series.values[some].tolist()
            texts = values if series.in_bytes else [json_real(value) for value in values]
            time = series.time_ns[some] + self._scene.timed.shift_ns
            self._lines([template % row for row in zip(*micros(time), texts)])


def _names(what: str, process: int, thread: int, name: str, place: int) -> list[str]:
    """What names a process or a thread, and puts it in its place."""
    head = f'{{"ph":"M","pid":{process},"tid":{thread},"name":"{what}_'
    return [
        f'{head}name","args":{{"name":{json_text(name)}}}}}',
        f'{head}sort_index","args":{{"sort_index":{place}}}}}',
    ]


def _slices(
    contents: Contents, rows: Array, process: int, thread: Array, start: Array, duration: Array
) -> Iterator[str]:
    template = '{"ph":"X","name":%s,"cat":%s,"pid":' + str(process) + ',"tid":%d,"ts":' + MICROSECONDS
    template += ',"dur":' + MICROSECONDS
    lists: list[Sequence[Any]] = [literals(contents.name, rows), literals(contents.category, rows), thread.tolist()]
    lists += [*micros(start), *micros(duration)]
    if contents.values:
        first, *others = contents.values
        texts = [members(value, rows) for value in others]
        texts = [text for text in texts if any(text)]
        template += f',"args":{{"{first.name}":%s' + "%s" * len(texts) + "}"
        lists += [literals(first, rows), *texts]
    template += "}"
    return (template % row for row in zip(*lists))


def _touched(edges: Arrows, nodes: Array, chosen: Array) -> tuple[Array, Array]:
    """The arrows of some events, and the event of each."""
    counts, found = edges.of(nodes[chosen])
    return np.repeat(chosen, counts), found
