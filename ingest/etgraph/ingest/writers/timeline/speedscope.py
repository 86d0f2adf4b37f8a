"""speedscope's file format: for each lane what ran on it, as a profile of frames that open and close."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

import numpy as np

from etgraph.ingest.writers.output import Sink, Target, Written, file_output, name_of
from etgraph.ingest.writers.rows import json_text
from etgraph.ingest.writers.timeline.contents import Value
from etgraph.ingest.writers.timeline.moments import MOMENTS
from etgraph.ingest.writers.timeline.scene import Scene, scene_of
from etgraph.ingest.writers.timeline.sheets import Sheet
from etgraph.model import Trace
from etgraph.model.columns import Array
from etgraph.model.progress import Progress, silent

if TYPE_CHECKING:
    import pyarrow as pa

SCHEMA: Final = "https://www.speedscope.app/file-format-schema.json"
ROWS: Final = 1 << 14
"""Events that are text at one time."""
_EVENT: Final = '{"type":"%s","frame":%d,"at":%d}'


def write_speedscope(
    trace: Trace, target: Target, progress: Progress | None = None, *, path: pa.Table | None = None
) -> Written:
    """Write a trace as speedscope's evented profiles, one for each track that holds operators, in ns.

    `path` is a table of segments (`CriticalPath.segments`), which becomes the first profile. The format has neither
    arrows nor counters. Raises MissingData where no operator has times, ExportError where the target cannot be written.
    """
    scene = scene_of(trace, path)
    with file_output(target) as out:
        out.write(f'{{"$schema":"{SCHEMA}","exporter":"etgraph","name":{json_text(_title(trace))},"profiles":[')
        writer = _Writer(scene, out)
        scene.write(writer.sheet, progress or silent)
        out.write('\n],"shared":{"frames":[')
        writer.frames()
        out.write("\n]}}\n")
    counts = {"dependencies": len(trace.dependencies), "annotations on tracks without operators": writer.left_out}
    counts |= {name.replace("_", " "): len(trace.tables[name]) for name in MOMENTS}
    left_out = ", ".join(f"{what} ({count:,})" for what, count in counts.items() if count)
    notes = [f"left out, as speedscope has no place for them: {left_out}"] if left_out else []
    return Written(
        "speedscope", name_of(target), int(scene.timed.operators.sum()), 0, out.bytes,
        notes=(*scene.notes(arrows=False), *notes),
    )  # fmt: skip


def _title(trace: Trace) -> str:
    return f"etgraph trace {trace.trace_id[:12]}" if trace.trace_id else "etgraph trace"


class _Writer:
    def __init__(self, scene: Scene, out: Sink) -> None:
        self.left_out = 0
        """Slices of tracks that hold no operator, which become no profile."""
        self._scene, self._out = scene, out
        self._profiles = 0
        names: dict[int, Value] = {source: contents.name for source, contents in scene.contents.items()}
        sizes = [len(name.texts) if name.texts is not None else 0 for name in names.values()]
        self._names = names
        self._numbers = {source: np.full(size, -1, dtype=np.int64) for source, size in zip(names, sizes)}
        self._frames: list[tuple[int, int]] = []

    def sheet(self, sheet: Sheet) -> Iterable[int]:
        """Write the profiles of a sheet; yields how many slices they hold so far."""
        slices, ends = sheet.order
        by_track = np.argsort(sheet.track[slices], kind="stable")
        bounds = np.searchsorted(sheet.track[slices][by_track], np.arange(len(sheet.tracks) + 1)).tolist()
        for track, first, last in zip(sheet.tracks, bounds, bounds[1:]):
            if sheet.rank >= 0 and not track.operators:
                self.left_out += (last - first) // 2
                continue
            name = f"{sheet.label}, {track.name}" if sheet.rank >= 0 else track.name
            self._profile(name, sheet, slices[by_track[first:last]], ends[by_track[first:last]])
            yield last // 2

    def _profile(self, name: str, sheet: Sheet, slices: Array, ends: Array) -> None:
        time = np.where(ends, sheet.end_ns[slices], sheet.start_ns[slices])
        first, last = (int(time[0]), int(time[-1])) if len(time) else (0, 0)
        self._out.write("," if self._profiles else "")
        self._out.write(
            f'\n{{"type":"evented","name":{json_text(name)},"unit":"nanoseconds","startValue":{first},'
            f'"endValue":{last},"events":['
        )
        self._profiles += 1
        for at in range(0, len(slices), ROWS):
            some = slice(at, at + ROWS)
            frames = self._numbered(sheet.source[slices[some]], sheet.row[slices[some]])
            rows = zip(ends[some].tolist(), frames.tolist(), time[some].tolist())
            lines = [_EVENT % ("C" if end else "O", frame, moment) for end, frame, moment in rows]
            self._out.write((",\n" if at else "\n") + ",\n".join(lines))
        self._out.write("\n]}")

    def _numbered(self, source: Array, row: Array) -> Array:
        """The frame of each slice. Frames are numbered as they come, one for each name of a table."""
        frames = np.zeros(len(row), dtype=np.int64)
        for kind, name in self._names.items():
            at = np.flatnonzero(source == kind)
            codes, _ = name.of(row[at])
            numbers = self._numbers[kind]
            for code in (new := np.unique(codes)[numbers[np.unique(codes)] < 0]).tolist():
                self._frames.append((kind, code))
            numbers[new] = len(self._frames) - len(new) + np.arange(len(new))
            frames[at] = numbers[codes]
        return frames

    def frames(self) -> None:
        """Write the frames that the profiles name."""
        for at in range(0, len(self._frames), ROWS):
            texts = (self._names[kind].texts[code] for kind, code in self._frames[at : at + ROWS])  # type: ignore[index]
            lines = [f'{{"name":{json_text(str(text))}}}' for text in texts]
            self._out.write((",\n" if at else "\n") + ",\n".join(lines))
