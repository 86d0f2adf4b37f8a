"""What is read as files: a damaged file of each format, an archive, or a folder with the files of a whole run."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import zstandard

from benchmarks.fuzz import archives, cuttings, documents, messages, programs
from benchmarks.fuzz.programs import Document
from benchmarks.fuzz.seeds import Seeds

MADE_UP = 150
"""Runs of a pool that are made up; pieces of recorded ones come on top."""
MOST_CHARACTERS = 40_000
"""Pieces of recorded traces whose text is longer are left out: small inputs are read quickly."""


@dataclass(frozen=True, slots=True)
class Input:
    """What one reading is given: bytes by name; a folder, or a single file. `refused`: it must not be accepted."""

    kind: str
    files: dict[str, bytes]
    folder: bool = False
    refused: bool = False

    @property
    def may_have_cycles(self) -> bool:
        """Whether files may record dependencies in a circle, as Chakra does; others record times and calls."""
        return self.kind not in ("Kineto", "PyTorch ET") and not all(n.startswith(("kineto", "et")) for n in self.files)

    @property
    def plain(self) -> bool:
        """Whether a folder's files are no archives, so that they mean the same inside one."""
        return not any(name.endswith((".zip", ".tar")) for name in self.files)


class Pool:
    """What files are made from; the same seed gives the same pool where the same traces lie around."""

    def __init__(self, seeds: Seeds, seed: int, *, real: bool, size: int = MADE_UP) -> None:
        rng = random.Random(f"{seed} files")
        self._seeds = seeds
        self._runs = [programs.run(rng) for _ in range(size)]
        if real:
            self._runs += [run for run in cuttings.runs(rng) if all(_is_small(file) for rank in run for file in rank)]
        self._hosts: list[Document] = [host for run in self._runs for host, _ in run]
        self._devices: list[Document] = [device for run in self._runs for _, device in run]
        if real:
            hosts, devices = cuttings.files(rng)
            self._hosts += filter(_is_small, hosts)
            self._devices += filter(_is_small, devices)

    def chakra(self, rng: random.Random) -> Input:
        """A stream of Chakra messages."""
        return Input("Chakra", {"trace.et": self.stream(rng)})

    def chakra_json(self, rng: random.Random) -> Input:
        """The text of either of Chakra's JSON forms."""
        return Input("Chakra JSON", {"trace.json": self._chakra_text(rng)})

    def kineto(self, rng: random.Random) -> Input:
        """A Kineto file."""
        return Input("Kineto", {"trace.json": self._text(self._devices, rng)})

    def pytorch_et(self, rng: random.Random) -> Input:
        """A PyTorch execution trace."""
        return Input("PyTorch ET", {"trace.json": self._text(self._hosts, rng)})

    def archive(self, rng: random.Random) -> Input:
        """An archive that may hold anything, or one that must be refused."""
        run, name = self._files_of_run(rng), rng.choice(("run.zip", "run.tar"))
        if rng.randrange(8) == 0:
            return Input("archives", {name: archives.refused(run, rng)}, refused=True)
        parts = [self.stream(rng), self._chakra_text(rng), self._text(self._devices, rng), b'{"traceEvents": []}']
        return Input("archives", {name: archives.archive(parts, run, rng)})

    def run(self, rng: random.Random) -> Input:
        """The files of all ranks: most are as they should be; one or two are damaged, or lie wrong."""
        files = self._chakra_run(rng) if rng.randrange(6) == 0 else self._files_of_run(rng, damaged=True)
        for _ in range(rng.choice((0, 0, 0, 1, 1, 2))):
            _rearrange(files, rng)
        if rng.randrange(16) == 0:
            files["more.zip"] = archives.archive(list(files.values()) or [b""], {}, rng)
        return Input("runs", {name: _packed_as_named(name, data) for name, data in files.items()}, folder=True)

    def stream(self, rng: random.Random) -> bytes:
        """Chakra messages after their lengths, one of which may be changed."""
        head, nodes = rng.choice(self._seeds.files)
        parts = [head, *nodes]
        if rng.randrange(4):
            at = rng.randrange(len(parts))
            other = rng.choice(self._seeds.nodes if at else self._seeds.metadata)
            parts[at] = messages.message(parts[at], rng, other)
        return messages.stream(parts, rng)

    def _chakra_text(self, rng: random.Random) -> bytes:
        parts: list[Any] = rng.choice(self._seeds.jsonizer) if rng.randrange(2) else [rng.choice(self._seeds.feeder)]
        if rng.randrange(4):
            changed = documents.bent(parts, rng)
            parts = changed if isinstance(changed, list) else [changed]
        return documents.text(parts, rng)

    @staticmethod
    def _text(pool: list[Document], rng: random.Random) -> bytes:
        chosen = rng.choice(pool)
        if rng.randrange(10) == 0 and isinstance(array := chosen.get("traceEvents"), list):
            chosen = array  # type: ignore[assignment]
        data = documents.text([documents.bent(chosen, rng) if rng.randrange(6) else chosen], rng)
        return data if rng.randrange(12) else archives.packed(data, rng)

    def _files_of_run(self, rng: random.Random, *, damaged: bool = False) -> dict[str, bytes]:
        """Both files of each rank, of some runs only one; damaged: up to two of them are."""
        run = rng.choice(self._runs)
        which = rng.choice(("both", "both", "both", "kineto", "et"))
        found = {}
        for number, (host, device) in enumerate(run):
            found |= {f"et_rank{number}.json": host} if which != "kineto" else {}
            found |= {f"kineto_rank{number}.json": device} if which != "et" else {}
        chosen = set(rng.sample(list(found), min(rng.choice((0, 1, 1, 2)), len(found)))) if damaged else set()
        return {name: _damaged(document, rng) if name in chosen else json.dumps(document).encode()
                for name, document in found.items()}  # fmt: skip

    def _chakra_run(self, rng: random.Random) -> dict[str, bytes]:
        files = {f"trace.{rank}.et": self.stream(rng) for rank in range(rng.randrange(1, 4))}
        if rng.randrange(2):
            groups = {"0": [0, 1, 2], "1": [0, 1]}
            files["comm_groups.json"] = documents.text([documents.bent(groups, rng)], rng)
        return files


def _is_small(document: Document) -> bool:
    return len(json.dumps(document)) <= MOST_CHARACTERS


def _damaged(document: Document, rng: random.Random) -> bytes:
    """The text of a document that is bent, whose text is mostly whole: what breaks one file keeps from all others."""
    changed = documents.bent(document, rng)
    return json.dumps(changed).encode() if rng.randrange(6) else documents.text([changed], rng)


def _rearrange(files: dict[str, bytes], rng: random.Random) -> None:
    """Something about which files there are and what they are called."""
    names = list(files)
    if not names:
        return
    name, other = rng.choice(names), rng.choice(names)
    which = rng.randrange(9)
    if which == 0:
        del files[name]
    elif which == 1:
        files[name], files[other] = files[other], files[name]
    elif which == 2:
        files[rng.choice(("copy.json", "kineto_rank7.json", "rank1/x.json", "et_rank0.json", "trace.0.et"))] = files[
            name
        ]
    elif which == 3:
        files[f"{rng.choice(('rank0', 'rank1', 'host'))}/{name}"] = files.pop(name)
    elif which == 4:
        files[name + rng.choice((".gz", ".zst"))] = files.pop(name)
    elif which == 5:
        files[rng.choice(("notes.txt", "x.json", "._trace.json", "etgraph.json"))] = rng.choice((b"", b"{}", b"notes"))
    elif which == 6:
        files[name] = messages.damaged(files[name], rng)
    elif which == 7:
        files[rng.choice(("trace.json", "a.json", "worker0.pt.trace.json", "1.0.2.json"))] = files.pop(name)
    else:
        files[name] = files[name][: rng.randrange(len(files[name]) + 1)]


def _packed_as_named(name: str, data: bytes) -> bytes:
    """Compressed where the name says so; what is compressed already stays as it is."""
    if name.endswith(".gz") and data[:2] != b"\x1f\x8b":
        return gzip.compress(data, 1)
    return zstandard.compress(data, 1) if name.endswith(".zst") else data


SHARES: dict[str, tuple[int, Callable[[Pool, random.Random], Input]]] = {
    "Chakra": (30, Pool.chakra), "Chakra JSON": (30, Pool.chakra_json), "Kineto": (48, Pool.kineto),
    "PyTorch ET": (44, Pool.pytorch_et), "archives": (18, Pool.archive), "runs": (10, Pool.run),
}  # fmt: skip
"""How many of a batch's inputs are of which kind, and how they are made."""
