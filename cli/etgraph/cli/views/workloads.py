"""Workloads for a reader: a row each, and a row for each team."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

from etgraph.cli.units import age, count, duration, percent, printable, shortened
from etgraph.cli.views.tables import grid
from etgraph.cli.views.waterfall import DOUBT, DOUBTFUL, PARTS

if TYPE_CHECKING:
    from etgraph.queries.waterfall import WaterfallRow
    from etgraph.queries.workloads import TeamSummary, Workloads, WorkloadSummary

NAME, DEVICE = 28, 18
ROOMY = 120
"""From this width on there is room for teams, ranks, devices and tags beside what steps lose."""
NO_TEAM = "(no team)"

Columns = dict[str, Callable[["WorkloadSummary"], str]]
ABOUT: Columns = {
    "team": lambda row: printable(", ".join(row.teams)) or "–",
    "ranks": lambda row: count(row.world_size or row.ranks),
    "device": lambda row: shortened(row.device_model or "–", DEVICE),
}


def workloads_view(found: Workloads, width: int) -> RenderableType:
    """The workloads, and the teams where there are any."""
    rows = found.workloads
    columns: Columns = {
        "traces": lambda row: count(row.traces),
        "newest": lambda row: age(row.created),
        "step": lambda row: duration(row.step_ns or row.span_ns or None),
    }
    kept = any(row.waterfall for row in rows)
    if width >= ROOMY or not kept:
        columns |= ABOUT
    if kept:
        columns |= {name: partial(_share, share=share) for name, share in PARTS.items()}
    if width >= ROOMY and any(row.tags for row in rows):
        columns["tags"] = lambda row: printable(" ".join(f"@{tag}" for tag in row.tags))
    texts = {"newest", "team", "device", "tags"}
    table = grid("workload", *columns, right=[name for name in columns if name not in texts])
    doubtful = [row for row in rows if row.waterfall is not None and not row.waterfall.replayable]
    for row in rows:
        name = Text(shortened(row.workload, NAME), no_wrap=True)
        if row in doubtful:
            name.append_text(DOUBTFUL)
        table.add_row(name, *(text(row) for text in columns.values()))
    parts: list[RenderableType] = [table, Text()]
    if doubtful:
        parts += [Text(DOUBT), Text()]
    if any(team.team is not None for team in found.teams):
        parts += [_teams(found.teams), Text()]
    return Group(*parts)


def _share(row: WorkloadSummary, share: Callable[[WaterfallRow], float | None]) -> str:
    return percent(None if row.waterfall is None else share(row.waterfall))


def _teams(teams: tuple[TeamSummary, ...]) -> RenderableType:
    table = grid("team", "workloads", "traces", "newest", "ideal", "MFU", right=("workloads", "traces", "ideal", "MFU"))
    for team in teams:
        shares = (percent(team.ideal_share), percent(team.model_flops_utilization))
        name = printable(team.team or NO_TEAM)
        table.add_row(name, count(team.workloads), count(team.traces), age(team.created), *shares)
    return table
