"""Requests as waitress receives them: uploads have a bound of their own, and go to the disk where they will lie.

Whether an upload is let in is judged by its headers, and nothing of its body is read before: as a task, not by the loop
that serves all connections, since the store is asked. What is refused goes to the application as it is, which answers
as it answers everybody, and the connection ends: not at once, because a client that still sends would see a reset and
no answer, but when the client has stopped or some time is over.
"""

from __future__ import annotations

import copy
import socket
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeAlias

from waitress.buffers import OverflowableBuffer, TempfileBasedBuffer
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser
from waitress.task import WSGITask
from waitress.utilities import Error

from etgraph.api.http.uploads import PATH
from etgraph.api.jobs.spool import NoRoom, Spool


class _InsufficientStorage(Error):
    code = 507
    reason = "Insufficient Storage"


Admits: TypeAlias = Callable[[dict[str, Any]], bool]
"""Whether the upload of that WSGI environment is let in, whatever its body holds."""

LINGER_SECONDS: Final = 30.0
"""For which what a refused client still sends is received and thrown away."""


def channel_class(spool: Spool, most: int, admits: Admits) -> type[HTTPChannel]:
    """The class of connections that take uploads of so many bytes, and keep them in a spool."""

    class Parser(_Parser):
        def parse_header(self, header_plus: bytes) -> None:
            super().parse_header(header_plus)
            asked: Any = self  # whose attributes are not all declared
            if (asked.command, asked.path) != ("POST", PATH) or asked.body_rcv is None:
                return
            self.is_upload = True
            self.adj = copy.copy(self.adj)
            self.adj.max_request_body_size = most + 1
            if self.content_length > most:
                return  # which waitress refuses
            try:
                spool.check_room(self.content_length)
            except (NoRoom, OSError) as error:
                self.error = _InsufficientStorage(str(error))
                self.completed = True
                return
            asked.body_rcv.buf = _Buffer(self.adj.inbuf_overflow, spool.folder)
            self.hold()

    class Channel(_Channel):
        parser_class = Parser

        def admits(self, environ: dict[str, Any]) -> bool:
            return admits(environ)

    return Channel


class _Parser(HTTPRequestParser):
    """A request that can be held: what comes of its body is kept aside, and no client is told to go on."""

    is_upload = False
    held = False
    early = b""
    _continues = False

    def hold(self) -> None:
        self.held, self._continues, self.expect_continue = True, self.expect_continue, False

    def release(self) -> None:
        self.held, self.expect_continue = False, self._continues

    def received(self, data: bytes) -> int:
        if self.held:
            self.early += data  # what came in one packet with the headers
            return len(data)
        return super().received(data)


class _Channel(HTTPChannel):
    """A connection whose uploads are judged before their bodies are read, and which lingers where one was refused."""

    judging = False
    refused = False
    lingers_until: float | None = None

    def admits(self, environ: dict[str, Any]) -> bool:
        raise NotImplementedError

    def readable(self) -> bool:
        return self.lingers_until is not None or (not self.judging and super().readable())

    def received(self, data: bytes) -> bool:
        found: bool = super().received(data)
        done: Any = self.requests
        if any(each.is_upload and each.error for each in done):
            self.refused = True
        self.judge()
        return found

    def judge(self) -> None:
        """Have the request that came judged, where it is held; until it is, nothing is read.

        For the loop, and for the thread that has judged the one before: never both, as one reads and the other judges.
        """
        request: Any = self.request
        server: Any = self.server
        if request is not None and request.held:
            self.judging = True
            server.add_task(_Judgement(self, request))
        else:
            self.judging = False

    def handle_read(self) -> None:
        if self.lingers_until is None:
            super().handle_read()
        elif self.recv(self.adj.recv_bytes) and time.monotonic() > self.lingers_until:
            self.handle_close()

    def handle_close(self) -> None:
        if self.refused and self.lingers_until is None and self.connected and not self.total_outbufs_len:
            self.lingers_until = time.monotonic() + LINGER_SECONDS
            self.will_close = self.close_when_flushed = False
            try:
                self.socket.shutdown(socket.SHUT_WR)  # type: ignore[union-attr]
            except OSError:
                pass  # it has gone
            else:
                return
        super().handle_close()
        if self.request is not None:  # what was received of it goes now, and not when memory is cleared
            self.request.close()


class _Judgement:
    """A task that judges the request which a channel holds, and lets it go on or has it answered as it is."""

    def __init__(self, channel: Any, request: Any) -> None:
        self._channel = channel
        self._request = request

    def service(self) -> None:
        """For a thread of the server."""
        channel, request = self._channel, self._request
        admitted = False
        try:
            admitted = channel.admits(WSGITask(channel, request).get_environment())
        finally:
            if channel.connected:
                (self._let_in if admitted else self._refuse)()
                channel.judge()  # one more upload may have come with the first
                channel.server.pull_trigger()

    def _let_in(self) -> None:
        """The loop does not read the channel yet, so that what came early is received first."""
        channel, request = self._channel, self._request
        request.release()
        if request.early:
            HTTPChannel.received(channel, request.early)
        elif request.expect_continue:
            with channel.requests_lock:
                channel.send_continue()

    def _refuse(self) -> None:
        channel, request = self._channel, self._request
        request.headers["CONNECTION"] = "close"
        request.completed = True
        with channel.requests_lock:
            channel.refused, channel.request = True, None
            channel.requests.append(request)
            if len(channel.requests) == 1:
                channel.server.add_task(channel)

    def cancel(self) -> None:
        """The server ends, and the connection with it."""


class _Buffer(OverflowableBuffer):
    """A buffer whose file lies in a folder; it has no name there, and goes with the connection."""

    def __init__(self, overflow: int, folder: Path) -> None:
        super().__init__(overflow)
        self._folder = folder

    def _set_large_buffer(self) -> None:
        self.buf: Any = _FileBuffer(self._folder, self.buf)
        self.overflowed = True


class _FileBuffer(TempfileBasedBuffer):
    def __init__(self, folder: Path, before: Any) -> None:
        self._folder = folder
        super().__init__(before)

    def newfile(self) -> Any:
        """A file of no name."""
        return tempfile.TemporaryFile("w+b", dir=self._folder)


__all__ = ["Admits", "channel_class"]
