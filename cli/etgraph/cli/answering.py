"""How a command asks a question of a trace, and prints the answer: for a reader, or as JSON."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from etgraph.cli.settings import Settings

if TYPE_CHECKING:
    from rich.console import RenderableType

    from etgraph.model.drawing import Chart
    from etgraph.model.results import Result
    from etgraph.queries.pictures import Answer

View = Callable[[Any, str, int], "RenderableType"]
"""An answer, its title and the terminal's width, drawn."""


def ask(
    settings: Settings,
    question: str,
    trace: str,
    *,
    title: str,
    view: View,
    lines: Callable[[Any, int], Iterable[str]] | None = None,
    leave_out: Collection[str] = (),
    unseen: Collection[str] = (),
    **choices: Any,
) -> None:
    """Ask, and print the view, the lines below it where there are any, and the trust; or the JSON without some fields.

    `title` says what the answer is of the trace; `choices` are keywords of the question. Fields `unseen` are those that
    view and lines have no use for.
    """
    from etgraph.cli.progress import watched

    timeline: dict[str, Any] = {} if settings.simulation is None else {"simulation": settings.simulation}
    with settings.session() as session, watched(settings) as progress, limited(settings.timeout):
        progress(f"{title.lower()} of {trace}")
        lacking = _without(settings, leave_out, unseen)
        result = session.ask(question, trace, save=settings.save, **timeline, **lacking, **choices)
    whole = f"{title} of {part(trace, simulation=settings.simulation, **choices)}"
    show_answer(settings, result, whole, view, lines, leave_out)


def ask_several(
    settings: Settings,
    question: str,
    *traces: Sequence[str],
    title: str,
    view: View,
    leave_out: Collection[str] = (),
    **choices: Any,
) -> None:
    """Ask a question about lists of traces, and print as `ask` does; `title` is the view's whole title."""
    from etgraph.cli.progress import watched

    timeline = {} if settings.simulation is None else {"simulation": settings.simulation}
    with settings.session() as session, watched(settings) as progress, limited(settings.timeout):
        progress(title)
        told = _without(settings, leave_out)
        result = session.ask_several(question, *traces, **timeline, **told, **choices)
    show_answer(settings, result, title, view, leave_out=leave_out)


def _without(settings: Settings, leave_out: Collection[str], unseen: Collection[str] = ()) -> dict[str, Any]:
    """The fields that an answer may lack, as a keyword of `Session.ask`: none where it is drawn."""
    lacking = () if settings.plots else leave_out if settings.json else unseen
    return {"without": lacking} if lacking else {}


def show_answer(
    settings: Settings,
    result: Result,
    title: str,
    view: View,
    lines: Callable[[Any, int], Iterable[str]] | None = None,
    leave_out: Collection[str] = (),
    about: Mapping[str, Any] | None = None,
    picture: Callable[[Any, str], Chart] | None = None,
) -> None:
    """Print an answer as `ask` does, and draw it into the files of `--plot`; its JSON begins with `about`.

    See `draw_plots` for `picture`.
    """
    _print(settings, result, title, view, lines, leave_out, about or {})
    draw_plots(settings, result, title, picture)


def _print(
    settings: Settings,
    result: Result,
    title: str,
    view: View,
    lines: Callable[[Any, int], Iterable[str]] | None,
    leave_out: Collection[str],
    about: Mapping[str, Any],
) -> None:
    output = settings.output()
    if settings.json:
        from etgraph.cli.documents import result_document

        output.document({**about, **result_document(result, leave_out=leave_out)})
        return
    output.show(view(result, title, output.answer.width))
    if lines is not None:
        for line in lines(result, output.answer.width):
            output.line(line)
        output.line("")
    output.show(trust_line(result), soft_wrap=True)


def draw_plots(
    settings: Settings,
    answer: Answer,
    title: str,
    picture: Callable[[Any, str], Chart] | None = None,
) -> None:
    """Draw an answer into the files of `--plot`, by the function that gives its `picture` with a title, or by
    `etgraph.queries.pictures`."""
    if not settings.plots:
        return
    from etgraph.cli.units import printable
    from etgraph.model.drawing import draw
    from etgraph.queries.pictures import chart_of

    for file in settings.plots:
        draw((picture or chart_of)(answer, printable(title)), file)
        settings.output().say(f"wrote {printable(str(file))}")


def limited(seconds: float | None) -> AbstractContextManager[object]:
    """The time that an answer may take."""
    if seconds is None:
        return nullcontext()
    from etgraph.model.cancelling import deadline

    return deadline(seconds)


def part(
    trace: str, *, rank: int | None = None, iteration: int | None = None, simulation: str | None = None, **_: Any
) -> str:
    """The part of a trace that was asked, in words."""
    return (
        trace
        + (f", rank {rank}" if rank is not None else "")
        + (f", iteration {iteration}" if iteration is not None else "")
        + (f", as simulation {simulation} has it" if simulation is not None else "")
    )


def trust_line(result: Result) -> RenderableType:
    """How far the answer can be trusted, in words."""
    from rich.text import Text

    from etgraph.cli.units import printable

    return Text.assemble(("trust: ", "bold"), printable(str(result.trust)))
