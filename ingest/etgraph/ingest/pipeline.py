"""From files to a trace: files are found and grouped, each rank is read into a draft, all ranks become one trace.

What the passes add is listed in three places: `passes_of_a_file` and `passes_of_a_rank` in `reading`, which run in the
process that reads the rank, and `passes_of_all_ranks` here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from etgraph.ingest.chakra.groups import Groups, with_members
from etgraph.ingest.chakra.normalise import normalise
from etgraph.ingest.communication.matching import match
from etgraph.ingest.discovery import HINT, discover, is_archive
from etgraph.ingest.discovery.grouping import check_sizes
from etgraph.ingest.draft import Draft, Pass
from etgraph.ingest.iterations import STEP
from etgraph.ingest.joining import join
from etgraph.ingest.kept import KeptRanks
from etgraph.ingest.parallel import read_ranks
from etgraph.ingest.reading import Options, RankTask, finished, read_file
from etgraph.ingest.shifting import FARTHEST_NS, YEAR_NS, farthest
from etgraph.ingest.source import Limits, SourceFile
from etgraph.model import Report, Trace
from etgraph.model.errors import EtgraphError, InputError, UsageError
from etgraph.model.progress import Progress, silent


def passes_of_all_ranks(options: Options, groups: Groups) -> tuple[Pass, ...]:
    """What follows once all ranks are one draft; `groups` are the members of process groups from a file beside them."""
    return (
        lambda draft: replace(draft, trace=with_members(draft.trace, groups)),
        lambda draft: replace(draft, trace=normalise(draft.trace)),
        match,
    )


def read(
    path: str | Path,
    *,
    iteration: str = STEP,
    limits: Limits | None = None,
    workers: int | None = None,
    kept: KeptRanks | None = None,
    progress: Progress = silent,
) -> Trace:
    """One trace from a file, or from a folder or an archive that holds the files of one run.

    Archives are zip and tar, compressed by gzip or zstd or not, also in each other. `iteration` is a glob over the
    annotations that mark steps. Ranks are read by `workers` processes (None: as many as are sensible; 1: by this one);
    `kept` is where finished ranks outlive a reading that breaks off. Raises InputError naming file, place, what was
    found and what was expected; NotFound for a path that does not exist; UsageError for less than one worker.
    """
    if workers is not None and workers < 1:
        raise UsageError(f"{workers} workers; there must be at least one", hint="None is as many as are sensible")
    path, options = Path(path), Options(iteration)
    if not path.is_dir() and not is_archive(SourceFile(path, limits).head()):
        progress("reading", 0, 1)
        return one_trace([finished(read_file(SourceFile(path, limits), options))], options)
    progress("searching")
    with discover(path, limits) as found:
        run, groups = found.one_run(), found.groups()
        tasks = [RankTask(rank, options, limits) for rank in run.ranks]
        drafts = read_ranks(tasks, workers=workers, kept=kept, progress=progress)
    progress("joining", len(tasks), len(tasks))
    _check_whole_files(path, drafts)
    report = Report(warnings=run.warnings, ignored=run.ignored + found.ignored)
    return one_trace(drafts, options, groups, report)


def read_each(
    path: str | Path, *, iteration: str = STEP, limits: Limits | None = None
) -> Iterator[tuple[Path, Trace | EtgraphError]]:
    """A trace for each file of a folder or an archive (or for one file), lazily; one that cannot be read: its error.

    A member of an archive has a path such as `run.zip!rank0/kineto.json`. Raises what `read` raises of an archive; one
    that lies in a folder is a path with an error, as is a folder that cannot be read.
    """
    path, options = Path(path), Options(iteration)
    if not path.is_dir() and not is_archive(SourceFile(path, limits).head()):
        yield path, _trace_or_error(SourceFile(path, limits), options)
        return
    with discover(path, limits) as found:
        meant = found.meant_as_traces()
        if not meant and not found.refused:
            raise found.nothing()
        for place, name, rank in meant:
            yield Path(str(place)), _trace_or_error(SourceFile(place, limits, name=name, rank=rank), options)
        for place, error in found.refused:
            yield Path(str(place)), error


def _trace_or_error(source: SourceFile, options: Options) -> Trace | EtgraphError:
    try:
        return one_trace([finished(read_file(source, options))], options)
    except EtgraphError as error:
        return error


def one_trace(
    drafts: Sequence[Draft], options: Options, groups: Groups | None = None, report: Report | None = None
) -> Trace:
    """One trace of the ranks' drafts, all passes done, with its id."""
    draft = join(drafts)
    for step in passes_of_all_ranks(options, groups or {}):
        draft = step(draft)
    draft = draft.with_report(report or Report())
    trace = draft.trace
    digest = hashlib.sha256(repr(sorted(asdict(options).items())).encode())
    digest.update(repr(sorted((groups or {}).items())).encode() if groups else b"")
    for source in sorted(trace.metadata.sources, key=lambda s: (s.rank, s.format, s.sha256)):
        digest.update(f"{source.rank} {source.sha256}\n".encode())
    metadata = replace(trace.metadata, options=asdict(options))
    return replace(trace, trace_id=digest.hexdigest(), metadata=metadata)


def _check_whole_files(path: Path, drafts: Sequence[Draft]) -> None:
    """What only whole files tell: ranks in metadata that no end of a file holds, sizes of the world, and times."""
    by_rank: dict[int, str] = {}
    sizes: dict[int | None, str] = {}
    for draft in drafts:
        metadata = draft.trace.metadata
        source = metadata.sources[0]
        if source.rank in by_rank:
            found = f"rank {source.rank} twice: {by_rank[source.rank]} and {source.name}"
            raise InputError(str(path), found=found, expected="one file for each rank", hint=HINT)
        by_rank[source.rank] = source.name
        if metadata.world_size is not None:
            sizes.setdefault(metadata.world_size, source.name)
    check_sizes(str(path), sizes, by_rank.items())
    zeros = [zero for draft in drafts if (zero := draft.trace.metadata.zero_ns) is not None]
    apart = max((farthest(draft.trace) for draft in drafts), default=0) + (max(zeros) - min(zeros) if zeros else 0)
    if apart > FARTHEST_NS:
        found = f"ranks whose times are {apart / YEAR_NS:.0f} years apart"
        raise InputError(str(path), found=found, expected="times of one run", hint=HINT)
