"""One case: a regression in several noisy runs, checked beside as many noisy runs without it."""

from __future__ import annotations

import datetime
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from benchmarks.injected.kinds import Injection, injections
from benchmarks.injected.noise import LEVELS, factors
from benchmarks.injected.peer import ALARM, grown
from benchmarks.injected.spread import Spread, spread_of
from etgraph.alerts.checking import Check, Judged, judged_by
from etgraph.alerts.findings import Finding
from etgraph.alerts.rules.reading import Placed
from etgraph.alerts.runs import Run
from etgraph.alerts.telling import told
from etgraph.model import Trace
from etgraph.queries import iterations

LEAST: Final = 0.02
NOISES: Final = 3.0
"""A regression is to be found where it is this share of the step, and so many standard deviations of a run's step."""
FIRST: Final = 3
"""The right one has to be among so many of the responsible."""
DRAWS: Final = 12
TODAY: Final = datetime.date(2026, 1, 1)
"""No rule here is suppressed until some day."""


@dataclass(frozen=True, slots=True)
class Ground:
    """A trace with noise of a level: runs without a regression, the step without noise, and how far runs differ."""

    name: str
    level: str
    spread: Spread
    baseline: tuple[Run, ...]
    step_ns: float
    noise: float

    @property
    def least(self) -> float:
        """From what share of the step on a regression is to be found."""
        return max(LEAST, NOISES * self.noise)


@dataclass(frozen=True, slots=True)
class Case:
    """A regression on a ground: how much longer the step is, and how much time is added on the rank with most."""

    ground: Ground
    injection: Injection
    effect: float
    added: float

    @property
    def on_path(self) -> bool:
        """Whether it makes the step longer by as much as has to be found."""
        return self.effect >= self.ground.least

    @property
    def counts(self) -> bool:
        """Whether it is to be found: by the step or, off the path, by the time of the operator."""
        of_operators = self.injection.kind in ("slower operator", "halved bandwidth")
        return self.on_path or (of_operators and self.added >= self.ground.least)


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of a case: the rules that fail the check, and what the first of them says that names the right one.

    `told` are the findings that were looked at until then: rules about operators before others.
    """

    case: Case
    runs: tuple[Run, ...]
    broken: tuple[str, ...]
    told: tuple[Finding, ...]
    named: Finding | None

    @property
    def caught(self) -> bool:
        """Whether the check fails, by a rule that names the right one."""
        return self.named is not None


def seed_of(*words: object) -> int:
    """A seed by what is drawn."""
    return zlib.crc32(" ".join(map(str, words)).encode())


def step_of(trace: Trace) -> float:
    """The median step over all ranks, in ns."""
    rows = iterations(trace).rows
    return float(np.median([row.duration_ns for row in rows if row.rank is None] or [row.duration_ns for row in rows]))


def noisy(
    spread: Spread, level: str, count: int, *words: object, injection: Injection | None = None
) -> tuple[Run, ...]:
    """So many runs with noise of a level, of a regression or of none."""
    of = injection.spread if injection is not None else spread
    added = injection.added_ns if injection is not None else 0
    ways = of.ways(injection.extra) if injection is not None else of.ways()
    runs = []
    for number in range(count):
        random = np.random.default_rng(seed_of(*words, level, number))
        trace = of.again((of.own_ns + added) * factors(of, LEVELS[level], random), ways)
        runs.append(Run(f"{' '.join(map(str, words))} {number}", trace))
    return tuple(runs)


def ground_of(name: str, trace: Trace, level: str, runs: int, seed: int = 0) -> Ground:
    """A trace with noise of a level."""
    spread = spread_of(trace)
    steps = [step_of(run.trace) for run in noisy(spread, level, DRAWS, name, "noise", seed)]
    noise = float(np.std(steps, ddof=1) / np.mean(steps))
    return Ground(name, level, spread, noisy(spread, level, runs, name, "base", seed), step_of(trace), noise)


def cases_of(ground: Ground, seed: int = 0) -> Iterator[Case]:
    """Every regression that the trace can have, with what it makes of the step without noise."""
    for injection in injections(ground.spread, ground.step_ns, np.random.default_rng(seed_of(ground.name, seed))):
        spread = injection.spread
        ways = spread.ways(injection.extra)
        if ways is None:
            continue
        changed = spread.again(spread.own_ns + injection.added_ns, ways)
        o, steps = spread.trace.operators, max(len(spread.trace.iteration_indices), 1)
        added = injection.added_ns[1 : 2 * len(spread.trace) : 2] + injection.added_ns[0 : 2 * len(spread.trace) : 2]
        of_ranks = np.bincount(o["rank"], added)
        yield Case(
            ground, injection, step_of(changed) / ground.step_ns - 1, float(of_ranks.max()) / steps / ground.step_ns
        )  # fmt: skip


def tried(case: Case, rules: Sequence[Placed], runs: int, seed: int = 0) -> Tried:
    """A case, checked."""
    ground, injection = case.ground, case.injection
    changed = noisy(ground.spread, ground.level, runs, ground.name, injection.what, seed, injection=injection)
    broken = failing(changed, ground.baseline, rules)
    findings: list[Finding] = []
    for one in sorted(broken, key=lambda one: "times" not in one.rule.metric.questions):
        findings.append(told(one, TODAY))
        if any(names_right(each.key, each.ranks, injection) for each in findings[-1].responsible[:FIRST]):
            return Tried(case, changed, _ids(broken), tuple(findings), findings[-1])
    return Tried(case, changed, _ids(broken), tuple(findings), None)


def unchanged(ground: Ground, rules: Sequence[Placed], runs: int, number: int) -> tuple[tuple[str, ...], bool]:
    """The rules that fail a check of runs without any regression, and whether the peer alarms.

    Each number is another set of runs.
    """
    again, before = (
        noisy(ground.spread, ground.level, runs, ground.name, side, number) for side in ("again", "before")
    )
    alarm = grown(again, before, ground.step_ns)[0].share >= ALARM
    return _ids(failing(again, before, rules)), alarm


def failing(runs: tuple[Run, ...], baseline: tuple[Run, ...], rules: Sequence[Placed]) -> list[Judged]:
    """The rules by which `etgraph check` of runs beside those of a baseline fails."""
    judged = judged_by(Check(runs, ("base",), lambda names: baseline), rules)
    return [one for one in judged if one.verdict.status == "broken" and one.rule.level == "error"]


def _ids(judged: Sequence[Judged]) -> tuple[str, ...]:
    return tuple(one.rule.id for one in judged)


def names_right(name: str, ranks: tuple[int, ...], injection: Injection) -> bool:
    """Whether a name, or its being on some ranks, is what a regression is due to: the operator's, or the rank."""
    if injection.names:
        return name in injection.names or name.lower() in injection.names
    return injection.rank is not None and (name == f"rank {injection.rank}" or ranks == (injection.rank,))


__all__ = [
    "Case", "Ground", "Tried", "cases_of", "failing", "ground_of", "names_right", "noisy", "step_of", "tried",
    "unchanged",
]  # fmt: skip
