"""What happens when something goes wrong: a message that helps on stderr, and an exit code.

0 done, 2 the call is wrong, 3 data is missing, damaged or out of reach, 4 the store cannot be used, 70 a defect of
etgraph itself, 130 interrupted, 141 the reader of the output went away.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, NoReturn

import click

from etgraph.cli.settings import Settings

USAGE = 2
SYSTEM = 3
DEFECT = 70
INTERRUPTED = 130
CLOSED_PIPE = 141


class ClosedPipe(Exception):
    """Nobody reads the output any more."""


def run(function: Callable[..., Any], settings: Settings, args: Sequence[Any], kwargs: Mapping[str, Any]) -> NoReturn:
    """Call click's `main` and exit with the code that fits what happened."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by who started us
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w", encoding="utf-8"))
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    typed = kwargs.get("args") or (args[0] if args else None) or sys.argv[1:]
    try:
        with readable_warnings(settings):
            code = function(*args, **{**kwargs, "standalone_mode": False})
    except ClosedPipe:
        code = CLOSED_PIPE
    except (click.Abort, KeyboardInterrupt) as error:
        click.echo("interrupted", err=True)
        # click raises its own error from that of the interrupt, whose notes say what to do next.
        for hint in getattr(error.__cause__ or error, "__notes__", ()):
            _hint(hint)
        code = INTERRUPTED
    except Exception as error:
        # A call that could not be parsed to its end may not have come to the option.
        settings.json = settings.json or "--json" in typed
        code = explain(error, settings)
    sys.exit(code if isinstance(code, int) else 0)


def explain(error: Exception, settings: Settings) -> int:
    """Print what went wrong and what to do about it; returns the exit code."""
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        click.echo(error.format_message(), err=True)
        return USAGE
    if isinstance(error, click.ClickException):
        report(settings, "BAD_USER_INPUT", error.format_message(), _usage_hint(error))
        return USAGE
    # Only now: the module's package imports numpy, and nothing above needs it.
    from etgraph.model.errors import EtgraphError

    if settings.verbose:
        import traceback

        click.echo("".join(traceback.format_exception(error)).rstrip(), err=True)
    if isinstance(error, EtgraphError):
        report(settings, error.code, error.message, error.hint)
        return error.exit_code
    if isinstance(error, (OSError, MemoryError)):
        report(settings, "SYSTEM", _of_system(error), "-v shows what it happened at")
        return SYSTEM
    words = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    hint = "please report it with the traceback above"
    if not settings.verbose:
        hint = "run the command again with -v to see the traceback, and please report it"
    report(settings, "INTERNAL", f"this is a bug in etgraph: {words}", hint)
    return DEFECT


def report(settings: Settings, code: str, message: str, hint: str | None = None) -> None:
    """One error on stderr: in words, and with --json as an object on the last line."""
    from etgraph.cli.units import printable

    click.echo(f"{click.style('error:', fg='red', bold=True)} {printable(message, keep_lines=True)}", err=True)
    if hint:
        _hint(hint)
    if settings.json:
        import json

        click.echo(json.dumps({"error": {"code": code, "message": message, "hint": hint}}), err=True)


def _hint(text: str) -> None:
    """What to do, in words."""
    from etgraph.cli.units import printable

    click.echo(f"{click.style('hint:', bold=True)} {printable(text, keep_lines=True)}", err=True)


def _of_system(error: OSError | MemoryError) -> str:
    """What the operating system refused: a file, or room on disk or in memory."""
    if isinstance(error, MemoryError):
        return "out of memory"
    what = error.strerror or str(error) or type(error).__name__
    return f"{error.filename}: {what}" if error.filename else what


def _usage_hint(error: click.ClickException) -> str | None:
    context = getattr(error, "ctx", None)
    return f"'{context.command_path} --help' shows what it takes" if context is not None else None


@contextmanager
def closed_pipe() -> Iterator[None]:
    """Turn a broken pipe into `ClosedPipe`, and keep the interpreter from complaining about it at exit."""
    try:
        yield
    except BrokenPipeError:
        with suppress(OSError, ValueError, AttributeError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, sys.stdout.fileno())
        raise ClosedPipe from None


@contextmanager
def readable_warnings(settings: Settings) -> Iterator[None]:
    """Show Python warnings as one line for a user instead of a line of code for a developer."""

    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        if not settings.quiet:
            click.echo(f"{click.style('warning:', fg='yellow', bold=True)} {message}", err=True)

    previous = warnings.showwarning
    warnings.showwarning = show
    try:
        yield
    finally:
        warnings.showwarning = previous
