"""Rules about every row by itself, own times of operators, and ranks that come late."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from etgraph.alerts.checking import Check, check
from etgraph.alerts.each import LEAST_SHARE, of_rows, stand_together
from etgraph.alerts.findings import Finding
from etgraph.alerts.judging import Verdict, of_decision
from etgraph.alerts.lateness import exposed, late_ns, later_ranks, more_exposed
from etgraph.alerts.rules import loads
from etgraph.alerts.rules.reading import RulesError
from etgraph.alerts.runs import Run
from etgraph.alerts.statistics import decide
from etgraph.alerts.times import times
from etgraph.model import Trace
from support.build import build

EACH = 'metric = "times.operators.ownNs"\naggregate = {ranks = "each"}\nregression = {max_increase = "5%"}\n'


def run(name: str, mm: Sequence[int], relu: int = 1000, step: int = 5000) -> Run:
    """A step of two ranks, each with a product that takes so long, and another operator; then nothing until its end."""
    lines = []
    for rank, took in enumerate(mm):
        lines += [
            f"rank {rank} | thread 1 | iteration ProfilerStep#0 0..{step}",
            f"rank {rank} | thread 1 | aten::mm 0..{took}",
            f"rank {rank} | thread 1 | aten::relu {took}..{took + relu}",
            f"rank {rank} | thread 1 | aten::add {took + relu}..{took + relu + 5}",
        ]
    return Run(name, build("\n".join(lines)))


def steps_of(*took: int) -> Trace:
    """A trace of steps, in each of which the product of rank 1 takes so long."""
    lines = []
    for rank in (0, 1):
        for step, own in enumerate(took):
            at, mm = 10_000 * step, 1000 + step if rank == 0 else own
            lines += [
                f"rank {rank} | thread 1 | iteration ProfilerStep#{step} {at}..{at + 9000}",
                f"rank {rank} | thread 1 | aten::mm {at}..{at + mm}",
                f"rank {rank} | thread 1 | aten::relu {at + mm}..{at + mm + 1000}",
                f"rank {rank} | thread 1 | aten::add {at + mm + 1000}..{at + mm + 1005}",
            ]
    return build("\n".join(lines))


def found(runs: Sequence[Run], baseline: Sequence[Run], rule: str = EACH) -> Finding:
    """The finding of a rule."""
    placed = loads(f'[[rules]]\nid = "rule"\n{rule}')
    (finding,) = check(Check(tuple(runs), ("base",), lambda names: tuple(baseline)), placed).findings
    return finding


BASE = [run(f"base {number}", (1000 + number, 1002 - number), 1000 + 2 * number) for number in range(4)]


def test_an_operator_that_got_slower_is_found_with_its_rank_where_the_step_did_not() -> None:
    slow = [run(f"slow {number}", (1000 - number, 1300 + number), 1002 - number) for number in range(4)]
    finding = found(slow, BASE)
    assert finding.status == "broken"
    ((key, ranks),) = [(each.key, each.ranks) for each in finding.responsible]
    assert (key, ranks) == ("aten::mm", (1,))
    assert (finding.evidence["row"], finding.evidence["rank"], finding.evidence["rows_alike"]) == ("aten::mm", 1, 1)
    assert finding.evidence["rows"] == 4  # what takes less than a hundredth of its rank is not looked at
    assert LEAST_SHARE > 5 / 2000
    assert finding.change == pytest.approx(0.3, abs=0.01)
    assert finding.message.startswith("aten::mm on rank 1: 1.00 µs → 1.30 µs (+301 ns, +30.1%)")
    assert finding.responsible[0].contribution == finding.difference
    assert found(slow, BASE, EACH.replace("5%", "50%")).status == "passed"
    assert found(BASE, slow).status == "improved"
    again = [run(f"again {number}", (1001 + number, 1001 - number), 1001 + 2 * number) for number in range(4)]
    assert found(again, BASE).status == "passed"


def test_one_run_a_side_says_nothing_of_single_rows() -> None:
    slow = run("slow", (1000, 9000), step=10_000)
    finding = found([slow], BASE[:1])
    assert (finding.status, finding.value) == ("undecided", None)
    assert "one run a side" in finding.message
    finding = found([slow], BASE[:1], EACH + 'missing = "pass"')
    assert finding.status == "passed"
    assert "one run a side" in finding.message
    counts = 'metric = "structure.operators.count"\naggregate = {ranks = "each"}\nregression = {max_increase = "0%"}'
    assert found([slow], BASE[:1], counts).status == "passed"  # what does not vary is told by one run


def test_a_single_disturbed_step_is_not_an_operator_that_became_slower() -> None:
    disturbed = run("disturbed", (1000, 5000), step=10_000)
    finding = found([disturbed], BASE)
    assert (finding.status, finding.value) == ("undecided", None)
    assert "fewer than 3 steps" in finding.message
    assert found(BASE, [disturbed]).status == "undecided"
    assert found([disturbed], BASE, EACH + 'missing = "pass"').status == "passed"
    assert found([disturbed, disturbed], BASE).status == "broken"
    steps = [Run("steps", steps_of(1000, 5000, 5005, 4995))]
    assert found(steps, BASE).status == "broken"
    assert found([Run("turns", steps_of(1000, 5000), (1,))], BASE, EACH + "where = {iterations = [7]}").status == (
        "incomparable"
    )


def test_rows_of_which_there_are_none_are_named() -> None:
    where = 'where = {operator = "aten::nm"}'
    rule = f'metric = "operators.totalNs"\nregression = {{max_increase = "5%"}}\n{where}'
    finding = found(BASE[:1], BASE[1:], rule)
    assert finding.status == "incomparable"
    assert "does not occur in the trace: no rows of operator 'aten::nm'" in finding.message


def test_few_steps_that_take_turns_are_one_run_a_side() -> None:
    trace = steps_of(1000, 5000, 1002, 5003, 1001)
    finding = found([Run("slow", trace, (1, 3))], [Run("base", trace, (0, 2, 4))])
    assert finding.status == "undecided"
    assert "fewer than 3 steps" in finding.message
    trace = steps_of(1000, 5000, 1002, 5003, 1001, 5002, 1003, 5001)
    assert found([Run("slow", trace, (1, 3, 5, 7))], [Run("base", trace, (0, 2, 4, 6))]).status == "broken"


@pytest.mark.parametrize(
    ("rule", "problem"),
    [
        ('metric = "times.operators.ownNs"\nbudget = {max = "1 ms"}', "each"),
        ('metric = "sum(times.operators.ownNs)"\nregression = {max_increase = "5%"}', "each"),
        ('metric = "hotspots.busBandwidth"\nregression = {max_decrease = "5%"}', "bytes/s"),
    ],
)  # fmt: skip
def test_only_rows_that_are_compared_and_add_up_are_judged_one_by_one(rule: str, problem: str) -> None:
    with pytest.raises(RulesError) as caught:
        loads(f'[[rules]]\nid = "rule"\naggregate = {{ranks = "each"}}\n{rule}')
    assert problem in str(caught.value)


def test_rows_of_noise_alone_are_rarely_broken() -> None:
    random = np.random.default_rng(7)
    broken = 0
    for _ in range(60):
        rows = {
            (f"operator {row}", 0): of_decision(
                decide(list(random.normal(1, 0.05, (5, 1))), list(random.normal(1, 0.05, (5, 1))), max_increase=0.0)
            )
            for row in range(12)
        }
        (verdict,) = stand_together([of_rows(rows)])
        broken += verdict.status == "broken"
    assert broken <= 8  # 5 % of 60 and three standard deviations


def test_rules_of_rows_take_little_from_a_rule_of_the_whole() -> None:
    before = [np.array([100.0]), np.array([102.0]), np.array([98.0]), np.array([101.0])]
    slower = of_decision(decide([run * 1.035 for run in before], before, max_increase=0.0))
    same = of_rows({("aten::mm", 0): of_decision(decide(before, before, max_increase=0.05))})
    p_value = slower.evidence["p_value"]
    assert 0.05 / 3 < p_value < 0.05 * 2 / 3
    assert [one.status for one in stand_together([slower, same, same])] == ["broken", "passed", "passed"]
    whole = of_decision(decide(before, before, max_increase=0.05))
    assert stand_together([slower, whole, whole])[0].status == "undecided"
    exact = Verdict("passed", 3.0)
    assert stand_together([exact]) == [exact]
    assert of_rows({}).status == "passed"


def test_own_times_leave_out_what_is_inside_and_waiting() -> None:
    trace = build("""
        rank 0 | thread 1 | aten::linear           0..50
        rank 0 | thread 1 | aten::mm              10..40
        rank 0 | thread 1 | gloo:all_reduce 4MB   50..90
        rank 1 | thread 1 | aten::mm               0..80
        rank 1 | thread 1 | gloo:all_reduce 4MB   80..90
    """)
    found = times(trace)
    assert [(one.name, one.rank, one.own_ns) for one in found.operators] == [
        ("aten::linear", 0, 20), ("aten::mm", 0, 30), ("aten::mm", 1, 80),
    ]  # fmt: skip
    assert [(one.type, one.rank, one.transfer_ns) for one in found.collectives] == [
        ("all_reduce", 0, 10), ("all_reduce", 1, 10),
    ]  # fmt: skip
    assert [one.name for one in times(trace, rank=1).operators] == ["aten::mm"]


def test_a_rank_is_late_by_what_all_others_wait_for_it() -> None:
    def late(first: int, second: int, third: int) -> Run:
        return Run("run", build("\n".join(
            f"rank {rank} | thread 1 | aten::mm 0..{at}\nrank {rank} | thread 1 | gloo:all_reduce 4MB {at}..900"
            for rank, at in enumerate((first, second, third))
        )))  # fmt: skip

    assert late_ns(late(100, 300, 250)) == {1: 50.0}
    assert late_ns(late(100, 100, 700)) == {2: 600.0}
    assert later_ranks([late(100, 100, 700)], [late(100, 300, 250)]) == {1: -50.0, 2: 600.0}
    assert late_ns(Run("alone", build("rank 0 | thread 1 | aten::mm 0..10"))) == {}
    buckets = Run("buckets", build("""
        rank 0 | stream 1 | nccl:all_reduce 4MB    100..500
        rank 0 | stream 2 | nccl:broadcast 4MB     200..700
        rank 1 | stream 1 | nccl:all_reduce 4MB    400..500
        rank 1 | stream 2 | nccl:broadcast 4MB     600..700
    """))  # fmt: skip
    assert late_ns(buckets) == {1: 500.0}  # 100 to 600, though 300 and 400 in two collectives


def test_communication_is_exposed_where_its_rank_does_not_compute() -> None:
    def hidden(until: int) -> Run:
        return Run("run", build("\n".join(
            f"rank {rank} | thread 1 | aten::mm 0..{until}\nrank {rank} | thread 2 | gloo:all_reduce 4MB 10..100"
            for rank in (0, 1)
        )))  # fmt: skip

    assert exposed(hidden(90)) == {"all_reduce": 10.0}
    assert more_exposed([hidden(40)], [hidden(90), hidden(80)]) == {"all_reduce": 45.0}
    assert exposed(Run("alone", build("rank 0 | thread 1 | aten::mm 0..10"))) == {}
