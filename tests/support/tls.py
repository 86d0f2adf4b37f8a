"""TLS in front of a server that speaks none: what a proxy of the operating kind does, in a thread of the test."""

from __future__ import annotations

import select
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

CHUNK = 1 << 16


@contextmanager
def encrypted(host: str, port: int, context: ssl.SSLContext) -> Iterator[int]:
    """A port of this machine where the server at `host:port` answers under TLS, while the block runs."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=_serve, args=(listening, (host, port), context), daemon=True).start()
        yield listening.getsockname()[1]
        # Closing alone would leave the thread waiting for the next connection.
        listening.shutdown(socket.SHUT_RDWR)


def _serve(listening: socket.socket, address: tuple[str, int], context: ssl.SSLContext) -> None:
    with suppress(OSError):
        while True:
            client, _ = listening.accept()
            threading.Thread(target=_relay, args=(client, address, context), daemon=True).start()


def _relay(client: socket.socket, address: tuple[str, int], context: ssl.SSLContext) -> None:
    # A client that refuses the certificate, or has read enough, just leaves.
    with (
        suppress(OSError),
        client,
        context.wrap_socket(client, server_side=True) as outer,
        socket.create_connection(address) as inner,
    ):
        while True:
            for source in [outer] if outer.pending() else select.select([outer, inner], [], [])[0]:
                data = source.recv(CHUNK)
                if not data:
                    return
                (inner if source is outer else outer).sendall(data)
