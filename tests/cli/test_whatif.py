"""What `etgraph whatif` prints: changes in the order of their options, files of them, JSON, and what is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from etgraph.ingest import samples

Run = Callable[..., Result]
TRACE = samples.path("gpt_ddp_5steps")
SPEC = """
[[changes]]
change = "collective"
after = "*copy_bucket_to_grad"
type = "all_gather"
size = "4 MiB"
time = "3 ms"
"""


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "changes.toml"
    path.write_text(SPEC)
    return path


def document(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_json_holds_the_step_and_its_interval(etgraph: Run) -> None:
    found = document(etgraph("whatif", TRACE, "--scale", "aten::linear=2", "--draws", "3", "--json"))
    assert found["predictedNs"] > found["measuredNs"] > 0
    assert found["lowNs"] <= found["predictedNs"] <= found["highNs"]
    assert abs(found["replayError"]) < 0.02
    assert [rank["rank"] for rank in found["ranks"]] == [0, 1]
    assert found["draws"] == 1  # nothing is drawn: the times are the trace's own
    assert set(found["sensitivities"][0]) == {"key", "count", "ownNs", "criticalNs", "stepPerNs"}
    assert "operators" not in found
    assert {"explainedShare", "warnings"} <= {*found["trust"]}


def test_json_with_every_operator(etgraph: Run) -> None:
    found = document(etgraph("whatif", f"{TRACE}#1", "--operators", "--json"))
    assert set(found["operators"][0]) == {"rank", "index", "name", "ownNs", "criticalNs", "stepPerNs"}
    assert found["steps"] == 1


def test_changes_are_applied_in_the_order_of_the_options(etgraph: Run, spec: Path) -> None:
    found = document(etgraph(
        "whatif", TRACE, "--scale", "aten::mm=2", "--insert", spec, "--remove", "aten::add_", "--scale", "aten::mm=0.5",
        "--queue-depth", "9", "--launch-latency", "1us", "--draws", "1", "--json",
    ))  # fmt: skip
    assert found["changes"] == [
        "aten::mm × 2", "1 × all_gather of 4 MiB, 3 ms each after *copy_bucket_to_grad", "without aten::add_",
        "aten::mm × 0.5", "a launch queue of 9", "launch latency of 1 us",
    ]  # fmt: skip


def test_a_reader_sees_what_is_predicted_and_what_a_microsecond_saves(etgraph: Run, spec: Path) -> None:
    printed = etgraph("whatif", TRACE, "--insert", spec, "--iteration", "2", "--draws", "2").stdout
    assert "What-if of" in printed
    assert ", iteration 2" in printed
    assert "→ replay" in printed
    assert "→ predicted" in printed
    assert "What 1 µs less of each saves of the step" in printed
    assert "aten::mm" in printed
    assert " µs" in printed
    assert max(map(len, printed.splitlines()[:-1])) <= 100


def test_without_changes_it_says_what_the_step_hangs_on(etgraph: Run) -> None:
    printed = etgraph("whatif", TRACE, "--rank", "1", "--by", "category").stdout
    assert "predicted" not in printed
    assert "computation" in printed
    assert "communication" in printed


@pytest.mark.parametrize(("options", "told"), [
    (("--scale", "aten::mm"), "expected PATTERN=FACTOR"), (("--scale", "aten::mmm=2"), "nearest: aten::mm"),
    (("--split", "*=0"), "found 0, expected 1 or more"), (("--buckets", "25"), "expected a size"),
    (("--insert", "nowhere.toml"), "no such file"), (("--rank", "9"), "no rank 9"),
    (("--remove", "aten::mm@7"), "names no operator of rank 7"),
])  # fmt: skip
def test_what_is_wrong_is_told(etgraph: Run, options: tuple[str, ...], told: str) -> None:
    result = etgraph("whatif", TRACE, *options)
    assert result.exit_code != 0
    assert told in result.output
