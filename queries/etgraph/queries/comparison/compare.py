"""Comparison of two traces: the difference of their steps, part by part on the measured critical paths of both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import get_args

import numpy as np

from etgraph.model import Trace, Trust
from etgraph.model.errors import MissingData, UsageError
from etgraph.queries.comparison.contributions import By, Parts, contributions_of, limits_of, parts_of, structural_of
from etgraph.queries.comparison.dependencies import dependency_changes
from etgraph.queries.comparison.differences import differences_of
from etgraph.queries.comparison.estimating import interval
from etgraph.queries.comparison.pairing import Pairing, pairing_of
from etgraph.queries.comparison.result import Comparison, StepTime
from etgraph.queries.comparison.sides import Side, side_of
from etgraph.queries.comparison.structure import structure_of
from etgraph.queries.critical_path import Ground
from etgraph.queries.subjects import Subject
from etgraph.queries.windows import Iterations, Window

Compared = Trace | Subject | Sequence[Trace | Subject]
UNTIMED = "no times on one side or both: only what changed in the program is told, and every time is 0"
LITTLE = 0.5
"""Less of the operators' time than this in such as both sides have deserves a word."""


def compare(
    base: Compared,
    other: Compared,
    *,
    rank: int | None = None,
    iteration: Iterations = None,
    window: Window = "annotation",
    by: By = "operator",
) -> Comparison:
    """The difference of the steps of two traces, or of several on a side, in contributions that sum to it exactly.

    Every step has a measured critical path, whose segments tile it (`critical_path`). The typical step of a side is the
    weighted mean of its steps with the weights of the Harrell–Davis median, and a part's time in it the mean of its
    times with the same weights: so parts sum to the step, and differences of parts to the difference.

    Parts are operators, scopes, lines of source, or categories of the path; two that the alignment of the traces takes
    for the same are one part, `a → b` where their names differ. By operator, what changed in the program comes
    first: see `Contribution`. A pause is a part of its own by operator and category, otherwise it belongs to the
    operator after it. `unexplained_ns` is the difference in pauses without a known cause.

    Where a side has no times at all, the comparison is not `timed`: what changed in the program, with times of 0.

    With several steps on both sides there are intervals, by bootstrap over runs and their steps. `iteration` names the
    steps where a subject does not. Runs of a side that lack the rank are left out, and told in the trust. Raises
    MissingData where a side has no such steps or the two have no operator in common, by name and place; UsageError for
    an unknown `by`, and for a side without traces.
    """
    if by not in get_args(By):
        raise UsageError(f"no comparison by {by!r}: choose {', '.join(get_args(By))}")
    grounds: dict[int, Ground] = {}
    sides = [(_subjects(base, "base"), "base"), (_subjects(other, "other"), "other")]
    timed = all(any(bool(one.trace.timed.any()) for one in side) for side, _ in sides)
    first, second = (side_of(side, what, rank, iteration, window, grounds, timed=timed) for side, what in sides)
    pairing = pairing_of(first, second, rank)
    if not _something_in_common(first, pairing):
        raise MissingData(_nothing_in_common(first, second), hint="are these traces of one program, read alike?")
    structure = structure_of(first, second, pairing)
    structure = replace(
        structure, changes=(*structure.changes, *dependency_changes(first, second, pairing, structure))
    )  # fmt: skip
    parts = parts_of(first, second, pairing, structure, by)
    whole = parts if by == "operator" else parts_of(first, second, pairing, structure, "operator")
    base_ns, other_ns = int(parts.base_ns.sum()), int(parts.other_ns.sum())
    low_ns, high_ns = limits_of(parts, -1)
    return Comparison(
        base_ns, other_ns, other_ns - base_ns, int(parts.other_ns[0] - parts.base_ns[0]), pairing.aligned_share,
        contributions_of(parts, structure, pairing, by),
        differences_of([run.trace for run in first.runs], [run.trace for run in second.runs]),
        _trust(first, second, parts, pairing, timed=timed),
        by, structural_of(whole, structure, pairing), low_ns, high_ns, _steps(first), _steps(second), timed,
    )  # fmt: skip


def _subjects(side: Compared, what: str) -> list[Subject]:
    given = [side] if isinstance(side, (Trace, Subject)) else list(side)
    if not given:
        raise UsageError(f"no trace on the side {what!r}")
    return [one if isinstance(one, Subject) else Subject(one) for one in given]


def _steps(side: Side) -> StepTime:
    times = side.time_ns
    low = high = None
    if len(times) > 1:
        low, high = (round(float(limit)) for limit in interval(side.typical.again(times)))
    return StepTime(
        len(times), len(side.runs), round(float(np.median(times))), int(times.min()), int(times.max()), low, high
    )


def _something_in_common(base: Side, pairing: Pairing) -> bool:
    """Whether an operator has a partner of its own name; where none has, partners were guessed by their place alone."""
    for run, partners in zip(base.runs, pairing.base, strict=True):
        own, theirs = run.trace.operators, partners.trace.operators
        code = {text: code for code, text in enumerate(theirs.texts("name").to_pylist())}
        wanted = np.array([*(code.get(text, -2) for text in own.texts("name").to_pylist()), -1])
        rows = np.flatnonzero(partners.row >= 0)
        if (wanted[own["name"][rows]] == theirs["name"][partners.row[rows]]).any():
            return True
    return False


def _nothing_in_common(base: Side, other: Side) -> str:
    told = []
    for side in (base, other):
        run = side.runs[0]
        texts = [*run.trace.operators.texts("name").to_pylist(), ""]
        count = np.bincount(run.trace.operators["name"][run.row] % len(texts), minlength=len(texts))
        common = sorted((-number, texts[code] or "(no name)") for code, number in enumerate(count.tolist()) if number)
        told.append(f"{run.name} has {', '.join(name for _, name in common[:3]) or 'no operators'}")
    return f"nothing to compare: no operator of the one is found in the other; {told[0]}; {told[1]}"


def _trust(base: Side, other: Side, parts: Parts, pairing: Pairing, *, timed: bool) -> Trust:
    total = int(parts.base_ns.sum() + parts.other_ns.sum())
    warnings: list[str] = []
    for side, what in ((base, "base"), (other, "other")):
        typical = side.trusts[int(np.argmax(side.typical.weights))]
        warnings += [f"{what}: {told}" for told in (*typical.warnings, *side.left_out)]
    warnings += [f"alignment: {told}" for told in pairing.warnings]
    if timed and pairing.aligned_share < LITTLE:
        warnings.append(f"only {pairing.aligned_share:.1%} of the operators' time is in such as both sides have")
    if not timed:
        warnings.append(UNTIMED)
    elif parts.low_ns is None:
        warnings.append("no intervals: these take several steps, or runs, on both sides")
    elif parts.high_ns is not None and parts.low_ns[-1] < 0 < parts.high_ns[-1]:
        warnings.append("the difference of the step times is within what single steps differ")
    return Trust(
        1 - int(parts.base_ns[0] + parts.other_ns[0]) / total if total else None,
        sum(trust.unmatched_collectives for side in (base, other) for trust in side.trusts),
        sum(trust.weak_links for side in (base, other) for trust in side.trusts),
        tuple(dict.fromkeys(warnings)),
    )


__all__ = ["compare"]
