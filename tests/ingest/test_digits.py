"""Nanoseconds from digits, against exact decimal arithmetic."""

from __future__ import annotations

from decimal import MAX_PREC, ROUND_HALF_EVEN, Context, Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etgraph.ingest.digits import LATEST_NS, nanoseconds

EXACT = Context(prec=400, rounding=ROUND_HALF_EVEN)


def exact(text: bytes) -> int:
    return int(EXACT.multiply(Decimal(text.decode()), 1000).to_integral_value(context=EXACT))


plain = st.builds("{}{}".format, st.integers(0, 10**17), st.from_regex(r"(\.[0-9]{1,30})?", fullmatch=True))
signed = st.builds("{}{}".format, st.sampled_from(["", "-"]), plain)
powers = st.builds("{}{}{}".format, signed, st.sampled_from(["e", "E", "e+", "e-"]), st.integers(0, 30))
numbers = st.one_of(plain, signed, powers, st.floats(allow_nan=False, allow_infinity=False).map(repr)).map(str.encode)


@given(st.lists(numbers, max_size=20))
def test_every_number_is_what_exact_arithmetic_gives(texts: list[bytes]) -> None:
    expected = [exact(t) for t in texts]
    far = [i for i, e in enumerate(expected) if abs(e) > LATEST_NS]
    if far:
        with pytest.raises(ValueError) as error:
            nanoseconds(texts)
        assert error.value.args[0] in far
    else:
        result = nanoseconds(texts)
        assert result.dtype == np.int64
        assert result.tolist() == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"0", 0), (b"1694128201545.123", 1694128201545123), (b"6190.0000", 6190000), (b"1.0005", 1000),
        (b"1.0015", 1002), (b"1.00050000000000000000000000000000000001", 1001),
        (b"9007199254740.993", 9007199254740993),
        (b"-3.5", -3500), (b"1e3", 1000000), (b"1e-999999999", 0), (b"0e999999999", 0),
        (b"4611686018427387.903", 2**62 - 1), (b"-4611686018427387.903", 1 - 2**62),
    ],
)  # fmt: skip
def test_numbers_worth_a_look(text: bytes, expected: int) -> None:
    assert nanoseconds([b"12", text, b"0.5"]).tolist() == [12000, expected, 500]


@pytest.mark.parametrize(
    "text",
    [b"", b"null", b'"5"', b"NaN", b"Infinity", b"-Infinity", b"true", b"{}", b"[1]", b"1.2.3", b"1-2", b"--1", b"\xff",
     b"4611686018427387.904", b"-4611686018427387.904", b"4611686018427388", b"9223372036854775.808",
     b"1e999999999", b"1e99999999999999999999", b"9" * 5000],
)  # fmt: skip
def test_what_is_no_time_is_refused_with_its_position(text: bytes) -> None:
    with pytest.raises(ValueError) as error:
        nanoseconds([b"1", b"2", text, b"3"])
    position, found, expected = error.value.args
    assert position == 2
    assert len(found) < 60
    assert expected in ("a number of microseconds", "a time within 146 years of the trace's origin")


def test_nothing_gives_nothing() -> None:
    assert nanoseconds([]).tolist() == []


def test_the_oracle_is_exact() -> None:
    assert EXACT.prec < MAX_PREC
    assert exact(b"0.0005000000000000000000000000000001") == 1
