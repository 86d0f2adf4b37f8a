"""`etgraph demo`: a guided tour on a bundled trace."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from etgraph.cli.group import command, pass_settings
from etgraph.cli.settings import Settings

if TYPE_CHECKING:
    from rich.console import RenderableType

    from etgraph.cli.output import Output
    from etgraph.cli.session import Session
    from etgraph.ingest.writers import Written
    from etgraph.queries import Comparison, CriticalPath, Findings, Stragglers
    from etgraph.sim.simulation import Simulation
    from etgraph.store import IterationInfo, TraceInfo

SAMPLE = "gpt_ddp_5steps"
BEFORE, AFTER = "gpt_ddp", "gpt_ddp_regressed"
"""Samples of one model before and after a change of its communication."""
WORKLOAD = "gpt-demo"


@command("demo")
@pass_settings
def demo(settings: Settings) -> None:
    """Take a bundled trace through etgraph: ingest it, look at it, and ask where its slowest step went.

    The trace is a small GPT, trained for five steps on two processes. Without --store it goes into a store of its
    own, which is removed at the end.
    """
    from etgraph.cli.progress import watched
    from etgraph.ingest import samples

    source = samples.path(SAMPLE)
    with _store(settings) as there, there.session() as session:
        with watched(settings) as progress:
            ingested = session.ingest([source], workload=WORKLOAD, progress=progress)
            for failure in ingested.failures:
                raise failure.error
            (info,) = ingested.traces
            step = slowest(info.iterations)
            path = session.ask("critical-path", info.id, iteration=step)
            late = session.ask("stragglers", info.id, iteration=step)
            replayed = session.simulate(info.id, "replay")
            before, after = (str(samples.path(name)) for name in (BEFORE, AFTER))
            compared = session.ask_several("compare", [before], [after])
            found = session.ask("findings", after)
            exchange = None if settings.json else _exchanged(session, info, step)
        info = session.find(info.id)
        listed = session.traces(workload=WORKLOAD)
    output = settings.output()
    if settings.json:
        from etgraph.cli.documents import result_document, trace_document

        output.document(
            {
                "trace": trace_document(info),
                "criticalPath": result_document(path, leave_out=("segments",)),
                "stragglers": result_document(late),
                "simulation": result_document(replayed, leave_out=("nodes",)),
                "comparison": result_document(compared),
                "findings": result_document(found),
            }
        )
    else:
        assert exchange is not None
        whereabouts = _whereabouts(settings.store)
        _tour(output, source, listed, info, path, late, replayed, compared, found, step, exchange, whereabouts)


def _exchanged(session: Session, info: TraceInfo, step: int | None) -> tuple[Written, CriticalPath]:
    """What is written as Chakra files, and the critical path of these files."""
    with tempfile.TemporaryDirectory(prefix="etgraph-demo-") as folder:
        target = Path(folder) / "chakra"
        written = session.export(info.id, target, "chakra")
        return written, session.ask("critical-path", str(target), iteration=step)


@contextmanager
def _store(settings: Settings) -> Iterator[Settings]:
    """The settings with the store to use: the one that was asked for, or one that lasts as long as the tour."""
    if settings.store:
        yield settings
        return
    with tempfile.TemporaryDirectory(prefix="etgraph-demo-", ignore_cleanup_errors=True) as folder:
        yield replace(settings, store=folder)


def slowest(iterations: tuple[IterationInfo, ...]) -> int | None:
    """Index of the iteration that took longest, None where no times are known."""
    timed = [i for i in iterations if i.start_ns is not None and i.end_ns is not None]
    return max(timed, key=lambda i: (i.end_ns or 0) - (i.start_ns or 0)).index if timed else None


def _tour(
    output: Output,
    source: Path,
    listed: list[TraceInfo],
    info: TraceInfo,
    path: CriticalPath,
    late: Stragglers,
    replayed: Simulation,
    compared: Comparison,
    found: Findings,
    step: int | None,
    exchange: tuple[Written, CriticalPath],
    whereabouts: str,
) -> None:
    from rich.text import Text

    from etgraph.cli.answering import trust_line
    from etgraph.cli.units import count, counted, duration, size
    from etgraph.cli.views.comparison import comparison_view
    from etgraph.cli.views.findings import findings_view
    from etgraph.cli.views.path import path_view
    from etgraph.cli.views.simulations import simulation_view
    from etgraph.cli.views.stragglers import stragglers_view
    from etgraph.cli.views.tables import trace_view, traces_table

    def chapter(title: str, text: str, command: str, *answer: RenderableType) -> None:
        heading = Text(f"{title}\n", style="bold underline")
        output.show(heading, Text(text + "\n"), Text(f"  $ {command}\n", style="bold cyan"), *answer, Text())

    edges = sum(info.dependencies.values())
    chapter(
        "1  A trace goes in",
        f"Two processes trained a small GPT for {counted(len(info.iterations), 'step')}, and PyTorch's profiler wrote "
        f"one file on each. Reading them makes one graph: {count(info.operators)} operators of "
        f"{counted(len(info.ranks), 'rank')}, joined by {count(edges)} dependencies that say why each had to wait.",
        f"etgraph ingest {_quoted(source)} --workload {WORKLOAD}",
    )
    chapter(
        "2  The store lists it",
        "A store is a folder, or a database of a Neo4j server. A trace in it is named by its id, by the beginning of "
        "its id, or by its workload, which means the newest trace; tags, commits and labels name older ones.",
        "etgraph ls",
        traces_table(listed, output.answer.width),
    )
    chapter(
        "3  What is known of it",
        "Before trusting an answer, see what it rests on: which ranks were recorded, what kinds of dependencies were "
        "found, how long each step took, and what reading the files left open.",
        f"etgraph show {WORKLOAD}",
        trace_view(info),
    )
    which = option = part = ""
    if step is not None:
        which = f"Iteration {step} took longest, {duration(path.window_ns)} from its first start to its last end. "
        option, part = f" --iteration {step}", f", iteration {step}"
    chapter(
        "4  Where the slowest step went",
        f"{which}The critical path starts at the end of the step and goes back along whatever each operator was "
        "waiting for, from rank to rank, until the step's beginning. Its pieces cover the step without gap or overlap, "
        "so the times below add up to the step: making any of them shorter is what could make the step shorter.",
        f"etgraph critical-path {WORKLOAD}{option}",
        path_view(path, f"Critical path of {WORKLOAD}{part}", output.answer.width),
        trust_line(path),
    )
    chapter(
        "5  Who was late, and why",
        "Ranks wait for each other wherever they exchange something. For each such rendezvous this tells who came "
        "last, how long the others waited, and what the late rank did that the others did not. Waiting that the rest "
        "of the step hides is counted too, so a rank may be late and yet not on the critical path.",
        f"etgraph stragglers {WORKLOAD}{option}",
        stragglers_view(late, f"Stragglers of {WORKLOAD}{part}", output.answer.width),
        trust_line(late),
    )
    chapter(
        "6  Is the graph right?",
        "If a dependency were missing, the run could be done again in less time; with one too many, only in more. "
        "So it is done again, in a simulation: from dependencies, durations and a few constants alone. The same engine "
        "tells what the run would take on other hardware (--profile) and what an edit of it would change.",
        f"etgraph simulate {WORKLOAD} --replay",
        simulation_view(replayed, f"Simulation of {WORKLOAD}", output.answer.width),
        trust_line(replayed),
    )
    before, after = f"{_quoted(source.parent)}/{BEFORE}", f"{_quoted(source.parent)}/{AFTER}"
    chapter(
        "7  What a change costs",
        "Two more runs come with etgraph: a GPT on four processes before a change of its communication, and after it. "
        "Their operators are aligned by what they do; what only one of them has is a change of the program, and the "
        "rest of the difference is split by operator. On a busy machine a step time alone does not tell the two apart.",
        f"etgraph compare {before} {after}",
        comparison_view(compared, f"Comparison of {BEFORE} with {AFTER}", output.answer.width),
        trust_line(compared),
    )
    chapter(
        "8  What holds it back, and what mending it would gain",
        "Each finding is tried in the simulation: the run is done again without its cause, and the gain is what that "
        "takes less. Nothing is found that the critical path contradicts.",
        f"etgraph findings {after}",
        findings_view(found, f"Findings of {AFTER}", output.answer.width),
        trust_line(found),
    )
    written, again = exchange
    chapter(
        "9  Out again, for other tools",
        "MLCommons Chakra is the format in which traces are exchanged. One file for each rank keeps operators, times "
        "and dependencies of all kinds; with --for astra-sim it is a workload that ASTRA-sim executes.",
        f"etgraph export {WORKLOAD} --format chakra -o {WORKLOAD}-chakra/",
        Text(
            f"{counted(len(info.ranks), 'file')}, {size(written.bytes)}, with {count(written.operators)} operators and "
            f"{count(written.dependencies)} dependencies.\nRead back, the critical path of the step is "
            f"{duration(again.length_ns)} long, before it was {duration(path.length_ns)}."
        ),
    )
    output.show(
        Text("The last line of the path above says how far to trust it; every answer of etgraph ends with one.\n"),
        Text("Next", style="bold underline"),
        Text(
            "  etgraph critical-path PATH --json     the same of your own files, as JSON, without storing them\n"
            "  etgraph operators PATH                what each operator costs; more questions: etgraph --help\n"
            "  etgraph ingest PATH --workload NAME   keep a trace\n"
            "  etgraph COMMAND --help                everything else"
        ),
    )
    output.say(Text(f"\nThe trace of this tour {whereabouts}", style="dim"))


def _whereabouts(store: str | None) -> str:
    """Where the tour's trace is now, and how to look at it there."""
    from etgraph.store import NEO4J_SCHEMES

    if store is None:
        return "was in a store of its own, which is gone now."
    if store.partition("://")[0].lower() not in NEO4J_SCHEMES:
        return "stays in the store that you named."
    return (
        f"stays in the database that you named. 'etgraph query longest_operators --param trace={WORKLOAD}' asks it in "
        f"Cypher; in Neo4j Browser,\n\n  MATCH p = (:Workload {{name: '{WORKLOAD}'}})-[:HAS_TRACE]->()-[:HAS_RANK]->()"
        "-[:RAN]->(o:Operator)-[:CALLS]->()\n  RETURN p LIMIT 100\n\nshows the beginning of its graph."
    )


def _quoted(path: Path) -> str:
    import shlex

    return shlex.quote(str(path))
