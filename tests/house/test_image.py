"""The Dockerfile makes a small image that runs as nobody in particular, from files that are there; what it runs runs.

Where there is no Docker, its instructions are checked as text.
"""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "Dockerfile").read_text("utf-8")


def instructions() -> list[tuple[str, str]]:
    """Instructions of the file with what follows them, in order; lines that go on are joined."""
    joined = re.sub(r"\\\n\s*", " ", TEXT)
    lines = [line for line in joined.splitlines() if line.strip() and not line.startswith("#")]
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in lines)]


def last_stage() -> dict[str, str]:
    """The instructions of the image that runs; of several of one kind the last."""
    words = instructions()
    start = max(number for number, (word, _) in enumerate(words) if word == "FROM")
    return dict(words[start:])


def test_bases_are_slim_and_have_a_release() -> None:
    bases = [rest.split()[0] for word, rest in instructions() if word == "FROM"]
    assert len(bases) == 2
    assert all(re.fullmatch(r"python:3\.\d+-slim-[a-z]+", base) for base in bases)


def test_it_runs_as_a_user_without_rights() -> None:
    stage = last_stage()
    assert stage["USER"] == "etgraph"
    assert any(word == "RUN" and "useradd --uid 10001" in rest for word, rest in instructions())


def test_it_says_whether_it_is_well() -> None:
    options, _, command = last_stage()["HEALTHCHECK"].partition(" CMD ")
    assert {option.split("=")[0] for option in shlex.split(options)} == {
        "--interval", "--timeout", "--start-period", "--retries",
    }  # fmt: skip
    program, flag, code = json.loads(command)
    assert (program, flag) == ("python", "-c")
    compile(code, "healthcheck", "exec")
    assert "/readyz" in code


def test_signals_reach_the_server() -> None:
    """In the form with a shell, the shell would get them."""
    stage = last_stage()
    assert json.loads(stage["ENTRYPOINT"]) == ["etgraph"]
    assert json.loads(stage["CMD"]) == ["serve"]


def test_nothing_in_it_is_a_secret_or_opens_it_to_all() -> None:
    for word in ("PASSWORD", "TOKEN", "SECRET", "0.0.0.0", "BEHIND"):
        assert word not in TEXT.upper()


def test_the_build_takes_in_what_it_needs_alone() -> None:
    lines = (ROOT / ".dockerignore").read_text("utf-8").split("\n")
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    taken = {line[1:] for line in rules if line.startswith("!")}
    wheel = re.search(r"^dev-mode-dirs = \[(.*)\]$", (ROOT / "pyproject.toml").read_text("utf-8"), re.MULTILINE)
    assert wheel is not None
    assert {*json.loads(f"[{wheel[1]}]"), "LICENSE", "README.md", "pyproject.toml"} <= taken
    assert not taken & {".git", ".env", "tests", "."}


@pytest.mark.parametrize("copied", [rest for word, rest in instructions() if word == "COPY"])
def test_what_is_copied_is_there(copied: str) -> None:
    words = [word for word in copied.split() if not word.startswith("--")]
    for source in words[:-1]:
        assert source.startswith("/opt/") or (ROOT / source).exists()
