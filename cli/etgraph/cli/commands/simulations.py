"""`etgraph simulations`: the simulations of a trace beside each other and beside what was measured."""

from __future__ import annotations

import click

from etgraph.cli.answering import show_answer
from etgraph.cli.group import command, pass_settings
from etgraph.cli.settings import Settings


@command("simulations")
@click.argument("trace")
@click.option("--operators", is_flag=True, help="What each simulation says of every operator, beside the measured.")
@click.option(
    "--limit", type=click.IntRange(min=1), metavar="N", default=20, show_default=True,
    help="Operators to print, those that are predicted worst; JSON has all.",
)  # fmt: skip
@click.option(
    "--score", is_flag=True, help="First score the simulations of the workload's other traces that predict this one."
)
@click.option(
    "--remove", "gone", metavar="ID", multiple=True,
    help="Instead remove this simulation, with the answers that are kept on its timeline; may be repeated.",
)  # fmt: skip
@pass_settings
def simulations(
    settings: Settings, trace: str, operators: bool, limit: int, score: bool, gone: tuple[str, ...]
) -> None:
    """List the simulations that are kept beside TRACE, and how each met what was measured.

    Below them stand later traces of the workload that ran on the simulated hardware. A trace that is ingested is scored
    by itself; --score is for simulations that were kept only afterwards.
    """
    from functools import partial

    from etgraph.cli.progress import watched
    from etgraph.cli.views.simulations import simulations_view

    if gone:
        _remove(settings, trace, gone)
        return
    with settings.session() as session, watched(settings) as progress:
        progress(f"simulations of {trace}")
        result = session.simulations(trace, operators=operators, score=score)
    if settings.quiet and not settings.json:
        for each in result.simulations:
            settings.output().line(each.id)
        return
    show_answer(
        settings, result, f"Simulations of {trace}", partial(simulations_view, limit=limit),
        leave_out=() if operators else ("operators",),
    )  # fmt: skip


def _remove(settings: Settings, trace: str, names: tuple[str, ...]) -> None:
    output = settings.output()
    with settings.session() as session:
        removed = [session.remove_simulation(trace, name) for name in names]
    if settings.json:
        output.document({"removed": [{"id": identity} for identity in removed]})
    for identity in removed:
        output.say(f"removed simulation {identity} of {trace}")
