"""`etgraph operators`: what each operator costs, on the host and on the device, and what it achieves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from etgraph.cli.answering import ask
from etgraph.cli.group import command, pass_settings
from etgraph.cli.options import asks_a_trace, profile_option
from etgraph.cli.settings import Settings

if TYPE_CHECKING:
    from etgraph.sim.profiles import Profile


@command("operators")
@asks_a_trace
@click.option(
    "--by", type=click.Choice(["name", "kind", "scope", "shape", "source"]), default="name", show_default=True,
    help="What makes operators one row: name, Chakra's node type, module path, name with shapes, or line of code.",
)  # fmt: skip
@click.option("--lane", type=click.Choice(["host", "device"]), help="Only operators of hosts, or of devices.")
@click.option(
    "--limit", type=click.IntRange(min=1), metavar="N", default=15, show_default=True,
    help="Rows to print of each lane; the others are summed up.",
)  # fmt: skip
@click.option("--all", "everything", is_flag=True, help="Print all rows.")
@profile_option
@pass_settings
def operators(
    settings: Settings,
    trace: str,
    rank: int | None,
    iteration: int | None,
    window: str,
    by: str,
    lane: str | None,
    limit: int,
    everything: bool,
    profile: Profile | None,
) -> None:
    """Add operators up: how often they ran, what they took by themselves and with what they call, and how fast.

    Operators of devices and of hosts are apart, and each lane's shares add up to one. JSON has all rows.
    """
    from functools import partial

    from etgraph.cli.views.operators import operators_view

    view = partial(operators_view, limit=None if everything else limit)
    ask(
        settings, "operators", trace, title="Operators", view=view,
        rank=rank, iteration=iteration, window=window, by=by, lane=lane, profile=profile,
    )  # fmt: skip
