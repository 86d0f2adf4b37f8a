"""What a store does, whatever keeps the traces: the `Store` protocol and what its methods return."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Any, Final, Protocol, Self, runtime_checkable

from etgraph.model import Report, Source, Trace
from etgraph.model.accuracy import Score, Validation
from etgraph.model.errors import UsageError
from etgraph.model.progress import Progress
from etgraph.store.records import Records
from etgraph.store.rows import Neighbours, NeighboursRequest, Page, RowsRequest
from etgraph.store.visible import Visible

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class IterationInfo:
    """One iteration over all ranks: from the earliest start to the latest end, None where no rank has the time."""

    index: int
    name: str
    start_ns: int | None
    end_ns: int | None


@dataclass(frozen=True, slots=True)
class TraceInfo:
    """What is known of a trace without opening its columns.

    `created` is the moment (ISO 8601, UTC) at which the trace came under this workload, and `bytes` the size of its
    files; both are None for a trace that is not stored. `sources` come without the documents' own fields.
    """

    id: str
    revision: int
    created: str | None = None
    workload: str | None = None
    team: str | None = None
    commit: str | None = None
    branch: str | None = None
    labels: dict[str, str] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    ranks: tuple[int, ...] = ()
    operators: int = 0
    dependencies: dict[str, int] = field(default_factory=dict)
    collectives: int = 0
    world_size: int | None = None
    device_model: str | None = None
    start_time: str | None = None
    span_ns: int = 0
    iterations: tuple[IterationInfo, ...] = ()
    report: Report = field(default_factory=Report)
    sources: tuple[Source, ...] = ()
    bytes: int | None = None


@dataclass(frozen=True, slots=True)
class WorkloadInfo:
    """A workload: how many traces it has, the moment of the newest, the teams that published, and its tags."""

    name: str
    traces: int
    newest: str
    teams: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ArtefactInfo:
    """Something computed from a trace and kept beside it."""

    kind: str
    key: str
    created: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Problem:
    """A fault that `Store.verify` found. `trace_id` is empty where it concerns the store itself."""

    trace_id: str
    file: str
    detail: str

    def __str__(self) -> str:
        return f"{self.file}: {self.detail}"


@dataclass(frozen=True, slots=True)
class Check:
    """One line of `doctor`."""

    name: str
    ok: bool
    detail: str


_PANDAS: Final[Mapping[type | None, Any]] = MappingProxyType({bool: "boolean", int: "Int64", float: "float64"})


@dataclass(frozen=True, slots=True)
class CypherResult:
    """The rows of a Cypher query as columns of plain values: `data` holds a list for each name in `columns`.

    Values are None, bool, int, float, str, and lists and dictionaries of these. `truncated` says that there were more
    rows than the limit; `warnings` are the server's remarks on the query.
    """

    columns: tuple[str, ...]
    data: tuple[list[Any], ...] = ()
    truncated: bool = False
    warnings: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.data[0]) if self.data else 0

    def rows(self) -> Iterator[list[Any]]:
        """The rows, each a list in the order of the columns."""
        return map(list, zip(*self.data))

    def to_arrow(self) -> pa.Table:
        """One Arrow column for each. Raises UsageError for one that holds values of several types."""
        import pyarrow as pa

        columns = {}
        for name, values in zip(self.columns, self.data):
            try:
                columns[name] = pa.array(values)
            except (pa.ArrowException, OverflowError) as error:
                raise UsageError(
                    f"column {name}: found values of several types, expected one ({error})",
                    hint="let the query return one type, with toString() for example, or use to_pandas()",
                ) from error
        return pa.table(columns)

    def to_pandas(self) -> pd.DataFrame:
        """A data frame; integers stay integers where values are missing."""
        import pandas as pd

        columns = {}
        for name, values in zip(self.columns, self.data):
            kinds = {type(value) for value in values if value is not None}
            only = kinds.pop() if len(kinds) == 1 else None
            columns[name] = pd.Series(values, dtype=_PANDAS.get(only, "object"))
        return pd.DataFrame(columns)


@runtime_checkable
class Store(Protocol):
    """Keeps traces under their ids, and a catalogue of workloads, labels and tags that name them.

    A *reference* is a trace id or a prefix of at least six characters, `workload` (its newest trace), or `workload@x`
    with x a tag, a prefix of a commit (at least four characters) or `label=value`. Where none or several traces
    answer to a reference, a method raises NotFound or UsageError that lists the nearest candidates. Every method may
    raise StoreError when the store cannot be reached or read. One store may be used by several threads.
    """

    @property
    def url(self) -> str:
        """What `connect` takes to open this store."""
        ...

    @property
    def records(self) -> Records:
        """Documents of a server that are kept beside the traces. None of them belongs to a trace."""
        ...

    def among(self, visible: Visible | None) -> Store:
        """The same store, whose catalogue is those entries alone: what references mean, what lists hold, whose tags
        and labels change, and what errors name. None is every entry.

        `publish` neither finds nor changes an entry out of sight; `remove` deletes the visible entries of a trace, and
        the trace with the last of all. `simulations_of`, and what is given trace ids rather than references, is as it
        was.
        """
        ...

    def close(self) -> None:
        """Give back connections. Traces that were loaded stay usable."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def publish(
        self,
        trace: Trace,
        *,
        workload: str | None = None,
        team: str | None = None,
        labels: Mapping[str, str] | None = None,
        commit: str | None = None,
        branch: str | None = None,
        progress: Progress | None = None,
    ) -> str:
        """Keep a trace; returns its id. When this returns, the trace survives a crash; before, no reader sees it.

        A trace that is there in this revision or a newer one is not written again; a newer revision replaces an older
        one at once, and what was computed from the older one goes. Either way the trace is entered under the
        workload. Several workloads may name one trace; a trace without any is found by its id only, and takes on the
        first workload that it is published under. Publishing without a workload adds what is given to every entry
        that the trace has. Labels are merged; team, commit and branch change only where given. `progress` is told of
        the rows that are written, where that takes long. Simulations of the workload's other traces that predict this
        one are scored against it afterwards (`etgraph.store.scoring`).

        Raises UsageError for a trace without id or for a name that no reference could spell, StoreFull, ReadOnlyStore.
        """
        ...

    def load(self, reference: str) -> Trace:
        """The trace. It stays usable when it is removed or replaced in the store.

        Raises NotFound, and CorruptStore naming the file when one is missing, cut short or unreadable.
        """
        ...

    def find(self, reference: str) -> TraceInfo:
        """What the catalogue knows of a trace: its entry under the reference's workload, or else its newest entry."""
        ...

    def traces(
        self, *, workload: str | None = None, team: str | None = None, labels: Mapping[str, str] | None = None
    ) -> list[TraceInfo]:
        """Entries of the catalogue that satisfy all conditions, newest first. Unknown names give an empty list."""
        ...

    def workloads(self, team: str | None = None) -> list[WorkloadInfo]:
        """Workloads that have traces, by name; with `team`, those under which the team published."""
        ...

    def rows(self, asked: Sequence[RowsRequest]) -> list[Page]:
        """Pages of rows of traces' tables, an answer a request, without loading the traces whole.

        Requests for what a table does not have raise UsageError, those for an unknown trace id NotFound. See
        `etgraph.store.rows` for what may be asked.
        """
        ...

    def count_rows(self, asked: Sequence[RowsRequest]) -> list[int]:
        """How many rows satisfy the conditions of requests, whatever page these are for. Raises what `rows` raises."""
        ...

    def neighbours(self, asked: Sequence[NeighboursRequest]) -> list[Neighbours]:
        """Dependencies around operators, an answer a request. Raises NotFound for an unknown trace id."""
        ...

    def attributes(self, asked: Sequence[tuple[str, int]]) -> list[dict[str, Any]]:
        """What the source says of operators beyond their columns, given by trace id and row; empty where nothing.

        Raises NotFound for an unknown trace id.
        """
        ...

    def remove(self, reference: str) -> None:
        """Delete a trace with all its entries, tags and artefacts."""
        ...

    def tag(self, reference: str, name: str) -> None:
        """Let `workload@name` mean this trace; a tag that the workload already has moves here.

        Raises UsageError for a malformed name, or when the reference is an id and the trace has no workload or several.
        """
        ...

    def untag(self, workload: str, name: str) -> None:
        """Take a tag away; the trace stays. Raises NotFound where the workload has no such tag."""
        ...

    def label(self, reference: str, key: str, value: str) -> None:
        """Set a label on the reference's entry; where the reference is an id, on all entries of the trace."""
        ...

    def put_artefact(self, trace_id: str, kind: str, key: str, table: pa.Table, *, revision: int | None = None) -> None:
        """Keep a table computed from a trace, in place of one of the same kind and key.

        It goes with the trace, and when a newer revision replaces the trace. With `revision`, raises StoreError when
        the trace is no longer the one that the table was computed from. Raises NotFound for an unknown trace.
        """
        ...

    def get_artefact(self, trace_id: str, kind: str, key: str) -> pa.Table | None:
        """The table kept under that kind and key, None where there is none. Raises NotFound for an unknown trace."""
        ...

    def artefacts(self, trace_id: str) -> list[ArtefactInfo]:
        """What is kept beside a trace, by kind and key. Raises NotFound for an unknown trace."""
        ...

    def artefact_schema(self, trace_id: str, kind: str, key: str) -> pa.Schema | None:
        """The schema of a table kept under that kind and key, with what it says of itself, without reading its rows.

        None where there is none. Raises NotFound for an unknown trace.
        """
        ...

    def simulations_of(self, workload: str) -> list[tuple[str, str]]:
        """The simulations kept beside traces of a workload: ids of the trace and of the simulation, sorted."""
        ...

    def put_validation(self, trace_id: str, simulation: str, measured: str, score: Score) -> None:
        """Note how a simulation kept beside a trace met another trace, `measured`, in place of what was noted before.

        It goes with either of them. Raises NotFound for an unknown trace or simulation.
        """
        ...

    def validations(self, trace_id: str) -> list[Validation]:
        """How the simulations kept beside a trace met others, and how those of others met it; by simulation and moment.

        Raises NotFound for an unknown trace.
        """
        ...

    def cypher(
        self,
        text: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        write: bool = False,
        timeout_s: float = 60.0,
        limit: int = 100_000,
        **more: Any,
    ) -> CypherResult:
        """The rows of a Cypher query, no more than `limit`. Further keywords are parameters of the query.

        Without `write` the query may only read. Raises UsageError for a store that has no Cypher, for a query that is
        not understood and for one that may not run; StoreError for one that takes longer than `timeout_s` seconds.
        """
        ...

    def verify(self, reference: str | None = None) -> list[Problem]:
        """Read everything of one trace, or of the whole store, and compare it with its checksums."""
        ...

    def sweep(self) -> list[str]:
        """Delete what crashed publishers left, and nothing of a publisher at work; returns the names of what went."""
        ...

    def health(self) -> list[Check]:
        """What `doctor` says of the store, without reading traces."""
        ...
