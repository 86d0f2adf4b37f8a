"""Chakra's protobuf files: every column and dependency beside a slow reading, folders of ranks, odd and bad values."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import networkx as nx
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from etgraph.ingest import read
from etgraph.ingest.chakra.messages import GlobalMetadata, Node
from etgraph.model import Category, CommType, LaneKind, NodeType, Trace
from etgraph.model.errors import CycleError, InputError, MissingData
from etgraph.queries import critical_path, slack
from support.chakra_messages import KINDS, METADATA, NODES
from support.chakra_oracle import GATHERS, Operator, Oracle, attribute, framed, node, oracle, write

in_place = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
NUMBERS = ("node_id", "start_ns", "duration_ns", "flops", "bytes", "comm_bytes", "peer", "tag")
KNOWN = ("is_cpu_op", "tid", "stream", "comm_type", "comm_size", "pg_name", "comm_src", "comm_dst", "comm_tag",
         "num_ops", "tensor_size", "start_ns", "duration_ns")  # fmt: skip
YEAR = 366 * 86_400 * 10**6


@pytest.fixture(params=["python", "compiled"])
def mode(request: pytest.FixtureRequest) -> Iterator[None]:
    """The kernels as plain Python, or as machine code."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("etgraph.model.kernels.COMPILE_FROM", 0 if request.param == "compiled" else 2**62)
        yield


def found_operators(trace: Trace) -> list[Operator]:
    """The operators of a trace, one value at a time."""
    rows = []
    for at in range(len(trace)):
        row = trace.operators.row(at)
        lane = row["lane"]
        rows.append(Operator(
            name=row["name"],
            kind=int(row["kind"]),
            category=row["category"].name,
            lane=None if lane is None else (trace.lanes.value("kind", lane).name, trace.lanes.value("id", lane)),
            comm_type=None if row["comm_type"] is None else int(row["comm_type"]),
            group=None if row["group"] is None else trace.process_groups.value("name", row["group"]),
            shapes=row["shapes"],
            attributes=trace.operator_attributes(at),
            **{name: row[name] for name in NUMBERS},
        ))  # fmt: skip
    return rows


def edges(trace: Trace) -> list[tuple[str, int, int]]:
    d = trace.dependencies
    kinds = [d.value("kind", row).name for row in range(len(d))]
    return list(zip(kinds, d["src"].tolist(), d["dst"].tolist()))


def gathered(operators: list[Operator], ranks: int | None) -> list[Operator]:
    """What is recorded of a gather is one rank's part: the size is that of all, or not known."""
    for operator in operators:
        if operator.kind == 7 and operator.comm_type in GATHERS and operator.comm_bytes is not None:
            size = operator.comm_bytes * (ranks or 0)
            operator.comm_bytes = size if ranks and size < 2**63 else None
    return operators


def check(trace: Trace, expected: Oracle, ranks: int | None = None) -> None:
    """Everything about a trace of one file."""
    trace.validate()
    operators = gathered(expected.operators, ranks)
    for found, wanted in zip(found_operators(trace), operators, strict=True):
        differing = [f.name for f in fields(Operator) if getattr(found, f.name) != getattr(wanted, f.name)]
        assert not differing, (found, wanted, differing)
    assert edges(trace) == expected.dependencies
    (source,) = trace.metadata.sources
    report = trace.metadata.report
    assert source.document == expected.metadata
    assert trace.metadata.zero_ns == expected.zero_ns
    assert report.dangling_dependencies == expected.dangling
    assert report.counts.get("cyclicDependencies", 0) == expected.cyclic
    assert report.counts.get("valuesBesideColumns", 0) == expected.beside
    assert any("cycles" in warning for warning in report.warnings) == (expected.cyclic > 0)
    assert trace.operators["index"].tolist() == list(range(len(trace)))


# Real files


def test_a_real_trace(collection_dir: Path, mode: None) -> None:
    path = collection_dir / "chakra" / "chakra.0.et"
    expected = oracle(path.read_bytes())
    trace = read(path)
    check(trace, expected)
    assert (len(trace), expected.dangling) == (3664, 1277)
    aside = [o.attributes.get("dangling", {}).get("ctrl_deps", []) for o in expected.operators]
    assert len({id for pairs in aside for id in pairs[1::2]}) == 210
    assert any(o.shapes for o in expected.operators)
    assert any(o.lane and o.lane[0] == "STREAM" for o in expected.operators)


def workloads(reference_dir: Path) -> list[Path]:
    found = sorted(path for path in (reference_dir / "astra_sim").iterdir() if path.is_dir())
    assert found
    return found


def test_every_workload_of_astra_sim(reference_dir: Path) -> None:
    for folder in workloads(reference_dir):
        for file in folder.glob("et.*.et"):
            trace = read(file)
            check(trace, oracle(file.read_bytes()))
            (source,) = trace.metadata.sources
            assert (source.rank, source.rank_from) == (int(file.name.split(".")[1]), "name")


def test_folders_of_ranks(reference_dir: Path) -> None:
    sizes = set()
    for folder in workloads(reference_dir):
        files = sorted(folder.glob("et.*.et"))
        if len(files) < 2:
            continue
        trace = read(folder)
        trace.validate()
        sizes.add(len(files))
        assert trace.ranks == tuple(range(len(files)))
        assert trace.metadata.world_size == len(files)
        assert not any("missing" in warning for warning in trace.metadata.report.warnings)
        for rank, file in enumerate(files):
            expected = oracle(file.read_bytes())
            one = found_operators(trace.select_ranks([rank]))
            for found, wanted in zip(one, gathered(expected.operators, len(files)), strict=True):
                found.start_ns = wanted.start_ns  # the ranks have one zero
                assert found == wanted
    assert {4, 8} <= sizes


@pytest.mark.parametrize("workload", ["chakra.0.et", "dp_step_4npus"])
def test_the_longest_path_is_networkx(workload: str, request: pytest.FixtureRequest) -> None:
    if workload == "chakra.0.et":
        path = request.getfixturevalue("collection_dir") / "chakra" / workload
    else:
        path = request.getfixturevalue("reference_dir") / "astra_sim" / workload
    trace = read(path)
    graph: nx.DiGraph = nx.DiGraph()
    e = trace.events
    graph.add_nodes_from(range(e.nodes))
    graph.add_weighted_edges_from((a, b, 0) for a, b in zip(e.sources.tolist(), e.targets.tolist()))
    for row in range(len(trace)):
        graph.add_edge(2 * row, 2 * row + 1, weight=trace.operators.value("duration_ns", row) or 0)
    assert slack(trace).length_ns == nx.dag_longest_path_length(graph)


# Made-up files


@st.composite
def named(draw: st.DrawFn, one: Any) -> Any:
    """A node some of whose attributes have names that columns take."""
    for given_one in one.attr:
        if draw(st.booleans()):
            given_one.name = draw(st.sampled_from(KNOWN))
    for name in draw(st.lists(st.sampled_from(KNOWN), max_size=4)):
        kind = draw(st.sampled_from(["int32", "int64", "uint64", "bool", "string", "sint64", "double"]))
        value = {f"{kind}_val": draw(KINDS[kind] if kind in ("string", "double") else KINDS[kind] | small(kind))}
        one.attr.add(name=name, **value)
    return one


def small(kind: str) -> st.SearchStrategy[Any]:
    return st.booleans() if kind == "bool" else st.integers(0, 9)


@st.composite
def graphs(draw: st.DrawFn, *, backward: bool = False, circular: bool = False) -> bytes:
    """A file whose ids differ; dependencies lead to what stands before, or to nothing.

    `backward`: control dependencies lead anywhere; `circular`: those of data, too.
    """
    nodes = draw(st.lists(NODES.flatmap(lambda n: named(type(n).FromString(n.SerializeToString()))), max_size=7))
    border = st.sampled_from([0, 1, 2, 2**63, 2**64 - 1])
    ids = draw(st.lists(border | st.integers(0, 2**64 - 1), min_size=len(nodes), max_size=len(nodes), unique=True))
    nothing = st.integers(0, 2**64 - 1).filter(lambda id: id not in ids) | st.just(0).filter(lambda _: 0 not in ids)
    for row, (one, id) in enumerate(zip(nodes, ids)):
        one.id = id
        anyone = ids if backward else ids[:row]
        for field, others in (("ctrl_deps", anyone), ("data_deps", ids if circular else ids[:row])):
            named_ids = st.lists(st.sampled_from(others) | nothing if others else nothing, max_size=4)
            one.ClearField(field)
            getattr(one, field).extend(draw(named_ids))
        one.inputs.ClearField("shapes")
    return framed(draw(METADATA), *nodes)


@in_place
@given(data=graphs())
def test_made_up_graphs(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "trace.et"
    path.write_bytes(data)
    check(read(path), oracle(data))


@settings(in_place, max_examples=60)
@given(data=graphs(backward=True))
def test_control_dependencies_on_cycles(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "trace.et"
    path.write_bytes(data)
    check(read(path), oracle(data))


@settings(in_place, max_examples=60)
@given(data=graphs(backward=True, circular=True))
def test_data_dependencies_on_cycles(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "trace.et"
    path.write_bytes(data)
    expected = oracle(data)
    if not expected.data_cycle:
        check(read(path), expected)
        return
    with pytest.raises(CycleError, match=r"trace\.et: dependencies form a cycle") as error:
        read(path)
    assert len(error.value.members) >= 2


@settings(in_place, max_examples=30)
@given(data=graphs(backward=True))
def test_both_modes_of_the_kernels_agree(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "trace.et"
    path.write_bytes(data)
    plain = read(path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("etgraph.model.kernels.COMPILE_FROM", 0)
        compiled = read(path)
    for name, table in plain.tables.items():
        assert table.equals(compiled.tables[name]), name
    attributes = [trace.operator_attributes(row) for trace in (plain, compiled) for row in range(len(trace))]
    assert attributes[: len(plain)] == attributes[len(plain) :]


# Cycles


def test_a_cycle_of_data_is_an_error_that_names_its_members(tmp_path: Path, mode: None) -> None:
    nodes = [node(7, "first", data_deps=[9]), node(8, "apart"), node(9, "second", data_deps=[7])]
    with pytest.raises(CycleError) as error:
        read(write(tmp_path, *nodes))
    assert "trace.et: dependencies form a cycle of 4 events" in str(error.value)
    assert len(error.value.members) == 4
    assert {m.split("(")[1].rstrip(")") for m in error.value.members} == {"first", "second"}


def test_a_node_that_needs_itself(tmp_path: Path) -> None:
    with pytest.raises(CycleError, match="alone"):
        read(write(tmp_path, node(1, "alone", data_deps=[1])))
    trace = read(write(tmp_path, node(1, "alone", ctrl_deps=[1])))
    assert trace.operator_attributes(0) == {"cyclic": {"ctrl_deps": [0, 1]}}


def test_a_cycle_of_control_is_left_out_and_counted(tmp_path: Path, mode: None) -> None:
    nodes = [node(1, "op", ctrl_deps=[2, 5]), node(2, "kernel", ctrl_deps=[1]), node(3, "next", ctrl_deps=[1, 2])]
    trace = read(write(tmp_path, *nodes))
    assert edges(trace) == [("CTRL", 0, 2), ("CTRL", 1, 2)]
    report = trace.metadata.report
    assert (report.counts["cyclicDependencies"], report.dangling_dependencies) == (2, 1)
    (warning,) = report.warnings
    assert warning == "2 control dependencies are on cycles and left out of the graph: node 2 → 1, 1 → 2"
    assert trace.operator_attributes(0) == {"dangling": {"ctrl_deps": [1, 5]}, "cyclic": {"ctrl_deps": [0, 2]}}


def test_control_against_data_gives_way(tmp_path: Path) -> None:
    trace = read(write(tmp_path, node(1, ctrl_deps=[2]), node(2, data_deps=[1])))
    assert edges(trace) == [("DATA", 0, 1)]
    assert trace.metadata.report.counts["cyclicDependencies"] == 1


# Small and odd files


def test_the_smallest_and_the_largest_id(tmp_path: Path, mode: None) -> None:
    trace = read(write(tmp_path, node(2**64 - 1, data_deps=[0]), node(0, ctrl_deps=[2**64 - 2])))
    assert trace.operators["node_id"].tolist() == [2**64 - 1, 0]
    assert edges(trace) == [("DATA", 1, 0)]
    assert trace.operator_attributes(1) == {"dangling": {"ctrl_deps": [0, 2**64 - 2]}}


def test_an_empty_message_is_node_0(tmp_path: Path, mode: None) -> None:
    trace = read(write(tmp_path, b"", node(1)))
    assert trace.operators.row(0) == trace.operators.row(0) | {
        "node_id": 0, "name": "", "kind": NodeType.INVALID, "category": Category.DEVICE, "duration_ns": None,
        "start_ns": None, "lane": None,
    }  # fmt: skip
    assert trace.operator_attributes(0) == {}
    with pytest.raises(InputError, match=r"id 0 in node 0 \(byte 2\) and in node 1"):
        read(write(tmp_path, b"", b""))


@pytest.mark.parametrize("head", [b"", GlobalMetadata(version="0.0.4")], ids=["empty", "version"])
def test_a_file_with_metadata_only(head: Any, tmp_path: Path, mode: None) -> None:
    trace = read(write(tmp_path, head=head))
    trace.validate()
    assert (len(trace), trace.metadata.report.warnings) == (0, ("trace.et holds no operators",))
    assert trace.metadata.sources[0].document == ({"version": "0.0.4"} if head else {})


def test_metadata_of_every_kind_is_kept(tmp_path: Path) -> None:
    head = GlobalMetadata(version="1", attr=[attribute("pid", int64_val=7), attribute("x", double_list=[0.5])])
    trace = read(write(tmp_path, node(1, attr=[attribute("tid", int32_val=3)]), head=head))
    assert trace.metadata.sources[0].document == {
        "version": "1",
        "attr": [{"name": "pid", "int64_val": 7}, {"name": "x", "double_list": {"values": [0.5]}}],
    }
    assert trace.lanes.value("process", 0) == "7"


@pytest.mark.parametrize("number", [8, 2**31 - 1, -1, 1 - 2**31])
def test_an_unknown_type_is_kept_by_its_number(number: int, tmp_path: Path) -> None:
    trace = read(write(tmp_path, node(1, type=number)))
    trace.validate()
    assert trace.operators.value("kind", 0) == number
    assert trace.operators.value("category", 0) is Category.DEVICE


def test_the_type_that_stands_for_null_is_kept_beside(tmp_path: Path) -> None:
    trace = read(write(tmp_path, node(1, type=-(2**31))))
    assert trace.operators.value("kind", 0) is NodeType.INVALID
    assert trace.operator_attributes(0) == {"type": -(2**31)}
    assert trace.metadata.report.counts["valuesBesideColumns"] == 1


def test_an_unknown_collective_is_kept_by_its_number(tmp_path: Path) -> None:
    attrs = [attribute("comm_type", int64_val=77), attribute("comm_size", uint64_val=5)]
    trace = read(write(tmp_path, node(1, type=7, attr=attrs)))
    assert (trace.operators.value("comm_type", 0), trace.operators.value("comm_bytes", 0)) == (77, 5)


@pytest.mark.parametrize(
    ("nodes", "starts", "durations"),
    [
        ([(0, 5), (0, 0)], [None, None], [5000, None]),
        ([(10, 5), (0, 0)], [10_000, 0], [5000, 0]),
        ([(10, 5), (30, 0)], [0, 20_000], [5000, 0]),
        ([(2**62 // 1000 - 1, YEAR), (0, YEAR + 1)], [(2**62 // 1000 - 1) * 1000, 0], [YEAR * 1000, None]),
        ([(2**62 // 1000, 1), (7, 2**64 - 1)], [None, 0], [1000, None]),
        ([(2**64 - 1, 1), (0, 0)], [None, None], [1000, None]),
    ],
)
def test_times(
    nodes: list[tuple[int, int]], starts: list[Any], durations: list[Any], tmp_path: Path, mode: None
) -> None:
    made = [node(i, start_time_micros=start, duration_micros=lasts) for i, (start, lasts) in enumerate(nodes)]
    path = write(tmp_path, *made)
    trace = read(path)
    check(trace, oracle(path.read_bytes()))
    o = trace.operators
    assert [o.value("start_ns", row) for row in range(len(nodes))] == starts
    assert [o.value("duration_ns", row) for row in range(len(nodes))] == durations


def test_a_duration_above_a_year_stays_among_the_attributes(tmp_path: Path) -> None:
    trace = read(write(tmp_path, node(1, duration_micros=YEAR + 1), node(2, duration_micros=2**64 - 1)))
    assert [trace.operator_attributes(row) for row in (0, 1)] == [
        {"duration_micros": YEAR + 1}, {"duration_micros": 2**64 - 1},
    ]  # fmt: skip
    report = trace.metadata.report
    assert report.counts["valuesBesideColumns"] == 2
    assert report.warnings == ("2 times or types that no column can hold",)


def test_nanoseconds_go_before_microseconds(tmp_path: Path) -> None:
    attrs = [attribute("start_ns", int64_val=1_234_567), attribute("duration_ns", int64_val=891)]
    trace = read(write(tmp_path, node(1, start_time_micros=1234, duration_micros=1, attr=attrs), node(2)))
    o = trace.operators
    assert [o.value("start_ns", row) for row in (0, 1)] == [1_234_567, 0]
    assert o.value("duration_ns", 0) == 891


def test_lanes_of_threads_and_streams(tmp_path: Path) -> None:
    host, device = attribute("is_cpu_op", bool_val=True), attribute("is_cpu_op", bool_val=False)
    thread, stream = attribute("tid", int64_val=7), attribute("stream", int64_val=7)
    nodes = [node(i, attr=attrs) for i, attrs in enumerate(
        [[host, thread], [device, thread], [stream], [thread], [], [host, thread, stream]])]  # fmt: skip
    trace = read(write(tmp_path, *nodes))
    labels = [trace.lane_label(lane) if lane >= 0 else None for lane in trace.operators["lane"].tolist()]
    assert labels == ["thread 7", "stream 7", "stream 7", "thread 7", None, "stream 7"]
    assert sorted(trace.lanes.value("kind", row) for row in range(2)) == [LaneKind.THREAD, LaneKind.STREAM]


def test_messages_of_pairs_and_groups(tmp_path: Path) -> None:
    common = [attribute("comm_size", int64_val=64), attribute("comm_src", int32_val=1),
              attribute("comm_dst", int32_val=2), attribute("comm_tag", int32_val=3),
              attribute("pg_name", string_val="tp")]  # fmt: skip
    trace = read(write(tmp_path, *(node(kind, type=kind, attr=common) for kind in (5, 6, 7, 4))))
    o = trace.operators
    assert [o.value("peer", row) for row in range(4)] == [2, 1, None, None]
    assert [o.value("tag", row) for row in range(4)] == [3, 3, None, None]
    assert [o.value("comm_bytes", row) for row in range(4)] == [64, 64, 64, None]
    assert [o.value("group", row) for row in range(4)] == [0, 0, 0, None]
    assert trace.process_groups.value("name", 0) == "tp"


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        ({"shapes": "[[2, 3], []]", "types": "['Tensor(float)', 'Int']"},
         '{"dims":[[2,3],[]],"types":["float","Int"]}'),
        ({"shapes": "[[2]]"}, '{"dims":[[2]]}'),
        ({"shapes": "[]", "types": "[]"}, None),
        ({"types": "['Int']"}, None),
        ({"shapes": "no list"}, None),
    ],
)  # fmt: skip
def test_shapes(inputs: Any, expected: str | None, tmp_path: Path) -> None:
    made = node(1, inputs=inputs, outputs={"shapes": "[[9]]"})
    trace = read(write(tmp_path, made))
    assert trace.operators.value("shapes", 0) == expected
    assert trace.operator_attributes(0) == {"inputs": inputs, "outputs": {"shapes": "[[9]]"}}


def test_every_kind_of_attribute_is_kept(tmp_path: Path) -> None:
    values: dict[str, Any] = {f"{kind}_val": 1 for kind in KINDS if kind not in ("string", "bytes", "bool")}
    values |= {"string_val": "ä\x00\"", "bytes_val": b"\x00\xff", "bool_val": True, "string_list": ["", "b"],
               "bytes_list": [b""], "double_list": [0.1, float("inf")], "uint64_list": [2**64 - 1], "bool_list": [],
               "float_list": [-0.0], "sint64_list": [-(2**63)]}  # fmt: skip
    made = node(1, attr=[attribute(name, **{name: value}) for name, value in values.items()], outputs={})
    kept = read(write(tmp_path, made)).operator_attributes(0)
    values |= {"bytes_val": "AP8=", "bytes_list": [""], "double_list": [0.1, "Infinity"]}
    wanted = {name: ({"values": v} if v else {}) if isinstance(v, list) else v for name, v in values.items()}
    assert kept == {"outputs": {}, "attr": [{"name": name, name: value} for name, value in wanted.items()]}


def test_an_empty_message_inside_is_kept(tmp_path: Path) -> None:
    assert read(write(tmp_path, Node(id=1, inputs={}))).operator_attributes(0) == {"inputs": {}}


# Files and folders


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress], ids=["gzip", "zstd"])
def test_compressed_files(pack: Any, tmp_path: Path) -> None:
    plain = framed(b"", *(node(i, f"op {i}", data_deps=range(i)) for i in range(5)))
    path = tmp_path / "trace.3.et.gz"
    path.write_bytes(pack(plain))
    trace = read(path)
    check(trace, oracle(plain))
    assert (trace.ranks, trace.metadata.sources[0].bytes) == ((3,), len(plain))


@pytest.mark.parametrize(
    ("name", "rank", "source"),
    [
        ("trace.3.et", 3, "name"),
        ("et.0.et", 0, "name"),
        ("et.12.et", 12, "name"),
        ("chakra.0.et", 0, "name"),
        ("trace.et", 0, "default"),
        ("rank_5.et", 5, "name"),
    ],
)
def test_ranks_by_the_names_of_files(name: str, rank: int, source: str, tmp_path: Path) -> None:
    trace = read(write(tmp_path, node(1), name=name))
    (found,) = trace.metadata.sources
    assert (found.rank, found.rank_from, trace.ranks) == (rank, source, (rank,))
    assert found.format == "chakra"


def gather(size: int, **more: Any) -> Any:
    attrs = [attribute("comm_type", int64_val=int(CommType.ALL_GATHER)), attribute("comm_size", int64_val=size)]
    return node(1, type=7, attr=[*attrs, *(attribute(name, string_val=value) for name, value in more.items())])


def test_a_folder_without_one_of_its_ranks_warns(tmp_path: Path) -> None:
    for rank in (0, 2, 5):
        write(tmp_path, gather(10), name=f"trace.{rank}.et")
    trace = read(tmp_path)
    assert trace.ranks == (0, 2, 5)
    assert trace.metadata.world_size is None
    missing, unknown = trace.metadata.report.warnings
    assert missing == "ranks are missing: there are files of 3, up to rank 5, but none of 1, 3, 4"
    assert unknown.startswith("3 gathers are of unknown size")
    assert trace.operators.is_null("comm_bytes").all()


@pytest.mark.parametrize("group", ["", "0", None, "pair"])
def test_a_gather_is_counted_whole(group: str | None, tmp_path: Path) -> None:
    more = {} if group is None else {"pg_name": group}
    for rank in range(3):
        write(tmp_path, gather(10, **more), name=f"trace.{rank}.et")
    if group == "pair":
        (tmp_path / "comm_groups.json").write_text('{"pair": [0, 1]}')
    trace = read(tmp_path)
    size = 20 if group == "pair" else 30
    assert trace.operators["comm_bytes"].tolist() == [size] * 3
    assert trace.operator_attributes(0)["attr"][1] == {"name": "comm_size", "int64_val": 10}


def test_a_gathered_size_beyond_the_column_is_not_known(tmp_path: Path) -> None:
    for rank in range(2):
        write(tmp_path, gather(2**62), name=f"trace.{rank}.et")
    trace = read(tmp_path)
    assert trace.operators.is_null("comm_bytes").all()
    assert trace.metadata.report.counts["gathersOfUnknownSize"] == 2


def test_two_files_of_one_rank(tmp_path: Path) -> None:
    write(tmp_path, node(1), name="a.0.et")
    write(tmp_path, node(1), name="b.0.et")
    with pytest.raises(InputError, match=r"rank 0 twice: a\.0\.et and b\.0\.et"):
        read(tmp_path)


def test_blocks_end_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nodes that come in many pieces, some larger than a block."""
    nodes = [
        node(i, "x" * (i * 37 % 400), data_deps=range(i % 5 and i - 1, i), attr=[attribute("tid", int32_val=i % 3)])
        for i in range(60)
    ]
    path = write(tmp_path, *nodes)
    expected = oracle(path.read_bytes())
    for size in (1, 17, 200):
        monkeypatch.setattr("etgraph.ingest.source.READ", size)
        monkeypatch.setattr("etgraph.ingest.chakra.reader.BLOCK", size)
        check(read(path), expected)


def test_a_timed_file_without_threads_or_streams_has_a_model_s_path_only(tmp_path: Path) -> None:
    trace = read(write(tmp_path, node(1, start_time_micros=5, duration_micros=2),
                       node(2, start_time_micros=7, duration_micros=3, data_deps=[1])))  # fmt: skip
    with pytest.raises(MissingData, match="on a thread or stream"):
        critical_path(trace)
    assert slack(trace).length_ns == 5000
