"""Runs that record themselves in other processes, and what their files hold, read without etgraph."""

from __future__ import annotations

import gzip
import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from support.torch_environment import TorchPython

HERE = Path(__file__).parent
WORLD_SIZE = 2
SECONDS = 300


def record_two_ranks(python: TorchPython, folder: Path) -> Path:
    """Run `train.py` as two processes that record into a folder; the folder."""
    rendezvous = folder.with_name(folder.name + "-rendezvous")
    arguments = [(str(folder), str(rank), str(WORLD_SIZE), str(rendezvous)) for rank in range(WORLD_SIZE)]
    finish([python.start(HERE / "train.py", *each) for each in arguments])
    return folder


def finish(processes: Sequence[subprocess.Popen[str]]) -> list[str]:
    """What processes print, once all have ended. Fails, with what they say, where one fails or does not end."""
    try:
        texts = [process.communicate(timeout=SECONDS) for process in processes]
    finally:
        for process in processes:
            process.kill()
    for process, (_, errors) in zip(processes, texts):
        if process.returncode:
            pytest.fail(f"{process.args}: exit status {process.returncode}\n{errors[-4000:]}", pytrace=False)
    return [printed for printed, _ in texts]


def document(path: Path) -> Any:
    """A JSON file, plain or gzip."""
    text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return json.loads(text)


def kineto_ids(kineto: Any) -> dict[int, str]:
    """Names of a Kineto trace's host operators by their `Record function id`."""
    host = (event for event in kineto["traceEvents"] if event.get("cat") in ("cpu_op", "user_annotation"))
    return {event["args"]["Record function id"]: event["name"] for event in host}


def execution_trace_ids(trace: Any) -> dict[int, str]:
    """Names of an execution trace's operators by their `rf_id`, its root aside."""
    attributes = [{a["name"]: a["value"] for a in node["attrs"]} for node in trace["nodes"]]
    ids = {each["rf_id"]: node["name"] for each, node in zip(attributes, trace["nodes"])}
    return {id: name for id, name in ids.items() if not name.startswith("[pytorch|")}
