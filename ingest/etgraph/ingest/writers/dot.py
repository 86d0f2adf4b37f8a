"""DOT, which Graphviz draws: a cluster for each rank and lane, and a style for each kind of dependency."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import numpy as np

from etgraph.ingest.writers.output import Sink, Target, Written, file_output, name_of
from etgraph.ingest.writers.rows import NOT_XML, ROWS, Lanes, Rows, Syntax, blocks, keys, metadata_json
from etgraph.model import DependencyKind, Trace
from etgraph.model.columns import Array
from etgraph.model.progress import Progress, silent

_KEY: Final = '"%s:%s"'
_WINDOW: Final = 1 << 15
"""Rows that are searched at once for those of a lane."""
_ENTITY: Final = re.compile(r"&(?=#?\w+;)")
"""Where Graphviz would read an HTML entity."""
STYLES: Final = {
    DependencyKind.CTRL: 'color="gray30"',
    DependencyKind.DATA: 'color="blue3"',
    DependencyKind.CALL: 'color="gray60",style="dotted"',
    DependencyKind.THREAD: 'color="gray30"',
    DependencyKind.LAUNCH: 'color="darkorange2",style="dashed"',
    DependencyKind.STREAM: 'color="forestgreen"',
    DependencyKind.EVENT: 'color="purple3",style="dashed"',
    DependencyKind.SYNC: 'color="red3",style="dashed"',
    DependencyKind.SPAWN: 'color="cyan4",style="dashed"',
    DependencyKind.JOIN: 'color="cyan4"',
    DependencyKind.OCCUPANCY: 'color="goldenrod3",style="dotted",constraint="false"',
    DependencyKind.COMM: 'color="magenta3",style="bold"',
    DependencyKind.COLLECTIVE: 'color="magenta3",style="bold"',
}
"""How an edge is drawn, by its kind."""
_RENAMED: Final = {"group": "process_group"}
"""`group` would make Graphviz put nodes in line."""


def quoted(text: str) -> str:
    r"""A text in quotes as Graphviz' escape string.

    >>> print(quoted('a "b"\\c'))
    "a \"b\"\\c"
    """
    if "\\" in text:
        text = text.replace("\\", "\\\\")
    if '"' in text:
        text = text.replace('"', '\\"')
    if "\n" in text:
        text = text.replace("\n", "\\n")
    if "&" in text:
        text = _ENTITY.sub("&amp;", text)
    return f'"{text}"'


def _around(name: str) -> tuple[str, str]:
    return f",{_RENAMED.get(name, name)}=", ""


_DOT: Final = Syntax(quoted, lambda value: f'"{value!r}"', _around, NOT_XML)


def write_dot(trace: Trace, target: Target, progress: Progress | None = None) -> Written:
    """Write a trace in DOT: a node is "rank:index", labelled with its name, in the cluster of its lane and rank.

    Values are attributes named as their columns (`group` as `process_group`, `parent` as a node), texts are escape
    strings of Graphviz. Characters that no drawing can hold are replaced by U+FFFD and counted. Raises ExportError
    where the target cannot be written.
    """
    progress = progress or silent
    total = len(trace) + len(trace.dependencies)
    nodes, edges = Rows(_DOT, skip=("attrs", "name")), Rows(_DOT, skip=("src", "dst"))
    with file_output(target) as out:
        out.write("digraph trace {\n  rankdir=LR\n  node [shape=box]\n")
        out.write(f"  trace={quoted(trace.trace_id)}\n  metadata={quoted(metadata_json(trace))}\n")
        _write_clusters(trace, nodes, out, progress, total)
        styles = {int(kind): "," + style for kind, style in STYLES.items()}
        for first, block in blocks(trace.dependencies):
            progress("writing dependencies", len(trace) + first, total)
            source, sink = (keys(trace, block[end], _KEY) for end in ("src", "dst"))
            drawn = [styles.get(kind, "") for kind in block["kind"].tolist()]
            ends = (source, sink, list(range(first, first + len(block))), drawn)
            out.write("".join(edges.lines(block, ("  %s -> %s [key=%s%s", "]\n"), ends)))
        out.write("}\n")
    progress("done", total, total)
    replaced = nodes.replaced + edges.replaced
    return Written("dot", name_of(target), len(trace), len(trace.dependencies), out.bytes, replaced)


def _write_clusters(trace: Trace, nodes: Rows, out: Sink, progress: Progress, total: int) -> None:
    lanes, done = Lanes(trace, nodes), 0
    names = Rows(_DOT)
    for number, (rank, rows) in enumerate(_ranks(trace)):
        out.write(f'  subgraph "cluster_{number}" {{\n    label="rank {rank}"\n')
        for lane in _lanes(trace, rows):
            if lane >= 0:
                (label,) = lanes(np.array([lane]))
                out.write(f'    subgraph "cluster_{number}_{lane}" {{\n    label={label}\n')
            for chosen in _rows_of(trace, rows, lane):
                progress("writing operators", done, total)
                block = trace.operators.take(chosen)
                lines = nodes.lines(
                    block,
                    ("    " + _KEY + " [label=%s", "]\n"),
                    (block["rank"].tolist(), block["index"].tolist(), names.column(block, "name")),
                    {"parent": keys(trace, block["parent"], _KEY)},
                )
                out.write("".join(lines))
                done += len(block)
            if lane >= 0:
                out.write("    }\n")
        out.write("  }\n")
    nodes.replaced += names.replaced


def _ranks(trace: Trace) -> Iterator[tuple[int, slice]]:
    """Each rank and its rows."""
    ranks, first = trace.operators["rank"], 0
    while first < len(ranks):
        # A bound of the column's own type: with another one all of the column would be converted.
        last = int(np.searchsorted(ranks, ranks[first], side="right"))
        yield int(ranks[first]), slice(first, last)
        first = last


def _lanes(trace: Trace, rows: slice) -> list[int]:
    """Lanes on which these rows ran, ascending; -1 first where some have none."""
    lane = trace.operators["lane"]
    found: set[int] = set()
    for first in range(rows.start, rows.stop, _WINDOW):
        found.update(np.unique(lane[first : min(first + _WINDOW, rows.stop)]).tolist())
    return sorted(found)


def _rows_of(trace: Trace, rows: slice, lane: int) -> Iterator[Array]:
    """The rows of one lane, some at a time."""
    lanes = trace.operators["lane"]
    for first in range(rows.start, rows.stop, _WINDOW):
        found = first + np.flatnonzero(lanes[first : min(first + _WINDOW, rows.stop)] == lane)
        for start in range(0, len(found), ROWS):
            yield found[start : start + ROWS]
