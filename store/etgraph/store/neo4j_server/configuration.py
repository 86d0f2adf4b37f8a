"""The server's settings: only this machine can reach it, it reports to nobody, and its memory is bounded."""

from __future__ import annotations

import re
from dataclasses import dataclass

from etgraph.model.errors import UsageError

HOST = "127.0.0.1"
DEFAULT_MEMORY = "2g"
SMALLEST = 1 << 30
UNITS = {"m": 1 << 20, "g": 1 << 30}


@dataclass(frozen=True, slots=True)
class Memory:
    """How much memory the server may take, in MiB. What Java itself needs comes on top, about 300 MiB."""

    heap: int
    page_cache: int
    direct: int
    transactions: int


def parse_size(text: str) -> int:
    """Bytes of a size such as `1500m` or `2g`. Raises UsageError for another form, and for less than 1 GiB.

    >>> parse_size("2g"), parse_size("1536M")
    (2147483648, 1610612736)
    """
    found = re.fullmatch(r"(\d+)\s*([mg])(?:i?b)?", text.strip(), re.IGNORECASE)
    if found is None:
        raise UsageError(f"memory: found {text!r}, expected a size such as 1500m or 2g")
    size = int(found[1]) * UNITS[found[2].lower()]
    if size < SMALLEST:
        raise UsageError(f"memory: found {text}, expected 1g or more")
    return size


def shares(size: int) -> Memory:
    """Half for the heap, a quarter for pages of the store, an eighth for network buffers; the rest is kept free.

    >>> shares(2 << 30)
    Memory(heap=1024, page_cache=512, direct=256, transactions=716)
    """
    mebibytes = size >> 20
    heap = mebibytes // 2
    return Memory(heap=heap, page_cache=mebibytes // 4, direct=mebibytes // 8, transactions=heap * 7 // 10)


def configuration(port: int, http_port: int, memory: Memory) -> str:
    """The text of `neo4j.conf`; both releases accept it, strictly checked."""
    settings = {
        "server.default_listen_address": HOST,
        "server.default_advertised_address": HOST,
        "server.bolt.enabled": "true",
        "server.bolt.listen_address": f"{HOST}:{port}",
        "server.bolt.advertised_address": f"{HOST}:{port}",
        "server.http.enabled": "true",
        "server.http.listen_address": f"{HOST}:{http_port}",
        "server.http.advertised_address": f"{HOST}:{http_port}",
        "server.https.enabled": "false",
        "dbms.security.auth_enabled": "true",
        "dbms.usage_report.enabled": "false",
        "client.allow_telemetry": "false",
        "server.memory.heap.initial_size": f"{min(memory.heap, 512)}m",
        "server.memory.heap.max_size": f"{memory.heap}m",
        "server.memory.pagecache.size": f"{memory.page_cache}m",
        "dbms.memory.transaction.total.max": f"{memory.transactions}m",
        # The log of transactions is for copies of other servers, and there are none.
        "db.tx_log.rotation.retention_policy": "256M size",
        "db.tx_log.preallocate": "false",
        "server.config.strict_validation.enabled": "true",
    }
    return "".join(f"{name}={value}\n" for name, value in settings.items())
