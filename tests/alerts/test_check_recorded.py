"""Checks of recorded runs with one known change each: it is named, nothing is said of runs without one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from etgraph.alerts.checking import Check, check
from etgraph.alerts.findings import CheckResult, Finding
from etgraph.alerts.rules import load
from etgraph.alerts.runs import Run
from etgraph.ingest import read, samples

RULES = tuple(placed for placed in load([]) if placed.rule.needs_baseline)
STRUCTURAL = {placed.rule.id for placed in RULES if placed.rule.metric.structural}
OF_WHATIF = {
    "extra_all_gather": "all_gather", "extra_barriers": "barrier", "late_rank": "aten::linear",
    "tiny_buckets": "all_reduce",
}  # fmt: skip
TOLD_BY_TIME = ("extra_all_gather", "late_rank")
EVEN, ODD = (0, 2, 4, 6, 8), (1, 3, 5, 7, 9)


def compared(runs: Sequence[Run], baseline: Sequence[Run]) -> CheckResult:
    """What the rules that come with etgraph find beside a baseline."""
    return check(Check(tuple(runs), ("baseline",), lambda names: tuple(baseline)), RULES)


def broken(result: CheckResult) -> dict[str, Finding]:
    """The rules of level error that are broken, by their ids."""
    return {each.rule: each for each in result.findings if each.status == "broken" and each.level == "error"}


def named(finding: Finding) -> list[str]:
    """The responsible, in order."""
    return [each.key for each in finding.responsible]


def test_of_the_series_no_base_run_is_flagged_and_every_slow_one_is(collection_dir: Path) -> None:
    runs = {name: Run(name, read(path)) for path in (collection_dir / "recorded" / "series").iterdir()
            for name in (path.name,)}  # fmt: skip
    base = [runs[f"base_{number}"] for number in (1, 2, 3)]
    for number in (4, 5, 6):
        result = compared([runs[f"base_{number}"]], base)
        assert not broken(result)
        assert {each.status for each in result.findings if each.rule in STRUCTURAL} == {"passed"}
        assert result.status in ("ok", "undecided")
    for number in range(1, 7):
        result = compared([runs[f"slow_{number}"]], base)
        assert result.status == "regressed"
        found = broken(result)
        assert named(found["collectives-added"]) == ["all_to_all"]
        assert named(found["collective-bytes"]) == ["all_to_all"]
        assert found["collectives-added"].responsible[0].ranks == (0, 1, 2, 3)


@pytest.mark.parametrize("run", range(1, 5))
@pytest.mark.parametrize("variant", OF_WHATIF)
def test_every_variant_is_named_by_the_structure_of_its_steps(collection_dir: Path, variant: str, run: int) -> None:
    trace = read(collection_dir / "recorded" / "whatif" / f"{variant}_{run}")
    even, odd = Run("run#even", trace, EVEN), Run("run#odd", trace, ODD)
    result = compared([odd], [even])
    found = broken(result)
    assert result.status == "regressed"
    changed = [key for rule, each in found.items() if rule in STRUCTURAL for key in named(each)]
    assert OF_WHATIF[variant] in changed
    (time,) = (each for each in result.findings if each.rule == "step-time")
    assert time.status in (("broken",) if variant in TOLD_BY_TIME else ("broken", "undecided"))
    if variant == "late_rank":
        assert named(time)[0] == "aten::linear"
        assert time.responsible[0].ranks == (1,)


@pytest.mark.parametrize("variant", OF_WHATIF)
def test_steps_of_the_base_are_not_flagged(collection_dir: Path, variant: str) -> None:
    trace = read(collection_dir / "recorded" / "whatif" / f"{variant}_1")
    result = compared([Run("late base", trace, (4, 6, 8))], [Run("early base", trace, (0, 2))])
    assert not broken(result)


def test_tiny_buckets_a_needless_all_gather_and_a_barrier_are_named_and_their_going_is_an_improvement() -> None:
    before, after = (Run(name, read(samples.path(name))) for name in ("gpt_ddp", "gpt_ddp_regressed"))
    result = compared([after], [before])
    assert result.status == "regressed"
    added = broken(result)["collectives-added"]
    assert named(added) == ["all_reduce", "all_gather", "barrier"]
    assert "+5 × all_reduce (14 to 19 a step and rank, 1.21 MB → 893 kB each)" in added.message
    assert added.command == "etgraph compare gpt_ddp gpt_ddp_regressed"
    result = compared([before], [after])
    assert result.status == "ok"
    status = {each.rule: each.status for each in result.findings}
    assert {status[rule] for rule in ("collectives-added", "collective-bytes", "operators-added")} == {"improved"}
    assert status["step-time"] in ("improved", "undecided", "passed")
    assert "broken" not in status.values()


def test_execution_traces_alone_tell_what_changed(collection_dir: Path, tmp_path: Path) -> None:
    """They have no times at all."""
    for name in ("gpt_ddp", "gpt_ddp_regressed"):
        (tmp_path / name).mkdir()
        for file in (collection_dir / "recorded" / name).glob("et_*"):
            (tmp_path / name / file.name).symlink_to(file)
    before, after = (Run(name, read(tmp_path / name)) for name in ("gpt_ddp", "gpt_ddp_regressed"))
    result = compared([after], [before])
    assert result.status == "regressed"
    assert set(named(broken(result)["collectives-added"])) == {"all_reduce", "all_gather", "barrier"}
    status = {each.rule: each for each in compared([before], [after]).findings}
    assert {status[rule].status for rule in ("collectives-added", "collective-bytes", "operators-added")} == {
        "improved"
    }
    assert "broken" not in {each.status for each in status.values()}
    assert "no iteration has measured times" in (status["step-time"].reason or "")


def test_every_sample_can_be_checked_by_the_rules_of_bottlenecks(traces_dir: Path) -> None:
    rules = load([])
    for name in ("gpt_ddp", "gpt_ddp_5steps"):
        result = check(Check((Run(name, read(samples.path(name))),)), rules)
        assert result.status == "ok"
        assert {each.status for each in result.findings} <= {"passed", "broken"}
        waiting = next(each for each in result.findings if each.rule == "waiting")
        assert waiting.value is not None
        assert all(each.what == "rank" for each in waiting.responsible)
