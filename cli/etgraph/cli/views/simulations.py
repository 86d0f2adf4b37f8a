"""Simulations for a reader: one with its ranks and the origin of its times, and several beside the measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from etgraph.cli.units import age, count, counted, duration, percent, printable, shortened
from etgraph.cli.views.tables import ROOMY, SHORT_ID, facts, grid

if TYPE_CHECKING:
    import pyarrow as pa

    from etgraph.model.accuracy import Validation
    from etgraph.queries import Simulations
    from etgraph.queries.saved_simulations import SimulationSummary
    from etgraph.sim.proof import Proof
    from etgraph.sim.simulation import RankTimes, Simulation, WindowTimes

SHOWN_RANKS = 16
SHOWN_SOURCES = 10
SHOWN_STEPS = 10
NAME = 48
SHORT = 6


def simulation_view(found: Simulation, title: str, width: int) -> RenderableType:
    """The makespan beside the measured one, the ranks, where the durations come from, and the proof if there is one."""
    heading = f"{title}, by {found.simulator}" + (f" on {found.profile}" if found.profile else "")
    parts: list[RenderableType] = [Text(printable(heading), style="bold"), Text(_makespan(found)), Text()]
    if found.ranks:
        parts += [_ranks(found.ranks), Text()]
    if any(window.iteration is not None for window in found.windows):
        parts += [_steps(found.windows), Text()]
    parts += [_sources(found.nodes, width), Text()]
    if found.proof is not None:
        parts += [proof_view(found.proof), Text()]
    return Group(*parts)


def _steps(windows: Sequence[WindowTimes]) -> Table:
    """The steps, each over all its ranks: the longest of the ranks' windows, measured and predicted."""
    names = ("step", "measured", "predicted", "change")
    table = grid(*names, right=names)
    steps: dict[int, list[WindowTimes]] = {}
    for window in windows:
        if window.iteration is not None:
            steps.setdefault(window.iteration, []).append(window)
    for index, ranks in sorted(steps.items())[:SHOWN_STEPS]:
        measured, predicted = (max(getattr(w, name) for w in ranks) for name in ("measured_ns", "simulated_ns"))
        table.add_row(
            str(index), duration(measured), duration(predicted), f"{(predicted - measured) / measured:+.2%}"
        )  # fmt: skip
    if len(steps) > SHOWN_STEPS:
        table.add_row(Text(f"{count(len(steps) - SHOWN_STEPS)} more", style="dim"), "", "", "")
    return table


def proof_view(proof: Proof) -> RenderableType:
    """What the error of a replay is worth: the verdict, errors of steps and device starts, causes of the worst step."""
    steps = f"mean error {proof.mean_error:.3%}, worst {proof.worst_error:+.3%}"
    if proof.crossed_error is not None:
        steps += f"; {proof.crossed_error:.3%} with constants of the other half"
    starts = ""
    if proof.device_start_mean_ns is not None and proof.device_start_median_ns is not None:
        mean, median = (duration(round(ns)) for ns in (proof.device_start_mean_ns, proof.device_start_median_ns))
        starts = f"{mean} from the measured in the mean, {median} in the median"
    causes = "; ".join(
        f"rank {each.rank} operator {each.index} ({shortened(each.name, NAME)}) {duration(each.ns)}"
        for each in proof.causes
    )
    return facts(
        [
            ("proof", proof.verdict),
            ("steps", steps),
            ("path", f"{percent(proof.off_host_share)} of it is not the host's own time"),
            ("device starts", starts),
            ("worst step", causes),
        ]
    )


def _makespan(found: Simulation) -> str:
    text = f"{duration(found.makespan_ns)} predicted"
    if found.measured_ns is not None:
        text += f", {duration(found.measured_ns)} measured: {signed(found.error)}"
    return text


def signed(share: float | None) -> str:
    """A relative error with its sign.

    >>> signed(0.034), signed(-0.5), signed(-0.0004), signed(None)
    ('+3.4%', '-50.0%', '0.0%', '–')
    """
    if share is None:
        return "–"
    return f"{share:+.1%}" if abs(share) >= 0.0005 else "0.0%"


def _ranks(ranks: Sequence[RankTimes]) -> Table:
    """The ranks that end last, in order; of the others how many there are."""
    names = ("rank", "end", "computation", "communication")
    table = grid(*names, right=names)
    shown = sorted(sorted(ranks, key=lambda one: -one.end_ns)[:SHOWN_RANKS], key=lambda one: one.rank)
    for one in shown:
        table.add_row(
            str(one.rank), duration(one.end_ns), duration(one.computation_ns), duration(one.communication_ns)
        )  # fmt: skip
    if len(ranks) > len(shown):
        table.add_row(Text(f"{count(len(ranks) - len(shown))} more", style="dim"), "", "", "")
    return table


def _sources(nodes: pa.Table, width: int) -> Table:
    """How many durations come from which model or assumption, and their time; what was extrapolated beside it."""
    numbers = ("operators", "time", "extrapolated")
    table = grid("durations from", *numbers, right=numbers)
    known = nodes.select(["source", "duration_ns", "extrapolated"])
    known = known.append_column("beyond", known["extrapolated"].cast("int64"))
    sums = known.group_by("source").aggregate([("duration_ns", "count"), ("duration_ns", "sum"), ("beyond", "sum")])
    rows = sorted(sums.to_pylist(), key=lambda row: -(row["duration_ns_sum"] or 0))
    room = max(20, width - 48)
    for row in rows[:SHOWN_SOURCES]:
        table.add_row(
            shortened(row["source"] or "(no time)", room), count(row["duration_ns_count"]),
            duration(row["duration_ns_sum"]), count(row["beyond_sum"]) if row["beyond_sum"] else "",
        )  # fmt: skip
    if rest := rows[SHOWN_SOURCES:]:
        table.add_row(
            Text(f"{count(len(rest))} more", style="dim"), count(sum(r["duration_ns_count"] for r in rest)),
            duration(sum(r["duration_ns_sum"] or 0 for r in rest)), count(sum(r["beyond_sum"] for r in rest)),
        )  # fmt: skip
    return table


def simulations_view(found: Simulations, title: str, width: int, *, limit: int) -> RenderableType:
    """The simulations, how they met later traces, and the operators that they predict worst."""
    parts: list[RenderableType] = [Text(printable(title), style="bold"), Text()]
    if found.simulations:
        parts += [simulations_table(found.simulations, width), Text()]
    else:
        parts += [Text("none is kept; 'etgraph simulate TRACE --save' keeps one"), Text()]
    if found.validations:
        parts += [_validations(found.validations), Text()]
    if found.operators is not None:
        parts += [_operators(found.operators, [each.id for each in found.simulations], width, limit), Text()]
    return Group(*parts)


def simulations_table(found: Sequence[SimulationSummary], width: int) -> Table:
    """One row a simulation: its makespan beside the measured one, the median error of durations, the share within."""
    numbers = ("makespan", "measured", "error", "operators", "median", "within")
    table = grid("simulation", "simulator", "profile", *numbers, right=numbers)
    table.columns[0].no_wrap = True
    if width >= ROOMY:
        table.add_column("kept", no_wrap=True)
    for each in found:
        cells = [
            each.id[:SHORT_ID], printable(each.simulator), printable(each.profile or "–"), duration(each.makespan_ns),
            duration(each.measured_ns), signed(each.error), count(each.predicted), percent(each.duration_error),
            percent(each.interval_share),
        ]  # fmt: skip
        table.add_row(*cells, *([age(each.created)] if width >= ROOMY else []))
    return table


def _validations(met: Sequence[Validation]) -> Table:
    """How simulations met traces that were measured on what they simulate."""
    numbers = ("predicted", "measured", "error", "operators", "median", "within", "unmatched")
    table = grid("simulation", "of trace", "met", "by", *numbers, right=numbers)
    for each in met:
        s = each.score
        table.add_row(
            each.simulation[:SHORT], each.base[:SHORT], each.trace[:SHORT], s.basis or "–", duration(s.predicted_ns),
            duration(s.measured_ns), signed(s.error), count(s.operators), percent(s.duration_error),
            percent(s.interval_share), f"{count(s.only_predicted)} + {count(s.only_measured)}",
        )  # fmt: skip
    return table


def _operators(table: pa.Table, ids: Sequence[str], width: int, limit: int) -> RenderableType:
    """Operators whose durations some simulation has furthest from the measured ones."""
    from etgraph.queries.simulations import worst_predicted

    worst = worst_predicted(table, limit)
    short = [identity[:SHORT] for identity in ids]
    numbers = ("rank", "index", "measured", *short)
    shown = grid("rank", "index", "name", "measured", *short, right=numbers)
    room = max(20, min(NAME, width - 36 - 12 * len(ids)))
    for row in worst.to_pylist():
        predicted = [duration(row[f"{identity}.duration_ns"]) for identity in ids]
        name = Text(shortened(row["name"] or "–", room), no_wrap=True)
        shown.add_row(str(row["rank"]), str(row["index"]), name, duration(row["duration_ns"]), *predicted)
    about = f"durations that are predicted worst, {counted(len(worst), 'operator')} of {count(len(table))}"
    return Group(Text(about), shown)
