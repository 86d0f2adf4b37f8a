"""`etgraph profile list`, `show`, `check` and `fit`: profiles of hardware, built in and in files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from etgraph.cli.failures import SYSTEM
from etgraph.cli.group import Entry, LazyGroup, command, pass_settings
from etgraph.cli.options import load_profile
from etgraph.cli.settings import Settings

if TYPE_CHECKING:
    from etgraph.sim.profiles import Profile

_HERE = "etgraph.cli.commands.profile"


@click.group(
    "profile",
    cls=LazyGroup,
    entries=(
        Entry("list", f"{_HERE}:list_", "The profiles that come with etgraph."),
        Entry("show", f"{_HERE}:show", "All figures of a profile, with their sources."),
        Entry("check", f"{_HERE}:check", "Whether files are profiles, and what is wrong with them."),
        Entry("fit", f"{_HERE}:fit", "A profile fitted on traces of the device."),
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
    from etgraph.sim.profiles import load

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


@command("fit")
@click.argument("traces", metavar="REF...", nargs=-1, required=True)
@click.option(
    "-o",
    "--output",
    "target",
    metavar="F",
    type=click.Path(path_type=Path),
    required=True,
    help="The file to write; one that is there is not overwritten.",
)
@click.option(
    "--profile",
    "base",
    metavar="P",
    callback=load_profile,
    help="The profile to start from; else the built-in one of the device that the traces name.",
)
@click.option("--name", metavar="NAME", help="The name of the new profile; else that of the file.")
@pass_settings
def fit(settings: Settings, traces: tuple[str, ...], target: Path, base: Profile | None, name: str | None) -> None:
    """Calibrate a profile on the traces REF and write it to a file.

    How well kernels of each family do is fitted where operators with recorded dims ran on a device; what collectives
    cost, where all their ranks were recorded. The versions of libraries that it holds for stand in the file.
    """
    from etgraph.cli.progress import watched
    from etgraph.cli.views.profiles import profile_document, profile_view
    from etgraph.model.errors import UsageError
    from etgraph.sim.profiles import dump

    if target.exists():
        raise UsageError(f"{target} is there already", hint="name another file, or remove it first")
    with settings.session() as session, watched(settings) as progress:
        progress(f"fitting on {', '.join(traces)}")
        found = session.calibrate(traces, base, name or target.stem)
    try:
        with target.open("x", encoding="utf-8") as file:
            file.write(dump(found))
    except OSError as error:
        raise UsageError(f"{target}: cannot be written: {error.strerror}") from error
    output = settings.output()
    if settings.json:
        output.document({"profile": profile_document(found), "file": str(target)})
        return
    output.show(profile_view(found))
    output.say(f"written to {target}; 'etgraph simulate REF --profile {target}' predicts with it")
