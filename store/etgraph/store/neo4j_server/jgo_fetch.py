"""Fetches jars with jgo: `python -m etgraph.store.neo4j_server.jgo_fetch FOLDER ARTIFACT...`.

A process of its own, because jgo takes the folder of its repository from the environment.
"""

from __future__ import annotations

import logging
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

AT_ONCE = 8


class _Complaints(logging.Handler):
    """Keeps jgo's warnings: a wrong checksum is one."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())


def fetch(target: Path, coordinates: list[str]) -> None:
    """Copy artifacts `group:name:version` and all that they need to a folder; raises where a checksum is wrong."""
    import jgo

    complaints = _Complaints()
    logging.getLogger("jgo").addHandler(complaints)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        paths = list(pool.map(lambda artifact: artifact.resolve(), jgo.resolve("+".join(coordinates))))
    wrong = [text for text in complaints.texts if "checksum" in text.lower()]
    if wrong:
        raise RuntimeError("; ".join(wrong))
    for path in paths:
        shutil.copy2(path, target / path.name)


if __name__ == "__main__":
    fetch(Path(sys.argv[1]), sys.argv[2:])
