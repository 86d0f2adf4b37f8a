"""Some seconds of the soak: good, bad and hostile requests and mutations at once; the long form is a benchmark."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 6


@pytest.fixture
def soak(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The soak's module; the benchmarks are no package of the product."""
    monkeypatch.syspath_prepend(str(ROOT))
    from benchmarks.soak import run

    return run


def test_nothing_breaks_leaks_or_answers_otherwise(soak: ModuleType, tmp_path: Path) -> None:
    found = soak.soak(f"{tmp_path}/store", SECONDS, prepare="false", threads=4)
    assert found.wrong == []
    parts = {part for part, _ in found.seen.statuses}
    assert {"good", "selections", "bad", "hostile"} <= parts
    assert len(found.meanwhile) == soak.MOMENTS


def held(**changes: Any) -> Any:
    from benchmarks.soak.seen import Held

    return Held(**{"seconds": 0.0, "rss": 10**8, "threads": 10, "files": 10, "sessions": 1, **changes})


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"threads": 13}, "threads: 10 before, 13 after"),
        ({"files": 15}, "files: 10 before, 15 after"),
        ({"sessions": 6}, "connections to the database: 1 before, 6 after"),
    ],
)
def test_what_stays_behind_is_told(soak: ModuleType, more: dict[str, int], told: str) -> None:
    assert soak.Soaked(soak.Seen(), held(), (), held(**more)).wrong == [told]


def test_a_server_that_breaks_is_told(soak: ModuleType) -> None:
    seen = soak.Seen()
    seen.note("good", 200, {"data": None})
    assert seen.wrong == []
    seen.note("good", 503, {})
    seen.note("bad", 200, {"errors": [{"message": "masked", "extensions": {"code": "INTERNAL"}}]})
    assert [each.split(":")[0] for each in seen.wrong] == ["good", "bad"]


def test_growth_is_that_of_the_later_half(soak: ModuleType) -> None:
    grown = [held(seconds=60.0 * n, rss=10**8 + (n > 3) * (n - 3) * 10**6) for n in range(8)]
    assert soak.slope(grown) == pytest.approx(1e6)
