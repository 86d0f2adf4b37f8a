"""The schema of a trace, declared once: every table and column, its type, unit, meaning and name in Neo4j.

The Arrow schema, validation, the table of columns in the documentation, and the graph model all follow from `TABLES`.

A null is a reserved value of the column's type (`Type.null`), so that kernels see plain arrays; a type that has no
value to spare (`uint64`, `bool`) carries a mask instead. In Arrow, nulls are nulls.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

import numpy as np

REVISION: Final = 5
"""Version of the pipeline that makes graphs; a stored trace of an older revision is replaced by a newer one."""


class NodeType(enum.IntEnum):
    """Chakra's node types."""

    INVALID = 0
    METADATA = 1
    MEM_LOAD = 2
    MEM_STORE = 3
    COMP = 4
    COMM_SEND = 5
    COMM_RECV = 6
    COMM_COLL = 7


class CommType(enum.IntEnum):
    """Chakra's collective types."""

    ALL_REDUCE = 0
    REDUCE = 1
    ALL_GATHER = 2
    GATHER = 3
    SCATTER = 4
    BROADCAST = 5
    ALL_TO_ALL = 6
    REDUCE_SCATTER = 7
    REDUCE_SCATTER_BLOCK = 8
    BARRIER = 9


class LaneKind(enum.IntEnum):
    """What a lane is: a thread of the host or a stream of a device."""

    THREAD = 0
    STREAM = 1


class Category(enum.IntEnum):
    """What recorded the operator: the part of the software or hardware stack it belongs to."""

    METADATA = 0
    CPU_OP = 1
    RUNTIME = 2
    DRIVER = 3
    ANNOTATION = 4
    KERNEL = 5
    MEMCPY = 6
    MEMSET = 7
    DEVICE = 8


class Span(enum.IntEnum):
    """What kind of interval an annotation is; none of them is an operator."""

    USER = 0
    DEVICE_USER = 1
    PYTHON = 2
    OVERHEAD = 3
    SYNCHRONIZATION = 4
    TRACE = 5
    OTHER = 6


class DependencyKind(enum.IntEnum):
    """Why one operator waits for another; `DEPENDENCIES` says which of their ends an edge joins."""

    CTRL = 0
    DATA = 1
    CALL = 2
    THREAD = 3
    LAUNCH = 4
    STREAM = 5
    EVENT = 6
    SYNC = 7
    SPAWN = 8
    JOIN = 9
    OCCUPANCY = 10
    COMM = 11
    COLLECTIVE = 12


class LinkMethod(enum.IntEnum):
    """How the records of one operator in two files were linked; `LINK_CONFIDENCE` says how sure that is.

    `ALIGNED_n` is in a run of operators that match one after another, n or more of them from where the run ends.
    """

    RECORDED_ID = 0
    COMMUNICATION_ORDER = 1
    ALIGNED_16 = 2
    ALIGNED_8 = 3
    ALIGNED_4 = 4
    ALIGNED_2 = 5
    ALIGNED_1 = 6


LINK_CONFIDENCE: Final = MappingProxyType(
    {
        LinkMethod.RECORDED_ID: 1.0,
        LinkMethod.COMMUNICATION_ORDER: 0.999,
        LinkMethod.ALIGNED_16: 0.9999,
        LinkMethod.ALIGNED_8: 0.999,
        LinkMethod.ALIGNED_4: 0.9987,
        LinkMethod.ALIGNED_2: 0.99,
        LinkMethod.ALIGNED_1: 0.979,
    }
)
"""Of `ALIGNED_n` the share of links that were right where recorded identifiers could tell (for 16: all of them, set a
little below 1); of `COMMUNICATION_ORDER` a cautious guess, since none was wrong."""


class Ends(enum.Enum):
    """Which ends of the two operators an edge of the event graph joins, and in which direction."""

    END_START = "end → start"
    START_START = "start → start"
    START_END = "start → end"
    END_END = "end → end"
    BACK_END_END = "target's end → source's end"


@dataclass(frozen=True, slots=True)
class DependencyMeaning:
    """One kind of dependency: its edges in the event graph, its relationship in Neo4j, what it says."""

    ends: tuple[Ends, ...]
    neo4j: str
    meaning: str
    ordering: bool = True


DEPENDENCIES: Final = MappingProxyType(
    {
        DependencyKind.CTRL: DependencyMeaning((Ends.END_START,), "CTRL_DEP", "control dependency as recorded"),
        DependencyKind.DATA: DependencyMeaning(
            (Ends.END_START,), "DATA_DEP", "data dependency, recorded or inferred from tensors"
        ),
        DependencyKind.CALL: DependencyMeaning(
            (Ends.START_START, Ends.BACK_END_END), "CALLS", "the source encloses the target on one thread"
        ),
        DependencyKind.THREAD: DependencyMeaning(
            (Ends.END_START,), "NEXT_ON_THREAD", "the target is the source's next sibling on a thread"
        ),
        DependencyKind.LAUNCH: DependencyMeaning(
            (Ends.START_START,), "LAUNCHES", "a host call starts a device operator"
        ),
        DependencyKind.STREAM: DependencyMeaning((Ends.END_START,), "NEXT_ON_STREAM", "order on a stream"),
        DependencyKind.EVENT: DependencyMeaning((Ends.END_START,), "WAITS_EVENT", "a wait between streams"),
        DependencyKind.SYNC: DependencyMeaning(
            (Ends.END_END,), "SYNCS", "a blocking call, or an operator in its own time, waits for the source"
        ),
        DependencyKind.SPAWN: DependencyMeaning(
            (Ends.START_START,),
            "SPAWNS",
            "the source starts work that goes on by itself: on another thread, or outliving its enclosing call",
        ),
        DependencyKind.JOIN: DependencyMeaning(
            (Ends.END_START,), "JOINS_THREAD", "a thread goes on when another thread's work is done"
        ),
        DependencyKind.OCCUPANCY: DependencyMeaning(
            (Ends.END_START,), "OCCUPIES", "another stream's kernel held the device", ordering=False
        ),
        DependencyKind.COMM: DependencyMeaning((Ends.START_END,), "SENDS_TO", "point-to-point message"),
        DependencyKind.COLLECTIVE: DependencyMeaning(
            (Ends.START_END,), "JOINS", "last member's start to each member's end, stored as the collective's row"
        ),
    }
)


LAUNCH_QUEUE_FULL: Final = "launch queue full"
"""Method of the SYNC dependencies by which a launch waits for room in the queue rather than for work that it wants."""


@dataclass(frozen=True, slots=True)
class Type:
    """How a column is held: NumPy dtype, Arrow type name, and the value that stands for null (None: needs a mask)."""

    name: str
    dtype: str
    null: Any


TYPES: Final = MappingProxyType(
    {
        t.name: t
        for t in (
            Type("bool", "bool", None),
            Type("int8", "int8", -(2**7)),
            Type("int32", "int32", -(2**31)),
            Type("int64", "int64", -(2**63)),
            Type("uint64", "uint64", None),
            Type("float32", "float32", float("nan")),
            Type("float64", "float64", float("nan")),
            Type("enum", "int32", -(2**31)),
            Type("row", "int32", -1),
            Type("text", "int32", -1),
        )
    }
)


EnumType = type[enum.IntEnum]


@dataclass(frozen=True, slots=True)
class Column:
    """One column. `row` columns hold row numbers of table `refers`; `text` columns hold codes of a dictionary."""

    name: str
    type: str
    meaning: str
    unit: str = ""
    nullable: bool = False
    refers: str = ""
    values: EnumType | None = None
    neo4j: str = field(default="")

    def __post_init__(self) -> None:
        if not self.neo4j:
            head, *tail = self.name.split("_")
            object.__setattr__(self, "neo4j", head + "".join(part.capitalize() for part in tail))

    @property
    def dtype(self) -> np.dtype[Any]:
        """NumPy dtype of the values (of the codes, for `text`)."""
        return np.dtype(TYPES[self.type].dtype)

    @property
    def null(self) -> Any:
        """The reserved value that stands for null, or None where the type has none to spare."""
        return TYPES[self.type].null


@dataclass(frozen=True, slots=True)
class Table:
    """One table of the trace: what a row is, its columns, and what a row is in Neo4j.

    `neo4j` is the label of the nodes that its rows become, `owned` the relationship to each from its rank, or from the
    trace where the table has no rank. Dependencies become relationships, members a property of their group.
    """

    name: str
    meaning: str
    neo4j: str
    columns: tuple[Column, ...]
    owned: str = ""

    def column(self, name: str) -> Column:
        """The declaration of one column; KeyError where there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(f"table {self.name} has no column {name!r}")


def _column(
    name: str,
    type: str,
    meaning: str,
    *,
    unit: str = "",
    nullable: bool = False,
    refers: str = "",
    values: EnumType | None = None,
    neo4j: str = "",
) -> Column:
    return Column(name, type, meaning, unit, nullable, refers, values, neo4j)


_RANK = _column("rank", "int32", "rank of the process that recorded the row")
_ATTRS = _column(
    "attrs", "row", "everything else the source says, as JSON text off the heap", nullable=True, refers="attributes"
)

OPERATORS: Final = Table(
    "operators",
    "one execution of an operator; the key is (rank, index), rows are sorted by it",
    "Operator",
    (
        _RANK,
        _column("index", "int32", "number within the rank, in canonical order; dense, but parts of a trace keep it"),
        _column("node_id", "uint64", "the source's own id", nullable=True),
        _column("name", "text", "name of the operator, kernel or call"),
        _column("kind", "enum", "Chakra's node type; an unknown value keeps its number", values=NodeType),
        _column("category", "enum", "which part of the stack recorded it", values=Category),
        _column("lane", "row", "thread or stream it ran on", nullable=True, refers="lanes", neo4j="ON_LANE"),
        _column("start_ns", "int64", "start from the trace's zero", unit="ns", nullable=True),
        _column("duration_ns", "int64", "time from start to end", unit="ns", nullable=True),
        _column(
            "parent", "row", "operator of the rank that encloses it (in Neo4j: its index)", nullable=True,
            refers="operators",
        ),
        _column(
            "iteration", "row", "iteration it belongs to by launch", nullable=True, refers="iterations",
            neo4j="IN_ITERATION",
        ),
        _column("scope", "text", "path of enclosing modules and annotations, outermost first", nullable=True),
        _column("source", "text", "file:line of the user's code, from recorded stacks", nullable=True),
        _column("shapes", "text", "dims and dtypes of the inputs, as compact JSON text", nullable=True),
        _column("flops", "int64", "floating-point operations", unit="flop", nullable=True),
        _column("bytes", "int64", "unique bytes read and written", unit="B", nullable=True),
        _column(
            "waves", "float32",
            "rounds in which a kernel's blocks ran on the device: its warps over those that fit at once", nullable=True,
        ),
        _column("comm_type", "enum", "type of the collective", nullable=True, values=CommType),
        _column("comm_bytes", "int64", "size of the whole message as nccl-tests counts it", unit="B", nullable=True),
        _column("group", "row", "process group", nullable=True, refers="process_groups", neo4j="IN_GROUP"),
        _column("peer", "int32", "rank at the other end of a send or receive", nullable=True),
        _column("tag", "int32", "tag of a send or receive", nullable=True),
        _column("collective", "row", "rendezvous it takes part in", nullable=True, refers="collectives", neo4j="JOINS"),
        _column(
            "link", "int8", "how its records in the host's and the device's file were found to be one", nullable=True,
            values=LinkMethod,
        ),
        _ATTRS,
    ),
    owned="RAN",
)  # fmt: skip

DEPENDENCY_TABLE: Final = Table(
    "dependencies",
    "one dependency between two operators; `DEPENDENCIES` says which ends each kind joins",
    "",
    (
        _column("src", "row", "the operator that comes first", refers="operators"),
        _column("dst", "row", "the operator that depends on it", refers="operators"),
        _column("kind", "int8", "why dst depends on src", values=DependencyKind),
        _column("inferred", "bool", "whether a rule found it, rather than the source recording it"),
        _column("method", "text", "the rule or record it comes from"),
        _column("confidence", "float32", "how sure the rule is, 0 to 1"),
    ),
)

LANES: Final = Table(
    "lanes",
    "a thread or a stream",
    "Lane",
    (
        _RANK,
        _column("kind", "enum", "thread or stream", values=LaneKind),
        _column("process", "text", "process id, or device process, as recorded"),
        _column("id", "text", "thread or stream id as recorded"),
        _column("device", "int32", "ordinal of the device; null for threads", nullable=True),
        _column("name", "text", "label of the thread or stream", nullable=True),
    ),
    owned="HAS_LANE",
)

COLLECTIVES: Final = Table(
    "collectives",
    "one rendezvous of several ranks",
    "Collective",
    (
        _column("type", "enum", "type of the collective", values=CommType),
        _column(
            "group", "row", "process group that meets", nullable=True, refers="process_groups", neo4j="IN_GROUP"
        ),
        _column("bytes", "int64", "size of the whole message as nccl-tests counts it", unit="B", nullable=True),
        _column("size", "int32", "number of ranks that should take part", nullable=True),
        _column("sequence", "int64", "number of the collective within its group, as recorded", nullable=True),
    ),
    owned="HAS_COLLECTIVE",
)  # fmt: skip

PROCESS_GROUPS: Final = Table(
    "process_groups",
    "a set of ranks that communicate",
    "ProcessGroup",
    (
        _column("name", "text", "name as recorded"),
        _column("description", "text", "description as recorded", nullable=True),
        _column("backend", "text", "communication library", nullable=True),
        _column("size", "int32", "number of ranks", nullable=True),
    ),
    owned="HAS_GROUP",
)

GROUP_MEMBERS: Final = Table(
    "group_members",
    "a rank's membership of a process group, in the group's order",
    "",
    (
        _column("group", "row", "process group", refers="process_groups"),
        _column("rank", "int32", "global rank"),
    ),
)

ITERATIONS: Final = Table(
    "iterations",
    "one training or inference step on one rank",
    "Iteration",
    (
        _column("index", "int32", "number of the step within the trace, the same on all ranks"),
        _RANK,
        _column("name", "text", "the annotation's text"),
        _column("lane", "row", "thread that carries the annotation", nullable=True, refers="lanes", neo4j="ON_LANE"),
        _column("start_ns", "int64", "start of the annotation", unit="ns", nullable=True),
        _column("end_ns", "int64", "end of the annotation", unit="ns", nullable=True),
    ),
    owned="HAS_ITERATION",
)

ANNOTATIONS: Final = Table(
    "annotations",
    "an interval that is no operator: user annotation, Python function, profiler overhead, synchronisation record",
    "Annotation",
    (
        _RANK,
        _column("kind", "enum", "what the interval is", values=Span),
        _column("name", "text", "name as recorded"),
        _column("lane", "row", "thread or stream", nullable=True, refers="lanes", neo4j="ON_LANE"),
        _column("start_ns", "int64", "start from the trace's zero", unit="ns"),
        _column("duration_ns", "int64", "time from start to end", unit="ns"),
        _ATTRS,
    ),
    owned="HAS_ANNOTATION",
)

INSTANTS: Final = Table(
    "instants",
    "something that happened at one moment",
    "Instant",
    (
        _RANK,
        _column("name", "text", "name as recorded"),
        _column("lane", "row", "thread or stream", nullable=True, refers="lanes", neo4j="ON_LANE"),
        _column("time_ns", "int64", "moment from the trace's zero", unit="ns"),
        _ATTRS,
    ),
    owned="HAS_INSTANT",
)

MEMORY_EVENTS: Final = Table(
    "memory_events",
    "an allocation (bytes above zero) or release (below) of an allocator",
    "MemoryEvent",
    (
        _RANK,
        _column("lane", "row", "thread", nullable=True, refers="lanes", neo4j="ON_LANE"),
        _column("time_ns", "int64", "moment from the trace's zero", unit="ns"),
        _column("address", "uint64", "address of the block", nullable=True),
        _column("bytes", "int64", "size of the change", unit="B"),
        _column("allocated", "int64", "bytes in use after it", unit="B", nullable=True),
        _column("reserved", "int64", "bytes held from the device after it", unit="B", nullable=True),
        _column("device_type", "int32", "PyTorch's device type, 0 is the CPU", nullable=True),
        _column("device", "int32", "ordinal of the device", nullable=True),
        _ATTRS,
    ),
    owned="HAS_MEMORY_EVENT",
)

COUNTERS: Final = Table(
    "counters",
    "one sample of a counter",
    "CounterSample",
    (
        _RANK,
        _column("name", "text", "name of the counter and of its series"),
        _column("time_ns", "int64", "moment from the trace's zero", unit="ns"),
        _column("value", "float64", "the sample"),
    ),
    owned="HAS_SAMPLE",
)

TABLES: Final = MappingProxyType(
    {
        t.name: t
        for t in (
            OPERATORS,
            DEPENDENCY_TABLE,
            LANES,
            COLLECTIVES,
            PROCESS_GROUPS,
            GROUP_MEMBERS,
            ITERATIONS,
            ANNOTATIONS,
            INSTANTS,
            MEMORY_EVENTS,
            COUNTERS,
        )
    }
)
