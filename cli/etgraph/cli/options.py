"""Options and arguments that several commands take."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import click

from etgraph.cli.group import remember


def pairs(context: click.Context, parameter: click.Parameter, values: Iterable[str]) -> dict[str, str]:
    """`key=value` texts as a dictionary; for the callback of a parameter that may be repeated."""
    found = {}
    for text in values:
        key, equals, value = text.partition("=")
        if not equals or not key or not value:
            raise click.BadParameter(f"found {text!r}, expected KEY=VALUE", context, parameter)
        found[key] = value
    return found


def parameters_option(help: str) -> Callable[[Any], Any]:
    """`--param KEY=VALUE`, repeatable, as parameter `parameters`."""
    return click.option("--param", "parameters", metavar="KEY=VALUE", multiple=True, callback=pairs, help=help)


class Seconds(click.FloatRange):
    """A length of time within a range; `inf` and `nan` are none."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        seconds: float = super().convert(value, param, ctx)
        if not math.isfinite(seconds):
            self.fail(f"found {value}, expected a finite number of seconds", param, ctx)
        return seconds


class Duration(click.ParamType[timedelta]):
    """A number of days, hours or weeks."""

    name = "duration"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """The time that a text such as `90d` means."""
        parts = re.fullmatch(r"([1-9]\d{0,5})([hdw])", value, re.ASCII)
        if parts is None:
            self.fail(f"found {value!r}, expected a number of hours, days or weeks, such as 12h, 90d or 4w", param, ctx)
        return int(parts[1]) * {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}[parts[2]]


class Moment(click.ParamType[str]):
    """A moment of this machine's time zone unless it tells another, or a day: its beginning, or with `end` its end."""

    name = "moment"

    def __init__(self, *, end: bool = False) -> None:
        self._days = timedelta(days=1 if end else 0)

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The moment in UTC, as ISO 8601 has it."""
        from etgraph.store.clock import written

        try:
            if re.fullmatch(r"\d{4}-\d\d-\d\d", value, re.ASCII):
                found = datetime.fromisoformat(value) + self._days
            else:
                found = datetime.fromisoformat(value)
            return written(found)
        except (ValueError, OverflowError):
            self.fail(f"found {value!r}, expected such as 2026-03-31 or 2026-03-31T18:00", param, ctx)


timeout_option: Callable[[Any], Any] = click.option(
    "--timeout", metavar="S", type=Seconds(0, min_open=True), default=60.0, show_default=True,
    help="Seconds after which the server ends the query.",
)  # fmt: skip
"""`--timeout S`, as parameter `timeout`."""


timeout_of_analysis: Callable[[Any], Any] = click.option(
    "--timeout", metavar="S", type=Seconds(0, min_open=True), expose_value=False, callback=remember,
    help="Give up after this many seconds.",
)  # fmt: skip
"""`--timeout S` of what this process works out, in the call's settings."""


def _remember_drawable(context: click.Context, parameter: click.Parameter, files: tuple[Path, ...]) -> None:
    """Refuse a file that cannot be drawn before the answer is worked out."""
    if files:
        from etgraph.model.drawing import check_file

        for file in files:
            check_file(file)
    remember(context, parameter, files)


plot_option: Callable[[Any], Any] = click.option(
    "--plot", "plots", metavar="FILE", multiple=True, type=click.Path(path_type=Path, dir_okay=False),
    expose_value=False, callback=_remember_drawable,
    help="Draw the answer: .html to look into, .png, .svg or .pdf for reports; may be repeated.",
)  # fmt: skip
"""`--plot FILE`, repeatable, in the call's settings; `etgraph.cli.answering` draws what was asked."""

_RANK: Callable[[Any], Any] = click.option(
    "--rank", type=click.IntRange(min=0), metavar="R", help="Only this rank."
)  # fmt: skip
_ITERATION: Callable[[Any], Any] = click.option(
    "--iteration", type=click.IntRange(min=0), metavar="N", help="Only this step, by its index."
)  # fmt: skip
_WINDOW: Callable[[Any], Any] = click.option(
    "--window", type=click.Choice(["annotation", "device", "launch"]), default="annotation", show_default=True,
    help="What counts as the step: its annotation on the host, its work on the device, or both together.",
)  # fmt: skip


def asks_a_trace(function: Callable[..., Any]) -> Callable[..., Any]:
    """What every question takes: TRACE, `--rank`, `--iteration` and `--window`, as keywords of their names.

    How it is answered, with `--simulation`, `--save` and `--timeout`, is in the call's settings.
    """
    return _asks(function, click.argument("trace"))


def asks_traces(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same of a question that is asked of each of several traces: `traces`, at least one."""
    return _asks(function, click.argument("traces", metavar="TRACE...", nargs=-1, required=True))


def _asks(function: Callable[..., Any], argument: Callable[..., Any]) -> Callable[..., Any]:
    return _with(
        function,
        argument,
        _RANK,
        _ITERATION,
        _WINDOW,
        click.option(
            "--simulation", metavar="ID", expose_value=False, callback=remember,
            help="On the timeline of this simulation of the stored trace; 'etgraph simulations' lists them.",
        ),
        click.option(
            "--save", is_flag=True, expose_value=False, callback=remember,
            help="Keep the answer beside the stored trace; who asks the same again gets it from there.",
        ),
        timeout_of_analysis,
    )  # fmt: skip


def asks_of_steps(function: Callable[..., Any]) -> Callable[..., Any]:
    """What a question about several traces takes beside them: `--rank`, `--iteration`, `--window` and `--timeout`."""
    return _with(function, _RANK, _ITERATION, _WINDOW, timeout_of_analysis)


def _with(function: Callable[..., Any], *options: Callable[[Any], Any]) -> Callable[..., Any]:
    for add in reversed(options):
        function = add(function)
    return function


def load_profile(context: click.Context, parameter: click.Parameter, name: str | None) -> Any:
    """The profile that a name or a path means; for the callback of an option."""
    if name is None:
        return None
    from etgraph.sim.profiles import load

    return load(name)


profile_option: Callable[[Any], Any] = click.option(
    "--profile", metavar="P", callback=load_profile,
    help="Compare with the peaks of this hardware: a profile's name or file ('etgraph profile list').",
)  # fmt: skip
"""`--profile P`, as parameter `profile`: the profile itself, None without the option."""


config_option: Callable[[Any], Any] = click.option(
    "--config", metavar="FILE", type=click.Path(path_type=Path),
    help="Settings in TOML. Else those of the file that ETGRAPH_SERVER_CONFIG names.",
)  # fmt: skip
"""`--config FILE` of a server and its workers, as parameter `config`."""


def labels_option(help: str) -> Callable[[Any], Any]:
    """`--label KEY=VALUE`, repeatable, as parameter `labels`."""
    return click.option("--label", "labels", metavar="KEY=VALUE", multiple=True, callback=pairs, help=help)


def ingested_as(command: Any) -> Any:
    """What is said of files that become traces: `--workload`, `--label`, `--commit`, `--branch`, `--each`."""
    for option in (
        click.option(
            "--each",
            is_flag=True,
            help="Make one trace of each file of a folder or archive, rather than one of all its files.",
        ),
        click.option("--branch", metavar="NAME", help="Branch of that code."),
        click.option("--commit", metavar="SHA", help="Commit of the code that ran."),
        labels_option("A label to find the trace by; may be repeated."),
        click.option(
            "--workload", metavar="NAME", help="What was run; afterwards NAME means the newest of its traces."
        ),
    ):  # each comes before those that are there
        command = option(command)
    return command


def team_option(help: str) -> Callable[[Any], Any]:
    """`--team NAME`, as parameter `team`."""
    return click.option("--team", metavar="NAME", help=help)
