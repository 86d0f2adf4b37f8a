"""The store as its viewer sees it: the one place below resolvers, routes and jobs where access is decided.

Whoever has the scope `admin` sees everything. Others see the entries of their team and what is shared with it, and
change their own. Every method is written out here, and none is handed through unseen: what a store learns to do is
refused to viewers until this says who may.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from etgraph.api.access import shares
from etgraph.api.access.asking import MOST_ROWS, MOST_SECONDS, check_cypher
from etgraph.api.access.scopes import require
from etgraph.api.access.shares import Share
from etgraph.api.context import Viewer
from etgraph.api.errors import Forbidden
from etgraph.model import Trace
from etgraph.model.accuracy import Score, Validation
from etgraph.model.errors import NotFound, UsageError
from etgraph.model.progress import Progress
from etgraph.store import ArtefactInfo, Check, Problem, Store, TraceInfo, WorkloadInfo
from etgraph.store.protocol import CypherResult
from etgraph.store.records import Records
from etgraph.store.references import ID, check_workload, no_id
from etgraph.store.rows import Neighbours, NeighboursRequest, Page, RowsRequest
from etgraph.store.visible import Shared, Visible

if TYPE_CHECKING:
    import pyarrow as pa

    from etgraph.api.access.alerts import TeamAlerts


def view_of(store: Store, viewer: Viewer) -> TeamStore:
    """A store as a viewer sees it at this moment. Make one for each request, and each step of a long job."""
    return TeamStore(store, viewer)


class TeamStore:
    """A store for one viewer; see `Store` for what each method does. Raises Forbidden for what the viewer may not.

    What it does not see is not there for it: references do not resolve to it, and errors do not name it.
    """

    def __init__(self, store: Store, viewer: Viewer) -> None:
        self._store = store
        self.viewer = viewer
        self._known: set[str] = set()

    @cached_property
    def _seen(self) -> Store:
        """What the viewer may read."""
        if self.viewer.is_admin:
            return self._store
        return self._store.among(shares.visible_to(self._store.records, self.viewer.team))

    @cached_property
    def _own(self) -> Store:
        """What the viewer may change."""
        return self._store if self.viewer.is_admin else self._store.among(Visible(self.viewer.team))

    @property
    def url(self) -> str:
        """See `Store.url`."""
        return self._store.url

    @property
    def records(self) -> Records:
        """See `Store.records`; for administrators, since they hold everybody's."""
        require(self.viewer, "admin")
        return self._store.records

    def among(self, visible: Visible | None) -> Store:
        """Refused: it would see more than the viewer does."""
        raise Forbidden("a view of a store has no other views")

    def close(self) -> None:
        """Nothing: the store is not the view's to close."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing: the store is not the view's to close."""

    # What is seen

    def find(self, reference: str) -> TraceInfo:
        """See `Store.find`."""
        require(self.viewer, "read")
        return self._noted(self._seen.find(reference))

    def load(self, reference: str) -> Trace:
        """See `Store.load`."""
        return self._store.load(reference if reference in self._known else self.find(reference).id)

    def traces(
        self, *, workload: str | None = None, team: str | None = None, labels: Mapping[str, str] | None = None
    ) -> list[TraceInfo]:
        """See `Store.traces`."""
        require(self.viewer, "read")
        found = self._seen.traces(workload=workload, team=team, labels=labels)
        self._known.update(each.id for each in found)
        return found

    def workloads(self, team: str | None = None) -> list[WorkloadInfo]:
        """See `Store.workloads`."""
        require(self.viewer, "read")
        return self._seen.workloads(team)

    def rows(self, asked: Sequence[RowsRequest]) -> list[Page]:
        """See `Store.rows`."""
        self._check_seen(each.trace_id for each in asked)
        return self._store.rows(asked)

    def count_rows(self, asked: Sequence[RowsRequest]) -> list[int]:
        """See `Store.count_rows`."""
        self._check_seen(each.trace_id for each in asked)
        return self._store.count_rows(asked)

    def neighbours(self, asked: Sequence[NeighboursRequest]) -> list[Neighbours]:
        """See `Store.neighbours`."""
        self._check_seen(each.trace_id for each in asked)
        return self._store.neighbours(asked)

    def attributes(self, asked: Sequence[tuple[str, int]]) -> list[dict[str, Any]]:
        """See `Store.attributes`."""
        self._check_seen(trace_id for trace_id, _ in asked)
        return self._store.attributes(asked)

    def get_artefact(self, trace_id: str, kind: str, key: str) -> pa.Table | None:
        """See `Store.get_artefact`. What is kept beside a trace is seen by all who see the trace."""
        self._check_seen([trace_id])
        return self._store.get_artefact(trace_id, kind, key)

    def artefacts(self, trace_id: str) -> list[ArtefactInfo]:
        """See `Store.artefacts`."""
        self._check_seen([trace_id])
        return self._store.artefacts(trace_id)

    def artefact_schema(self, trace_id: str, kind: str, key: str) -> pa.Schema | None:
        """See `Store.artefact_schema`."""
        self._check_seen([trace_id])
        return self._store.artefact_schema(trace_id, kind, key)

    def simulations_of(self, workload: str) -> list[tuple[str, str]]:
        """See `Store.simulations_of`."""
        seen = {each.id for each in self.traces(workload=workload)}
        return [found for found in self._store.simulations_of(workload) if found[0] in seen]

    def validations(self, trace_id: str) -> list[Validation]:
        """See `Store.validations`; without those of which the other trace is out of sight."""
        self._check_seen([trace_id])
        found = self._store.validations(trace_id)
        return [each for each in found if self._sees(each.base) and self._sees(each.trace)]

    def cypher(
        self,
        text: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        write: bool = False,
        timeout_s: float = MOST_SECONDS,
        limit: int = MOST_ROWS,
        **more: Any,
    ) -> CypherResult:
        """See `Store.cypher`; it may only read. Who is no administrator asks the library's queries of what it sees."""
        if write:
            raise Forbidden("Cypher from outside may only read")
        values = {**(parameters or {}), **more}
        if not self.viewer.is_admin:
            require(self.viewer, "read")
            values = check_cypher(text, values, self.viewer.team, self._sees)
        return self._store.cypher(text, values, timeout_s=min(timeout_s, MOST_SECONDS), limit=min(limit, MOST_ROWS))

    # What is changed

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
        """See `Store.publish`. It is the viewer's team that publishes, under workloads of its own."""
        require(self.viewer, "ingest")
        if not self.viewer.is_admin:
            if team not in (None, self.viewer.team):
                raise Forbidden(f"{self.viewer.name} publishes for team {self.viewer.team}, and for no other")
            team = self._team
            if workload is not None:
                self._claim(workload, team)
        return self._own.publish(
            trace, workload=workload, team=team, labels=labels, commit=commit, branch=branch, progress=progress
        )

    def remove(self, reference: str) -> None:
        """See `Store.remove`; the entries of the viewer's team, and the trace with the last entry of all."""
        require(self.viewer, "ingest")
        found = self.owned(reference)
        self._own.remove(found.id)
        shares.forget(self._store.records, found.id, None if self.viewer.is_admin else self._team)
        self.alerts.forget_trace(found.id)
        self._known.discard(found.id)

    def tag(self, reference: str, name: str) -> None:
        """See `Store.tag`."""
        require(self.viewer, "ingest")
        self._check_owner(self.owned(reference).workload)
        self._own.tag(reference, name)

    def untag(self, workload: str, name: str) -> None:
        """See `Store.untag`."""
        require(self.viewer, "ingest")
        if self.traces(workload=workload):
            self._check_owner(workload)
        self._own.untag(workload, name)

    def label(self, reference: str, key: str, value: str) -> None:
        """See `Store.label`."""
        require(self.viewer, "ingest")
        self.owned(reference)
        self._own.label(reference, key, value)

    def put_artefact(self, trace_id: str, kind: str, key: str, table: pa.Table, *, revision: int | None = None) -> None:
        """See `Store.put_artefact`; beside traces of the viewer's team, since all who see the trace see it."""
        require(self.viewer, "simulate")
        self._store.put_artefact(self.owned(trace_id).id, kind, key, table, revision=revision)

    def remove_artefact(self, trace_id: str, kind: str, key: str) -> bool:
        """See `Store.remove_artefact`; beside traces of the viewer's team."""
        require(self.viewer, "simulate")
        return self._store.remove_artefact(self.owned(trace_id).id, kind, key)

    def put_validation(self, trace_id: str, simulation: str, measured: str, score: Score) -> None:
        """See `Store.put_validation`."""
        require(self.viewer, "simulate")
        self._check_seen([measured])
        self._store.put_validation(self.owned(trace_id).id, simulation, measured, score)

    # What is shared

    def share(self, reference: str, group: str) -> tuple[TraceInfo, Share]:
        """Let a team, or everyone, read an entry of the viewer's team. Raises UsageError for what is no team."""
        require(self.viewer, "ingest")
        found = self.owned(reference)
        return found, shares.share(self._store.records, _entry(found), group, self.viewer.name)

    def unshare(self, reference: str, group: str) -> TraceInfo:
        """Take that back. Raises NotFound where it is not shared so."""
        require(self.viewer, "ingest")
        found = self.owned(reference)
        shares.unshare(self._store.records, _entry(found), group)
        return found

    def share_workload(self, workload: str, group: str) -> Share:
        """Let a team, or everyone, read all that the viewer's team has under a workload, and all that comes."""
        require(self.viewer, "ingest")
        return shares.share(self._store.records, self._of_workload(workload), group, self.viewer.name)

    def unshare_workload(self, workload: str, group: str) -> None:
        """Take that back. Raises NotFound where it is not shared so."""
        require(self.viewer, "ingest")
        shares.unshare(self._store.records, self._of_workload(workload), group)

    def shares(self) -> list[Share]:
        """What the viewer's team shares; what all do for administrators."""
        require(self.viewer, "read")
        return shares.shares(self._store.records, None if self.viewer.is_admin else self._team)

    # What is checked

    @property
    def alerts(self) -> TeamAlerts:
        """The rules and alerts of the viewer's team."""
        from etgraph.api.access.alerts import TeamAlerts

        return TeamAlerts(self._store.records, self.viewer)

    # Care, for administrators

    def verify(self, reference: str | None = None) -> list[Problem]:
        """See `Store.verify`."""
        require(self.viewer, "admin")
        return self._store.verify(reference)

    def sweep(self) -> list[str]:
        """See `Store.sweep`."""
        require(self.viewer, "admin")
        return self._store.sweep()

    def health(self) -> list[Check]:
        """See `Store.health`."""
        require(self.viewer, "admin")
        return self._store.health()

    # Within

    @property
    def _team(self) -> str:
        """The viewer's team. Raises Forbidden for a viewer without."""
        if self.viewer.team is None:
            raise Forbidden(f"{self.viewer.name} is of no team, and only administrators may be")
        return self.viewer.team

    def _noted(self, info: TraceInfo) -> TraceInfo:
        self._known.add(info.id)
        return info

    def _sees(self, trace_id: str) -> bool:
        """Whether the viewer sees a trace of that id."""
        if trace_id not in self._known:
            if not ID.fullmatch(trace_id):
                return False
            try:
                self.find(trace_id)
            except NotFound:
                return False
        return True

    def _check_seen(self, trace_ids: Iterable[str]) -> None:
        """Raise NotFound for an id of a trace that the viewer does not see, as for one that is not there."""
        require(self.viewer, "read")
        for trace_id in set(trace_ids):
            if not self._sees(trace_id):
                raise no_id(trace_id)

    def owned(self, reference: str) -> TraceInfo:
        """The own entry that a reference means. Raises Forbidden where it means what the viewer may only read, and for
        viewers who may not read: what is not found is told with what comes near.
        """
        seen = self.find(reference)
        try:
            own = self._own.find(reference)
        except (NotFound, UsageError):
            own = None
        if own is None or own.id != seen.id:
            raise Forbidden(
                f"{reference!r} is another team's: {self.viewer.name} may read it, and not change it",
                hint="who published it may, and administrators",
            )
        return own

    def _claim(self, workload: str, team: str) -> None:
        """Claim a workload's name. Raises Forbidden where it is another team's."""
        check_workload(workload)
        if shares.owner_of(self._store.records, workload) is None and not self._is_foreign(workload, team):
            shares.claim(self._store.records, workload, team)
        self._check_owner(workload)

    def _check_owner(self, workload: str | None) -> None:
        """Raise Forbidden where a workload's name belongs to others."""
        if self.viewer.is_admin or workload is None:
            return
        owner = shares.owner_of(self._store.records, workload)
        if self._is_foreign(workload, self._team) if owner is None else owner != self._team:
            raise Forbidden(
                f"workload {workload!r} belongs to others: the team that published first under it has the name",
                hint="publish under another workload, or ask them to share",
            )

    def _is_foreign(self, workload: str, team: str) -> bool:
        """Whether others than a team published under a workload."""
        return any(each.team != team for each in self._store.traces(workload=workload))

    def _of_workload(self, workload: str) -> Shared:
        """All of a workload. Raises NotFound for one out of sight, Forbidden for another team's."""
        found = self.traces(workload=workload)
        if not found:
            raise NotFound(f"no workload {workload!r}")
        teams = {each.team for each in found}
        if self.viewer.is_admin:
            if len(teams) > 1:
                raise UsageError(f"workload {workload!r}: found traces of several teams, expected those of one")
            return Shared(teams.pop(), workload)
        self._check_owner(workload)
        if self.viewer.team not in teams:
            raise Forbidden(
                f"workload {workload!r} is another team's: {self.viewer.name} may read it, and not share it"
            )
        return Shared(self._team, workload)


def _entry(info: TraceInfo) -> Shared:
    return Shared(info.team, info.workload, info.id)


__all__ = ["TeamStore", "view_of"]
