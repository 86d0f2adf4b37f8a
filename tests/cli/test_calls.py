"""How a call is read: options before and after the command, the store, errors and exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import Result

from etgraph.cli.group import LazyGroup
from etgraph.cli.main import COMMANDS, main
from etgraph.cli.session import local_store_url, open_session, store_url
from etgraph.ingest import samples
from etgraph.model import errors

Run = Callable[..., Result]
HEAVY = ("numpy", "pyarrow", "numba", "pandas", "rich", "msgspec", "networkx")


def process(*args: str, **extra: Any) -> subprocess.CompletedProcess[str]:
    """Call etgraph in a process of its own."""
    command = [sys.executable, "-m", "etgraph.cli", *args]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, **extra)


@pytest.mark.parametrize(
    "args", [["--help"], ["--version"], ["critical-path", "--help"], ["ingest", "-h"], ["nonsense"]]
)
def test_help_imports_nothing_heavy(args: list[str]) -> None:
    code = (
        "import sys\n"
        "from etgraph.cli.main import main\n"
        f"try: main({args!r}, prog_name='etgraph')\n"
        f"except SystemExit: print('LOADED', sorted(set(sys.modules) & set({HEAVY!r})))\n"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.splitlines()[-1] == "LOADED []"


def test_no_command_waits_for_pandas() -> None:
    """Arrow looks for pandas whenever it is given an array, as those of a path's segments."""
    code = (
        "import sys\n"
        "from etgraph.cli.__main__ import run\n"
        f"sys.argv = ['etgraph', 'critical-path', {str(samples.path('gpt_ddp_5steps'))!r}, '--segments', '--json']\n"
        "try: run()\n"
        "except SystemExit as end: print(end.code, {'pyarrow', 'pandas'} & set(sys.modules), file=sys.stderr)\n"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stderr.splitlines()[-1] == "0 {'pyarrow'}"
    assert json.loads(found.stdout)["segments"]


def test_the_table_agrees_with_the_commands() -> None:
    assert isinstance(main, LazyGroup)
    context = click.Context(main)
    for entry in COMMANDS:
        command = main.get_command(context, entry.name)
        assert command is not None
        assert command.name == entry.name
        assert command.help


@pytest.mark.parametrize("args", [["--json", "ls"], ["ls", "--json"], ["--quiet", "ls", "--json"]])
def test_common_options_stand_before_or_after(run: Run, args: list[str]) -> None:
    result = run(*args)
    assert set(json.loads(result.stdout)) == {"traces"}


def test_the_store_after_the_command_counts(etgraph: Run, tmp_path: Path) -> None:
    result = etgraph("--store", tmp_path / "a", "ls", "--store", tmp_path / "b")
    assert str(tmp_path / "b") in result.stderr
    assert str(tmp_path / "a") not in result.stderr


def test_the_store_is_the_option_then_the_environment_then_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", os.path.abspath("data"))
    monkeypatch.setenv("ETGRAPH_STORE", "named")
    assert store_url("given") == "given"
    assert store_url(None) == "named"
    monkeypatch.setenv("ETGRAPH_STORE", "")
    assert Path(store_url(None)).parts[-2:] == ("etgraph", "store")


def test_a_server_is_asked_and_not_opened() -> None:
    assert open_session("HTTPS://traces.example.org/").url == "https://traces.example.org"
    with pytest.raises(errors.UsageError, match="needs a store of its own"):
        local_store_url("https://traces.example.org")


@pytest.mark.parametrize(
    ("error", "code", "exit_code"),
    [
        (errors.UsageError("wrong"), "BAD_USER_INPUT", 2),
        (errors.NotFound("gone"), "NOT_FOUND", 3),
        (errors.InputError("f", found="a", expected="b"), "BAD_INPUT", 3),
        (errors.MissingData("no times"), "MISSING_DATA", 3),
        (errors.CycleError("round", []), "CYCLE", 3),
        (errors.CorruptStore("cut"), "CORRUPT", 3),
        (errors.StoreError("away", hint="mount it"), "STORE", 4),
        (PermissionError(13, "Permission denied", "runs/rank0.json"), "SYSTEM", 3),
        (MemoryError(), "SYSTEM", 3),
        (ZeroDivisionError("division by zero"), "INTERNAL", 70),
    ],
)
def test_every_error_has_its_message_and_exit_code(
    run: Run, session: Any, error: Exception, code: str, exit_code: int
) -> None:
    session.error = error
    plain = run("show", "gpt")
    assert (plain.exit_code, plain.stdout) == (exit_code, "")
    assert plain.stderr.startswith("error: ")
    assert error.args[-1:] == () or str(error.args[-1]) in plain.stderr
    assert "Traceback" not in plain.stderr
    for_programs = run("show", "gpt", "--json")
    assert (for_programs.exit_code, for_programs.stdout) == (exit_code, "")
    told = json.loads(for_programs.stderr.splitlines()[-1])["error"]
    assert set(told) == {"code", "message", "hint"}
    assert told["code"] == code
    assert session.asked[-1] == ("close",)


def test_a_hint_is_shown(run: Run, session: Any) -> None:
    session.error = errors.StoreError("away", hint="mount it")
    assert run("ls").stderr == "error: away\nhint: mount it\n"


def test_a_defect_says_so_and_verbose_shows_where(run: Run, session: Any) -> None:
    session.error = ZeroDivisionError("division by zero")
    assert "a bug in etgraph: ZeroDivisionError: division by zero" in run("ls").stderr
    assert "-v" in run("ls").stderr
    shown = run("-v", "ls").stderr
    assert "Traceback" in shown
    assert "test_calls" not in shown.splitlines()[-1]


def test_an_interruption_is_quiet(run: Run, session: Any) -> None:
    session.error = KeyboardInterrupt()
    result = run("ls")
    assert (result.exit_code, result.stdout) == (130, "")
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["shwo", "gpt"], "Did you mean 'show'"),
        (["ls", "--jsn"], "--json"),
        (["show"], "Missing argument"),
        (["untag", "gpt"], "expected WORKLOAD@NAME"),
        (["label", "gpt", "novalue"], "expected KEY=VALUE"),
        (["ls", "--label", "=x"], "expected KEY=VALUE"),
        (["critical-path", "gpt", "--window", "w"], "annotation"),
        (["critical-path", "gpt", "--rank", "-1"], "--rank"),
        (["critical-path", "gpt", "--model", "--window", "device"], "the model has no window"),
    ],
)
def test_a_wrong_call_is_explained(run: Run, args: list[str], words: str) -> None:
    result = run(*args)
    assert (result.exit_code, result.stdout) == (2, "")
    assert words in result.stderr
    assert "hint: 'etgraph" in result.stderr or "untag" in args or "--model" in args


def test_a_wrong_call_is_explained_to_programs(run: Run) -> None:
    result = run("ls", "--nonsense", "--json")
    assert result.exit_code == 2
    assert json.loads(result.stderr.splitlines()[-1])["error"]["code"] == "BAD_USER_INPUT"


def test_without_arguments_there_is_help() -> None:
    result = process()
    assert result.returncode in (0, 2)
    assert "Usage: etgraph" in result.stdout + result.stderr


def test_what_was_asked_reaches_the_session(run: Run, session: Any) -> None:
    run("critical-path", "gpt#3-7", "--rank", "2", "--iteration", "4", "--window", "device")
    assert session.asked[0] == (
        "critical-path",
        "gpt#3-7",
        {"rank": 2, "iteration": 4, "window": "device", "save": False},
    )
    run("critical-path", "gpt#3-7", "--model", "--rank", "2", "--iteration", "4", "--window", "annotation", "--save")
    assert session.asked[2] == (
        "slack",
        "gpt#3-7",
        {"rank": 2, "iteration": 4, "save": True, "without": ("operators",)},
    )
    run("ingest", "a", "b", "--workload", "w", "--team", "t", "--label", "k=v=w", "--label", "l=m", "--commit", "c",
        "--branch", "b", "--each", "--workers", "3", "--resume")  # fmt: skip
    assert session.asked[4] == (
        "ingest",
        ["a", "b"],
        {
            "each": True, "workload": "w", "team": "t", "labels": {"k": "v=w", "l": "m"}, "commit": "c", "branch": "b",
            "workers": 3, "resume": True,
        },
    )  # fmt: skip


def test_the_same_trace_twice_is_removed_once(run: Run, session: Any) -> None:
    assert run("rm", "gpt", "gpt@baseline").exit_code == 0
    assert [question[0] for question in session.asked] == ["find", "find", "traces", "remove", "close"]


def test_on_a_terminal_rm_asks_first(run: Run, session: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("etgraph.cli.commands.rm._asks", lambda: True)
    kept = run("rm", "gpt", input="n\n")
    assert (kept.exit_code, kept.stdout) == (0, "")
    assert "Remove gpt@baseline" in kept.stderr
    assert "nothing was removed" in kept.stderr
    assert not any(question[0] == "remove" for question in session.asked)
    run("rm", "gpt", input="y\n")
    run("rm", "gpt", "--yes")
    assert [question[0] for question in session.asked].count("remove") == 2


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "etgraph.cli", "doctor", "--json", "--store", str(tmp_path)]
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as stdout:
        ended = subprocess.run(command, stdout=stdout, stderr=subprocess.PIPE, text=True, check=False, timeout=120)
    assert ended.returncode == 141
    assert ended.stderr == ""
