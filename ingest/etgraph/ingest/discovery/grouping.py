"""From trace files to ranks: for each a host file, a device file or both, or a Chakra file; contradictions named."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from etgraph.ingest.discovery.look import Facts, Kind
from etgraph.ingest.places import Place
from etgraph.model.errors import InputError

HINT: Final = "give each file by itself, or use read_each / --each to make one trace of each file"
_ROLES: Final = {Kind.PYTORCH_ET: "host", Kind.KINETO: "device"}
_WORDS: Final = {
    Kind.PYTORCH_ET: "PyTorch execution trace",
    Kind.KINETO: "Kineto trace",
    Kind.CHAKRA: "Chakra trace",
    Kind.CHAKRA_JSONIZER: "Chakra trace",
    Kind.CHAKRA_FEEDER: "Chakra trace",
}


@dataclass(frozen=True, slots=True)
class TraceFile:
    """A trace file: where it lies, its name below what was searched, its kind, and the rank with where it is from.

    `rank_from` is `metadata`, `name`, `folder`, `process` (the host file of the process that a device file names) or
    `default` (nothing tells it).
    """

    place: Place
    name: str
    kind: Kind
    rank: int
    rank_from: str
    facts: Facts = field(default_factory=Facts)

    @property
    def role(self) -> str:
        """`host`, `device` or `chakra`."""
        return _ROLES.get(self.kind, "chakra")


@dataclass(frozen=True, slots=True)
class RankFiles:
    """The files of one rank: a Chakra file, or a host file, a device file, or both."""

    rank: int
    host: TraceFile | None = None
    device: TraceFile | None = None
    chakra: TraceFile | None = None

    @property
    def files(self) -> tuple[TraceFile, ...]:
        """Those that there are: the host's, the device's, or Chakra's."""
        return tuple(file for file in (self.host, self.device, self.chakra) if file is not None)


def group(files: Sequence[TraceFile], where: str) -> tuple[tuple[RankFiles, ...], tuple[str, ...]]:
    """The ranks of one run, ascending, and warnings. Where some have times, those without are left out.

    Raises InputError about `where` that names the files which contradict each other: two of one kind for a rank, other
    world sizes, a rank beyond the world, formats that do not go together, host and device files of other processes.
    """
    files = _by_process(files)
    by_rank: dict[int, dict[str, TraceFile]] = {}
    for file in files:
        first = by_rank.setdefault(file.rank, {}).setdefault(file.role, file)
        if first is not file:
            raise _twice(first, file, where)
    ranks = tuple(RankFiles(rank, **by_rank[rank]) for rank in sorted(by_rank))
    _check_formats(ranks, where)
    _check_world(files, where)
    for rank in ranks:
        _check_process(rank, where)
    untimed = [rank for rank in ranks if _lacks_times(rank, ranks)]
    timed = tuple(rank for rank in ranks if rank not in untimed)
    return timed, _without_times(untimed, ranks) + _warnings(timed)


def _lacks_times(rank: RankFiles, ranks: Sequence[RankFiles]) -> bool:
    """Whether a rank has an execution trace alone, which records no times, and others have times too."""
    return rank.device is None and rank.host is not None and any(other.device is not None for other in ranks)


def _twice(first: TraceFile, second: TraceFile, where: str) -> InputError:
    found = f"rank {first.rank} twice: {first.name} and {second.name}"
    if "default" in (first.rank_from, second.rank_from):
        found += " (nothing tells the rank of a file without one in its metadata, its name or its folder)"
    expected = "one file for each rank" if first.role != "host" else "one execution trace for each rank"
    return InputError(where, found=found, expected=expected, hint=HINT)


def _by_process(files: Sequence[TraceFile]) -> list[TraceFile]:
    """Host files whose rank nothing tells get that of the one device file of their process, where there is one."""
    device_ranks: dict[int, set[int]] = {}
    for file in files:
        if file.kind is Kind.KINETO and file.rank_from != "default":
            for process in file.facts.processes:
                device_ranks.setdefault(process, set()).add(file.rank)

    def placed(file: TraceFile) -> TraceFile:
        if file.kind is not Kind.PYTORCH_ET or file.rank_from != "default":
            return file
        ranks = {rank for process in file.facts.processes for rank in device_ranks.get(process, ())}
        return replace(file, rank=min(ranks), rank_from="process") if len(ranks) == 1 else file

    return [placed(file) for file in files]


def _check_formats(ranks: Sequence[RankFiles], where: str) -> None:
    """Chakra files stand alone. Execution traces and Kineto traces of which none are of one rank are no run."""
    chakra = [rank for rank in ranks if rank.chakra is not None]
    for rank in chakra:
        if rank.host or rank.device:
            both = " and ".join(f"{file.name} ({_WORDS[file.kind]})" for file in rank.files)
            found, expected = f"for rank {rank.rank} {both}", "either a Chakra trace, or a PyTorch and a Kineto trace"
            raise InputError(where, found=found, expected=expected, hint=HINT)
    untimed = [rank for rank in ranks if _lacks_times(rank, ranks)]
    apart = bool(untimed) and not any(rank.host and rank.device for rank in ranks)
    formats = sorted({file.kind.value for rank in ranks for file in rank.files})
    if (chakra and len(chakra) < len(ranks)) or apart or len({f for f in formats if f.startswith("chakra")}) > 1:
        of = {kind: file for rank in ranks for file in rank.files for kind in (file.kind.value,)}
        named = ", ".join(f"{kind} ({of[kind].name})" for kind in formats)
        short = ", ".join(formats) + (f" with no times for rank {untimed[0].rank}" if apart and not chakra else "")
        expected = "one format, or a Kineto trace for each rank"
        raise InputError(where, found=f"formats {short}: {named}", expected=expected, hint=HINT)


def _check_world(files: Sequence[TraceFile], where: str) -> None:
    """One world size and one backend of the world's process group, and no rank beyond it."""
    backends = {file.facts.backend: file.name for file in reversed(files) if file.facts.backend is not None}
    if len(backends) > 1:
        named = ", ".join(f"{backend} ({backends[backend]})" for backend in sorted(map(str, backends)))
        raise InputError(where, found=f"backends {named}", expected="one backend of the default group", hint=HINT)
    sizes: dict[int | None, str] = {}
    devices = [file for file in files if file.kind is Kind.KINETO]
    for file in files:
        if file.facts.world_size is not None or (file.kind is Kind.KINETO and len(devices) > 1):
            sizes.setdefault(file.facts.world_size, file.name)
    check_sizes(where, sizes, [(file.rank, f"{file.name}, from its {file.rank_from}") for file in files])


def check_sizes(where: str, sizes: Mapping[int | None, str], ranks: Iterable[tuple[int, str]]) -> None:
    """One world size, and no rank beyond it; of each size a file that tells it, and of each rank one and what told it.

    Raises InputError about `where`. A size is None where a file tells none although others do.
    """
    if len(sizes) > 1:
        ordered = sorted(sizes, key=lambda s: s or 0)
        sized = ", ".join("none" if s is None else str(s) for s in ordered)
        named = ", ".join(sizes[s] for s in ordered)
        raise InputError(where, found=f"world sizes {sized} ({named})", expected="one world size", hint=HINT)
    for size in sizes:
        beyond = [(rank, told) for rank, told in ranks if size is not None and rank >= size]
        if beyond:
            found = f"rank {beyond[0][0]} ({beyond[0][1]}) of a world of {size}"
            raise InputError(where, found=found, expected=f"ranks 0 to {(size or 1) - 1}", hint=HINT)


def _check_process(rank: RankFiles, where: str) -> None:
    """The host and the device file of a rank come from one process."""
    if rank.host is None or rank.device is None:
        return
    host, device = rank.host.facts.processes, rank.device.facts.processes
    if host and device and not host & device:
        found = (
            f"for rank {rank.rank} {rank.host.name} of process {_listed(host)}"
            f" and {rank.device.name} of process {_listed(device)}"
        )
        raise InputError(where, found=found, expected="an execution trace and a Kineto trace of one run", hint=HINT)


def _listed(numbers: Iterable[int]) -> str:
    return ", ".join(map(str, sorted(numbers)[:4]))


def _without_times(untimed: Sequence[RankFiles], ranks: Sequence[RankFiles]) -> tuple[str, ...]:
    """A warning of ranks that are left out because they have no times."""
    if not untimed:
        return ()
    shown = ", ".join(str(rank.rank) for rank in untimed[:8]) + (", …" if len(untimed) > 8 else "")
    have = "has" if len(untimed) == 1 else "have"
    return (f"{len(untimed)} of {len(ranks)} ranks {have} no Kineto trace and thus no times, left out: rank {shown}",)


def _warnings(ranks: Sequence[RankFiles]) -> tuple[str, ...]:
    """What a set of files lacks that is no error."""
    has = Counter(file.role for rank in ranks for file in rank.files)
    lacking = [rank.rank for rank in ranks if rank.host is None]
    if has["host"] and has["device"] and lacking:
        shown = ", ".join(map(str, lacking[:8])) + (", …" if len(lacking) > 8 else "")
        return (f"{len(lacking)} of {len(ranks)} ranks have no PyTorch execution trace, rank {shown}",)
    return ()
