"""Ranks in other processes, as many at a time as the machine has room for."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

from etgraph.ingest.draft import Draft
from etgraph.ingest.drafts import load_draft
from etgraph.ingest.kept import KeepingTask, KeptRanks, read_into_folder
from etgraph.ingest.places import Place
from etgraph.ingest.reading import RankTask, read_rank
from etgraph.ingest.scratch import Scratch
from etgraph.ingest.source import GZIP, ZSTD
from etgraph.model.errors import InputError
from etgraph.model.machine import free_memory, processors
from etgraph.model.progress import Progress
from etgraph.model.workers import each_done

TEXT_A_WORKER: Final = 64 << 20
"""Bytes of text for which another process is worth its start."""
EXPANDS: Final = 15
"""About how many times a compressed trace grows."""
MEMORY_A_TEXT: Final = 1.5
"""About how many bytes of memory reading takes for each byte of a rank's text."""


def read_ranks(
    tasks: Sequence[RankTask], *, workers: int | None, kept: KeptRanks | None, progress: Progress
) -> list[Draft]:
    """The drafts of ranks, in the order of the tasks, read by that many processes (None: as many as are sensible).

    With one worker this process reads them. Raises what reading a rank raises; then no file and no process is left,
    except finished ranks in `kept`.
    """
    count = min(sensible_workers(tasks) if workers is None else workers, len(tasks))
    if kept is not None and kept.taken:
        kept = None
    if count == 1 and kept is None:
        return _read_here(tasks, progress)
    scratch = Scratch()
    try:
        folders = _folders(tasks, count, kept, scratch, progress)
        return [load_draft(folder, keep=scratch) for folder in folders]
    except BaseException:
        scratch.remove()
        raise


def _read_here(tasks: Sequence[RankTask], progress: Progress) -> list[Draft]:
    drafts: list[Draft] = []
    try:
        for number, task in enumerate(tasks):
            progress(f"reading rank {task.files.rank}", number, len(tasks))
            drafts.append(read_rank(task))
    except BaseException:
        # The error's traceback would else hold them, and with them their temporary files.
        drafts.clear()
        raise
    return drafts


def _folders(
    tasks: Sequence[RankTask], count: int, kept: KeptRanks | None, scratch: Scratch, progress: Progress
) -> list[Path]:
    """The folders into which the ranks were read."""
    below, resume = (None, False) if kept is None else (kept.folder, kept.resume)
    keeping = [KeepingTask(task, scratch.path / f"rank-{number}", below, resume) for number, task in enumerate(tasks)]
    folders: dict[int, Path] = {}

    def finish(number: int, folder: Path) -> None:
        folders[number] = folder
        if kept is not None:
            kept.use([folder])

    if count == 1:
        for number, one in enumerate(keeping):
            progress(f"reading rank {one.task.files.rank}", number, len(tasks))
            finish(number, read_into_folder(one))
    else:
        words = f"reading ranks in {count} processes"
        progress(words, 0, len(tasks))
        with closing(each_done(read_into_folder, keeping, count, scratch.path)) as done:
            for number, folder in done:
                finish(number, folder)
                progress(words, len(folders), len(tasks))
    return [folders[number] for number in range(len(tasks))]


def sensible_workers(tasks: Sequence[RankTask]) -> int:
    """How many processes pay for their start, have a processor, and fit into half of the memory that is free."""
    texts = [sum(_text_bytes(file.place) for file in task.files.files) for task in tasks]
    if not sys.executable or sum(texts) < 2 * TEXT_A_WORKER:
        return 1
    room = int(free_memory() / 2 / max(MEMORY_A_TEXT * max(texts), 1))
    return max(min(processors(), room, len(tasks), sum(texts) // TEXT_A_WORKER), 1)


def _text_bytes(place: Place) -> int:
    """About how many bytes of text a file holds."""
    try:
        with place.open() as file:
            head = file.read(4)
        packed = head.startswith(GZIP) or head == ZSTD
        size = place.deflated.size if place.deflated else place.size()
    except (OSError, InputError):
        return 0
    return size * (EXPANDS if packed else 1)
