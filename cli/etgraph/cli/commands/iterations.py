"""`etgraph iterations`: how long each step took, and which were unlike the others."""

from __future__ import annotations

import click

from etgraph.cli.answering import ask
from etgraph.cli.group import command, pass_settings
from etgraph.cli.options import asks_a_trace
from etgraph.cli.settings import Settings


@command("iterations")
@asks_a_trace
@click.option("--every-rank", is_flag=True, help="Also print each step of each rank.")
@pass_settings
def iterations(
    settings: Settings, trace: str, rank: int | None, iteration: int | None, window: str, every_rank: bool
) -> None:
    """Tell the time of every step, the steps before it settles, outliers, and what made them so.

    A step over all ranks lasts from its earliest start to its latest end. TRACE may be a path, which is read and not
    stored.
    """
    from etgraph.cli.views.iterations import iterations_view, rank_lines

    ask(
        settings, "iterations", trace, title="Iterations", view=iterations_view,
        lines=rank_lines if every_rank else None, rank=rank, iteration=iteration, window=window,
    )  # fmt: skip
