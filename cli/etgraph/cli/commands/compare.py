"""`etgraph compare`: what changed from one trace to another, and what each change costs."""

from __future__ import annotations

import click

from etgraph.cli.answering import ask_several, part
from etgraph.cli.group import command, pass_settings, remember
from etgraph.cli.options import asks_of_steps, plot_option
from etgraph.cli.settings import Settings


@command("compare")
@click.argument("base")
@click.argument("other")
@click.option("--base", "more_base", metavar="REF", multiple=True, help="One more run of the base; may be repeated.")
@click.option("--other", "more_other", metavar="REF", multiple=True, help="One more run of the other side.")
@click.option(
    "--by",
    type=click.Choice(["operator", "scope", "category", "source"]),
    default="operator",
    show_default=True,
    help="What the difference is split into.",
)
@click.option("--all", "show_all", is_flag=True, help="Show every contribution, not only the largest.")
@click.option(
    "--simulation", metavar="ID", expose_value=False, callback=remember,
    help="OTHER on the timeline of this simulation of it; 'etgraph simulations' lists them.",
)  # fmt: skip
@asks_of_steps
@plot_option
@pass_settings
def compare(
    settings: Settings,
    base: str,
    other: str,
    more_base: tuple[str, ...],
    more_other: tuple[str, ...],
    by: str,
    show_all: bool,
    rank: int | None,
    iteration: int | None,
    window: str,
) -> None:
    """Say what makes a step of OTHER longer or shorter than one of BASE: changes of the program, then each part.

    Contributions are times on the measured critical paths of both; with what is unexplained they add up to the
    difference. A suffix such as #0,2,4 keeps only these steps of a trace, so that steps of one run can be compared.
    """
    from functools import partial

    from etgraph.cli.views.comparison import comparison_view

    sides = [base, *more_base], [other, *more_other]
    names = (f"{refs[0]}{f' and {len(refs) - 1} more' if refs[1:] else ''}" for refs in sides)
    title = f"Comparison by {by} of {' with '.join(names)}"
    ask_several(
        settings, "compare", *sides, title=part(title, rank=rank, iteration=iteration, simulation=settings.simulation),
        view=partial(comparison_view, show_all=show_all), rank=rank, iteration=iteration, window=window, by=by,
    )  # fmt: skip
