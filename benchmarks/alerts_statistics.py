"""Verdicts on simulated histories: false alarms and power beside plain tests; and on recorded runs.

A history has no change at all; then its samples are multiplied by what the tool states as detectable of another one.
The same for Mann and Whitney's test of runs. The peers see the same steps: Welch's t and Mann and Whitney's test at
5 %, which take steps for independent, and a ratio of the means of 1.05. Settings were chosen by the first table; the
second one is of histories that were held out. `python -m benchmarks.alerts_statistics PART` prints one of the parts.
"""

from __future__ import annotations

import itertools
import os
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from benchmarks.collection import folder
from etgraph.alerts.statistics import Case, Decision, adjusted, change_points, decide, decide_change
from etgraph.alerts.statistics.estimates import Test, estimated
from etgraph.ingest import read
from etgraph.model.columns import Array
from etgraph.queries import iterations
from support.held_out import HELD_OUT, SEED
from support.histories import SCENARIOS, Scenario, normal, series, skewed, student, wilson

HISTORIES = int(os.environ.get("ETGRAPH_HISTORIES", "10000"))
ALPHA = 0.05
RULES, CHANGED = 40, 5
PARTS = ["tuned", "held-out", "rest"]


def main() -> None:
    """Print the tables."""
    parts = [word for word in sys.argv[1:] if word in PARTS] or PARTS
    print(f"{HISTORIES:,} histories each; nominal false alarm rate {ALPHA:.0%}, power stated 80 %")
    for part, scenarios, seed in (("tuned", SCENARIOS, 0), ("held-out", HELD_OUT, SEED)):
        if part not in parts:
            continue
        print(f"\n{part}\n")
        print("| | false alarms | power | detectable | `mann-whitney` | power | Welch | M.-W. of steps | ratio |")
        print("|---|---:|---:|---:|---:|---:|---:|---:|---:|")
        for number, scenario in enumerate(scenarios):
            print(_row(scenario, np.random.default_rng(seed + number)), flush=True)
    if "rest" in parts:
        _many_rules()
        _changes()
        _lasting()
        _recorded()


def cases(scenario: Scenario, samples: Array, baseline: Array, test: Test = "means") -> list[Case]:
    """What is decided of every history, with no increase allowed."""
    return [
        Case(
            estimated(
                list(one), list(other), ordered=scenario.ordered, test=test,
                alternating="baseline first" if scenario.alternating else None,
            ),
            0.0, "higher", len(one), len(other),
        )
        for one, other in zip(samples, baseline)
    ]  # fmt: skip


def broken(found: Iterable[Case]) -> int:
    """How many are: the interval of a case is beyond its limit where its p-value is no larger than the level."""
    return sum(case.p_value <= ALPHA * (1 + 1e-9) for case in found)


def _row(scenario: Scenario, random: np.random.Generator) -> str:
    samples, baseline = scenario.drawn(random, HISTORIES)
    fresh, before = scenario.drawn(random, HISTORIES)
    cells, stated = [], np.zeros(HISTORIES)
    for test in ("means", "ranks"):
        found = cases(scenario, samples, baseline, test)
        detectable = [case.estimate.bounds.detectable(ALPHA, above=True) for case in found]
        if test == "ranks" and (detectable[0] is None or scenario.alternating or scenario.ordered):
            cells += ["–", "–"]
            continue
        reach = np.expm1(np.array(detectable, dtype=float))
        hits = broken(cases(scenario, fresh * (1 + reach)[:, None, None], before, test))
        cells += [_rate(broken(found)), _rate(hits)]
        stated = reach if test == "means" else stated
    cells.insert(2, f"+{np.median(stated):.1%}")
    peers = [f"{rate:.1%}" for rate in _peers(samples, baseline)]
    return f"| {scenario.name} | {' | '.join([*cells, *peers])} |"


def _rate(hits: int) -> str:
    low, high = wilson(hits, HISTORIES)
    return f"{hits / HISTORIES:.1%} ({low:.1%}–{high:.1%})"


def _peers(samples: Array, baseline: Array) -> list[float]:
    """False alarm rates of plain tests on all steps of both sides."""
    from scipy.stats import mannwhitneyu, ttest_ind

    one, other = samples.reshape(len(samples), -1), baseline.reshape(len(baseline), -1)
    welch = ttest_ind(one, other, axis=1, equal_var=False, alternative="greater").pvalue
    ranks = mannwhitneyu(one, other, axis=1, alternative="greater", method="asymptotic").pvalue
    ratio = one.mean(axis=1) / other.mean(axis=1)
    return [float((welch < ALPHA).mean()), float((ranks < ALPHA).mean()), float((ratio >= 1.05).mean())]


def _many_rules() -> None:
    """Rules that share their runs' noise, some of which changed: the share of false ones among the alarms."""
    random = np.random.default_rng(99)
    checks = HISTORIES // 20
    false: dict[str, list[float]] = {"each alone": [], "adjusted": []}
    found = Counter[str]()
    for _ in range(checks):
        shared = random.normal(0, 0.02, (2, 5))
        runs = np.exp(shared[:, None] + random.normal(0, 0.02, (2, RULES, 5)))
        runs[0, :CHANGED] *= 1.15
        alone = [
            decide(list(runs[0, rule, :, None]), list(runs[1, rule, :, None]), max_increase=0.0)
            for rule in range(RULES)
        ]
        for name, decisions in (("each alone", alone), ("adjusted", adjusted(alone))):
            broken = [decision.status == "broken" for decision in decisions]
            false[name].append(sum(broken[CHANGED:]) / max(sum(broken), 1))
            found[name] += sum(broken[:CHANGED])
    print(f"\n{checks:,} checks of {RULES} rules, {CHANGED} of them broken by 15 %, 5 runs a side\n")
    print("| | false ones among the alarms, mean | broken rules found |\n|---|---:|---:|")
    for name, shares in false.items():
        print(f"| {name} | {np.mean(shares):.1%} | {found[name] / checks / CHANGED:.0%} |")


def _changes() -> None:
    """Histories of one value a run: changes in those without any, and a shift found within two runs of its place."""
    count, random = max(HISTORIES // 40, 10), np.random.default_rng(98)
    print(f"\n{count:,} histories each; a shift of four standard deviations of a run in the middle\n")
    print(
        "| runs, correlation of neighbours | a change where none is | found | others beside it |\n|---|---:|---:|---:|"
    )
    for runs, correlation, shape in (
        (12, 0.0, normal), (30, 0.0, normal), (30, 0.0, student), (30, 0.0, skewed), (30, 0.5, student),
        (12, 0.8, normal), (30, 0.8, normal),
    ):  # fmt: skip
        noise = 0.03 * series(shape(random, (count, runs)), correlation)
        without = sum(bool(change_points(np.exp(each))) for each in noise)
        noise[:, runs // 2 :] += 0.12
        places = [[abs(point.first - runs // 2) <= 2 for point in change_points(np.exp(each))] for each in noise]
        low, high = wilson(without, count)
        hits, others = sum(map(any, places)) / count, sum(near.count(False) for near in places) / count
        alarms = f"{without / count:.1%} ({low:.1%}–{high:.1%})"
        print(f"| {runs}, {correlation:g}, {shape.__name__} | {alarms} | {hits:.0%} | {others:.2f} |", flush=True)


def _lasting() -> None:
    """The test of a rule by change points: histories without a change, and with one of what is stated as detectable."""
    count, random = max(HISTORIES // 40, 10), np.random.default_rng(97)
    print(f"\n{count:,} histories each, test = change-point; a change of what it states as detectable\n")
    print("| runs, correlation of neighbours | false alarms | after 3 runs | after 6 | detectable |")
    print("|---|---:|---:|---:|---:|")
    for runs, correlation, shape in ((16, 0.0, normal), (24, 0.0, skewed), (24, 0.5, student), (24, 0.8, normal)):

        def drawn() -> Array:
            return 0.03 * series(shape(random, (count, runs)), correlation)  # noqa: B023

        found = [_change(history) for history in drawn()]
        stated = np.log1p([(each.detectable or 0.0) / each.baseline for each in found])
        low, high = wilson(alarms := sum(each.status == "broken" for each in found), count)
        hits = []
        for since in (3, 6):
            changed = drawn()
            changed[:, runs - since :] += stated[:, None]
            hits.append(sum(_change(history).status == "broken" for history in changed) / count)
        print(
            f"| {runs}, {correlation:g}, {shape.__name__} | {alarms / count:.1%} ({low:.1%}–{high:.1%}) "
            f"| {hits[0]:.0%} | {hits[1]:.0%} | +{np.median(np.expm1(stated)):.0%} |",
            flush=True,
        )


def _change(history: Array) -> Decision:
    return decide_change(list(np.exp(history)[:, None]), samples=1, max_increase=0.0)


def _recorded() -> None:
    """Step times of recorded runs, where the collection has them."""
    place = folder() / "recorded"
    if not (place / "series").exists():
        print("\nno recorded runs here")
        return
    base, slow = ([_steps(place / "series" / f"{side}_{n}") for n in range(1, 7)] for side in ("base", "slow"))
    print("\nrecorded/series, one step a run, at most 5 % more, by step time alone\n")
    print("| | broken | undecided | passed | improved |\n|---|---:|---:|---:|---:|")
    threes = list(itertools.combinations(range(6), 3))
    for name, sets in {
        "3 base, the other 3 base": [(_of(base, _rest(three)), _of(base, three)) for three in threes],
        "3 base, each other base": [([base[n]], _of(base, three)) for three in threes for n in _rest(three)],
        "3 base, each slow": [([run], _of(base, three)) for three in threes for run in slow],
        "3 base, all slow": [(slow, _of(base, three)) for three in threes],
        "6 base, all slow": [(slow, base)],
    }.items():
        verdicts = Counter(decide(*sides, max_increase=0.05).status for sides in sets)
        counts = [f"{verdicts[status]}" for status in ("broken", "undecided", "passed", "improved")]
        print(f"| {name} | {' | '.join(counts)} |")
    print("\nrecorded/whatif, even iterations as baseline, at most 5 % more\n")
    print("| | change | 90 % interval | verdict | runs needed |\n|---|---:|---:|---|---:|")
    for change in ("late_rank", "extra_all_gather", "extra_barriers", "tiny_buckets"):
        runs = [_steps(place / "whatif" / f"{change}_{n}") for n in range(1, 5)]
        each = [(f"{change}_{number}", [run]) for number, run in enumerate(runs, start=1)]
        for name, some in [(f"{change}, 4 runs", runs), *each]:
            _print(name, [run[1::2] for run in some], [run[::2] for run in some])
        even = [run[::2] for run in runs]
        _print(f"{change}, 4 runs, base alone", [run[1::2] for run in even], [run[::2] for run in even])


def _print(name: str, samples: Sequence[Array], baseline: Sequence[Array]) -> None:
    found = decide(samples, baseline, max_increase=0.05, alternating="baseline first")
    low, high = found.interval.low / found.baseline, found.interval.high / found.baseline
    needed = found.runs_needed or "–"
    print(f"| {name} | {found.change:+.1%} | {low:+.1%} … {high:+.1%} | {found.status} | {needed} |")


def _steps(run: Path) -> Array:
    """Steps over all ranks, in ns."""
    rows = iterations(read(run)).rows
    return np.array([step.duration_ns for step in rows if step.rank is None], dtype=float)


def _of(runs: Sequence[Array], which: Iterable[int]) -> list[Array]:
    return [runs[number] for number in which]


def _rest(three: Sequence[int]) -> list[int]:
    return [number for number in range(6) if number not in three]


if __name__ == "__main__":
    main()
