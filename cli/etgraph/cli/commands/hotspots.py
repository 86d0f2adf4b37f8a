"""`etgraph hotspots`: which communication costs the most, and how much of it is waiting."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from etgraph.cli.answering import ask
from etgraph.cli.group import command, pass_settings
from etgraph.cli.options import asks_a_trace, profile_option
from etgraph.cli.settings import Settings

if TYPE_CHECKING:
    from etgraph.sim.profiles import Profile


@command("hotspots")
@asks_a_trace
@click.option(
    "--by",
    type=click.Choice(["type", "group", "size", "scope"]),
    default="type",
    show_default=True,
    help="What collectives and messages are grouped by.",
)
@profile_option
@pass_settings
def hotspots(
    settings: Settings,
    trace: str,
    rank: int | None,
    iteration: int | None,
    window: str,
    by: str,
    profile: Profile | None,
) -> None:
    """List collectives and messages, costliest first: waiting, transfer, exposed and critical time, bandwidth.

    Times are summed over the ranks; waiting ends when the last rank has come, and bandwidths are of the transfer alone.
    """
    from etgraph.cli.views.communication import hotspots_view

    ask(
        settings, "hotspots", trace, title=f"Communication by {by}", view=hotspots_view,
        rank=rank, iteration=iteration, window=window, by=by, profile=profile,
    )  # fmt: skip
