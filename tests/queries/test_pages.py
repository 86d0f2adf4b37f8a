"""Pages of pictures in a real browser: what they show, that names from traces stay texts, and that they ask nobody."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from etgraph.ingest import read, samples
from etgraph.model import Trust
from etgraph.queries import comm_matrix, critical_path
from etgraph.queries.comparison import Comparison, Contribution
from etgraph.queries.critical_path import CriticalPath
from etgraph.queries.pictures import draw
from etgraph.queries.pictures.strips import MOST_BARS
from etgraph.queries.waterfall import LostTime, Waterfall
from etgraph.sim.sweeps import Sweep, SweepPoint
from support.browser import Browser, Visit

HOSTILE = '<script>alert(1)</script><img src=x onerror=alert(2)><a href="javascript:alert(3)">$x$</a>'
LOOK = """(() => {
  const plot = document.querySelector(".js-plotly-plot");
  Plotly.Fx.hover(plot, PLACE);
  const texts = selector => [...plot.querySelectorAll(selector)].map(one => one.textContent);
  return {
    title: document.title,
    heading: texts(".gtitle"),
    bars: plot.querySelectorAll(".bars .point").length,
    points: plot.querySelectorAll(".scatterlayer .point").length,
    maps: plot.querySelectorAll(".heatmaplayer image").length,
    places: texts(".ytick text, .y2tick text"),
    legend: texts(".legendtext"),
    hover: texts(".hoverlayer text"),
    smuggled: document.querySelectorAll("img, svg a, iframe, object").length,
    scripts: document.scripts.length,
    letters: getComputedStyle(plot.querySelector(".gtitle")).fill,
    background: getComputedStyle(document.body).backgroundColor,
  };
})()"""
ON_A_BAR = LOOK.replace("PLACE", "[{curveNumber: 0, pointNumber: 0}]")
ON_A_CELL = LOOK.replace("PLACE", "{xval: 1, yval: 0}")


def hostile_path() -> CriticalPath:
    path = critical_path(read(samples.path("gpt_tp2_pp2")))
    table = path.segments
    for name in ("name", "lane", "source"):
        column = pa.array([HOSTILE] * len(table), pa.string())
        table = table.set_column(table.schema.get_field_index(name), name, column)
    return replace(path, segments=table)


def hostile_comparison() -> Comparison:
    parts = (
        Contribution(HOSTILE, "added", 0, 70, 70, 0, 1, structural=True),
        Contribution("add", "faster", 90, 60, -30, 1, 1),
    )
    return Comparison(1_000, 1_045, 45, 5, 1.0, parts, (), Trust())


def waterfall(trace: str) -> Waterfall:
    return Waterfall(
        trace, 100, (LostTime(HOSTILE, 30), LostTime("late ranks", 20)), 50, None, None, None, None, Trust()
    )


def sweep() -> Sweep:
    points = tuple(
        SweepPoint(number, HOSTILE, "p", {}, {}, 8, 1e12, 1e9 * (number + 1), 10**6, (3 - number) * 10**6, front=True)
        for number in range(2)
    )
    return Sweep("", points, (), ("stepNs", "networkBandwidth"), None, 0, Trust())


def long_path() -> CriticalPath:
    """A hundred thousand segments, the rank a different one after each of them."""
    path, number = hostile_path(), np.arange(100_000)
    rows = path.segments.take(number % len(path.segments))
    for name, values in (("rank", number % 8), ("start_ns", number * 1_000), ("end_ns", number * 1_000 + 1_000)):
        place = rows.schema.get_field_index(name)
        rows = rows.set_column(place, name, pa.array(values, rows.schema.field(name).type))
    whole = 100_000_000
    return replace(path, start_ns=0, end_ns=whole, window_ns=whole, length_ns=whole, segments=rows, by_iteration=())


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    answers: dict[str, Any] = {
        "path": hostile_path(),
        "long path": long_path(),
        "matrix": comm_matrix(read(samples.path("gpt_tp2_pp2"))),
        "comparison": hostile_comparison(),
        "waterfall": waterfall(HOSTILE),
        "waterfalls": [waterfall(HOSTILE), waterfall("b")],
        "sweep": sweep(),
    }
    found = {name: folder / f"{name}.html" for name in answers}
    for name, answer in answers.items():
        draw(answer, found[name], HOSTILE)
    return found


@pytest.fixture(scope="module")
def visits(pages: dict[str, Path], browser: Browser) -> dict[str, Visit]:
    others = {name: page for name, page in pages.items() if name != "matrix"}
    found = dict(zip(others, browser.visit(*others.values(), look=ON_A_BAR)))
    return found | {"matrix": browser.visit(pages["matrix"], look=ON_A_CELL)[0]}


NAMES = ("path", "long path", "matrix", "comparison", "waterfall", "waterfalls", "sweep")


@pytest.mark.parametrize("name", NAMES)
def test_a_page_asks_nobody_for_anything_and_has_nothing_to_complain_of(visits: dict[str, Visit], name: str) -> None:
    assert (visits[name].console, visits[name].requests) == ([], [])


@pytest.mark.parametrize("name", NAMES)
def test_names_from_a_trace_are_texts(visits: dict[str, Visit], name: str) -> None:
    visit = visits[name]
    assert visit.dialogues == []
    assert visit.seen["smuggled"] == 0
    assert visit.seen["scripts"] == visits["matrix"].seen["scripts"]
    assert visit.seen["title"] == HOSTILE
    assert visit.seen["heading"] == [HOSTILE]


def test_hovering_tells_of_a_segment(visits: dict[str, Visit]) -> None:
    (text,) = visits["path"].seen["hover"]
    assert HOSTILE in text
    assert "computation: " in text


def test_hovering_tells_of_a_pair(visits: dict[str, Visit]) -> None:
    assert visits["matrix"].seen["hover"] == ["rank 0 → rank 1" + "4.19 MB" + "in 33.2 ms, 126 MB/s"]
    assert visits["matrix"].seen["maps"] == 1


def test_every_part_of_a_comparison_has_its_bar(visits: dict[str, Visit]) -> None:
    seen = visits["comparison"].seen
    assert seen["bars"] == 2 + 3
    assert set(seen["places"]) == {"base", "other", "add", "unexplained", f"{HOSTILE[:28]}…{HOSTILE[-27:]}"}
    assert seen["legend"] == ["adds time, the program changed", "saves time", "unexplained"]


def test_a_waterfall_has_a_bar_for_every_cause(visits: dict[str, Visit]) -> None:
    assert visits["waterfall"].seen["bars"] == 4
    assert visits["waterfalls"].seen["bars"] == 2 * 3
    assert "late ranks" in visits["waterfall"].seen["places"]


def test_a_sweep_shows_its_points(visits: dict[str, Visit]) -> None:
    assert visits["sweep"].seen["points"] == 2
    assert visits["sweep"].seen["legend"] == ["front"]


def test_a_path_of_a_hundred_thousand_segments_can_be_shown(visits: dict[str, Visit], pages: dict[str, Path]) -> None:
    assert 1_000 < visits["long path"].seen["bars"] <= MOST_BARS
    assert visits["long path"].seen["places"] == [f"rank {rank}" for rank in range(8)]
    library = pages["waterfall"].stat().st_size
    assert pages["long path"].stat().st_size - library < 5_000_000


def test_a_page_follows_the_reader_into_the_dark(
    visits: dict[str, Visit], pages: dict[str, Path], browser: Browser
) -> None:
    (dark,) = browser.visit(pages["waterfall"], look=ON_A_BAR, dark=True)
    light = visits["waterfall"].seen
    assert (light["background"], light["letters"]) == ("rgb(255, 255, 255)", "rgb(51, 51, 51)")
    assert (dark.seen["background"], dark.seen["letters"]) == ("rgb(27, 27, 27)", "rgb(221, 221, 221)")


def test_the_browser_notices_what_a_page_does(tmp_path: Path, browser: Browser) -> None:
    page = tmp_path / "loud.html"
    page.write_text(
        "<img src='http://127.0.0.1:9/x.png'><script>alert('a dialogue'); console.error('a word');</script>"
    )
    (visit,) = browser.visit(page, look="document.images.length")
    assert visit.seen == 1
    assert visit.dialogues == ["a dialogue"]
    assert visit.requests == ["http://127.0.0.1:9/x.png"]
    assert "ErrorMessageLevel: a word" in visit.console
