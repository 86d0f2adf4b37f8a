"""Who is responsible for what a rule found: operators, collectives and ranks, with their lines of source."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from etgraph.alerts.changes import change_kind
from etgraph.alerts.findings import Responsible
from etgraph.alerts.language.evaluating import Row
from etgraph.alerts.runs import Measured, Run
from etgraph.model import Trace
from etgraph.model.arrivals import communicates
from etgraph.queries.comparison import Comparison
from etgraph.queries.comparison.structure import ARROW
from etgraph.queries.keys import types

NAMED: Final = 5
"""The responsible that a finding names at most: the largest."""

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


def of_comparison(comparison: Comparison, runs: Sequence[Run], *, lower: bool = False) -> Blame:
    """What makes a step longer than the baseline's: changes of the program first, then what it costs; or shorter.

    Nothing would be gained by undoing what made it shorter.
    """
    sign = -1 if lower else 1
    parts = [one for one in comparison.contributions if sign * one.contribution_ns > 0 or one.structural]
    chosen = parts[:NAMED]
    responsible = tuple(
        Responsible(
            one.key,
            change_kind(one.key),
            float(one.contribution_ns),
            one.ranks or ranks_of(runs, one.key),
            source_of(runs, one.key),
        )
        for one in chosen
    )
    total = comparison.other_ns
    return Blame(
        responsible,
        sum(one.other_ns for one in chosen) / total if total else None,
        None if lower else max(0, sum(one.contribution_ns for one in chosen)),
    )


def of_changes(rows: Iterable[tuple[Row, float]], comparison: Comparison, runs: Sequence[Run]) -> Blame:
    """The changes of the program that a metric counts, the one that concerns most work first."""
    parts = {one.key: one for one in comparison.structural}
    chosen = [row for row, number in rows if number]
    costs = [parts[str(row.values["key"])] for row in chosen if row.values["key"] in parts]
    responsible = tuple(
        Responsible(
            str(row.values["key"]), str(row.values["kind"]), number, tuple(row.values["ranks"]),
            source_of(runs, str(row.values["key"])),
        )
        for row, number in rows if number
    )[:NAMED]  # fmt: skip
    total = comparison.other_ns
    return Blame(
        responsible,
        sum(one.other_ns for one in costs) / total if total else None,
        max(0, sum(one.contribution_ns for one in costs)),
    )


def of_rows(
    measured: Measured, question: str, runs: Sequence[Run], baseline: Measured | None = None, *, lower: bool = False
) -> Blame:
    """The rows of answers that a number came from, largest first; beside a baseline, those that differ most.

    Of a finding of a trace its operators are the responsible.
    """
    own, before = _by_label(measured), _by_label(baseline) if baseline is not None else {}
    sign = -1.0 if lower else 1.0
    numbers = {label: sum(values) / len(values) for label, (_, values) in own.items()}
    if baseline is not None:
        for label, number in numbers.items():
            numbers[label] = number - (sum(before[label][1]) / len(before[label][1]) if label in before else 0.0)
    ranked = sorted(numbers, key=lambda label: (-sign * numbers[label], label))
    found: list[Responsible] = []
    gain: int | None = None
    advice: str | None = None
    for label in ranked[:NAMED]:
        row = own[label][0].values
        if baseline is not None and sign * numbers[label] <= 0:
            break
        if row.get("operators") is not None:
            gain, advice = max(gain or 0, int(row["gain_ns"])), advice or str(row["advice"])
            sources = [*row["sources"], *[None] * len(row["operators"])]
            found += [
                Responsible(name, change_kind(name), None, tuple(row["ranks"]), sources[place] or source_of(runs, name))
                for place, name in enumerate(row["operators"])
            ]
            continue
        rank = row.get("rank")
        what = "rank" if label.startswith("rank ") else _WHAT.get(question, change_kind(label))
        ranks = (int(rank),) if rank is not None else ranks_of(runs, label) if what != "rank" else ()
        source = None if what == "rank" else row.get("source") or source_of(runs, label)
        found.append(Responsible(label, what, numbers[label], ranks, source))
    return Blame(tuple(found[:NAMED]), critical_share(runs, [one.key for one in found[:NAMED]]), gain, advice)


def _by_label(measured: Measured) -> dict[str, tuple[Row, list[float]]]:
    found: dict[str, tuple[Row, list[float]]] = {}
    for row, number in measured.rows:
        found.setdefault(label_of(row), (row, []))[1].append(number)
    return found


def label_of(row: Row) -> str:
    """What a row of an answer is called."""
    for name in ("id", "key", "name", "type", "pattern", "kind", "category"):
        value = row.values.get(name)
        if isinstance(value, str):
            return value
    for name in ("rank", "last_rank"):
        if row.values.get(name) is not None:
            return f"rank {row.values[name]}"
    return f"step {row.values['index']}" if row.values.get("index") is not None else "a row"


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
    "NAMED", "Blame", "critical_share", "label_of", "of_changes", "of_comparison", "of_rows", "ranks_of",
    "source_of",
]  # fmt: skip
