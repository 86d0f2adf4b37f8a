"""The critical path as a reader sees it: its strip over time, and the page that shows it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
from click.testing import Result
from rich.console import Console

from etgraph.cli.views.path import MOST_RANKS, STRIP_OVER_TIME, over_time
from etgraph.ingest import samples
from etgraph.queries import critical_path
from etgraph.queries.critical_path import RankShare
from support.build import build

PAGE = Path(__file__).resolve().parents[2] / "docs" / "queries" / "critical-path.md"


def drawn(view: object) -> list[str]:
    """Lines of a view, without the spaces at their ends."""
    console = Console(width=100, color_system=None)
    with console.capture() as captured:
        console.print(view)
    return [line.rstrip() for line in captured.get().splitlines()]


def test_a_strip_shows_when_the_path_was_on_which_rank() -> None:
    path = critical_path(build("""
        rank 0 | stream 7 | a                  0..240
        rank 0 | stream 7 | all_reduce 4MB   240..480
        rank 1 | stream 7 | b                  0..360
        rank 1 | stream 7 | all_reduce 4MB   360..480
        rank 0 | stream 7 | c                480..960
    """))  # fmt: skip
    first, second = (line.split("  ", 2)[-1] for line in drawn(over_time(path)) if line.lstrip()[:1] in ("0", "1"))
    assert first.startswith(" " * 18 + "▓" * 6 + "█" * 24)
    assert second.startswith("█" * 18 + " " * 30)
    assert (first.split()[-1], second.split()[-1]) == ("62.5%", "37.5%")


def test_of_many_ranks_those_with_most_time_have_strips() -> None:
    path = critical_path(build("rank 0 | stream 7 | a  0..240"))
    ranks = tuple(RankShare(rank, 10) for rank in range(24))
    path = replace(
        path, by_rank=ranks, window_ns=240, segments=pa.concat_tables([_on(path.segments, r) for r in range(24)])
    )
    lines = drawn(over_time(path))
    assert len(lines) == MOST_RANKS + 3
    assert "and 12 more ranks" in lines[-1]
    assert lines[-1].split()[-1] == "50.0%"


def _on(segments: pa.Table, rank: int) -> pa.Table:
    part = segments.set_column(segments.column_names.index("rank"), "rank", pa.array([rank], pa.int32()))
    part = part.set_column(part.column_names.index("start_ns"), "start_ns", pa.array([10 * rank]))
    return part.set_column(part.column_names.index("end_ns"), "end_ns", pa.array([10 * rank + 10]))


def test_the_page_shows_what_the_command_prints(etgraph: Callable[..., Result]) -> None:
    shown = [line.rstrip() for line in etgraph("critical-path", samples.path("gpt_tp2_pp2")).stdout.splitlines()]
    first = next(number for number, line in enumerate(shown) if "the path over time" in line)
    page = PAGE.read_text("utf-8")
    assert STRIP_OVER_TIME == 48
    for line in shown[first : first + 6]:
        if "─" not in line:
            assert line in page
    for row in ("computation", "communication"):
        share = next(line for line in shown if f" {row} " in line and "%" in line).split(f" {row} ")[1].split("%")[0]
        assert f"{share} %" in page
