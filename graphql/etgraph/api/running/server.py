"""A waitress server that drops slow clients, and that ends without breaking off the requests that it has.

Waitress asks each connection for a sign of life only, which a client gives with one byte now and then. Here a request
has to be there as a whole, and an answer to be taken, within `receive` seconds; large ones have more, at a slow line's
rate.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from waitress import wasyncore
from waitress.channel import HTTPChannel
from waitress.server import BaseWSGIServer, create_server
from waitress.task import ThreadedTaskDispatcher

from etgraph.api.http import logs
from etgraph.api.http.app import ADMITS
from etgraph.api.jobs.spool import Spool
from etgraph.api.running.receiving import channel_class
from etgraph.api.settings import Settings
from etgraph.model.errors import StoreError

if TYPE_CHECKING:
    from flask import Flask

_LOOK_SECONDS: Final = 0.5
"""How long the loop may sleep: between two looks at clients, and at whether to stop."""
SLOWEST: Final = 64 << 10
"""Bytes a second at which a client must send or take what is large."""
_BEYOND: Final = 1 << 20
"""Room in an output buffer beside an answer of the greatest size, so that no thread waits for a client to read."""


# Waitress warns of every request that waits for a thread; their number is bounded by that of connections.
logging.getLogger("waitress.queue").setLevel(logging.ERROR)


class ServerError(StoreError):
    """The server cannot run: its address is taken, or is none of this machine."""

    code = "SERVER"


class Server:
    """A server that listens once it is made; `run` answers until `stop`, from a signal or another thread."""

    def __init__(
        self,
        app: Flask,
        settings: Settings,
        spool: Spool | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`spool` is where uploads go; without it they have the bound of other requests."""
        self._settings = settings
        self._clock = clock
        self._map: dict[int, Any] = {}
        self._waiting: dict[HTTPChannel, _Waiting] = {}
        self._stopping = threading.Event()
        self._dispatcher = ThreadedTaskDispatcher()
        self._dispatcher.set_thread_count(settings.threads)
        try:
            create_server(
                app,
                map=self._map,
                _dispatcher=self._dispatcher,
                host=settings.host,
                port=settings.port,
                threads=settings.threads,
                connection_limit=settings.connections,
                channel_timeout=max(1, round(settings.idle_ns / 1e9)),
                cleanup_interval=1,
                max_request_body_size=settings.limits.body_bytes,
                max_request_header_size=64 << 10,
                outbuf_high_watermark=settings.limits.response_bytes + _BEYOND,
                asyncore_use_poll=True,
                ident="etgraph",
            )
        except OSError as error:
            self._close()
            raise ServerError(
                f"cannot listen at {settings.host}, port {settings.port}: {error.strerror or error}",
                hint="choose another port with --port, or 0 for any that is free",
            ) from None
        if spool is not None:
            for listener in self._of(BaseWSGIServer):
                listener.channel_class = channel_class(spool, settings.limits.upload_bytes, app.extensions[ADMITS])
        self._listener = self._of(BaseWSGIServer)[0]
        host, port = self._listener.effective_host, self._listener.effective_port
        self.url = f"http://{f'[{host}]' if ':' in host else host}:{port}"

    def run(self) -> None:
        """Answer requests until the server is told to stop; then until those that it has are answered."""
        while not self._stopping.is_set():
            self._turn()
        until = self._clock() + self._settings.grace_ns / 1e9
        for listener in self._of(BaseWSGIServer):
            wasyncore.dispatcher.close(listener)  # and not its own `close`, after which threads cannot wake the loop
        logs.event("stopping", inFlight=sum(map(_is_busy, self._of(HTTPChannel))))
        while self._clock() < until and any(map(_is_busy, self._of(HTTPChannel))):
            self._turn()
        cut = sum(map(_is_busy, self._of(HTTPChannel)))
        self._close()
        logs.event("stopped", broken=cut)

    def stop(self) -> None:
        """Tell the server to end; it takes no further connections."""
        self._stopping.set()
        with suppress(OSError):  # it may have looked by itself, and ended meanwhile
            self._listener.pull_trigger()

    def _close(self) -> None:
        wasyncore.close_all(self._map, ignore_all=True)
        self._dispatcher.shutdown(timeout=1)

    def _turn(self) -> None:
        wasyncore.loop(timeout=_LOOK_SECONDS, use_poll=True, map=self._map, count=1)
        self._drop_slow()

    def _drop_slow(self) -> None:
        """Close connections that are in the midst of a request, or of taking an answer, for too long."""
        now, most = self._clock(), self._settings.receive_ns / 1e9
        waiting = {
            channel: self._waiting.get(channel) or _Waiting(now, channel.total_outbufs_len)
            for channel in self._of(HTTPChannel)
            if _waits(channel)
        }
        for channel, since in waiting.items():
            if now - since.moment > most + since.moved(channel) / SLOWEST:
                logs.LOG.warning("slow client", extra={"fields": {"address": channel.addr[0]}})
                channel.handle_close()
        self._waiting = waiting

    def _of(self, kind: type[Any]) -> list[Any]:
        return [each for each in self._map.values() if isinstance(each, kind)]


@dataclass(frozen=True, slots=True)
class _Waiting:
    """Since when it is a client's turn, and how many bytes it had to take then."""

    moment: float
    to_take: int

    def moved(self, channel: HTTPChannel) -> int:
        """Bytes that came from the client or went to it since."""
        received = 0 if channel.request is None else channel.request.body_bytes_received
        return received + max(0, self.to_take - channel.total_outbufs_len)


def _waits(channel: HTTPChannel) -> bool:
    """Whether it is the client's turn: to send the rest of a request, or to take an answer."""
    if getattr(channel, "judging", False):
        return False
    return not channel.requests and (channel.request is not None or channel.total_outbufs_len > 0)


def _is_busy(channel: HTTPChannel) -> bool:
    """Whether a request is worked on, or its answer not yet sent."""
    return bool(channel.requests) or channel.total_outbufs_len > 0


__all__ = ["Server", "ServerError"]
