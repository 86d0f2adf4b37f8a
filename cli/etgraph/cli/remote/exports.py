"""Exports that a server writes, put where they are wanted: a file, a stream, or a folder out of an archive."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final
from urllib.parse import quote, urlencode

import requests

from etgraph.cli.remote.failures import Unreachable
from etgraph.cli.remote.http import Client
from etgraph.model.cancelling import check
from etgraph.model.errors import UsageError
from etgraph.model.progress import Progress

if TYPE_CHECKING:
    from etgraph.ingest.writers import Written

WRITTEN: Final = "Etgraph-Written"
"""Header that says what an export holds."""
_BLOCK: Final = 1 << 18


def export(
    client: Client, reference: str, target: Path | BinaryIO, format: str, workload_for: str | None, progress: Progress
) -> Written:
    """Write the export that the server makes of a trace. Nothing is left of one that breaks off.

    Raises UsageError for a target that is to be one file of a format of several.
    """
    from etgraph.ingest.writers import FOLDERS
    from etgraph.ingest.writers import check as check_target
    from etgraph.ingest.writers.output import file_output, folder_output

    check_target(target, format, workload_for)
    several = format in FOLDERS
    if several and (not isinstance(target, Path) or (FOLDERS[format] and target.suffix == FOLDERS[format])):
        raise UsageError(f"a server gives {format} as a folder, and {target} is a file", hint="name a folder")
    progress(f"waiting for the export of {reference}")
    asked = urlencode({"format": format} | ({} if workload_for is None else {"for": workload_for}))
    response = client.stream(f"api/v1/traces/{quote(reference, safe='')}/export?{asked}")
    with response:
        progress(f"receiving {reference}")
        try:
            if several:
                assert isinstance(target, Path)
                with folder_output(target) as folder:
                    _unpacked(response, folder)
            else:
                with file_output(target) as sink:
                    for block in response.iter_content(_BLOCK):
                        check()
                        sink.write_bytes(block)
        except (requests.RequestException, tarfile.TarError) as error:
            raise Unreachable(f"{client.url}: the export broke off ({error})", hint="ask again") from None
        return _written(response, format, target)


def _unpacked(response: requests.Response, folder: Path) -> None:
    """Unpack a tar archive as it comes. No file of it may lie outside of the folder."""
    response.raw.decode_content = True
    with tarfile.open(fileobj=response.raw, mode="r|") as archive:
        for member in archive:
            check()
            archive.extract(member, folder, filter="data")


def _written(response: requests.Response, format: str, target: Path | BinaryIO) -> Written:
    from etgraph.ingest.writers import Written

    try:
        told = json.loads(response.headers[WRITTEN])
        path = str(target) if isinstance(target, Path) else None
        return Written(
            format, path, told["operators"], told["dependencies"], told["bytes"], told["replaced"], tuple(told["notes"])
        )
    except (KeyError, ValueError, TypeError):
        raise Unreachable(f"{response.url.partition('?')[0]}: found an answer that is no export of etgraph's") from None


__all__ = ["export"]
