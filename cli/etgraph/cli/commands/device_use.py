"""`etgraph device-use`: how busy the devices were, and whether the host let them starve."""

from __future__ import annotations

import click

from etgraph.cli.answering import ask
from etgraph.cli.group import command, pass_settings
from etgraph.cli.options import asks_a_trace
from etgraph.cli.settings import Settings


@command("device-use")
@asks_a_trace
@click.option("--phases", is_flag=True, help="Also print every phase; in JSON also the slices of the window.")
@pass_settings
def device_use(
    settings: Settings, trace: str, rank: int | None, iteration: int | None, window: str, phases: bool
) -> None:
    """Tell how much of the time each device worked, why it was idle, and which waits of the host stalled it.

    Busy time and the causes of idle time add up to the window. TRACE may be a path, which is read and not stored.
    """
    from etgraph.cli.views.device_use import device_use_view, phase_lines

    ask(
        settings, "device-use", trace, title="Device use", view=device_use_view,
        lines=phase_lines if phases else None, leave_out=() if phases else ("slices",), unseen=("slices",),
        rank=rank, iteration=iteration, window=window,
    )  # fmt: skip
