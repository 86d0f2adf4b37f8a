"""Figures with units: exact in both directions, and refused with what comes near."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etgraph.model.settings.units import (
    BANDWIDTH,
    POWER,
    PRICE,
    QUANTITIES,
    RATE,
    SIZE,
    TIME,
    NotAQuantity,
    Quantity,
    parse,
    write,
)


@pytest.mark.parametrize(
    ("text", "quantity", "expected"),
    [
        ("3.35 TB/s", BANDWIDTH, 3.35e12),
        ("3.35TB/s", BANDWIDTH, 3.35e12),
        ("400 Gb/s", BANDWIDTH, 50e9),
        ("400 Gbit/s", BANDWIDTH, 50e9),
        ("400 GB/s", BANDWIDTH, 400e9),
        ("1 GiB/s", BANDWIDTH, 2**30),
        ("80 GB", SIZE, 80e9),
        ("80 GiB", SIZE, 80 * 2**30),
        ("1_024 kB", SIZE, 1_024_000),
        ("4 us", TIME, 4_000),
        ("4 µs", TIME, 4_000),
        ("0.25 ns", TIME, 0.25),
        ("2.5e-3 ms", TIME, 2_500),
        ("989.4 TFLOP/s", RATE, 989.4e12),
        ("624 TOPS", RATE, 624e12),
        ("0.7 kW", POWER, 700),
        ("2.99 $/h", PRICE, 2.99),
    ],
)
def test_figures(text: str, quantity: Quantity, expected: float) -> None:
    assert float(parse(text, quantity)) == expected


@pytest.mark.parametrize(
    ("text", "quantity", "hint"),
    [
        ("3.35 tb/s", BANDWIDTH, "'TB/s'"),
        ("3.35 TBs", BANDWIDTH, "'TB/s'"),
        ("80 GB/s", SIZE, "'GB'"),
        ("80", SIZE, "add the unit"),
        ("4 sec", TIME, "units are ns"),
    ],
)
def test_units_that_come_near(text: str, quantity: Quantity, hint: str) -> None:
    with pytest.raises(NotAQuantity) as caught:
        parse(text, quantity)
    assert hint in (caught.value.hint or "")
    assert quantity.example in caught.value.expected


@pytest.mark.parametrize("text", ["", "GB", "inf GB", "nan GB", "1,5 GB", "1e999999999 GB", "1e-999 B", "0x10 B"])
def test_no_figures(text: str) -> None:
    with pytest.raises(NotAQuantity):
        parse(text, SIZE)


@pytest.mark.parametrize("quantity", QUANTITIES, ids=lambda each: each.name)
def test_examples_are_figures(quantity: Quantity) -> None:
    assert parse(quantity.example, quantity) > 0


@given(st.sampled_from(QUANTITIES), st.floats(1e-12, 1e24) | st.just(0.0))
def test_floats_come_back_the_same(quantity: Quantity, value: float) -> None:
    assert float(parse(write(value, quantity), quantity)) == value


@given(st.sampled_from(QUANTITIES), st.integers(0, 2**53))
def test_integers_come_back_the_same(quantity: Quantity, value: int) -> None:
    assert parse(write(value, quantity), quantity) == Decimal(value)


def test_figures_are_written_as_people_do() -> None:
    values = [
        write(50e9, BANDWIDTH),
        write(80 * 10**9, SIZE),
        write(80 * 2**30, SIZE),
        write(700.0, POWER),
        write(0, TIME),
    ]
    assert values == ["50 GB/s", "80 GB", "80 GiB", "700 W", "0 ns"]
