"""`etgraph simulate`: predicted times of every operator of a trace."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from etgraph.cli.answering import limited, show_answer
from etgraph.cli.group import command, pass_settings, remember
from etgraph.cli.options import load_profile, pairs, timeout_of_analysis
from etgraph.cli.settings import Settings

if TYPE_CHECKING:
    from etgraph.sim.profiles import Profile


_FILE = click.Path(path_type=Path)


@command("simulate")
@click.argument("trace")
@click.option("--replay", is_flag=True, help="On the hardware that it ran on; what is done where nothing else is said.")
@click.option("--profile", metavar="P", callback=load_profile, help="On this hardware: a profile's name or file.")
@click.option("--import", "csv", metavar="CSV", type=_FILE, help="Times that another simulator gave, from a file.")
@click.option("--simulator", metavar="NAME", help="Who made the times of --import; else the file's name.")
@click.option("--astra-system", metavar="F", type=_FILE, help="As ASTRA-sim does, with this system file.")
@click.option("--astra-network", metavar="F", type=_FILE, help="ASTRA-sim's network file.")
@click.option("--astra-memory", metavar="F", type=_FILE, help="ASTRA-sim's remote memory file.")
@click.option("--astra-backend", type=click.Choice(["unaware", "aware"]), help="ASTRA-sim's backend: of congestion.")
@click.option("--comm-groups", metavar="F", type=_FILE, help="ASTRA-sim's file of communicator groups.")
@click.option(
    "--astra-arg", metavar="NAME=VALUE", multiple=True, callback=pairs,
    help="An argument of ASTRA-sim, such as num-queues-per-dim; may be repeated.",
)  # fmt: skip
@click.option(
    "--save", is_flag=True, expose_value=False, callback=remember, help="Keep the simulation beside the stored trace."
)
@click.option("--nodes", is_flag=True, help="JSON with the times of every operator.")
@timeout_of_analysis
@pass_settings
def simulate(
    settings: Settings,
    trace: str,
    replay: bool,
    profile: Profile | None,
    csv: Path | None,
    simulator: str | None,
    nodes: bool,
    **astra: Any,
) -> None:
    """Predict when every operator of TRACE starts and how long it takes, and say how far that is from the measured.

    With --save the prediction is kept, and every analysis takes it with --simulation. When a trace of the same workload
    arrives that ran on the hardware of --profile, kept predictions of it are scored. TRACE may be a path.
    """
    from etgraph.cli.progress import watched
    from etgraph.cli.views.simulations import simulation_view

    chosen, inputs = _chosen(replay, profile, csv, simulator, {name: value for name, value in astra.items() if value})
    with settings.session() as session, watched(settings) as progress, limited(settings.timeout):
        progress(f"simulation of {trace}")
        result = session.simulate(trace, chosen, save=settings.save, **inputs)
    show_answer(
        settings, result, f"Simulation of {trace}", simulation_view, leave_out=() if nodes else ("nodes",),
        about={"id": result.id, "saved": settings.save},
    )  # fmt: skip
    if settings.save and not settings.json:
        settings.output().say(
            f"kept as {result.id}; 'etgraph breakdown {trace} --simulation {result.id[:6]}' asks on its timeline"
        )


def _chosen(
    replay: bool, profile: Profile | None, csv: Path | None, simulator: str | None, astra: dict[str, Any]
) -> tuple[str, dict[str, Any]]:
    """The simulator that the options mean, and its inputs. Raises UsageError where they mean several, or none."""
    from etgraph.model.errors import UsageError

    asked = {"--replay": replay, "--import": csv, "--astra-…": astra, "--profile": profile and not csv}
    several = [option for option, value in asked.items() if value]
    if len(several) > 1:
        raise UsageError(
            f"{' and '.join(several)} mean different simulators", hint="give one; --profile may stand beside --import"
        )
    if simulator is not None and csv is None:
        raise UsageError("--simulator is for --import: it names who made the times", hint="leave it out")
    if csv is not None:
        return "import", {"path": csv, "simulator": simulator, "profile": profile}
    if astra:
        for needed in ("astra_system", "astra_network"):
            if needed not in astra:
                raise UsageError(f"{', '.join(_option(name) for name in astra)} without {_option(needed)}")
        return "astra-sim", astra
    return ("replay", {}) if profile is None else ("predict", {"profile": profile})


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"
