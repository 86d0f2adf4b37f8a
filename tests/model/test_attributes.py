"""Attributes lie in files: written as they come, read row by row or in batches, gone when nobody needs them."""

from __future__ import annotations

import gc
import pickle
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from etgraph.model import Attributes, AttributeWriter
from etgraph.model.attributes import BATCH
from etgraph.model.errors import CorruptStore

COUNT = 2 * BATCH + 10


def texts(first: int, last: int) -> list[bytes]:
    return [b'{"row":%d}' % row for row in range(first, last)]


def written(rows: Sequence[bytes], path: Path | None = None) -> Attributes:
    with AttributeWriter(path) as writer:
        writer.extend(rows)
    return writer.attributes


def all_rows(attributes: Attributes) -> list[bytes]:
    return [text for _, batch in attributes.batches() for text in batch.to_pylist()]


def test_any_row_can_be_read() -> None:
    attributes = written(texts(0, COUNT))
    assert len(attributes) == COUNT
    for row in (COUNT - 1, 0, BATCH - 1, BATCH, 2 * BATCH):
        assert attributes.get(row) == {"row": row}


@pytest.mark.parametrize(
    ("digits", "value"),
    [("1e400", None), ("-1e400", None), ("1" * 5000, None), ("1" * 400 + ".5", None), ("1" * 30, int("1" * 30))],
)
def test_a_number_beyond_every_float_is_none(digits: str, value: int | None) -> None:
    row = f'{{"far":[{digits}],"near":1.5,"id":7}}'.encode()
    attributes = written([row])
    assert attributes.get(0) == {"far": [value], "near": 1.5, "id": 7}
    assert attributes.text(0) == row


def test_rows_come_in_batches_in_order() -> None:
    batches = list(written(texts(0, COUNT)).batches())
    assert [(first, len(batch)) for first, batch in batches] == [(0, BATCH), (BATCH, BATCH), (2 * BATCH, 10)]
    assert [text for _, batch in batches for text in batch.to_pylist()] == texts(0, COUNT)


def test_appending_and_extending_number_the_rows() -> None:
    with AttributeWriter() as writer:
        assert writer.append(b"{}") == 0
        assert writer.extend(texts(1, BATCH + 1)) == 1
        assert writer.append(b'{"last":true}') == BATCH + 1
    assert writer.attributes.get(BATCH + 1) == {"last": True}
    assert len(writer.attributes) == BATCH + 2


@pytest.mark.parametrize("row", [-1, 3])
def test_a_row_outside_is_an_error(row: int) -> None:
    with pytest.raises(IndexError, match=f"attribute row {row} of 3"):
        written(texts(0, 3)).text(row)


def test_a_null_row_has_no_attributes() -> None:
    assert Attributes.none().get(-1) == {}
    assert len(Attributes.none()) == 0
    assert all_rows(Attributes.none()) == []


def test_select_keeps_only_the_wanted_rows() -> None:
    wanted = np.array([0, 5, BATCH, COUNT - 1])
    chosen = written(texts(0, COUNT)).select(wanted)
    assert [chosen.get(row)["row"] for row in range(4)] == wanted.tolist()
    assert len(chosen) == 4


def test_concat_puts_the_files_one_after_the_other() -> None:
    parts = [written(texts(0, 3)), Attributes.none(), written([]), written(texts(3, BATCH + 5)), written(texts(0, 1))]
    joined = Attributes.concat(parts)
    assert joined.rows == (3, 0, BATCH + 2, 1)
    assert all_rows(joined) == texts(0, BATCH + 5) + texts(0, 1)
    for row in (0, 2, 3, BATCH + 4):
        assert joined.get(row) == {"row": row}
    assert joined.get(BATCH + 5) == {"row": 0}
    assert Attributes.concat([joined, parts[0]]).get(len(joined) + 2) == {"row": 2}


# Files


def test_a_named_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "rows.attrs"
    attributes = written(texts(0, 5), path)
    del attributes
    gc.collect()
    assert Attributes([path], [5]).get(4) == {"row": 4}


def test_a_temporary_file_goes_with_the_last_reference() -> None:
    first = written(texts(0, 3))
    (path,) = first.paths
    joined = Attributes.concat([first])
    del first
    gc.collect()
    assert joined.get(2) == {"row": 2}
    del joined
    gc.collect()
    assert not path.exists()


def test_the_file_serves_all_attributes_of_its_writer() -> None:
    with AttributeWriter() as writer:
        writer.append(b"{}")
    first, second = writer.attributes, writer.attributes
    del first, writer
    gc.collect()
    assert second.get(0) == {}


def test_a_temporary_file_goes_when_writing_fails() -> None:
    writer = AttributeWriter()
    with suppress(KeyError), writer:
        writer.extend(texts(0, COUNT))
        raise KeyError
    assert not writer.path.exists()
    with pytest.raises(RuntimeError, match="not complete"):
        _ = writer.attributes


def test_a_temporary_file_goes_when_its_last_batch_cannot_be_written() -> None:
    writer = AttributeWriter()
    with pytest.raises(TypeError), writer:
        writer.append(7)  # type: ignore[arg-type]
    assert not writer.path.exists()


def test_an_unfinished_writer_has_no_attributes() -> None:
    with AttributeWriter() as writer, pytest.raises(RuntimeError, match="not complete"):
        _ = writer.attributes


def test_attributes_do_not_cross_process_boundaries() -> None:
    with pytest.raises(TypeError, match="publish the trace or pass its path"):
        pickle.dumps(written(texts(0, 1)))


# Damage


def test_a_file_that_is_no_arrow_file_is_corrupt(tmp_path: Path) -> None:
    path = tmp_path / "rows.attrs"
    path.write_bytes(b"something else")
    with pytest.raises(CorruptStore, match=r"rows\.attrs: found .*expected an Arrow file"):
        Attributes([path], [1]).text(0)


def test_a_missing_file_is_corrupt(tmp_path: Path) -> None:
    with pytest.raises(CorruptStore, match="absent"):
        Attributes([tmp_path / "absent"], [1]).text(0)


def test_a_file_cut_short_is_corrupt(tmp_path: Path) -> None:
    path = tmp_path / "rows.attrs"
    written(texts(0, COUNT), path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CorruptStore, match="expected an Arrow file"):
        Attributes([path], [COUNT]).text(0)


def test_a_damaged_batch_is_corrupt(tmp_path: Path) -> None:
    path = tmp_path / "rows.attrs"
    written(texts(0, COUNT), path)
    content = bytearray(path.read_bytes())
    frame = content.index(b"\x28\xb5\x2f\xfd")  # zstd's magic number
    content[frame : frame + 64] = bytes(64)
    path.write_bytes(content)
    attributes = Attributes([path], [COUNT])
    with pytest.raises(CorruptStore, match=r"batch 0: found .*expected attributes"):
        attributes.text(0)
    assert attributes.get(2 * BATCH) == {"row": 2 * BATCH}


def test_a_file_with_too_few_batches_is_corrupt(tmp_path: Path) -> None:
    path = tmp_path / "rows.attrs"
    written(texts(0, 5), path)
    with pytest.raises(CorruptStore, match="batch 1"):
        Attributes([path], [COUNT]).text(BATCH)


def test_arrays_and_lists_of_rows_may_be_mixed() -> None:
    rows = [b'{"n":%d}' % n for n in range(3 * BATCH + 5)]
    with AttributeWriter() as writer:
        assert writer.extend(rows[:10]) == 0
        assert writer.extend_array(pa.array(rows[10 : BATCH + 50], type=pa.binary())) == 10
        assert writer.append(rows[BATCH + 50]) == BATCH + 50
        array = pa.array(rows[: 3 * BATCH + 2], type=pa.binary())
        assert writer.extend_array(array[BATCH + 51 :]) == BATCH + 51
        writer.extend(rows[3 * BATCH + 2 :])
    found = writer.attributes
    assert [found.text(row) for row in (0, 9, 10, BATCH, BATCH + 50, 2 * BATCH, len(rows) - 1)] == [
        rows[row] for row in (0, 9, 10, BATCH, BATCH + 50, 2 * BATCH, len(rows) - 1)
    ]
    assert [t for _, batch in found.batches() for t in batch.to_pylist()] == rows


def test_many_rows_are_taken_at_once_in_any_order() -> None:
    rows = [b'{"n":%d}' % n for n in range(2 * BATCH + 7)]
    parts = []
    for _ in range(2):
        with AttributeWriter() as writer:
            writer.extend(rows)
        parts.append(writer.attributes)
    whole = Attributes.concat(parts)
    wanted = np.array([2 * len(rows) - 1, -1, 0, BATCH, len(rows), len(rows) - 1, 0, -1], dtype=np.int32)
    assert whole.texts(wanted) == [None if row < 0 else rows[row % len(rows)] for row in wanted.tolist()]
    assert whole.array(wanted).to_pylist() == whole.texts(wanted)
    for swapped in ([1, 0], [-1, 1, 0, 2], [2, 0, 1], [0, 1, 2], [1, 1, 0]):
        assert whole.array(np.array(swapped)).to_pylist() == [None if row < 0 else rows[row] for row in swapped]
    assert whole.texts(wanted[:0]) == []
    assert whole.array(wanted[:0]).to_pylist() == []
    with pytest.raises(IndexError, match=f"attribute row {2 * len(rows)} of"):
        whole.texts(np.array([2 * len(rows)]))


def test_an_edit_is_a_new_file() -> None:
    rows = [b'{"n":%d}' % n for n in range(BATCH + 3)]
    with AttributeWriter() as writer:
        writer.extend(rows)
    before = writer.attributes
    after = before.edited({0: b"{}", BATCH: b"[]"}, [b"more"])
    assert [after.text(row) for row in (0, 1, BATCH, BATCH + 2, BATCH + 3)] == [
        b"{}",
        rows[1],
        b"[]",
        rows[-1],
        b"more",
    ]
    assert before.text(0) == rows[0]
    assert len(after) == len(before) + 1
