"""`etgraph check`: a gate for continuous integration, by rules about a run and about what it became."""

from __future__ import annotations

from pathlib import Path

import click

from etgraph.cli.group import command, pass_settings
from etgraph.cli.options import timeout_of_analysis
from etgraph.cli.settings import Settings


@command("check")
@click.argument("traces", metavar="REF...", nargs=-1, required=True)
@click.option(
    "--rules", "files", metavar="F", multiple=True,
    help="A file of rules, or 'default' for those that come with etgraph; may be repeated.",
)  # fmt: skip
@click.option(
    "--baseline", metavar="B", multiple=True,
    help="What to compare with: a trace, branch:NAME, or last:N[:BRANCH]; may be repeated for several runs.",
)  # fmt: skip
@click.option("--workload", metavar="NAME", help="Where branch: and last: look, for traces that are not stored.")
@click.option(
    "--output", "outputs", metavar="FORMAT[=FILE]", multiple=True,
    help="Write a report: text, json, junit, sarif, github, github-summary, gitlab or markdown; may be repeated.",
)  # fmt: skip
@click.option(
    "--fail-on", type=click.Choice(["undecided"]), help="Fail, too, where the data cannot decide a rule of level error."
)
@timeout_of_analysis
@pass_settings
@click.pass_context
def check(
    context: click.Context,
    settings: Settings,
    traces: tuple[str, ...],
    files: tuple[str, ...],
    baseline: tuple[str, ...],
    workload: str | None,
    outputs: tuple[str, ...],
    fail_on: str | None,
) -> None:
    """Check runs by rules: budgets of each run, and what became worse than in the baseline, with who is responsible.

    Several REF are runs of the same: budgets are checked on each, and all together are compared with the baseline.
    Without --rules the rules that come with etgraph apply. The exit code is 0 where nothing is broken, 1 where a rule
    of level error is, 2 for a mistake in the call or a rule, 3 for data that is missing, damaged or cannot be compared,
    4 where the store cannot be used.
    """
    from etgraph.alerts.exits import exit_code
    from etgraph.alerts.reports import spared, write_all
    from etgraph.alerts.rules import load
    from etgraph.cli.answering import limited
    from etgraph.cli.progress import watched
    from etgraph.cli.views.check import reports_of

    reports = reports_of(settings, outputs)
    rules = load([file if file in ("", "default") else Path(file) for file in files])
    spared(reports, [*files, *traces, *baseline])
    with settings.session() as session, watched(settings) as progress, limited(settings.timeout):
        found = session.check(traces, rules, baseline=baseline, workload=workload, progress=progress)
    write_all(found, reports)
    context.exit(exit_code(found, fail_on_undecided=fail_on == "undecided"))
