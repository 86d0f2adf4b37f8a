"""gunicorn serves the application: requests are answered, and its end breaks none off."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from etgraph.store import Store


@pytest.fixture
def address(samples_store: Store, tmp_path: Path) -> Iterator[str]:
    """Where gunicorn listens with two workers over the store of samples; it has to end well."""
    told = tmp_path / "log"
    command = [
        sys.executable, "-m", "gunicorn", "--bind", "127.0.0.1:0", "--workers", "2", "--threads", "2",
        "--worker-tmp-dir", str(tmp_path), "etgraph.api.running.wsgi:application()",
    ]  # fmt: skip
    environment = {
        **os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "ETGRAPH_STORE": samples_store.url,
        "ETGRAPH_SERVER_PREPARE": "false",
    }  # fmt: skip
    with told.open("w") as log:
        process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=log, text=True, env=environment)
    assert process.stderr is not None
    try:
        lines = iter(process.stderr.readline, "")
        found = next(line.split("Listening at: ")[1].split()[0] for line in lines if "Listening at: " in line)
        yield found
        process.send_signal(signal.SIGTERM)
        rest = process.communicate(timeout=60)[0]
        assert process.returncode == 0, rest
    finally:
        process.kill()
        process.communicate()


def test_gunicorn_answers_and_ends(address: str) -> None:
    body = json.dumps({"query": '{ trace(reference: "gpt") { workload hotspots { rows { key } } } }'}).encode()
    request = Request(f"{address}/graphql", body, {"Content-Type": "application/json"})
    with urlopen(request, timeout=60) as answer:
        found = json.load(answer)
    assert found["data"]["trace"]["workload"] == "gpt"
    assert found["data"]["trace"]["hotspots"]["rows"]
    with urlopen(f"{address}/readyz", timeout=60) as answer:
        assert answer.read() == b"ready\n"
