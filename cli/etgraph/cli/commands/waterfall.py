"""`etgraph waterfall`: what a step loses to each cause, and how workloads compare in that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from etgraph.cli.answering import draw_plots, limited, part, trust_line
from etgraph.cli.group import command, pass_settings
from etgraph.cli.options import asks_traces, plot_option, profile_option
from etgraph.cli.settings import Settings

if TYPE_CHECKING:
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

    from etgraph.cli.documents import result_document
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
    result, output = together(rows), settings.output()
    title = f"Lost time of {part(traces[0] if len(rows) == 1 else f'{len(rows)} traces', **asked)}"
    if settings.json:
        output.document(result_document(result))
    else:
        if len(rows) == 1:
            output.show(waterfall_view(rows[0], title, output.answer.width))
        else:
            output.show(waterfalls_view(result, f"{title}, in parts of what was measured", output.answer.width))
        output.show(trust_line(result), soft_wrap=True)
    draw_plots(settings, result, title)
