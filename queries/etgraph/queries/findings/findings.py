"""Findings: what holds a step back, each with what mending it would gain, largest first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from etgraph.model.columns import Array
from etgraph.model.errors import MissingData, UsageError
from etgraph.model.kernels import COMPILE_FROM, compiling_from
from etgraph.model.sums import sum_by
from etgraph.queries.findings.candidate import Candidate, Edit
from etgraph.queries.findings.finding import Finding, Findings
from etgraph.queries.findings.kinds import KINDS
from etgraph.queries.findings.measured import Measured, measured
from etgraph.queries.trusting import trust_of
from etgraph.sim.edits import with_enclosed
from etgraph.sim.proof import ENOUGH_SHARE

if TYPE_CHECKING:
    from etgraph.model import Trace
    from etgraph.queries.windows import Iterations, Window
    from etgraph.sim.profiles import Profile

THRESHOLD = 0.004
"""A finding gains at least this part of the step: by about so much replays are off in the mean of the recorded runs."""
REPLAYS = 16
"""About so often a plan is replayed, so that compiling pays from a length on that is as many times shorter."""
NAMED = 6
"""Operators and lines of code that a finding names at most: the costliest."""


def findings(
    trace: Trace,
    *,
    rank: int | None = None,
    iteration: Iterations = None,
    window: Window = "annotation",
    profile: Profile | None = None,
    threshold: float = THRESHOLD,
) -> Findings:
    """What holds the step back, ranked by what the median step would lose if it were mended, by replay.

    The step goes over all ranks or, with `rank`, is that rank's. Every finding gains at least `threshold` of it, and
    more than the replay itself is off; its operators, or what they release, lie on the measured critical path. A trace
    whose replay proves nothing, since it does not say why devices or threads waited, has no findings, and its trust
    says so. With a profile, or with a device that has a built-in one, matrix products are held to its peaks.

    O(operators log operators + candidates · replay). Raises MissingData where the trace has no such rank, iteration or
    window, or no measured times; UsageError for a threshold that is no share.
    """
    if not 0 <= threshold < 1:
        raise UsageError(f"threshold: found {threshold}, expected a share of the step, from 0 to below 1")
    seen = measured(trace, rank, iteration, window, profile)
    step, error = seen.step_ns, seen.replay_error
    least = max(1, round(step * max(threshold, error)))
    found: list[Finding] = []
    left_out: list[str] = []
    doubts: list[str] = []
    if seen.unexplained_share > ENOUGH_SHARE:
        doubts.append(
            f"not replayable: {seen.unexplained_share:.1%} of the window is waiting that nothing recorded explains, "
            "so that no gain can be told"
        )
    else:
        with compiling_from(COMPILE_FROM // REPLAYS):
            found, left_out = _found(seen, least)
    bound, share = seen.bound
    trust = trust_of(
        trace, np.flatnonzero(seen.inside), explained_share=max(0.0, 1 - seen.unexplained_share), warnings=doubts
    )
    ranked = tuple(sorted(found, key=lambda one: (-one.gain_ns, one.id)))
    return Findings(step, bound, share, error, least, ranked, tuple(left_out), trust)


def _found(seen: Measured, least: int) -> tuple[list[Finding], list[str]]:
    """The candidates that gain enough, and what could not be looked for."""
    best: dict[str, Finding] = {}
    left_out = []
    gain = gains(seen)
    for kind, look in KINDS.items():
        try:
            for candidate in look(seen):
                critical = critical_ns(seen, candidate.rows) if candidate.critical_ns is None else candidate.critical_ns
                if critical <= 0:
                    continue
                one = _finding(seen, kind, candidate, gain(candidate), critical)
                if one.gain_ns >= least and (one.id not in best or one.gain_ns > best[one.id].gain_ns):
                    best[one.id] = one
        except MissingData as missing:
            left_out.append(f"{kind}: {missing.message}")
    return list(best.values()), left_out


def gains(seen: Measured) -> Callable[[Candidate], int]:
    """A function that gives what the median step loses by a candidate's edit, in ns; the same plan is run once.

    Each measured step becomes what it was, and by how much the edit moves it, replayed against replayed: so the steps'
    noise stays in, and the replay's own error cancels.
    """
    run: dict[Edit, Array] = {}

    def lengths(edit: Edit) -> Array:
        if edit not in run:
            plan = edit(seen.plan)
            run[edit] = seen.replayed if plan is seen.plan else seen.lengths_of(plan)
        return run[edit]

    def gain(candidate: Candidate) -> int:
        shifts = [lengths(candidate.edit) - lengths(candidate.against)]
        if candidate.most is not None:
            shifts.append(lengths(candidate.most) - seen.replayed)
        return min(seen.step_ns - round(float(np.median(seen.lengths + shift))) for shift in shifts)

    return gain


def critical_ns(seen: Measured, rows: Array) -> int:
    """Time of a step's critical path, in the mean, in those operators, what they enclose and launch, or around them."""
    around = seen.trace.operators["parent"][rows]
    all_rows = np.union1d(with_enclosed(seen.trace, rows), around[around >= 0])
    return round(int(seen.critical_ns[all_rows].sum()) / len(seen.steps))


def _finding(seen: Measured, kind: str, candidate: Candidate, ns: int, critical: int) -> Finding:
    o, rows = seen.trace.operators, candidate.rows
    step = o["iteration"][rows]
    index = np.unique(seen.trace.iterations["index"][step[step >= 0]]) if len(seen.trace.iterations) else step[:0]
    return Finding(
        f"{kind}:{candidate.about}" if candidate.about else kind,
        kind,
        candidate.title,
        ns,
        ns / max(seen.step_ns, 1),
        critical,
        tuple(np.unique(o["rank"][rows]).tolist()),
        tuple(index.tolist()),
        tuple(_costliest(seen, rows, "name")),
        tuple(_costliest(seen, rows, "source")),
        candidate.evidence,
        candidate.advice,
    )


def _costliest(seen: Measured, rows: Array, column: str) -> Iterator[str]:
    """Texts of those operators in a column, that with most time first; the most of `NAMED`."""
    o = seen.trace.operators
    rows = rows[o[column][rows] >= 0]
    codes, first, of = np.unique(o[column][rows], return_index=True, return_inverse=True)
    spent = sum_by(of.ravel(), o["duration_ns"][rows], len(codes))
    for place in np.argsort(-spent, kind="stable")[:NAMED].tolist():
        yield str(o.value(column, int(rows[first[place]])))


__all__ = ["THRESHOLD", "critical_ns", "findings", "gains"]
