"""Node-link JSON, which `networkx.node_link_graph` reads as a MultiDiGraph."""

from __future__ import annotations

from typing import Final

from etgraph.ingest.writers.output import Target, Written, file_output, name_of
from etgraph.ingest.writers.rows import JSON, Lanes, Rows, blocks, facts, json_text, key_lists, keys
from etgraph.model import Trace
from etgraph.model.progress import Progress, silent

_BETWEEN: Final = ",\n"


def write_networkx(trace: Trace, target: Target, progress: Progress | None = None) -> Written:
    """Write a trace as node-link JSON: a node is [rank, index], the key of an edge is its row among the dependencies.

    Nodes carry their columns (`parent` as [rank, index], `lane_label` in words), edges kind, inferred, method and
    confidence, the graph the trace's id, revision, metadata, and the tables that nodes refer to by row. Nulls are left
    out. Raises ExportError where the target cannot be written.
    """
    progress = progress or silent
    total = len(trace) + len(trace.dependencies)
    with file_output(target) as out:
        out.write('{"directed":true,"multigraph":true,"graph":{"trace":' + json_text(trace.trace_id))
        out.write(f',"revision":{trace.revision}')
        for name, parts in facts(trace):
            out.write(f',\n"{name}":')
            for part in parts:
                out.write(part)
        out.write('},\n"nodes":[\n')
        nodes = Rows(JSON, skip=("attrs",))
        lanes = Lanes(trace, nodes)
        for first, block in blocks(trace.operators):
            progress("writing operators", first, total)
            pair = (block["rank"].tolist(), block["index"].tolist())
            lines = nodes.lines(
                block,
                ('{"id":[%s,%s]', "}"),
                pair,
                {"parent": keys(trace, block["parent"], "[%s,%s]")},
                {"lane_label": lanes(block["lane"])},
            )
            out.write((_BETWEEN if first else "") + _BETWEEN.join(lines))
        out.write('\n],\n"edges":[\n')
        edges = Rows(JSON, skip=("src", "dst"))
        for first, block in blocks(trace.dependencies):
            progress("writing dependencies", len(trace) + first, total)
            ends = (*key_lists(trace, block["src"]), *key_lists(trace, block["dst"]))
            lines = edges.lines(
                block,
                ('{"source":[%s,%s],"target":[%s,%s],"key":%s', "}"),
                (*ends, list(range(first, first + len(block)))),
            )
            out.write((_BETWEEN if first else "") + _BETWEEN.join(lines))
        out.write("\n]}\n")
    progress("done", total, total)
    return Written("networkx", name_of(target), len(trace), len(trace.dependencies), out.bytes)
