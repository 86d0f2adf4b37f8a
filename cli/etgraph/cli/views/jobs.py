"""Jobs of a server for a reader: what each does, how far it is, and why it has failed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.text import Text

from etgraph.cli.units import printable
from etgraph.cli.views.tables import grid

if TYPE_CHECKING:
    from rich.console import RenderableType

    from etgraph.cli.settings import Settings


def jobs_shown(settings: Settings, jobs: Sequence[Mapping[str, Any]], *, one: bool = False) -> None:
    """Print jobs, each as the server's API has it; with `one`, there is one alone."""
    output = settings.output()
    if settings.json:
        output.document({"job": jobs[0]} if one else {"jobs": list(jobs)})
    elif settings.quiet:
        for job in jobs:
            output.line(job["id"])
    elif jobs:
        output.show(jobs_table(jobs))
        for job in jobs if one else ():
            for each in [*job["failures"], *([job["error"]] if job["error"] else [])]:
                output.line(printable(f"{each['file'] or 'all of it'}: {each['message']}"))
            for trace in job["traceIds"]:
                output.line(f"trace {trace}")
    else:
        output.say("the server has no jobs; 'etgraph push PATH' makes one")


def jobs_table(jobs: Sequence[Mapping[str, Any]]) -> RenderableType:
    """A row for each job."""
    table = grid("job", "does", "is", "for", "since", "at")
    for job in jobs:
        total = f" {job['done']:,} of {job['total']:,}" if job["total"] else ""
        table.add_row(
            job["id"], job["kind"], Text(job["state"], style="red" if job["state"] == "failed" else ""),
            printable(job["by"]), job["created"][:19], printable(f"{job['step'] or ''}{total}"),
        )  # fmt: skip
    return table


__all__ = ["jobs_shown", "jobs_table"]
