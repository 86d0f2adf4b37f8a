"""`etgraph critical-path`: what a step was waiting for, or what its length must be."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from etgraph.cli.group import command, pass_settings
from etgraph.cli.settings import Settings

if TYPE_CHECKING:
    from rich.console import RenderableType

    from etgraph.queries import CriticalPath, Slack
    from etgraph.queries.windows import Window


@command("critical-path")
@click.argument("trace")
@click.option("--rank", type=click.IntRange(min=0), metavar="R", help="Only this rank.")
@click.option("--iteration", type=click.IntRange(min=0), metavar="N", help="Only this step, by its index in the trace.")
@click.option(
    "--window",
    type=click.Choice(["annotation", "device", "launch"]),
    default="annotation",
    show_default=True,
    help="What counts as the step: its annotation on the host, its work on the device, or both together.",
)
@click.option(
    "--model",
    is_flag=True,
    help="Not the measured path but the longest chain of durations and dependencies, and every operator's slack.",
)
@click.option("--segments", is_flag=True, help="Print every segment of the path.")
@click.option("--save", is_flag=True, help="Also keep the path beside the stored trace; Cypher finds it there.")
@pass_settings
def critical_path(
    settings: Settings,
    trace: str,
    rank: int | None,
    iteration: int | None,
    window: Window,
    model: bool,
    segments: bool,
    save: bool,
) -> None:
    """Walk back from the end of the window along what each operator waited for, and say where the time went.

    The segments of the path tile the window, so that their times add up to it. Without --iteration the window is
    everything that was recorded in steps. TRACE may be a path, which is read and not stored.

    With --model, every operator runs as early as its dependencies let it, and takes its duration: how long does the
    whole take, and how much later could each operator start before it takes longer? This needs no start times.
    """
    if model and window != "annotation":
        from etgraph.model.errors import UsageError

        raise UsageError(
            f"--window {window} is for the measured path; the model has no window, only operators",
            hint="leave --window out, and choose operators with --iteration and --rank",
        )

    from etgraph.cli.documents import path_document
    from etgraph.cli.path_view import trust_line
    from etgraph.cli.progress import watched

    path: CriticalPath | Slack
    with settings.session() as session, watched(settings) as progress:
        progress(f"walking the critical path of {trace}")
        if model:
            path = session.slack(trace, rank=rank, iteration=iteration, save=save)
        else:
            path = session.critical_path(trace, rank=rank, iteration=iteration, window=window, save=save)
    output = settings.output()
    if settings.json:
        output.document(path_document(path, segments=segments))
        return
    title = f"{'Model critical path' if model else 'Critical path'} of {trace}"
    title += f", rank {rank}" if rank is not None else ""
    title += f", iteration {iteration}" if iteration is not None else ""
    view, lines = _shown(path, title, output.answer.width)
    output.show(view)
    if segments:
        for line in lines:
            output.line(line)
        output.line("")
    output.show(trust_line(path), soft_wrap=True)


def _shown(path: CriticalPath | Slack, title: str, width: int) -> tuple[RenderableType, Iterator[str]]:
    """The answer for a reader, and its segments as lines."""
    from etgraph.cli.path_view import path_view, segment_lines
    from etgraph.cli.slack_view import chain_lines, slack_view
    from etgraph.queries import Slack

    if isinstance(path, Slack):
        return slack_view(path, title, width), chain_lines(path, width)
    return path_view(path, title, width), segment_lines(path, width)
