"""`etgraph critical-path`: what a step was waiting for, from its start to its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from etgraph.cli.group import command, pass_settings
from etgraph.cli.settings import Settings

if TYPE_CHECKING:
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
@click.option("--segments", is_flag=True, help="Print every segment of the path.")
@pass_settings
def critical_path(
    settings: Settings, trace: str, rank: int | None, iteration: int | None, window: Window, segments: bool
) -> None:
    """Walk back from the end of the window along what each operator waited for, and say where the time went.

    The segments of the path tile the window, so that their times add up to it. Without --iteration the window is
    everything that was recorded in steps. TRACE may be a path, which is read and not stored.
    """
    from etgraph.cli.documents import path_document
    from etgraph.cli.path_view import path_view, segment_lines, trust_line
    from etgraph.cli.progress import watched

    with settings.session() as session, watched(settings) as progress:
        progress(f"walking the critical path of {trace}")
        path = session.critical_path(trace, rank=rank, iteration=iteration, window=window)
    output = settings.output()
    if settings.json:
        output.document(path_document(path, segments=segments))
        return
    title = f"Critical path of {trace}"
    title += f", rank {rank}" if rank is not None else ""
    title += f", iteration {iteration}" if iteration is not None else ""
    output.show(path_view(path, title, output.answer.width))
    if segments:
        for line in segment_lines(path, output.answer.width):
            output.line(line)
        output.line("")
    output.show(trust_line(path), soft_wrap=True)
