"""`etgraph findings`: what holds the step back, ranked by what mending it would gain."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from etgraph.cli.answering import ask
from etgraph.cli.group import command, pass_settings
from etgraph.cli.options import asks_a_trace, profile_option
from etgraph.cli.settings import Settings

if TYPE_CHECKING:
    from etgraph.sim.profiles import Profile


@command("findings")
@asks_a_trace
@click.option(
    "--threshold", type=click.FloatRange(min=0, max=1, max_open=True), default=0.004, show_default=True,
    metavar="SHARE",
    help="The least part of the step that a finding must gain.",
)  # fmt: skip
@profile_option
@pass_settings
def findings(
    settings: Settings,
    trace: str,
    rank: int | None,
    iteration: int | None,
    window: str,
    threshold: float,
    profile: Profile | None,
) -> None:
    """List what holds the step back, largest gain first: evidence, and what to do about it.

    A gain is what the median step loses in a replay in which the cause is mended. Gains do not add up: causes overlap.
    """
    from etgraph.cli.views.findings import findings_view

    ask(
        settings, "findings", trace, title="Findings", view=findings_view,
        rank=rank, iteration=iteration, window=window, profile=profile, threshold=threshold,
    )  # fmt: skip
