"""`etgraph ingest`: read trace files and keep them in the store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from etgraph.cli.group import command, pass_settings
from etgraph.cli.options import ingested_as
from etgraph.cli.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etgraph.cli.session import Checked, Ingested


@command("ingest")
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=click.Path(path_type=Path))
@ingested_as
@click.option("--team", metavar="NAME", help="Whose run it was.")
@click.option(
    "--workers",
    metavar="N",
    type=click.IntRange(min=1),
    help="Read ranks in N processes at a time; else as many as the machine has room for.",
)
@click.option("--resume", is_flag=True, help="Take the ranks that an ingest which broke off had read already.")
@pass_settings
def ingest(
    settings: Settings,
    paths: tuple[Path, ...],
    workload: str | None,
    team: str | None,
    labels: dict[str, str],
    commit: str | None,
    branch: str | None,
    each: bool,
    workers: int | None,
    resume: bool,
) -> int:
    """Read trace files and keep them in the store: one trace for each PATH, a file, a folder or an archive.

    The files of a folder or an archive (zip, tar, compressed or not) are the ranks of one run, unless --each is given.
    The same files again change nothing. A path that cannot be read does not stop the others; the exit code is then 3.
    With -q, print the traces' ids only. What comes under a workload is checked by the rules that the store keeps for it
    ('etgraph rules push'); whatever comes of that, the trace is stored.
    """
    from etgraph.cli.progress import watched

    with settings.session() as session, watched(settings) as progress:
        ingested = session.ingest(
            paths, each=each, workload=workload, team=team, labels=labels, commit=commit, branch=branch,
            workers=workers, resume=resume, progress=progress,
        )  # fmt: skip
    return show_ingested(settings, ingested)


def show_ingested(settings: Settings, ingested: Ingested) -> int:
    """Print what was stored, and what could not be read; returns the exit code."""
    from etgraph.cli.documents import failure_document, trace_document

    if not ingested.traces and len(ingested.failures) == 1:
        raise ingested.failures[0].error
    output = settings.output()
    if settings.json:
        failures = {"failures": [failure_document(failure) for failure in ingested.failures]}
        traces = [trace_document(info) for info in ingested.traces]
        output.document({"traces": traces} | (failures if ingested.failures else {}))
    elif settings.quiet:
        for info in ingested.traces:
            output.line(info.id)
    elif ingested.traces:
        from etgraph.cli.views.tables import ingested_view

        output.show(ingested_view(ingested.traces, output.answer.width))
    if ingested.checks:
        _tell_checks(settings, ingested.checks)
    if ingested.failures:
        from etgraph.cli.failures import report

        total = len(ingested.traces) + len(ingested.failures)
        output.say(f"{len(ingested.traces)} of {total} stored; of the rest:")
        for failure in ingested.failures:
            report(settings, failure.error.code, failure.error.message, failure.error.hint)
        return ingested.failures[0].error.exit_code
    return 0


def _tell_checks(settings: Settings, checks: Sequence[Checked]) -> None:
    """Say what came of the rules that the store keeps, and where there are alerts for it."""
    from etgraph.alerts.standing.alert import RAISED
    from etgraph.cli.units import printable
    from etgraph.cli.views.alerts import evaluation_lines

    output = settings.output()
    for each in checks:
        for line in evaluation_lines(each.evaluations):
            output.say(line)
        if each.error is not None:
            what = getattr(each.error, "message", None) or f"{type(each.error).__name__}: {each.error}"
            output.say(printable(f"{each.trace.id[:12]} is stored, and could not be checked by rules: {what}"))
        if any(one.failure or RAISED.intersection(one.verdicts.values()) for one in each.evaluations):
            output.say(f"'etgraph alerts list --trace {each.trace.id[:12]}' lists what came of it")
