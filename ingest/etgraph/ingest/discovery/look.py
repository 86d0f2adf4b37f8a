"""What a file is, told by its first bytes, and what these say of its rank, process and run."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

import msgspec

from etgraph.ingest.chakra.feeder import ARRAY as FEEDER
from etgraph.ingest.chakra.jsonizer import is_jsonizer
from etgraph.ingest.chakra.sniff import FIRST_TAGS, is_metadata, is_protobuf
from etgraph.ingest.discovery.archives import Candidate, is_archive
from etgraph.ingest.document import Document, read_document, value_end, what_it_is
from etgraph.ingest.kineto.reader import ARRAY as KINETO
from etgraph.ingest.pytorch_et.reader import ARRAY as PYTORCH_ET
from etgraph.ingest.ranks import named_rank, recorded_rank
from etgraph.ingest.source import EMPTY, GZIP, ZSTD, Limits, SourceFile, otherwise_packed
from etgraph.model.errors import InputError

SUFFIXES: Final = tuple(name + packed for name in (".json", ".et") for packed in ("", ".gz", ".zst"))
"""Endings of the names of trace files."""
LONGEST_HEAD: Final = 16 << 20
"""Bytes in which the array of a JSON trace must begin; what stands before it may list thousands of ranks."""
TAIL: Final = 4 << 20
"""Bytes at the end of a file in which facts are looked for that its head lacks."""

_JSON = re.compile(rb"[ \t\r\n]*[{\[]")
_APPLE_DOUBLE = b"\x00\x05\x16\x07"
_CPU_LABEL = re.compile(
    rb'"process_labels"[^{}]{0,200}?"pid"\s*:\s*"?(\d{1,10})"?\s*,[^{}]{0,200}\{\s*"labels"\s*:\s*"CPU"'
)
_CPU_EVENT = re.compile(
    rb'"cat"\s*:\s*"(?:cpu_op|Operator)"\s*,\s*"name"\s*:\s*"[^"\\]{0,200}"\s*,\s*"pid"\s*:\s*"?(\d{1,10})"?\s*,'
)
_DISTRIBUTED = b'"distributedInfo"'
_TRACE_KEY = re.compile(
    rb'"(?:traceEvents|distributedInfo|deviceProperties|baseTimeNanoseconds|workload_graph)"\s*:'
    rb'|"schema"\s*:\s*"\d+\.\d+\.\d+'
)
"""Keys with which traces begin, and hardly anything else."""
_TRACE_WORD = re.compile(r"(?<![a-z])(?:traces?|kineto|chakra|et|eg)(?![a-z])", re.IGNORECASE)
_AFTER_ALL: Final = "the end of the file"
"""What is expected of a file that goes on after a whole JSON value."""


class Kind(StrEnum):
    """What a trace file is."""

    PYTORCH_ET = "pytorch-et"
    KINETO = "kineto"
    CHAKRA = "chakra"
    CHAKRA_JSONIZER = "chakra-jsonizer"
    CHAKRA_FEEDER = "chakra-feeder"


@dataclass(frozen=True, slots=True)
class Facts:
    """What a file itself says, as far as its ends tell: nothing is known where there is None or nothing."""

    rank: int | None = None
    processes: frozenset[int] = frozenset()
    world_size: int | None = None
    backend: str | None = None


@dataclass(frozen=True, slots=True)
class Look:
    """A trace of some kind, or none and why; `damaged` says that it may be meant to be one, by its name."""

    kind: Kind | None = None
    reason: str = ""
    facts: Facts = Facts()
    damaged: bool = False


def may_be_trace(head: bytes) -> bool:
    """Whether a file with these first bytes, compressed or not, may be a trace or an archive of traces."""
    packed = head.startswith(GZIP) or head[:4] == ZSTD
    return packed or is_archive(head) or _JSON.match(head) is not None or _begins_chakra(head)


def named_like_a_trace(name: str) -> bool:
    """Whether the name is one that trace files have."""
    return name.lower().endswith(SUFFIXES)


def _meant(name: str) -> bool:
    """Whether by its name a file can hardly be anything but a trace: that of one rank, or one called so."""
    base = re.split(r"[/!]", name)[-1]
    return named_like_a_trace(base) and (
        named_rank([base])[1] == "name" or _TRACE_WORD.search(base.removesuffix(".gz").removesuffix(".zst")) is not None
    )


def look(candidate: Candidate, limits: Limits) -> Look:
    """Tell what a file is. Reads no more than its first bytes."""
    head, named = candidate.head, named_like_a_trace(candidate.name)
    if not head:
        return _unreadable(candidate, limits)
    if head.startswith(_APPLE_DOUBLE):
        return Look(reason="what macOS keeps beside a file")
    if packed := otherwise_packed(head):
        return Look(reason=packed, damaged=_meant(candidate.name))
    if is_jsonizer(head):
        return Look(Kind.CHAKRA_JSONIZER)
    if _begins_chakra(head) or (".et" in candidate.name and named and is_protobuf(head)):
        return Look(Kind.CHAKRA, facts=_facts_of_chakra(SourceFile(candidate.place, limits), head))
    if _JSON.match(head):
        return _look_into_json(candidate, limits)
    reason = what_it_is(head) or f"text that begins with {head[:24]!r}"
    return Look(reason=reason, damaged=named and (_meant(candidate.name) or _TRACE_KEY.search(head) is not None))


def with_tail(found: Look, candidate_source: SourceFile) -> Look:
    """The same with what the end of a Kineto file says, which the profiler of some years wrote there. Reads it all."""
    if found.kind is not Kind.KINETO or found.facts.rank is not None:
        return found
    tail = _tail(candidate_source)
    at = tail.rfind(_DISTRIBUTED)
    processes = found.facts.processes or _processes(tail)
    facts = replace(found.facts, processes=processes)
    if at >= 0:
        text = tail[at + len(_DISTRIBUTED) :].lstrip().removeprefix(b":").lstrip()
        try:
            distributed = msgspec.json.decode(text[: value_end(text)])
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            distributed = None
        facts = _distributed(facts, {"distributedInfo": distributed})
    return replace(found, facts=facts)


def _unreadable(candidate: Candidate, limits: Limits) -> Look:
    """A file without a first byte: empty, or damaged."""
    try:
        with closing(SourceFile(candidate.place, limits).chunks()) as chunks:
            next(chunks, b"")
    except InputError as error:
        empty = error.found == EMPTY
        return Look(reason=error.found, damaged=(_meant if empty else named_like_a_trace)(candidate.name))
    return Look(reason=EMPTY, damaged=_meant(candidate.name))


def _begins_chakra(head: bytes) -> bool:
    """Whether the file begins with metadata of Chakra that says something, and no other binary data."""
    size = 0
    for count, byte in enumerate(head[:4], 1):
        size |= (byte & 127) << (7 * (count - 1))
        if byte < 128:
            told = 0 < size <= len(head) - count and head[count] in FIRST_TAGS
            return told and is_metadata(head[count : count + size])
    return False


def _look_into_json(candidate: Candidate, limits: Limits) -> Look:
    source = SourceFile(candidate.place, limits)
    head = candidate.head
    while True:
        top, first, error = _parsed(source, head)
        if top.array is not None or error is None:
            break
        longer = _longer_head(source, 4 * len(head)) if len(head) < LONGEST_HEAD else b""
        if len(longer) <= len(head):
            break
        head = longer
    array = top.array
    if array == KINETO or (array == "" and b'"ph"' in first):
        return Look(Kind.KINETO, facts=_facts_of_kineto(top, head))
    if array == PYTORCH_ET and (isinstance(top.rest.get("schema"), str) or _is_node(first)):
        return Look(Kind.PYTORCH_ET, facts=_facts_of_et(top))
    if array == FEEDER:
        return Look(Kind.CHAKRA_FEEDER)
    if array is None and error is not None:
        whole = error.expected == _AFTER_ALL
        evident = _TRACE_KEY.search(head) is not None or (not whole and (_meant(candidate.name) or _damaged(source)))
        damaged = evident and named_like_a_trace(candidate.name)
        return Look(reason=error.found if damaged else f"JSON of something else ({error.found})", damaged=damaged)
    keys = ", ".join(map(repr, list(top.rest)[:8])) or "no keys"
    return Look(reason="a JSON array of other things" if array == "" else f"a JSON object with {keys}")


def _parsed(source: SourceFile, head: bytes) -> tuple[Document, bytes, InputError | None]:
    """What stands before the array in the first bytes of a document, the first element, and what ended the reading."""
    top, first = Document(), b""
    decode = msgspec.json.Decoder(list[msgspec.Raw]).decode
    elements: Callable[[str], Callable[[bytes], list[msgspec.Raw]]] = lambda name: decode  # noqa: E731
    try:
        for block in read_document(_Excerpt(source, head), (KINETO, PYTORCH_ET, FEEDER), elements, top):
            first = first or bytes(block.elements[0])
    except InputError as error:
        return top, first, error
    return top, first, None


class _Excerpt(SourceFile):
    """The first bytes of a file as if they were all of it."""

    def __init__(self, source: SourceFile, head: bytes) -> None:
        super().__init__(source.place, source.limits)
        self._head = head

    def chunks(self) -> Generator[bytes, None, None]:
        """The bytes, once."""
        yield self._head


def _longer_head(source: SourceFile, size: int) -> bytes:
    parts: list[bytes] = []
    try:
        with closing(SourceFile(source.place, source.limits).chunks()) as chunks:
            while sum(map(len, parts)) < size and (chunk := next(chunks, b"")):
                parts.append(chunk)
    except InputError:
        pass
    return b"".join(parts)


def _damaged(source: SourceFile) -> bool:
    """Whether the compression of a file breaks off before the longest head ends."""
    size = 0
    try:
        with closing(SourceFile(source.place, source.limits).chunks()) as chunks:
            while size < LONGEST_HEAD and (chunk := next(chunks, b"")):
                size += len(chunk)
    except InputError:
        return True
    return False


def _is_node(first: bytes) -> bool:
    return b'"ctrl_deps"' in first or b'"rf_id"' in first or b'"fw_parent"' in first


def _facts_of_kineto(top: Document, head: bytes) -> Facts:
    return _distributed(Facts(processes=_processes(head)), top.rest)


def _distributed(facts: Facts, document: dict[str, Any]) -> Facts:
    """The facts with those of the key `distributedInfo`."""
    info = document.get("distributedInfo")
    info = info if isinstance(info, dict) else {}
    backend = info.get("backend")
    return replace(
        facts,
        rank=recorded_rank(document),
        world_size=_count(info.get("world_size")),
        backend=backend if isinstance(backend, str) else None,
    )


def _processes(text: bytes) -> frozenset[int]:
    """The processes whose host events a Kineto file holds: those labelled so, else those of its first operators."""
    labelled = _CPU_LABEL.findall(text)
    return frozenset(map(int, labelled or _CPU_EVENT.findall(text[: 1 << 20])))


def _facts_of_et(top: Document) -> Facts:
    process = _count(top.rest.get("pid"))
    return Facts(processes=frozenset() if process is None else frozenset((process,)))


def _facts_of_chakra(source: SourceFile, head: bytes) -> Facts:
    """What a file of ours says in its metadata; others say nothing of their rank."""
    from etgraph.ingest.chakra.document import document_of
    from etgraph.ingest.chakra.files import metadata_at_head

    try:
        own = document_of(metadata_at_head(source, head))
    except InputError:
        own = None
    return Facts(rank=own.rank, world_size=own.world_size) if own else Facts()


def _count(value: Any) -> int | None:
    """A whole number from 0 on, or None."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 19:
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**31 else None


def _tail(source: SourceFile) -> bytes:
    """The last bytes of a file; none of one that cannot be read."""
    kept = b""
    try:
        with closing(source.chunks()) as chunks:
            for chunk in chunks:
                kept = (kept + chunk)[-TAIL:] if len(kept) + len(chunk) > 2 * TAIL else kept + chunk
    except InputError:
        return b""
    return kept[-TAIL:]
