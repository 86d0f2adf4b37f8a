"""Where reports go: options, files put in place whole, the streams of a terminal and of a log."""

from __future__ import annotations

import io
import json
import os
import stat
import threading
from pathlib import Path

import pytest

from etgraph.alerts.findings import Responsible
from etgraph.alerts.reports import FORMATS, Output, parse_output, parse_outputs, render, write, write_all
from etgraph.model.errors import UsageError
from support.checks import EVERY_VERDICT, checked, found

RESULT = checked(*EVERY_VERDICT)


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def ascii_log() -> io.TextIOWrapper:
    """A stream that takes no other characters."""
    return io.TextIOWrapper(io.BytesIO(), encoding="ascii")


def test_an_output_is_a_format_and_perhaps_a_file() -> None:
    assert parse_output("text", {}) == parse_output("text=-", {}) == Output("text")
    assert parse_output("junit=a=b.xml", {}) == Output("junit", Path("a=b.xml"))


def test_the_summary_goes_where_the_runner_says() -> None:
    environment = {"GITHUB_STEP_SUMMARY": "summary.md"}
    assert parse_output("github-summary", environment) == Output("github-summary", Path("summary.md"), append=True)
    assert parse_output("github-summary=own.md", environment) == Output("github-summary", Path("own.md"))
    assert (
        parse_output("github-summary=-", environment) == parse_output("github-summary", {}) == Output("github-summary")
    )


@pytest.mark.parametrize("told", ["xml", "", "=file", "junit=", "Text"])
def test_what_is_no_output_is_refused(told: str) -> None:
    with pytest.raises(UsageError, match="--output"):
        parse_output(told, {})


def test_an_unknown_format_is_told_which_there_are() -> None:
    with pytest.raises(UsageError, match="expected one of text, json, junit, sarif, github, "):
        parse_output("xml", {})


def test_text_goes_to_stdout_where_nothing_is_said() -> None:
    assert parse_outputs([], {}) == (Output("text"),)


@pytest.mark.parametrize(
    "told", [["text", "json"], ["text=-", "github"], ["json=a", "sarif=a"], ["json=a", "sarif=./a"]]
)
def test_two_reports_for_one_place_are_refused(told: list[str]) -> None:
    with pytest.raises(UsageError, match="both"):
        parse_outputs(told, {})


def test_several_reports_at_once(tmp_path: Path) -> None:
    stream = io.StringIO()
    told = ["text", *(f"{name}={tmp_path / 'reports' / name}" for name in FORMATS)]
    write_all(RESULT, parse_outputs(told, {}), stream)
    assert stream.getvalue() == render(RESULT, "text")
    assert {path.name: path.read_text("utf-8") for path in (tmp_path / "reports").iterdir()} == {
        name: render(RESULT, name) for name in FORMATS
    }


def test_colour_is_for_terminals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    terminal, log = Terminal(), io.StringIO()
    write(RESULT, Output("text"), terminal)
    write(RESULT, Output("text"), log)
    assert "\x1b[" in terminal.getvalue()
    assert "\x1b[" not in log.getvalue()
    monkeypatch.setenv("NO_COLOR", "1")
    write(RESULT, Output("text"), plain := Terminal())
    assert plain.getvalue() == log.getvalue()


@pytest.mark.parametrize("name", FORMATS)
def test_a_log_that_takes_ascii_only_gets_the_report(name: str) -> None:
    stream = ascii_log()
    write(RESULT, Output(name), stream)
    written = stream.buffer.getvalue().decode("ascii")  # type: ignore[attr-defined]
    assert "step-time" in written
    if name == "json":
        assert json.loads(written)["status"] == "regressed"


def test_a_file_is_replaced_whole_and_readable_by_others(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text("old")
    write(RESULT, Output("json", path))
    assert json.loads(path.read_text())["status"] == "regressed"
    assert stat.S_IMODE(path.stat().st_mode) & 0o444 == 0o444 & ~current_mask()
    assert [each.name for each in tmp_path.iterdir()] == ["report.json"]


def current_mask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_the_summary_is_added_to_what_others_have_said(tmp_path: Path) -> None:
    path = tmp_path / "summary.md"
    path.write_text("# tests\n")
    write(RESULT, Output("github-summary", path, append=True))
    assert path.read_text("utf-8") == "# tests\n" + render(RESULT, "github-summary")


def test_a_pipe_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    got: list[str] = []
    reader = threading.Thread(target=lambda: got.append(pipe.read_text("utf-8")))
    reader.start()
    write(RESULT, Output("gitlab", pipe))
    reader.join()
    assert got == [render(RESULT, "gitlab")]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_file_that_cannot_be_written_is_told_after_all_others_are(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    outputs = [Output("junit", tmp_path / "file" / "report.xml"), Output("json", tmp_path / "report.json")]
    with pytest.raises(UsageError, match="cannot write the junit report"):
        write_all(RESULT, outputs)
    assert (tmp_path / "report.json").is_file()


def test_reports_beside_the_code_name_its_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "train.py").touch()
    monkeypatch.chdir(tmp_path)
    moved = checked(found(responsible=(Responsible("mm", "slower", source="/srv/build/train.py:88"),)))
    assert json.loads(render(moved, "gitlab"))[0]["location"] == {"path": "train.py", "lines": {"begin": 88}}
    assert json.loads(render(moved, "json"))["findings"][0]["responsible"][0]["source"] == "/srv/build/train.py:88"
