"""Who is responsible for what a rule found: operators, collectives and ranks, with their lines of source."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, TypeVar

import numpy as np
import pyarrow.compute as pc

from etgraph.alerts.changes import change_kind
from etgraph.alerts.findings import Responsible, Status
from etgraph.alerts.judging import Verdict
from etgraph.alerts.language.amounts import ADDITIVE
from etgraph.alerts.language.evaluating import Row, label_of
from etgraph.alerts.lateness import later_ranks, more_exposed
from etgraph.alerts.runs import Measured, Part, Run
from etgraph.model import Trace
from etgraph.model.arrivals import communicates
from etgraph.queries.comparison import Comparison, Contribution
from etgraph.queries.comparison.structure import ARROW
from etgraph.queries.keys import types

NAMED: Final = 5
"""The responsible that a finding names at most: the largest."""
OF_THE_MOST: Final = 0.5
"""Ranks that have so much of the path, or of a difference, as the one with most of it are named beside that; and a rank
that comes later by so much of the difference of the steps is responsible itself."""

Key = TypeVar("Key")

_WHAT: Final[Mapping[str, str]] = MappingProxyType(
    {"hotspots": "collective", "findings": "operator", "stragglers": "rank", "breakdown": "rank", "deviceUse": "device"}
)


@dataclass(frozen=True, slots=True)
class Blame:
    """The responsible, largest first, the part of the critical path that they have, and the gain of undoing them."""

    responsible: tuple[Responsible, ...] = ()
    critical_share: float | None = None
    gain_ns: int | None = None
    advice: str | None = None


def of_comparison(
    comparison: Comparison,
    runs: Sequence[Run],
    baseline: Sequence[Run],
    only: Sequence[int] = (),
    *,
    lower: bool = False,
) -> Blame:
    """What makes a step longer than the baseline's, or shorter (`lower`): the parts that contribute most.

    Behind the first one stand the rank that now comes later to where the others wait for it, and the communication that
    is now less hidden by computation, where these are most of the difference; without a `baseline` neither is looked
    for. `only` are the steps that are meant. Nothing would be gained by undoing what made it shorter.
    """
    sign = -1 if lower else 1
    parts = [one for one in comparison.contributions if sign * one.contribution_ns > 0]
    chosen = sorted(parts, key=lambda one: -sign * one.contribution_ns)[:NAMED]
    named = [
        Responsible(
            one.key,
            change_kind(one.key),
            float(one.contribution_ns),
            one.ranks or ranks_on_path(runs, one.key),
            source_of(runs, one.key),
            "ns",
        )
        for one in chosen
    ]
    if baseline:
        most = sign * comparison.difference_ns * OF_THE_MOST
        late, exposed = later_ranks(runs, baseline, only), more_exposed(runs, baseline, only)
        for rank in _much(late, sign, most):
            named.insert(1, Responsible(f"rank {rank}", "rank", late[rank], (rank,), unit="ns"))
        for key in _much(exposed, sign, most):
            if key not in [one.key for one in named[:2]]:
                named.insert(
                    2, Responsible(key, "collective", exposed[key], ranks_of(runs, key), source_of(runs, key), "ns")
                )
    return Blame(
        tuple(named[:NAMED]),
        _share(comparison, chosen),
        None if lower else max(0, min(sum(one.contribution_ns for one in chosen), comparison.difference_ns)),
    )


def _much(amounts: Mapping[Key, float], sign: int, least: float) -> tuple[Key, ...]:
    """The key of the largest amount, where that is as much as is asked; `sign` -1 looks for what shrank."""
    key = max(amounts, key=lambda key: sign * amounts[key], default=None)
    return (key,) if key is not None and 0 < least <= sign * amounts[key] else ()


def of_changes(
    rows: Iterable[tuple[Row, float]], comparison: Comparison, runs: Sequence[Run], *, lower: bool = False
) -> Blame:
    """The changes of the program that a metric counts, or those that went (`lower`), most work first."""
    parts = {one.key: one for one in comparison.structural}
    chosen = [
        (row.values, -float(row.values["removed"]) if lower else number)
        for row, number in rows
        if (row.values["removed"] if lower else number)
    ][:NAMED]
    costs = [parts[row["key"]] for row, _ in chosen]
    return Blame(
        tuple(
            Responsible(row["key"], row["kind"], number, tuple(row["ranks"]), source_of(runs, row["key"]))
            for row, number in chosen
        ),
        _share(comparison, costs),
        None if lower else max(0, sum(one.contribution_ns for one in costs)) or None,
    )


def _share(comparison: Comparison, parts: Sequence[Contribution]) -> float | None:
    """The part of the other side's critical path that is of those contributions; None where they have none."""
    return sum(one.other_ns for one in parts) / comparison.other_ns or None if comparison.other_ns else None


def of_rows(
    measured: Measured,
    question: str,
    runs: Sequence[Run],
    baseline: Measured | None = None,
    *,
    lower: bool = False,
    unit: str,
) -> Blame:
    """The rows of answers that a number came from, largest first; beside a baseline, those that differ most.

    Beside a baseline they have the ranks on which they differ most.

    Of a finding of a trace its operators are the responsible. Numbers of rows of one name are summed over the ranks;
    where their `unit` is that of a rate or share, it is their mean. `lower` begins with the smallest.
    """
    additive = unit in ADDITIVE
    own = _by_label(measured, additive=additive)
    before = _by_label(baseline, additive=additive) if baseline is not None else {}
    sign = -1.0 if lower else 1.0
    amounts = {label: one.number for label, one in own.items()}
    for label, one in before.items():
        amounts[label] = amounts.get(label, 0.0) - one.number
    own = before | own
    ranked = [label for label in own if (sign * amounts[label] > 0 if baseline is not None else amounts[label])]
    ranked.sort(key=lambda label: (-sign * amounts[label], label))
    found: list[Responsible] = []
    gain: int | None = None
    advice: str | None = None
    for label in ranked[:NAMED]:
        row = own[label].row.values
        if row.get("operators") is not None:
            gain, advice = max(gain or 0, int(row["gain_ns"])), advice or str(row["advice"])
            sources = [*row["sources"], *[None] * len(row["operators"])]
            found += [
                Responsible(name, change_kind(name), None, tuple(row["ranks"]), sources[place] or source_of(runs, name))
                for place, name in enumerate(row["operators"])
            ]
            continue
        what = "rank" if label.startswith("rank ") else _WHAT.get(question, change_kind(label))
        if what == "rank":
            found.append(Responsible(label, what, amounts[label], own[label].ranks, unit=unit))
        else:
            ranks = _where(own[label], before.get(label), sign) or ranks_of(runs, label)
            found.append(Responsible(label, what, amounts[label], ranks, source_of(runs, label), unit))
    keys = [one.key for one in found[:NAMED] if one.what != "rank"]
    return Blame(tuple(found[:NAMED]), critical_share(runs, keys), gain, advice)


def of_parts(each: Mapping[Part, Verdict], status: Status, runs: Sequence[Run], *, unit: str) -> Blame:
    """The rows that were judged by themselves and came to that status, the one that differs most first.

    Rows of one name are one, with what they differ by on the rank where that is most, and the ranks that come near it.
    """
    moved: dict[str, dict[int | None, Verdict]] = {}
    for (label, rank), verdict in each.items():
        if verdict.status == status and verdict.moved > 0:
            moved.setdefault(label, {})[rank] = verdict
    most = {label: max(of_ranks.values(), key=lambda one: one.moved) for label, of_ranks in moved.items()}
    found = []
    for label in sorted(most, key=lambda label: (-most[label].moved, label))[:NAMED]:
        least = most[label].moved * OF_THE_MOST
        near = [rank for rank, one in moved[label].items() if rank is not None and one.moved >= least]
        found.append(
            Responsible(
                label, change_kind(label), most[label].difference, tuple(sorted(near)) or ranks_of(runs, label),
                source_of(runs, label), unit,
            )
        )  # fmt: skip
    return Blame(tuple(found), critical_share(runs, [one.key for one in found]))


@dataclass(frozen=True, slots=True)
class _Labelled:
    """Rows of one name: the first of them, a number of all, and those of their ranks."""

    row: Row
    number: float
    by_rank: Mapping[int, float]

    @property
    def ranks(self) -> tuple[int, ...]:
        """Their ranks."""
        return tuple(self.by_rank)


def _where(own: _Labelled, before: _Labelled | None, sign: float) -> tuple[int, ...]:
    """The ranks on which rows differ most from those before; all of theirs where there is nothing before."""
    if before is None or own is before:
        return own.ranks
    differ = {rank: sign * (number - before.by_rank.get(rank, 0.0)) for rank, number in own.by_rank.items()}
    most = max(differ.values(), default=0.0)
    return tuple(rank for rank, number in differ.items() if number >= most * OF_THE_MOST)


def _by_label(measured: Measured, *, additive: bool) -> dict[str, _Labelled]:
    rows: dict[str, list[tuple[Row, float]]] = {}
    for row, number in measured.rows:
        rows.setdefault(label_of(row), []).append((row, number))
    found = {}
    for label, some in rows.items():
        total = sum(number for _, number in some)
        count = max(len(measured.steps), 1) if additive else len(some)
        ranks: dict[int, float] = {}
        for row, number in some:
            if row.values.get("rank") is not None:
                ranks[int(row.values["rank"])] = ranks.get(int(row.values["rank"]), 0.0) + number / count
        found[label] = _Labelled(some[0][0], total / count, dict(sorted(ranks.items())))
    return found


def critical_share(runs: Sequence[Run], keys: Sequence[str]) -> float | None:
    """The part of the critical paths of runs, each whole, under operators of those names; None where none has any."""
    wanted = {_plain(key) for key in keys}
    shares = []
    for run in runs:
        path: Any = run.path()
        if path is not None:
            shares.append(sum(one.share for one in path.by_operator if _plain(one.name) in wanted))
    return float(np.mean(shares)) if any(shares) else None


def _plain(name: str) -> str:
    """A name as a type of collectives would have it: `gloo:all_reduce` is `all_reduce`."""
    return re.sub(r"\A(?:gloo|nccl|mpi|ucc):_?", "", name.lower())


def ranks_of(runs: Sequence[Run], key: str) -> tuple[int, ...]:
    """The ranks on which there are operators of that name, or collectives of that type."""
    found: set[int] = set()
    for run in runs:
        found |= set(np.unique(run.trace.operators["rank"][_rows(run.trace, key)]).tolist())
    return tuple(sorted(found))


def ranks_on_path(runs: Sequence[Run], key: str) -> tuple[int, ...]:
    """The ranks on which operators of that name are on the critical path, those with most of it; else all that have it.

    A pause is where it is.
    """
    spent: dict[int, int] = {}
    category, _, detail = key.partition(": ")
    for run in runs:
        path = run.path()
        if path is None:
            continue
        segments = path.segments
        same = pc.or_kleene(
            pc.fill_null(pc.equal(segments["name"].cast("string"), key.rpartition(ARROW)[2]), False),
            pc.and_(pc.equal(segments["category"], category), pc.equal(segments["detail"], detail)),
        )
        own = segments.filter(same)
        for rank, start, end in zip(*(own[name].to_pylist() for name in ("rank", "start_ns", "end_ns")), strict=True):
            spent[rank] = spent.get(rank, 0) + end - start
    most = max(spent.values(), default=0)
    found = [rank for rank, ns in spent.items() if ns >= most * OF_THE_MOST]
    return tuple(sorted(found, key=lambda rank: -spent[rank])) or ranks_of(runs, key)


def source_of(runs: Sequence[Run], key: str) -> str | None:
    """The first line of source that operators of that name, or collectives of that type, have or are called from."""
    for run in runs:
        o = run.trace.operators
        rows = _rows(run.trace, key)
        for _ in range(8):
            told = rows[o["source"][rows] >= 0]
            if len(told):
                return str(o.value("source", int(told[0])))
            rows = run.trace.enclosing[rows]
            rows = np.unique(rows[rows >= 0])
            if not len(rows):
                break
    return None


def _rows(trace: Trace, key: str) -> Any:
    name = key.rpartition(ARROW)[2]
    if change_kind(name) == "collective":
        talks = np.flatnonzero(communicates(trace, np.arange(len(trace))))
        of_type = types(trace, talks)
        codes = [place for place, text in enumerate(of_type.texts) if text.lower() == name.lower()]
        return talks[np.isin(of_type.code, codes)]
    names = trace.operators.texts("name").to_pylist()
    codes = [place for place, text in enumerate(names) if text == name]
    return np.flatnonzero(np.isin(trace.operators["name"], codes)) if codes else np.zeros(0, dtype=np.int64)


__all__ = [
    "NAMED", "Blame", "critical_share", "of_changes", "of_comparison", "of_parts", "of_rows", "ranks_of",
    "source_of",
]  # fmt: skip
