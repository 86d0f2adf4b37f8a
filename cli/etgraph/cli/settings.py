"""What the common options of one call say, and where its session comes from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from etgraph.cli.output import Output
    from etgraph.cli.session import Session


def _open_session(settings: Settings) -> Session:
    from etgraph.cli.session import open_session

    return open_session(settings.store)


@dataclass(slots=True)
class Settings:
    """The common options, and those that analyses take: to save the answer, the seconds that it has, the simulation on
    whose timeline it is asked, and the files that it is drawn into.

    `open_session` is a field so that commands can be tried on another session.
    """

    store: str | None = None
    json: bool = False
    quiet: bool = False
    verbose: bool = False
    save: bool = False
    timeout: float | None = None
    simulation: str | None = None
    plots: tuple[Path, ...] = ()
    open_session: Callable[[Settings], Session] = _open_session

    def session(self) -> Session:
        """The store or server that this call talks to; a context manager."""
        session = self.open_session(self)
        if self.verbose and not self.quiet:
            click.echo(f"store: {session.url}", err=True)
        return session

    def output(self) -> Output:
        """Where this call's answer and messages go."""
        from etgraph.cli.output import Output

        return Output(json=self.json, quiet=self.quiet)
