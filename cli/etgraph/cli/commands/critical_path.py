"""`etgraph critical-path`: what a step was waiting for, or what its length must be."""

from __future__ import annotations

import click

from etgraph.cli.answering import ask
from etgraph.cli.group import command, pass_settings
from etgraph.cli.options import asks_a_trace, plot_option
from etgraph.cli.settings import Settings


@command("critical-path")
@asks_a_trace
@click.option(
    "--model",
    is_flag=True,
    help="Not the measured path but the longest chain of durations and dependencies, and every operator's slack.",
)
@click.option("--segments", is_flag=True, help="Print every segment of the path.")
@plot_option
@pass_settings
def critical_path(
    settings: Settings,
    trace: str,
    rank: int | None,
    iteration: int | None,
    window: str,
    model: bool,
    segments: bool,
) -> None:
    """Walk back from the end of the window along what each operator waited for, and say where the time went.

    The segments of the path tile the window, so that their times add up to it. Without --iteration the window is
    everything that was recorded in steps. TRACE may be a path, which is read and not stored.

    With --model, every operator runs as early as its dependencies let it, and takes its duration: how long does the
    whole take, and how much later could each operator start before it takes longer? This needs no start times.
    """
    if model:
        _ask_model(settings, trace, rank, iteration, window, segments=segments)
        return

    from etgraph.cli.views.path import path_view, segment_lines

    ask(
        settings, "critical-path", trace, title="Critical path", view=path_view,
        lines=segment_lines if segments else None, leave_out=() if segments else ("segments",),
        rank=rank, iteration=iteration, window=window,
    )  # fmt: skip


def _ask_model(
    settings: Settings, trace: str, rank: int | None, iteration: int | None, window: str, *, segments: bool
) -> None:
    from etgraph.model.errors import UsageError

    if settings.plots:
        raise UsageError("--plot draws the measured path; the model's has no picture", hint="leave --model out")
    if window != "annotation":
        raise UsageError(
            f"--window {window} is for the measured path; the model has no window, only operators",
            hint="leave --window out, and choose operators with --iteration and --rank",
        )

    from etgraph.cli.views.slack import chain_lines, slack_view

    ask(
        settings, "slack", trace, title="Model critical path", view=slack_view,
        lines=chain_lines if segments else None,
        leave_out=() if segments else ("segments", "operators"), unseen=("operators",),
        rank=rank, iteration=iteration,
    )  # fmt: skip
