"""Kineto events from the stream into raw columns, a block at a time."""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec
import numpy as np

from etgraph.ingest.digits import nanoseconds
from etgraph.ingest.document import Block, Document, source_error
from etgraph.ingest.draft import NULL, Draft, Growing, Texts, int64s
from etgraph.ingest.kineto.events import Arguments, Event, MemoryArguments, WaitArguments, meaning
from etgraph.ingest.kineto.values import MESSAGE, peer_and_tag, whole_number
from etgraph.ingest.source import SourceFile
from etgraph.model import AttributeWriter, Category, Span
from etgraph.model.columns import Array

T = TypeVar("T")
ARRAY = "traceEvents"
WARPS = 64
"""Warps that a multiprocessor can hold."""
MOST_WAVES = 1e7
"""No kernel has so many; more are taken for as many."""
LONGEST_NS = 366 * 86_400 * 10**9
"""No operator takes longer than this; a longer duration is a damaged file."""

_INTERVALS = {
    "name": "i4", "category": "i4", "lane": "i4", "start": "i8", "duration": "i8", "order": "i8", "position": "i8",
    "attrs": "i4", "correlation": "i8", "external": "i8", "record_function": "i8", "sequence": "i8",
    "shapes": "i4", "stack": "i4", "modules": "i4", "device": "i4", "message": "i4", "waves": "f4",
    "group_sequence": "i8",
}  # fmt: skip
_PLAIN = Arguments()
_NO_ARGUMENTS = frozenset({b"", b"{}", b"null"})


@dataclass(frozen=True, slots=True)
class Message:
    """What the arguments of a communication operator say; equal ones share a row."""

    collective: str
    elements_in: int
    elements_out: int
    dtype: str
    group: str
    description: str
    ranks: bytes
    size: int
    start: int = -1
    stride: int = -1
    peer: int = -1
    tag: int = -1


@dataclass(slots=True)
class Recording:
    """All that was read, in file order: raw columns and the texts that their codes stand for."""

    intervals: dict[str, Array]
    names: list[str]
    categories: list[str]
    lanes: list[tuple[Any, Any]]
    shapes: list[tuple[bytes, bytes]]
    stacks: list[str]
    modules: list[str]
    messages: list[Message]
    flows: dict[str, Array]
    instants: dict[str, Array]
    memory: dict[str, Array]
    counters: dict[str, Array]
    waits: dict[str, Array]
    thread_names: dict[tuple[Any, Any], str]
    processes: dict[str, dict[str, Any]]
    unread: Counter[str]


class KinetoReader:
    """Collects blocks of events; `finish` makes the draft of them."""

    def __init__(self, source: SourceFile, attributes: AttributeWriter) -> None:
        self._source = source
        self._attributes = attributes
        self._names, self._categories, self._stacks, self._modules = Texts(), Texts(), Texts(), Texts()
        self._lanes: Any = Texts()
        self._shapes: Any = Texts()
        self._messages: Any = Texts()
        self._typed: list[bool] = []
        self._synchronises: list[bool] = []
        self._intervals = Growing(_INTERVALS)
        self._flows = Growing({"start": "?", "id": "i8", "lane": "i4", "time": "i8"})
        self._flow_ids: Any = Texts()
        self._instants = Growing({"name": "i4", "lane": "i4", "time": "i8", "attrs": "i4"})
        self._memory = Growing(
            {"lane": "i4", "time": "i8", "address": "u8", "known": "?", "bytes": "i8", "allocated": "i8",
             "reserved": "i8", "device_type": "i4", "device": "i4", "attrs": "i4"}
        )  # fmt: skip
        self._counters = Growing({"name": "i4", "time": "i8", "value": "f8"})
        self._waits = Growing(dict.fromkeys(WaitArguments.__struct_fields__, "i8"))
        self._thread_names: dict[tuple[Any, Any], str] = {}
        self._processes: dict[str, dict[str, Any]] = {}
        self._unread: Counter[str] = Counter()
        self._block: Block[Event] | None = None
        self._decode_arguments = msgspec.json.Decoder(Arguments, strict=False).decode
        self._decode_wait = msgspec.json.Decoder(WaitArguments, strict=False).decode
        self._decode_memory = msgspec.json.Decoder(MemoryArguments, strict=False).decode
        self.decode = msgspec.json.Decoder(list[Event]).decode

    def add(self, block: Block[Event]) -> None:
        """Take one block of events. Raises InputError for a field of a wrong type or an absurd value."""
        self._block = block
        events = block.elements
        positions = [i for i, e in enumerate(events) if e.ph == "X"]
        if positions:
            self._add_intervals([events[i] for i in positions], np.array(positions))
        if len(positions) < len(events):
            self._add_others([(i, e) for i, e in enumerate(events) if e.ph != "X"])

    def finish(self, top: Document) -> Draft:
        """The draft of everything that was added."""
        from etgraph.ingest.kineto.assemble import assemble

        recording = Recording(
            self._intervals.join(), list(self._names), list(self._categories), list(self._lanes), list(self._shapes),
            list(self._stacks), list(self._modules), list(self._messages), self._flows.join(), self._instants.join(),
            self._memory.join(), self._counters.join(), self._waits.join(), self._thread_names, self._processes,
            self._unread,
        )  # fmt: skip
        return assemble(recording, self._source, top)

    def _fail(self, number: int, found: str, expected: str, what: str) -> Exception:
        """An error about one event of the current block."""
        return self._source.error(found, expected, f"{self._place(number)}, {what}")

    def _place(self, number: int) -> str:
        """Where an event of the current block stands."""
        assert self._block is not None
        event = self._block.elements[number]
        return f"event {self._block.first + number} ({event.name[:60]!r}, after byte {self._block.offset:,})"

    def _times(self, texts: Sequence[bytes], numbers: Sequence[int] | Array, what: str) -> Array:
        try:
            return nanoseconds(texts)
        except ValueError as error:
            row, found, expected = error.args
            raise self._fail(int(numbers[row]), "nothing" if found == "b''" else found, expected, what) from None

    def _add_intervals(self, events: list[Event], numbers: Array) -> None:
        count = len(events)
        start = self._times([bytes(e.ts) for e in events], numbers, "ts")
        durations = [b"" if (digits := bytes(e.dur)) == b"null" else digits for e in events]
        self._unread["durations that are missing (taken as 0)"] += durations.count(b"")
        duration = self._times([digits or b"0" for digits in durations], numbers, "dur")
        absurd = np.flatnonzero((duration < 0) | (duration > LONGEST_NS))
        if len(absurd):
            row = int(absurd[0])
            raise self._fail(int(numbers[row]), f"{duration[row] / 1e9:,.9g} s", "0 s to 366 days", "dur")
        category = self._categories.codes([e.cat for e in events], count)
        for text in list(self._categories)[len(self._typed) :]:
            self._typed.append(isinstance(meaning(text), Category) or text == "user_annotation")
            self._synchronises.append(meaning(text) is Span.SYNCHRONIZATION)
        typed = np.array(self._typed)[category].tolist()
        given = [bytes(e.args) for e in events]
        arguments = [
            self._decoded(self._decode_arguments, e, numbers[i]) if wanted and given[i] not in _NO_ARGUMENTS else _PLAIN
            for i, (e, wanted) in enumerate(zip(events, typed, strict=True))
        ]
        waits = np.flatnonzero(np.array(self._synchronises)[category]).tolist()
        if waits := [i for i in waits if given[i] not in _NO_ARGUMENTS]:
            self._add_waits([self._decoded(self._decode_wait, events[i], int(numbers[i])) for i in waits])
        position = numbers + (self._block.first if self._block else 0)
        order = int64s([a.order if a.order != NULL else a.order_2022 for a in arguments])
        external = int64s([a.external if a.external != NULL else a.external_2021 for a in arguments])
        order = np.where(order != NULL, order, np.where(external != NULL, external, position))
        lanes, shapes, messages = self._lanes, self._shapes, self._messages
        self._intervals.add(
            name=self._names.codes([e.name for e in events], count),
            category=category,
            lane=np.array([lanes[e.pid, e.tid] for e in events]),
            start=start,
            duration=duration,
            order=order,
            position=position,
            attrs=self._write(given),
            correlation=int64s([a.correlation for a in arguments]),
            external=external,
            record_function=int64s([a.record_function for a in arguments]),
            sequence=int64s([a.sequence for a in arguments]),
            shapes=np.array([shapes[bytes(a.dims), bytes(a.types)] if a.dims else -1 for a in arguments]),
            stack=np.array([self._stacks[a.call_stack] if a.call_stack else -1 for a in arguments]),
            modules=np.array([self._modules[a.modules] if a.modules else -1 for a in arguments]),
            device=np.array([d if isinstance(d := a.device, int) and 0 <= d < 2**31 else -1 for a in arguments]),
            message=np.array(
                [
                    messages[m]
                    if (a.collective or a.values or a.group or a.group_size >= 0)
                    and (m := _message(e.name, a)) is not None
                    else -1
                    for e, a in zip(events, arguments, strict=True)
                ]
            ),
            group_sequence=int64s([whole_number(s, NULL) if (s := a.group_sequence) else NULL for a in arguments]),
            waves=np.array([_waves(a) if a.occupancy > 0 else math.nan for a in arguments]),
        )

    def _add_waits(self, found: list[WaitArguments]) -> None:
        self._waits.add(**{k: int64s([getattr(a, k) for a in found]) for k in WaitArguments.__struct_fields__})

    def _decoded(self, decode: Callable[[msgspec.Raw], T], event: Event, number: int) -> T:
        """The arguments of an event of the current block. One that is null says nothing, like one that is absent."""
        try:
            try:
                return decode(event.args)
            except msgspec.ValidationError:
                return decode(msgspec.Raw(_without_nulls(event.args)))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            name = str(error).partition(" - at `$.")[2].strip("`")
            place = f"{self._place(number)}, args" + (f", {name!r}" if name else "")
            raise source_error(self._source, error, place) from error

    def _write(self, arguments: Sequence[bytes]) -> Array:
        """Put arguments into the attribute file; their rows, -1 for events without any."""
        has = np.array([text not in _NO_ARGUMENTS for text in arguments])
        first = self._attributes.extend([text for text, kept in zip(arguments, has, strict=True) if kept])
        return np.where(has, first + np.cumsum(has) - 1, -1)

    def _add_others(self, numbered: list[tuple[int, Event]]) -> None:
        by_phase: dict[str, list[tuple[int, Event]]] = {}
        for number, event in numbered:
            by_phase.setdefault(event.ph, []).append((number, event))
        for phase, found in by_phase.items():
            if phase in ("s", "f"):
                self._add_flows(found)
            elif phase in ("i", "I"):
                self._add_instants(found)
            elif phase == "C":
                self._add_counters(found)
            elif phase == "M":
                self._add_labels(found)
            else:
                self._unread[f"events of phase {phase!r}"] += len(found)

    def _add_flows(self, found: list[tuple[int, Event]]) -> None:
        kept = [(n, e) for n, e in found if e.cat == "fwdbwd"]
        for category, count in Counter(e.cat for _, e in found if e.cat != "fwdbwd").items():
            self._unread[f"flow:{category}"] += count
        if kept:
            self._flows.add(
                start=np.array([e.ph == "s" for _, e in kept]),
                id=np.array([self._flow_ids[e.id] for _, e in kept]),
                lane=np.array([self._lanes[e.pid, e.tid] for _, e in kept]),
                time=self._times([bytes(e.ts) for _, e in kept], [n for n, _ in kept], "ts"),
            )

    def _add_instants(self, found: list[tuple[int, Event]]) -> None:
        memory = [(n, e) for n, e in found if e.name == "[memory]" and e.args]
        others = [(n, e) for n, e in found if not (e.name == "[memory]" and e.args)]
        if others:
            self._instants.add(
                name=np.array([self._names[e.name] for _, e in others]),
                lane=np.array([self._lanes[e.pid, e.tid] for _, e in others]),
                time=self._times([bytes(e.ts) for _, e in others], [n for n, _ in others], "ts"),
                attrs=self._write([bytes(e.args) for _, e in others]),
            )
        if memory:
            decoded = [self._decoded(self._decode_memory, e, n) for n, e in memory]
            self._memory.add(
                lane=np.array([self._lanes[e.pid, e.tid] for _, e in memory]),
                time=self._times([bytes(e.ts) for _, e in memory], [n for n, _ in memory], "ts"),
                address=np.array([(a.address or 0) % 2**64 for a in decoded], dtype=np.uint64),
                known=np.array([a.address is not None for a in decoded]),
                bytes=int64s([a.bytes for a in decoded]),
                allocated=int64s([a.allocated for a in decoded]),
                reserved=int64s([a.reserved for a in decoded]),
                device_type=np.array([a.device_type for a in decoded]),
                device=np.array([a.device for a in decoded]),
                attrs=self._write([bytes(e.args) for _, e in memory]),
            )

    def _add_counters(self, found: list[tuple[int, Event]]) -> None:
        names, times, values = [], [], []
        moments = self._times([bytes(e.ts) for _, e in found], [n for n, _ in found], "ts").tolist()
        for (number, event), time in zip(found, moments, strict=True):
            for key, value in self._members(event, number).items():
                if isinstance(value, (int, float)) and abs(value) <= sys.float_info.max:
                    names.append(self._names[f"{event.name}/{key}"])
                    times.append(time)
                    values.append(float(value))
                else:
                    self._unread["counter values that are no numbers"] += 1
        if names:
            self._counters.add(name=np.array(names), time=np.array(times), value=np.array(values))

    def _members(self, event: Event, number: int) -> dict[str, Any]:
        """All arguments; empty where they are missing or no object."""
        found = self._decoded(msgspec.json.decode, event, number) if event.args else None
        return found if isinstance(found, dict) else {}

    def _add_labels(self, found: list[tuple[int, Event]]) -> None:
        for number, event in found:
            labels = self._members(event, number)
            if event.name == "thread_name":
                self._thread_names[event.pid, event.tid] = str(labels.get("name", ""))
            elif event.name.startswith("process_"):
                self._processes.setdefault(str(event.pid), {}).update(labels)


def _without_nulls(arguments: msgspec.Raw) -> bytes:
    members = msgspec.json.decode(arguments)
    if isinstance(members, dict):
        members = {key: value for key, value in members.items() if value is not None}
    return msgspec.json.encode(members)


def _waves(arguments: Arguments) -> float:
    """In how many rounds a kernel's blocks ran: its warps over those that were there at once; NaN where not known.

    The recorded occupancy is the share of 64 warps, the most that a multiprocessor of any recent device holds.
    """
    waves = 100 * arguments.warps / (WARPS * arguments.occupancy)
    return min(waves, MOST_WAVES) if waves > 0 else math.nan


def _message(name: str, arguments: Arguments) -> Message | None:
    """What an operator's arguments say of communication, None where they say nothing."""
    if arguments.collective or arguments.group or arguments.group_size >= 0:
        return Message(
            arguments.collective, arguments.elements_in, arguments.elements_out, arguments.dtype, arguments.group,
            arguments.group_description, bytes(arguments.group_ranks), arguments.group_size,
            whole_number(arguments.group_start), whole_number(arguments.group_stride),
            whole_number(arguments.receiver if arguments.collective == "send" else arguments.sender),
        )  # fmt: skip
    if arguments.values and name.startswith(MESSAGE):
        peer, tag = peer_and_tag(bytes(arguments.values))
        return Message("", -1, -1, "", "", "", b"", -1, peer=peer, tag=tag)
    return None
