"""A store with one small trace, which every test of the API may change."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from etgraph.store import Store, connect
from support.api_schema import GATES
from support.build import build


@pytest.fixture
def gpt(tmp_path: Path) -> Iterator[Store]:
    """A store that holds the workload `gpt`."""
    with connect(tmp_path / "store") as store:
        store.publish(build("rank 0 | thread 1 | aten::mm  0..10"), workload="gpt")
        yield store


@pytest.fixture(autouse=True)
def _new_gates() -> None:
    GATES.renew()
