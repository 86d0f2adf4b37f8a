"""The soak: threads that send what chance chooses, for some time; then the server has to be as it was.

`python -m benchmarks.soak --seconds 600`; with `--store neo4j://…` over that store, which gets traces and keeps
them.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from benchmarks.api_load import Served, served
from benchmarks.soak.requests import GOOD, PARTS, Part, Place, posted
from benchmarks.soak.seen import MOST_TOLD, Held, Seen, held, slope
from etgraph.ingest import read, samples
from etgraph.store import Store, connect

SENDERS: Final = 4
BOUNDS: Final[Mapping[str, str]] = {
    "answers": "1 MiB", "documents": "1 MiB", "results": "2 MiB", "traces": "32 MiB", "mutations": "1 MiB",
}  # fmt: skip
"""Memory for what the server keeps: little, so that it is full soon, and what grows afterwards is a leak."""
WARM_SHARE: Final = 0.2
"""For how long it is sent before the first look, as a share of the time."""
MOMENTS: Final = 20
"""How often is looked at what the server holds."""
_IDLE: Final = 2
"""Seconds after which the server drops a connection that says nothing."""
_MOST_THREADS: Final = 2
_MOST_FILES: Final = 4
_MOST_SESSIONS: Final = 4
"""By how many threads, files and connections the server may differ, at rest, from what it was at rest before."""


@dataclass(frozen=True, slots=True)
class Soaked:
    """What the soak found: what it saw, and what the server held, at rest before, meanwhile, and at rest afterwards."""

    seen: Seen
    before: Held
    meanwhile: tuple[Held, ...]
    after: Held

    @property
    def requests(self) -> int:
        """How many were sent."""
        return sum(self.seen.statuses.values())

    @property
    def wrong(self) -> list[str]:
        """All that is wrong, in words."""
        found = list(self.seen.wrong)
        if self.after.threads > self.before.threads + _MOST_THREADS:
            found.append(f"threads: {self.before.threads} before, {self.after.threads} after")
        if self.after.files > self.before.files + _MOST_FILES:
            found.append(f"files: {self.before.files} before, {self.after.files} after")
        if self.after.sessions > self.before.sessions + _MOST_SESSIONS:
            found.append(f"connections to the database: {self.before.sessions} before, {self.after.sessions} after")
        return found


def soak(
    url: str,
    seconds: float,
    *,
    seed: int = 0,
    senders: int = SENDERS,
    parts: Mapping[Part, int] = PARTS,
    **settings: Any,
) -> Soaked:
    """Send what chance chooses to a server over a store, for so many seconds; further keywords are its settings.

    It is sent for a fifth of that time before anything is counted, so that pools and caches are full: what grows from
    then on is a leak.
    """
    seen = Seen()
    with connect(url) as store, served(url, idle=f"{_IDLE} s", receive=f"{_IDLE} s", **BOUNDS, **settings) as server:
        fill(store)
        place = Place(server, store, _answers(server, store))
        _sent(place, server, seconds * WARM_SHARE, seed + 1, senders, parts, seen)
        before = _at_rest(server)
        meanwhile = _sent(place, server, seconds, seed, senders, parts, seen)
        after = _at_rest(server)
        for name, answer in _answers(server, store).items():
            seen.expect(answer == place.expected[name], f"{name}: another answer afterwards")
    seen.expect(server.process.wait(60) in (0, None), "the server did not end well")
    return Soaked(seen, before, meanwhile, after)


def fill(store: Store) -> None:
    """The traces that are asked: one that nobody changes, and one that everybody may."""
    store.publish(read(samples.path("gpt_ddp_5steps")), workload="gpt")
    store.publish(read(samples.path("dlrm_alltoall")), workload="soak")


def _answers(server: Served, store: Store) -> dict[str, Any]:
    place = Place(server, store, {})
    found = {}
    for name, query in GOOD.items():
        status, answer = posted(place, {"query": query})
        assert status == 200, answer
        assert "errors" not in answer, answer
        found[name] = answer["data"]
    return found


def _sent(
    place: Place, server: Served, seconds: float, seed: int, senders: int, parts: Mapping[Part, int], seen: Seen
) -> tuple[Held, ...]:
    """Have threads send until the time is over; what the server held meanwhile."""
    over = threading.Event()

    def send(number: int) -> None:
        chance = random.Random(seed * 1000 + number)
        while not over.is_set():
            (part,) = chance.choices(list(parts), list(parts.values()))
            try:
                part(place, chance, seen)
            except Exception as error:
                seen.expect(False, f"{part.__name__}: {error!r}")

    threads = [threading.Thread(target=send, args=(number,)) for number in range(senders)]
    begin = time.monotonic()
    for thread in threads:
        thread.start()
    moments = []
    for moment in range(1, MOMENTS + 1):
        time.sleep(max(0.0, begin + seconds * moment / MOMENTS - time.monotonic()))
        moments.append(_held(server, time.monotonic() - begin))
    over.set()
    for thread in threads:
        thread.join()
    return tuple(moments)


def _at_rest(server: Served) -> Held:
    """What the server holds once it has dropped connections that say nothing."""
    found = _held(server, 0)
    for _ in range(60):
        time.sleep(0.5)
        previous, found = found, _held(server, 0)
        if (found.files, found.threads) == (previous.files, previous.threads) and not _clients(server):
            break
    return found


def _clients(server: Served) -> int:
    port = urlsplit(server.url).port
    return sum(each.status == "ESTABLISHED" and each.laddr.port == port for each in server.process.net_connections())


def _held(server: Served, seconds: float) -> Held:
    port = urlsplit(server.url).port
    assert port is not None
    return held(server.process, seconds, port)


def main(arguments: Sequence[str] = ()) -> None:
    """Print what was sent and what the server held; exit code 1 where anything is wrong."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--seconds", type=float, default=600)
    asked.add_argument("--seed", type=int, default=0)
    asked.add_argument("--store")
    given = asked.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        found = soak(given.store or f"{folder}/store", given.seconds, seed=given.seed)
    print(f"{found.requests:,} requests in {given.seconds:.0f} s\n\n| part | status | answers |\n|---|---:|---:|")
    for (part, status), count in sorted(found.seen.statuses.items()):
        print(f"| {part} | {status or 'hung up'} | {count:,} |")
    print("\nat rest before:", found.before, *found.meanwhile, "at rest afterwards:", found.after, sep="\n")
    print(f"memory over the later half: {slope(found.meanwhile) / 1e6:+.2f} MB a minute")
    for wrong in found.wrong[:MOST_TOLD]:
        print("WRONG", wrong)
    if found.wrong:
        sys.exit(1)
