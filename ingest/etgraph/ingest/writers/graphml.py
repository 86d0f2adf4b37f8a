"""GraphML, for Gephi, Cytoscape, yEd, igraph and networkx."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from typing import Final

from etgraph.ingest.writers.output import Sink, Target, Written, file_output, name_of
from etgraph.ingest.writers.rows import APART, NOT_XML, Lanes, Rows, Syntax, blocks, facts, keys
from etgraph.model import TABLES, Trace
from etgraph.model.progress import Progress, silent
from etgraph.model.schema import Column

_HEAD: Final = """<?xml version="1.0" encoding="UTF-8"?>
<graphml xmlns="http://graphml.graphdrawing.org/xmlns" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" \
xsi:schemaLocation="http://graphml.graphdrawing.org/xmlns http://graphml.graphdrawing.org/xmlns/1.0/graphml.xsd">
"""
_KEY: Final = "%s:%s"
"""Rank and index as the id of a node: a name token of XML that no reader takes for a number."""
_TYPES: Final = {"bool": "boolean", "int8": "int", "int32": "int", "row": "int", "int64": "long", "float32": "double",
                 "float64": "double"}  # fmt: skip
"""GraphML's types are Java's. Text, enumerations and unsigned 64-bit numbers, which Java lacks, are strings."""
_ESCAPES: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"}
"""A carriage return that is not escaped would be read as a line feed."""


def escaped(text: str) -> str:
    """A text as content of an XML element."""
    for character, entity in _ESCAPES.items():
        if character in text:
            text = text.replace(character, entity)
    return text


def _real(value: float) -> str:
    return repr(value) if abs(value) != float("inf") else ("INF" if value > 0 else "-INF")


def _data(scope: str, name: str) -> tuple[str, str]:
    return f'<data key="{scope}_{name}">', "</data>"


def _syntax(scope: str) -> Syntax:
    return Syntax(escaped, _real, partial(_data, scope), NOT_XML)


def write_graphml(trace: Trace, target: Target, progress: Progress | None = None) -> Written:
    """Write a trace as GraphML: a node's id is `rank:index`, an edge's id its row among the dependencies.

    Nodes, edges and graph carry what `write_networkx` gives them; `parent` is the id of a node, the graph's metadata
    and tables are JSON text. Characters that XML cannot hold are replaced by U+FFFD and counted. Raises ExportError
    where the target cannot be written.
    """
    progress = progress or silent
    total = len(trace) + len(trace.dependencies)
    nodes, edges = Rows(_syntax("node"), skip=("attrs",)), Rows(_syntax("edge"), skip=("src", "dst"))
    with file_output(target) as out:
        out.write(_HEAD)
        for line in _declarations(trace):
            out.write(line)
        out.write(
            f'<graph edgedefault="directed" parse.nodes="{len(trace)}" parse.edges="{len(trace.dependencies)}" '
            'parse.order="nodesfirst">\n'
        )
        _write_facts(trace, out)
        lanes = Lanes(trace, nodes)
        for first, block in blocks(trace.operators):
            progress("writing operators", first, total)
            lines = nodes.lines(
                block,
                ('<node id="%s:%s">', "</node>\n"),
                (block["rank"].tolist(), block["index"].tolist()),
                {"parent": keys(trace, block["parent"], _KEY)},
                {"lane_label": lanes(block["lane"])},
            )
            out.write("".join(lines))
        for first, block in blocks(trace.dependencies):
            progress("writing dependencies", len(trace) + first, total)
            source, sink = (keys(trace, block[end], _KEY) for end in ("src", "dst"))
            ends = (list(range(first, first + len(block))), source, sink)
            out.write("".join(edges.lines(block, ('<edge id="%s" source="%s" target="%s">', "</edge>\n"), ends)))
        out.write("</graph>\n</graphml>\n")
    progress("done", total, total)
    replaced = nodes.replaced + edges.replaced
    return Written("graphml", name_of(target), len(trace), len(trace.dependencies), out.bytes, replaced)


def _declarations(trace: Trace) -> Iterator[str]:
    """The key of every value: of the graph, of the columns that have values, of lanes in words."""

    def key(scope: str, name: str, type: str) -> str:
        return f'<key id="{scope}_{name}" for="{scope}" attr.name="{name}" attr.type="{type}"/>\n'

    yield key("graph", "trace", "string")
    yield key("graph", "revision", "int")
    yield key("graph", "metadata", "string")
    for name in TABLES:
        if name not in APART:
            yield key("graph", name, "string")
    for scope, columns, skip in (("node", trace.operators, ("attrs",)), ("edge", trace.dependencies, ("src", "dst"))):
        for column in columns.table.columns:
            if column.name in columns.filled and column.name not in skip:
                yield key(scope, column.name, _type(column))
    yield key("node", "lane_label", "string")


def _type(column: Column) -> str:
    if column.values is not None or column.name == "parent":
        return "string"
    return _TYPES.get(column.type, "string")


def _write_facts(trace: Trace, out: Sink) -> None:
    for name, text in (("trace", escaped(trace.trace_id)), ("revision", str(trace.revision))):
        out.write(text.join(_data("graph", name)) + "\n")
    for name, parts in facts(trace):
        before, after = _data("graph", name)
        out.write(before)
        for part in parts:
            # JSON has an escape for every character, also for those that XML lacks.
            out.write(escaped(NOT_XML.sub(_json_escape, part)))
        out.write(after + "\n")


def _json_escape(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0]):04x}"
