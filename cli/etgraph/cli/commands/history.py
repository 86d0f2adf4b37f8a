"""`etgraph history`: a metric over the runs of a workload, and since which run it is something else."""

from __future__ import annotations

import click

from etgraph.cli.answering import limited, show_answer
from etgraph.cli.group import command, pass_settings
from etgraph.cli.options import plot_option, timeout_of_analysis
from etgraph.cli.settings import Settings

MOST = 1000


@command("history")
@click.argument("workload")
@click.argument("metric")
@click.option(
    "--last", metavar="N", type=click.IntRange(1, MOST), default=50, show_default=True, help="Only the newest N runs."
)
@click.option("--branch", metavar="B", help="Only runs of this branch.")
@plot_option
@timeout_of_analysis
@pass_settings
def history(settings: Settings, workload: str, metric: str, last: int, branch: str | None) -> None:
    """Show a METRIC over the runs of a WORKLOAD, and since which of them it is another one, by how much.

    METRIC is what rules measure, such as iterations.durationNs or breakdown.exposedCommunicationNs; of a run's steps
    it is the median. Changes are those that last and that the noise of the runs does not explain.
    """
    from etgraph.alerts.history_chart import chart_of
    from etgraph.cli.progress import watched
    from etgraph.cli.views.history import history_view

    with settings.session() as session, watched(settings) as progress, limited(settings.timeout):
        found = session.history(workload, metric, last=last, branch=branch, progress=progress)
    title = f"{metric} of {workload}{f', branch {branch}' if branch is not None else ''}"
    show_answer(settings, found, title, history_view, picture=chart_of)
