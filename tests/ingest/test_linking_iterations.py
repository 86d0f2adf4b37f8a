"""One iteration of many: by numbers, by names of steps, or said to be ambiguous."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from etgraph.ingest.draft import Draft
from etgraph.ingest.linking import link
from etgraph.model import LinkMethod
from support.pairs import Op, device_draft, host_draft, truth


def training(steps: int, *, sequence: bool = True, first: int = 0, numbers: bool = True) -> list[Op]:
    """Steps of a loop on two threads, each of 200 operators, all alike but for the numbers that count them."""
    ops: list[Op] = []
    for step in range(first, first + steps):
        zero, key = step * 10_000, step * 1000
        label = f"ProfilerStep#{step}" if numbers else "## step ##"
        ops.append(Op(1, label, zero, zero + 9_000, key))
        for n in range(120):
            ops.append(
                Op(1, f"aten::f{n % 7}_{n // 40}", zero + 10 + n * 20, zero + 20 + n * 20, key + 1 + n,
                   step * 80 + n // 2 if sequence and n % 2 else None)
            )  # fmt: skip
        for n in range(80):
            ops.append(Op(2, f"aten::b{n % 5}_{n // 40}", zero + 3000 + n * 20, zero + 3010 + n * 20, key + 200 + n))
    return ops


def steps_linked(draft: Draft) -> set[int]:
    o = draft.trace.operators
    rows = np.flatnonzero(~o.is_null("link")).tolist()
    return {draft.trace.operator_attributes(row)["External id"] // 1000 for row in rows}


@pytest.mark.parametrize("which", [0, 2, 4])
def test_one_step_is_found_among_many_by_sequence_numbers(tmp_path: Path, which: int) -> None:
    host = host_draft(tmp_path, training(1, first=which, numbers=False))
    draft = link(host, device_draft(tmp_path, training(5, numbers=False)))
    assert truth(draft) == (200, 200)
    assert steps_linked(draft) == {which}
    assert draft.trace.metadata.report.pairs == {0: "same process and iteration"}
    draft.trace.validate()


def test_one_step_is_found_among_many_by_its_name(tmp_path: Path) -> None:
    host = host_draft(tmp_path, training(1, first=3, sequence=False))
    draft = link(host, device_draft(tmp_path, training(5, sequence=False)))
    assert truth(draft) == (200, 200)
    assert steps_linked(draft) == {3}


def test_a_step_that_could_be_any_gets_no_times(tmp_path: Path) -> None:
    host = host_draft(tmp_path, training(1, first=3, sequence=False, numbers=False))
    draft = link(host, device_draft(tmp_path, training(5, sequence=False, numbers=False)))
    assert truth(draft) == (0, 0)
    (warning,) = draft.trace.metadata.report.warnings
    assert "iteration ambiguous, 5 candidates" in warning
    assert draft.trace.metadata.report.pairs == {0: "unknown"}
    assert len(draft.trace) == 5 * 200 + 3 + 201  # everything is kept: threads, the step, its operators
    draft.trace.validate()


def test_a_step_that_was_not_recorded_is_taken_for_the_nearest(tmp_path: Path) -> None:
    host = host_draft(tmp_path, training(1, first=9, numbers=False))
    draft = link(host, device_draft(tmp_path, training(5, numbers=False)))
    assert steps_linked(draft) == {4}
    assert draft.trace.metadata.report.pairs == {0: "other iteration"}


def test_a_device_file_of_one_step_links_within_a_longer_host_file(tmp_path: Path) -> None:
    draft = link(host_draft(tmp_path, training(4)), device_draft(tmp_path, training(1, first=2)))
    assert truth(draft) == (200, 200)
    assert steps_linked(draft) == {2}
    draft.trace.validate()


def repeated(
    body: int, steps: Iterable[int], *, layers: int = 1, named: bool = False, numbered: bool = False
) -> list[Op]:
    """Steps on one thread of `layers` times `body` operators, alike but for the step's name and sequence numbers."""
    ops: list[Op] = []
    for step in steps:
        zero, size = step * 10_000, body * layers
        if named:
            ops.append(Op(1, f"ProfilerStep#{step}", zero, zero + 9_000, step * 1000))
        for n in range(size):
            start = zero + 5 + 5 * n
            ops.append(
                Op(1, f"aten::x{n % body}", start, start + 4, step * 1000 + 1 + n,
                   step * size + n if numbered else None)
            )  # fmt: skip
    return ops


@pytest.mark.parametrize(("named", "numbered"), [(True, False), (False, True), (True, True)])
@pytest.mark.parametrize(
    ("body", "layers", "host", "device"),
    [
        (15, 1, range(3, 4), range(1, 5)),
        (60, 1, range(1, 2), range(2)),
        (15, 1, range(20, 21), range(40)),
        (60, 1, range(1, 30), range(30)),
        (20, 10, range(2, 3), range(4)),
    ],
    ids=["few-short", "one-of-two", "short", "late", "layers"],
)
def test_what_tells_the_iteration_decides_however_alike_they_are(
    tmp_path: Path, body: int, layers: int, host: range, device: range, named: bool, numbered: bool
) -> None:
    both = [repeated(body, steps, layers=layers, named=named, numbered=numbered) for steps in (host, device)]
    draft = link(host_draft(tmp_path, both[0]), device_draft(tmp_path, both[1]))
    assert truth(draft) == (len(host) * body * layers,) * 2
    assert draft.trace.metadata.report.pairs == {0: "same process and iteration"}
    turned = link(host_draft(tmp_path, both[1]), device_draft(tmp_path, both[0]))
    assert truth(turned) == (len(host) * body * layers,) * 2


def test_short_steps_that_nothing_tells_apart_are_ambiguous(tmp_path: Path) -> None:
    draft = link(host_draft(tmp_path, repeated(15, [3])), device_draft(tmp_path, repeated(15, range(1, 5))))
    assert truth(draft) == (0, 0)
    assert "iteration ambiguous, 4 candidates" in draft.trace.metadata.report.warnings[0]


def test_edited_steps_that_nothing_tells_apart_are_ambiguous(tmp_path: Path) -> None:
    """No step holds the other exactly, and the first that fits is as good as the last."""
    host = [op for op in repeated(15, [3]) if op.name != "aten::x7"]
    draft = link(host_draft(tmp_path, host), device_draft(tmp_path, repeated(15, range(1, 5))))
    assert truth(draft) == (0, 0)
    assert "iteration ambiguous" in draft.trace.metadata.report.warnings[0]


def test_a_part_of_a_step_is_not_moved_by_a_repetition_at_its_ends(tmp_path: Path) -> None:
    """Only the middle has numbers; what is before and after it repeats, in the step and in its neighbours."""

    def step(number: int, first: int = 0, last: int = 400) -> list[Op]:
        return [
            Op(1, f"aten::{'mid' if 150 <= n < 200 else 'rep'}{n % 4}", number * 9000 + 9 * n,
               number * 9000 + 9 * n + 5, number * 1000 + n + 1, number * 1000 + n if 150 <= n < 200 else None)
            for n in range(first, last)
        ]  # fmt: skip

    host = host_draft(tmp_path, step(2, 100, 320))
    draft = link(host, device_draft(tmp_path, [op for number in range(4) for op in step(number)]))
    assert truth(draft) == (220, 220)


def test_an_ambiguity_on_a_later_thread_leaves_the_first_linked(tmp_path: Path) -> None:
    main = [Op(1, f"aten::m{n % 37}_{n % 11}", 10 * n, 10 * n + 5, n + 1) for n in range(500)]
    call = [Op(3, "gloo:all_reduce", 52, 55, 9000)]
    second = [Op(2, f"aten::s{n % 20}", 10 * n + 1, 10 * n + 5, 1000 + n) for n in range(160)]
    draft = link(host_draft(tmp_path, main + second[:20] + call), device_draft(tmp_path, main + second + call))
    report = draft.trace.metadata.report
    assert truth(draft)[0] >= 500
    assert report.linked_operators == 501
    assert not any("ambiguous" in warning for warning in report.warnings)
    assert "20 operators of the host's file are on threads" in report.warnings[-1]


@pytest.mark.parametrize("seed", range(4))
def test_edits_of_either_file_cost_only_what_they_touch(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    ops = [Op(1 + n % 2, f"aten::f{rng.integers(40)}", 10 * n, 10 * n + 5, n) for n in range(600)]
    kept = [np.ones(len(ops), dtype=bool) for _ in range(2)]
    for mask in kept:
        for first in rng.integers(0, len(ops), 6):
            mask[first : first + rng.integers(1, 9)] = False
    host, device = ([op for op, keep in zip(ops, mask) if keep] for mask in kept)
    draft = link(host_draft(tmp_path, host), device_draft(tmp_path, device))
    found, right = truth(draft)
    both = int((kept[0] & kept[1]).sum())
    assert right >= 0.99 * both
    assert right >= 0.99 * found
    o = draft.trace.operators
    sure = np.flatnonzero(o["link"] == int(LinkMethod.ALIGNED_16)).tolist()
    assert all(draft.trace.operator_attributes(r)["External id"] == int(o["node_id"][r]) for r in sure)
    draft.trace.validate()
