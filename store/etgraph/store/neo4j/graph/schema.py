"""The graph in the database, declared once: its nodes, relationships and their properties.

What comes out of a trace's tables follows from `etgraph.model.schema`; the catalogue, what describes a trace as a
whole, and what is computed from it are declared here. The documentation and the py2neo adapter are made of this.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

from etgraph.model.property_graph import NODES, RELATIONSHIPS_OF_DEPENDENCIES, NodeTable
from etgraph.model.schema import DEPENDENCIES, Column, DependencyKind, DependencyMeaning
from etgraph.store.neo4j.writing.batches import RELATIONSHIPS as DEPENDENCY_TYPES

INTEGER: Final = "INTEGER"
FLOAT: Final = "FLOAT"
BOOLEAN: Final = "BOOLEAN"
STRING: Final = "STRING"
BYTES: Final = "BYTES"
INTEGERS: Final = "LIST<INTEGER>"
STRINGS: Final = "LIST<STRING>"


class Part(enum.Enum):
    """Which part of the graph a node belongs to, and the name of that part."""

    CATALOGUE = "catalogue"
    TRACE = "one trace as a whole"
    EXECUTION = "what ran, and where"
    COMMUNICATION = "communication"
    COMPUTED = "computed from a trace"
    SERVICE = "the store's own affairs"


@dataclass(frozen=True, slots=True)
class Property:
    """A property: its name, its Cypher types, what it says. `optional` where a node or relationship may lack it."""

    name: str
    types: tuple[str, ...]
    meaning: str
    unit: str = ""
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Node:
    """A label and the properties of its nodes; `more` says what further properties they may have.

    With `base`, the nodes also have that label, and its properties.
    """

    label: str
    part: Part
    meaning: str
    properties: tuple[Property, ...]
    more: str = ""
    base: str = ""


@dataclass(frozen=True, slots=True)
class Relationship:
    """A type of relationship from nodes of one label to nodes of another.

    `more` says what further properties it may have; `kind` is the dependency that it stands for, if it is one.
    """

    source: str
    type: str
    target: str
    meaning: str
    properties: tuple[Property, ...] = ()
    more: str = ""
    kind: DependencyKind | None = None

    @property
    def dependency(self) -> DependencyMeaning | None:
        """What the schema says of the dependency that it stands for."""
        return None if self.kind is None else DEPENDENCIES[self.kind]


def _property(name: str, types: str, meaning: str, unit: str = "", *, optional: bool = False) -> Property:
    return Property(name, tuple(types.split("|")), meaning, unit, optional)


_KEY: Final = _property("key", INTEGER, "number of the load, shifted left by 31 bits, plus the row")

_CLAIM: Final = (
    _property("owner", STRING, "process that writes it; only in state `loading`", optional=True),
    _property("seen", INTEGER, "when the owner was last heard; only in state `loading`", "ms", optional=True),
)  # fmt: skip

_CATALOGUE: Final = (
    Node(
        "Team", Part.CATALOGUE, "a team that has published traces",
        (_property("name", STRING, "name of the team"),),
    ),
    Node(
        "Workload", Part.CATALOGUE, "a named program whose runs are traced again and again",
        (_property("name", STRING, "name of the workload"),),
    ),
    Node(
        "Tag", Part.CATALOGUE, "a name for one of a workload's traces, as in `workload@tag`",
        (
            _property("workload", STRING, "name of the workload that has the tag"),
            _property("name", STRING, "name of the tag"),
        ),
    ),
)  # fmt: skip

_TRACE: Final = (
    Node(
        "Trace", Part.TRACE, "one run: the files of all its ranks, read together",
        (
            _property("key", INTEGER, "number of the load that wrote it; no two traces of a database share one"),
            _property("id", STRING, "the trace's id: a hash of the files' content and of how they were read"),
            _property("state", STRING, "`ready`, `loading` or `deleting`; ask for `ready`"),
            _property("revision", INTEGER, "version of the pipeline that made the graph"),
            _property("ranks", INTEGERS, "ranks that have operators, ascending", optional=True),
            _property("operators", INTEGER, "number of operators"),
            _property("collectives", INTEGER, "number of collectives"),
            _property("dependencies", STRING, "number of dependencies by kind, as a JSON object"),
            _property("iterations", STRING, "iterations over all ranks, as a JSON list"),
            _property("spanNs", INTEGER, "time from the first start to the last end", "ns"),
            _property("worldSize", INTEGER, "number of ranks of the run, traced or not", optional=True),
            _property("deviceModel", STRING, "name of the devices", optional=True),
            _property("startTime", STRING, "moment at which the run began, as recorded", optional=True),
            _property("zeroNs", INTEGER, "the trace's zero in the recorded clock", "ns", optional=True),
            _property("timeline", STRING, "`measured`, or the simulation or edit that the times come from"),
            _property("clockOffsetsNs", STRING, "what was added to each rank's times, as a JSON object", "ns"),
            _property("options", STRING, "options with which the files were read, as a JSON object"),
            _property("report", STRING, "how the files became a graph, as a JSON object"),
            _property("attributeRows", INTEGERS, "rows of attributes in each file of them", optional=True),
            _property("bytes", INTEGER, "size of the columns in memory", "B"),
            _property("artefacts", INTEGER, "artefacts written so far, deleted ones included", optional=True),
            _property("artefactRows", INTEGER, "rows of artefacts written so far", optional=True),
            *_CLAIM,
        ),
    ),
    Node(
        "Source", Part.TRACE, "a file that the trace was read from",
        (
            _KEY,
            _property("name", f"{STRING}|{BYTES}", "name of the file; bytes where it is no Unicode"),
            _property("format", STRING, "format of the file"),
            _property("rank", INTEGER, "rank that the file belongs to"),
            _property("bytes", INTEGER, "size of the decompressed content", "B"),
            _property("sha256", STRING, "checksum of the decompressed content"),
            _property("rankFrom", STRING, "how the rank was told; empty where nothing is said"),
            _property("document", STRING, "the file's own metadata, as a JSON object", optional=True),
        ),
    ),
    Node(
        "Rank", Part.TRACE, "a process of the run that has rows of its own",
        (_KEY, _property("rank", INTEGER, "number of the process within the run")),
    ),
)  # fmt: skip

# The pauses of a path are lists on its node, one for each property that a segment without operator may have.
_SEGMENT: Final = (
    _property("lane", STRING, "thread or stream", optional=True),
    _property("category", STRING, "computation, communication, memory, cpu, launch or idle", optional=True),
    _property("detail", STRING, "what within the category", optional=True),
    _property("kind", STRING, "Chakra's node type; only on the path of the model", optional=True),
    _property("startNs", INTEGER, "where the segment begins, from the trace's zero", "ns"),
    _property("endNs", INTEGER, "where the segment ends, from the trace's zero", "ns"),
    _property("via", STRING, "kind of the dependency by which the path came here", optional=True),
    _property("source", STRING, "file:line of the user's code", optional=True),
)

_ARTEFACT: Final = (
    _property("key", INTEGER, "number of the load, shifted left by 31 bits, plus the number of the artefact"),
    _property("kind", STRING, "what was computed, such as `critical-path`"),
    _property("name", STRING, "with which choices it was computed; one table a kind and name is kept"),
    _property("created", STRING, "when it was kept, ISO 8601 in UTC"),
    _property("state", STRING, "`ready`, `loading` or `deleting`; ask for `ready`"),
    _property("rows", INTEGER, "rows of the table"),
    _property("firstRow", INTEGER, "key of its first row"),
    _property("bytes", INTEGER, "size of the table in memory", "B"),
    _property("schema", STRING, "the table's Arrow schema, serialised, in base64"),
    *_CLAIM,
    _property("written", INTEGER, "rows written so far; only in state `loading`", optional=True),
    _property("taken", BOOLEAN, "set for its lock; only in state `loading`", optional=True),
)

_COMPUTED: Final = (
    Node("Artefact", Part.COMPUTED, "a table computed from a trace and kept beside it", _ARTEFACT),
    Node(
        "ArtefactRow", Part.COMPUTED, "a row of an artefact that is no critical path and no simulation",
        (_property("key", INTEGER, "the artefact's `firstRow` plus the number of the row"),),
        more="one for each column of the table, under the column's name; lists and structures as JSON",
    ),
    Node(
        "CriticalPath", Part.COMPUTED, "an artefact that is a critical path",
        (
            _property("rank", INTEGER, "rank that the path is confined to; none: over all ranks", optional=True),
            _property("iteration", INTEGER, "iteration that it is the path of, if it is one", optional=True),
            _property("iterations", INTEGERS, "iterations that it is the path of; none: all", optional=True),
            _property("window", STRING, "what bounds an iteration: `annotation`, `device` or `launch`", optional=True),
            _property("simulation", STRING, "simulation that gave the times; none: measured", optional=True),
            _property("startNs", INTEGER, "start of the window, from the trace's zero", "ns", optional=True),
            _property("endNs", INTEGER, "end of the window, from the trace's zero", "ns", optional=True),
            _property("windowNs", INTEGER, "length of the window", "ns", optional=True),
            _property("lengthNs", INTEGER, "length of the path", "ns", optional=True),
            _property("pauseOrder", INTEGERS, "positions on the path of its segments without operator", optional=True),
            _property("pauseRank", INTEGERS, "of each pause: rank", optional=True),
            *(
                Property(
                    f"pause{p.name[0].upper()}{p.name[1:]}", tuple(f"LIST<{t}>" for t in p.types),
                    f"of each pause: {p.meaning}", p.unit, optional=True,
                )
                for p in _SEGMENT
                if p.name not in ("kind", "source")
            ),
        ),
        more="other facts that were given with the path",
        base="Artefact",
    ),
    Node(
        "Simulation", Part.COMPUTED, "an artefact that is a simulation: predicted times of every operator",
        (
            _property("id", STRING, "follows from its choices and times; the artefact's `name` too"),
            _property("simulator", STRING, "what made it"),
            _property("profile", STRING, "name of the profile that was simulated", optional=True),
            _property("makespanNs", INTEGER, "predicted time of the whole", "ns"),
            _property("measuredNs", INTEGER, "measured time of the same", "ns", optional=True),
            _property("error", FLOAT, "makespan / measured − 1", optional=True),
            _property("predicted", INTEGER, "operators with a predicted duration"),
            _property("extrapolated", INTEGER, "of these, those from a model outside of what it was fitted on"),
            _property("durationError", FLOAT, "median over operators of |predicted / measured − 1|", optional=True),
            _property("intervalShare", FLOAT, "share of the intervals that hold the measured duration", optional=True),
            _property("parameters", STRING, "choices that it was made with, as a JSON object"),
            _property("versions", STRING, "versions of etgraph and of the models, as a JSON object"),
        ),
        more="other facts that were given with the simulation",
        base="Artefact",
    ),
    Node(
        "HardwareProfile", Part.COMPUTED, "hardware that was simulated; simulations on the same share it",
        (
            _property("name", STRING, "name of the profile"),
            _property("content", STRING, "another one for each content of a profile of the name"),
            _property("device", STRING, "name of its device"),
            _property("vendor", STRING, "who makes the device"),
            _property("ranks", INTEGER, "devices that its network joins"),
        ),
    ),
)  # fmt: skip

_SERVICE: Final = (
    Node(
        "Store", Part.SERVICE, "the one node that every database has; owner of the traces without a workload",
        (
            _property("name", STRING, "`etgraph`"),
            _property("format", INTEGER, "format of the graph: how many of the migrations it has seen"),
            _property("changes", INTEGER, "changes of the catalogue so far"),
            _property("loads", INTEGER, "loads begun so far; a trace's `key` is one of these numbers"),
        ),
    ),
    Node(
        "Loader", Part.SERVICE, "a transaction in flight of a trace that is being written",
        (
            _KEY,
            _property("written", STRINGS, "table, first and last row of what it has written"),
            _property("taken", BOOLEAN, "set for its lock", optional=True),
        ),
    ),
    Node(
        "Record", Part.SERVICE, "what a server remembers beside traces: a token, a share, a job",
        (
            _property("key", STRING, "kind and name, with `/` between"),
            _property("kind", STRING, "what it is a record of"),
            _property("name", STRING, "its name among those of its kind"),
            _property("version", INTEGER, "how often it was written"),
            _property("document", STRING, "what it says, as JSON"),
            _property("created", STRING, "when it was first written, ISO 8601 in UTC"),
            _property("changed", STRING, "when it was last written, ISO 8601 in UTC"),
        ),
        more="`field.NAME` for each text at the top of its document, a STRING",
    ),
)  # fmt: skip

_ENTRY: Final = (
    _property("created", STRING, "when the trace came under the workload, ISO 8601 in UTC"),
    _property("order", INTEGER, "number of the change that entered it: the newest entry has the highest"),
    _property("team", STRING, "team that published it", optional=True),
    _property("commit", STRING, "commit of the traced program", optional=True),
    _property("branch", STRING, "branch of the traced program", optional=True),
)
_LABELS: Final = "`label.KEY` for each label, a STRING"

_RELATIONSHIPS: Final = (
    Relationship("Team", "OWNS", "Workload", "the team published a trace under the workload"),
    Relationship("Workload", "HAS_TRACE", "Trace", "an entry of the catalogue", _ENTRY, more=_LABELS),
    Relationship("Store", "HAS_TRACE", "Trace", "an entry without a workload", _ENTRY, more=_LABELS),
    Relationship("Workload", "HAS_TAG", "Tag", "the workload's tags"),
    Relationship("Tag", "NAMES", "Trace", "the trace that the tag names"),
    Relationship("Trace", "READ_FROM", "Source", "the trace's files"),
    Relationship("Trace", "HAS_RANK", "Rank", "the trace's ranks"),
    Relationship("Artefact", "OF", "Trace", "the trace that the table was computed from"),
    Relationship("Artefact", "HAS_ROW", "ArtefactRow", "the table's rows"),
    Relationship("CriticalPath", "OF", "Trace", "the trace that it is a path of"),
    Relationship(
        "CriticalPath", "PASSES", "Operator", "a segment of the path; it may pass an operator more than once",
        (_property("order", INTEGER, "position on the path, pauses counted"), *_SEGMENT),
    ),
    Relationship("Simulation", "OF", "Trace", "the trace whose operators it predicts"),
    Relationship("Simulation", "ON", "HardwareProfile", "the hardware that was simulated"),
    Relationship(
        "Simulation", "PREDICTS", "Operator", "predicted times of an operator",
        (
            _property("startNs", INTEGER, "predicted start, from the trace's zero", "ns", optional=True),
            _property("durationNs", INTEGER, "predicted duration; none: it never ran", "ns", optional=True),
            _property("durationLowNs", INTEGER, "lower end of the duration's 90 % interval", "ns", optional=True),
            _property("durationHighNs", INTEGER, "upper end of it", "ns", optional=True),
            _property("source", STRING, "which model the duration comes from", optional=True),
            _property("extrapolated", BOOLEAN, "whether that model was beyond what it was fitted on", optional=True),
        ),
    ),
    Relationship(
        "Simulation", "VALIDATED_BY", "Trace",
        "another trace of the workload, measured on the hardware that was simulated",
        (
            _property("created", STRING, "when it was scored, ISO 8601 in UTC"),
            _property("basis", STRING, "what is compared: `step`, the median one, or `span`", optional=True),
            _property("predictedNs", INTEGER, "predicted time of that", "ns", optional=True),
            _property("measuredNs", INTEGER, "measured time of that", "ns", optional=True),
            _property("error", FLOAT, "predicted / measured − 1", optional=True),
            _property("operators", INTEGER, "operators that could be compared"),
            _property("durationError", FLOAT, "median over these of |predicted / measured − 1|", optional=True),
            _property("intervalShare", FLOAT, "share of the intervals that hold the measured duration", optional=True),
            _property("onlyPredicted", INTEGER, "operators with a predicted duration and none to compare it with"),
            _property("onlyMeasured", INTEGER, "operators with a measured duration and none to compare it with"),
        ),
    ),
    Relationship("Loader", "FILLS", "Trace", "the trace that is being written"),
)  # fmt: skip

_PARTS: Final = {
    name: Part.COMMUNICATION if name in ("collectives", "process_groups") else Part.EXECUTION for name in NODES
}


def _types(column: Column) -> tuple[str, ...]:
    if column.values is not None:
        return (STRING, INTEGER)
    if column.type == "text":
        return (STRING,)
    if column.type == "uint64":
        return (INTEGER, STRING)
    return ({"bool": BOOLEAN, "float32": FLOAT, "float64": FLOAT}.get(column.type, INTEGER),)


def _of_column(column: Column) -> Property:
    meaning = column.meaning
    if column.type == "uint64":
        meaning += "; in decimal where it needs 64 bits"
    if column.values is not None:
        meaning += f" ([{column.values.__name__}](schema.md#values-of-enumerations))"
    return Property(column.neo4j, _types(column), meaning, column.unit, column.nullable)


def _of_table(name: str, table: NodeTable) -> Node:
    properties = [_KEY, *map(_of_column, table.properties)]
    if any(column.refers == "attributes" for column in table.table.columns):
        properties += [
            _property(
                "attrs", f"{STRING}|{BYTES}",
                "everything else that the source says, as JSON; bytes where it is no Unicode", optional=True,
            ),
            _property("attrsRow", INTEGER, "number of that text among the trace's attributes", optional=True),
        ]  # fmt: skip
    if name == "process_groups":
        properties.append(
            _property("ranks", INTEGERS, "global ranks of the members, in the group's order", optional=True)
        )
    return Node(table.label, _PARTS[name], table.table.meaning.split(";")[0], tuple(properties))


def _relationships_of_tables() -> list[Relationship]:
    found = []
    for name, table in NODES.items():
        owner = "Rank" if table.of_rank else "Trace"
        owned = name.replace("_", " ")
        found.append(Relationship(owner, table.table.owned, table.label, f"the {owner.lower()}'s {owned}"))
    for table in NODES.values():
        for column in table.references:
            found.append(Relationship(table.label, column.neo4j, NODES[column.refers].label, column.meaning))
    return found


def _dependencies() -> list[Relationship]:
    properties = (
        _property("order", INTEGER, "number of the dependency within the trace"),
        *map(_of_column, RELATIONSHIPS_OF_DEPENDENCIES),
    )
    operator = NODES["operators"].label
    return [
        Relationship(operator, type, operator, DEPENDENCIES[kind].meaning, properties, kind=kind)
        for kind, type in DEPENDENCY_TYPES.items()
    ]


GRAPH_NODES: Final = (
    *_CATALOGUE, *_TRACE, *(_of_table(name, table) for name, table in NODES.items()), *_COMPUTED, *_SERVICE
)  # fmt: skip
"""Every kind of node, by part."""

GRAPH_RELATIONSHIPS: Final = (*_RELATIONSHIPS, *_relationships_of_tables(), *_dependencies())
"""Every kind of relationship; dependencies last."""


def node_of(label: str) -> Node:
    """The declaration of a label; KeyError where there is none."""
    for node in GRAPH_NODES:
        if node.label == label:
            return node
    raise KeyError(f"the graph has no nodes {label!r}")
