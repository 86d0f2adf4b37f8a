"""Columns behave like a list of dictionaries, and share memory with Arrow."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etgraph.model import TABLES, Columns, NodeType
from etgraph.model.errors import EtgraphError
from etgraph.model.schema import TYPES
from model.tables import SAMPLES, Row, columns_of, operators, rows_of, sample_rows, through_file
from support.read_samples import sample

FULL: Row = {
    "number": 1, "some_bool": True, "some_int8": 2, "some_int32": 3, "some_int64": 4, "some_uint64": 5,
    "some_float32": 6.0, "some_float64": 7.0, "some_text": "mm", "some_row": 0, "some_enum": NodeType.COMP,
}  # fmt: skip
BLANK: Row = dict.fromkeys(FULL) | {"number": 0}


# Values


@given(sample_rows)
def test_rows_come_back_as_they_went_in(rows: list[Row]) -> None:
    assert rows_of(columns_of(rows)) == rows


@pytest.mark.parametrize("name", [c.name for c in SAMPLES.columns if c.nullable])
def test_a_null_beside_a_value(name: str) -> None:
    columns = columns_of([FULL, BLANK])
    assert columns.is_null(name).tolist() == [False, True]
    assert columns.value(name, 0) == FULL[name]
    assert columns.value(name, 1) is None


@pytest.mark.parametrize("name", [c.name for c in SAMPLES.columns if c.nullable])
def test_a_column_that_was_never_filled_is_all_null(name: str) -> None:
    columns = columns_of([BLANK, BLANK])
    assert name not in columns.filled
    assert columns.is_null(name).all()
    null = SAMPLES.column(name).null
    assert np.array_equal(columns[name], np.full(2, 0 if null is None else null, SAMPLES.column(name).dtype), True)


def test_a_mask_leaves_every_uint64_free_to_be_a_value() -> None:
    values = np.array([0, 2**64 - 1, 0], dtype=np.uint64)
    columns = operators(3, node_id=values)
    assert [columns.value("node_id", row) for row in range(3)] == [0, 2**64 - 1, 0]
    masked = columns.replace({}, masks={"node_id": np.array([True, True, False])})
    assert [masked.value("node_id", row) for row in range(3)] == [0, 2**64 - 1, None]


def test_an_enum_value_that_is_unknown_keeps_its_number() -> None:
    columns = columns_of([FULL | {"some_enum": 99}])
    assert columns.value("some_enum", 0) == 99
    assert columns.to_pandas()["some_enum"].tolist() == ["99"]
    assert rows_of(Columns.from_arrow(SAMPLES, columns.to_arrow()))[0]["some_enum"] == 99


def test_texts_are_found_by_their_code() -> None:
    columns = columns_of([FULL, FULL | {"some_text": "relu"}])
    assert columns.code("some_text", "relu") == columns["some_text"][1]
    assert columns.code("some_text", "absent") == -1
    assert columns.codes_where("some_text", lambda text: text.startswith("re")).tolist() == [False, True]


def test_columns_cannot_be_written() -> None:
    columns = columns_of([FULL])
    for name in columns.filled:
        with pytest.raises(ValueError, match="read-only"):
            columns[name][0] = 0


# What is refused


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: Columns(SAMPLES, {"number": [1, 2], "some_int8": [1]}), ValueError, r"samples differ .*\[1, 2\]"),
        (lambda: Columns(SAMPLES, {"number": [1]}, length=2), ValueError, "differ in length"),
        (lambda: Columns(SAMPLES, {"some_int8": [1]}), ValueError, "samples needs column number"),
        (lambda: Columns(SAMPLES, {"absent": [1]}), KeyError, "no column 'absent'"),
        (lambda: Columns(SAMPLES, {"number": np.array([2**31])}), OverflowError, "column number"),
        (lambda: Columns(SAMPLES, {"number": [2**31]}), OverflowError, "out of bounds|too large"),
        (lambda: columns_of([FULL]).replace({}, masks={"some_uint64": [True, False]}), ValueError, "mask of 2 rows"),
        (lambda: columns_of([FULL]).replace({}, masks={"some_int64": [False]}), ValueError, "some_int64 cannot"),
        (lambda: columns_of([BLANK]).replace({}, masks={"some_uint64": [False]}), ValueError, "some_uint64 cannot"),
        (lambda: columns_of([FULL]).replace({"some_int8": [1, 2]}), ValueError, "differ in length"),
        (lambda: columns_of([FULL]).take(np.array([True, False])), ValueError, "a mask of 2 rows"),
    ],
)
def test_what_does_not_fit_is_refused(make: Callable[[], Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        make()


@pytest.mark.parametrize(
    ("name", "values", "words"),
    [
        ("number", pa.array([1.5]), "column number: found double, expected int32"),
        ("some_bool", pa.array([1], pa.int8()), "column some_bool: found int8, expected bool"),
        ("some_text", pa.array([1]), "column some_text: found int64, expected text"),
    ],
)
def test_an_arrow_column_of_another_type_is_refused(name: str, values: pa.Array, words: str) -> None:
    with pytest.raises(EtgraphError, match=words):
        Columns.from_arrow(SAMPLES, pa.table({"number": pa.array([1], pa.int32())} | {name: values}))


# Tables of tables


@given(sample_rows, st.data())
def test_taking_rows_is_indexing_the_list(rows: list[Row], data: st.DataObject) -> None:
    wanted = data.draw(st.lists(st.integers(0, len(rows) - 1))) if rows else []
    assert rows_of(columns_of(rows).take(np.array(wanted, dtype=np.int64))) == [rows[i] for i in wanted]
    mask = data.draw(st.lists(st.booleans(), min_size=len(rows), max_size=len(rows)))
    assert rows_of(columns_of(rows).take(np.array(mask, dtype=bool))) == [r for r, kept in zip(rows, mask) if kept]


@given(st.lists(sample_rows, min_size=1, max_size=4))
def test_concat_is_adding_the_lists(parts: list[list[Row]]) -> None:
    joined = Columns.concat([columns_of(part) for part in parts])
    assert rows_of(joined) == [row for part in parts for row in part]


def test_concat_keeps_each_text_once() -> None:
    parts = [columns_of([FULL | {"some_text": text} for text in texts]) for texts in (["a", "b"], ["b", "c"], ["a"])]
    joined = Columns.concat(parts)
    assert joined.texts("some_text").to_pylist() == ["a", "b", "c"]
    assert joined["some_text"].tolist() == [0, 1, 1, 2, 0]


def test_replace_shares_what_it_does_not_exchange() -> None:
    columns = columns_of([FULL, BLANK])
    changed = columns.replace({"number": [8, 9], "some_text": [0, 0]})
    assert changed["number"].tolist() == [8, 9]
    assert changed.value("some_text", 1) == "mm"
    assert changed.texts("some_text") is columns.texts("some_text")
    assert np.shares_memory(changed["some_int64"], columns["some_int64"])
    assert changed.is_null("some_uint64").tolist() == [False, True]


def test_replace_forgets_the_nulls_of_an_exchanged_column() -> None:
    changed = columns_of([FULL, BLANK]).replace({"some_uint64": [1, 2]})
    assert not changed.is_null("some_uint64").any()


@given(sample_rows, sample_rows)
def test_tables_are_equal_when_their_rows_are(rows: list[Row], others: list[Row]) -> None:
    assert columns_of(rows).equals(columns_of(others)) == (rows == others)


@given(sample_rows, sample_rows)
def test_differences_name_the_columns(rows: list[Row], others: list[Row]) -> None:
    rows, others = rows[: len(others)], others[: len(rows)]
    differing = [name for name in FULL if [r[name] for r in rows] != [o[name] for o in others]]
    found = columns_of(rows).differences(columns_of(others))
    assert sorted(found) == sorted(differing)


def test_equality_does_not_see_the_order_of_the_dictionary() -> None:
    columns = columns_of([FULL, FULL | {"some_text": "relu"}])
    turned = columns.replace({"some_text": [1, 0]}, {"some_text": ["relu", "mm"]})
    assert columns.equals(turned)
    assert not columns.equals(turned.replace({"some_text": [0, 1]}))


def test_tables_of_different_length_differ_in_every_column() -> None:
    assert columns_of([FULL]).differences(columns_of([FULL, FULL])) == [c.name for c in SAMPLES.columns]


@given(sample_rows)
def test_columns_cross_process_boundaries(rows: list[Row]) -> None:
    assert pickle.loads(pickle.dumps(columns_of(rows))).equals(columns_of(rows))


# Arrow


@pytest.fixture(scope="module")
def arrow_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that each example writes anew."""
    return tmp_path_factory.mktemp("arrow") / "samples.arrow"


@pytest.mark.parametrize("trusted", [True, False])
@given(rows=sample_rows)
def test_rows_survive_a_file(trusted: bool, arrow_file: Path, rows: list[Row]) -> None:
    arrow = through_file(columns_of(rows), arrow_file)
    arrow.validate(full=True)
    assert rows_of(Columns.from_arrow(SAMPLES, arrow, trusted=trusted)) == rows


@given(sample_rows)
def test_arrow_holds_the_rows_themselves(rows: list[Row]) -> None:
    columns = columns_of(rows)
    expected = [{k: v if v is None or k != "some_enum" else int(v) for k, v in row.items()} for row in rows]
    found = columns.to_arrow().to_pylist()
    assert found == [{name: row[name] for name in columns.filled} for row in expected]


def test_a_mapped_file_is_used_where_it_lies(arrow_file: Path) -> None:
    arrow = through_file(columns_of([FULL, BLANK]), arrow_file)
    columns = Columns.from_arrow(SAMPLES, arrow, trusted=True)
    for name in set(columns.filled) - {"some_bool"}:  # bits in Arrow, bytes in NumPy
        chunk = arrow.column(name).chunk(0)
        data = (chunk.indices if name == "some_text" else chunk).buffers()[1]
        assert columns[name].ctypes.data == data.address, name
        assert not columns[name].flags.writeable


def test_to_arrow_shares_the_memory_of_the_columns() -> None:
    columns = columns_of([FULL, BLANK])
    assert columns.to_arrow().column("some_int64").chunk(0).buffers()[1].address == columns["some_int64"].ctypes.data


@pytest.mark.parametrize("name", [c.name for c in SAMPLES.columns if c.nullable and c.null is not None])
def test_untrusted_slots_under_nulls_get_the_reserved_value(name: str) -> None:
    column = SAMPLES.column(name)
    garbage = pa.Array.from_buffers(
        pa.from_numpy_dtype(column.dtype), 2, [pa.py_buffer(b"\x01"), pa.py_buffer(np.ones(2, column.dtype))]
    )
    if column.type == "text":
        garbage = pa.DictionaryArray.from_arrays(garbage, ["a", "b"])
    columns = Columns.from_arrow(SAMPLES, pa.table({"number": pa.array([1, 2], pa.int32()), name: garbage}))
    assert columns.is_null(name).tolist() == [False, True]
    assert np.array_equal(columns[name][1:], np.array([column.null], dtype=column.dtype), equal_nan=True)


@pytest.mark.parametrize(
    "texts",
    [
        pa.array(["a", None, "b"]),
        pa.array(["a", None, "b"], pa.large_string()),
        pa.array(["a", None, "b"]).dictionary_encode().cast(pa.dictionary(pa.int8(), pa.string())),
        pa.array(["a", None, "b"], pa.large_string()).dictionary_encode(),
        pa.chunked_array([pa.array(["a", None]).dictionary_encode(), pa.array(["b"]).dictionary_encode()]),
    ],
    ids=lambda texts: str(texts.type),
)
def test_texts_of_other_writers_are_taken(texts: Any) -> None:
    columns = Columns.from_arrow(SAMPLES, pa.table({"number": pa.array([1, 2, 3], pa.int32()), "some_text": texts}))
    assert [columns.value("some_text", row) for row in range(3)] == ["a", None, "b"]


def test_columns_that_the_table_does_not_know_are_ignored() -> None:
    arrow = pa.table({"number": pa.array([1], pa.int32()), "later": [1]})
    assert Columns.from_arrow(SAMPLES, arrow).filled == ("number",)


def test_a_slice_of_an_arrow_table_starts_where_the_slice_does() -> None:
    rows = [FULL | {"number": n, "some_text": str(n)} for n in range(9)]
    assert rows_of(Columns.from_arrow(SAMPLES, columns_of(rows).to_arrow().slice(3, 2))) == rows[3:5]


def test_arrow_fields_say_what_they_mean() -> None:
    field = operators(1, start_ns=[5]).to_arrow().schema.field("start_ns")
    assert field.metadata == {b"meaning": b"start from the trace's zero", b"unit": b"ns"}


# Data frames and notebooks


def test_a_data_frame_has_texts_names_and_nulls() -> None:
    frame = columns_of([FULL, BLANK]).to_pandas()
    assert frame["some_text"].tolist()[0] == "mm"
    assert frame["some_enum"].tolist()[0] == "COMP"
    assert frame["some_int64"].tolist() == [4, pd.NA]
    assert frame.drop(columns="number").iloc[1].isna().all()


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_an_empty_table_has_every_form(table: Any) -> None:
    columns = Columns.empty(table)
    assert len(columns) == len(columns.to_pandas()) == columns.to_arrow().num_rows == 0
    assert Columns.from_arrow(table, columns.to_arrow()).equals(columns)
    assert rows_of(Columns.concat([columns, columns])) == []
    assert "0 rows" in columns._repr_html_()


def test_a_notebook_shows_the_first_rows_and_their_number() -> None:
    html = columns_of([FULL | {"number": 1000 + n} for n in range(100)])._repr_html_()
    assert "1000" in html
    assert "1099" not in html
    assert "100 rows" in html


# Memory


@pytest.mark.parametrize(("table", "most"), [("operators", 124), ("dependencies", 20)])
def test_a_row_is_small(table: str, most: int) -> None:
    columns = TABLES[table].columns
    masks = sum(c.nullable and TYPES[c.type].null is None for c in columns)
    assert sum(c.dtype.itemsize for c in columns) + masks <= most


def test_a_column_that_was_never_filled_takes_no_memory() -> None:
    assert operators(1000).nbytes < operators(1000, flops=np.zeros(1000)).nbytes - 7999


@pytest.mark.parametrize("table", TABLES)
def test_a_whole_column_is_what_its_values_are_one_by_one(table: str) -> None:
    columns = sample("gpt_ddp_5steps").tables[table]
    columns = columns.take(np.arange(0, len(columns), 37))
    for column in columns.table.columns:
        assert columns.values(column.name) == [columns.value(column.name, row) for row in range(len(columns))]
