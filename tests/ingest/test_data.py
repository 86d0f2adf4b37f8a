"""DATA dependencies: who wrote last what an operator reads, on host files alone and linked with a device's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etgraph.ingest import samples
from etgraph.ingest.draft import Draft
from etgraph.ingest.linking import add_data, link
from etgraph.ingest.linking.data import METHOD, last_writers
from etgraph.ingest.pytorch_et.tensors import written
from etgraph.model import DependencyKind
from support.pairs import device_draft, host_draft, read_draft


def data_edges(draft: Draft) -> set[tuple[str, str]]:
    o, d = draft.trace.operators, draft.trace.dependencies
    chosen = np.flatnonzero(d["kind"] == int(DependencyKind.DATA))
    pairs = zip(d["src"][chosen].tolist(), d["dst"][chosen].tolist())
    return {(str(o.value("name", a)), str(o.value("name", b))) for a, b in pairs}


CHAIN = """
    1 | aten::rand    0..10                writes=5
    1 | aten::linear 20..50  reads=5       writes=6
    1 | aten::addmm  25..45  reads=5       writes=6
    1 | aten::relu   60..70  reads=6       writes=7
"""


@pytest.mark.parametrize("alone", [True, False])
def test_the_innermost_last_writer_is_the_source(tmp_path: Path, alone: bool) -> None:
    host = host_draft(tmp_path, CHAIN)
    draft = add_data(host if alone else link(host, device_draft(tmp_path, CHAIN)))
    draft.trace.validate()
    assert data_edges(draft) == {
        ("aten::rand", "aten::linear"), ("aten::rand", "aten::addmm"), ("aten::addmm", "aten::relu"),
    }  # fmt: skip
    d = draft.trace.dependencies
    data = d["kind"] == int(DependencyKind.DATA)
    assert d["inferred"][data].all()
    assert set(d["method"][data].tolist()) == {d.code("method", METHOD)}
    assert ((d["confidence"][data] > 0) & (d["confidence"][data] < 1)).all()


def test_the_outer_of_two_writers_gives_nothing_to_the_inner_one(tmp_path: Path) -> None:
    """Both read what was there before; the outer one only passes it on."""
    ops = """
        1 | aten::rand    0..10            writes=5
        1 | aten::outer  20..50  reads=5   writes=5  schema=aten::outer(Tensor(a!)~self)~->~Tensor(a!)
        1 | aten::inner  25..45  reads=5   writes=6
    """
    for draft in (host_draft(tmp_path, ops), link(host_draft(tmp_path, ops), device_draft(tmp_path, ops))):
        found = add_data(draft)
        assert data_edges(found) == {("aten::rand", "aten::outer")}
        assert "dataAgainstTime" not in found.trace.metadata.report.counts


def test_a_recorded_flow_is_not_told_twice(tmp_path: Path) -> None:
    ops = "1 | aten::linear 0..10 writes=5\n 2 | LinearBackward 20..30 reads=5\n"
    flow = [
        {"ph": ph, "cat": "fwdbwd", "name": "fwdbwd", "id": 1, "pid": 100, "tid": tid, "ts": ts, "bp": "e"}
        for ph, tid, ts in (("s", 100, 0), ("f", 101, 20))
    ]
    draft = add_data(link(host_draft(tmp_path, ops), device_draft(tmp_path, ops, events=flow)))
    d = draft.trace.dependencies
    assert [d.value("method", row) for row in np.flatnonzero(d["kind"] == int(DependencyKind.DATA)).tolist()] == [
        "forward-backward flow"
    ]


def test_a_view_writes_nothing_and_an_operator_in_place_does(tmp_path: Path) -> None:
    ops = """
        1 | aten::rand    0..10            writes=5
        1 | aten::view   20..30  reads=5   writes=5
        1 | aten::add_   40..50  reads=5   writes=5  schema=aten::add_(Tensor(a!)~self)~->~Tensor(a!)
        1 | aten::relu   60..70  reads=5   writes=7
    """
    assert data_edges(add_data(host_draft(tmp_path, ops))) == {
        ("aten::rand", "aten::view"), ("aten::rand", "aten::add_"), ("aten::add_", "aten::relu"),
    }  # fmt: skip


def test_a_collective_writes_what_it_is_given_and_a_send_does_not(tmp_path: Path) -> None:
    ops = """
        1 | aten::rand        0..10            writes=5
        1 | gloo:all_reduce  20..30  reads=5
        1 | gloo:send        40..50  reads=5
        1 | aten::relu       60..70  reads=5   writes=7
    """
    assert data_edges(add_data(host_draft(tmp_path, ops))) == {
        ("aten::rand", "gloo:all_reduce"), ("gloo:all_reduce", "gloo:send"), ("gloo:all_reduce", "aten::relu"),
    }  # fmt: skip


def test_an_annotations_accesses_are_those_of_the_operator_around_it(tmp_path: Path) -> None:
    """Linked, `nccl:` is an annotation again; without it nobody would write what is reduced."""
    ops = """
        1 | aten::rand           0..10            writes=5
        1 | record_param_comms  20..40  reads=5
        1 | nccl:all_reduce     25..35  reads=5
        1 | aten::relu          60..70  reads=5   writes=7
    """
    draft = add_data(link(host_draft(tmp_path, ops), device_draft(tmp_path, ops)))
    assert data_edges(draft) == {("aten::rand", "record_param_comms"), ("record_param_comms", "aten::relu")}


def test_a_dependency_against_the_times_is_counted_and_not_stored(tmp_path: Path) -> None:
    """The host's file tells of another iteration, in which the threads happened to run in another order."""
    host = "1 | aten::rand 0..10 writes=5\n 2 | aten::relu 20..30 reads=5\n 1 | aten::mm 40..50 reads=5\n"
    device = "1 | aten::rand 0..25 writes=5\n 2 | aten::relu 20..30 reads=5\n 1 | aten::mm 40..50 reads=5\n"
    draft = add_data(link(host_draft(tmp_path, host), device_draft(tmp_path, device)))
    assert data_edges(draft) == {("aten::rand", "aten::mm")}
    assert draft.trace.metadata.report.counts["dataAgainstTime"] == 1


def test_files_without_tensors_get_none(tmp_path: Path) -> None:
    assert not data_edges(add_data(device_draft(tmp_path, CHAIN)))
    assert not data_edges(add_data(host_draft(tmp_path, "1 | aten::rand 0..10\n")))


@pytest.mark.parametrize(
    ("name", "schema", "expected"),
    [
        ("aten::copy_", "aten::copy_(Tensor(a!) self, Tensor src, bool non_blocking=False) -> Tensor(a!)", (0,)),
        (
            "aten::add",
            "aten::add.out(Tensor self, Tensor other, *, Scalar alpha=1, Tensor(a!) out) -> Tensor(a!)",
            (3,),
        ),
        ("aten::t", "aten::t(Tensor(a) self) -> Tensor(a)", ()),
        ("aten::_foreach_add_", "aten::_foreach_add_.List(Tensor(a!)[] self, Tensor[] other) -> ()", (0,)),
        ("aten::x", "aten::x(Tensor self, (Tensor, Tensor) pair=(1, 2), Tensor(a!) last) -> ()", (2,)),
        ("c10d::alltoall_base_", "c10d::alltoall_base_(Tensor output, Tensor input, int timeout) -> Work", (0,)),
        ("c10d::_allgather_base_", "c10d::_allgather_base_(Tensor output_tensor, Tensor input) -> Work", (0,)),
        ("c10d::send", "c10d::send(Tensor[] tensors, int dst) -> Work", ()),
        ("nccl:all_reduce", "", None),
        ("gloo:recv", "", None),
        ("gloo:send", "", ()),
        ("aten::broken", "aten::broken(Tensor(a!) self", ()),
        ("aten::none", "no schema at all", ()),
    ],
)
def test_which_arguments_are_written(name: str, schema: str, expected: tuple[int, ...] | None) -> None:
    assert written(name, schema) == expected


ACCESSES = st.lists(st.tuples(st.integers(0, 8), st.integers(1, 4), st.booleans()), max_size=40)


@given(ACCESSES)
def test_last_writers_beside_a_dictionary(accesses: list[tuple[int, int, bool]]) -> None:
    ordered = sorted(accesses, key=lambda access: (access[0], access[2]))
    columns = [np.array([access[at] for access in ordered]) for at in range(3)]
    found = last_writers(columns[0].astype(np.int64), columns[1].astype(np.int64), columns[2].astype(bool))
    last: dict[int, int] = {}
    for (operator, storage, writes), writer in zip(ordered, found.tolist(), strict=True):
        before = last.get(storage, -1)
        assert writer == (-1 if writes or before == operator else before)
        if writes:
            last[storage] = operator


@pytest.mark.parametrize("name", ["dlrm_alltoall", "gpt_ddp", "gpt_tp2_pp2"])
def test_samples_have_as_many_as_real_programs_do_and_none_against_the_times(name: str) -> None:
    host, device = (read_draft(samples.path(name) / f"{kind}_rank1.json.gz") for kind in ("et", "kineto"))
    for draft in (add_data(host), add_data(link(host, device))):
        trace = draft.trace
        trace.validate()
        d = trace.dependencies
        data = np.flatnonzero((d["kind"] == int(DependencyKind.DATA)) & d["inferred"])
        assert 0.6 <= len(data) / len(trace) <= 0.85
        src, dst = d["src"][data], d["dst"][data]
        timed = ~trace.operators.is_null("start_ns")[src] & ~trace.operators.is_null("start_ns")[dst]
        assert (trace.end_ns[src] <= trace.operators["start_ns"][dst])[timed].all()
        pairs = set(zip(src.tolist(), dst.tolist()))
        assert len(pairs) == len(data)
        for a, b in list(pairs)[:300]:
            assert not _encloses(trace, a, b)
            assert not _encloses(trace, b, a)


def _encloses(trace: object, outer: int, inner: int) -> bool:
    parent = trace.operators["parent"]  # type: ignore[attr-defined]
    while inner >= 0:
        inner = int(parent[inner])
        if inner == outer:
            return True
    return False
