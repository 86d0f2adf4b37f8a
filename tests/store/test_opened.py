"""Traces that stay open follow the catalogue, and are let go one by one."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from etgraph.model import Trace
from etgraph.model.errors import NotFound
from etgraph.store import connect
from etgraph.store.local.opened import Opened
from etgraph.store.rows import RowsRequest
from support.build import build


def test_rows_of_a_trace_that_stays_open_follow_the_catalogue(tmp_path: Path) -> None:
    identity = "a" * 64
    asked = [RowsRequest(identity, "operators")]
    first = replace(build("rank 0 | thread 1 | aten::mm  0..10"), trace_id=identity, revision=1)
    newer = replace(build("rank 0 | thread 1 | aten::add  0..10"), trace_id=identity, revision=2)
    with connect(tmp_path / "store") as store, connect(tmp_path / "store") as other:
        other.publish(first)
        assert [row["name"] for row in store.rows(asked)[0].rows] == ["aten::mm"]
        other.publish(newer)
        assert [row["name"] for row in store.rows(asked)[0].rows] == ["aten::add"]
        other.remove(identity)
        with pytest.raises(NotFound):
            store.rows(asked)


def test_the_trace_that_was_asked_for_longest_ago_is_let_go() -> None:
    opened = Opened(most=2)
    read: list[str] = []
    trace = build("rank 0 | thread 1 | aten::mm  0..10")

    def reading(folder: str) -> Trace:
        read.append(folder)
        return trace

    for folder in ("a", "b", "a", "c", "a", "b"):
        assert opened.get(folder, partial(reading, folder)) is trace
    assert read == ["a", "b", "c", "b"]
