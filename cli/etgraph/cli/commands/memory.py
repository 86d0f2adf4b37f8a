"""`etgraph memory`: how much memory was in use over time, when most of it, and what held it."""

from __future__ import annotations

import click

from etgraph.cli.answering import ask
from etgraph.cli.group import command, pass_settings
from etgraph.cli.options import asks_a_trace
from etgraph.cli.settings import Settings


@command("memory")
@asks_a_trace
@click.option(
    "--by", type=click.Choice(["name", "scope", "source"]), default="name", show_default=True,
    help="What of the operators that allocated memory tells it apart: name, module path, or line of code.",
)  # fmt: skip
@pass_settings
def memory(settings: Settings, trace: str, rank: int | None, iteration: int | None, window: str, by: str) -> None:
    """Follow the allocations of each device through the window, to the peak and to what held it.

    This needs memory events, which PyTorch's profiler records with profile_memory=True. The chart and the holders are
    those of the device with the highest peak; JSON has all devices.
    """
    from etgraph.cli.views.memory import memory_view

    ask(
        settings, "memory", trace, title="Memory", view=memory_view,
        rank=rank, iteration=iteration, window=window, by=by,
    )  # fmt: skip
