"""`etgraph breakdown`: how much of a step a rank computes, communicates, copies or idles."""

from __future__ import annotations

import click

from etgraph.cli.answering import ask
from etgraph.cli.group import command, pass_settings
from etgraph.cli.options import asks_a_trace
from etgraph.cli.settings import Settings


@command("breakdown")
@asks_a_trace
@click.option(
    "--by",
    type=click.Choice(["family", "scope"]),
    help="Also what each family of kernels, or each scope, takes of it.",
)
@click.option(
    "--each",
    is_flag=True,
    help="A row for every iteration of a rank, not one for all of them; needed for steps such as #0,2.",
)
@pass_settings
def breakdown(
    settings: Settings, trace: str, rank: int | None, iteration: int | None, window: str, by: str | None, each: bool
) -> None:
    """Divide each rank's window into computation, exposed communication, exposed memory copies and idle time.

    The four add up to the window. On a rank with a device they are the device's; on a rank without one its threads
    compute. Communication counts as exposed only while the rank does not compute.
    """
    from etgraph.cli.views.breakdown import breakdown_view

    ask(
        settings, "breakdown", trace, title="Breakdown", view=breakdown_view,
        leave_out=() if by else ("rows",), rank=rank, iteration=iteration, window=window, by=by, each=each,
    )  # fmt: skip
