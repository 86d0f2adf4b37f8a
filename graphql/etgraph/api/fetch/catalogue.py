"""The catalogue: traces, workloads and tags."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from etgraph.api.context import Context
from etgraph.api.fetch.analyses import OpenOnce
from etgraph.api.fetch.batches import One, alone
from etgraph.api.fetch.lists import Listed, page_of
from etgraph.model import Report
from etgraph.queries import Workloads
from etgraph.queries import workloads as workload_summaries
from etgraph.store import IterationInfo, TraceInfo, WorkloadInfo, describe


@dataclass(frozen=True, slots=True)
class ReadFile:
    """A file that a trace was read from. Size and checksum are of its decompressed content.

    `rank_from` says how the rank was told; `metadata` is what a Chakra file says of itself, null for other formats.
    """

    name: str
    format: str
    rank: int
    rank_from: str
    bytes: int
    sha256: str
    metadata: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class MatchReport(Report):
    """How files became a graph: counts of what was found, linked and left, warnings in words, files left out.

    `pairs` says for each rank whose host and device file were linked what these are of each other; `counts` holds what
    only some formats have.
    """

    files: tuple[ReadFile, ...] = ()


@dataclass(frozen=True, slots=True)
class TracePart:
    """What is known of some iterations of a trace: `operators` and `collectives` count those that belong to them."""

    ranks: tuple[int, ...]
    operators: int
    dependencies: dict[str, int]
    collectives: int
    span_ns: int
    iterations: tuple[IterationInfo, ...]


@dataclass(frozen=True, slots=True)
class Tag:
    """A name for one of a workload's traces, as in `workload@name`."""

    workload: str
    name: str
    trace: One[TraceInfo]


def trace(context: Context, reference: str) -> One[TraceInfo]:
    """The trace that a reference means."""
    return alone(context.once(("find", reference), lambda: context.store.find(reference)))


def traces(
    context: Context,
    *,
    workload: str | None = None,
    team: str | None = None,
    labels: Mapping[str, str],
    first: int,
    after: str | None = None,
) -> Listed[One[TraceInfo]]:
    """Entries of the catalogue, newest first."""
    found = _entries(context, workload=workload, team=team, labels=labels)
    return _page(found, f"traces {workload} {team} {sorted(labels.items())}", first=first, after=after)


def workloads(
    context: Context, *, team: str | None = None, first: int, after: str | None = None
) -> Listed[One[WorkloadInfo]]:
    """Workloads, those with the newest traces first."""
    found = context.store.workloads(team)
    return page_of(found, lambda one: (one.newest, one.name), f"workloads {team}", first=first, after=after)


def workload(context: Context, name: str) -> One[WorkloadInfo] | None:
    """The workload of that name, None where there is none."""
    return next((alone(one) for one in context.store.workloads() if one.name == name), None)


def traces_of(
    context: Context, one: One[WorkloadInfo], *, first: int, after: str | None = None
) -> Listed[One[TraceInfo]]:
    """Entries of a workload, newest first; those of all workloads of a page are fetched at once."""

    def fetch(asked: Sequence[WorkloadInfo]) -> list[list[TraceInfo]]:
        found = _entries(context, workload=asked[0].name if len(asked) == 1 else None)
        return [[each for each in found if each.workload == wanted.name] for wanted in asked]

    return _page(one.ask("traces", fetch), f"traces of {one.name}", first=first, after=after)


def tags(context: Context, *, workload: str | None = None) -> list[Tag]:
    """Tags by workload and name."""
    found = [
        Tag(each.workload, name, alone(each))
        for each in _entries(context, workload=workload)
        for name in each.tags
        if each.workload is not None
    ]
    return sorted(found, key=lambda tag: (tag.workload, tag.name))


def report(info: TraceInfo) -> MatchReport:
    """How the files of a trace became a graph."""
    files = tuple(
        ReadFile(
            source.name, source.format, source.rank, source.rank_from, source.bytes, source.sha256,
            dict(source.document) if source.format.startswith("chakra") else None,
        )
        for source in info.sources
    )  # fmt: skip
    known = {name: getattr(info.report, name) for name in Report.__dataclass_fields__}
    return MatchReport(**known, files=files)


def part(context: Context, info: TraceInfo, iterations: Sequence[int]) -> TracePart:
    """What is known of some iterations of a trace, which is opened for it."""
    found = describe(OpenOnce(context).load(info.id).select_iterations(tuple(iterations)))
    return TracePart(**{name: getattr(found, name) for name in TracePart.__dataclass_fields__})


def summaries(context: Context, team: str | None = None) -> Workloads:
    """The workloads of the store with what their steps lose, and a summary of each team."""
    return workload_summaries(context.store, team)


def _entries(
    context: Context, *, workload: str | None = None, team: str | None = None, labels: Mapping[str, str] | None = None
) -> list[TraceInfo]:
    return context.store.traces(workload=workload, team=team, labels=labels)


def _page(found: Sequence[TraceInfo], name: str, *, first: int, after: str | None) -> Listed[One[TraceInfo]]:
    return page_of(found, lambda one: (one.created or "", one.id, one.workload or ""), name, first=first, after=after)


__all__ = ["MatchReport", "ReadFile", "Tag", "TracePart", "part", "report", "summaries", "tags", "trace", "traces",
           "traces_of", "workload", "workloads"]  # fmt: skip
