"""The two sides of a comparison: their steps, and what is on the critical path of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from etgraph.model import Trace, Trust
from etgraph.model.cancelling import check
from etgraph.model.columns import Array
from etgraph.model.errors import MissingData
from etgraph.queries.comparison.estimating import Typical, typical
from etgraph.queries.critical_path import DETAILS, CriticalPath, Ground, ground_of, operators_on
from etgraph.queries.subjects import Subject
from etgraph.queries.windows import Iterations, Window, indices_of, operators_of, windows_of

_CODE = {detail: code for code, (_, detail) in enumerate(DETAILS)}
_NO_SEGMENTS = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Run:
    """A trace of a side: the steps that are asked of it, and for each of these, one after another, its operators.

    `row` are rows of the trace's operators, `step` the number among the steps of the side. `iterations` are the indices
    of the steps, None for all that the trace has.
    """

    name: str
    trace: Trace
    iterations: tuple[int, ...] | None
    row: Array
    step: Array


@dataclass(frozen=True, slots=True)
class Side:
    """Runs and steps of a side. `run` and `time_ns` have an entry a step.

    The other columns have one a segment of the steps' critical paths: the step, the row of the operator in the step's
    run (-1 for a pause), that of the operator at which a pause ends (the operator itself where it is none, -1 where
    nothing follows), what the time is as a position in `DETAILS`, and its length. The segments of a step sum to its
    time. `ranks` is how many ranks the paths were looked for on, `trusts` what to think of each path.
    """

    runs: tuple[Run, ...]
    run: Array
    time_ns: Array
    step: Array
    row: Array
    ends_at: Array
    detail: Array
    ns: Array
    ranks: int
    typical: Typical
    trusts: tuple[Trust, ...]
    left_out: tuple[str, ...]

    @property
    def unexplained(self) -> Array:
        """Whether nothing is known of why a segment passed."""
        found: Array = self.detail == _CODE["unexplained"]
        return found


def side_of(
    subjects: Sequence[Subject],
    what: str,
    rank: int | None,
    iteration: Iterations,
    window: Window,
    grounds: dict[int, Ground],
    *,
    timed: bool = True,
) -> Side:
    """The side `what` that those traces make. `grounds` keeps what the paths of a trace share.

    A side that is not `timed` has no critical paths: its steps have no length, but their operators. Steps that the rank
    does not have are left out, as are traces without any, and told. Raises MissingData for a step that no rank has, and
    where none is left, with the side's name.
    """
    runs: list[Run] = []
    paths: list[CriticalPath] = []
    of: list[int] = []
    failures: list[str] = []
    for number, subject in enumerate(subjects):
        trace, name = subject.trace, subject.name or subject.trace.trace_id[:12] or f"trace {number}"
        ground = grounds.setdefault(id(trace), ground_of(trace))
        kept: list[int] = []
        rows: list[Array] = []
        lacking: list[str] = []
        for index in _asked(subject, iteration):
            check()
            try:
                path = ground.path(rank, index, window) if timed else None
                windows = windows_of(trace, rank, index, window, times=timed)
            except MissingData as failure:
                lacking.append(failure.message)
                continue
            paths += [path] if path is not None else []
            kept += [] if index is None else [index]
            rows.append(operators_of(trace, windows))
        if not rows:
            failures.append(f"{name} is left out: {lacking[0]}")
            continue
        failures += lacking
        steps = np.arange(len(of), len(of) + len(rows))
        of += [len(runs)] * len(rows)
        runs.append(
            Run(
                name,
                trace,
                tuple(kept) if 0 < len(kept) < len(trace.iteration_indices) else None,
                np.concatenate(rows),
                np.repeat(steps, [len(some) for some in rows]),
            )
        )
    if not runs:
        raise MissingData(f"no trace of the side {what!r} can be compared: {'; '.join(dict.fromkeys(failures))}")
    segments = [_segments(runs[number].trace, path) for number, path in zip(of, paths, strict=timed)]
    segments = segments or [(_NO_SEGMENTS,) * 4]
    row, ends_at, detail, ns = (np.concatenate(column) for column in zip(*segments, strict=True))
    step = np.repeat(np.arange(len(segments)), [len(columns[0]) for columns in segments])
    run, time_ns = np.array(of), np.array([path.length_ns for path in paths] or [0] * len(of))
    return Side(
        tuple(runs),
        run,
        time_ns,
        step,
        row,
        ends_at,
        detail,
        ns,
        1 if rank is not None else len(np.unique(np.concatenate([run.trace.ranks for run in runs]))),
        typical(time_ns, run),
        tuple(path.trust for path in paths) or (Trust(),) * len(of),
        tuple(dict.fromkeys(failures)),
    )


def _asked(subject: Subject, iteration: Iterations) -> Sequence[int | None]:
    """Indices of the steps that are asked of a trace; None where it has none and none is named."""
    held = subject.trace.iteration_indices
    named = subject.iterations if subject.iterations is not None else indices_of(iteration)
    for index in named or ():
        if index not in held:
            whose = f" of {subject.name}" if subject.name else ""
            raise MissingData(f"no iteration {index}{whose}: it has {', '.join(map(str, held)) or 'none'}")
    return named if named is not None else held or (None,)


def _segments(trace: Trace, path: CriticalPath) -> tuple[Array, Array, Array, Array]:
    """Columns of a path's segments: see `Side`."""
    row = operators_on(trace, path.segments)
    own = np.append(np.flatnonzero(row >= 0), len(row))
    ends_at = np.append(row, -1)[own[np.searchsorted(own, np.arange(len(row)))]]
    details = path.segments.column("detail").combine_chunks()
    to_code = np.array([_CODE[text] for text in details.dictionary.to_pylist()], dtype=np.int64)
    start, end = (path.segments.column(name).to_numpy() for name in ("start_ns", "end_ns"))
    return row, ends_at, to_code[details.indices.to_numpy()], end - start
