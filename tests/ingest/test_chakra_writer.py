"""Chakra files written: what came from Chakra message by message, what came from elsewhere with all that is known."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from google.protobuf import json_format
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from etgraph.ingest import read, samples
from etgraph.ingest.chakra.layout import varint
from etgraph.ingest.chakra.messages import GlobalMetadata, Node
from etgraph.ingest.writers import ExportError, check, write
from etgraph.model import Category, Columns, DependencyKind, Trace, process_group_tables
from etgraph.model.errors import InputError, UsageError
from etgraph.store import connect
from support.build import build
from support.chakra_messages import METADATA, NODES

in_place = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def delimited(*messages: Any) -> bytes:
    """A file of these messages, serialised ones or not."""
    plain = [m if isinstance(m, bytes) else m.SerializeToString() for m in messages]
    return b"".join(varint(len(m)) + m for m in plain)


def split(data: bytes) -> list[bytes]:
    """The messages of a file."""
    found, at = [], 0
    while at < len(data):
        size = shift = 0
        while True:
            byte = data[at]
            at += 1
            size |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
        found.append(data[at : at + size])
        at += size
    return found


def nodes_of(file: Path) -> list[Any]:
    return [Node.FromString(m) for m in split(file.read_bytes())[1:]]


def through(data: bytes, folder: Path) -> bytes:
    """What becomes of a file that is read, stored, loaded and written."""
    path = folder / "in.et"
    path.write_bytes(data)
    with connect(folder / "store") as store:
        trace = store.load(store.publish(read(path)))
        write(trace, folder / "out.et", "chakra")
    return (folder / "out.et").read_bytes()


def test_every_file_of_the_collection_comes_back_as_it_was(
    collection_dir: Path, reference_dir: Path, tmp_path: Path
) -> None:
    files = [*collection_dir.glob("chakra/*.et"), *reference_dir.glob("astra_sim/*/*.et")]
    assert len(files) > 150
    for number, file in enumerate(files):
        if number % 20 == 0 or file.parent.name == "chakra":
            (tmp_path / str(number)).mkdir()
            assert through(file.read_bytes(), tmp_path / str(number)) == file.read_bytes(), file
        else:
            write(read(file), tmp_path / "out.et", "chakra")
            assert (tmp_path / "out.et").read_bytes() == file.read_bytes(), file


def test_files_of_the_feeder_become_the_same_messages_twice(collection_dir: Path, tmp_path: Path) -> None:
    for file in sorted(collection_dir.glob("chakra/jsonData/*")):
        write(read(file), tmp_path / "out.et", "chakra")
        listed = json.loads(_text(file))["workload_graph"]
        found = nodes_of(tmp_path / "out.et")
        assert [n.id for n in found] == [e["Id"] for e in listed]
        assert [list(n.data_deps) for n in found] == [e["data_deps"] for e in listed]
        assert [list(n.ctrl_deps) for n in found] == [e.get("ctrlDeps", []) for e in listed]
        assert [n.duration_micros for n in found] == [e.get("runtime", 0) for e in listed]
        before = (tmp_path / "out.et").read_bytes()
        write(read(tmp_path / "out.et"), tmp_path / "again.et", "chakra")
        assert (tmp_path / "again.et").read_bytes() == before


def _text(file: Path) -> str:
    import gzip

    return (gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()).decode()


def ordered(nodes: list[Any]) -> list[Any]:
    """The nodes with ids of their own, and data dependencies on earlier ones or on none that there is."""
    ids: list[int] = []
    nodes = [Node.FromString(node.SerializeToString()) for node in nodes]
    for number, node in enumerate(nodes):
        node.id = (node.id + number * 7919) % 2**64
        while node.id in ids:
            node.id = (node.id + 1) % 2**64
        for names in (node.data_deps, node.ctrl_deps):
            known = [ids[d % len(ids)] if ids and d % 2 else d for d in names]
            del names[:]
            names.extend(d for d in known if d != node.id)
        ids.append(node.id)
    later = {id: at for at, id in enumerate(ids)}
    for at, node in enumerate(nodes):
        kept = [d for d in node.data_deps if later.get(d, -1) < at]
        del node.data_deps[:]
        node.data_deps.extend(kept)
    return nodes


@in_place
@given(metadata=METADATA, nodes=st.lists(NODES, max_size=6).map(ordered))
def test_messages_over_the_whole_schema_come_back_as_they_were(metadata: Any, nodes: list[Any], tmp_path: Path) -> None:
    data = delimited(metadata, *nodes)
    path = tmp_path / "in.et"
    path.write_bytes(data)
    write(read(path), tmp_path / "out.et", "chakra")
    assert (tmp_path / "out.et").read_bytes() == data


FIELDS = {
    "id": b"\x08\x05", "name": b"\x12\x01a", "type": b"\x18\x04", "one dependency": b"\x20\x07",
    "packed": b"\x2a\x02\x03\x04", "zero duration": b"\x38\x00", "start": b"\x30\x09", "inputs": b"\x42\x03\x12\x01s",
    "attribute": b"\x52\x04\x38\x01\x0a\x00", "value": b"\x52\x07\x0a\x01t\x48\xff\xff\x03",
    "list": b"\x52\x07\x52\x05\x08\x01\x0a\x01\x02", "unknown varint": b"\xb8\x3e\x01",
    "unknown text": b"\xfa\x07\x03abc", "unknown group": b"\x9b\x08\x08\x01\x9c\x08", "empty list": b"\x22\x00",
}  # fmt: skip
"""Fields of a node as bytes; some as no common encoder writes them."""


@in_place
@given(order=st.permutations(list(FIELDS)), count=st.integers(1, len(FIELDS)))
def test_fields_keep_their_order_and_their_spelling(order: list[str], count: int, tmp_path: Path) -> None:
    node = b"".join(FIELDS[name] for name in order[:count])
    data = delimited(b"\x12\x02\x0a\x00\x0a\x01v", node)
    (tmp_path / "in.et").write_bytes(data)
    write(read(tmp_path / "in.et"), tmp_path / "out.et", "chakra")
    assert (tmp_path / "out.et").read_bytes() == data


def example() -> bytes:
    node = Node(id=3, name="all_reduce", type=7, duration_micros=20, data_deps=[1], ctrl_deps=[9])
    node.attr.add(name="is_cpu_op", bool_val=False)
    node.attr.add(name="comm_type", int64_val=0)
    node.attr.add(name="comm_size", uint64_val=1024)
    node.attr.add(name="note", string_val="first")
    return delimited(GlobalMetadata(version="x"), Node(id=1, name="gemm", type=4, duration_micros=10), node)


def opened(tmp_path: Path) -> Trace:
    (tmp_path / "in.et").write_bytes(example())
    return read(tmp_path / "in.et")


def written(trace: Trace, tmp_path: Path) -> list[Any]:
    write(trace, tmp_path / "out.et", "chakra")
    return nodes_of(tmp_path / "out.et")


def test_an_edited_column_is_what_is_written(tmp_path: Path) -> None:
    trace = opened(tmp_path)
    changed = {"duration_ns": [10_000, 55_000], "comm_bytes": [-(2**63), 4096], "flops": [77, -(2**63)]}
    edited = replace(trace, operators=trace.operators.replace(changed))
    gemm, reduce = written(edited, tmp_path)
    assert (gemm.duration_micros, reduce.duration_micros) == (10, 55)
    assert {a.name: a.uint64_val for a in reduce.attr}["comm_size"] == 4096
    assert [(a.name, a.int64_val) for a in gemm.attr] == [("num_ops", 77)]
    assert list(reduce.ctrl_deps) == [9], "a dependency that leads nowhere stays"
    untouched = Node.FromString(split(example())[2])
    assert [a for a in reduce.attr if a.name != "comm_size"] == [a for a in untouched.attr if a.name != "comm_size"]


def test_an_edited_attribute_is_what_is_written(tmp_path: Path) -> None:
    trace = opened(tmp_path)
    row = int(trace.operators["attrs"][1])
    text = trace.attributes.text(row).replace(b'"first"', b'"second"')
    _, reduce = written(replace(trace, attributes=trace.attributes.edited({row: text})), tmp_path)
    assert {a.name: a.string_val for a in reduce.attr}["note"] == "second"


def test_a_duration_below_the_microsecond_becomes_an_exact_attribute(tmp_path: Path) -> None:
    trace = opened(tmp_path)
    edited = replace(trace, operators=trace.operators.replace({"duration_ns": [10_000, 1_234]}))
    _, reduce = written(edited, tmp_path)
    assert reduce.duration_micros == 1
    assert read(tmp_path / "out.et").operators["duration_ns"].tolist() == [10_000, 1_234]


def test_another_timeline_is_written_with_its_times(tmp_path: Path) -> None:
    trace = opened(tmp_path).with_times(np.array([0, 10_500]), np.array([10_500, 700]), "simulated")
    written(trace, tmp_path)
    again = read(tmp_path / "out.et")
    assert again.operators["start_ns"].tolist() == [0, 10_500]
    assert again.operators["duration_ns"].tolist() == [10_500, 700]


def test_attributes_that_are_no_messages_are_refused(tmp_path: Path) -> None:
    trace = opened(tmp_path)
    row = int(trace.operators["attrs"][1])
    for text in (b"{", b'{"attr":[{"name":1}]}', b'{"attr":[{"nonsense":1}]}', b'{"layout":[1,"x"]}'):
        with pytest.raises(ExportError, match=r"attributes of rank 0 operator 1 \(all_reduce"):
            written(replace(trace, attributes=trace.attributes.edited({row: text})), tmp_path)
        assert not (tmp_path / "out.et").exists()


# Traces of other formats


def dependencies(trace: Trace) -> list[tuple[Any, ...]]:
    """The dependencies with all that is said of them, in an order that does not depend on the table's."""
    rows = [trace.dependencies.row(row) for row in range(len(trace.dependencies))]
    return sorted(tuple(row.values()) for row in rows)


def differences(before: Trace, after: Trace) -> dict[str, list[str]]:
    found = {name: before.tables[name].differences(after.tables[name]) for name in before.tables}
    if dependencies(before) == dependencies(after):
        del found["dependencies"]
    return {name: columns for name, columns in found.items() if columns}


def ranks(sample: str, kind: str, folder: Path) -> Trace:
    for file in samples.path(sample).glob(f"{kind}_rank*"):
        shutil.copy(file, folder)
    return read(folder)


@pytest.mark.parametrize("format", ["chakra", "chakra-json"])
@pytest.mark.parametrize(("sample", "kind"), [("dlrm_alltoall", "kineto"), ("gpt_tp2_pp2", "et"), ("gpt_ddp", "et")])
def test_a_trace_of_another_format_comes_back_with_all_that_is_known(
    sample: str, kind: str, format: str, tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    before = ranks(sample, kind, tmp_path / "in")
    write(before, tmp_path / "out", format)
    after = read(tmp_path / "out")
    after.validate()
    missing = differences(before, after)
    assert set(missing.pop("operators")) == {"attrs"}
    assert not missing.keys() - {"annotations", "instants"}, "what is no operator has no place in Chakra"
    assert after.metadata.zero_ns == before.metadata.zero_ns
    assert after.ranks == before.ranks
    write(after, tmp_path / "again", format)
    for file in (tmp_path / "out").glob("trace.*"):
        assert (tmp_path / "again" / file.name).read_bytes() == file.read_bytes()


def test_single_gpu_traces_come_back_with_all_kinds_of_dependencies(collection_dir: Path, tmp_path: Path) -> None:
    kinds = set()
    for name in ("ns_resolution_trace", "critical_path/alexnet", "mtia_inference_trace", "trace_filter"):
        for file in sorted((collection_dir / "hta" / name).rglob("*.json.gz"))[:2]:
            before = read(file)
            write(before, tmp_path / "out.et", "chakra")
            after = read(tmp_path / "out.et")
            missing = differences(before, after)
            assert set(missing.pop("operators", ())) <= {"attrs"}, file
            assert not missing.keys() - {"annotations", "instants", "memory_events", "counters"}, file
            kinds |= before.dependency_counts.keys()
    assert {"CALL", "LAUNCH", "STREAM", "THREAD"} <= kinds


def test_every_kind_of_dependency_and_sub_microsecond_times_survive(tmp_path: Path) -> None:
    before = build("""
        rank 0 | thread 1 | a: aten::mm            0..2000    -SPAWN-> b
        rank 0 | thread 1 | c: cudaLaunchKernel    10..11     -> k
        rank 0 | thread 2 | b: backward            1..700     -JOIN-> z
        rank 0 | stream 7 | k: gemm                20..333    -EVENT-> l
        rank 0 | stream 9 | l: add                 400..401   -SYNC-> s
        rank 0 | thread 1 | s: cudaStreamSynchronize 2001..2003
        rank 0 | stream 9 | o: add2                402..403   -OCCUPANCY-> p
        rank 0 | stream 7 | p: add3                404..405   -DATA-> q
        rank 0 | stream 7 | q: add4                500..501
        rank 0 | thread 1 | z: step                2100..2101
    """)
    write(before, tmp_path / "out.et", "chakra")
    after = read(tmp_path / "out.et")
    assert differences(before, after).keys() == {"operators"}
    assert differences(before, after)["operators"] == ["attrs"]
    assert {"SPAWN", "LAUNCH", "JOIN", "EVENT", "SYNC", "OCCUPANCY", "DATA"} <= after.dependency_counts.keys()


@pytest.mark.parametrize("format", ["chakra", "chakra-json"])
def test_waves_survive_to_the_last_bit(format: str, tmp_path: Path) -> None:
    trace = build("""
        rank 0 | stream 7 | a   0..1
        rank 0 | stream 7 | b   1..2
        rank 0 | stream 7 | c   2..3
        rank 0 | stream 7 | d   3..4
    """)
    waves = np.array([np.nan, 0.1, 1e7, 0], dtype=np.float32)
    file = tmp_path / ("out.et" if format == "chakra" else "out.json")
    write(replace(trace, operators=trace.operators.replace({"waves": waves})), file, format)
    assert np.array_equal(read(file).operators["waves"], waves, equal_nan=True)


def test_the_standard_s_lists_order_nodes_without_a_cycle(tmp_path: Path) -> None:
    """A call that waits for the copy that it starts is a cycle of operators, not of their starts."""
    trace = build("""
        rank 0 | thread 1 | call: cudaMemcpy  0..50  -> copy
        rank 0 | stream 7 | copy: Memcpy      5..45  -SYNC-> call
    """)
    write(trace, tmp_path / "out.et", "chakra")
    call, copy = nodes_of(tmp_path / "out.et")
    assert (list(call.ctrl_deps), list(call.data_deps)) == ([], [])
    assert list(copy.ctrl_deps) == [call.id]
    assert read(tmp_path / "out.et").dependency_counts == {"LAUNCH": 1, "SYNC": 1}


def test_sizes_are_written_as_chakra_s_tools_record_them(tmp_path: Path) -> None:
    trace = build(
        """
        rank 0 | stream 7 | all_gather 4KB  0..1000
        rank 1 | stream 7 | all_gather 4KB  0..1000
        """,
        world_size=2,
    )
    write(trace, tmp_path / "out", "chakra")
    (node,) = nodes_of(tmp_path / "out" / "trace.0.et")
    values = {a.name: a.int64_val for a in node.attr}
    assert (values["comm_type"], values["comm_size"]) == (2, 2048)
    assert read(tmp_path / "out").operators["comm_bytes"].tolist() == [4096, 4096]


def test_jsonizer_objects_are_protobuf_s_own_json(tmp_path: Path) -> None:
    trace = opened(tmp_path)
    write(trace, tmp_path / "out.json", "chakra-json")
    lines = (tmp_path / "out.json").read_text().splitlines()
    assert json_format.Parse(lines[0], GlobalMetadata()) == GlobalMetadata(version="x")
    messages = [Node.FromString(m) for m in split(example())[1:]]
    assert [json.loads(line) for line in lines[1:]] == [json_format.MessageToDict(m) for m in messages]
    again = read(tmp_path / "out.json")
    assert differences(trace, again) == {}


# Targets


def test_one_rank_may_be_a_file_or_a_stream_and_several_are_a_folder(tmp_path: Path) -> None:
    trace = opened(tmp_path)
    stream = io.BytesIO()
    write(trace, stream, "chakra")
    assert stream.getvalue() == example()
    several = build("rank 0 | thread 1 | a  0..1\nrank 1 | thread 1 | a  0..1")
    for target in (tmp_path / "x.et", io.BytesIO()):
        with pytest.raises(ExportError, match="one file for 2 ranks"):
            write(several, target, "chakra")
    assert write(several, tmp_path / "x", "chakra").path == str(tmp_path / "x")
    assert {p.name for p in (tmp_path / "x").iterdir()} == {"trace.0.et", "trace.1.et", "etgraph.json"}


def test_workloads_are_for_known_simulators_and_formats(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no simulator 'simgrid'"):
        check(tmp_path / "x", "chakra", "simgrid")
    with pytest.raises(UsageError, match="no workloads for astra-sim in format 'dot'"):
        check(tmp_path / "x", "dot", "astra-sim")


def test_a_workload_holds_the_standard_s_attributes_only_and_its_groups(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    trace = ranks("gpt_tp2_pp2", "et", tmp_path / "in")
    notes = write(trace, tmp_path / "out", "chakra", workload_for="astra-sim").notes
    assert any("annotations" in note for note in notes)
    for rank in range(4):
        nodes = nodes_of(tmp_path / "out" / f"trace.{rank}.et")
        names = {a.name for n in nodes for a in n.attr}
        assert names <= {"is_cpu_op", "tid", "stream", "comm_type", "comm_size", "pg_name", "comm_src", "comm_dst",
                         "comm_tag", "num_ops", "tensor_size"}  # fmt: skip
        ids = {n.id for n in nodes}
        assert all(d in ids for n in nodes for d in (*n.ctrl_deps, *n.data_deps))
        assert not any(n.type in (0, 1) for n in nodes)
    again = read(tmp_path / "out")
    assert DependencyKind.DATA.name in again.dependency_counts


def test_members_of_groups_are_read_from_the_file_beside_the_traces(tmp_path: Path) -> None:
    for rank in range(4):
        node = Node(id=1, name="gather", type=7)
        node.attr.add(name="comm_type", int64_val=2)
        node.attr.add(name="comm_size", int64_val=100)
        node.attr.add(name="pg_name", string_val="1" if rank < 2 else "2")
        (tmp_path / f"t.{rank}.et").write_bytes(delimited(GlobalMetadata(), node))
    (tmp_path / "comm_groups.json").write_text('{"1": [0, 1], "2": [2, 3]}')
    trace = read(tmp_path)
    assert trace.operators["comm_bytes"].tolist() == [200] * 4
    assert trace.group_members["rank"].tolist() == [0, 1, 2, 3]
    (tmp_path / "comm_groups.json").write_text('{"1": [0, "x"]}')
    with pytest.raises(Exception, match=r"comm_groups\.json: found .*, expected an object of names"):
        read(tmp_path)


MODIFIED: dict[str, Callable[[Columns], Any]] = {
    "peer": lambda o: [1],
    "tag": lambda o: [5],
    "bytes": lambda o: [2**40],
}


@pytest.mark.parametrize("column", list(MODIFIED))
def test_edited_messages_and_operators_are_written(column: str, tmp_path: Path) -> None:
    node = Node(id=0, name="send", type=5)
    for name, value in (("comm_src", 0), ("comm_dst", 3), ("comm_tag", 2)):
        node.attr.add(name=name, int32_val=value)
    (tmp_path / "in.et").write_bytes(delimited(GlobalMetadata(), node))
    trace = read(tmp_path / "in.et")
    wanted = MODIFIED[column](trace.operators)
    written(replace(trace, operators=trace.operators.replace({column: wanted})), tmp_path)
    assert read(tmp_path / "out.et").operators[column].tolist() == wanted


# Parts and edits of what was read from files of ours


def ours(tmp_path: Path) -> Trace:
    """A trace that was read from Kineto, written as Chakra, and read back."""
    before = read(samples.path("gpt_ddp_5steps") / "kineto_rank0.json.gz")
    write(before, tmp_path / "ours.et", "chakra")
    return read(tmp_path / "ours.et")


def test_a_part_of_a_trace_from_a_file_of_ours_can_be_read_again(tmp_path: Path) -> None:
    trace = ours(tmp_path)
    part = trace.select_iterations([2])
    write(part, tmp_path / "part.et", "chakra")
    again = read(tmp_path / "part.et")
    assert len(again) == len(part)
    assert dependencies(again) == dependencies(part)
    names = [again.operators.texts("name")[code].as_py() for code in again.operators["name"].tolist()]
    parents = [names[row] if row >= 0 else None for row in again.operators["parent"].tolist()]
    texts = part.operators.texts("name").to_pylist()
    expected = [texts[code] for code in part.operators["name"].tolist()]
    assert parents == [expected[row] if row >= 0 else None for row in part.operators["parent"].tolist()]


def test_edits_of_a_trace_from_a_file_of_ours_are_written(tmp_path: Path) -> None:
    trace = ours(tmp_path)
    o = trace.operators
    edited = replace(
        trace,
        operators=o.replace({"scope": np.zeros(len(o), dtype=np.int32)}, {"scope": ["all"]}),
        dependencies=trace.dependencies.take(np.arange(100)),
        metadata=replace(trace.metadata, device_model="another"),
    )
    write(edited, tmp_path / "edited.et", "chakra")
    again = read(tmp_path / "edited.et")
    assert again.operators.value("scope", 5) == "all"
    assert dependencies(again) == dependencies(edited)
    assert again.metadata.device_model == "another"


def test_what_another_tool_adds_to_a_file_of_ours_stays(tmp_path: Path) -> None:
    trace = build("rank 0 | thread 1 | a  0..1000\nrank 0 | thread 1 | b  1000..2500")
    write(trace, tmp_path / "ours.et", "chakra")
    metadata, *nodes = split((tmp_path / "ours.et").read_bytes())
    changed = [Node.FromString(node) for node in nodes]
    changed[1].attr.add(name="cost", double_val=0.5)
    changed[1].ctrl_deps.append(77)
    head = GlobalMetadata.FromString(metadata)
    head.attr.add(name="tool", string_val="x")
    # One dependency more than our list of kinds has: the list is theirs no longer.
    del changed[1].attr[[a.name for a in changed[1].attr].index("etgraph.dependencies")]
    (tmp_path / "theirs.et").write_bytes(delimited(head, *changed))
    theirs = read(tmp_path / "theirs.et")
    assert theirs.metadata.report.dangling_dependencies == 1
    write(theirs, tmp_path / "again.et", "chakra")
    again = nodes_of(tmp_path / "again.et")
    assert [a.double_val for a in again[1].attr if a.name == "cost"] == [0.5]
    assert list(again[1].ctrl_deps) == list(changed[1].ctrl_deps)
    written_head = GlobalMetadata.FromString(split((tmp_path / "again.et").read_bytes())[0])
    assert [a.string_val for a in written_head.attr if a.name == "tool"] == ["x"]


def test_references_to_what_is_gone_are_null(tmp_path: Path) -> None:
    trace = build("rank 0 | thread 1 | a  0..1000\nrank 0 | thread 1 | b  10..25")
    write(trace, tmp_path / "ours.et", "chakra")
    metadata, _, b = split((tmp_path / "ours.et").read_bytes())
    (tmp_path / "half.et").write_bytes(delimited(metadata, b))
    half = read(tmp_path / "half.et")
    assert half.operators["parent"].tolist() == [-1]
    assert half.metadata.report.dangling_dependencies == 1


# Edits of what came from Chakra


NULL = -(2**63)


def test_a_value_that_is_taken_away_is_not_in_the_file(tmp_path: Path) -> None:
    trace = opened(tmp_path)
    columns = {"duration_ns": [10_000, NULL], "comm_type": [-(2**31)] * 2, "comm_bytes": [NULL] * 2}
    _, reduce = written(replace(trace, operators=trace.operators.replace(columns)), tmp_path)
    assert reduce.duration_micros == 0
    assert [a.name for a in reduce.attr] == ["is_cpu_op", "note"]


def test_another_group_and_another_side_are_written(tmp_path: Path) -> None:
    trace = opened(tmp_path)
    groups, members = process_group_tables([("7", None, None, 2, [0, 1])])
    columns = {"group": [-1, 0], "category": [int(Category.KERNEL), int(Category.CPU_OP)]}
    edited = replace(trace, operators=trace.operators.replace(columns), process_groups=groups, group_members=members)
    _, reduce = written(edited, tmp_path)
    values = {a.name: a for a in reduce.attr}
    assert values["pg_name"].string_val == "7"
    assert values["is_cpu_op"].bool_val is True


def test_ids_that_nobody_could_read_are_refused(tmp_path: Path) -> None:
    trace = opened(tmp_path)
    twice = np.array([5, 5], dtype=np.uint64)
    with pytest.raises(ExportError, match=r"operator 0 .* and rank 0 operator 1 .* have the same node id 5"):
        written(replace(trace, operators=trace.operators.replace({"node_id": twice})), tmp_path)
    masks = {"node_id": np.array([True, False])}
    none = trace.operators.replace({"node_id": np.array([1, 0], dtype=np.uint64)}, masks=masks)
    with pytest.raises(ExportError, match=r"operator 1 .* has no node id"):
        written(replace(trace, operators=none), tmp_path)


def test_members_of_groups_are_written_beside_the_traces(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for rank in range(2):
        node = Node(id=1, name="gather", type=7)
        for name, value in (("comm_type", 2), ("comm_size", 64)):
            node.attr.add(name=name, int64_val=value)
        node.attr.add(name="pg_name", string_val="1")
        (tmp_path / "in" / f"t.{rank}.et").write_bytes(delimited(GlobalMetadata(), node))
    (tmp_path / "in" / "comm_groups.json").write_text('{"1": [0, 1]}')
    write(read(tmp_path / "in"), tmp_path / "out", "chakra")
    assert json.loads((tmp_path / "out" / "comm_groups.json").read_text()) == {"1": [0, 1]}
    assert read(tmp_path / "out").operators["comm_bytes"].tolist() == [128, 128]
    for rank in range(2):
        written_file = (tmp_path / "out" / f"trace.{rank}.et").read_bytes()
        assert written_file == (tmp_path / "in" / f"t.{rank}.et").read_bytes()


@pytest.mark.parametrize("text", ["\xff", '{"1": []}', '{"1": [0, 0]}', '{"1": [-1]}', "[]", '{"1": [1.5]}'])
def test_members_of_groups_that_cannot_be_are_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "t.0.et").write_bytes(delimited(GlobalMetadata(), Node()))
    (tmp_path / "comm_groups.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=r"comm_groups\.json"):
        read(tmp_path)


def test_jsonizer_s_form_is_read_by_protobuf_whatever_the_numbers(tmp_path: Path) -> None:
    odd = b"\x52\x0a\x19" + (0xFFF8_0000_0000_0001).to_bytes(8, "little") + b""
    (tmp_path / "in.et").write_bytes(delimited(b"", odd[:1] + b"\x09" + odd[2:11]))
    trace = read(tmp_path / "in.et")
    write(trace, tmp_path / "same.et", "chakra")
    assert (tmp_path / "same.et").read_bytes() == (tmp_path / "in.et").read_bytes()
    write(trace, tmp_path / "out.json", "chakra-json")
    first, second = (tmp_path / "out.json").read_text().splitlines()
    json_format.Parse(second, Node())
    assert first == '{"version":""}'
    assert len(read(tmp_path / "out.json")) == 1


def test_what_is_left_out_is_told(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    notes = write(ranks("dlrm_alltoall", "kineto", tmp_path / "in"), tmp_path / "out", "chakra").notes
    assert notes == (
        "4 collectives: which operators meet is left out, their types and sizes are not",
        "what is no operator is left out: 24 annotations, 8 instants",
    )
    met = build("rank 0 | stream 7 | all_reduce 4KB  0..9\nrank 1 | stream 7 | all_reduce 4KB  0..9")
    assert any("1 collectives" in note for note in write(met, tmp_path / "met", "chakra").notes)


@pytest.mark.parametrize(("format", "name"), [("chakra", "x.et.gz"), ("chakra", "x.json"), ("chakra-json", "x.et")])
def test_a_name_of_another_kind_of_file_is_refused(format: str, name: str, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="this format is a file that ends in"):
        check(tmp_path / name, format)
    assert list(tmp_path.iterdir()) == []


def test_what_a_simulator_reads_beside_the_columns_goes_into_a_workload(tmp_path: Path) -> None:
    for rank in range(2):
        node = Node(id=0, name="reduce", type=7)
        for name, value in (("comm_type", 0), ("comm_size", 64)):
            node.attr.add(name=name, int64_val=value)
        node.attr.add(name="involved_dim").bool_list.values.extend([True, False])
        node.attr.add(name="secret", string_val="x")
        (tmp_path / f"t.{rank}.et").write_bytes(delimited(GlobalMetadata(), node))
    write(read(tmp_path), tmp_path / "out", "chakra", workload_for="astra-sim")
    (node,) = nodes_of(tmp_path / "out" / "trace.1.et")
    values = {a.name: a for a in node.attr}
    assert list(values["involved_dim"].bool_list.values) == [True, False]
    assert "secret" not in values
