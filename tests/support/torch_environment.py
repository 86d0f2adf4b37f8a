"""An interpreter with PyTorch for the tests: the one that the environment names, our own, or one made for the purpose.

`ETGRAPH_TORCH` names an interpreter that has PyTorch. Without it, and where the tests' own interpreter has none, one is
made in the user's cache, once: a download of 2.3 GB on Linux, 4.3 GB on the disk. `ETGRAPH_TORCH=off` leaves out the
tests that need one.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from filelock import FileLock
from platformdirs import user_cache_path

REQUIREMENT = "torch==2.15.0"
BESIDE = "lazy-loader"
"""What etgraph itself needs in a process that is recorded."""
FIXTURES = {"torch_python", "recorded_run"}
ROOT = Path(__file__).resolve().parents[2]
SOURCES = os.pathsep.join(str(ROOT / folder) for folder in ("model", "ingest"))
"""All that a recorded process sees of etgraph, so that a test fails where recording needs more than PyTorch."""
STAMP = "ready.json"
INSTALL_SECONDS = 800  # less than what pytest allows a test, so that the reason is told
HOW_TO_LEAVE_OUT = "ETGRAPH_TORCH=off leaves out, on purpose, the tests that need PyTorch"
# A gigabyte that only compiled models need.
WITHOUT = "triton ; sys_platform == 'never'\n"


@dataclass(frozen=True, slots=True)
class TorchPython:
    """An interpreter with PyTorch."""

    path: Path

    def start(self, script: Path, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        """Start a program that can import PyTorch and, of etgraph, what recording needs."""
        return subprocess.Popen(
            [str(self.path), "-W", "ignore:Failed to initialize NumPy", str(script), *arguments],
            env=_plain_environment() | {"PYTHONPATH": SOURCES} | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


def is_off() -> bool:
    """Whether this run leaves out what needs PyTorch."""
    return os.environ.get("ETGRAPH_TORCH") == "off"


def check_setting() -> None:
    """Refuse a setting that leads nowhere: the tests would silently be fewer."""
    value = os.environ.get("ETGRAPH_TORCH", "")
    if value not in ("", "off") and shutil.which(value) is None:
        raise pytest.UsageError(f"ETGRAPH_TORCH={value}: expected off, an interpreter that has PyTorch, or nothing")


def needs_torch(item: pytest.Item) -> bool:
    """Whether a test needs PyTorch."""
    return bool(FIXTURES & set(getattr(item, "fixturenames", ())))


def header() -> list[str]:
    """What the first lines of a run say of PyTorch."""
    if is_off():
        return ["torch: OFF (ETGRAPH_TORCH=off); the tests that record a run are left out"]
    if value := os.environ.get("ETGRAPH_TORCH"):
        return [f"torch: that of {value} (ETGRAPH_TORCH)"]
    if _have_our_own():
        return ["torch: that of this environment"]
    made = "" if (folder() / STAMP).is_file() else ", to be made when a test asks for it"
    return [f"torch: {REQUIREMENT} in {folder()}{made}"]


def folder() -> Path:
    """Where the environment with PyTorch lies: another one for each release of PyTorch and of Python."""
    python = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    return user_cache_path("etgraph") / "torch" / f"{REQUIREMENT.replace('==', '-')}-{python}"


def obtain() -> TorchPython:
    """The interpreter. Fails, with the reason, where none can be had."""
    if is_off():
        pytest.fail("ETGRAPH_TORCH=off, but a test asks for PyTorch: name its fixture in torch_environment.FIXTURES")
    if value := os.environ.get("ETGRAPH_TORCH"):
        found = TorchPython(Path(shutil.which(value) or value))
    elif _have_our_own():
        found = TorchPython(Path(sys.executable))
    else:
        found = TorchPython(_made())
    done = _run(
        [str(found.path), "-c", "import lazy_loader, torch.distributed; assert torch.distributed.is_gloo_available()"],
        120,
    )
    if done.returncode:
        pytest.fail(f"{found.path} has no PyTorch with gloo: {_end(done)}\n{HOW_TO_LEAVE_OUT}", pytrace=False)
    return found


def _have_our_own() -> bool:
    return importlib.util.find_spec("torch") is not None


def _made() -> Path:
    """The interpreter of the environment in the cache, which is made if it is not there or not whole."""
    place = folder()
    place.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(place.with_name(place.name + ".lock")):
        if not (place / STAMP).is_file():
            _make(place)
    return _python(place)


def _make(place: Path) -> None:
    # What was downloaded outlives a failure, so that the next try goes on from there.
    downloads = place.with_name(place.name + "-downloads")
    downloads.mkdir(exist_ok=True)
    overrides = downloads / "overrides.txt"
    overrides.write_text(WITHOUT, "utf-8")
    python = str(_python(place))
    pip = [python, "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"]
    uv = [python, "-m", "uv", "pip", "install", "--quiet", "--python", python, "--cache-dir", str(downloads)]
    by_uv = [[*pip, "uv"], [*uv, "--overrides", str(overrides), REQUIREMENT, BESIDE]]  # five times as fast
    by_pip = [[*pip, REQUIREMENT, BESIDE]]  # knows the settings of this machine's pip
    if reason := _failed([[sys.executable, "-m", "venv", "--clear", str(place)]]):
        pytest.fail(f"no PyTorch for the tests: {reason}\n{HOW_TO_LEAVE_OUT}", pytrace=False)
    reasons = []
    for way in (by_uv, by_pip):
        if not (reason := _failed(way)):
            break
        reasons.append(reason)
    else:
        listed = "\n".join(f"- {reason}" for reason in reasons)
        pytest.fail(f"no PyTorch for the tests:\n{listed}\n{HOW_TO_LEAVE_OUT}", pytrace=False)
    (place / STAMP).write_text(json.dumps({"requirement": REQUIREMENT}), "utf-8")
    shutil.rmtree(downloads)


def _failed(commands: list[list[str]]) -> str:
    """Run commands until one fails; why it did, or nothing."""
    for command in commands:
        try:
            done = _run(command, INSTALL_SECONDS)
        except subprocess.TimeoutExpired:
            # Another way would take as long, and pytest would end the run without a word.
            why = f"no end after {INSTALL_SECONDS} s; the next run goes on from there"
            pytest.fail(f"no PyTorch for the tests: {' '.join(command)}: {why}\n{HOW_TO_LEAVE_OUT}", pytrace=False)
        if done.returncode:
            return f"{' '.join(command)}: {_end(done)}"
    return ""


def _python(place: Path) -> Path:
    return place / "bin" / "python"


def _run(command: list[str], seconds: float) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        env=_plain_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


def _plain_environment() -> dict[str, str]:
    """Our environment without what would lead another interpreter to our packages, or tell it of ranks."""
    leads_astray = ("PYTHON", "ETGRAPH_", "VIRTUAL_ENV", "OMPI_", "SLURM_")
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(leads_astray) and name not in ("RANK", "WORLD_SIZE")
    }


def _end(done: subprocess.CompletedProcess[str]) -> str:
    return "\n".join((done.stderr or done.stdout).strip().splitlines()[-8:]) or "it fails without a word"
