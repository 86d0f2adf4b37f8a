"""What `breakdown`, `hotspots` and `comm-matrix` ask, print and promise."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import Result
from rich.console import Console

from etgraph.cli.views.breakdown import breakdown_view
from etgraph.cli.views.communication import hotspots_view, matrix_view
from etgraph.queries import breakdown, comm_matrix, hotspots
from support.build import build
from support.read_samples import sample

from .conftest import FakeSession

Run = Callable[..., Result]

WINDOW = {
    "rank", "iteration", "startNs", "endNs", "computationNs", "exposedCommunicationNs", "exposedMemoryNs", "idleNs",
    "overlapNs", "communicationNs", "memoryNs",
}  # fmt: skip
HOTSPOT = {
    "key", "count", "bytes", "totalNs", "transferNs", "waitNs", "unmatchedNs", "exposedNs", "criticalNs",
    "algorithmBandwidth", "busBandwidth", "tier", "peakBandwidth", "busBandwidthShare",
}  # fmt: skip


def step(ranks: int) -> str:
    """A step on that many ranks, each a little later than the one before."""
    return "\n".join(
        f"""
        rank {r} | thread 1 | iteration ProfilerStep#1  0..10000000
        rank {r} | stream 7 | ampere_sgemm_32x32  {1000 * r}..{4000000 + 1000 * r}
        rank {r} | stream 9 | all_reduce 4MB  {3000000 + 1000 * r}..6000000
        rank {r} | stream 9 | all_gather {1 + r}KB  {7000000 + 1000 * r}..8000000
        rank {r} | stream 7 | Memcpy  8000000..8500000
        """
        for r in range(ranks)
    )


@pytest.fixture
def where(session: FakeSession) -> FakeSession:
    trace = build(step(2))
    session.answers |= {
        "breakdown": breakdown(trace, by="family"), "hotspots": hotspots(trace), "comm-matrix": comm_matrix(trace),
    }  # fmt: skip
    return session


def document(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_breakdown_has_the_promised_names(run: Run, where: FakeSession) -> None:
    answer = document(run("breakdown", "gpt", "--json"))
    assert set(answer) == {"windows", "trust"}
    assert set(answer["windows"][0]) == WINDOW
    one = answer["windows"][1]
    parts = ("computationNs", "exposedCommunicationNs", "exposedMemoryNs", "idleNs")
    assert sum(one[name] for name in parts) == one["endNs"] - one["startNs"] == 10_000_000
    assert one["iteration"] is None
    answer = document(run("breakdown", "gpt", "--json", "--by", "family", "--each"))
    assert set(answer) == {"windows", "rows", "trust"}
    assert set(answer["rows"][0]) == {"key", "activity", "count", "totalNs", "exposedNs", "share"}


def test_hotspots_have_the_promised_names(run: Run, where: FakeSession) -> None:
    answer = document(run("hotspots", "gpt", "--json"))
    assert set(answer) == {"rows", "trust", "profile"}
    assert [set(row) for row in answer["rows"]] == [HOTSPOT, HOTSPOT]
    assert answer["rows"][0]["key"] == "ALL_REDUCE"


def test_the_matrix_has_the_promised_names(run: Run, where: FakeSession) -> None:
    answer = document(run("comm-matrix", "gpt", "--json"))
    assert set(answer) == {"ranks", "bytes", "transferNs", "unattributedBytes", "unrecordedRanks", "trust"}
    assert answer["ranks"] == [0, 1]
    assert answer["bytes"] == [[0, (4 << 20) + 512], [(4 << 20) + 1024, 0]]
    assert answer["transferNs"][0][0] == 0


@pytest.mark.parametrize(
    ("command", "asked"),
    [
        (("breakdown",), ("breakdown", {"window": "annotation", "by": None, "each": False})),
        (
            ("breakdown", "--by", "scope", "--each"),
            ("breakdown", {"window": "annotation", "by": "scope", "each": True}),
        ),
        (("hotspots", "--by", "size"), ("hotspots", {"window": "annotation", "by": "size", "profile": None})),
        (("comm-matrix", "--window", "device"), ("comm-matrix", {"window": "device"})),
    ],
)
def test_options_become_keywords(
    run: Run, where: FakeSession, command: tuple[str, ...], asked: tuple[str, dict[str, Any]]
) -> None:
    assert run(*command, "gpt", "--rank", "1", "--iteration", "2").exit_code == 0
    question, choices = asked
    assert where.asked[0] == (question, "gpt", {"save": False, "rank": 1, "iteration": 2, **choices})


@pytest.mark.parametrize("command", ["breakdown", "hotspots", "comm-matrix"])
def test_the_answer_is_readable_and_ends_with_its_trust(run: Run, where: FakeSession, command: str) -> None:
    shown = run(command, "gpt", "--rank", "1").stdout
    assert "of gpt, rank 1" in shown.splitlines()[0]
    assert shown.splitlines()[-1].startswith("trust: ")
    assert max(len(line) for line in shown.splitlines()[:-1]) <= 100


VIEWS = [
    (breakdown_view, lambda trace: breakdown(trace, by="family")),
    (breakdown_view, lambda trace: breakdown(trace, each=True)),
    (hotspots_view, hotspots),
    (hotspots_view, lambda trace: hotspots(trace, by="size")),
    (matrix_view, comm_matrix),
]


def drawn(view: Any, width: int) -> list[str]:
    file = io.StringIO()
    Console(file=file, width=width, markup=False, highlight=False, emoji=False).print(view)
    return [line.rstrip() for line in file.getvalue().splitlines()]


@pytest.mark.parametrize("width", [80, 100, 120])
@pytest.mark.parametrize("ranks", [1, 2, 64])
@pytest.mark.parametrize(("view", "question"), VIEWS)
def test_views_fit_the_terminal(view: Any, question: Any, ranks: int, width: int) -> None:
    lines = drawn(view(question(build(step(ranks))), "Title of a trace", width), width)
    assert max(map(len, lines)) <= width
    assert len(lines) < 90
    assert not any("…" in line for line in lines), "something is cut off"


def test_of_many_ranks_those_that_compute_least_are_shown_and_the_others_summed() -> None:
    lines = drawn(breakdown_view(breakdown(build(step(64))), "Title", 120), 120)
    rows = [line for line in lines if line.count("%") == 4 and "▒" in line and "idle" not in line]
    assert rows[-1].startswith("48 more")
    assert len(rows) == 17
    assert any("64 windows, 640 ms;" in line for line in lines)


def test_a_row_a_step_names_the_step() -> None:
    lines = drawn(breakdown_view(breakdown(build(step(1)), each=True), "Title", 80), 80)
    header = next(line for line in lines if line.startswith("rank"))
    assert header.split()[:3] == ["rank", "step", "window"]
    assert next(line for line in lines if line.startswith("   0")).split()[1] == "0"


def test_64_ranks_are_a_map_of_64_rows_and_more_are_blocks() -> None:
    def heat(ranks: int, width: int) -> list[str]:
        lines = drawn(matrix_view(comm_matrix(build(step(ranks))), "Title", width), width)
        return [line[7:] for line in lines if line[7:] and set(line[7:]) <= set("·░▒▓█")]

    assert [len(row) for row in heat(64, 80)] == [64] * 64
    assert [len(row) for row in heat(4, 80)] == [8] * 4
    blocks = heat(100, 80)
    assert [len(row) for row in blocks] == [50] * 50
    assert all(row[i] != "·" for i, row in enumerate(blocks)), "neighbours in a block do not talk"


def test_the_map_shades_by_bytes() -> None:
    trace = build("""
        rank 0 | stream 7 | all_to_all 800B  0..10
        rank 1 | stream 7 | all_to_all 200B  0..10
    """)
    lines = drawn(matrix_view(comm_matrix(trace), "Title", 80), 80)
    assert "    0  ··██" in lines
    assert "    1  ░░··" in lines
    assert any("░ to 100 B  ▒ to 200 B  ▓ to 300 B  █ to 400 B" in line for line in lines)


def test_what_a_rank_that_is_not_recorded_sends_is_blank_and_its_time_a_dash() -> None:
    lines = drawn(matrix_view(comm_matrix(sample("gpt_ddp", ranks=(0, 1, 3))), "Title", 80), 80)
    head = lines.index("each row sends, each column receives; a blank one is not recorded")
    assert lines[head + 1 : head + 5] == ["    0  ··██████", "    1  ██··████", "    2", "    3  ██████··"]
    assert lines[-2].split() == ["1", "more", "8.48", "MB", "–"]


def test_nothing_to_tell_is_told() -> None:
    trace = build("rank 0 | stream 7 | gemm  0..10")
    assert "no communication in this window" in drawn(hotspots_view(hotspots(trace), "Title", 80), 80)
    assert "0 B among 1 rank" in drawn(matrix_view(comm_matrix(trace), "Title", 80), 80)


def test_what_is_not_known_is_a_dash_and_not_zero() -> None:
    trace = build("rank 0 | stream 7 | all_reduce  0..10")
    lines = drawn(hotspots_view(hotspots(trace), "Title", 120), 120)
    row = next(line for line in lines if line.startswith("ALL_REDUCE"))
    assert row.split() == ["ALL_REDUCE", "1", "0", "B", "10", "ns", "–", "–", "10", "ns", "10", "ns", "–", "–"]
