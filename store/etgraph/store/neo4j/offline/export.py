"""A whole fleet at once: traces as files for `neo4j-admin database import`, which fills a database that is offline.

What it makes is the graph that publishing makes, of a store in which nothing is indexed yet: format 0, which the first
change brings to today's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from etgraph.model import Trace
from etgraph.model.errors import UsageError
from etgraph.model.progress import Progress, silent
from etgraph.model.property_graph import NODES, Values
from etgraph.store.clock import now
from etgraph.store.neo4j.description import label_properties, source_properties, trace_properties
from etgraph.store.neo4j.graph.schema import (
    BOOLEAN,
    FLOAT,
    GRAPH_RELATIONSHIPS,
    INTEGER,
    INTEGERS,
    STRING,
    Property,
    node_of,
)
from etgraph.store.neo4j.migrations import FORMAT, MIGRATIONS, ROOT
from etgraph.store.neo4j.offline.files import ImportFiles
from etgraph.store.neo4j.writing.batches import RELATIONSHIPS, Batches, Unit, units_of
from etgraph.store.neo4j_server.importing import ARGUMENTS
from etgraph.store.protocol import TraceInfo
from etgraph.store.references import check_publication

SCRIPT: Final = "import.sh"
SCHEMA: Final = "schema.cypher"

ROWS: Final = 1 << 13
"""Rows of a table that are in memory as cells at one time."""
DEPENDENCIES: Final = 1 << 16
"""Dependencies that are."""
NOT_IN_HEADER: Final = "{}()"
"""Characters by which the tool would take a property's name for less than it is."""

TYPES: Final = MappingProxyType(
    {INTEGER: "long", FLOAT: "double", BOOLEAN: "boolean", STRING: "string", INTEGERS: "long[]"}
)
"""The tool's names of the types of properties."""


@dataclass(frozen=True, slots=True)
class Exported:
    """What a folder of files for the import holds."""

    traces: int
    operators: int
    dependencies: int
    nodes: int
    relationships: int
    bytes: int


def write_import(
    folder: Path, traces: Iterable[Trace], entries: Sequence[TraceInfo] = (), progress: Progress | None = None
) -> Exported:
    """Write traces, and the catalogue that names them, to an empty folder: CSV files and what the import is told.

    Each trace is asked for when the one before it is written, and written by blocks; a second one of the same id is
    left out. `entries`, oldest first, are what the catalogue says of them; a trace that none is of has no workload.
    Raises UsageError for a trace or an entry that could not be published, or that the import has no way to tell.
    """
    progress = progress or silent
    _check(entries)
    loads: dict[str, int] = {}
    operators = dependencies = 0
    with ImportFiles(folder) as files:
        for trace in traces:
            check_publication(trace.trace_id, None, {}, {})
            if trace.trace_id in loads:
                continue
            loads[trace.trace_id] = load = len(loads) + 1
            _write_trace(files, trace, load, progress)
            operators += len(trace)
            dependencies += len(trace.dependencies)
        _write_catalogue(files, loads, entries)
    (folder / ARGUMENTS).write_text("".join(f"{line}\n" for line in files.arguments()), "utf-8")
    (folder / SCHEMA).write_text(_schema(), "utf-8")
    (folder / SCRIPT).write_text(_SCRIPT, "utf-8")
    (folder / SCRIPT).chmod(0o755)
    size = sum(path.stat().st_size for path in folder.iterdir())
    return Exported(len(loads), operators, dependencies, files.nodes_written, files.relationships_written, size)


def prepare(url: str) -> None:
    """Make the constraints and indexes of a store that was imported."""
    from etgraph.store.neo4j.address import parse
    from etgraph.store.neo4j.connection import Connection
    from etgraph.store.neo4j.migrations import migrate

    connection = Connection(parse(url))
    try:
        migrate(connection)
    finally:
        connection.close()


# One trace


def fields_of(declared: Iterable[Property]) -> dict[str, str]:
    """Properties, and the type that most values of each have."""
    return {held.name: TYPES[held.types[0]] for held in declared}


def _fields(type: str) -> dict[str, str]:
    return fields_of(next(r for r in GRAPH_RELATIONSHIPS if r.type == type).properties)


def _nodes(files: ImportFiles, label: str, ids: Sequence[int], values: Mapping[str, Values]) -> None:
    files.nodes(label, ids, fields_of(node_of(label).properties), values)


def _write_trace(files: ImportFiles, trace: Trace, load: int, progress: Progress) -> None:
    batches = Batches(trace, load)
    base, ranks = batches.base, batches.ranks
    total = sum(len(trace.tables[name]) for name in NODES) + len(trace.dependencies)
    properties = trace_properties(trace) | {"state": "ready"}
    sources = [source_properties(source) for source in trace.metadata.sources]
    keys = range(base, base + max(len(ranks), len(sources)))
    _nodes(files, "Trace", [load], _values([properties]))
    _nodes(files, "Source", keys[: len(sources)], _values(sources))
    files.relationships("Trace", "READ_FROM", "Source", ([load] * len(sources), keys[: len(sources)]))
    _nodes(files, "Rank", keys[: len(ranks)], {"rank": Values(ranks.tolist())})
    files.relationships("Trace", "HAS_RANK", "Rank", ([load] * len(ranks), keys[: len(ranks)]))
    done = 0
    for name, table in NODES.items():
        for unit in units_of(name, 0, len(trace.tables[name]), ROWS):
            progress(f"trace {load}: writing {name.replace('_', ' ')}", done + unit.first, total)
            values = dict(batches.properties(unit))
            _nodes(files, table.label, values.pop("key").values, values)
            _write_references(files, batches, unit)
        done += len(trace.tables[name])
    for first in range(0, len(trace.dependencies), DEPENDENCIES):
        progress(f"trace {load}: writing dependencies", done + first, total)
        _write_dependencies(files, trace, base, slice(first, min(first + DEPENDENCIES, len(trace.dependencies))))
    progress(f"trace {load}: done", total, total)


def _write_references(files: ImportFiles, batches: Batches, unit: Unit) -> None:
    """The relationships of a unit's nodes to their owner and to what their columns refer to."""
    label = NODES[unit.table].label
    keys = np.arange(batches.base + unit.first, batches.base + unit.last)
    for ends in batches.ends(unit):
        known = ends.keys >= 0
        if ends.owner:
            files.relationships(ends.label, ends.relationship, label, (ends.keys[known], keys[known]))
        else:
            files.relationships(label, ends.relationship, ends.label, (keys[known], ends.keys[known]))


def _write_dependencies(files: ImportFiles, trace: Trace, base: int, rows: slice) -> None:
    d = trace.dependencies
    kinds = d["kind"][rows]
    texts = d.texts("method").to_pylist()
    for kind, type in RELATIONSHIPS.items():
        at = rows.start + np.flatnonzero(kinds == kind)
        ends = base + d["src"][at].astype(np.int64), base + d["dst"][at].astype(np.int64)
        values = {
            "order": Values(at.tolist()),
            "method": Values(d["method"][at].tolist(), texts),
            "inferred": Values(d["inferred"][at].tolist()),
            "confidence": Values(d["confidence"][at].astype(np.float64).tolist()),
        }
        files.relationships("Operator", type, "Operator", ends, _fields(type), values)


# The catalogue


def _check(entries: Sequence[TraceInfo]) -> None:
    for entry in entries:
        details = {"team": entry.team, "commit": entry.commit, "branch": entry.branch}
        check_publication(entry.id, entry.workload, details, entry.labels)
        for key in entry.labels:
            wrong = next((c for c in key if c in NOT_IN_HEADER), None)
            if wrong is not None:
                raise UsageError(
                    f"trace {entry.id[:12]}, label {key!r}: found {wrong!r}, expected none of "
                    f"{' '.join(NOT_IN_HEADER)}, which neo4j-admin does not take in a name",
                    hint="publish this trace to the running server instead, or give it another label",
                )


def _write_catalogue(files: ImportFiles, loads: Mapping[str, int], entries: Sequence[TraceInfo]) -> None:
    """The `Store` node, and the workloads, teams and tags of the entries."""
    entered = [entry for entry in entries if entry.id in loads]
    named = {entry.id for entry in entered}
    entered += [TraceInfo(id=trace_id, revision=0) for trace_id in loads if trace_id not in named]
    store = {"name": ROOT, "format": 0, "changes": len(entered), "loads": len(loads)}
    _nodes(files, "Store", [1], _values([store]))

    workloads = _numbers(entry.workload for entry in entered if entry.workload is not None)
    teams = _numbers(entry.team for entry in entered if entry.workload is not None and entry.team is not None)
    tags = _numbers((entry.workload, tag, loads[entry.id]) for entry in entered for tag in entry.tags)
    for label, names in (("Workload", workloads), ("Team", teams)):
        _nodes(files, label, list(names.values()), {"name": Values(list(names))})
    owned = list(dict.fromkeys((teams[e.team], workloads[e.workload]) for e in entered if e.team and e.workload))
    files.relationships("Team", "OWNS", "Workload", ([a for a, _ in owned], [b for _, b in owned]))

    _nodes(files, "Tag", list(tags.values()), _values([{"workload": w, "name": name} for w, name, _ in tags]))
    files.relationships("Workload", "HAS_TAG", "Tag", ([workloads[w] for w, _, _ in tags], list(tags.values())))
    files.relationships("Tag", "NAMES", "Trace", (list(tags.values()), [load for _, _, load in tags]))

    moment = now()
    labels = sorted({key for entry in entered for key in label_properties(entry.labels)})
    fields = _fields("HAS_TRACE") | dict.fromkeys(labels, "string")
    rows: dict[str, list[tuple[int, int, dict[str, Any]]]] = {"Store": [], "Workload": []}
    for order, e in enumerate(entered, start=1):
        row = {"created": e.created or moment, "order": order, "team": e.team, "commit": e.commit, "branch": e.branch}
        owner = ("Store", 1) if e.workload is None else ("Workload", workloads[e.workload])
        rows[owner[0]].append((owner[1], loads[e.id], row | label_properties(e.labels)))
    for label, listed in rows.items():
        ends = [owner for owner, _, _ in listed], [load for _, load, _ in listed]
        files.relationships(label, "HAS_TRACE", "Trace", ends, fields, _values([row for _, _, row in listed]))


def _numbers(names: Iterable[Any]) -> dict[Any, int]:
    """Each name once, numbered."""
    return {name: number for number, name in enumerate(dict.fromkeys(names), start=1)}


def _values(rows: Sequence[Mapping[str, Any]]) -> dict[str, Values]:
    """Rows as columns."""
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: Values([row.get(name) for row in rows]) for name in names}


# What stands beside the files


def _schema() -> str:
    statements = [index.statement for migration in MIGRATIONS for index in migration]
    statements.append("CALL db.awaitIndexes(300)")
    statements.append(f"MATCH (s:Store {{name: '{ROOT}'}}) SET s.format = {FORMAT}")
    return (
        "// What etgraph finds traces by. It makes this itself when it first changes something in the store.\n"
        + "".join(f"{statement};\n" for statement in statements)
    )


_SCRIPT: Final = f"""\
#!/bin/sh
# Imports the traces of this folder into an empty database of a Neo4j server, 5.26 or newer, which must not run.
#
#   sh {SCRIPT} [DATABASE [OPTION...]]
#
# DATABASE is neo4j unless another one is named; --overwrite-destination replaces one that is not empty. The tool is the
# one that NEO4J_ADMIN names, else neo4j-admin on PATH; run it as the user as whom the server runs.
#
# For the server of 'etgraph neo4j start': etgraph neo4j import FOLDER
set -eu
database=${{1:-neo4j}}
[ $# -eq 0 ] || shift
report=$PWD/import.report
cd "$(dirname "$0")"
"${{NEO4J_ADMIN:-neo4j-admin}}" database import full "$database" --report-file="$report" "$@" @{ARGUMENTS}
echo "Imported. Start the server, then make the indexes: cypher-shell -d $database -f $PWD/{SCHEMA}"
"""
