"""The API under an open load: 50 requests a second from 50 clients, on the loopback, and memory over 10 000 requests.

Each request has its moment, and its time counts from there, whether or not the ones before it are answered. The server
is a process of its own, with the bundled trace and a field for a real question.
"""

from __future__ import annotations

import http.client
import itertools
import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import urlsplit

import graphene
import numpy as np
import psutil

from etgraph.api.running.serving import serve
from etgraph.api.settings import Settings
from etgraph.ingest import read, samples
from etgraph.queries import answer
from etgraph.store import connect

SAMPLE: Final = "gpt_ddp_5steps"
CLIENTS: Final = 50
SECONDS: Final = 10
PROCESSES: Final = 5
MANY: Final = 10_000
QUERY: Final = """
query Hotspots($reference: String!, $by: String) {
  trace(reference: $reference) {
    id workload
    hotspots(by: $by) { key count bytes totalNs transferNs waitNs exposedNs criticalNs }
  }
}
"""


class Hotspot(graphene.ObjectType):
    """A row of the answer."""

    key = graphene.String()
    count = graphene.Int()
    bytes = graphene.Float()
    total_ns = graphene.Float()
    transfer_ns = graphene.Float()
    wait_ns = graphene.Float()
    exposed_ns = graphene.Float()
    critical_ns = graphene.Float()


class Trace(graphene.ObjectType):
    """A stored trace."""

    id = graphene.ID()
    workload = graphene.String()
    hotspots = graphene.List(Hotspot, by=graphene.String(default_value="type"))

    @staticmethod
    def resolve_hotspots(parent: Any, info: Any, by: str) -> Any:
        return answer(info.context.store, parent.id, "hotspots", by=by).rows


class Query(graphene.ObjectType):
    """What is asked."""

    trace = graphene.Field(Trace, reference=graphene.String(required=True))

    @staticmethod
    def resolve_trace(parent: Any, info: Any, reference: str) -> Any:
        return info.context.store.find(reference)


def main() -> None:
    """Print the table of latencies and the memory; with STORE and BYTES, be the server."""
    with tempfile.TemporaryDirectory() as folder:
        with connect(f"{folder}/store") as store:
            store.publish(read(samples.path(SAMPLE)), workload="gpt")
        print("| answers | requests | p50, ms | p95, ms | p99, ms | not answered |")
        print("|---|---:|---:|---:|---:|---:|")
        numbers = itertools.count()
        _row("first of a new process", _first(f"{folder}/store"))
        with _server(f"{folder}/store", 0) as (url, _):
            _load(url, lambda: QUERY, seconds=2)
            _row("document never seen", _load(url, lambda: f"{QUERY}# {next(numbers)}"))
            _row("document validated", _load(url, lambda: QUERY))
        with _server(f"{folder}/store", 1 << 20) as (url, process):
            _load(url, lambda: QUERY, seconds=2)
            _row("bytes kept", _load(url, lambda: QUERY))
            print()
            _memory(url, process)


def _first(store: str) -> tuple[np.ndarray[Any, Any], int]:
    """Seconds that the first answer of a new process takes, once the server listens, from a store without answers."""
    times = []
    for number in range(PROCESSES):
        own = shutil.copytree(store, f"{store}-{number}")
        with _server(own, 0) as (url, _), _connection(url) as connection:
            begin = time.perf_counter()
            assert _ask(connection, QUERY)
            times.append(time.perf_counter() - begin)
    return np.array(times), 0


def _row(name: str, found: tuple[np.ndarray[Any, Any], int]) -> None:
    times, failed = found
    p50, p95, p99 = np.percentile(times, [50, 95, 99]) * 1e3
    print(f"| {name} | {len(times)} | {p50:.1f} | {p95:.1f} | {p99:.1f} | {failed} |", flush=True)


def _load(url: str, query: Any, seconds: int = SECONDS) -> tuple[np.ndarray[Any, Any], int]:
    """Seconds from each request's moment to its answer, and how many had another one than a right one."""
    times: list[float] = []
    failed = [0]
    begin = time.perf_counter() + 0.2

    def client(number: int) -> None:
        with _connection(url) as connection:
            for second in range(seconds):
                moment = begin + second + number / CLIENTS
                time.sleep(max(0.0, moment - time.perf_counter()))
                if _ask(connection, query()):
                    times.append(time.perf_counter() - moment)
                else:
                    failed[0] += 1

    threads = [threading.Thread(target=client, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return np.array(times), failed[0]


def _memory(url: str, process: psutil.Process) -> None:
    """Print the server's memory after some requests, and after many."""
    with _connection(url) as connection:
        for count in range(1, MANY + 1):
            # One in ten is executed, the others are kept bytes.
            assert _ask(connection, QUERY if count % 10 else f"{QUERY}# {count}")
            if count % (MANY // 5) == 0:
                print(f"after {count:6,} requests: {process.memory_info().rss / 1e6:.0f} MB", flush=True)


def _ask(connection: http.client.HTTPConnection, query: str) -> bool:
    body = json.dumps({"query": query, "variables": {"reference": "gpt"}})
    connection.request("POST", "/graphql", body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    return answer.status == 200 and b'"errors"' not in answer.read()


@contextmanager
def _connection(url: str) -> Iterator[http.client.HTTPConnection]:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=60)
    try:
        yield connection
    finally:
        connection.close()


@contextmanager
def _server(store: str, answers_bytes: int) -> Iterator[tuple[str, psutil.Process]]:
    """A server as a process of its own: its address and the process."""
    command = [sys.executable, "-m", "benchmarks.api", store, str(answers_bytes)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip(), psutil.Process(process.pid)
        process.terminate()


def _serve(path: str, answers_bytes: int) -> None:
    schema = graphene.Schema(query=Query).graphql_schema
    settings = Settings(port=0, answers_bytes=answers_bytes, documents_bytes=1 << 20, connections=2 * CLIENTS)
    with connect(path) as store:
        serve(store, settings, schema=schema, ready=lambda url: print(url, flush=True))


if __name__ == "__main__":
    if len(sys.argv) == 3:
        _serve(sys.argv[1], int(sys.argv[2]))
    else:
        main()
