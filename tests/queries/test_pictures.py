"""Pictures of answers as plain data: which bars, where, in which colour, and what is drawn together."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etgraph.model import Trust
from etgraph.model.drawing import Bars, Chart, HeatMap, Links, Moments
from etgraph.model.drawing.colours import CATEGORIES, DARK_GREY, GREY, LESS, MORE
from etgraph.model.errors import MissingData, UsageError
from etgraph.queries import breakdown, comm_matrix, critical_path
from etgraph.queries.comm_matrix import CommunicationMatrix
from etgraph.queries.comparison import Comparison, Contribution
from etgraph.queries.critical_path import CategoryShare, CriticalPath
from etgraph.queries.pictures import chart_of, draw, plot, strips
from etgraph.queries.waterfall import LostTime, Waterfall
from support.build import build

TRACE = build("""
    rank 0 | thread 1 | cudaLaunchKernel   0..10     -> gemm
    rank 0 | stream 7 | gemm              10..40
    rank 0 | stream 7 | all_reduce 4MB    40..101
    rank 1 | stream 7 | add                0..70
    rank 1 | stream 7 | all_reduce 4MB    70..100
""")
"""The path ends in rank 0's all-reduce, and begins on rank 1, which came last to it."""


def marks(chart: Chart, kind: type, panel: int = 0) -> list[object]:
    return [mark for mark in chart.panels[panel].marks if isinstance(mark, kind)]


def bars(chart: Chart, panel: int = 0) -> list[tuple[str, str, float, float, float]]:
    """(row's name, colour, start, end, striped) of every bar, row by row."""
    rows = chart.panels[panel].y.places
    found = [
        (int(row), start, (rows[int(row)], mark.colour, start, end, mark.striped))
        for mark in chart.panels[panel].marks
        if isinstance(mark, Bars)
        for row, start, end in zip(mark.row, mark.start, mark.end)
    ]
    return [bar for *_, bar in sorted(found)]


# The critical path


def path_of(*segments: tuple[int, str | None, str, int, int]) -> CriticalPath:
    """A path of segments: rank, name, category, start, end."""
    rank, name, category, start, end = zip(*segments)
    window = end[-1] - start[0]
    table = pa.table(
        {
            "rank": pa.array(rank, pa.int32()), "lane": ["stream 7"] * len(rank), "name": pa.array(name, pa.string()),
            "category": category, "detail": ["kernel"] * len(rank), "start_ns": start, "end_ns": end,
            "via": pa.array([None] * len(rank), pa.string()), "source": pa.array([None] * len(rank), pa.string()),
        }
    )  # fmt: skip
    shares = tuple(CategoryShare(one, "kernel", window, 1.0) for one in sorted(set(category)))
    return CriticalPath(start[0], end[-1], window, window, shares, (), (), (), table, Trust())


def test_a_path_is_a_strip_for_each_rank() -> None:
    chart = chart_of(critical_path(TRACE))
    assert bars(chart) == [
        ("rank 0", CATEGORIES["communication"], 70, 101, False),
        ("rank 1", CATEGORIES["computation"], 0, 70, False),
    ]
    (handover,) = marks(chart, Links)
    assert isinstance(handover, Links)
    assert (handover.row, handover.to, handover.start, handover.end) == ([1], [0], [70], [70])
    assert handover.texts == ["rank 1 → rank 0 at 70 ns\nby COLLECTIVE to all_reduce"]


def test_a_segment_tells_what_it_is() -> None:
    (mark, *_) = marks(chart_of(critical_path(TRACE)), Bars)
    assert isinstance(mark, Bars)
    assert mark.name == "computation 69.3%"
    assert mark.texts == [
        "add\ncomputation: kernel, 70 ns\nfrom 0.000000 to 0.000070 ms\nrank 1, stream 7",
    ]


def test_iterations_are_marked_where_the_path_enters_them() -> None:
    trace = build("""
        rank 0 | thread 1 | iteration ProfilerStep#4   0..50
        rank 0 | thread 1 | aten::mm                   0..40
        rank 0 | thread 1 | iteration ProfilerStep#5  50..90
        rank 0 | thread 1 | aten::mm                  50..90
    """)
    path = critical_path(trace)
    assert [(one.iteration, one.start_ns, one.end_ns) for one in path.by_iteration] == [(0, 0, 40), (1, 40, 90)]
    (moments,) = marks(chart_of(path), Moments)
    assert moments == Moments([0, 40], ["iteration 0", "iteration 1"])


def test_lanes_are_rows_where_asked() -> None:
    path = critical_path(TRACE, rank=0)
    rows = chart_of(path, lanes=True).panels[0].y.places
    assert rows == ("rank 0, thread 1", "rank 0, stream 7")
    assert chart_of(path).panels[0].y.places == ("rank 0",)


def test_of_many_ranks_those_with_least_time_share_a_row() -> None:
    ends = np.cumsum([100] * 39 + [1] * 61).tolist()
    path = path_of(*((rank, "a", "cpu", end - (100 if rank < 39 else 1), end) for rank, end in enumerate(ends)))
    rows = chart_of(path).panels[0].y.places
    assert rows[0] == "rank 0"
    assert rows[-2:] == ("rank 38", "61 others")


def test_a_hundred_thousand_segments_are_drawn_together() -> None:
    """Every tenth is idle, for longer than all the others between: bars have the colour of most of their time."""
    steps, end, segments = 100_000, 0, []
    for number in range(steps):
        idle = number % 10 == 9
        start, end = end, end + (60 if idle else 5)
        segments.append((number // 50_000, f"k{number}", "idle" if idle else "cpu", start, end))
    segments.append((0, "long", "computation", end, 2 * end))
    chart = chart_of(path_of(*segments))
    drawn = bars(chart)
    # The second half is one segment, so that half of the 1,500 cells hold all the others.
    assert len(drawn) == 1 + strips.CELLS // 2
    assert {colour for _, colour, *_ in drawn} == {CATEGORIES["idle"], CATEGORIES["computation"]}
    assert chart.notes == (
        "100,000 segments of 100,001 are shorter than 1.40 µs: they are drawn together, as 750 bars in the colour of "
        "most of their time",
    )
    (idle,) = [mark for mark in marks(chart, Bars) if isinstance(mark, Bars) and mark.name.startswith("idle")]
    assert idle.texts[0].splitlines()[1:] == ["idle 780 ns", "cpu 620 ns", "the longest: k129"]
    assert idle.texts[0].startswith("137 segments shorter than 1.40 µs, on rank 0")


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 40), st.sampled_from(["cpu", "idle"])), min_size=1))
def test_bars_drawn_together_cover_the_window_and_hold_all_time(parts: list[tuple[int, int, str]]) -> None:
    end, segments = 0, []
    for rank, length, category in parts:
        segments.append((rank, "a", category, end, end + length))
        end += length
    found = strips.strips_of(path_of(*segments), lanes=False)
    every = np.arange(len(parts))
    for cells in (1, 7):
        together = strips.drawn_together(found, cells, every)
        assert together.spent.sum() == end
        assert together.count.sum() == len(parts)
        covered = np.zeros(end, dtype=bool)
        for start, stop in zip(together.start_ns.tolist(), together.end_ns.tolist()):
            covered[start:stop] = True
        assert covered.all()


def test_so_many_handovers_that_not_all_are_drawn() -> None:
    path = path_of(*((number % 2, "a", "cpu", number * 10, number * 10 + 10) for number in range(10_000)))
    chart = chart_of(path)
    (links,) = marks(chart, Links)
    assert isinstance(links, Links)
    assert len(links.start) == 1_500
    assert chart.notes[1] == f"{len(links.start):,} of 9,999 hand-overs between rows are drawn"


def test_a_window_without_length_has_no_picture() -> None:
    with pytest.raises(MissingData, match="the window has no length"):
        chart_of(path_of((0, "a", "cpu", 5, 5)))


# The matrix


def test_a_matrix_is_a_heat_map_of_bytes() -> None:
    chart = chart_of(comm_matrix(TRACE))
    (heat,) = marks(chart, HeatMap)
    assert isinstance(heat, HeatMap)
    assert heat.rows == [[None, 4.194304], [4.194304, None]]
    assert (heat.unit, heat.logarithmic) == ("MB", False)
    assert heat.texts[0][1] == "rank 0 → rank 1\n4.19 MB\nin 31 ns, 135 TB/s"
    assert chart.panels[0].x.places == ("0", "1")


def test_a_wide_span_has_a_logarithmic_scale_and_unrecorded_ranks_a_star() -> None:
    sent = np.array([[0, 10**6, 0], [10**4, 0, 0], [0, 0, 0]])
    matrix = CommunicationMatrix((0, 1, 5), sent, None, 0, (5,), Trust())
    chart = chart_of(matrix)
    (heat,) = marks(chart, HeatMap)
    assert isinstance(heat, HeatMap)
    assert heat.logarithmic
    assert heat.texts[1][0] == "rank 1 → rank 0\n10.0 kB"
    assert chart.panels[0].y.places == ("0", "1", "5*")
    assert chart.notes == ("* not recorded: what it sends is known from receivers of messages only",)


def test_of_very_many_ranks_neighbours_share_a_cell() -> None:
    ranks = 1_000
    matrix = CommunicationMatrix(
        tuple(range(ranks)), np.ones((ranks, ranks), dtype=np.int64), np.ma.masked_array(np.ones((ranks, ranks), int)),
        0, (), Trust(),
    )  # fmt: skip
    chart = chart_of(matrix)
    (heat,) = marks(chart, HeatMap)
    assert isinstance(heat, HeatMap)
    assert len(heat.rows) == len(heat.rows[0]) == 125
    assert heat.texts[0][124] == "rank 0–7 → rank 992–999\n64 B\nin 64 ns, 1.00 GB/s"
    assert chart.notes == ("1,000 ranks: up to 8 neighbours share a cell",)


def test_nothing_sent_is_nothing_to_plot() -> None:
    with pytest.raises(MissingData, match="nothing is sent"):
        chart_of(comm_matrix(build("rank 0 | stream 7 | gemm 0..10")))


# The comparison


def comparison(*contributions: tuple[str, str, int], unexplained: int = 0) -> Comparison:
    found = tuple(
        Contribution(key, status, 100, 100 + ns, ns, 1, 1, structural=status == "added")
        for key, status, ns in contributions
    )
    difference = sum(ns for *_, ns in contributions) + unexplained
    return Comparison(1_000, 1_000 + difference, difference, unexplained, 1.0, found, (), Trust())


def test_contributions_diverge_in_order_and_changes_of_the_program_are_striped() -> None:
    chart = chart_of(comparison(("mm", "faster", -20), ("a2a", "added", 70), ("add", "slower", 30), unexplained=-5))
    assert chart.title == "1.00 µs → 1.07 µs, +75 ns (+7.5%)"
    assert bars(chart, 0) == [("base", DARK_GREY, 0, 1.0, False), ("other", DARK_GREY, 0, 1.075, False)]
    assert bars(chart, 1) == [
        ("a2a", MORE, 0, 70, True),
        ("add", MORE, 0, 30, False),
        ("mm", LESS, 0, -20, False),
        ("unexplained", GREY, 0, -5, False),
    ]
    assert "a2a\nadded: +70 ns\nbase 100 ns in 1 operators\nother 170 ns in 1 operators" in [
        text for mark in marks(chart, Bars, 1) if isinstance(mark, Bars) for text in mark.texts
    ]


def test_small_contributions_are_one_bar_so_that_bars_sum_to_the_difference() -> None:
    answer = comparison(*((f"op{number}", "slower", number) for number in range(1, 41)), unexplained=3)
    drawn = bars(chart_of(answer), 1)
    assert len(drawn) == 24 + 2
    assert drawn[-2][0] == "16 others"
    assert sum(end for _, _, _, end, _ in drawn) == answer.difference_ns


# Lost time


def lost(trace: str, measured: int, *steps: tuple[str, int]) -> Waterfall:
    left = measured - sum(ns for _, ns in steps)
    return Waterfall(trace, measured, tuple(LostTime(*step) for step in steps), left, None, None, None, None, Trust())


def test_bars_float_from_the_measured_step_to_the_ideal_one() -> None:
    chart = chart_of(lost("gpt", 1_000, ("late ranks", 300), ("host", -50), ("new", 400)))
    rows = [(name, start, end, striped) for name, _, start, end, striped in bars(chart)]
    assert rows == [
        ("measured", 0, 1.0, False),
        ("late ranks", 0.7, 1.0, False),
        ("host", 0.75, 0.7, True),
        ("new", 0.35, 0.75, False),
        ("ideal", 0, 0.35, False),
    ]
    colours = [colour for _, colour, *_ in bars(chart)]
    assert colours[1:3] == [CATEGORIES["idle"], CATEGORIES["cpu"]]
    assert len(set(colours)) == 5


def test_several_traces_are_rows_of_shares() -> None:
    chart = chart_of([lost("gpt", 1_000, ("late ranks", 300)), lost("dlrm", 200, ("late ranks", 20), ("x", 80))])
    assert [(name, start, end) for name, _, start, end, _ in bars(chart)] == [
        ("gpt, 1.00 µs", 0, 70),
        ("gpt, 1.00 µs", 70, 100),
        ("dlrm, 200 ns", 0, 50),
        ("dlrm, 200 ns", 50, 90),
        ("dlrm, 200 ns", 90, 100),
    ]


@pytest.mark.parametrize("answer", [[], [lost("gpt", 0)]])
def test_a_step_without_length_has_no_picture(answer: list[Waterfall]) -> None:
    with pytest.raises(MissingData, match="nothing to plot"):
        chart_of(answer)


# Files and notebooks


EVERY: dict[str, Callable[[], object]] = {
    "critical-path": lambda: critical_path(TRACE),
    "comm-matrix": lambda: comm_matrix(TRACE),
    "comparison": lambda: comparison(("$x_$ <b>矩</b>", "added", 70), ("add", "slower", -30)),
    "waterfall": lambda: lost("a", 10, ("late ranks", 3)),
    "waterfalls": lambda: [lost("a", 10, ("late ranks", 3)), lost("b", 20, ("late ranks", -3))],
}


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_pictures_are_drawn(name: str, ending: str, tmp_path: Path) -> None:
    file = tmp_path / f"a.{ending}"
    draw(EVERY[name](), file, "A step of $5 <b>")  # type: ignore[arg-type]
    begins = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[ending]
    assert file.read_bytes().startswith(begins)


def test_a_notebook_gets_a_figure_that_shows_itself() -> None:
    figure = plot(critical_path(TRACE), "Mine")
    assert figure.layout.title.text == "Mine"
    assert [trace.name for trace in figure.data] == ["computation 69.3%", "communication 30.7%", "hand-over"]
    assert "plotly" in figure._repr_html_()


def test_what_has_no_picture_says_what_has() -> None:
    with pytest.raises(UsageError, match="there is no picture of Breakdown") as caught:
        chart_of(breakdown(TRACE))
    assert caught.value.hint == (
        "there are pictures of CriticalPath, CommunicationMatrix, Comparison, Waterfall, Waterfalls, Sweep"
    )
