"""Verdicts on small runs: budgets, regressions, changes of the program, who is responsible, and what stands beside."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import replace

import pytest

from etgraph.alerts.checking import Check, check, outcome
from etgraph.alerts.exits import exit_code
from etgraph.alerts.findings import CheckResult, Finding
from etgraph.alerts.judging import in_order, take_turns
from etgraph.alerts.rules import load, loads
from etgraph.alerts.runs import Run
from etgraph.model import Trace
from etgraph.model.errors import UsageError
from etgraph.store import describe
from support.build import build, without_times
from support.steps import steps

TODAY = datetime.date(2026, 3, 31)


def found(
    rule: str,
    run: Trace | Sequence[Run],
    baseline: Trace | Sequence[Run] | None = None,
    *,
    earlier: Sequence[Run] = (),
    today: datetime.date = TODAY,
) -> CheckResult:
    """What a check by rules comes to; `rule` are the lines of one after its id, or several rules."""
    text = rule if "[[rules]]" in rule else f'[[rules]]\nid = "rule"\n{rule}'
    runs = (Run("run", run),) if isinstance(run, Trace) else tuple(run)
    base = (Run("base", baseline),) if isinstance(baseline, Trace) else tuple(baseline or ())
    of = Check(runs, ("base",) if base else (), lambda names: base, lambda run, count: tuple(earlier)[-count:], today)
    return check(of, loads(text))


def one(*args: object, **more: object) -> Finding:
    """The only finding."""
    (finding,) = found(*args, **more).findings  # type: ignore[arg-type]
    return finding


EXPOSED = 'metric = "breakdown.exposedCommunicationNs"\n'
TIME = 'metric = "iterations.durationNs"\n'
BASE = """
    rank 0 | thread 1 | aten::mm      0..40
    rank 0 | thread 1 | aten::relu   40..60
"""
ADDED = 'metric = "sum(changes.added)"\nbudget = {max = 0}\n'


@pytest.mark.parametrize(
    ("budget", "status"),
    [("max = '29 ns'", "broken"), ("max = '30 ns'", "passed"), ("min = '31 ns'", "broken"), ("min = '30 ns'", "passed"),
     ("min = '20 ns', max = '40 ns'", "passed")],
)  # fmt: skip
def test_a_budget_is_broken_beyond_its_limits(budget: str, status: str) -> None:
    result = found(f"{EXPOSED}budget = {{{budget}}}", steps([100]))
    (finding,) = result.findings
    assert (finding.status, finding.value, finding.unit) == (status, 30, "ns")
    assert result.status == ("regressed" if status == "broken" else "ok")
    assert exit_code(result) == (1 if status == "broken" else 0)
    assert (finding.rule_file, finding.rule_line) == ("rules.toml", 1)
    assert finding.command == "etgraph breakdown run"


@pytest.mark.parametrize("timed", [(False, False), (True, False)])
def test_without_times_the_program_is_compared_and_rules_about_times_say_what_is_missing(
    timed: tuple[bool, bool],
) -> None:
    base, more = (build(BASE), build(BASE + "\nrank 0 | thread 1 | aten::linear  60..90"))
    base, more = (each if has else without_times(each) for each, has in zip((base, more), timed, strict=True))
    added = one(ADDED, more, base)
    assert (added.status, added.value, added.message) == ("broken", 1, "+1 × aten::linear (0 to 1 a step and rank)")
    assert (added.gain_ns, added.critical_share, [each.key for each in added.responsible]) == (
        None,
        None,
        ["aten::linear"],
    )
    assert one(ADDED, base, more).status == "improved"
    counted = one('metric = "sum(structure.operators.count)"\nregression = {max_increase = 0}\n', more, base)
    assert (counted.status, counted.value, counted.baseline) == ("broken", 3, 2)
    for metric in ("compare.differenceNs", "sum(changes.contributionNs)", "max(changes.workNs)"):
        finding = one(f"metric = '{metric}'\nbudget = {{max = 0}}\n", more, base)
        assert finding.status == "incomparable"
        assert "has no measured times" in finding.message
        assert one(f"metric = '{metric}'\nbudget = {{max = 0}}\nmissing = 'pass'\n", more, base).status == "passed"
    assert one(f"{TIME}regression = {{max_increase = '1%'}}", more, base).status == "incomparable"


def test_the_level_says_what_comes_of_it() -> None:
    broken = f"{EXPOSED}budget = {{max = 0}}\n"
    assert [each.level for each in found(broken + 'level = "warn"', steps([100])).findings] == ["warn"]
    assert found(broken + 'level = "warn"', steps([100])).status == "ok"
    assert found(broken + 'level = "off"', steps([100])) == CheckResult("ok", ("run",), (), ())


def test_the_responsible_are_the_rows_that_were_measured() -> None:
    late = steps([100], late=10)
    finding = one(f"{EXPOSED}budget = {{max = 0}}", late)
    assert [(each.key, each.what, each.contribution) for each in finding.responsible] == [
        ("rank 0", "rank", 30.0), ("rank 1", "rank", 20.0),
    ]  # fmt: skip
    finding = one(f"{EXPOSED}budget = {{max = 0}}\nresponsible = 'hotspots.exposedNs'", late)
    (culprit,) = finding.responsible
    assert (culprit.key, culprit.what, culprit.contribution, culprit.ranks) == (
        "ALL_REDUCE",
        "collective",
        50.0,
        (0, 1),
    )
    share = EXPOSED.replace("Ns", "Ns / (breakdown.endNs - breakdown.startNs)", 1)
    finding = one(f"{share}budget = {{max = 0}}\nresponsible = 'hotspots.exposedNs'\nremediation = 'hide it'", late)
    assert [(each.contribution, each.unit) for each in finding.responsible] == [(50.0, "ns")]
    assert finding.unit == "share"
    assert finding.advice == "hide it"


def test_a_suppression_holds_until_its_day() -> None:
    rule = f"{EXPOSED}budget = {{max = 0}}\nowner = 'ads'\nsuppress = {{reason = 'known', until = 2026-03-31}}"
    result = found(rule, steps([100]))
    (finding,) = result.findings
    assert (finding.status, finding.reason, finding.owner) == (
        "suppressed",
        "suppression until 2026-03-31: known",
        "ads",
    )
    assert result.status == "ok"
    result = found(rule, steps([100]), today=datetime.date(2026, 4, 1))
    (finding,) = result.findings
    assert (finding.status, finding.reason) == ("broken", "suppression expired on 2026-03-31: known")
    assert "expired" in finding.message
    assert result.status == "regressed"
    assert one(rule.replace("max = 0", "max = '1 ms'"), steps([100])).status == "passed"


def test_what_is_not_recorded_is_no_pass() -> None:
    rule = 'metric = "deviceUse.busyShare"\nbudget = {min = "50%"}\n'
    result = found(rule, steps([100]))
    (finding,) = result.findings
    assert (finding.status, result.status, exit_code(result)) == ("incomparable", "incomparable", 3)
    assert "no rank of the trace has operators on a device" in finding.message
    result = found(rule + 'missing = "pass"', steps([100]))
    assert (result.findings[0].status, result.status) == ("passed", "ok")
    assert "not measured" in result.findings[0].message
    missing = 'level = "warn"\nmetric = "breakdown.idleNs"\nbudget = {min = 0}\nwhere = {iterations = [7]}'
    assert exit_code(found(missing, steps([100]))) == 3  # what could not be checked is told at any level


# Beside a baseline


def test_a_change_of_the_program_is_found_in_one_run_by_name() -> None:
    base, more = steps([100, 120]), steps([110, 90], extra="aten::ones")
    result = found(ADDED, more, base)
    (finding,) = result.findings
    assert (result.status, finding.status, finding.value, finding.baseline_runs) == ("regressed", "broken", 1, 1)
    (culprit,) = finding.responsible
    assert (culprit.key, culprit.what, culprit.contribution, culprit.ranks) == ("aten::ones", "operator", 1.0, (0, 1))
    assert finding.message == "+1 × aten::ones (0 to 1 a step and rank)"
    assert finding.command == "etgraph compare base run"
    assert finding.gain_ns is not None
    assert finding.critical_share is not None
    result = found(ADDED, base, more)
    assert (result.status, result.findings[0].status) == ("ok", "improved")
    assert result.findings[0].message == "-1 × aten::ones (1 to 0 a step and rank)"
    assert one(ADDED, base, steps([130, 80])).status == "passed"
    collective = ADDED.replace("changes.", "changes[kind='collective'].")
    assert one(collective, more, base).status == "passed"
    twice = steps([100], extra="gloo:all_gather 8MB")
    assert [each.key for each in one(collective, twice, steps([100])).responsible] == ["all_gather"]


def test_only_some_steps_are_compared() -> None:
    base, more = steps([100, 120]), steps([110, 90], extra="aten::ones")
    assert one(ADDED + "where = {iterations = [1]}", more, base).status == "broken"
    some = (
        f"{EXPOSED}budget = {{max = '36 ns'}}\naggregate = {{iterations = 'together'}}\nwhere = {{iterations = [1, 7]}}"
    )
    assert one(some, base).value == 36
    result = found(ADDED + "where = {iterations = [7]}", more, base)
    assert (result.status, "has none of the steps 7" in result.findings[0].message) == ("incomparable", True)


def test_a_metric_of_structure_is_compared_as_it_is() -> None:
    rule = 'metric = "sum(structure.operators.count)"\nregression = {max_increase = "10%"}'
    base, more = steps([100, 120]), steps([110, 90], extra="aten::ones")
    assert (one(rule, more, base).status, one(rule, base, more).status) == ("broken", "improved")
    assert one(rule.replace("10%", "50%"), more, base).status == "passed"
    assert one(rule.replace('"10%"', '"10%", floor = 3'), more, base).status == "passed"
    finding = one(rule, more, base)
    assert (finding.value, finding.baseline, finding.difference, finding.change) == (6, 4, 2, 0.5)
    fewer = rule.replace("max_increase", "max_decrease")
    assert (one(fewer, base, more).status, one(fewer, more, base).status) == ("broken", "improved")


def test_step_times_of_several_runs_are_judged_by_statistics() -> None:
    rule = f'{TIME}regression = {{max_increase = "5%"}}'
    base = [Run(f"base {number}", steps([100 + number, 101, 99])) for number in range(4)]
    slow = [Run(f"slow {number}", steps([130 + number, 131, 129], late=20)) for number in range(4)]
    result = found(rule, slow, base)
    (finding,) = result.findings
    assert (finding.status, finding.runs, finding.baseline_runs) == ("broken", 4, 4)
    assert finding.interval is not None
    assert 5 < finding.interval.low < finding.difference < finding.interval.high  # type: ignore[operator]
    assert [each.key for each in finding.responsible][:2] == ["aten::mm", "rank 1"]
    assert finding.gain_ns
    assert "detectable" in finding.evidence
    assert finding.command == (
        "etgraph compare 'base 0' 'slow 0' --base 'base 1' --base 'base 2' --base 'base 3' "
        "--other 'slow 1' --other 'slow 2' --other 'slow 3'"
    )
    assert one(rule, base, slow).status == "improved"
    assert one(rule, base[:2], base[2:]).status in ("passed", "undecided")


def test_a_program_that_polls_more_often_is_the_same_program() -> None:
    def polling(times: int) -> Trace:
        lines = ["rank 0 | thread 1 | iteration ProfilerStep#0 0..1000", "rank 0 | thread 1 | aten::mm 0..500"]
        lines += [f"rank 0 | thread 2 | cudaEventQuery {10 * each}..{10 * each + 5}" for each in range(times)]
        return build("\n".join(lines))

    rules = [placed for placed in load(["default"]) if placed.rule.id == "operators-added"]
    runs, base = (Run(name, polling(times)) for name, times in (("more", 16), ("base", 14)))
    (finding,) = check(Check((runs,), ("base",), lambda names: (base,)), rules).findings
    assert finding.status == "passed"


def test_one_noisy_run_is_undecided_and_says_how_many_would_decide() -> None:
    result = found(f'{TIME}regression = {{max_increase = "5%"}}', steps([100, 150]), steps([101, 140]))
    (finding,) = result.findings
    assert (finding.status, result.status) == ("undecided", "undecided")
    assert finding.runs_needed == 1000
    assert "for even 1,000 runs a side to decide" in finding.message
    slower = one(f'{TIME}regression = {{max_increase = "5%"}}', steps([110, 170]), steps([101, 140]))
    assert slower.runs_needed is not None
    assert 1 < slower.runs_needed < 1000
    assert f"{slower.runs_needed} runs a side would decide" in slower.message
    assert slower.responsible
    assert (exit_code(result), exit_code(result, fail_on_undecided=True)) == (0, 1)
    quicker = one(f'{TIME}regression = {{max_increase = "5%"}}', steps([101, 140]), steps([100, 150]))
    assert (quicker.status, quicker.responsible) == ("undecided", ())  # nobody is to blame for less
    few = f'{TIME}regression = {{max_increase = "1%", min_samples = 2}}'
    assert one(few, steps([900, 901]), steps([100, 101])).status == "undecided"


def timed(*durations: int, days: bool = False) -> list[Run]:
    """Runs of one step each; with `days`, each is in the catalogue a day after the one before."""
    traces = [steps([duration]) for duration in durations]
    return [
        Run(f"{number}: {duration}", trace, info=replace(describe(trace), created=f"2026-01-{number + 1:02}"))
        if days
        else Run(f"{number}: {duration}", trace)
        for number, (duration, trace) in enumerate(zip(durations, traces, strict=True))
    ]


def test_a_ratio_needs_one_run_a_side_and_says_that_it_knows_no_noise() -> None:
    rule = f'{TIME}regression = {{max_increase = "10%", test = "ratio"}}'
    for duration, status in ((109, "passed"), (110, "passed"), (111, "broken"), (89, "improved")):
        finding = one(rule, timed(duration), timed(100))
        assert (finding.status, finding.change, finding.interval) == (status, (duration - 100) / 100, None)
        assert finding.evidence == {"design": "ratio", "noise": "not known"}
    assert one(rule, timed(120, 102, 140), timed(99, 100, 101)).change == 0.2  # typical ones of runs
    fewer = rule.replace("max_increase", "max_decrease")
    assert (one(fewer, timed(89), timed(100)).status, one(fewer, timed(111), timed(100)).status) == (
        "broken",
        "improved",
    )
    finding = one(rule.replace('"ratio"', '"ratio", min_samples = 2'), timed(200), timed(100))
    assert (finding.status, finding.runs_needed) == ("undecided", 2)


def test_the_order_of_runs_decides_and_says_when_there_are_too_few() -> None:
    rule = f'{TIME}regression = {{max_increase = "5%", test = "mann-whitney"}}'
    base = timed(100, 101, 103, 250)
    finding = one(rule, timed(120, 122, 125, 130), base)
    assert (finding.status, finding.evidence["design"], finding.evidence["superiority"]) == ("undecided", "ranks", 0.75)
    finding = one(rule, timed(120, 122, 125, 130), timed(100, 101, 103, 104))
    assert finding.status == "broken"
    assert finding.interval is not None
    assert 5 < finding.interval.low < finding.difference < finding.interval.high  # type: ignore[operator]
    finding = one(rule, timed(200, 201), timed(100, 101))
    assert (finding.status, finding.runs_needed) == ("undecided", 3)
    assert "undecided: 3 runs a side would decide" in finding.message
    assert one(rule, timed(80, 82, 83), timed(100, 101, 103)).status == "improved"


def test_a_lasting_change_is_told_with_its_first_run() -> None:
    rule = f'{TIME}regression = {{max_increase = "5%", test = "change-point"}}'
    history = timed(1000, 1010, 990, 1005, 998, 1003, 1500, 1510, 1495, 1503, 1499, 1502, days=True)
    finding = one(rule, history[-1:], history[:-1])
    assert (finding.status, finding.evidence["since"]) == ("broken", "6: 1500")
    assert "since 6: 1500, where" in finding.message
    assert finding.interval is not None
    assert 0.45 < finding.change < 0.55  # type: ignore[operator]
    assert one(rule, history[-1:], history[-2::-1]).evidence["since"] == "6: 1500"  # their days tell the order
    assert one(rule.replace('"change-point"', '"change-point", within = 3'), history[-1:], history[:-1]).status == (
        "passed"
    )
    finding = one(rule, history[5:6], history[:5])
    assert finding.status == "undecided"
    assert "undecided: a lasting change is looked for from 8 runs on, and there are 6" in finding.message
    assert exit_code(found(rule, history[5:6], history[:5]), fail_on_undecided=True) == 1


def test_rules_of_different_tests_share_their_false_alarms() -> None:
    """Three a side have no p-value below 0.05 by their order: that alarm does not stand among ten rules."""
    names = ("mann-whitney", *["statistics"] * 9)
    rules = "".join(
        f'[[rules]]\nid = "{name}-{number}"\n{TIME if number < 2 else EXPOSED}'
        f'regression = {{max_increase = "5%", test = "{name}"}}\n'
        for number, name in enumerate(names)
    )  # fmt: skip
    slow, base = ([Run(str(time), steps([time])) for time in side] for side in ((200, 201, 202), (100, 101, 102)))
    findings = found(rules, slow, base).findings
    assert {finding.status for finding in findings[1:]} == {"broken"}
    assert findings[0].status == "broken"  # all are: none is a false one
    ratio = rules.replace('"statistics"', '"ratio"')
    assert found(ratio, slow, base).findings[0].status == "broken"  # a ratio is no test among others
    none = rules.replace('max_increase = "5%", test = "statistics"', 'max_increase = "900%", test = "statistics"')
    finding = found(none, slow, base).findings[0]
    assert (finding.status, finding.runs_needed) == ("undecided", 5)


def test_runs_are_in_order_where_their_catalogue_says_so() -> None:
    trace = steps([100])
    first, second, third = (Run(day, trace, info=replace(describe(trace), created=day)) for day in ("01", "02", "03"))
    assert in_order([third], [first, second])
    assert in_order([second, third], [first])
    assert not in_order([second], [first, third])
    assert not in_order([third], [second, first])
    assert not in_order([third], [Run("read from a file", trace)])


def test_steps_that_take_turns_in_one_run_are_told_from_others() -> None:
    trace = steps([100] * 6)
    even, odd, first = Run("a", trace, (0, 2, 4)), Run("a", trace, (1, 3, 5)), Run("a", trace, (0, 1, 2))
    assert take_turns([odd], [even]) == "baseline first"
    assert take_turns([even], [odd]) == "samples first"
    last = Run("a", trace, (3, 4, 5))
    for runs, baseline in (([last], [first]), ([even], [even]), ([odd, odd], [even]), ([Run("a", trace)], [even]),
                           ([odd], [Run("b", steps([100] * 6), (0, 2, 4))])):  # fmt: skip
        assert take_turns(runs, baseline) is None


def test_other_hardware_ranks_or_workloads_are_incomparable() -> None:
    rule = f'{TIME}regression = {{max_increase = "5%"}}'
    base = steps([100, 100])
    other = replace(base, metadata=replace(base.metadata, device_model="H100"))
    mine = replace(base, metadata=replace(base.metadata, device_model="A100"))
    result = found(rule, other, mine)
    (finding,) = result.findings
    assert (finding.status, result.status, exit_code(result)) == ("incomparable", "incomparable", 3)
    assert "device model: H100 in run, A100 in base" in finding.message
    assert found(rule, other, steps([100, 101])).findings[0].status != "incomparable"  # one side does not tell
    assert "ranks recorded: 0 in run, 0, 1 in base" in one(rule, base.select_ranks([0]), base).message
    assert one(ADDED, base.select_ranks([0]), base).status == "incomparable"
    named = [Run(name, base, None, replace(describe(base), workload=name)) for name in ("gpt", "dlrm")]
    assert "workload: dlrm in dlrm, gpt in gpt" in one(rule, named[1:], named[:1]).message
    host, device = (build(f"rank 0 | {lane} 0..10") for lane in ("thread 1 | aten::a", "stream 7 | kernel"))
    assert "nothing to compare" in one(ADDED, host, device).message


def test_a_check_that_measures_nothing_is_none() -> None:
    """Each rule that comes with etgraph lets pass what a trace does not record; all of them together do not."""
    result = check(Check((Run("run", without_times(steps([100]))),)), load([]))
    assert ({each.status for each in result.findings}, exit_code(result)) == ({"passed"}, 3)
    assert found(f"{TIME}budget = {{max = '1 s'}}\nmissing = 'pass'\n", without_times(steps([100]))).status == "ok"
    assert check(Check((Run("run", steps([100])),)), load([])).status == "ok"


def test_a_run_is_no_baseline_of_itself() -> None:
    """That would pass whatever the run is."""
    base, again = steps([100, 100, 100]), steps([100, 100, 100])
    for rule in (ADDED, f'{TIME}regression = {{max_increase = "5%"}}'):
        result = found(rule, [Run("gpt", base)], [Run("gpt@main", again)])
        assert (result.findings[0].status, exit_code(result)) == ("incomparable", 3)
        assert "gpt is on both sides, as gpt@main" in result.findings[0].message
        partly = one(rule, [Run("a", base, (0, 1))], [Run("b", base, (1, 2))])
        assert partly.status == "incomparable"
        assert one(rule, [Run("a", base, (1,))], [Run("b", base, (0, 2))]).status != "incomparable"
    beside = [Run("old", base), Run("new", steps([100, 101, 102]))]
    assert "old is on both sides" in one(ADDED, beside, beside[:1]).message
    assert one(f"{ADDED}for = 2", beside[1:], beside[:1], earlier=beside[:1]).status == "passed"


def test_a_rule_that_needs_a_baseline_is_not_forgotten() -> None:
    with pytest.raises(UsageError, match=r"rules.toml: line 1: rule 'rule' compares with a baseline"):
        found(ADDED, steps([100]))
    result = check(Check((Run("run", steps([100, 100])),)), load([]))
    assert "collectives-added" not in {finding.rule for finding in result.findings}
    assert {"exposed-communication", "waiting"} <= {finding.rule for finding in result.findings}
    with pytest.raises(UsageError, match="no trace"):
        check(Check(()), load([]))


def test_so_many_runs_in_a_row() -> None:
    rule = f"{EXPOSED}budget = {{max = '35 ns'}}\nfor = 2"
    good, bad = Run("good", steps([100])), Run("bad", steps([200]))
    assert one(rule, [good, bad]).status == "passed"
    assert one(rule, [bad, bad]).status == "broken"
    assert one(rule, [bad, bad, good]).status == "passed"
    finding = one(rule, [bad])
    assert (finding.status, finding.runs_needed) == ("undecided", 2)
    assert one(rule, [bad], earlier=[good]).status == "passed"
    assert one(rule, [bad], earlier=[good, bad]).status == "broken"
    rule = f'{TIME}regression = {{max_increase = "5%", test = "exact"}}\nfor = 2'
    assert one(rule, [bad, bad], good.trace).status == "broken"
    assert one(rule, [good, bad], good.trace).status == "passed"


def test_a_budget_is_checked_on_every_run() -> None:
    result = found(f"{EXPOSED}budget = {{max = '35 ns'}}", [Run("a", steps([100])), Run("b", steps([200]))])
    assert [(finding.trace, finding.status) for finding in result.findings] == [("a", "passed"), ("b", "broken")]
    assert result.traces == ("a", "b")


def test_what_is_broken_goes_before_what_could_not_be_checked() -> None:
    finding = one(f"{EXPOSED}budget = {{max = 0}}", steps([100]))
    missing = replace(finding, status="incomparable", level="warn")
    undecided = replace(finding, status="undecided")
    assert outcome([missing, undecided, finding]) == "regressed"
    assert outcome([missing, undecided]) == "incomparable"
    assert outcome([undecided]) == "undecided"
    assert outcome([replace(undecided, level="warn"), replace(finding, level="warn")]) == "ok"
