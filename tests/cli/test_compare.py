"""What `compare` prints: references of both sides, names in JSON, and a view that is readable at any width."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from etgraph.cli.main import main
from etgraph.cli.settings import Settings
from etgraph.cli.views.comparison import TOP_CHANGES, TOP_PARTS, comparison_view
from etgraph.model import Trust
from etgraph.queries import Comparison
from etgraph.queries.comparison import Contribution, Difference, StepTime

Run = Callable[..., Result]

ADDED = Contribution(
    "aten::linear", "added", 0, 69_000_000, 69_000_000, 9.0, 33.0, 66_900_000, 73_300_000,
    structural=True, ranks=(1,), work_ns=69_700_000,
)  # fmt: skip
SMALLER = Contribution(
    "all_reduce", "added", 9_000_000, 8_000_000, -1_000_000, 12.0, 70.0, -2_000_000, 500_000,
    structural=True, ranks=(0, 1, 2, 3), work_ns=9_000_000, base_bytes=2_000_000, other_bytes=20_000,
)  # fmt: skip
RENAMED = Contribution("cudaLaunchKernel → hipLaunchKernel", "faster", 4_000, 3_000, -1_000, 9.0, 9.0)
ANSWER = Comparison(
    110_000_000, 177_999_500, 67_999_500, 500, 0.91,
    (ADDED, SMALLER, RENAMED), (Difference("torch_version", "2.6", None),),
    Trust(0.99, warnings=("alignment: a \x1b[31mwarning",)), "operator", (ADDED, SMALLER), 53_000_000, 79_000_000,
    StepTime(5, 1, 112_000_000, 103_000_000, 122_000_000, 105_000_000, 118_000_000),
    StepTime(1, 1, 177_999_500, 177_999_500, 177_999_500),
)  # fmt: skip


def drawn(result: Comparison, width: int, *, show_all: bool = False) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=width, markup=False, highlight=False).print(
        comparison_view(result, "Comparison", width, show_all=show_all)
    )
    return [line.rstrip() for line in out.getvalue().splitlines()]


def test_both_sides_and_their_further_runs_are_asked(run: Run, session: Any) -> None:
    session.answers["compare"] = ANSWER
    result = run("compare", "a#0,2", "b", "--base", "c", "--other", "d", "--other", "e", "--by", "scope", "--rank", "3")
    assert result.exit_code == 0, result.output
    name, base, other, options = session.asked[0]
    assert (name, list(base), list(other)) == ("compare", ["a#0,2", "c"], ["b", "d", "e"])
    assert (options["by"], options["rank"], options["iteration"]) == ("scope", 3, None)
    assert "Comparison by scope of a#0,2 and 1 more with b and 2 more, rank 3" in result.stdout


def test_json_has_the_promised_names(run: Run, session: Any) -> None:
    session.answers["compare"] = ANSWER
    document = json.loads(run("compare", "a", "b", "--json").stdout)
    assert {"baseNs", "otherNs", "differenceNs", "unexplainedNs", "alignedShare", "differences", "trust"} <= set(
        document
    )
    first = document["contributions"][0]
    assert {"key", "status", "baseNs", "otherNs", "contributionNs", "baseCount", "otherCount"} <= set(first)
    assert first == document["structural"][0]
    assert document["differences"] == [{"what": "torch_version", "base": "2.6", "other": None}]


def test_the_view_says_what_changed_before_what_merely_took_longer() -> None:
    text = "\n".join(drawn(ANSWER, 160))
    assert "110 ms, then 178 ms: +68.0 ms (+61.8%), 90%: +53.0 ms … +79.0 ms" in text
    assert "base : 5 steps, median 112 ms, from 103 ms to 122 ms" in text
    assert "other: one step of 178 ms" in text
    assert "+24 × aten::linear, 9 to 33 a step" in text
    assert "+58 × all_reduce, 12 to 70 a step, 2.00 MB to 20.0 kB each" in text
    assert text.index("aten::linear") < text.index("cudaLaunchKernel → hipLaunchKernel") < text.index("torch_version")


@pytest.mark.parametrize("width", [72, 80, 100, 160])
def test_the_view_keeps_to_the_terminal(width: int) -> None:
    long = "void at::native::elementwise_kernel<" + "x" * 200 + ">"
    parts = [replace(RENAMED, key=f"{long}{n}", low_ns=-2_000_000, high_ns=9_000) for n in range(40)]
    changes = [replace(ADDED, key=f"{long}{n}", ranks=tuple(range(0, 64, 2))) for n in range(20)]
    result = replace(ANSWER, contributions=(*changes, *parts), structural=tuple(changes))
    lines = drawn(result, width)
    assert max(map(len, lines)) <= width
    assert sum("elementwise" in line or "void at" in line for line in lines) == TOP_CHANGES + TOP_PARTS
    assert any(f"{len(parts) - TOP_PARTS} more" in line for line in lines)
    assert sum("void at" in line for line in drawn(result, width, show_all=True)) == 60


def test_steps_of_one_recorded_run(tmp_path: Path) -> None:
    """From the command line to the answer: a sample's steps against others of it."""
    from etgraph.ingest import samples

    path = str(samples.path("gpt_ddp_5steps"))
    runner = CliRunner()
    store = ["--store", str(tmp_path / "store"), "--json"]
    result = runner.invoke(main, ["compare", f"{path}#0,2,4", f"{path}#1,3", *store], obj=Settings())
    document = json.loads(result.stdout)
    assert (document["baseSteps"]["steps"], document["otherSteps"]["steps"]) == (3, 2)
    assert (
        sum(one["contributionNs"] for one in document["contributions"]) + document["unexplainedNs"]
        == (document["differenceNs"])
    )
    result = runner.invoke(main, ["compare", f"{path}#9", path, *store], obj=Settings())
    assert result.exit_code == 3
    assert "no iteration 9" in result.output
