"""Patterns of lateness: each on a small trace that has it, and on one that only looks like it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from etgraph.model import TABLES, Columns, Trace
from etgraph.queries import stragglers
from support.build import build
from support.lateness import cause, found


def annotated(trace: Trace, name: str, rank: int, start: int, end: int) -> Trace:
    columns = {"rank": [rank], "kind": [0], "name": [0], "start_ns": [start], "duration_ns": [end - start]}
    return replace(trace, annotations=Columns(TABLES["annotations"], columns, {"name": [name]}))


INPUT = """
    rank 0 | thread 1 | iteration ProfilerStep#1      0..300000
    rank 1 | thread 1 | iteration ProfilerStep#1      0..300000
    rank 0 | thread 1 | aten::a                    1000..10000
    rank 0 | thread 1 | aten::mm                  10000..20000
    rank 0 | thread 1 | gloo:all_reduce           20000..250000
    rank 1 | thread 1 | aten::a                {first}000..{first}900
    rank 1 | thread 1 | aten::mm                 220000..230000
    rank 1 | thread 1 | gloo:all_reduce          230000..250000
"""


def test_a_pause_before_the_first_operator_of_a_step_is_the_input_pipeline() -> None:
    result = stragglers(build(INPUT.format(first=219)))
    assert cause(result.collectives[0])["before the first operator of a step"] == (219000, 219000 - 1000)
    assert found(result) == {"input-pipeline": (1,)}


def test_a_pause_while_a_batch_is_loaded_is_the_input_pipeline() -> None:
    trace = build(INPUT.format(first=1))
    assert found(stragglers(trace)) == {"host-jitter": (1,)}
    assert found(stragglers(annotated(trace, "enumerate(DataLoader)#__next__", 1, 2000, 70000))) == {
        "host-jitter": (1,)
    }
    loading = annotated(trace, "enumerate(DataLoader)#__next__", 1, 2000, 219000)
    result = stragglers(loading)
    assert found(result) == {"input-pipeline": (1,)}
    assert "enumerate(DataLoader)#__next__" in result.patterns[0].evidence
    assert found(stragglers(annotated(trace, "enumerate(DataLoader)#__next__", 0, 2000, 219000))) != found(result)


def steps(work: list[tuple[int, ...]], name: str = "aten::mm") -> Trace:
    """Steps of several ranks, each a time of work, between them collectives of 10 µs."""
    lines, t = [], 0
    for times in work:
        end = t + max(times) + 10_000
        for rank, length in enumerate(times):
            lines += [f"rank {rank} | thread 1 | {name} {t}..{t + length}"] if name else []
            lines += [f"rank {rank} | thread 1 | gloo:all_reduce {t + length}..{end}"]
        t = end
    return build("\n".join(lines))


def test_always_the_same_rank_that_computes_longer() -> None:
    result = stragglers(steps([(20_000, 20_000, 90_000)] * 4 + [(20_000, 40_000, 30_000)]))
    assert found(result) == {"same-rank": (2,), "compute-imbalance": (2,)}
    assert result.patterns[0].evidence == "rank 2 is last in 4 of 5 and causes 95% of the waiting"
    assert result.summary.startswith("Rank 2 is last in 4 of 5 rendezvous at which ranks waited, and causes 560.0 µs")
    assert "aten::mm (computation) on rank 2" in result.patterns[1].evidence


def test_ranks_that_are_late_in_turns() -> None:
    result = stragglers(steps([(90_000, 20_000, 20_000), (20_000, 90_000, 20_000), (20_000, 20_000, 90_000)] * 2))
    assert set(found(result)) == {"rotating", "compute-imbalance"}
    assert sorted(found(result)["rotating"]) == [0, 1, 2]


@pytest.mark.parametrize(
    "work",
    [
        [(90_000, 20_000), (20_000, 80_000)] * 3,
        [(50_000, 20_000)] * 4 + [(20_000, 100_000)],  # four of five, but 60 % of the waiting: chance gives 50 %
        [(90_000, 20_000)] * 2 + [(20_000, 25_000)] * 4,  # 88 % of the waiting, but two of six
    ],
)
def test_two_ranks_that_take_turns_have_no_straggler(work: list[tuple[int, ...]]) -> None:
    assert "same-rank" not in found(stragglers(steps(work)))


def test_one_rank_once_and_another_later_are_no_turns() -> None:
    halves = [(90_000, 20_000, 20_000)] * 3 + [(20_000, 90_000, 20_000)] * 3
    assert "rotating" not in found(stragglers(steps(halves)))
    three = [(90_000, 20_000, 20_000), (20_000, 90_000, 20_000), (20_000, 20_000, 90_000)]
    assert "rotating" not in found(stragglers(steps(three)))


def test_a_rank_with_most_of_the_waiting_makes_no_turns() -> None:
    work = [(20_000, 20_000, 20_000, 80_000), (25_000, 20_000, 20_000, 20_000)] * 2 + [(20_000, 90_000, 20_000, 20_000)]
    assert "rotating" not in found(stragglers(steps(work)))


def test_pauses_of_the_host_are_its_jitter() -> None:
    result = stragglers(steps([(1_000, 1_000), (20_000, 90_000)], name=""))
    assert found(result) == {"host-jitter": (1,)}
