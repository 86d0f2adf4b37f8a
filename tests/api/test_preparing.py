"""A server is prepared before it answers: no request pays for imports and compiling."""

from __future__ import annotations

from typing import Any

import pytest

from etgraph.api.http import logs
from etgraph.api.running import serving
from etgraph.api.running.preparing import prepare
from etgraph.api.settings import Settings
from etgraph.queries.walk import __dict__ as walking
from etgraph.store import Store
from support.api_schema import schema


def test_kernels_are_machine_code_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Any] = []
    monkeypatch.setattr(logs, "event", lambda name, **fields: told.append((name, sorted(fields))))
    prepare()
    kernels = [each for each in walking.values() if hasattr(each, "compiled")]
    assert kernels
    assert all(kernel.ready for kernel in kernels)
    assert told == [("prepared", ["seconds"])]


@pytest.mark.parametrize(
    ("own_schema", "settings", "expected"), [(None, True, 1), (None, False, 0), (schema(), True, 0)]
)
def test_the_own_schema_is_prepared_unless_the_settings_say_otherwise(
    gpt: Store, monkeypatch: pytest.MonkeyPatch, own_schema: Any, settings: bool, expected: int
) -> None:
    prepared: list[int] = []
    monkeypatch.setattr(serving, "prepare", lambda: prepared.append(1))
    monkeypatch.setattr(serving.Server, "run", lambda server: server._close())
    serving.serve(gpt, Settings(port=0, prepare=settings), schema=own_schema)
    assert len(prepared) == expected
