"""Other tools in environments of their own, and what a piece of work costs in a fresh process of any of them."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import venv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from filelock import FileLock
from platformdirs import user_cache_path

PACKAGES: Final = ("HolisticTraceAnalysis==0.5.0", "mlc-chakra==1.0.0")
STAMP: Final = "installed"
LONGEST_SECONDS: Final = 1800
_ERROR: Final = re.compile(r"[A-Za-z_.]*(?:Error|Exception|Interrupt)\b")
_MEASURE: Final = """
import sys, time
from pathlib import Path

def resident(line):
    return int(Path("/proc/self/status").read_text().split(line + ":")[1].split()[0]) * 1024

{prepare}
work(*sys.argv[1].split("|"))
before, start = resident("VmRSS"), time.process_time()
work(*sys.argv[2].split("|"))
print("\\ncost", time.process_time() - start, resident("VmHWM") - before)
"""
"""The work is done on a smaller input first, so that libraries and kernels are loaded; peak memory is Linux's."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Processor seconds, and bytes at the peak beyond those before."""

    seconds: float
    bytes: int


def install(folder: Path, packages: Sequence[str], *options: str) -> Path:
    """The Python of a new environment with some packages. Raises CalledProcessError; its `stderr` says why."""
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *options, *packages]
    subprocess.run(command, check=True, capture_output=True, text=True)
    return python


def cached() -> Path:
    """The Python of an environment with `PACKAGES`, made once, in the user's cache. Raises what `install` raises."""
    key = hashlib.sha256(" ".join(PACKAGES).encode()).hexdigest()[:12]
    folder = user_cache_path("etgraph") / "peers" / key
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if not (folder / STAMP).exists():
            install(folder, PACKAGES, "--upgrade")
            (folder / STAMP).write_text("\n".join(PACKAGES) + "\n")
    return folder / "bin" / "python"


def cost(python: str | Path, prepare: str, small: Sequence[Path], given: Sequence[Path]) -> Cost:
    """What `work(*paths)`, which `prepare` defines, costs in a fresh process that has done it on `small` before.

    Raises RuntimeError with the line that says what went wrong.
    """
    arguments = ["|".join(map(str, paths)) for paths in (small, given)]
    command = [str(python), "-c", _MEASURE.format(prepare=prepare), *arguments]
    environment = dict(os.environ) | {"OMP_NUM_THREADS": "1"}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, env=environment, timeout=LONGEST_SECONDS
        )
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"not done after {LONGEST_SECONDS} s") from None
    *_, line = done.stdout.strip().splitlines() or [""]
    if done.returncode or not line.startswith("cost "):
        raise RuntimeError(_reason(done.stderr) or f"exit code {done.returncode}")
    _, seconds, peak = line.split()
    return Cost(float(seconds), int(peak))


def _reason(text: str) -> str:
    """The line of a traceback that names the error, else the last one."""
    lines = [line for line in text.splitlines() if line.strip()]
    return next((line for line in reversed(lines) if _ERROR.match(line)), lines[-1] if lines else "")
