"""The Pareto front, against trying every pair of points."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etgraph.model.errors import UsageError
from etgraph.sim.sweeps import Measure, SweepPoint, pareto_front
from etgraph.sim.sweeps.objectives import check_objectives, objective, usual_objectives, with_front

NUMBERS = st.one_of(st.integers(0, 3).map(float), st.just(float("nan")), st.just(float("inf")))


@given(
    st.integers(1, 4).flatmap(lambda width: st.lists(st.lists(NUMBERS, min_size=width, max_size=width), max_size=12))
)
def test_the_front_is_what_no_other_point_beats(rows: list[list[float]]) -> None:
    values = np.array(rows, dtype=np.float64).reshape(len(rows), len(rows[0]) if rows else 2)

    def beats(one: list[float], other: list[float]) -> bool:
        return all(a <= b for a, b in zip(one, other)) and any(a < b for a, b in zip(one, other))

    expected = [not np.isnan(row).any() and not any(beats(other, row) for other in rows) for row in rows]
    assert pareto_front(values).tolist() == expected


def test_equal_points_are_on_the_front_together() -> None:
    values = np.array([[1.0, 3.0], [2.0, 2.0], [1.0, 3.0], [2.0, 3.0], [3.0, 1.0]])
    assert pareto_front(values).tolist() == [True, True, True, False, True]


def point(
    number: int, step: int | None, *, network: float = 1e9, hourly: float | None = None, **more: object
) -> SweepPoint:
    price = None if hourly is None or step is None else hourly * step
    return SweepPoint(
        number, "", "p", {}, {}, 8, 1e12, network, step, step, hourly, price, **more,  # type: ignore[arg-type]
    )  # fmt: skip


def test_a_point_that_failed_is_not_on_the_front() -> None:
    found = with_front([point(0, None, error="no"), point(1, 20), point(2, 10)], ["stepNs"])
    assert [each.front for each in found] == [False, False, True]


def test_objectives_that_suit_the_points() -> None:
    assert usual_objectives([point(0, 9, hourly=2.0), point(1, 8, hourly=3.0)]) == ("stepNs", "stepPrice")
    # One price for all: then the step's price is the step, and what may cost more are the bandwidths.
    same = [point(0, 9, hourly=2.0), point(1, 8, hourly=2.0, network=2e9)]
    assert usual_objectives(same) == ("stepNs", "networkBandwidth")
    assert usual_objectives([point(0, 9), point(1, 8, hourly=2.0)]) == ("stepNs", "devices")
    assert usual_objectives([point(0, 9, hourly=2.0), point(1, 8, hourly=2.0)]) == ("stepNs", "stepPrice")


def test_measures_are_objectives_too() -> None:
    measure = Measure("m", lambda trace: {"idle_ns": 1.0}, ("idle_ns",))
    check_objectives(("stepNs", "idleNs"), (measure,))
    assert objective(point(0, 9, measures={"idle_ns": 4.0}), "idleNs") == 4.0
    with pytest.raises(UsageError, match="no objective 'idlens'") as caught:
        check_objectives(("idlens",), (measure,))
    assert caught.value.hint == "did you mean 'idleNs'?"
    with pytest.raises(UsageError, match="each of them once"):
        check_objectives(("stepNs", "stepNs"), ())
