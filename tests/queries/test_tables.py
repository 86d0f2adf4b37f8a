"""Every answer becomes a table and comes back equal, whatever its fields hold."""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etgraph.model import Trust
from etgraph.model.columns import Array
from etgraph.model.results import Result
from etgraph.queries.tables import from_table, to_table


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


@dataclass(frozen=True, slots=True)
class Part:
    rank: int
    ns: int


@dataclass(frozen=True, slots=True)
class Row:
    name: str
    size: int
    share: float
    late: bool
    cause: Literal["host", "device"] | None
    index: int | None
    colour: Colour
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Toy(Result):
    rows: tuple[Row, ...]
    series: pa.Table
    more: pa.Table | None
    by_rank: Mapping[int, Part]
    matrix: tuple[tuple[int, ...], ...]
    pair: tuple[int, str]
    kinds: frozenset[str]
    best: Row | None
    trust: Trust

    FRAME: ClassVar[str] = "rows"
    TABLE: ClassVar[str] = "rows"

    @property
    def best_first(self) -> tuple[Row, ...]:
        return () if self.best is None else (self.best, *self.rows)


ROW = Row("gemm", 3, 0.25, True, "host", None, Colour.BLUE, (Part(0, 5), Part(1, 7)))
TOY = Toy(
    rows=(ROW, replace(ROW, name="größe", size=2**60, cause=None, index=4, parts=())),
    series=pa.table({"t": [1, 2], "name": pa.array(["a", None]).dictionary_encode(), "list": [[1], None]}),
    more=None,
    by_rank={0: Part(0, 5), 12: Part(12, 6)},
    matrix=((1, 2), (), (3,)),
    pair=(1, "x"),
    kinds=frozenset({"a", "b"}),
    best=ROW,
    trust=Trust(0.5, 1, 2, ("a warning",)),
)


def back(answer: Toy, rows: str = "rows") -> Toy:
    return from_table(to_table(answer, rows), Toy, rows)


@pytest.mark.parametrize("rows", ["rows", "series", "more", "by_rank", "best", "best_first"])
def test_an_answer_comes_back_whichever_field_is_the_rows(rows: str) -> None:
    assert back(TOY, rows) == TOY
    full = replace(TOY, more=TOY.series.slice(1))
    assert back(full, rows) == full


def test_rows_are_columns_that_a_store_can_show() -> None:
    table = to_table(TOY, "rows")
    assert table.select(["name", "size", "share", "late", "cause", "index"]).to_pylist() == [
        {"name": "gemm", "size": 3, "share": 0.25, "late": True, "cause": "host", "index": None},
        {"name": "größe", "size": 2**60, "share": 0.25, "late": True, "cause": None, "index": 4},
    ]
    assert table["parts"].to_pylist() == ['[{"rank": 0, "ns": 5}, {"rank": 1, "ns": 7}]', "[]"]
    assert [str(field.type) for field in table.schema][-2:] == ["string", "string"]


def test_rows_of_a_property_are_shown() -> None:
    table = to_table(TOY, "best_first")
    assert table["name"].to_pylist() == ["gemm", "gemm", "größe"]
    nothing = replace(TOY, best=None)
    assert len(to_table(nothing, "best_first")) == 0
    assert back(nothing, "best_first") == nothing


@dataclass(frozen=True, slots=True)
class Matrix(Result):
    bytes: Array
    transfer_ns: Array | None
    trust: Trust

    FRAME: ClassVar[str] = "pairs"

    @property
    def pairs(self) -> pa.Table:
        return pa.table({"bytes": self.bytes.ravel()})


@pytest.mark.parametrize("kind", ["int64", "float32", "bool"])
def test_arrays_come_back_with_type_and_shape(kind: str) -> None:
    matrix = Matrix(np.arange(6).astype(kind).reshape(2, 3), None, Trust())
    table = to_table(matrix, "pairs")
    assert len(table) == 6
    found = from_table(table, Matrix, "pairs")
    assert found.transfer_ns is None
    assert (found.bytes.dtype, found.bytes.tolist()) == (matrix.bytes.dtype, matrix.bytes.tolist())
    empty = Matrix(np.zeros((0, 0)), np.zeros((1, 0)), Trust())
    again = from_table(to_table(empty, "pairs"), Matrix, "pairs")
    assert again.transfer_ns is not None
    assert (again.bytes.shape, again.transfer_ns.shape) == ((0, 0), (1, 0))


def test_a_table_keeps_its_metadata_and_types() -> None:
    series = TOY.series.replace_schema_metadata({"unit": "ns"})
    for rows in ("series", "rows"):
        found = back(replace(TOY, series=series, more=series.slice(1)), rows)
        assert found.series.schema.equals(series.schema, check_metadata=True)
        assert found.more == series.slice(1)


@pytest.mark.parametrize(
    "row",
    [
        replace(ROW, size=2**70),
        replace(ROW, name="odd \udcff"),
        replace(ROW, share=math.inf),
        replace(ROW, share=1),
        replace(ROW, name=""),
    ],
    ids=["large", "surrogate", "infinite", "whole", "empty"],
)
def test_values_that_a_column_cannot_hold(row: Row) -> None:
    toy = replace(TOY, rows=(ROW, row), best=row, trust=Trust(warnings=(row.name,)))
    assert back(toy) == toy


def test_what_is_no_number_stays_so() -> None:
    toy = back(replace(TOY, rows=(replace(ROW, share=math.nan),), best=replace(ROW, share=math.nan)))
    assert math.isnan(toy.rows[0].share)
    assert toy.best is not None
    assert math.isnan(toy.best.share)


def test_an_answer_without_rows() -> None:
    toy = replace(TOY, rows=(), best=None, series=TOY.series.slice(0, 0), by_rank={}, matrix=(), trust=Trust())
    assert back(toy) == toy
    assert back(toy, "series") == toy


def test_numbers_of_numpy_come_back_as_numbers() -> None:
    toy = replace(TOY, rows=(replace(ROW, size=np.int64(7), share=np.float64(0.5)),), pair=(np.int32(3), "x"))
    found = back(toy)
    assert found == toy
    assert {type(found.rows[0].size), type(found.rows[0].share), type(found.pair[0])} == {int, float}


def test_what_no_table_can_hold_is_refused() -> None:
    with pytest.raises(TypeError, match="Toy: found a object"):
        to_table(replace(TOY, pair=(object(), "x")), "rows")  # type: ignore[arg-type]


@given(
    st.lists(
        st.builds(
            Row, st.text(), st.integers(-(2**80), 2**80), st.floats(allow_nan=False), st.booleans(),
            st.sampled_from(["host", "device", None]), st.none() | st.integers(), st.sampled_from(Colour),
            st.lists(st.builds(Part, st.integers(), st.integers()), max_size=2).map(tuple),
        ),
        max_size=3,
    ).map(tuple)
)  # fmt: skip
def test_any_rows_come_back(rows: tuple[Row, ...]) -> None:
    toy = replace(TOY, rows=rows, best=rows[0] if rows else None)
    assert back(toy) == toy
