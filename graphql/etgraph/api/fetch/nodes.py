"""Nodes by their ids: of traces their own, of everything else made of what names it."""

from __future__ import annotations

from typing import Any, Final

from etgraph.api.context import Context
from etgraph.api.fetch import catalogue, jobs, rows, standing
from etgraph.api.fetch.tokens import node_id, node_of
from etgraph.model.errors import NotFound
from etgraph.store.references import ID
from etgraph.store.rows import ROW

TABLES_OF: Final = {
    "Operator": "operators", "Lane": "lanes", "Collective": "collectives", "ProcessGroup": "process_groups",
}  # fmt: skip
"""The table that the nodes of a type are rows of."""


def row_id(kind: str, row: Any) -> str:
    """The id of a row's node. It holds for one revision of the trace."""
    return node_id(kind, row.trace.id, row.trace.revision, row.values[ROW])


def node(context: Context, text: str) -> Any:
    """What an id means. Raises NotFound where there is none, or none any more."""
    kind, parts = node_of(text)
    if kind == "Trace":
        return catalogue.trace(context, parts[0])
    if kind == "Job":
        return jobs.job(context, parts[0])
    if kind == "Alert":
        return standing.alert(context, parts[0])
    if kind == "Workload" and isinstance(parts[0], str):
        if (found := catalogue.workload(context, parts[0])) is not None:
            return found
    elif kind in TABLES_OF and len(parts) == 3:
        return _row(context, TABLES_OF[kind], *parts)
    raise NotFound(f"no node {text[:20]!r}")


def _row(context: Context, table: str, trace_id: Any, revision: Any, row: Any) -> Any:
    if isinstance(trace_id, str) and ID.fullmatch(trace_id) and type(row) is int:
        trace = catalogue.trace(context, trace_id).value
        found = rows.at(context, table, [(trace, row)]) if trace.revision == revision else {}
        if (trace_id, row) in found:
            return found[trace_id, row]
    raise NotFound("that node is not there, or not any more", hint="ids hold for one revision of a trace")


__all__ = ["TABLES_OF", "node", "row_id"]
