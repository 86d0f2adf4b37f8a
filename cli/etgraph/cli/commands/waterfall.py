"""`etgraph waterfall`: what a step loses to each cause, and how workloads compare in that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from etgraph.cli.answering import limited, part, show_answer
from etgraph.cli.group import command, pass_settings
from etgraph.cli.options import asks_traces, plot_option, profile_option
from etgraph.cli.settings import Settings

if TYPE_CHECKING:
    from rich.console import RenderableType

    from etgraph.queries.waterfall import Waterfalls
    from etgraph.sim.profiles import Profile


@command("waterfall")
@asks_traces
@profile_option
@plot_option
@pass_settings
def waterfall(
    settings: Settings,
    traces: tuple[str, ...],
    rank: int | None,
    iteration: int | None,
    window: str,
    profile: Profile | None,
) -> None:
    """Show what a step loses: late ranks, exposed communication, the host, operators below their roofline.

    Each cause is taken out of the replayed step, on top of those before it, until the ideal step is left. Of several
    traces there is a row each, in parts of its measured time. Without --profile the peaks are those of the built-in
    profile of the recorded device, where there is one.
    """
    from dataclasses import replace

    from etgraph.cli.progress import watched
    from etgraph.cli.views.waterfall import waterfall_view, waterfalls_view
    from etgraph.queries.waterfall import together

    asked: dict[str, Any] = {"rank": rank, "iteration": iteration}
    if settings.simulation is not None:
        asked["simulation"] = settings.simulation
    rows = []
    with settings.session() as session, watched(settings) as progress, limited(settings.timeout):
        for trace in traces:
            progress(f"lost time of {trace}")
            row = session.ask("waterfall", trace, save=settings.save, **asked, window=window, profile=profile)
            rows.append(replace(row, trace=trace))

    def view(found: Waterfalls, title: str, width: int) -> RenderableType:
        if len(found.rows) == 1:
            return waterfall_view(found.rows[0], title, width)
        return waterfalls_view(found, f"{title}, in parts of what was measured", width)

    which = traces[0] if len(traces) == 1 else f"{len(traces)} traces"
    show_answer(settings, together(rows), f"Lost time of {part(which, **asked)}", view)
