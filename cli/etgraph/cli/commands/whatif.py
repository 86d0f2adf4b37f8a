"""`etgraph whatif`: the step of a run with changes, and what the step hangs on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from etgraph.cli.answering import ask
from etgraph.cli.group import Command, pass_settings, remember
from etgraph.cli.options import load_profile, timeout_of_analysis
from etgraph.cli.settings import Settings

if TYPE_CHECKING:
    from etgraph.sim.profiles import Profile
    from etgraph.sim.what_if.declared import Change

_ORDER = "etgraph.cli.whatif.order"
_OF_CHANGES = {
    "scale": ("PATTERN=FACTOR", "Operators take FACTOR times as long, of collectives the transfer."),
    "remove": ("PATTERN", "Without operators, what they enclose and launch, and their peers in collectives."),
    "insert": ("SPEC", "The changes of a TOML file: more work, more collectives, and all that options can say."),
    "split": ("PATTERN=N", "Collectives in N parts."),
    "merge": ("PATTERN", "Collectives of a step as one."),
    "overlap": ("PATTERN", "Operators that nothing waits for before the step's end."),
    "launch-latency": ("TIME", "Launches of this latency, such as 2us, or x0.5 of what it is."),
    "queue-depth": ("N", "Launch queues that hold N launches."),
    "buckets": ("SIZE", "Gradient buckets of this size, such as 25MB."),
}  # fmt: skip


class _InOrder(Command):
    """A command that knows in which order its options were given, those of one name among those of others."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """See `click.Command.parse_args`."""
        _, _, order = self.make_parser(ctx).parse_args(list(args))
        ctx.meta[_ORDER] = [str(parameter.name) for parameter in order]
        return super().parse_args(ctx, args)


def _changes(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options of changes, each repeatable; `_in_order` gives what they say."""
    for name, (metavar, help) in reversed(_OF_CHANGES.items()):
        function = click.option(f"--{name}", metavar=metavar, multiple=True, help=help)(function)
    return function


def _in_order(context: click.Context, given: dict[str, tuple[str, ...]]) -> tuple[Change, ...]:
    """The changes that options say, in the order in which they were given."""
    from etgraph.sim.what_if.reading import change, load

    texts = {name: iter(values) for name, values in given.items()}
    found: list[Change] = []
    for name in context.meta[_ORDER]:
        if name in texts:
            text, option = next(texts[name]), name.replace("_", "-")
            found += load(Path(text)) if option == "insert" else [change(option, text)]
    return tuple(found)


@click.command("whatif", cls=_InOrder)
@click.argument("trace")
@_changes
@click.option("--profile", metavar="P", callback=load_profile, help="On this hardware, before all other changes.")
@click.option("--rank", type=click.IntRange(min=0), metavar="R", help="The step of this rank; else of all together.")
@click.option("--iteration", type=click.IntRange(min=0), metavar="N", help="Only this step, by its index.")
@click.option(
    "--by", type=click.Choice(["name", "scope", "category"]), default="name", show_default=True,
    help="What operators are grouped by in the list of what the step hangs on.",
)  # fmt: skip
@click.option(
    "--draws", type=click.IntRange(min=1), metavar="N", default=100, show_default=True,
    help="How often costs of what is new are drawn from what was measured.",
)  # fmt: skip
@click.option(
    "--seed", type=click.IntRange(min=0), metavar="N", default=0, show_default=True,
    help="Another one draws other costs; the same one gives the same answer.",
)  # fmt: skip
@click.option("--operators", is_flag=True, help="JSON with the sensitivity of every operator.")
@click.option(
    "--simulation", metavar="ID", expose_value=False, callback=remember,
    help="On the timeline of this simulation of the stored trace; 'etgraph simulations' lists them.",
)  # fmt: skip
@click.option(
    "--save", is_flag=True, expose_value=False, callback=remember,
    help="Keep the answer beside the stored trace; who asks the same again gets it from there.",
)  # fmt: skip
@timeout_of_analysis
@pass_settings
@click.pass_context
def whatif(
    context: click.Context, /, settings: Settings, trace: str, profile: Profile | None, rank: int | None,
    iteration: int | None, by: str, draws: int, seed: int, operators: bool, **given: tuple[str, ...],
) -> None:  # fmt: skip
    """The median step of TRACE with changes, with its interval, and what a microsecond less of each operator saves.

    Changes are applied in the order in which they are given, and may be repeated. PATTERN is a glob over names or
    scope/name, with @RANK for one rank: 'aten::linear@1', '*all_reduce*'. Without changes it says what the step hangs
    on as it is.
    """
    from etgraph.cli.views.whatif import whatif_view

    ask(
        settings, "whatif", trace, title="What-if", view=whatif_view,
        leave_out=() if operators else ("operators",), unseen=("operators",),
        changes=_in_order(context, given), profile=profile, rank=rank, iteration=iteration, by=by, draws=draws,
        seed=seed,
    )  # fmt: skip
