"""The workloads of a store: a row each, with its newest trace and what its steps lose; and a summary of each team."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from statistics import fmean, median
from typing import ClassVar, Final, Protocol

from etgraph.model import Trust
from etgraph.model.results import Result
from etgraph.queries.saved_simulations import Described, Traces
from etgraph.queries.saving import answer_in
from etgraph.queries.waterfall import Waterfall, WaterfallRow, normalised

KIND: Final = "waterfall"
LOOKED_AT: Final = 16
"""Traces of a workload, newest first, beside which a waterfall is looked for."""


class Iteration(Protocol):
    """A step of a stored trace."""

    @property
    def start_ns(self) -> int | None: ...

    @property
    def end_ns(self) -> int | None: ...


class Entry(Described, Protocol):
    """What the catalogue knows of a trace under a workload; see `etgraph.store.TraceInfo`."""

    @property
    def workload(self) -> str | None: ...

    @property
    def team(self) -> str | None: ...

    @property
    def created(self) -> str | None: ...

    @property
    def tags(self) -> tuple[str, ...]: ...

    @property
    def ranks(self) -> tuple[int, ...]: ...

    @property
    def world_size(self) -> int | None: ...

    @property
    def device_model(self) -> str | None: ...

    @property
    def span_ns(self) -> int: ...

    @property
    def iterations(self) -> Sequence[Iteration]: ...


class Catalogue(Traces, Protocol):
    """A store that lists its traces; see `etgraph.store.Store`."""

    def traces(self, *, team: str | None = None) -> Sequence[Entry]: ...


@dataclass(frozen=True, slots=True)
class WorkloadSummary:
    """A workload: how many traces it has, and what is known of the newest, in ns.

    `teams` are those that published, `created` is when the newest trace came (ISO 8601), `step_ns` the median of its
    steps, None without steps. `waterfall` is the one that was kept last beside the newest trace that has any, which
    `waterfall.trace` names; None where none is.
    """

    workload: str
    teams: tuple[str, ...]
    traces: int
    created: str | None
    newest: str
    tags: tuple[str, ...]
    ranks: int
    world_size: int | None
    device_model: str | None
    span_ns: int
    step_ns: int | None
    waterfall: WaterfallRow | None


@dataclass(frozen=True, slots=True)
class TeamSummary:
    """A team, None for what was published without one: its workloads and traces, and the newest of these.

    `ideal_share` and `model_flops_utilization` are means over those of its workloads that have a waterfall, each of
    which counts alike; None where none has.
    """

    team: str | None
    workloads: int
    traces: int
    created: str | None
    ideal_share: float | None
    model_flops_utilization: float | None


@dataclass(frozen=True, slots=True)
class Workloads(Result):
    """Workloads and teams by name. Traces without a workload are in neither."""

    workloads: tuple[WorkloadSummary, ...]
    teams: tuple[TeamSummary, ...]
    trust: Trust

    FRAME: ClassVar[str] = "workloads"
    TABLE: ClassVar[str] = "workloads"

    def headline(self) -> str:
        """The answer in a few words."""
        return f"{len(self.workloads)} workloads of {len(self.teams)} teams"


def workloads(store: Catalogue, team: str | None = None) -> Workloads:
    """The workloads of a store or, with `team`, what that team published. Raises what the store raises.

    Asks the catalogue once and, for each workload, what is kept beside its newest traces.
    """
    entries = [entry for entry in store.traces(team=team) if entry.workload is not None]
    of_workload: dict[str, list[Entry]] = {}
    of_team: dict[str | None, list[Entry]] = {}
    for entry in entries:
        of_workload.setdefault(str(entry.workload), []).append(entry)
        of_team.setdefault(entry.team, []).append(entry)
    rows = {name: _workload(store, name, of_workload[name]) for name in sorted(of_workload)}
    teams = [_team(name, of_team[name], rows) for name in sorted(of_team, key=lambda name: (name is None, name or ""))]
    return Workloads(tuple(rows.values()), tuple(teams), Trust())


def _workload(store: Catalogue, name: str, entries: Sequence[Entry]) -> WorkloadSummary:
    """The row of a workload, whose traces are in order, newest first."""
    newest = entries[0]
    steps = [i.end_ns - i.start_ns for i in newest.iterations if i.start_ns is not None and i.end_ns is not None]
    found = next(filter(None, (_kept(store, entry) for entry in islice(entries, LOOKED_AT))), None)
    return WorkloadSummary(
        workload=name,
        teams=tuple(sorted({entry.team for entry in entries if entry.team is not None})),
        traces=len(entries),
        created=newest.created,
        newest=newest.id,
        tags=tuple(sorted({tag for entry in entries for tag in entry.tags})),
        ranks=len(newest.ranks),
        world_size=newest.world_size,
        device_model=newest.device_model,
        span_ns=newest.span_ns,
        step_ns=round(median(steps)) if steps else None,
        waterfall=None if found is None else normalised(found),
    )


def _kept(store: Traces, entry: Described) -> Waterfall | None:
    """The waterfall of the measured times that was kept last beside a trace."""
    kept = [
        each for each in store.artefacts(entry.id) if each.kind == KIND and "simulation" not in json.loads(each.key)
    ]
    for each in sorted(kept, key=lambda each: each.created, reverse=True):
        table = store.get_artefact(entry.id, KIND, each.key)
        found = None if table is None else answer_in(table, KIND, revision=entry.revision)
        if isinstance(found, Waterfall):
            return found
    return None


def _team(name: str | None, entries: Sequence[Entry], rows: dict[str, WorkloadSummary]) -> TeamSummary:
    own = sorted({str(entry.workload) for entry in entries})
    falls = [fall for workload in own if (fall := rows[workload].waterfall) is not None]
    return TeamSummary(
        team=name,
        workloads=len(own),
        traces=len(entries),
        created=entries[0].created,
        ideal_share=_mean(fall.ideal for fall in falls),
        model_flops_utilization=_mean(fall.model_flops_utilization for fall in falls),
    )


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None


__all__ = ["TeamSummary", "WorkloadSummary", "Workloads", "workloads"]
