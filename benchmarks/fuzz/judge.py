"""The verdict on inputs in memory: what is accepted, and what it is said to mean, beside the protobuf library.

Allowed to differ: a field of the schema with a wire type that is not its own is refused, where protobuf files it under
what it does not know; so is field number 0 within a group, which protobuf passes over. Text that is not UTF-8 passes
the kernel and is refused by the reader, so both must refuse it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np
from google.protobuf.message import DecodeError

from etgraph.ingest.chakra import columns, text, wire
from etgraph.ingest.chakra.fields import KIND, METADATA, NODE, Kind, code_of
from etgraph.ingest.chakra.layout import arranged, canonical, layout
from etgraph.ingest.chakra.messages import GlobalMetadata, Node
from etgraph.ingest.chakra.values import fill
from etgraph.ingest.chakra.wire import Tokens, WireError
from etgraph.ingest.draft import NULL

CLASSES = {NODE: Node, METADATA: GlobalMetadata}
STRICTER = ("another wire type than the field's", "field number 0 ")
"""Beginnings of the faults that protobuf does not see."""
NAME = code_of("Node", "name")
Report = Callable[[str, bytes], None]
"""Takes a failure in words, and the input."""


def joined(messages: Sequence[bytes]) -> tuple[Any, Any, Any]:
    """Messages one after another, where they begin, and where they end."""
    ends = np.cumsum([len(m) for m in messages], dtype=np.int64)
    data = np.frombuffer(b"".join(messages), dtype=np.uint8)
    return data, np.concatenate([np.zeros(1, dtype=np.int64), ends[:-1]]), ends


def serialised(message: Any) -> bytes:
    """The bytes by which messages are compared, because a not-a-number is not equal to itself."""
    out: bytes = message.SerializeToString(deterministic=True)
    return out


def _parsed(data: bytes, root: int) -> Any:
    try:
        return CLASSES[root].FromString(data)
    except DecodeError:
        return None


def _is_text(tokens: Tokens, first: int, last: int) -> bool:
    """Whether all texts among some tokens are UTF-8."""
    for at in range(first, last):
        if KIND[tokens.code[at]] == Kind.STRING:
            try:
                tokens.data[tokens.start[at] : tokens.end[at]].tobytes().decode()
            except UnicodeDecodeError:
                return False
    return True


def judge(messages: Sequence[bytes], root: int, outcomes: Counter[str], report: Report) -> None:
    """Compare what becomes of messages of one type, all at once. Counts outcomes and reports failures."""
    sound, accepted, first = [], [], 0
    data, begins, ends = joined(messages)
    while first < len(messages):
        # A fault ends the kernel's run: those before it were fine, and the next run begins after it.
        try:
            wire.tokens(data, begins[first:], ends[first:], root)
            at, fault = len(messages), ""
        except WireError as error:
            at, fault = first + error.message, error.found
            if not begins[at] <= error.at <= ends[at]:
                report(f"the place of a fault is outside its message: {fault}", messages[at])
        for index in range(first, at):
            sound.append(messages[index])
        if at < len(messages):
            outcomes[f"rejected: {fault}"] += 1
            if not fault.startswith(STRICTER) and _parsed(messages[at], root) is not None:
                report(f"refused, accepted by protobuf: {fault}", messages[at])
        first = at + 1
    if not sound:
        return
    tokens = wire.tokens(*joined(sound), root)
    for at, message in enumerate(sound):
        parsed = _parsed(message, root)
        if _is_text(tokens, *tokens.first[at : at + 2].tolist()):
            if parsed is None:
                report("accepted, refused by protobuf", message)
            else:
                accepted.append((message, parsed))
        else:
            outcomes["rejected: text that is not UTF-8"] += 1
            if parsed is not None:
                report("refused as no UTF-8, accepted by protobuf", message)
    outcomes["accepted"] += len(accepted)
    _compare(accepted, tokens.odd, root, report)


def _compare(accepted: list[tuple[bytes, Any]], odd: Any, root: int, report: Report) -> None:
    """Compare the values of messages that both sides accept, in the order that the reader brings them into."""
    if not accepted:
        return
    odd = wire.tokens(*joined([message for message, _ in accepted]), root).odd
    usual = []
    for (message, parsed), is_odd in zip(accepted, odd.tolist()):
        if is_odd and (order := layout(message, root)) is not None:
            usual.append(canonical(message, root))
            if serialised(CLASSES[root].FromString(arranged(usual[-1], root, order))) != serialised(parsed):
                report("the layout makes another message", message)
        else:
            usual.append(message)
    tokens = wire.tokens(*joined(usual), root)
    kept = text.kept(tokens).to_pylist()
    if root == NODE:
        _compare_numbers(tokens, accepted, report)
    for (message, parsed), json in zip(accepted, kept):
        try:
            value = msgspec.json.decode(json)
            found = CLASSES[root]()
            fill(found, value, kept=True)
        except Exception as error:
            report(f"what is kept cannot be read: {type(error).__name__}", message)
            continue
        expected = _beside_columns(parsed) if root == NODE else parsed
        if serialised(found) != serialised(expected) and not _same_but_for_not_a_number(found, expected):
            report("what is kept is another message", message)


def _beside_columns(node: Any) -> Any:
    """The part of a node that its columns do not hold."""
    rest = Node()
    rest.CopyFrom(node)
    for name in ("id", "name", "ctrl_deps", "data_deps"):
        rest.ClearField(name)
    if rest.type != -(2**31):
        rest.ClearField("type")
    if rest.start_time_micros <= text.LATEST_MICROS:
        rest.ClearField("start_time_micros")
    if rest.duration_micros <= text.LONGEST_MICROS:
        rest.ClearField("duration_micros")
    return rest


def _same_but_for_not_a_number(found: Any, expected: Any) -> bool:
    """Whether two messages differ in the bits of floats that are no numbers only: Python cannot hold some of these."""
    for message in (found, expected):
        for attribute in message.attr:
            if attribute.WhichOneof("value") == "float_val" and math.isnan(attribute.float_val):
                attribute.float_val = math.nan
            values = attribute.float_list.values if attribute.WhichOneof("value") == "float_list" else ()
            for at, number in enumerate(values):
                if math.isnan(number):
                    values[at] = math.nan
    return serialised(found) == serialised(expected)


def _compare_numbers(tokens: Tokens, accepted: list[tuple[bytes, Any]], report: Report) -> None:
    """Compare the columns of nodes."""
    owner = columns.owners(tokens)
    found, _ = columns.numbers(tokens, owner, len(accepted))
    names: dict[int, bytes] = {}
    for at in np.flatnonzero(tokens.code == NAME).tolist():
        names[int(owner[at])] = tokens.data[tokens.start[at] : tokens.end[at]].tobytes()
    lists = {name: found[f"{name}_ids"].tolist() for name in ("ctrl", "data")}
    rows = zip(*(found[name].tolist() for name in ("id", "type", "start", "duration", "ctrl", "data")))
    ctrl_at = data_at = 0
    for at, (id, kind, start, duration, ctrl, data) in enumerate(rows):
        message, node = accepted[at]
        expected = (
            node.id,
            node.name.encode(),
            node.type if node.type != -(2**31) else 0,
            node.start_time_micros * 1000 if node.start_time_micros <= text.LATEST_MICROS else NULL,
            node.duration_micros * 1000 if node.duration_micros <= text.LONGEST_MICROS else NULL,
            list(node.ctrl_deps),
            list(node.data_deps),
        )
        ids = lists["ctrl"][ctrl_at : ctrl_at + ctrl], lists["data"][data_at : data_at + data]
        if (id, names.get(at, b""), kind, start, duration, *ids) != expected:
            report("the columns hold other values", message)
        ctrl_at, data_at = ctrl_at + ctrl, data_at + data


def judge_frames(data: bytes, outcomes: Counter[str], report: Report) -> list[bytes]:
    """Compare where the messages of a stream are with a reading byte by byte; returns the whole ones."""
    expected, rest, fault = _frames(data)
    try:
        begins, ends, at = wire.frames(np.frombuffer(data, dtype=np.uint8))
        found = list(zip(begins.tolist(), ends.tolist()))
        if (found, at, "") != (expected, rest, fault):
            report("other messages in a stream", data)
        outcomes["accepted" if at == len(data) else "rejected: a stream cut short"] += 1
    except WireError as error:
        if (error.message, error.at) != (len(expected), rest) or not fault or fault not in error.found:
            report(f"another fault in a stream: {error.found}", data)
        outcomes[f"rejected: {error.found}"] += 1
    return [data[a:b] for a, b in expected]


def _frames(data: bytes) -> tuple[list[tuple[int, int]], int, str]:
    found: list[tuple[int, int]] = []
    at = 0
    while at < len(data):
        number = 0
        for count, byte in enumerate(data[at : at + 10], 1):
            number |= (byte & 127) << (7 * (count - 1))
            if byte < 128:
                break
        else:
            return found, at, "varint" if len(data) - at >= 10 else ""
        if number > wire.LARGEST:
            return found, at, "message of more than"
        if at + count + number > len(data):
            return found, at, ""
        found.append((at + count, at + count + number))
        at += count + number
    return found, at, ""
