"""A server of the API as a process of its own, and an open load on it from threads of this one.

Each request has its moment, and its time counts from there, whether or not the ones before it are answered.
"""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import numpy as np
import psutil

CLIENTS: Final = 50
"""Each sends one request a second."""


@dataclass(frozen=True, slots=True)
class Served:
    """A server: its address and its process."""

    url: str
    process: psutil.Process

    @property
    def processor_s(self) -> float:
        """Processor time that it has had."""
        times = self.process.cpu_times()
        return float(times.user + times.system)

    @property
    def rss(self) -> int:
        """Bytes of memory that it has."""
        return int(self.process.memory_info().rss)


@dataclass(frozen=True, slots=True)
class Load:
    """How a load was answered: seconds of each request; processor time of the server; how busy others kept the cores.

    `failed` requests had another answer than data without errors. `others` is a share of all cores, 0 to 1.
    """

    seconds: np.ndarray[Any, Any]
    failed: int
    processor_s: float
    others: float

    def row(self, name: str) -> str:
        """A row of a table: name, requests, percentiles, processor time a request, others' share, not answered."""
        p50, p95, p99 = np.percentile(self.seconds, [50, 95, 99]) * 1e3
        each = self.processor_s / max(len(self.seconds) + self.failed, 1) * 1e3
        times = f"{p50:.1f} | {p95:.1f} | {p99:.1f} | {each:.1f}"
        return f"| {name} | {len(self.seconds)} | {times} | {self.others:.0%} | {self.failed} |"


HEAD: Final = (
    "| query | requests | p50, ms | p95, ms | p99, ms | processor time, ms | cores busy with others | not answered |\n"
    "|---|---:|---:|---:|---:|---:|---:|---:|"
)


@contextmanager
def served(store: str, **settings: Any) -> Iterator[Served]:
    """`etgraph serve` over a store; settings are those of `ETGRAPH_SERVER_…`."""
    command = [sys.executable, "-m", "etgraph.cli", "--quiet", "--store", store, "serve", "--port", "0"]
    environment = {f"ETGRAPH_SERVER_{name.upper()}": str(value) for name, value in settings.items()}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, **environment}) as process:
        assert process.stdout is not None
        try:
            yield Served(process.stdout.readline().strip(), psutil.Process(process.pid))
        finally:
            process.terminate()


@contextmanager
def connected(url: str) -> Iterator[http.client.HTTPConnection]:
    """A connection of a client."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=60)
    try:
        yield connection
    finally:
        connection.close()


def sent(
    connection: http.client.HTTPConnection, query: str, variables: Mapping[str, Any] | None = None
) -> tuple[int, bytes]:
    """Status and body of the answer to a query."""
    body = json.dumps({"query": query, "variables": variables or {}})
    connection.request("POST", "/graphql", body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    return answer.status, answer.read()


def ask(connection: http.client.HTTPConnection, query: str) -> bool:
    """Whether a query is answered by data without errors."""
    status, body = sent(connection, query)
    return status == 200 and b'"errors"' not in body


def load(server: Served, query: Callable[[], str], seconds: int) -> Load:
    """Fifty requests a second, for so many seconds."""
    times: list[float] = []
    failed = [0]
    begin = time.perf_counter() + 0.2

    def client(number: int) -> None:
        with connected(server.url) as connection:
            for second in range(seconds):
                moment = begin + second + number / CLIENTS
                time.sleep(max(0.0, moment - time.perf_counter()))
                if ask(connection, query()):
                    times.append(time.perf_counter() - moment)
                else:
                    failed[0] += 1

    threads = [threading.Thread(target=client, args=(number,)) for number in range(CLIENTS)]
    busy, own, used = _busy(), time.process_time(), server.processor_s
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    passed = time.perf_counter() - begin
    used = server.processor_s - used
    others = _busy() - busy - (time.process_time() - own) - used
    return Load(np.array(times), failed[0], used, max(others, 0) / passed / (psutil.cpu_count() or 1))


def _busy() -> float:
    """Seconds that the cores were not idle."""
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - getattr(times, "iowait", 0) - getattr(times, "guest", 0))


__all__ = ["CLIENTS", "HEAD", "Load", "Served", "ask", "connected", "load", "sent", "served"]
