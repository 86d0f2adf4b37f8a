"""Rows of another simulator matched to the operators of a trace."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from etgraph.model import Trace, Trust
from etgraph.model.columns import Array
from etgraph.model.errors import UsageError
from etgraph.model.numbering import distinct
from etgraph.sim.imported.reading import TimesFile, read_times
from etgraph.sim.rank_times import rank_times
from etgraph.sim.simulation import Simulation

if TYPE_CHECKING:
    import pyarrow as pa

    from etgraph.sim.profiles import Profile


def imported(trace: Trace, path: Path, *, simulator: str | None = None, profile: Profile | None = None) -> Simulation:
    """The times in a CSV file as a simulation of the trace; see `etgraph.sim.imported.reading` for its columns.

    `simulator` is who made them (the file's name, without its ending, if nothing is said), `profile` the hardware that
    was simulated. Rows that match no operator, and operators without a row, are counted in the trust's warnings. The
    makespan goes from the first start to the last end in the file, the measured one over the same operators. Raises
    InputError with the line for what cannot be read and for an operator that has two rows, UsageError where no row
    matches.
    """
    file = read_times(path)
    rows = _operators_of(trace, file)
    matched = rows >= 0
    if not matched.any():
        raise UsageError(
            f"{path.name}: found {len(rows):,} rows that are no operators of the trace, expected its ranks "
            f"{_some(trace.ranks)} and the operators' {file.by}",
            hint="node_id is the id that the trace's files give, index the place within the rank; see etgraph export",
        )
    start, end = (np.zeros(len(trace), dtype=np.int64) for _ in range(2))
    start[rows[matched]], end[rows[matched]] = file.start_ns[matched], file.end_ns[matched]
    known = np.zeros(len(trace), dtype=bool)
    known[rows[matched]] = True
    null = trace.operators.table.column("start_ns").null
    moved = trace.with_times(np.where(known, start, null), np.where(known, end - start, null), path.name)
    makespan = int(file.end_ns[matched].max() - file.start_ns[matched].min())
    measured = _measured_ns(trace, known)
    return Simulation(
        simulator=simulator or path.name.split(".")[0],
        profile=None if profile is None else profile.name,
        makespan_ns=makespan,
        measured_ns=measured,
        error=makespan / measured - 1 if measured else None,
        ranks=rank_times(moved),
        nodes=_nodes(trace, known, start, end - start),
        parameters={"file": path.name},
        trust=Trust(warnings=tuple(_told(trace, matched, known, file))),
    )


def _operators_of(trace: Trace, file: TimesFile) -> Array:
    """The trace's row for each row of the file, -1 for none. Raises InputError for an operator that has two rows."""
    o = trace.operators
    asked = np.flatnonzero(~o.is_null(file.by))
    rank = np.concatenate([o["rank"][asked].astype(np.uint64), file.rank])
    place, _ = distinct(rank, np.concatenate([o[file.by][asked].astype(np.uint64), file.operator]))
    row_of = np.full(int(place.max(initial=0)) + 1, -1)
    row_of[place[: len(asked)]] = asked
    of_file = place[len(asked) :]
    _, first, inverse = np.unique(of_file, return_index=True, return_inverse=True)
    again = np.flatnonzero(first[inverse] != np.arange(len(of_file)))
    if len(again):
        row = int(again[0])
        raise file.error(
            row,
            found=f"rank {file.rank[row]}, {file.by} {file.operator[row]} again, first on line "
            f"{file.line[first[inverse[row]]]}",
            expected="one row for each operator",
        )
    found: Array = row_of[of_file]
    return found


def _measured_ns(trace: Trace, known: Array) -> int | None:
    """From the first start to the last end that were measured of those operators, None where none was."""
    o = trace.operators
    timed = known & ~(o.is_null("start_ns") | o.is_null("duration_ns"))
    if not timed.any():
        return None
    return int(trace.end_ns[timed].max() - o["start_ns"][timed].min())


def _nodes(trace: Trace, known: Array, start: Array, duration: Array) -> pa.Table:
    """A row for each operator of the trace; no interval, since the file has none."""
    import pyarrow as pa

    o = trace.operators
    nothing = pa.nulls(len(trace), pa.int64())
    return pa.table(
        {
            "rank": pa.array(o["rank"]),
            "index": pa.array(o["index"]),
            "node_id": pa.array(o["node_id"], mask=o.is_null("node_id")).cast(pa.string()),
            "start_ns": pa.array(start, mask=~known),
            "duration_ns": pa.array(duration, mask=~known),
            "duration_low_ns": nothing,
            "duration_high_ns": nothing,
            "source": pa.array(np.full(len(trace), "imported"), mask=~known),
            "extrapolated": pa.array(np.zeros(len(trace), dtype=bool)),
        }
    )


def _told(trace: Trace, matched: Array, known: Array, file: TimesFile) -> list[str]:
    """What of the file and of the trace found no partner."""
    told = []
    strangers = np.flatnonzero(~matched)
    if len(strangers):
        row = int(strangers[0])
        told.append(
            f"{len(strangers):,} of {len(matched):,} rows of {file.name} are no operators of the trace, "
            f"such as line {file.line[row]}: rank {file.rank[row]}, {file.by} {file.operator[row]}"
        )
    missing = np.flatnonzero(~known)
    if len(missing):
        told.append(
            f"{len(missing):,} of {len(trace):,} operators have no times in {file.name}, "
            f"such as {trace.describe(int(missing[0]))}"
        )
    return told


def _some(ranks: tuple[int, ...]) -> str:
    return ", ".join(map(str, ranks[:8])) + (", …" if len(ranks) > 8 else "")
