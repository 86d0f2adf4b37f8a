"""`etgraph profile list`, `show` and `check`: profiles of hardware, built in and in files."""

from __future__ import annotations

from pathlib import Path

import click

from etgraph.cli.failures import SYSTEM
from etgraph.cli.group import Entry, LazyGroup, command, pass_settings
from etgraph.cli.settings import Settings

_HERE = "etgraph.cli.commands.profile"


@click.group(
    "profile",
    cls=LazyGroup,
    entries=(
        Entry("list", f"{_HERE}:list_", "The profiles that come with etgraph."),
        Entry("show", f"{_HERE}:show", "All figures of a profile, with their sources."),
        Entry("check", f"{_HERE}:check", "Whether files are profiles, and what is wrong with them."),
    ),
    no_args_is_help=True,
)
def profile() -> None:
    """Profiles of hardware: what a device and its network can do.

    Where a command takes a profile, it takes the name of a built-in one or the path of a TOML file.
    """


@command("list")
@pass_settings
def list_(settings: Settings) -> None:
    """List the built-in profiles: devices first, then nodes and clusters of them."""
    from etgraph.cli.views.profiles import profile_document, profiles_view
    from etgraph.sim.profiles import builtin_names, load

    found = sorted(map(load, builtin_names()), key=lambda each: (each.device.kind, bool(each.tiers), each.name))
    output = settings.output()
    if settings.json:
        output.document({"profiles": [profile_document(each) for each in found]})
    elif settings.quiet:
        for each in found:
            output.line(each.name)
    else:
        output.show(profiles_view(found, output.answer.width))
        output.say("'etgraph profile show NAME' tells all of one, with the sources of its figures")


@command("show")
@click.argument("name", metavar="P")
@click.option("--toml", "as_toml", is_flag=True, help="Print it as a file, whole, to write your own from.")
@pass_settings
def show(settings: Settings, name: str, as_toml: bool) -> None:
    """Show all figures of the profile P, and where each of them was published."""
    from etgraph.cli.views.profiles import profile_document, profile_view
    from etgraph.sim.profiles import dump, load

    found = load(name)
    output = settings.output()
    if settings.json:
        output.document({"profile": profile_document(found)} | ({"toml": dump(found)} if as_toml else {}))
    elif as_toml:
        for line in dump(found).splitlines():
            output.line(line)
    else:
        output.show(profile_view(found))


@command("check")
@click.argument("files", metavar="F...", nargs=-1, required=True, type=click.Path(path_type=Path))
@pass_settings
@click.pass_context
def check(context: click.Context, settings: Settings, files: tuple[Path, ...]) -> None:
    """Check the files F: say of each what it is, or all that is wrong with it, by line.

    The exit code is 3 where a file is no profile.
    """
    from etgraph.cli.failures import report
    from etgraph.cli.views.profiles import checked_document, summary
    from etgraph.model.errors import EtgraphError
    from etgraph.sim.profiles import Profile, load

    found: list[tuple[Path, Profile | EtgraphError]] = []
    for file in files:
        try:
            found.append((file, load(file)))
        except EtgraphError as error:
            found.append((file, error))
    output = settings.output()
    if settings.json:
        output.document({"checked": [checked_document(str(file), each) for file, each in found]})
    for file, each in found:
        if isinstance(each, EtgraphError):
            report(settings, each.code, each.message, each.hint)
        elif not settings.json:
            output.line(f"{file}: {summary(each)}")
    if any(isinstance(each, EtgraphError) for _, each in found):
        context.exit(SYSTEM)
