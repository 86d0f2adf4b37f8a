"""What the soak sends, and what may come back: good and bad requests, mutations, and what is meant to do harm."""

from __future__ import annotations

import json
import random
import socket
import struct
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Final
from urllib.parse import urlsplit

import psutil

from benchmarks.api_load import Served, connected
from benchmarks.crash_jobs import trace_file
from benchmarks.soak.seen import Seen
from etgraph.ingest import read, samples
from etgraph.model import Trace
from etgraph.store import Store

GOOD: Final[Mapping[str, str]] = {
    "path": '{ trace(reference: "gpt") { criticalPath(iteration: [0]) { segments(first: 20) { rank name via } } } }',
    "hotspots": '{ trace(reference: "gpt") { hotspots { rows { key count totalNs waitNs busBandwidth } } } }',
    "breakdown": '{ trace(reference: "gpt") { breakdown(each: true) { windows { rank iteration idleNs } } } }',
    "stragglers": '{ trace(reference: "gpt") { stragglers { byRank { rank timesLast blamedNs } } } }',
    "operators": """{ trace(reference: "gpt") { operators(first: 20, orderBy: { field: durationNs, descending: true }) {
        totalCount nodes { id name attributes parent { name } successors(first: 3) { nodes { kind } } } } } }""",
    "comparison": """{ comparison(base: [{ reference: "gpt" }], other: [{ reference: "gpt" }]) { __typename } }""",
    "waterfall": '{ waterfall(references: ["gpt"]) { rows { trace } } }',
    "communication": '{ trace(reference: "gpt") { communicationMatrix { ranks transferNs } } }',
}
"""Queries of a trace that nobody changes: they have one answer, before, during and after."""

_SELECTIONS: Final = ("key", "count", "bytes", "totalNs", "transferNs", "waitNs", "exposedNs", "criticalNs")

BAD: Final[Mapping[str, Any]] = {
    "syntax": {"query": "{ trace("},
    "no query": {"variables": {}},
    "no field": {"query": "{ nonsense }"},
    "no operation": {"query": "query A { __typename }", "operationName": "B"},
    "no trace": {"query": '{ trace(reference: "nobody") { id } }'},
    "bad reference": {"query": '{ trace(reference: "@@#\\u0000") { id } }'},
    "bad variables": {"query": "query Q($n: Int!) { namedQueries { name } traces(first: $n) { totalCount } }",
                      "variables": {"n": "many"}},
    "bad cursor": {"query": '{ trace(reference: "gpt") { operators(after: "nonsense") { totalCount } } }'},
    "too many rows": {"query": '{ trace(reference: "gpt") { operators(first: 100000) { totalCount } } }'},
    "no profile": {"query": '{ trace(reference: "gpt") { waterfall(profile: "/etc/passwd") { __typename } } }'},
    "no Cypher": {"query": '{ cypher(query: "nonsense") { columns } }'},
    "a list": [{"query": "{ __typename }"}],
    "a number": 7,
    "not persisted": {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": "0" * 64}}},
}  # fmt: skip
"""Bodies that mean nothing; each has an answer that says so."""


def _bomb(rounds: int) -> str:
    fragments = [f"fragment f{n} on Trace {{ ...f{n + 1} ...on Trace {{ ...f{n + 1} }} }}" for n in range(rounds)]
    return "\n".join(['{ trace(reference: "gpt") { ...f0 } }', *fragments, f"fragment f{rounds} on Trace {{ id }}"])


HOSTILE: Final[Mapping[str, str]] = {
    "aliases": '{ trace(reference: "gpt") { ' + " ".join(f"a{n}: id" for n in range(1500)) + " } }",
    "roots": "{ " + "__typename " * 1500 + "}",
    "depth": "{ " + "nodes { " * 300 + "}" * 301,
    "bomb": _bomb(60),
    "circle": "{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }",
    "directives": "{ __typename " + "@include(if: true) " * 500 + "}",
    "literal": '{ trace(reference: "' + "x" * 60_000 + '") { id } }',
    "number": '{ trace(reference: "gpt") { operators(first: ' + "9" * 50_000 + ") { totalCount } } }",
    "wide": """{ traces(first: 1000) { nodes { operators(first: 1000) { nodes {
        predecessors(first: 1000) { nodes { operator { name } } } } } } } }""",
    "overlaps": '{ trace(reference: "gpt") { ' + "ranks " * 190 + "tags " * 10 + "} }",
}
"""Documents that cost more than they may, or nearly so much."""

_RAW: Final[tuple[bytes, ...]] = (
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)),
    b"GET / HTTP/9.9\r\n\r\n",
    b"POST /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n",
    b"POST /graphql HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"POST /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{",
    b"GET /graphql HTTP/1.1\r\nHost: evil.example\r\n\r\n",
    b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"X" * 200_000,
    b"",
)
"""What is no request, or only the beginning of one."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the soak runs: the server, its store as another process has it, and good answers by name."""

    server: Served
    store: Store
    expected: Mapping[str, Any]

    @property
    def url(self) -> str:
        """The server's address."""
        return self.server.url


DIED: Final = "WORKER_DIED"
"""The code of a job whose worker died too often."""
PATIENCE_SECONDS: Final = 120
"""For a job to end."""

Part = Callable[[Place, random.Random, Seen], None]
"""Sends one request, or a few that belong together, and notes what came."""


def posted(place: Place, body: Any, headers: Mapping[str, str] | None = None) -> tuple[int, Any]:
    """Status and document of the answer to a body."""
    with connected(place.url) as connection:
        sent = {"Content-Type": "application/json", **(headers or {})}
        connection.request("POST", "/graphql", json.dumps(body), sent)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())


def asked(place: Place, method: str, path: str, body: bytes | None = None) -> tuple[int, Any]:
    """Status and document of the answer to a request for a path."""
    with connected(place.url) as connection:
        connection.request(method, path, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())


def good(place: Place, chance: random.Random, seen: Seen) -> None:
    """A query has the answer that it always has, under documents that were there before, and under new ones."""
    name = chance.choice(list(GOOD))
    query = GOOD[name] if chance.random() < 0.7 else f"{GOOD[name]}# {chance.random()}"
    status, answer = posted(place, {"query": query})
    seen.note("good", status, answer)
    seen.expect(status == 200 and answer.get("data") == place.expected[name], f"{name}: another answer than before")


def selections(place: Place, chance: random.Random, seen: Seen) -> None:
    """Parts of an answer that are chosen at random are found, whatever was chosen before."""
    fields = " ".join(chance.sample(_SELECTIONS, chance.randint(1, len(_SELECTIONS))))
    by = chance.choice(("type", "group", "size", "scope"))
    query = f'{{ trace(reference: "gpt") {{ hotspots(by: {by}) {{ rows {{ {fields} }} }} }} }}'
    status, answer = posted(place, {"query": query})
    seen.note("selections", status, answer)
    seen.expect("errors" not in answer, f"selections: {answer}")


def bad(place: Place, chance: random.Random, seen: Seen) -> None:
    """What means nothing is answered by an error."""
    name = chance.choice(list(BAD))
    status, answer = posted(place, BAD[name])
    seen.note("bad", status, answer)
    seen.expect("errors" in answer, f"{name}: found no error")


def hostile(place: Place, chance: random.Random, seen: Seen) -> None:
    """What costs too much is refused; small ones of its kind are answered."""
    name = chance.choice(list(HOSTILE))
    status, answer = posted(place, {"query": HOSTILE[name]})
    seen.note("hostile", status, answer)


def raw(place: Place, chance: random.Random, seen: Seen) -> None:
    """What is no HTTP, requests that stop in their midst, and clients that hang up without a word or with a reset."""
    parts = urlsplit(place.url)
    with socket.create_connection((str(parts.hostname), parts.port or 80), timeout=30) as connection:
        if chance.random() < 0.3:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        try:
            connection.sendall(chance.choice(_RAW))
            connection.settimeout(0.5)
            begin = connection.recv(12)
        except OSError:
            begin = b""
    seen.note("raw", int(begin[9:12]) if begin[9:12].isdigit() else 0, {})


def hung_up(place: Place, chance: random.Random, seen: Seen) -> None:
    """A client that asks for much and does not wait for it."""
    parts = urlsplit(place.url)
    body = json.dumps({"query": f"{GOOD['operators']}# {chance.random()}"}).encode()
    head = b"POST /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    with socket.create_connection((str(parts.hostname), parts.port or 80), timeout=30) as connection:
        connection.sendall(head % len(body) + body)
    seen.note("hung up", 0, {})


def names(place: Place, chance: random.Random, seen: Seen) -> None:
    """Tags and labels come and go."""
    name = f"t{chance.randrange(20)}"
    mutation = chance.choice(
        (
            f'mutation {{ tagTrace(reference: "soak", name: "{name}") {{ __typename }} }}',
            f'mutation {{ untagTrace(workload: "soak", name: "{name}") {{ __typename }} }}',
            f'mutation {{ labelTrace(reference: "soak", labels: [{{ key: "k", value: "{name}" }}]) {{ __typename }} }}',
            'mutation { simulate(reference: "soak", save: true) { __typename } }',
            'mutation { tagTrace(reference: "nobody", name: "x") { __typename } }',
        )
    )
    key = {"Idempotency-Key": f"k{chance.randrange(50)}-{hash(mutation)}"} if chance.random() < 0.5 else {}
    status, answer = posted(place, {"query": mutation}, key)
    seen.note("names", status, answer)


def replaced(place: Place, chance: random.Random, seen: Seen) -> None:
    """Traces come from another process, are asked, and are deleted by the API."""
    identity = f"{chance.getrandbits(256):064x}"
    place.store.publish(replace(_small(), trace_id=identity), workload="soak")
    status, answer = posted(
        place, {"query": f'{{ trace(reference: "{identity}") {{ hotspots {{ rows {{ key }} }} }} }}'}
    )
    seen.note("replaced", status, answer)
    seen.expect("errors" not in answer, f"a new trace: {answer}")
    status, answer = posted(place, {"query": f'mutation {{ deleteTrace(reference: "{identity}") {{ __typename }} }}'})
    seen.note("replaced", status, answer)
    status, answer = posted(
        place, {"query": f'{{ trace(reference: "{identity}") {{ hotspots {{ rows {{ key }} }} }} }}'}
    )
    seen.note("replaced", status, answer)
    seen.expect("errors" in answer, "a trace that was deleted is answered for")


def uploaded(place: Place, chance: random.Random, seen: Seen) -> None:
    """A file is sent, becomes a trace or an error by a job, and the trace is deleted; it may be sent twice."""
    number = chance.getrandbits(40)
    good = chance.random() < 0.8
    body = trace_file(number) if good else b'{"traceEvents": [' + b"x" * chance.randrange(100)
    path = f"/api/v1/traces?workload=upload-{number}"
    job: dict[str, Any] = {}
    for _ in range(chance.choice((1, 2))):
        status, answer = asked(place, "POST", path, body)
        seen.note("uploaded", status, answer)
        same = not job or not good or answer["job"]["id"] == job["id"]  # what failed may be tried again
        seen.expect(same, f"uploaded: {answer}")
        job = answer["job"]
    until = time.monotonic() + PATIENCE_SECONDS
    while job["state"] in ("queued", "running") and time.monotonic() < until:
        time.sleep(0.2)
        status, answer = asked(place, "GET", f"/api/v1/jobs/{job['id']}")
        seen.note("uploaded", status, answer)
        job = answer["job"]
    died = job["state"] == "failed" and job["error"]["code"] == DIED
    seen.expect(died or job["state"] == ("done" if good else "failed"), f"uploaded: {job}")
    for identity in job["traceIds"]:
        status, answer = posted(
            place, {"query": f'mutation {{ deleteTrace(reference: "{identity}") {{ __typename }} }}'}
        )
        seen.note("uploaded", status, answer)


def worker_killed(place: Place, chance: random.Random, seen: Seen) -> None:
    """A worker dies; another one takes its job over."""
    for worker in place.server.process.children():
        with suppress(psutil.NoSuchProcess):
            worker.kill()
    seen.note("worker killed", 0, {})


@cache
def _small() -> Trace:
    return read(samples.path("dlrm_alltoall"))


PARTS: Final[Mapping[Part, int]] = {
    good: 400, selections: 150, bad: 150, hostile: 100, raw: 50, hung_up: 50, names: 78, replaced: 15, uploaded: 15,
    worker_killed: 2,
}  # fmt: skip
"""What is sent, and how often among a thousand or so."""

__all__ = ["BAD", "GOOD", "HOSTILE", "PARTS", "Part", "Place", "posted"]
