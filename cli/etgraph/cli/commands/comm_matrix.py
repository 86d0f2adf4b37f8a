"""`etgraph comm-matrix`: who sends how much to whom."""

from __future__ import annotations

from etgraph.cli.answering import ask
from etgraph.cli.group import command, pass_settings
from etgraph.cli.options import asks_a_trace, plot_option
from etgraph.cli.settings import Settings


@command("comm-matrix")
@asks_a_trace
@plot_option
@pass_settings
def comm_matrix(settings: Settings, trace: str, rank: int | None, iteration: int | None, window: str) -> None:
    """Show the bytes that each rank sends to each other, and the time that these transfers take.

    Messages count between their two ranks; of a collective, every member sends its own part to every other one. With
    --rank, only what this rank sends.
    """
    from etgraph.cli.views.communication import matrix_view

    ask(
        settings, "comm-matrix", trace, title="Communication matrix", view=matrix_view,
        rank=rank, iteration=iteration, window=window,
    )  # fmt: skip
