"""Timelines read back as a viewer reads them: tracks of nested slices, arrows, counters. Strict where viewers guess."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

PATH = "critical path"


@dataclass(eq=False)
class Slice:
    """An interval on a track; `depth` others enclose it there."""

    process: str
    track: str
    name: str
    category: str
    start: int
    args: dict[str, Any]
    depth: int
    end: int = -1

    @property
    def key(self) -> tuple[int, int]:
        """Rank and index of an operator."""
        return int(self.process.removeprefix("rank ")), self.args["index"]

    def __str__(self) -> str:
        return f"{self.process} | {self.track} | {'  ' * self.depth}{self.name} {self.start}..{self.end}"


@dataclass
class Timeline:
    """What a viewer shows. An arrow is its number and the slices at both ends."""

    tracks: list[tuple[str, str]] = field(default_factory=list)
    slices: list[Slice] = field(default_factory=list)
    arrows: dict[int, tuple[Slice, Slice]] = field(default_factory=dict)
    counters: dict[tuple[str, str], list[tuple[int, float]]] = field(default_factory=lambda: defaultdict(list))
    instants: list[tuple[str, str, str, int]] = field(default_factory=list)

    @property
    def operators(self) -> dict[tuple[int, int], Slice]:
        """The slices of operators by rank and index."""
        found = [s for s in self.slices if "index" in s.args and s.process != PATH]
        assert len({s.key for s in found}) == len(found), "an operator is there twice"
        return {s.key: s for s in found}

    def lines(self) -> list[str]:
        """The slices in words."""
        return [str(s) for s in self.slices]


def read_perfetto(data: bytes) -> Timeline:
    """Read a trace as Perfetto's trace processor does: packets by time, of one time in the order of the file."""
    from perfetto.protos.perfetto.trace import perfetto_trace_pb2 as pb

    trace = pb.Trace.FromString(data)
    trace.DiscardUnknownFields()
    assert trace.ByteSize() == len(data), "unknown fields, or numbers that are longer than they need be"
    first = trace.packet[0]
    assert (first.sequence_flags, first.track_descriptor.uuid) == (1, 0)
    assert first.track_descriptor.process_ordering == first.track_descriptor.thread_ordering == 1
    texts: dict[str, dict[int, Any]] = defaultdict(dict)
    processes: dict[int, str] = {}
    tracks: dict[int, tuple[str, str]] = {}
    events = []
    timeline = Timeline()
    for packet in trace.packet:
        assert packet.trusted_packet_sequence_id == 1
        for kind, values in packet.interned_data.ListFields():
            for value in values:
                assert value.iid not in texts[kind.name], "a number is given twice"
                assert value.iid > 0
                texts[kind.name][value.iid] = value.str.decode() if kind.name.endswith("values") else value.name
        if packet.HasField("track_descriptor") and packet.track_descriptor.uuid:
            track = packet.track_descriptor
            assert track.uuid not in tracks
            assert track.uuid not in processes
            if track.HasField("process"):
                assert track.process.pid > 0
                processes[track.process.pid] = track.process.process_name
                tracks[track.uuid] = (track.process.process_name, "")
            elif track.HasField("thread"):
                assert track.thread.tid > 0
                tracks[track.uuid] = (processes[track.thread.pid], track.thread.thread_name)
                timeline.tracks.append(tracks[track.uuid])
            else:
                tracks[track.uuid] = (tracks[track.parent_uuid][0], track.name)
                assert track.HasField("counter")
                assert (track.counter.unit == pb.CounterDescriptor.UNIT_SIZE_BYTES) == ("memory" in track.name)
            place = 0 if tracks[track.uuid] == (PATH, "") else track.uuid
            assert track.HasField("counter") or track.sibling_order_rank == place
        if packet.HasField("track_event"):
            assert packet.track_event.track_uuid in tracks
            events.append((packet.timestamp, packet.track_event))
            assert not packet.track_event.name_iid or packet.track_event.name_iid in texts["event_names"]
    _replay(timeline, sorted(events, key=lambda e: e[0]), tracks, texts)
    return timeline


def _replay(timeline: Timeline, events: list[Any], tracks: dict[int, Any], texts: dict[str, Any]) -> None:
    stacks: dict[int, list[Slice]] = defaultdict(list)
    active: dict[int, Slice] = {}
    for time, event in events:
        process, name = tracks[event.track_uuid]
        stack = stacks[event.track_uuid]
        if event.type == event.TYPE_COUNTER:
            value = event.counter_value if event.HasField("counter_value") else event.double_counter_value
            timeline.counters[process, name].append((time, value))
            continue
        if event.type == event.TYPE_INSTANT:
            timeline.instants.append((process, name, texts["event_names"][event.name_iid], time))
            continue
        if event.type == event.TYPE_SLICE_BEGIN:
            args = {texts["debug_annotation_names"][a.name_iid]: _value(a, texts) for a in event.debug_annotations}
            (category,) = event.category_iids
            assert len(args) == len(event.debug_annotations)
            slice_ = Slice(process, name, texts["event_names"][event.name_iid], texts["event_categories"][category],
                           time, args, len(stack))  # fmt: skip
            assert len(stack) < 512
            stack.append(slice_)
            timeline.slices.append(slice_)
        else:
            slice_ = stack.pop()
            slice_.end = time
        for number in event.flow_ids:
            assert number not in active
            assert number not in timeline.arrows
            active[number] = slice_
        for number in event.terminating_flow_ids:
            timeline.arrows[number] = (active.pop(number), slice_)
    assert not active, "an arrow leads nowhere"
    assert not any(stacks.values()), "a slice does not end"


def _value(annotation: Any, texts: dict[str, Any]) -> Any:
    kind = annotation.WhichOneof("value")
    value = getattr(annotation, kind)
    return texts["debug_annotation_string_values"][value] if kind == "string_value_iid" else value


def _no_constants(name: str) -> None:
    raise AssertionError(f"{name} is no JSON")


def _ns(micros: str) -> int:
    whole, _, rest = micros.partition(".")
    assert len(rest) == 3
    return int(whole + rest)


def read_chrome(data: bytes) -> Timeline:
    """Read trace events as viewers do: by time, of one time in the order of the file; arrows touch the inmost slice."""
    document = json.loads(data.decode(), parse_float=str, parse_constant=_no_constants)
    assert document["displayTimeUnit"] == "ns"
    processes: dict[int, str] = {}
    tracks: dict[tuple[int, int], tuple[str, str]] = {}
    timeline = Timeline()
    events = []
    for event in document["traceEvents"]:
        if event["ph"] != "M":
            events.append((_ns(event["ts"]), event))
        elif event["name"] == "process_name":
            assert event["pid"] not in processes
            processes[event["pid"]] = event["args"]["name"]
        elif event["name"] == "thread_name":
            assert (event["pid"], event["tid"]) not in tracks
            tracks[event["pid"], event["tid"]] = (processes[event["pid"]], event["args"]["name"])
            timeline.tracks.append(tracks[event["pid"], event["tid"]])
        else:
            first = event["name"] == "process_sort_index" and processes[event["pid"]] == PATH
            assert event["args"]["sort_index"] == (0 if first else event["tid"])
    stacks: dict[tuple[int, int], list[Slice]] = defaultdict(list)
    active: dict[int, tuple[str, Slice]] = {}
    for time, event in sorted(events, key=lambda e: e[0]):
        if event["ph"] == "C":
            timeline.counters[processes[event["pid"]], event["name"]].append((time, float(event["args"]["value"])))
            continue
        if event["ph"] == "i":
            process, name = tracks.get((event["pid"], event["tid"]), (processes[event["pid"]], ""))
            timeline.instants.append((process, name, event["name"], time))
            continue
        process, name = tracks[event["pid"], event["tid"]]
        stack = stacks[event["pid"], event["tid"]]
        while stack and (stack[-1].end < time or (event["ph"] == "X" and stack[-1].end == time)):
            stack.pop()
        if event["ph"] == "X":
            end = time + _ns(event["dur"])
            assert not stack or end <= stack[-1].end, "slices cross"
            stack.append(
                Slice(process, name, event["name"], event["cat"], time, event.get("args", {}), len(stack), end)
            )
            timeline.slices.append(stack[-1])
        elif event["ph"] == "s":
            assert event["id"] not in active
            active[event["id"]] = event["name"], stack[-1]
        else:
            assert (event["ph"], event["bp"]) == ("f", "e")
            kind, source = active.pop(event["id"])
            assert kind == event["name"]
            timeline.arrows[event["id"]] = (source, stack[-1])
    assert not active, "an arrow leads nowhere"
    return timeline


def read_speedscope(data: bytes) -> Timeline:
    """Read evented profiles by the rules of speedscope's file format and its schema."""
    document = json.loads(data.decode(), parse_constant=_no_constants)
    assert set(document) == {"$schema", "exporter", "name", "profiles", "shared"}
    assert document["$schema"] == "https://www.speedscope.app/file-format-schema.json"
    frames = document["shared"]["frames"]
    assert all(set(frame) == {"name"} and isinstance(frame["name"], str) for frame in frames)
    timeline = Timeline()
    for profile in document["profiles"]:
        assert set(profile) == {"type", "name", "unit", "startValue", "endValue", "events"}
        assert (profile["type"], profile["unit"]) == ("evented", "nanoseconds")
        process, _, track = profile["name"].partition(", ") if profile["name"][:4] == "rank" else ("", "", PATH)
        timeline.tracks.append((process or PATH, track))
        moment, stack = profile["startValue"], list[tuple[int, Slice]]()
        for event in profile["events"]:
            assert set(event) == {"type", "frame", "at"}
            assert moment <= event["at"] <= profile["endValue"]
            moment = event["at"]
            if event["type"] == "O":
                found = Slice(process or PATH, track, frames[event["frame"]]["name"], "", moment, {}, len(stack))
                stack.append((event["frame"], found))
                timeline.slices.append(found)
            else:
                assert event["type"] == "C"
                frame, found = stack.pop()
                assert frame == event["frame"], "another frame is open"
                found.end = moment
        assert not stack, "a frame does not close"
    return timeline
