"""What the Kineto reader keeps for inference: records of synchronisation beside their calls, waves of kernels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from etgraph.ingest.draft import NULL, Draft
from ingest.kineto_oracle import call, gpu, interval, write
from support.drafts import kineto_draft


def wait(**arguments: Any) -> Any:
    """A record that stream 9 waits for stream 7."""
    return interval("cuda_sync", "Stream Wait Event", 6, 7, 9, 0, **{"stream": 9, "wait_on_stream": 7} | arguments)


def draft_of(folder: Path, *events: Any) -> Draft:
    before = (gpu("a", 0, 1, 1), gpu("b", 8, 9, 2, 9), call(5, 7, 40, "cudaStreamWaitEvent"))
    return kineto_draft(write(folder / "trace.json", *before, *events))


def told(draft: Draft) -> tuple[Any, ...]:
    """The streams of the wait and the event, by their recorded ids, and the event's number."""
    (row,) = [r for r in range(len(draft.trace)) if draft.trace.operators.value("name", r) == "cudaStreamWaitEvent"]
    lanes = [int(draft.id(name)[row]) for name in ("stream", "event_stream")]
    names = [None if lane == NULL else draft.trace.lanes.value("id", lane) for lane in lanes]
    return (*names, int(draft.id("event_record")[row]))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"correlation": 40, "wait_on_cuda_event_record_corr_id": 33}, ("9", "7", 33)),
        ({"correlation": 40}, ("9", "7", NULL)),
        ({"correlation": 40, "wait_on_stream": -1, "wait_on_cuda_event_record_corr_id": -1}, ("9", None, -1)),
        ({"correlation": 40, "stream": 2**32 - 1}, (None, "7", NULL)),
        ({"correlation": 40, "device": 3}, (None, None, NULL)),
        ({"correlation": 41}, (None, None, NULL)),
        ({}, (None, None, NULL)),
    ],
)
def test_a_record_of_synchronisation_belongs_to_the_call_of_its_correlation(
    tmp_path: Path, arguments: dict[str, int], expected: tuple[Any, ...]
) -> None:
    assert told(draft_of(tmp_path, wait(**arguments))) == expected


def test_a_record_without_any_call_is_an_annotation_and_no_more(tmp_path: Path) -> None:
    draft = kineto_draft(write(tmp_path / "trace.json", gpu("a", 0, 1), wait()))
    assert (draft.id("stream") == NULL).all()
    assert len(draft.trace.annotations) == 1


@pytest.mark.parametrize(
    ("warps", "occupancy", "waves"),
    [
        (128.0, 50, 4), (64, 100, 1), (3.2, 5, 1), (0.16, 50, 0.005), (16, 30, 16 / 19.2), (20, 0, None),
        (0, 50, None), (20, -1, None), (1e300, 1e-300, 1e7), (1, 5e-324, 1e7),
    ],
)  # fmt: skip
def test_waves_are_warps_over_those_that_fit(
    tmp_path: Path, warps: float, occupancy: float, waves: float | None
) -> None:
    kernel = gpu("k", 20, 21, **{"warps per SM": warps, "est. achieved occupancy %": occupancy})
    operators = kineto_draft(write(tmp_path / "trace.json", kernel, gpu("l", 30, 31, 2))).trace.operators
    expected = None if waves is None else pytest.approx(waves, rel=1e-7)
    assert [operators.value("waves", row) for row in (0, 1)] == [expected, None]
    assert ("waves" in operators.filled) == (waves is not None)
