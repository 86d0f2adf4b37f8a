"""Regressions put into recorded runs: how many the rules that come with etgraph find, and whom they name.

A case is a trace, noise of a level and a regression. Several noisy runs with it are checked beside as many without.
Those count that make the step longer, or an operator off the path take longer, by 2 % of the step and three standard
deviations of a run's step. `ETGRAPH_INJECTED` names one of both halves, `tuning` or `held-out`, or some traces;
`ETGRAPH_RUNS` is how many runs a side has.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.injected.peer import ALARM, grown
from benchmarks.injected.traces import HELD_OUT, TUNING, available, opened
from benchmarks.injected.trying import Case, Ground, Tried, cases_of, ground_of, names_right, tried, unchanged
from etgraph.alerts.rules.reading import Placed, load
from etgraph.model import Trace

HALVES: Final = {"tuning": TUNING, "held-out": HELD_OUT}
RUNS: Final = int(os.environ.get("ETGRAPH_RUNS", "5"))
"""Runs a side."""
SMALL: Final = 8_000
"""Traces of fewer operators are tried with more levels of noise, and more checks without a regression."""


def levels_of(trace: Trace) -> dict[str, int]:
    """The levels of noise that are tried on a trace, and how many checks of no regression at each."""
    if len(trace) < SMALL:
        return {"quiet": 5, "usual": 5, "noisy": 5, "recorded": 5}
    return {"quiet": 1, "usual": 1}


@dataclass(frozen=True, slots=True)
class Row:
    """A case that counts, what came of it, and whether the peer alarms and names the right one."""

    case: Case
    tried: Tried
    peer: bool


def main() -> None:
    """Print the tables."""
    chosen = os.environ.get("ETGRAPH_INJECTED", " ".join(HALVES)).split()
    for half, names in HALVES.items():
        paths = {name: path for name, path in available(names).items() if half in chosen or name in chosen}
        if paths:
            _half(half, paths)


def _half(half: str, paths: dict[str, Path]) -> None:
    rules = [placed for placed in load([]) if placed.rule.needs_baseline]
    rows: list[Row] = []
    alarms: Counter[str] = Counter()
    generated: Counter[str] = Counter()
    start = time.perf_counter()
    print(f"### {half}\n")
    for name, path in paths.items():
        trace = opened(path)
        for level, checks in levels_of(trace).items():
            ground = ground_of(name, trace, level, RUNS)
            for number in range(checks):
                _count(alarms, level, *unchanged(ground, rules, RUNS, number), ground)
            for case in cases_of(ground):
                generated[case.injection.kind] += 1
                if case.counts:
                    rows.append(_row(case, rules))
                    _tell(rows[-1])
    _table("kind", rows, lambda row: row.case.injection.kind + ("" if row.case.on_path else ", off the path"))
    _table("trace", rows, lambda row: row.case.ground.name)
    _table("noise", rows, lambda row: row.case.ground.level)
    print("\n| no regression | checks | alarms | peer |\n|---|---:|---:|---:|")
    for key in dict.fromkeys(key.removesuffix(" alarm").removesuffix(" peer") for key in alarms):
        print(f"| {key} | {alarms[key]} | {alarms[key + ' alarm']} | {alarms[key + ' peer']} |")
    kinds = ", ".join(f"{number} {kind}" for kind, number in generated.items())
    print(
        f"\n{sum(generated.values())} cases ({kinds}), {len(rows)} of them count; {time.perf_counter() - start:.0f} s\n"
    )


def _row(case: Case, rules: Sequence[Placed]) -> Row:
    found = tried(case, rules, RUNS)
    named = grown(found.runs, case.ground.baseline, case.ground.step_ns)
    right = any(names_right(one.name, (one.rank,), case.injection) for one in named)
    return Row(case, found, named[0].share >= ALARM and right)


def _tell(row: Row) -> None:
    """A case that was not caught, in a line."""
    if not row.tried.caught:
        injection, ground = row.case.injection, row.case.ground
        found = [(one.rule, [each.key[:40] for each in one.responsible[:3]]) for one in row.tried.told]
        print(f"missed: {ground.name}, {ground.level}: {injection.kind}, {injection.what[:60]}, step "
              f"{row.case.effect:+.1%}, added {row.case.added:.1%}: {found}", flush=True)  # fmt: skip


def _count(alarms: Counter[str], key: str, broken: tuple[str, ...], peer: bool, ground: Ground) -> None:
    alarms[key] += 1
    alarms[f"{key} alarm"] += bool(broken)
    alarms[f"{key} peer"] += peer
    if broken:
        print(f"false alarm: {ground.name}, {ground.level}: {', '.join(broken)}", flush=True)


def _table(what: str, rows: list[Row], key_of: Callable[[Row], str]) -> None:
    print(f"\n| {what} | count | caught | the step is longer | peer |\n|---|---:|---:|---:|---:|")
    for key, some in _grouped(rows, key_of):
        by_step = sum("step-time" in row.tried.broken for row in some)
        caught, peer = sum(row.tried.caught for row in some), sum(row.peer for row in some)
        print(f"| {key} | {len(some)} | {caught} ({caught / len(some):.1%}) | {by_step} | {peer} |")


def _grouped(rows: list[Row], key_of: Callable[[Row], str]) -> Iterator[tuple[str, list[Row]]]:
    for key in dict.fromkeys(map(key_of, rows)):
        yield key, [row for row in rows if key_of(row) == key]
    if rows:
        yield "all", rows


if __name__ == "__main__":
    main()
