"""`etgraph rules init`, `lint`, `test` and `explain`: files of rules for `etgraph check`. Rules that a store keeps are
those of `kept_rules`.
"""

from __future__ import annotations

from pathlib import Path

import click

from etgraph.cli.group import Entry, LazyGroup, command, pass_settings
from etgraph.cli.settings import Settings

_HERE = "etgraph.cli.commands.rules"
_KEPT = "etgraph.cli.commands.kept_rules"
_FAILED = 1


@click.group(
    "rules",
    cls=LazyGroup,
    entries=(
        Entry("init", f"{_HERE}:init", "A first file of rules, from what a run measures."),
        Entry("lint", f"{_HERE}:lint", "Whether files are rules, and all that is wrong with them."),
        Entry("test", f"{_HERE}:test", "Whether rules find what they are to find in traces."),
        Entry("explain", f"{_HERE}:explain", "What a rule measures, and when it is broken."),
        Entry("push", f"{_KEPT}:push", "Have the store check what comes by a file of rules.", "Rules of the store"),
        Entry("list", f"{_KEPT}:list_", "The rules that the store keeps.", "Rules of the store"),
        Entry("show", f"{_KEPT}:show", "A file of rules as it was pushed.", "Rules of the store"),
        Entry("remove", f"{_KEPT}:remove", "Take rules away; their alerts are resolved.", "Rules of the store"),
    ),
    no_args_is_help=True,
)
def rules() -> None:
    """Rules: budgets of a run, and how much worse than a baseline it may be.

    'etgraph check' checks runs by files of them. Those that the store keeps are for every trace that comes, and raise
    alerts ('etgraph alerts').
    """


@command("init")
@click.argument("trace", metavar="REF")
@click.option(
    "-o", "--output", "target", metavar="F", type=click.Path(path_type=Path), required=True,
    help="The file to write; one that is there is not overwritten.",
)  # fmt: skip
@click.option(
    "--baseline", metavar="B", multiple=True,
    help="Rules that compare as well, with this, named as for 'etgraph check'; may be repeated.",
)  # fmt: skip
@click.option("--comparing", is_flag=True, help="Rules that compare as well, with the baseline of each check.")
@pass_settings
def init(settings: Settings, trace: str, target: Path, baseline: tuple[str, ...], comparing: bool) -> None:
    """Write the rules that come with etgraph to F, with budgets a fifth above what the run REF measures."""
    from etgraph.alerts.rules import load
    from etgraph.alerts.rules.starting import first_rules
    from etgraph.cli.progress import watched
    from etgraph.model.errors import UsageError

    if target.exists():
        raise UsageError(f"{target} is there already", hint="name another file, or remove it first")
    with settings.session() as session, watched(settings) as progress:
        result = session.check([trace], load([]), progress=progress)
    text = first_rules(result, baseline, comparing=comparing)
    try:
        with target.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise UsageError(f"{target}: cannot be written: {error.strerror}") from error
    count = len(load([target]))
    output = settings.output()
    if settings.json:
        output.document({"file": str(target), "rules": count})
        return
    words = f"REF{' --baseline B' * (comparing and not baseline)} --rules {target}"
    output.say(f"wrote {count} rules to {target}; 'etgraph check {words}' checks by them")


@command("lint")
@click.argument("files", metavar="F...", nargs=-1, required=True)
@pass_settings
def lint(settings: Settings, files: tuple[str, ...]) -> None:
    """Read the files F as one set of rules: say how many there are, or all that is wrong, by file and line.

    The exit code is 2 where something is.
    """
    from etgraph.alerts.rules import load

    found = load(files)
    output = settings.output()
    if settings.json:
        output.document(
            {
                "rules": [
                    {"id": one.rule.id, "level": one.rule.level, "file": one.file, "line": one.line} for one in found
                ]
            }
        )
        return
    for file in dict.fromkeys(one.file for one in found):
        count = sum(one.file == file for one in found)
        output.line(f"{file}: {count} rule{'s' * (count != 1)}")


@command("test")
@click.argument("files", metavar="F...", nargs=-1, required=True, type=click.Path(path_type=Path))
@pass_settings
@click.pass_context
def test(context: click.Context, settings: Settings, files: tuple[Path, ...]) -> None:
    """Try the tests in the files F: traces, and what rules are to find in them.

    The exit code is 1 where one does not hold, 2 where a file is no file of tests.
    """
    from etgraph.alerts.rules.trying import Tried, try_rules
    from etgraph.cli.progress import watched
    from etgraph.cli.units import counted, printable

    tried: list[Tried] = []
    with settings.session() as session, watched(settings) as progress:
        for file in files:
            tried += try_rules(
                file,
                lambda traces, rules, baseline, workload: session.check(
                    traces, rules, baseline=baseline, workload=workload, progress=progress
                ),
            )
    output = settings.output()
    failed = [one for one in tried if one.failures]
    if settings.json:
        output.document(
            {"tests": [{"file": one.file, "name": one.name, "failures": list(one.failures)} for one in tried]}
        )
    else:
        for one in tried:
            output.line(printable(f"{'FAILED' if one.failures else 'ok':<7} {one.file}: {one.name}"))
            for failure in one.failures:
                output.line(printable(f"        {failure}"))
        output.line(f"{counted(len(tried), 'test')}, {len(failed)} failed")
    if failed:
        context.exit(_FAILED)


@command("explain")
@click.argument("name", metavar="ID")
@click.option(
    "--rules", "files", metavar="F", multiple=True,
    help="The file that the rule is in, else those that come with etgraph; may be repeated.",
)  # fmt: skip
@pass_settings
def explain(settings: Settings, name: str, files: tuple[str, ...]) -> None:
    """Tell what the rule ID asks, how its numbers become one, and when it is broken."""
    from etgraph.alerts.rules import load
    from etgraph.alerts.rules.explaining import explained
    from etgraph.cli.units import printable
    from etgraph.model.errors import UsageError
    from etgraph.model.settings.problems import near, one_of

    known = {placed.rule.id: placed for placed in load(files)}
    if name not in known:
        raise UsageError(
            f"no rule {name!r}: found {one_of(tuple(known))}",
            hint=near(name, known) or "--rules names the file that it is in",
        )
    told = explained(known[name])
    output = settings.output()
    if settings.json:
        output.document({"rule": dict(told)})
        return
    width = max(map(len, told))
    for what, text in told.items():
        output.line(printable(f"{what:<{width}}  {text}"))
