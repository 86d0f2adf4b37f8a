"""What the rules of a set compare with for one trace, and which of them have nothing to compare with yet."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from etgraph.alerts.references import Library, baseline_runs, is_of_a_catalogue
from etgraph.alerts.rules.reading import Placed
from etgraph.alerts.runs import Run
from etgraph.alerts.standing.evaluation import LeftOut
from etgraph.alerts.standing.rule_sets import TAG
from etgraph.model.errors import NotFound
from etgraph.store import TraceInfo

LAST: Final = "last:5"
"""What rules compare with where neither they nor their set name a baseline and the workload has no such tag."""


@dataclass(frozen=True, slots=True)
class Beside:
    """Rules that can be asked, each with the names of its baseline; ids of these by rule; and those left out."""

    rules: tuple[Placed, ...]
    traces: Mapping[str, tuple[str, ...]]
    left_out: tuple[LeftOut, ...]


def beside(
    rules: Sequence[Placed],
    usual: Sequence[str],
    run: Run,
    library: Library,
    workload: str,
    bad: Collection[str] = frozenset(),
) -> Beside:
    """The rules of a set for a run of a workload, beside what each names or else the `usual` baseline.

    `branch:` and `last:` leave out the traces that are `bad`: what broke the rules once does not become what is
    usual. They mean traces of the run's own shape, unless there are others alone, with which it is incomparable. Rules
    without anything to compare with are left out. Raises what opening raises other than NotFound.
    """
    good = replace(library, entries=lambda of: [each for each in library.entries(of) if each.id not in bad])
    known: dict[tuple[str, ...], tuple[Run, ...] | NotFound] = {}
    asked: list[Placed] = []
    traces: dict[str, tuple[str, ...]] = {}
    left_out: list[LeftOut] = []
    for placed in rules:
        if placed.rule.level == "off":
            continue
        if not placed.rule.needs_baseline:
            asked.append(placed)
            continue
        names = placed.rule.baseline or tuple(usual)
        if names not in known:
            known[names] = _opened(names, run, good, workload)
        found = known[names]
        if isinstance(found, NotFound):
            left_out.append(LeftOut(placed.rule.id, found.message))
        else:
            asked.append(replace(placed, rule=replace(placed.rule, baseline=tuple(each.name for each in found))))
            traces[placed.rule.id] = tuple(each.trace.trace_id or "" for each in found)
    return Beside(tuple(asked), traces, tuple(left_out))


def _opened(names: Sequence[str], run: Run, library: Library, workload: str) -> tuple[Run, ...] | NotFound:
    """The runs of baselines, or the error where there is none of one of them."""
    try:
        if names:
            return tuple(each for name in names for each in _of(name, run, library, workload))
        try:
            return _of(TAG, run, library, workload)
        except NotFound:
            return _of(LAST, run, library, workload)
    except NotFound as error:
        return error


def _of(name: str, run: Run, library: Library, workload: str) -> tuple[Run, ...]:
    if not is_of_a_catalogue(name):
        return (library.open(f"{workload}{name}" if name.startswith("@") else name),)
    alike = replace(library, entries=lambda of: [each for each in library.entries(of) if _is_alike(run.info, each)])
    try:
        return baseline_runs(name, [run], alike, workload)
    except NotFound:
        return baseline_runs(name, [run], library, workload)


def _is_alike(run: TraceInfo | None, other: TraceInfo) -> bool:
    """Whether nothing that the catalogue tells of both is another hardware or number of ranks."""
    pairs = () if run is None else ((run.world_size, other.world_size), (run.device_model, other.device_model))
    return all(own is None or theirs is None or own == theirs for own, theirs in pairs)


__all__ = ["LAST", "Beside", "beside"]
