"""The API on a trace of 100,000 operators: 50 requests a second from 50 clients on the loopback, pages, and memory.

The queries are those that docs/api/queries.md works. The server is `etgraph serve`, a process of its own.
"""

from __future__ import annotations

import itertools
import json
import re
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.api_load import HEAD, Served, ask, connected, load, sent, served
from benchmarks.questions import OPERATORS, SAMPLE, tiled
from etgraph.ingest import read, samples
from etgraph.queries import save_simulation
from etgraph.sim.simulators import simulate
from etgraph.store import Store, connect

SECONDS: Final = 10
REQUESTS: Final = 100_000
NO_ANSWERS: Final = "0 B"
"""Of memory for answers' bytes: every request is executed."""
_PAGE: Final = Path(__file__).parents[1] / "docs" / "api" / "queries.md"
_MORE: Final = {
    "critical path, hotspots, breakdown": """{
        trace(reference: "gpt") {
            criticalPath { lengthNs segments(first: 20) { rank name startNs endNs via } }
            hotspots { rows { key count bytes totalNs transferNs waitNs exposedNs } }
            breakdown { windows { rank computationNs exposedCommunicationNs idleNs } }
        }
    }""",
    "operators in groups": """{
        trace(reference: "gpt") { operatorSummary { rows(first: 50) { key count totalNs selfNs } } }
    }""",
    "fifty operators": """{
        trace(reference: "gpt") {
            operators(first: 50, orderBy: { field: durationNs, descending: true }) {
                nodes { id rank index name kind startNs durationNs scope flops bytes }
            }
        }
    }""",
}
_OPERATORS: Final = """query Page($after: String) {
  trace(reference: "gpt") {
    operators(first: 1000, after: $after) {
      pageInfo { hasNextPage endCursor }
      nodes { rank index name kind startNs durationNs flops bytes scope source }
    }
  }
}"""


def main() -> None:
    """Print the tables of a local store."""
    with tempfile.TemporaryDirectory() as folder:
        report(f"{folder}/store")


def report(url: str, *, requests: int = REQUESTS) -> None:
    """Print the tables of an empty store: first answers, warm ones, kept ones, pages, and memory."""
    with connect(url) as store:
        operators = fill(store)
    queries = named_queries()
    print(f"{operators:,} operators\n\n| first answer of a server | s |\n|---|---:|")
    for name, query in queries.items():
        print(f"| {name} | {_first(url, query):.2f} |", flush=True)
    print(f"\n{HEAD}")
    with served(url, answers=NO_ANSWERS, connections=200) as server:
        _warm(server, queries)
        for name, query in queries.items():
            print(load(server, lambda query=query: query, SECONDS).row(name), flush=True)  # type: ignore[misc]
        turn = itertools.cycle(queries.values())
        print(load(server, lambda: next(turn), SECONDS).row("all, in turn"), flush=True)
        pages, seconds = _pages(server)
    with served(url) as server:
        _warm(server, queries)
        turn = itertools.cycle(queries.values())
        print(load(server, lambda: next(turn), SECONDS).row("all, in turn, bytes kept"), flush=True)
        print(f"\n{pages} pages of 1,000 operators, one after the other: {seconds:.2f} s\n")
    with served(url, answers="1 MiB", documents="1 MiB", results="16 MiB") as server:
        _memory(server, queries, requests)


def fill(store: Store) -> int:
    """Publish the trace under the names that the queries use, with a simulation; returns its number of operators."""
    trace = replace(tiled(read(samples.path(SAMPLE)), OPERATORS), trace_id="1" * 64)
    for workload in ("gpt", "dlrm"):
        store.publish(trace, workload=workload, team="nlp")
    store.tag("gpt", "base")
    save_simulation(store, "gpt", simulate(trace, "replay"), trace=trace)
    return len(trace)


def named_queries() -> Mapping[str, str]:
    """The worked queries that read, and some of more rows, by their titles. Nobody checks 50 times a second."""
    found = re.findall(r"^## ([^\n]+)\n(?:(?!^## ).)*?^```graphql\n(.*?)^```", _PAGE.read_text("utf-8"), re.M | re.S)
    return {title: query for title, query in found if not query.startswith(("mutation", "query Check"))} | _MORE


def _first(url: str, query: str) -> float:
    """Seconds that the first answer of a new server takes, once it listens."""
    with served(url) as server, connected(server.url) as connection:
        begin = time.perf_counter()
        status, body = sent(connection, query)
        assert status == 200, body
        assert b'"errors"' not in body, body
        return time.perf_counter() - begin


def _warm(server: Served, queries: Mapping[str, str]) -> None:
    """Have every query answered twice."""
    with connected(server.url) as connection:
        for query in (*queries.values(), *queries.values()):
            assert ask(connection, query)


def _pages(server: Served) -> tuple[int, float]:
    """Page through 10,000 operators: pages and seconds."""
    after, pages = None, 10
    begin = time.perf_counter()
    with connected(server.url) as connection:
        for _ in range(pages):
            found = json.loads(sent(connection, _OPERATORS, {"after": after})[1])["data"]["trace"]["operators"]
            assert len(found["nodes"]) == 1000
            after = found["pageInfo"]["endCursor"]
    return pages, time.perf_counter() - begin


def _memory(server: Served, queries: Mapping[str, str], requests: int) -> None:
    """Print the server's memory over many requests, and its slope over the later half of them."""
    turn = itertools.cycle(queries.values())
    step = max(requests // 10, 1)
    seen = []
    with connected(server.url) as connection:
        for count in range(1, requests + 1):
            query = next(turn)
            # One in ten is a document never seen before, the others are kept documents or bytes.
            assert ask(connection, query if count % 10 else f"{query}# {count}")
            if count % step == 0:
                seen.append(server.rss / 1e6)
                print(f"after {count:7,} requests: {seen[-1]:.0f} MB", flush=True)
    later = seen[len(seen) // 2 :]
    slope = np.polyfit(np.arange(len(later)), later, 1)[0] / step * 1e4
    print(f"slope over the later half: {slope:+.2f} MB in 10,000 requests")


__all__ = ["fill", "main", "named_queries", "report"]

if __name__ == "__main__":
    main()
