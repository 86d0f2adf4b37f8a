"""Damaged, hostile and odd files of both formats: an error that says where and what, or the right trace."""

from __future__ import annotations

import gc
import gzip
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from etgraph.ingest import Limits, document, read, read_each
from etgraph.model import Trace
from etgraph.model.errors import CycleError, EtgraphError, InputError, NotFound

JSON = dict[str, Any]


@dataclass(frozen=True)
class Form:
    """A format: the name of its array, and a small element that is an operator."""

    array: str
    make: Callable[[int], JSON]

    def document(self, *elements: JSON, **top: Any) -> JSON:
        return {"schemaVersion": 1, "schema": "1.1.1", **top, self.array: list(elements)}

    def text(self, *elements: JSON, **top: Any) -> bytes:
        return json.dumps(self.document(*(elements or (self.make(1), self.make(2))), **top)).encode()


def event(number: int, **changed: Any) -> JSON:
    known = {"ph": "X", "cat": "cpu_op", "name": f"op {number}", "pid": 1, "tid": 2, "ts": 10 * number, "dur": 5}
    return known | {"args": {"External id": number}} | changed


def node(number: int, **changed: Any) -> JSON:
    attrs = [{"name": "rf_id", "type": "uint64", "value": number}, {"name": "tid", "type": "uint64", "value": 1}]
    return {"id": number, "name": f"op {number}", "ctrl_deps": 1, "attrs": attrs} | changed


KINETO, PYTORCH_ET = Form("traceEvents", event), Form("nodes", node)
forms = pytest.mark.parametrize("form", [KINETO, PYTORCH_ET], ids=["kineto", "pytorch-et"])


@pytest.fixture(autouse=True)
def _nothing_left_behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Whatever happens, no temporary file stays."""
    folder = tmp_path_factory.mktemp("temporary")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(folder))
        yield
    gc.collect()
    assert list(folder.iterdir()) == []


def write(folder: Path, data: bytes, name: str = "trace.json") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def refused(path: Path, limits: Limits | None = None) -> str:
    """The message of the error that reading this file gives, which must be one of ours and complete."""
    with pytest.raises(EtgraphError) as error:
        read(path, limits=limits).validate()
    message = str(error.value)
    assert str(path) in message
    assert "found " in message
    assert ", expected " in message
    assert len(message) < 600
    return message


def complaint(path: Path) -> str:
    """What reading this file says against it; nothing where it is a valid trace. Any error but ours goes through."""
    try:
        read(path).validate()
    except EtgraphError as error:
        return str(error)
    return ""


def accepted(path: Path) -> Trace:
    trace = read(path)
    trace.validate()
    return trace


def names(trace: Trace) -> list[str]:
    return [trace.operators.value("name", row) for row in range(len(trace))]


# Files that are no trace


@pytest.mark.parametrize("compress", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_an_empty_file(compress: Callable[[bytes], bytes], tmp_path: Path) -> None:
    assert "found an empty file, expected a trace" in refused(write(tmp_path, compress(b"")))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=200))
@example(data=b"\x1f\x8b\x08")
@example(data=b"\x28\xb5\x2f\xfd")
@example(data=b"\x00")
@example(data=b"[]")
def test_random_bytes_are_an_error_or_messages_of_protobuf(data: bytes, tmp_path: Path) -> None:
    """Few bytes are needed for messages of Chakra: a zero is metadata without anything in it, and no node.

    Kineto takes an even shorter list of events for a trace.
    """
    path = write(tmp_path, data)
    if not (said := complaint(path)):
        trace = read(path)
        trace.validate()
        assert trace.metadata.sources[0].format.startswith("chakra") or not json.loads(data)
    assert str(path) in (said or str(path))


@forms
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(place=st.integers(0, 400), byte=st.integers(0, 255))
def test_one_wrong_byte_gives_an_error_or_a_valid_trace(form: Form, place: int, byte: int, tmp_path: Path) -> None:
    data = bytearray(form.text())
    data[place % len(data)] = byte
    path = write(tmp_path, bytes(data))
    assert str(path) in (complaint(path) or str(path))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (b"{}", "a JSON object with no keys"),
        (b'{"a": 1, "b": []}', "a JSON object with the keys 'a', 'b'"),
        (b'{"nodes": {}}', "a JSON object with the keys 'nodes'"),
        (b"7", "b'7'"),
        (b'"traceEvents"', "b'\"traceEvents\"'"),
    ],
)
def test_json_that_is_no_trace(text: bytes, found: str, tmp_path: Path) -> None:
    assert f"found {found}, expected " in refused(write(tmp_path, text))


@forms
def test_an_empty_array_is_a_trace_without_operators(form: Form, tmp_path: Path) -> None:
    trace = accepted(write(tmp_path, json.dumps(form.document()).encode()))
    assert (len(trace), trace.metadata.report.warnings) == (0, ("trace.json holds no operators",))


def test_a_missing_path(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"nowhere\.json"):
        read(tmp_path / "nowhere.json")


def test_a_folder_without_traces(tmp_path: Path) -> None:
    write(tmp_path, b"", "notes.txt")
    said = refused(tmp_path)
    assert "found no file that may be a trace (notes.txt: an empty file), expected files ending in .json" in said


def test_a_folder_in_place_of_a_file_is_not_read_as_one(tmp_path: Path) -> None:
    (tmp_path / "folder.json").mkdir()
    assert "found no file that may be a trace" in refused(tmp_path)


def _as_nobody(path: Path) -> str:
    """The error of reading a file, as a process without rights."""
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(read_end)
            if os.getuid() == 0:
                os.setgroups([])
                os.setgid(65534)
                os.setuid(65534)
            try:
                read(path)
                answer = "no error"
            except EtgraphError as error:
                answer = str(error)
            except BaseException as error:
                answer = repr(error)
            os.write(write_end, answer.encode())
        finally:
            os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end) as answers:
        text = answers.read()
    os.waitpid(child, 0)
    return text


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_file_without_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Path(tempfile.mkdtemp(dir=Path(tmp_path.anchor) / "var" / "tmp"))
    try:
        folder.chmod(0o777)
        monkeypatch.setattr(tempfile, "tempdir", str(folder))
        path = write(folder, KINETO.text())
        path.chmod(0)
        assert _as_nobody(path) == f"{path}: found Permission denied, expected a readable file"
        assert os.listdir(folder) == ["trace.json"]
    finally:
        for left in folder.iterdir():
            left.unlink()
        folder.rmdir()


# Files cut short or damaged


@forms
def test_a_file_cut_at_any_byte(form: Form, tmp_path: Path) -> None:
    text = form.text()
    for length in range(len(text)):
        refused(write(tmp_path, text[:length]))
    assert len(accepted(write(tmp_path, text))) == 2


@forms
def test_a_gzip_file_cut_at_any_byte(form: Form, tmp_path: Path) -> None:
    data = gzip.compress(form.text())
    for length in range(len(data)):
        refused(write(tmp_path, data[:length]))
    assert len(accepted(write(tmp_path, data))) == 2


@forms
def test_a_damaged_gzip_file(form: Form, tmp_path: Path) -> None:
    data = bytearray(gzip.compress(form.text()))
    for place in (3, len(data) // 2, len(data) - 6, len(data) - 2):
        damaged = bytearray(data)
        damaged[place] ^= 0xFF
        path = write(tmp_path, bytes(damaged))
        message = complaint(path)
        assert (str(path) in message and "gzip" in message) or (place == 3 and not message)  # flags may name nothing


@forms
def test_a_bomb_stops_at_the_limits_that_are_given(form: Form, tmp_path: Path) -> None:
    path = write(tmp_path, gzip.compress(form.text(note="0" * (4 << 20))))
    assert "at most 1,000,000 bytes" in refused(path, Limits(max_bytes=1_000_000))
    assert "and 20 times" in refused(path, Limits(max_ratio=20, ratio_from=1 << 20))
    assert len(accepted(path)) == 2


def test_a_bomb_stops_at_the_limits_that_nobody_gave(tmp_path: Path) -> None:
    path = tmp_path / "trace.json.gz"
    with gzip.open(path, "wb", compresslevel=9) as file:
        file.write(b'{"traceEvents": [')
        for _ in range(300):
            file.write(b" " * (1 << 20))
    assert "bytes or more after decompression" in refused(path)


@pytest.mark.parametrize("tail", [b"x", b"]", b"{}", b"\0", b',"a":1}'])
@forms
def test_trailing_garbage(form: Form, tail: bytes, tmp_path: Path) -> None:
    assert "expected the end of the file" in refused(write(tmp_path, form.text() + b"\n" + tail))


@forms
def test_invalid_utf_8(form: Form, tmp_path: Path) -> None:
    text = form.text().replace(b'"op 2"', b'"op \xff"')
    assert "found the byte 0xff, expected text in UTF-8" in refused(write(tmp_path, text))
    hidden = form.text(form.make(1) | {"unknown": "?", "args": {"a": "?"}}).replace(b"?", b"\xc3")
    assert "found the byte 0xc3, expected text in UTF-8" in refused(write(tmp_path, hidden))


@pytest.mark.parametrize("brackets", ["[]", "{}"])
@forms
def test_very_deep_nesting(form: Form, brackets: str, tmp_path: Path) -> None:
    opening = '{"a":' if brackets == "{}" else "["
    deep = (opening * 100_000 + "1" + brackets[1] * 100_000).encode()
    for text in (form.text(form.make(1), form.make(2) | {"note": "?"}), form.text(note="?")):
        assert "nested too deeply" in refused(write(tmp_path, text.replace(b'"?"', deep)))
    for text in (deep, deep[:100_000], b'{"' + form.array.encode() + b'": ' + deep):
        refused(write(tmp_path, text))


# Wrong values


def each(*values: Any) -> tuple[Any, ...]:
    return values


WRONG_EVENTS: list[tuple[str, Any]] = [
    *((field, value) for field in ("ph", "cat", "name") for value in each(1, None, [], {})),
    ("pid", []), ("pid", {}), ("tid", []), ("tid", True), ("id", {}), ("id", 1.5),
    *((field, value) for field in ("ts", "dur") for value in each("10", True, [], {}, [1])),
    ("ts", None), ("args", 1), ("args", "x"), ("args", [1]),
    *(("args", {field: value}) for field in
      ("correlation", "External id", "external id", "Ev Idx", "Record function id", "Sequence number", "Group size",
       "In msg nelems", "Out msg nelems") for value in each("x", [], 1.5)),
    *(("args", {field: value}) for field in
      ("Call stack", "Module Hierarchy", "Collective name", "dtype", "Process Group Name") for value in each(1, [])),
    ("args", {"device": []}),
]  # fmt: skip


@pytest.mark.parametrize(("field", "value"), WRONG_EVENTS, ids=repr)
def test_a_wrong_type_in_a_kineto_event(field: str, value: Any, tmp_path: Path) -> None:
    message = refused(write(tmp_path, KINETO.text(event(1), event(2, **{field: value}), event(3))))
    assert "event 1 " in message or "element 1 " in message
    assert field in message


def attributes(**values: Any) -> list[JSON]:
    return [{"name": name, "type": "", "value": value} for name, value in values.items()]


WRONG_NODES: list[tuple[str, JSON]] = [
    *(("id", {"id": value}) for value in each("x", None, 1.5, [], -1, 2**64, True)),
    *(("ctrl_deps", {"ctrl_deps": value}) for value in each("x", 1.5, [1], {}, True)),
    *(("parent", {"ctrl_deps": None, "parent": value}) for value in each("x", [1], -5, 2**64)),
    *(("name", {"name": value}) for value in each(1, None, [])),
    *(("attrs", {"attrs": value}) for value in each(1, "x", {}, [1], [{"name": 1}])),
    *((field, {field: value}) for field in ("inputs", "outputs") for value in each(1, "x", True)),
    *(("of the inputs", {"inputs": value}) for value in each({"shapes": 12345}, {"shapes": [1], "types": 5})),
    *((field, {"attrs": attributes(**{field: value})})
      for field in ("rf_id", "fw_parent", "seq_id", "scope") for value in each("x", 1.5, [], {}, True)),
    *(("tid", {"attrs": attributes(tid=value)}) for value in each(1.5, [], {}, True)),
    *((field, {field: value}) for field in ("rf_id", "scope", "seq_id", "fw_parent") for value in each("x", 1.5, [])),
    *((field, {field: value}) for field in ("cat", "pg_name") for value in each(1, [])),
    ("stream", {"stream": []}), ("ts", {"ts": "x"}), ("ts", {"ts": []}),
    ("dur", {"ts": 1, "dur": "x"}), ("dur", {"ts": 1, "dur": -1}), ("dur", {"ts": 1, "inclusive_dur": 1e15}),
]  # fmt: skip


@pytest.mark.parametrize(("field", "changed"), WRONG_NODES, ids=repr)
def test_a_wrong_type_in_an_execution_trace_node(field: str, changed: JSON, tmp_path: Path) -> None:
    message = refused(write(tmp_path, PYTORCH_ET.text(node(1), node(2, **changed), node(3))))
    assert "node 1 " in message or "element 1 " in message
    assert field in message


TENSOR = [1, 2, 0, 4, 4, "cpu"]
GROUPS = '[{"pg_name": "0", "backend_id": 5, "ranks": [], "group_size": 2}]'
ROOT = {"ctrl_deps": 1, "attrs": attributes(rf_id=0, tid=0, scope=7)}
EVERYTHING = PYTORCH_ET.document(
    {"id": 1, "name": "[pytorch|profiler|execution_trace|process]"} | ROOT,
    {"id": 2, "name": "[pytorch|profiler|execution_trace|thread]"} | ROOT,
    node(3, name="## process_group:init ##", inputs={"values": [GROUPS], "shapes": [[]], "types": ["String"]}),
    node(4, name="record_param_comms", outputs={"values": [[TENSOR]], "shapes": [[[4]]], "types": ["Tensor(float)"]},
         inputs={"values": [[TENSOR], 1, ["0", "d"], 0, "allreduce", [], [], 0, 1, 2], "shapes": [[4]], "types": [""]},
         attrs=attributes(rf_id=2, fw_parent=3, seq_id=4, scope=0, tid=1, collective_name="allreduce", dtype="Float",
                          in_msg_nelems=4, out_msg_nelems=4, pg_name="0", pg_desc="d", pg_size=2)),
    node(5, name="record_param_comms", inputs={"values": [[TENSOR], 1, 5, 0, "send", [], [], 2]}),
    node(6, name="c10d::send", inputs={"values": [[TENSOR], "<Object>", 2, 9]}),
    node(7, name="gloo:send", ctrl_deps=6, inputs={"values": [TENSOR]}),
    node(8, name="c10d::allgather_", outputs={"values": [[TENSOR, TENSOR]]}),
    node(9, name="gloo:all_gather", ctrl_deps=8, inputs={"values": [TENSOR]}),
    node(10, name="ProfilerStep#2", attrs=attributes(rf_id=10, scope=7, tid=1)),
    {"id": 11, "name": "flat", "parent": 10, "rf_id": 11, "seq_id": 1, "fw_parent": 3, "scope": 0, "tid": 3,
     "inputs": [TENSOR], "input_shapes": [[4]], "input_types": ["Tensor(float)"]},
    {"id": 12, "name": "gemm", "ctrl_deps": 11, "cat": "kernel", "ts": 1.5, "dur": 2, "stream": 7, "pg_name": "x"},
    pid=3,
)  # fmt: skip
ODDITIES: list[Any] = [None, True, 0, -1, 1.5, 1e300, 2**31, 2**63, 2**64, 10**30, 10**400, -(2**63), "", "x", "[1]",
            "[[]]", [], [1], ["a"], [[[1]]], {}, {"a": 1}, [{}], [None], [10**400], "\ud800"]  # fmt: skip


def places(value: Any, before: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Paths to every value within a document."""
    yield before
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield from places(value[key], (*before, key))


def put(value: Any, place: tuple[Any, ...], new: Any) -> Any:
    if not place:
        return new
    changed = value.copy()
    changed[place[0]] = put(value[place[0]], place[1:], new)
    return changed


def test_the_document_that_holds_everything_is_legal(tmp_path: Path) -> None:
    assert len(accepted(write(tmp_path, json.dumps(EVERYTHING).encode()))) == 12


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(place=st.sampled_from(list(places(EVERYTHING))), odd=st.sampled_from(ODDITIES))
def test_any_odd_value_anywhere_gives_our_error_or_a_valid_trace(
    place: tuple[Any, ...], odd: Any, tmp_path: Path
) -> None:
    path = write(tmp_path, json.dumps(put(EVERYTHING, place, odd)).encode())
    message = complaint(path) or str(path)
    assert str(path) in message
    assert len(message) < 600


def label(name: str, args: Any) -> JSON:
    return {"ph": "M", "name": name, "pid": 1, "tid": 2, "args": args}


def counter(args: Any) -> JSON:
    return {"ph": "C", "name": "load", "pid": 1, "tid": 2, "ts": 3, "args": args}


MEMORY = {"ph": "i", "name": "[memory]", "pid": 1, "tid": 2, "ts": 3, "args": {"Bytes": 2**63}}


def group(**facts: Any) -> JSON:
    return {"distributedInfo": {"pg_config": [{"pg_name": "0", "pg_size": 2, "ranks": [0, 1]} | facts]}}


@pytest.mark.parametrize(
    ("extra", "top"),
    [
        pytest.param([label("thread_name", [1])], {}, id="a thread's label"),
        pytest.param([label("process_labels", 7)], {}, id="a process's label"),
        pytest.param([counter([1])], {}, id="a counter's series"),
        pytest.param([counter({"a": 10**400})], {}, id="a counter's value"),
        pytest.param([event(3, args={"device": 2**64})], {}, id="a device"),
        pytest.param([MEMORY], {}, id="the size of an allocation"),
        pytest.param([], {"distributedInfo": {"rank": 2**31}}, id="the rank"),
        pytest.param([], group(pg_size=2**31), id="a group's size"),
        pytest.param([], group(ranks=[2**31]), id="a group's member"),
        pytest.param([], {"baseTimeNanoseconds": 10**30}, id="the base of times"),
    ],
)
def test_an_odd_value_around_kineto_events_is_refused_or_left_out(extra: list[JSON], top: JSON, tmp_path: Path) -> None:
    path = write(tmp_path, KINETO.text(event(1), *extra, **top))
    assert str(path) in (complaint(path) or str(path))


def test_a_null_argument_says_nothing(tmp_path: Path) -> None:
    trace = read(write(tmp_path, KINETO.text(event(1, args={"correlation": None, "External id": 7, "stream": None}))))
    assert trace.operator_attributes(0) == {"correlation": None, "External id": 7, "stream": None}


@forms
def test_a_rank_in_the_name_that_is_no_rank(form: Form, tmp_path: Path) -> None:
    path = write(tmp_path, form.text(), "rank99999999999.json")
    assert str(path) in (complaint(path) or str(path))


def test_a_node_without_an_id(tmp_path: Path) -> None:
    message = refused(write(tmp_path, PYTORCH_ET.text(node(1), {"name": "a"})))
    assert "element 1 " in message
    assert "missing required field `id`" in message


def test_a_missing_time(tmp_path: Path) -> None:
    lost = {k: v for k, v in event(2).items() if k != "ts"}
    message = refused(write(tmp_path, KINETO.text(event(1), lost)))
    assert "event 1 ('op 2', after byte " in message
    assert message.endswith(", ts: found nothing, expected a number of microseconds")


def test_a_missing_duration_is_none(tmp_path: Path) -> None:
    instant = {k: v for k, v in event(2).items() if k != "dur"}
    assert accepted(write(tmp_path, KINETO.text(event(1), instant))).operators["duration_ns"].tolist() == [5000, 0]


@pytest.mark.parametrize("duration", [-1, -0.001, 4e13, 1e30, "9" * 30])
def test_an_absurd_duration(duration: Any, tmp_path: Path) -> None:
    text = KINETO.text(event(1), event(2, dur="?")).replace(b'"?"', str(duration).encode())
    message = refused(write(tmp_path, text))
    assert "event 1 ('op 2'" in message
    assert "dur: found " in message


@pytest.mark.parametrize("time", ["9223372036854776", "-9223372036854776", "1e40", "1e999999999", "-1e300", "9" * 4000])
@forms
def test_a_time_beyond_64_bits(form: Form, time: str, tmp_path: Path) -> None:
    text = form.text(form.make(1), form.make(2) | {"ts": "?"}).replace(b'"?"', time.encode())
    assert "expected a time within 146 years" in refused(write(tmp_path, text))


@pytest.mark.parametrize("field", ["Input Dims", "Input type"])
@pytest.mark.parametrize("value", ["1e400", "[1e400]", "[[1e400, 2]]", "1" * 5000])
def test_shapes_with_a_number_beyond_every_float(field: str, value: str, tmp_path: Path) -> None:
    known = {"Input Dims": [[2, 3], [3, 4]], "Input type": ["float", "float"], field: "?"}
    text = KINETO.text(event(1, name="aten::mm", args=known)).replace(b'"?"', value.encode())
    assert names(accepted(write(tmp_path, text))) == ["aten::mm"]


def far_apart(years: int) -> bytes:
    """Two events, as many years from each other."""
    return KINETO.text(event(1, ts=-years * 15_778_800_000_000), event(2, ts=years * 15_778_800_000_000))


def test_times_that_lie_ages_apart(tmp_path: Path) -> None:
    assert "found times that are 80 years apart, expected times of one recording" in refused(
        write(tmp_path, far_apart(80))
    )
    assert accepted(write(tmp_path, far_apart(70))).operators["start_ns"].tolist() == [0, 70 * 31_557_600 * 10**9]


@pytest.mark.parametrize(("bases", "years"), [((0, 80), 80), ((-140, 140), 280), ((0, 70), 0)])
def test_ranks_whose_times_lie_ages_apart(tmp_path: Path, bases: tuple[int, int], years: int) -> None:
    for rank, base in enumerate(bases):
        known = {"distributedInfo": {"rank": rank, "world_size": 2}, "baseTimeNanoseconds": base * 31_557_600 * 10**9}
        write(tmp_path, KINETO.text(**known), f"rank{rank}.json")
    if years:
        assert f"found ranks whose times are {years} years apart, expected times of one run" in refused(tmp_path)
    else:
        assert accepted(tmp_path).span_ns == 70 * 31_557_600 * 10**9 + 15_000


def test_times_beyond_the_precision_of_floating_point(tmp_path: Path) -> None:
    first = 1_694_128_201_545_123_457
    text = KINETO.text(event(1, ts="?1"), event(2, ts="?2", dur="?3"))
    for mark, ns in (("?1", first), ("?2", first + 6001), ("?3", 1)):
        text = text.replace(f'"{mark}"'.encode(), f"{ns // 1000}.{ns % 1000:03d}".encode())
    trace = accepted(write(tmp_path, text))
    assert trace.operators["start_ns"].tolist() == [0, 6001]
    assert trace.operators["duration_ns"].tolist() == [5000, 1]
    assert trace.metadata.zero_ns == first


def test_duplicate_ids_name_both_places(tmp_path: Path) -> None:
    message = refused(write(tmp_path, PYTORCH_ET.text(node(5), node(6), node(5))))
    assert message.endswith("found id 5 in node 0 and in node 2, expected one node for each id")


# Odd but legal files


@forms
def test_not_a_number_is_read_as_null_and_counted(form: Form, tmp_path: Path) -> None:
    odd = form.make(2) | {"note": [float("nan"), {"x": float("-inf")}, "NaN"]}
    trace = accepted(write(tmp_path, form.text(form.make(1), odd, load=float("inf"))))
    assert trace.metadata.report.counts["replacedNumbers"] == 3
    assert trace.metadata.sources[0].document["load"] is None
    if form is PYTORCH_ET:
        assert trace.operator_attributes(1)["note"] == [None, {"x": None}, "NaN"]


def test_not_a_number_among_the_arguments(tmp_path: Path) -> None:
    text = KINETO.text(event(1, args={"a": [{"b": float("nan")}, {"c": "}, {"}]}), event(2))
    assert accepted(write(tmp_path, text)).operator_attributes(0) == {"a": [{"b": None}, {"c": "}, {"}]}


@pytest.mark.parametrize("block", [16, 100, 1000, 2 << 20])
@forms
def test_elements_larger_than_a_block(form: Form, block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document, "BLOCK", block)
    long = {"args": {"list": [{"x": "}, {", "y": [{}, {}]}] * 40}}
    trace = accepted(write(tmp_path, form.text(form.make(1) | long, form.make(2), form.make(3) | long)))
    assert names(trace) == ["op 1", "op 2", "op 3"]
    found = trace.operator_attributes(2)
    assert (found if form is KINETO else found["args"])["list"] == long["args"]["list"]


@forms
def test_keys_may_follow_the_array(form: Form, tmp_path: Path) -> None:
    before = form.document(form.make(1), pid=3, z={"y": [1]})
    after = {form.array: before.pop(form.array)} | before
    trace = accepted(write(tmp_path, json.dumps(after).encode()))
    assert trace.metadata.sources[0].document == before


@forms
def test_the_order_of_an_elements_keys_does_not_matter(form: Form, tmp_path: Path) -> None:
    turned = [dict(reversed(form.make(number).items())) for number in (1, 2)]
    first, second = (accepted(write(tmp_path, t)) for t in (form.text(), form.text(*turned)))
    assert first.operators.differences(second.operators) == []
    assert first.dependencies.equals(second.dependencies)


def test_a_bare_array_is_kineto(tmp_path: Path) -> None:
    assert names(accepted(write(tmp_path, json.dumps([event(1), event(2)]).encode()))) == ["op 1", "op 2"]


@forms
def test_of_keys_that_occur_twice_the_last_counts(form: Form, tmp_path: Path) -> None:
    text = form.text(form.make(1)).replace(b'"name": "op 1"', b'"name": "old", "name": "new"')
    trace = accepted(write(tmp_path, text.replace(b'"schema": "1.1.1"', b'"schema": "9", "schema": "1.1.1"')))
    assert names(trace) == ["new"]
    assert trace.metadata.sources[0].document["schema"] == "1.1.1"


@pytest.mark.parametrize("other", ["nodes", "traceEvents"])
@forms
def test_two_arrays_are_one_too_many(form: Form, other: str, tmp_path: Path) -> None:
    text = form.text()[:-1] + b', "' + other.encode() + b'": []}'
    assert f"found the arrays '{form.array}' and '{other}', expected one of them" in refused(write(tmp_path, text))


@forms
def test_numbers_beyond_64_bits_where_identifiers_are_kept(form: Form, tmp_path: Path) -> None:
    huge = 10**30
    odd: JSON = {
        "args": {"correlation": huge, "External id": huge, "Sequence number": -huge, "Record function id": huge}
    }
    odd |= {"pid": huge, "tid": huge} if form is KINETO else {"rf_id": huge, "seq_id": huge, "fw_parent": huge}
    assert len(accepted(write(tmp_path, form.text(form.make(1) | odd)))) == 1


@forms
def test_a_folder_with_one_bad_file_gives_its_error_and_the_other_traces(form: Form, tmp_path: Path) -> None:
    write(tmp_path, form.text(), "rank0.json")
    bad = write(tmp_path, form.text()[:-5], "rank1.json")
    assert [type(v) for _, v in read_each(tmp_path)] == [Trace, InputError]
    with pytest.raises(InputError) as error:
        read(tmp_path)
    assert str(bad) in str(error.value)


def test_a_cycle_in_one_file_does_not_keep_the_others_from_being_read(tmp_path: Path) -> None:
    write(tmp_path, PYTORCH_ET.text(node(5, ctrl_deps=6), node(6, ctrl_deps=5)), "rank0.json")
    write(tmp_path, PYTORCH_ET.text(), "rank1.json")
    assert [type(v) for _, v in read_each(tmp_path)] == [CycleError, Trace]
