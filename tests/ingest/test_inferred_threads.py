"""SPAWN and JOIN: threads that take turns, and threads that merely run beside each other."""

from __future__ import annotations

from etgraph.model import DependencyKind
from support.drafts import drawn_draft, inferred

SPAWN, JOIN = DependencyKind.SPAWN, DependencyKind.JOIN

BACKWARD = """
    rank 0 | thread 1 | aten::forward             0..500000
    rank 0 | thread 1 | aten::ones_like      500000..510000
    rank 0 | thread 2 | MmBackward0          560000..900000
    rank 0 | thread 2 | AddBackward0         910000..1400000
    rank 0 | thread 1 | aten::step          1500000..1600000
"""


def both(text: str) -> list[tuple[str, str]]:
    draft = drawn_draft(text)
    return [e[:2] for kind in (SPAWN, JOIN) for e in inferred(draft, kind)]


def test_the_call_of_backward_starts_the_autograd_thread_and_goes_on_when_it_is_done() -> None:
    assert both(BACKWARD) == [("aten::ones_like", "MmBackward0"), ("AddBackward0", "aten::step")]


def test_a_function_of_autograd_that_the_calling_thread_runs_does_not_end_its_pause() -> None:
    text = BACKWARD + "rank 0 | thread 1 | autograd::AccumulateGrad  905000..909000"
    assert both(text) == [
        ("aten::ones_like", "MmBackward0"),
        ("AddBackward0", "aten::step"),
        ("MmBackward0", "autograd::AccumulateGrad"),
    ]


def test_a_thread_that_was_at_work_before_the_pause_was_not_started_in_it() -> None:
    assert both(BACKWARD + "rank 0 | thread 2 | SumBackward0  400000..505000") == []


def test_a_thread_that_works_on_after_the_pause_does_not_end_it() -> None:
    assert both(BACKWARD + "rank 0 | thread 2 | SumBackward0  1410000..1550000") == []


def test_a_short_burst_in_a_long_pause_does_not_fill_it() -> None:
    assert both(BACKWARD.replace("910000..1400000", "901000..902000")) == []


def test_a_short_pause_is_the_hosts_own() -> None:
    text = """
        rank 0 | thread 1 | aten::a       0..500000
        rank 0 | thread 2 | MmBackward0  501000..540000
        rank 0 | thread 1 | aten::b      541000..600000
    """
    assert both(text) == []


def test_a_thread_that_polls_did_not_call_for_what_others_do_meanwhile() -> None:
    text = """
        rank 0 | thread 2 | MmBackward0      100000..500000
        rank 0 | thread 1 | aten::poll      1000000..1001000
        rank 0 | thread 2 | AddBackward0    1100000..1950000
        rank 0 | thread 1 | aten::poll      2000000..2001000
    """
    assert both(text) == []


POLLING = "\n".join(
    f"rank 0 | thread {thread} | {name}{turn}  {start}..{start + length}"
    for turn in range(3)
    for thread, name, start, length in (
        (1, "aten::load", turn * 1_000_000, 300_000),
        (2, "aten::work", turn * 1_000_000 + 310_000, 600_000),
    )
)


def test_threads_of_which_neither_is_autograd_must_take_turns_often() -> None:
    more = "\n".join(
        line for turn in (3, 4) for line in (
            f"rank 0 | thread 1 | aten::load{turn}  {turn * 1_000_000}..{turn * 1_000_000 + 300_000}",
            f"rank 0 | thread 2 | aten::work{turn}  {turn * 1_000_000 + 310_000}..{turn * 1_000_000 + 910_000}",
        )
    )  # fmt: skip
    assert both(POLLING) == []
    assert ("aten::work1", "aten::load2") in both(POLLING + "\n" + more)
