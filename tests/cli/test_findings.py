"""What `findings` prints: names in JSON, and a ranked list that can be read at any width."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from click.testing import Result
from rich.console import Console

from etgraph.cli.views.findings import findings_view
from etgraph.model import Trust
from etgraph.queries import Finding, Findings
from etgraph.queries.findings.findings import THRESHOLD

Run = Callable[..., Result]
FINDING = Finding(
    "redundant-collective:ALL_GATHER/4194304", "redundant-collective", "the result of ALL_GATHER is not used",
    17_600_000, 0.131, 16_100_000, (0, 1), (1, 3, 5),
    ("gloo:all_gather", "a::very::long::name::of::an::operator::that::goes::on::and::on::and::on"), ("train.py:12",),
    "6 ALL_GATHER a step, 4.2 MB each; no later operator takes a tensor of the gathered shape",
    "Take it out, or gather only where and when the result is read (for logging: every n-th step).",
)  # fmt: skip
FOUND = Findings(
    134_500_000, "host", 0.81, 0.005, 672_500, (FINDING, replace(FINDING, id="other", gain_ns=2_000_000)),
    ("matrix-units: no profile of this device is given, and none of the built-in ones is of it",), Trust(1.0),
)  # fmt: skip


def drawn(answer: Findings, width: int) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=width, markup=False, highlight=False).print(findings_view(answer, "Findings of gpt", width))
    return [line.rstrip() for line in out.getvalue().splitlines()]


@pytest.mark.parametrize("width", [40, 80, 160])
def test_every_finding_has_its_gain_its_evidence_and_what_to_do(width: int) -> None:
    lines = drawn(FOUND, width)
    text = " ".join(" ".join(lines).split())
    assert max(map(len, lines)) <= width
    for told in ("gain 17.6 ms 13.1%", "16.1 ms of a step's", "ranks 0, 1", "train.py:12", "2. the result of"):
        assert told in text
    assert "matrix-units" in text
    if width >= 80:
        assert FINDING.advice in text.replace("do Take", "Take")


def test_a_step_that_nothing_holds_back_says_what_bounds_it() -> None:
    none = replace(FOUND, findings=(), bound="device", bound_share=0.98, left_out=())
    assert " ".join(drawn(none, 160)) == (
        "Findings of gpt median step 134 ms, bound by device: 98.0% of its critical path; "
        "nothing found that would gain 672 µs of it or more "
    )
    assert "not explained" in drawn(replace(none, bound="unexplained"), 160)[1]


def test_findings_have_the_promised_names(run: Run, session: Any) -> None:
    session.answers["findings"] = FOUND
    result = run("findings", "gpt", "--threshold", "0.01", "--json")
    document = json.loads(result.stdout)
    assert (document["stepNs"], document["bound"]) == (134_500_000, "host")
    named = {"id", "title", "gainNs", "gainShare", "ranks", "operators", "evidence", "advice"}
    assert named <= document["findings"][0].keys()
    assert session.asked[0][-1]["threshold"] == 0.01
    assert run("findings", "gpt", "--threshold", "1").exit_code != 0
    run("findings", "gpt")
    assert session.asked[2][-1]["threshold"] == THRESHOLD
