"""`etgraph sweep`: a trace on many variations of hardware, and which of them are worth having."""

from __future__ import annotations

from pathlib import Path

import click

from etgraph.cli.answering import draw_plots, trust_line
from etgraph.cli.failures import SYSTEM
from etgraph.cli.group import command, pass_settings
from etgraph.cli.options import plot_option
from etgraph.cli.settings import Settings


@command("sweep")
@click.argument("trace")
@click.option(
    "--grid",
    "grid_file",
    metavar="FILE",
    required=True,
    type=click.Path(path_type=Path),
    help="What to vary: a TOML file with base profiles, values of their figures, and choices beside them.",
)
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    metavar="N",
    help="Predict points in N processes at a time; else in as many as pay off.",
)
@click.option(
    "-o",
    "--output",
    "folder",
    metavar="FOLDER",
    type=click.Path(path_type=Path, file_okay=False),
    help="Keep points here, as they come, and at the end a table of all of them; else in your cache.",
)
@click.option("--resume", is_flag=True, help="Take the points that were kept before, and predict the others.")
@click.option("--save", is_flag=True, help="Keep the answer beside the stored trace.")
@plot_option
@click.option("--all", "every", is_flag=True, help="Print all points, not the best ones alone.")
@pass_settings
@click.pass_context
def sweep(
    context: click.Context, settings: Settings, trace: str, grid_file: Path, workers: int | None,
    folder: Path | None, resume: bool, save: bool, every: bool,
) -> None:  # fmt: skip
    """Predict TRACE on every point of a grid: its step time, what it costs, and where the time goes.

    Points on the front are those of which no other one is better in all objectives. A point that fails is a row with
    its error; the exit code is 3 where all of them do.
    """
    from etgraph.cli.progress import watched
    from etgraph.cli.units import printable
    from etgraph.cli.views.sweep import sweep_document, sweep_view, write_table
    from etgraph.sim.sweeps import load

    grid = load(grid_file)
    with settings.session() as session, watched(settings) as progress:
        found = session.sweep(trace, grid, workers=workers, folder=folder, resume=resume, save=save, progress=progress)
    output, title = settings.output(), f"Sweep of {trace}"
    if settings.json:
        output.document(sweep_document(found))
    else:
        output.show(sweep_view(found, title, output.answer.width, every=every))
        output.show(trust_line(found), soft_wrap=True)
    if folder is not None:
        output.say(f"wrote {printable(str(write_table(found, folder)))}")
    if all(point.error is not None for point in found.points):
        context.exit(SYSTEM)
    draw_plots(settings, found, title)
