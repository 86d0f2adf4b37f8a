"""Click classes: a group that imports a command when it is called, and options that work before and after it."""

from __future__ import annotations

import difflib
import importlib
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import click

from etgraph.cli import failures
from etgraph.cli.settings import Settings


@dataclass(frozen=True, slots=True)
class Entry:
    """One command in the list: where its `click.Command` lies (`module:attribute`), and what it does in a few words."""

    name: str
    target: str
    help: str
    section: str = "Commands"


def remember(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    """Callback of an option that is a field of the call's `Settings`."""
    if value:
        setattr(context.ensure_object(Settings), str(parameter.name), value)


def common_options() -> list[click.Parameter]:
    """New instances of the options that the group and every command take; what stands last counts."""

    def option(*names: str, help: str, **rest: Any) -> click.Option:
        return click.Option(names, help=help, expose_value=False, is_eager=True, callback=remember, **rest)

    return [
        option(
            "--store",
            metavar="URL",
            help="The store: a folder, neo4j://host:port or a server, https://host. Else ETGRAPH_STORE or your own.",
        ),
        option("--json", is_flag=True, help="Print the answer as one JSON document."),
        option("--quiet", "-q", is_flag=True, help="No messages and no progress; lists print ids only."),
        option("--verbose", "-v", is_flag=True, help="Name the store in use; show the traceback of an error."),
    ]


class Command(click.Command):
    """A command with the common options."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.extend(common_options())


def command(name: str, **kwargs: Any) -> Callable[[Callable[..., Any]], Command]:
    """Make a function a command of `etgraph`; its docstring is the help."""
    return click.command(name, cls=Command, **kwargs)


def pass_settings(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give the function the call's `Settings` as first argument."""
    return click.make_pass_decorator(Settings, ensure=True)(function)


class LazyGroup(click.Group):
    """A group that knows its commands by a table; listing them imports none. Errors end the process as documented."""

    def __init__(self, *args: Any, entries: Sequence[Entry] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.entries = {entry.name: entry for entry in entries}
        self.params.extend(common_options())

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order of the table."""
        return list(self.entries)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        entry = self.entries.get(cmd_name)
        if entry is None:
            return None
        module, _, attribute = entry.target.partition(":")
        found = getattr(importlib.import_module(module), attribute)
        assert isinstance(found, click.Command)
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or say which ones come near to what was typed."""
        if args and args[0] not in self.entries and not args[0].startswith("-"):
            near = difflib.get_close_matches(args[0], self.entries)
            question = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
            raise click.UsageError(f"No such command {args[0]!r}.{question}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The table, section by section."""
        for section in dict.fromkeys(entry.section for entry in self.entries.values()):
            with formatter.section(section):
                formatter.write_dl([(e.name, e.help) for e in self.entries.values() if e.section == section])

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run and exit. Takes what `click.Command.main` takes; every way to fail has its message and exit code."""
        kwargs.setdefault("obj", Settings())
        of_click: Callable[..., Any] = super().main
        return failures.run(of_click, kwargs["obj"], args, kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; what is still unwritten is written while a closed pipe can be noticed."""
        with failures.closed_pipe():
            result = super().invoke(ctx)
            sys.stdout.flush()
            return result
