"""Progress on stderr while something takes long, on a terminal only."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from etgraph.cli.output import console
from etgraph.cli.settings import Settings
from etgraph.model.progress import Progress, silent


@contextmanager
def watched(settings: Settings) -> Iterator[Progress]:
    """A line with a spinner, the present step and the time it took so far; it goes when the work is done."""
    if settings.quiet or not sys.stderr.isatty():
        yield silent
        return
    from rich.progress import MofNCompleteColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Display

    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    with Display(*columns, console=console(sys.stderr), transient=True) as display:
        task = display.add_task("starting", total=None)
        counter = MofNCompleteColumn()

        def step(step: str, done: int = 0, total: int | None = None) -> None:
            if total is not None and total > 1 and counter not in display.columns:
                display.columns = (*display.columns, counter)
            display.update(task, description=step, completed=done, total=total)

        yield step
