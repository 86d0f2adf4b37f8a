"""`--plot`: answers are drawn into files beside what is printed, and what cannot be drawn is refused at once."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from etgraph.ingest import samples

Run = Callable[..., Result]
TRACE = samples.path("gpt_tp2_pp2")


@pytest.mark.parametrize("command", ["critical-path", "comm-matrix"])
def test_an_answer_is_printed_and_drawn(etgraph: Run, command: str, tmp_path: Path) -> None:
    picture, page = tmp_path / "a.png", tmp_path / "a.html"
    result = etgraph(command, TRACE, "--iteration", "0", "--plot", picture, "--plot", page)
    assert result.exit_code == 0, result.output
    assert "trust:" in result.stdout
    assert result.stderr == f"wrote {picture}\nwrote {page}\n"
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert f"of {TRACE}, iteration 0</title>" in page.read_text("utf-8")


def test_json_stays_one_document(etgraph: Run, tmp_path: Path) -> None:
    result = etgraph("comm-matrix", TRACE, "--json", "--plot", tmp_path / "a.svg")
    assert set(json.loads(result.stdout)) >= {"ranks", "bytes"}
    assert (tmp_path / "a.svg").is_file()


def test_an_ending_that_cannot_be_drawn_is_refused_before_anything_is_asked(run: Run, session: Any) -> None:
    result = run("critical-path", "gpt", "--plot", "a.gif")
    assert result.exit_code == 2
    assert "a.gif: found the ending '.gif', expected .png, .svg, .pdf or .html" in result.stderr
    assert session.asked == []


def test_the_model_has_no_picture(run: Run, session: Any) -> None:
    result = run("critical-path", "gpt", "--model", "--plot", "a.png")
    assert result.exit_code == 2
    assert "leave --model out" in result.stderr
    assert session.asked == []


def test_a_file_that_cannot_be_written_is_an_error(run: Run, tmp_path: Path) -> None:
    result = run("critical-path", "gpt", "--plot", str(tmp_path / "missing" / "a.png"))
    assert result.exit_code != 0
    assert "missing" in result.stderr
    assert "bug" not in result.stderr
