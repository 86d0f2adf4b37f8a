"""Chakra's two JSON forms: made-up messages there and back, real Feeder files against a plain reading, bad files."""

from __future__ import annotations

import gzip
import json
import math
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from etgraph.ingest import source as source_module
from etgraph.ingest.chakra import feeder, jsonizer
from etgraph.ingest.chakra.messages import AttributeProto, GlobalMetadata, Node
from etgraph.ingest.source import SourceFile
from etgraph.model.errors import InputError
from support.chakra_messages import METADATA, NODES, TEXT

JSON = dict[str, Any]
in_place = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def file(folder: Path, data: str | bytes, name: str = "trace.json") -> SourceFile:
    path = folder / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return SourceFile(path)


def read(source: SourceFile) -> tuple[Any, list[Any]]:
    metadata, *nodes = [message for batch in jsonizer.messages(source) for message in batch]
    return GlobalMetadata.FromString(metadata), [Node.FromString(node) for node in nodes]


def same(found: Any, expected: Any) -> bool:
    """Equality of messages in which NaN equals NaN."""
    same_bytes: bool = found.SerializeToString(deterministic=True) == expected.SerializeToString(deterministic=True)
    return same_bytes


# The Jsonizer form


@in_place
@given(metadata=METADATA, nodes=st.lists(NODES, max_size=3), style=st.sampled_from([2, 0, None]), names=st.booleans())
def test_messages_come_back_as_they_were(
    metadata: Any, nodes: list[Any], style: int | None, names: bool, tmp_path: Path
) -> None:
    text = "\n".join(
        json_format.MessageToJson(m, indent=style, preserving_proto_field_name=names) for m in (metadata, *nodes)
    )
    head, found = read(file(tmp_path, text))
    assert same(head, metadata)
    assert len(found) == len(nodes)
    assert all(map(same, found, nodes))
    assert jsonizer.is_jsonizer(text.encode()) == (text.replace("{}", "").strip() != "")


def test_the_protobuf_library_reads_the_same(tmp_path: Path) -> None:
    """Spellings that no writer of ours makes, where protobuf's own reader holds the value exactly."""
    spellings = [
        {"id": 18446744073709551615, "type": 4, "ctrl_deps": [1, "2"], "startTimeMicros": 1e3},
        {"id": "7", "type": "COMM_COLL_NODE", "dataDeps": [], "durationMicros": None, "inputs": {}, "attr": []},
        {"attr": [{"name": "a", "doubleVal": 3}, {"doubleVal": "-1.5e3"}, {"float_val": "NaN"}, {"floatVal": 0.1}]},
        {"attr": [{"bytesVal": "-_8"}, {"bytesVal": "+/8="}, {"boolVal": False}, {"boolList": {}}, {"int32Val": None}]},
        {"type": -3, "attr": [{"int64List": {"values": ["-9223372036854775808", 5, 2.0]}}, {"doubleVal": "Infinity"}]},
    ]
    _, found = read(file(tmp_path, "{}" + "".join(map(json.dumps, spellings))))
    assert all(map(same, found, [json_format.ParseDict(s, Node()) for s in spellings]))


def test_names_of_keys_are_those_of_the_schema() -> None:
    for message, keys in ((GlobalMetadata, jsonizer.METADATA_KEYS), (Node, jsonizer.NODE_KEYS)):
        fields = message.DESCRIPTOR.fields
        assert keys == {f.name for f in fields} | {f.json_name for f in fields}


def test_bare_numbers_that_are_not_finite_are_read_as_their_names(tmp_path: Path) -> None:
    text = '{} {"attr": [{"doubleVal": NaN}, {"doubleList": {"values": [Infinity, -Infinity]}}]}'
    (node,) = read(file(tmp_path, text))[1]
    assert math.isnan(node.attr[0].double_val)
    assert list(node.attr[1].double_list.values) == [math.inf, -math.inf]


@pytest.mark.parametrize(
    ("text", "version", "ids"),
    [
        ("{}", "", []),
        ('{"version": "0.0.4"}\n', "0.0.4", []),
        ('{"id": "5", "name": "a"}{"id": "6"}', "", [5, 6]),
        ("{}{}{}", "", [0, 0]),
        ('\r\n\t {"attr": []}\n\n{"id": 1}\n \n{}\n', "", [1, 0]),
    ],
)
def test_the_metadata_comes_first_even_where_there_is_none(
    text: str, version: str, ids: list[int], tmp_path: Path
) -> None:
    metadata, nodes = read(file(tmp_path, text))
    assert (metadata.version, [n.id for n in nodes]) == (version, ids)


def sample(nodes: int = 3) -> str:
    many = [Node(id=i, name=f'näme "{i}" \\ 𝄞', type=4, ctrl_deps=[i], attr=[AttributeProto(name="é", double_val=1.5)])
            for i in range(nodes)]  # fmt: skip
    return "{}\n" + "\n".join(
        json_format.MessageToJson(n, indent=2, ensure_ascii=i % 2 > 0) for i, n in enumerate(many)
    )


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64])
def test_chunks_may_end_anywhere(size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = read(file(tmp_path, sample()))
    monkeypatch.setattr(source_module, "READ", size)
    assert read(file(tmp_path, sample())) == whole
    assert [n.name for n in whole[1]] == [f'näme "{i}" \\ 𝄞' for i in range(3)]


def test_batches_are_bounded_in_number_and_in_bytes(tmp_path: Path) -> None:
    batches = list(jsonizer.messages(file(tmp_path, sample(2000))))
    assert [len(b) for b in batches] == [512, 512, 512, 465]
    large = json.dumps({"name": "x" * 600_000})
    assert [len(b) for b in jsonizer.messages(file(tmp_path, "{}" + large * 5))] == [3, 2, 1]


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    def peak(nodes: int) -> int:
        path = tmp_path / "trace.json.gz"
        path.write_bytes(gzip.compress(b"{}" + (json.dumps({"id": 1, "name": "x" * 4000}) * nodes).encode(), 1))
        tracemalloc.start()
        try:
            assert sum(len(batch) for batch in jsonizer.messages(SourceFile(path))) == nodes + 1
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak(8000) < 1.5 * peak(2000)


def test_an_object_of_many_megabytes(tmp_path: Path) -> None:
    text = json_format.MessageToJson(
        GlobalMetadata(attr=[AttributeProto(name="input_file", string_val="<é/>" * 3_000_000)])
    )
    metadata, (node,) = read(file(tmp_path, text + '{"id": "3"}'))
    assert (len(metadata.attr[0].string_val), node.id) == (12_000_000, 3)
    assert jsonizer.is_jsonizer(text.encode()[: 1 << 20])


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        ('{}\n{"id": "1"', True), ('{"version": "0.0.4"}', True), ('{"attr": [{"name": "x", "stringVal": "', True),
        ('{}{}{} {"name', False), ('{"id": "1", "name": "a", "attr": [{"foo": {"traceEvents": []}}]}', True),
        ('\n {"type":"COMP_NODE","ctrlDeps":["1"],"data_deps":[]}', True), ('{"na', False),
        ("{}", False), ("", False), ("[", False), ("[{}]", False), ("{} [", False), ("7", False), ("\ufeff{}{}", False),
        ('{"traceEvents": [', False), ('{"schemaVersion": 1, "traceEvents": []}', False),
        ('{"version": "1", "traceEvents": [', False), ('{"name": "x", "nodes": []}', False),
        ('{"schema": "1.0.2", "pid": 1, "nodes": [{"id": 1}]}', False), ('{"workload_graph": []}', False),
        ('{"ph": "X", "name": "a"}\n{"ph": "X"}', False), ('{"name": "a", "ph": "X"}', False),
        ('{"version": "1", "id": 5}', False), ('{"attr": [{}], "nodes": [', False), ('{"id":1}}', True),
    ],
)  # fmt: skip
def test_which_heads_are_of_this_form(head: str, expected: bool) -> None:
    assert jsonizer.is_jsonizer(head.encode()) is expected


def test_other_traces_are_not_of_this_form(traces_dir: Path) -> None:
    files = sorted(p for p in traces_dir.rglob("*.json*") if p.is_file())
    assert files
    for path in files:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as opened:
            assert not jsonizer.is_jsonizer(opened.read(1 << 20)), path


@given(head=st.binary(max_size=60) | st.text('{}[]":,\\ idname').map(str.encode))
@example(head=b'{"' + b"\\" * 100_000)
@example(head=b"{}" * 500_000)
def test_any_head_has_an_answer(head: bytes) -> None:
    assert jsonizer.is_jsonizer(head) in (True, False)


# Bad files of the Jsonizer form


def refused(source: SourceFile) -> str:
    """The message of the error that reading this file gives, complete with file and place."""
    with pytest.raises(InputError) as error:
        for _ in jsonizer.messages(source):
            pass
    message = str(error.value)
    assert message.startswith(f"{source.path}: ")
    assert "found " in message
    assert ", expected " in message
    assert len(message) < 600
    return message.removeprefix(f"{source.path}: ")


FIRST = '{"version": "é"}\n'
"""18 bytes, 17 characters."""


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ("[]", "object 1 at byte 18: found '[]', expected an object"),
        ("7", "object 1 at byte 18: found '7', expected an object"),
        (", {}", "object 1 at byte 18: found ', {}', expected an object"),
        ('{"id": 1,}', "object 1 at byte 2"),  # of the comma or of the bracket, by the version of Python
        ('{"id": é}', "object 1 at byte 25: found malformed JSON (Expecting value), expected valid JSON"),
        ('{"id" 1}' + " " * 40, "object 1 at byte 24: found malformed JSON (Expecting ':' delimiter)"),
        ('{"name": "a\nb"}', "object 1 at byte 29: found malformed JSON (Invalid control character at)"),
        ('{"name": "a', "object 1 at byte 29: found the end of the file, expected the rest of the object"),
        ('{"id": 1', "object 1 at byte 26: found the end of the file, expected the rest of the object"),
        ('{"id": 1}}', "object 2 at byte 27: found '}', expected an object"),
        ('{"id": ' + "1" * 9999 + "}", "object 1 at byte 18: found a number of thousands of digits"),
        ('{"inputs": ' + "[" * 100_000, "object 1 at byte 18: found values nested too deeply"),
    ],
)
def test_what_is_no_object_or_no_json(second: str, message: str, tmp_path: Path) -> None:
    assert refused(file(tmp_path, FIRST + second)).startswith(message)


@pytest.mark.parametrize(
    ("node", "message"),
    [
        ({"foo": 1}, ": found the unknown key 'foo', expected a key of Node"),
        ({"version": "1"}, ": found the unknown key 'version', expected a key of Node"),
        ({"[x.y]": 1}, ": found the unknown key '[x.y]'"),
        ({"attr": [{}, {"intVal": 1}]}, ", attr[1]: found the unknown key 'intVal', expected a key of AttributeProto"),
        ({"inputs": {"shape": ""}}, ", inputs: found the unknown key 'shape', expected a key of IOInfo"),
        ({"id": -1}, ", id: found -1, expected a whole number from 0 to 18446744073709551615"),
        ({"id": str(2**64)}, f", id: found '{2**64}', expected"),
        ({"id": 10**40}, ", id: found a number of 133 bits, expected"),
        ({"id": 1.5}, ", id: found 1.5, expected"),
        ({"id": 2.0**53}, ", id: found 9007199254740992.0, expected"),
        ({"id": True}, ", id: found true, expected"),
        ({"id": " 1"}, ", id: found ' 1', expected"),
        ({"id": "1_0"}, ", id: found '1_0', expected"),
        ({"name": 7}, ", name: found 7, expected a string"),
        ({"name": "\ud800"}, ", name: found half of a surrogate pair, expected text"),
        ({"type": "COMP"}, ", type: found 'COMP', expected name or number of a NodeType"),
        ({"type": 7.5}, ", type: found 7.5, expected name or number of a NodeType"),
        ({"type": 2**31}, ", type: found 2147483648, expected"),
        ({"ctrlDeps": "1"}, ", ctrlDeps: found '1', expected a list"),
        ({"ctrlDeps": [1, None]}, ", ctrlDeps[1]: found null, expected a whole number"),
        ({"ctrlDeps": [1], "ctrl_deps": [2]}, ": found both 'ctrlDeps' and 'ctrl_deps', expected one of them"),
        ({"inputs": []}, ", inputs: found a list, expected an object"),
        ({"attr": {}}, ", attr: found an object, expected a list"),
        ({"attr": [None]}, ", attr[0]: found null, expected an object"),
        ({"attr": [{"int32Val": 2**31}]}, ", attr[0].int32Val: found 2147483648, expected a whole number from -21"),
        ({"attr": [{"fixed32Val": -1}]}, ", attr[0].fixed32Val: found -1, expected a whole number from 0 to 4294967"),
        ({"attr": [{"boolVal": 1}]}, ", attr[0].boolVal: found 1, expected true or false"),
        ({"attr": [{"boolVal": "true"}]}, ", attr[0].boolVal: found 'true', expected true or false"),
        ({"attr": [{"doubleVal": "x"}]}, ", attr[0].doubleVal: found 'x', expected a number that a double can hold"),
        ({"attr": [{"doubleVal": "1e999"}]}, ", attr[0].doubleVal: found '1e999', expected"),
        ({"attr": [{"doubleVal": 10**400}]}, ", attr[0].doubleVal: found a number of 1329 bits, expected"),
        ({"attr": [{"floatVal": 1e39}]}, ", attr[0].floatVal: found 1e+39, expected a number that a float can hold"),
        ({"attr": [{"bytesVal": "a!=="}]}, ", attr[0].bytesVal: found 'a!==', expected bytes in base64"),
        ({"attr": [{"bytesVal": "abcde"}]}, ", attr[0].bytesVal: found 'abcde', expected bytes in base64"),
        ({"attr": [{"bytesVal": 1}]}, ", attr[0].bytesVal: found 1, expected bytes in base64"),
        ({"attr": [{"stringVal": ["a"]}]}, ", attr[0].stringVal: found a list, expected a string"),
        ({"attr": [{"int64List": [1]}]}, ", attr[0].int64List: found a list, expected an object"),
        ({"attr": [{"int64List": {"values": ["x"]}}]}, ", attr[0].int64List.values[0]: found 'x', expected"),
        ({"attr": [{"int64Val": 1, "boolVal": True}]}, ", attr[0]: found both 'int64Val' and 'boolVal', expected"),
    ],
    ids=repr,
)  # fmt: skip
def test_a_wrong_value_names_object_byte_and_key(node: JSON, message: str, tmp_path: Path) -> None:
    text = FIRST + '{"name": "ü"}\n' + json.dumps(node) + "\n{}"
    assert refused(file(tmp_path, text)).startswith("object 2 at byte 33" + message)


def test_a_key_that_occurs_twice(tmp_path: Path) -> None:
    text = FIRST + '{"attr": [{"name": "a", "name": "b"}]}'
    assert refused(file(tmp_path, text)) == "object 1 at byte 18: found the key 'name' twice, expected each key once"


def test_the_place_of_a_fault_far_into_a_file(tmp_path: Path) -> None:
    good = sample(20_000)
    message = refused(file(tmp_path, good + '\n {"id": "x"}'))
    assert message.startswith(f"object 20001 at byte {len(good.encode()) + 2:,}, id: found 'x', expected")


def test_a_fault_is_told_before_the_rest_is_read(tmp_path: Path) -> None:
    source = file(tmp_path, '{}{"id": !}' + " " * (32 << 20))
    assert refused(source).startswith("object 1 at byte 9: found malformed JSON")
    assert source.bytes < 8 << 20


def test_invalid_utf_8_names_the_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = b'{} {"name": "\xc3\xa9\xc3"}'
    for size in (1, 2, 5, 1 << 20):
        monkeypatch.setattr(source_module, "READ", size)
        assert refused(file(tmp_path, text)) == "byte 15: found the byte 0xc3, expected text in UTF-8"
    assert refused(file(tmp_path, b'{} {"name": "\xc3')) == "byte 13: found the byte 0xc3, expected text in UTF-8"


def test_a_byte_order_mark(tmp_path: Path) -> None:
    assert "found a byte order mark, expected an object" in refused(file(tmp_path, "\ufeff{}"))


@pytest.mark.parametrize("data", [b"", b" \n ", gzip.compress(b"", mtime=0)])
def test_a_file_that_holds_nothing(data: bytes, tmp_path: Path) -> None:
    assert "found" in refused(file(tmp_path, data))


def test_a_file_cut_at_any_byte_gives_the_whole_nodes_or_an_error(tmp_path: Path) -> None:
    text = sample(2).encode()
    whole = read(file(tmp_path, text))[1]
    for length in range(2, len(text)):
        ends = text[:length].count(b"\n}")
        if text[:length].rstrip().endswith(b"}") and text[:length].rstrip().split(b"\n")[-1] in (b"}", b"{}"):
            assert read(file(tmp_path, text[:length]))[1] == whole[:ends]
        else:
            refused(file(tmp_path, text[:length]))


@in_place
@given(place=st.integers(0, 400), byte=st.integers(0, 255))
def test_one_wrong_byte_gives_an_error_or_messages(place: int, byte: int, tmp_path: Path) -> None:
    data = bytearray(sample(2).encode())
    data[place % len(data)] = byte
    source = file(tmp_path, bytes(data))
    message = ""
    try:
        read(source)
    except InputError as error:
        message = str(error)
    assert str(source.path) in (message or str(source.path))


# The Feeder form


class Refused(Exception):
    """What a reader of the Feeder form says against a value."""


def fail(found: str, expected: str, what: str) -> Exception:
    return Refused(f"{what}: found {found}, expected {expected}")


def node(**element: Any) -> Any:
    return Node.FromString(feeder.node({"Id": 1} | element, fail))


def values(message: Any) -> dict[str, tuple[str | None, Any]]:
    """Attributes by name: type and value."""
    found: dict[str, tuple[str | None, Any]] = {}
    for attribute in message.attr:
        kind = attribute.WhichOneof("value")
        value = getattr(attribute, kind) if kind else None
        found[attribute.name] = kind, list(value.values) if kind and kind.endswith("_list") else value
    return found


@pytest.mark.parametrize(("name", "count"), [("small_chakra.0.json", 7), ("chakra.0.json.gz", 3664)])
def test_a_real_file_against_a_plain_reading(name: str, count: int, collection_dir: Path) -> None:
    data = (collection_dir / "chakra" / "jsonData" / name).read_bytes()
    document = json.loads(gzip.decompress(data) if name.endswith(".gz") else data)
    elements = document.pop(feeder.ARRAY)
    assert len(elements) == count
    for e in elements:
        found = Node.FromString(feeder.node(e, fail))
        assert found == Node(
            id=e["Id"], name=e["Name"], type=e["NodeType"], ctrl_deps=e.get("ctrlDeps", []), data_deps=e["data_deps"],
            duration_micros=e.get("runtime"), attr=[AttributeProto(name="is_cpu_op", bool_val=e["is_cpu_op"])],
        )  # fmt: skip
    head = GlobalMetadata.FromString(feeder.metadata(document))
    assert {key: value for key, (_, value) in values(head).items()} == document
    assert head.version == ""


def test_other_keys_become_attributes_of_their_own_type() -> None:
    other: JSON = {
        "comm_type": 0, "comm_size": 2**63, "low": -(2**63), "share": 0.5, "tag": "é", "wait": False, "none": None,
        "dims": [True, False], "shape": [1, -2], "sizes": [1, 2**64 - 1], "times": [0.5, 2], "names": ["a", ""],
        "empty": [], "mixed": [1, "a"], "nested": {"a": [1, None], "b": "é"}, "lists": [[1], []], "huge": 2**64,
        "uneven": [-1, 2**64 - 1], "inexact": [0.5, 2**53 + 1],
    }  # fmt: skip
    expected = {
        "comm_type": ("int64_val", 0), "comm_size": ("uint64_val", 2**63), "low": ("int64_val", -(2**63)),
        "share": ("double_val", 0.5), "tag": ("string_val", "é"), "wait": ("bool_val", False), "none": (None, None),
        "dims": ("bool_list", [True, False]), "shape": ("int64_list", [1, -2]),
        "sizes": ("uint64_list", [1, 2**64 - 1]), "times": ("double_list", [0.5, 2.0]),
        "names": ("string_list", ["a", ""]), "empty": ("string_list", []), "mixed": ("string_val", '[1,"a"]'),
        "nested": ("string_val", '{"a":[1,null],"b":"é"}'), "lists": ("string_val", "[[1],[]]"),
        "huge": ("string_val", str(2**64)), "uneven": ("string_val", f"[-1,{2**64 - 1}]"),
        "inexact": ("string_val", f"[0.5,{2**53 + 1}]"),
    }  # fmt: skip
    assert values(node(**other)) == expected
    assert values(GlobalMetadata.FromString(feeder.metadata(other))) == expected


@pytest.mark.parametrize(
    ("runtime", "duration", "attribute"),
    [
        (318, 318, {}), (318.0, 318, {}), (2**64 - 1, 2**64 - 1, {}), (0, 0, {"runtime": ("int64_val", 0)}),
        (1.5, 0, {"runtime": ("double_val", 1.5)}), (-3, 0, {"runtime": ("int64_val", -3)}),
        (2**64, 0, {"runtime": ("string_val", str(2**64))}), (math.inf, 0, {"runtime": ("double_val", math.inf)}),
        (None, 0, {"runtime": (None, None)}),
    ],
)  # fmt: skip
def test_a_runtime_is_a_duration_or_stays_as_it_is(runtime: Any, duration: int, attribute: JSON) -> None:
    found = node(runtime=runtime)
    assert (found.duration_micros, values(found)) == (duration, attribute)


def test_spellings_and_absent_keys() -> None:
    assert node() == Node(id=1)
    assert node(ctrl_deps=[0], dataDeps=[2**64 - 1]) == Node(id=1, ctrl_deps=[0], data_deps=[2**64 - 1])
    assert node(Id=2**64 - 1, NodeType=99).type == 99


@in_place
@given(
    element=st.dictionaries(
        TEXT.filter(lambda key: key not in ("runtime", "is_cpu_op")),
        st.recursive(
            st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | TEXT,
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=2),
            max_leaves=5,
        ),
        max_size=5,
    )
)
def test_nothing_is_lost(element: JSON) -> None:
    found = values(node(**element))
    assert list(found) == list(element)
    for key, value in element.items():
        kind, kept = found[key]
        as_text = kind == "string_val" and not isinstance(value, str)
        assert (json.loads(kept) if as_text else kept) == value


@pytest.mark.parametrize(
    ("element", "message"),
    [
        ({"Id": None}, "Id: found null, expected a whole number from 0 to"),
        ({"Id": "1"}, "Id: found '1', expected"), ({"Id": -1}, "Id: found -1, expected"),
        ({"Id": 2**64}, f"Id: found {2**64}, expected"), ({"Id": True}, "Id: found true, expected"),
        ({"Id": 1.0}, "Id: found 1.0, expected"), ({"Name": 1}, "Name: found 1, expected a text"),
        ({"NodeType": "COMP_NODE"}, "NodeType: found 'COMP_NODE', expected the number of a type of node"),
        ({"NodeType": 2**31}, "NodeType: found 2147483648"), ({"ctrlDeps": 1}, "ctrlDeps: found 1, expected a list"),
        ({"data_deps": [1, -1]}, "data_deps[1]: found -1, expected"), ({"data_deps": None}, "data_deps: found null"),
        ({"ctrlDeps": [], "ctrl_deps": []}, "ctrlDeps: found both 'ctrlDeps' and 'ctrl_deps', expected one of them"),
        ({"runtime": "1"}, "runtime: found '1', expected a number of microseconds"),
        ({"runtime": True}, "runtime: found true"), ({"is_cpu_op": 1}, "is_cpu_op: found 1, expected true or false"),
        ({"note": "\ud800"}, "'note': found half of a surrogate pair, expected text"),
        ({"\ud800": 1}, "'\\ud800': found half of a surrogate pair, expected text"),
    ],
)  # fmt: skip
def test_a_wrong_value_names_its_key(element: JSON, message: str) -> None:
    with pytest.raises(Refused) as error:
        node(**element)
    assert str(error.value).startswith(message)


def test_an_element_without_an_id() -> None:
    with pytest.raises(Refused, match=r"Id: found no key 'Id', expected a whole number from 0 to"):
        feeder.node({"Name": "a"}, fail)
