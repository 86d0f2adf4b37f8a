"""Reading Kineto files, inference included: µs an event beside json + pandas, growth to a million events, memory."""

from __future__ import annotations

import gzip
import json
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.clock import seconds
from benchmarks.collection import events_of, large_kineto_files, repeated
from benchmarks.memory import memory
from etgraph.ingest import read, samples

TIMES = (1, 3, 10)


def json_and_pandas(file: Path) -> Any:
    """What a notebook does: parse everything, one data frame of the complete events and their arguments."""
    import pandas as pd

    with gzip.open(file, "rb") if file.suffix == ".gz" else file.open("rb") as stream:
        events = json.load(stream)["traceEvents"]
    frame = pd.DataFrame([e for e in events if e.get("ph") == "X"])
    arguments = pd.json_normalize([a if isinstance(a, dict) else {} for a in frame.pop("args")], max_level=0)
    return pd.concat([frame, arguments], axis=1)


def main() -> None:
    """Print both tables."""
    print(f"{'file':44} {'events':>9} {'etgraph µs/event':>17} {'json+pandas':>12} {'ratio':>6}")
    files = large_kineto_files()
    for file in files:
        events = events_of(file)
        read(file)
        ours, theirs = seconds(lambda f=file: read(f)), seconds(lambda f=file: json_and_pandas(f), 1)  # type: ignore[misc]
        print(
            f"{file.name[:44]:44} {events:9,} {ours / events * 1e6:17.2f} {theirs / events * 1e6:12.2f} "
            f"{theirs / ours:5.1f}x"
        )
    print("\nthe first of them repeated, with later times and fresh ids, uncompressed; memory of a fresh process")
    print_growth(files[0], TIMES)


def print_growth(file: Path, times: tuple[int, ...]) -> None:
    """Print time and memory of a Kineto file that is repeated so many times."""
    print(f"{'events':>11} {'µs/event':>9} {'peak B/event':>13} {'operators B/op':>15} {'dependencies B/dep':>19}")
    points = []
    small = samples.path("dlrm_alltoall") / "kineto_rank0.json.gz"
    with tempfile.TemporaryDirectory() as folder:
        for number in times:
            target = Path(folder) / f"x{number}.json"
            events = repeated(file, number, target)
            begin = time.process_time()
            read(target)
            elapsed = time.process_time() - begin
            peak, operators, dependencies, operator_bytes, dependency_bytes = memory(target, small)
            target.unlink()
            points.append((events, peak))
            print(
                f"{events:11,} {elapsed / events * 1e6:9.2f} {peak / events:13.0f} {operator_bytes / operators:15.1f} "
                f"{dependency_bytes / dependencies:19.1f}",
                flush=True,
            )
    slope = (points[-1][1] - points[0][1]) / (points[-1][0] - points[0][0])
    print(f"growth of the peak: {slope:.0f} bytes an event")
