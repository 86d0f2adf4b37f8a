"""A check of two traces of 100,000 operators by the rules that come with etgraph: from files, and from a store.

Reading is told apart: it is what `etgraph.ingest.read` takes for both traces in a process of its own, with its start.
"""

from __future__ import annotations

import gzip
import json
import resource
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.clock import seconds
from etgraph.ingest import read, samples

OPERATORS = 100_000
ROUNDS = 3
_READ = "import sys; from etgraph.ingest import read; [len(read(path)) for path in sys.argv[1:]]"


def main() -> None:
    """Print the table: seconds of wall time, the best of several processes, and of processor time of one."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        base, other = (_large(sample, folder / sample) for sample in ("gpt_ddp", "gpt_ddp_regressed"))
        sizes = " and ".join(f"{len(read(path)):,}" for path in (base, other))
        print(f"{sizes} operators; every figure is of a new process, the best of {ROUNDS}\n")
        store = str(folder / "store")
        for path, tag in ((base, "base"), (other, "other")):
            _etgraph("ingest", str(path), "--workload", "gpt", "--label", f"which={tag}", "--store", store, "-q")
        steps: dict[str, list[str]] = {
            "start and read both": [sys.executable, "-c", _READ, str(base), str(other)],
            "check of files": _command("check", str(other), "--baseline", str(base), "-q"),
            "check from a store": _command(
                "check", "gpt@which=other", "--baseline", "gpt@which=base", "--store", store, "-q"
            ),
        }
        print("| | wall, s | processor, s |")
        print("|---|---:|---:|")
        for what, command in steps.items():
            wall = seconds(partial(_run, command), ROUNDS)
            print(f"| {what} | {wall:.2f} | {_processor(command):.2f} |")


def _large(sample: str, folder: Path) -> Path:
    """Kineto files of a sample's ranks, beside themselves as other ranks, of so many operators in all."""
    files = sorted(samples.path(sample).glob("kineto_rank*"))
    documents: list[dict[str, Any]] = [json.loads(gzip.decompress(file.read_bytes())) for file in files]
    copies = -(-OPERATORS // len(read(samples.path(sample))))
    folder.mkdir()
    world = len(documents) * copies
    for copy in range(copies):
        for place, document in enumerate(documents):
            rank = copy * len(documents) + place
            info = {**document.get("distributedInfo", {}), "rank": rank, "world_size": world}
            with gzip.open(folder / f"kineto_rank{rank}.json.gz", "wt", compresslevel=1) as file:
                json.dump({**document, "distributedInfo": _of_copy(info, copy * len(documents))}, file)
    return folder


def _of_copy(info: dict[str, Any], first: int) -> dict[str, Any]:
    """What a rank of a copy says of itself: groups of the copy's own ranks."""
    groups = [
        {**group, "ranks": [rank + first for rank in group.get("ranks", [])]} for group in info.get("pg_config", [])
    ]
    return {**info, "pg_config": groups}


def _command(*words: str) -> list[str]:
    return [sys.executable, "-m", "etgraph.cli", *words]


def _etgraph(*words: str) -> None:
    subprocess.run(_command(*words), check=True, capture_output=True)


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1):
        raise RuntimeError(done.stderr)


def _processor(command: list[str]) -> float:
    """Processor time of a command and its children."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    _run(command)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
