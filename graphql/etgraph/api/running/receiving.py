"""Requests as waitress receives them: uploads have a bound of their own, and go to the disk where they will lie.

A body that is too large, or for which there is no room, is refused when its headers are there.
"""

from __future__ import annotations

import copy
import tempfile
from pathlib import Path
from typing import Any

from waitress.buffers import OverflowableBuffer, TempfileBasedBuffer
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser
from waitress.utilities import Error

from etgraph.api.http.uploads import PATH
from etgraph.api.jobs.spool import NoRoom, Spool


class _InsufficientStorage(Error):
    code = 507
    reason = "Insufficient Storage"


def channel_class(spool: Spool, most: int) -> type[HTTPChannel]:
    """The class of connections that take uploads of so many bytes, and keep them in a spool."""

    class Parser(HTTPRequestParser):
        def parse_header(self, header_plus: bytes) -> None:
            super().parse_header(header_plus)
            asked: Any = self  # whose attributes are not all declared
            if (asked.command, asked.path) != ("POST", PATH) or asked.body_rcv is None:
                return
            self.adj = copy.copy(self.adj)
            self.adj.max_request_body_size = most + 1
            try:
                spool.check_room(min(self.content_length, most))
            except (NoRoom, OSError) as error:
                self.error = _InsufficientStorage(str(error))
                self.completed = True
                return
            asked.body_rcv.buf = _Buffer(self.adj.inbuf_overflow, spool.folder)

    class Channel(HTTPChannel):
        parser_class = Parser

        def handle_close(self) -> None:
            super().handle_close()
            if self.request is not None:  # what was received of it goes now, and not when memory is cleared
                self.request.close()

    return Channel


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


__all__ = ["channel_class"]
