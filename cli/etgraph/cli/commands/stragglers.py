"""`etgraph stragglers`: which ranks the others wait for, how long, and why."""

from __future__ import annotations

import click

from etgraph.cli.answering import ask
from etgraph.cli.group import command, pass_settings
from etgraph.cli.options import asks_a_trace
from etgraph.cli.settings import Settings


@command("stragglers")
@asks_a_trace
@click.option(
    "--all", "every", is_flag=True, help="Look for the causes of every rendezvous, not of the costliest, and list all."
)
@pass_settings
def stragglers(
    settings: Settings, trace: str, rank: int | None, iteration: int | None, window: str, every: bool
) -> None:
    """For each collective, and each message that was waited for: who came last, what the others lost, and why.

    The rank that comes last is charged with the waiting. Why it was late is the critical path on it since its previous
    rendezvous, beside what the other ranks did meanwhile. TRACE may be a path, which is read and not stored.
    """
    from etgraph.cli.views.stragglers import rendezvous_lines, stragglers_view

    ask(
        settings, "stragglers", trace, title="Stragglers", view=stragglers_view,
        lines=rendezvous_lines if every else None,
        rank=rank, iteration=iteration, window=window, explain="all" if every else "costliest",
    )  # fmt: skip
