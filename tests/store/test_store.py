"""What every store does. A backend is a parameter of the fixture `new_store`; nothing here knows of files."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from etgraph.model import Attributes, Trace, to_json
from etgraph.model.errors import EtgraphError, NotFound, StoreError, UsageError
from etgraph.store import Store, connect, describe
from support.any_traces import any_traces

MakeTrace = Callable[..., Trace]
Same = Callable[[Trace, Trace], None]
Revised = Callable[[Trace, int], Trace]


def test_a_backend_is_a_store(store: Store) -> None:
    assert isinstance(store, Store)


def test_what_is_published_is_loaded(store: Store, make_trace: MakeTrace, same: Same) -> None:
    trace = make_trace()
    assert store.publish(trace, workload="dlrm") == trace.trace_id
    loaded = store.load("dlrm")
    same(loaded, trace)
    loaded.validate()
    assert loaded.attributes.rows == trace.attributes.rows


def test_a_larger_trace_with_attributes(store: Store, make_trace: MakeTrace, same: Same) -> None:
    trace = make_trace(ranks=2, each=1000)
    store.publish(trace)
    same(store.load(trace.trace_id), trace)


@given(trace=any_traces())
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_any_trace_comes_back_equal(store: Store, same: Same, trace: Trace) -> None:
    store.publish(trace)
    try:
        same(store.load(trace.trace_id), trace)
    finally:
        store.remove(trace.trace_id)
    assert store.traces() == []


def test_a_trace_without_operators(store: Store) -> None:
    from etgraph.model import TABLES, Columns

    trace = Trace(Columns.empty(TABLES["operators"]), trace_id="0" * 64)
    store.publish(trace)
    assert len(store.load("0" * 64)) == 0
    assert store.find("000000").dependencies == {}


def test_another_connection_sees_it(new_store: Callable[[], Store], make_trace: MakeTrace, same: Same) -> None:
    with new_store() as one, new_store() as other:
        assert other.traces() == []
        one.publish(make_trace(), workload="w")
        same(other.load("w"), make_trace())
        with connect(one.url) as third:
            assert third.traces() == one.traces()


def test_an_empty_store_answers(store: Store) -> None:
    assert store.traces() == []
    assert store.workloads() == []
    assert store.verify() == []
    assert store.sweep() == []
    with pytest.raises(NotFound, match="there is no other"):
        store.load("anything")
    with pytest.raises(NotFound):
        store.remove("anything")
    assert all(check.ok for check in store.health())


def test_a_trace_needs_an_id(store: Store, make_trace: MakeTrace) -> None:
    for wrong in ("", "abc", "A" * 64):
        with pytest.raises(UsageError, match="trace id"):
            store.publish(replace(make_trace(), trace_id=wrong))
    assert store.traces() == []


# The catalogue


def test_the_catalogue_describes_the_trace(store: Store, make_trace: MakeTrace) -> None:
    trace = make_trace()
    store.publish(trace, workload="dlrm", team="ads", labels={"k": "v"}, commit="c0ffee", branch="main")
    store.tag("dlrm", "baseline")
    info = store.find("dlrm")
    own = describe(trace)
    assert replace(own, created=info.created, bytes=info.bytes, workload="dlrm", team="ads", labels={"k": "v"},
                   commit="c0ffee", branch="main", tags=("baseline",)) == info  # fmt: skip
    assert info.created is not None
    assert info.created.endswith("Z")
    assert info.bytes is not None
    assert info.bytes > 0
    assert (info.ranks, info.operators, info.world_size) == ((0, 1), 12, 2)
    assert info.dependencies == {"STREAM": 10, "COLLECTIVE": 1}
    assert [(i.index, i.name, i.start_ns, i.end_ns) for i in info.iterations] == [
        (0, "ProfilerStep#0", 0, 901), (1, "ProfilerStep#1", 1000, 1901),
    ]  # fmt: skip
    assert info.report == trace.metadata.report
    assert info.sources[0].name == "rank0.json"
    assert info.sources[0].document == {}
    assert to_json(info)["worldSize"] == 2


def test_listing_filters_and_is_newest_first(store: Store, make_trace: MakeTrace) -> None:
    for number, (workload, team) in enumerate([("a", "x"), ("b", "y"), ("a", "y")]):
        store.publish(make_trace(str(number)), workload=workload, team=team, labels={"n": str(number), "all": "1"})

    def listed(**conditions: Any) -> list[str]:
        return [info.labels["n"] for info in store.traces(**conditions)]

    assert listed() == ["2", "1", "0"]
    assert listed(workload="a") == ["2", "0"]
    assert listed(team="y") == ["2", "1"]
    assert listed(labels={"n": "1", "all": "1"}) == ["1"]
    assert listed(workload="a", team="x", labels={"n": "2"}) == []
    assert listed(workload="unknown") == []
    assert [(w.name, w.traces, w.teams) for w in store.workloads()] == [("a", 2, ("x", "y")), ("b", 1, ("y",))]
    assert [w.name for w in store.workloads("x")] == ["a"]
    assert [(w.name, w.traces) for w in store.workloads("y")] == [("a", 1), ("b", 1)]


def test_publishing_again_changes_nothing(store: Store, make_trace: MakeTrace) -> None:
    store.publish(make_trace(), workload="w")
    before = store.traces()
    store.publish(make_trace(), workload="w")
    assert store.traces() == before


def test_several_workloads_name_one_trace(store: Store, make_trace: MakeTrace) -> None:
    trace = make_trace()
    store.publish(trace, workload="a", labels={"k": "1"})
    store.publish(trace, workload="b", team="t", labels={"k": "2"})
    assert [(i.workload, i.team, i.labels) for i in store.traces()] == [("b", "t", {"k": "2"}), ("a", None, {"k": "1"})]
    assert store.find("a").id == store.find("b").id
    assert store.find(trace.trace_id).workload == "b"
    store.remove("a")
    assert store.traces() == []
    assert store.workloads() == []


def test_a_trace_without_workload_takes_on_the_first(store: Store, make_trace: MakeTrace) -> None:
    trace = make_trace()
    store.publish(trace, labels={"k": "1"}, commit="abcd1")
    assert store.find(trace.trace_id).workload is None
    assert store.workloads() == []
    with pytest.raises(UsageError, match="no workload"):
        store.tag(trace.trace_id, "t")
    store.publish(make_trace("b"), workload="w")
    store.publish(trace, workload="w", labels={"l": "2"})
    newest = store.traces()[0]
    assert (newest.workload, newest.labels, newest.commit) == ("w", {"k": "1", "l": "2"}, "abcd1")
    assert len(store.traces()) == 2
    assert store.find("w").id == trace.trace_id
    store.publish(trace, team="ads")
    assert store.find("w").team == "ads"
    assert len(store.traces()) == 2


def test_names_that_no_reference_could_spell_are_refused(store: Store, make_trace: MakeTrace) -> None:
    trace = make_trace()
    for arguments in (
        {"workload": "a@b"}, {"workload": "a#1"}, {"workload": ""}, {"workload": " a"}, {"workload": "f" * 64},
        {"workload": "a\nb"}, {"labels": {"k=": "v"}}, {"labels": {"": "v"}}, {"team": ""}, {"commit": "a#"},
        {"workload": "x" * 201},
    ):  # fmt: skip
        with pytest.raises(UsageError):
            store.publish(trace, **arguments)
    assert store.traces() == []


# Revisions


def test_a_newer_revision_replaces(store: Store, make_trace: MakeTrace, same: Same) -> None:
    old, new = make_trace(revision=1), make_trace(revision=2)
    store.publish(old, workload="w", labels={"k": "v"})
    store.tag("w", "t")
    store.put_artefact(old.trace_id, "path", "x", pa.table({"a": [1]}))
    loaded = store.load("w")
    store.publish(new, workload="w")
    same(store.load("w@t"), new)
    same(loaded, old)
    (info,) = store.traces()
    assert (info.revision, info.labels, info.tags) == (2, {"k": "v"}, ("t",))
    assert store.artefacts(new.trace_id) == []


def test_an_older_revision_is_not_written(store: Store, make_trace: MakeTrace, same: Same) -> None:
    new = make_trace(revision=3)
    store.publish(new, workload="w")
    store.publish(make_trace(revision=2), workload="other")
    same(store.load("other"), new)
    assert {info.revision for info in store.traces()} == {3}


def test_a_loaded_trace_survives_removal(store: Store, make_trace: MakeTrace, same: Same) -> None:
    trace = make_trace(ranks=2, each=1000)
    store.publish(trace, workload="w")
    loaded, joined = store.load("w"), Attributes.concat([store.load("w").attributes, store.load("w").attributes])
    store.remove("w")
    with pytest.raises(NotFound):
        store.load(trace.trace_id)
    same(loaded, trace)
    assert joined.text(len(loaded.attributes) + 1) == trace.attributes.text(1)
    store.publish(loaded, workload="again")
    same(store.load("again"), trace)


# Parts of traces


def test_a_small_part_takes_only_its_attributes(store: Store, make_trace: MakeTrace) -> None:
    whole = make_trace(ranks=4, each=100)
    part = replace(whole.select_ranks([2]), trace_id="1" * 64)
    store.publish(part)
    loaded = store.load("1" * 64)
    assert len(loaded.attributes) == 50 < len(part.attributes)
    assert [loaded.operator_attributes(row) for row in range(100)] == [
        part.operator_attributes(row) for row in range(100)
    ]
    loaded.validate()


def test_a_part_that_refers_to_no_attributes_has_none(store: Store, make_trace: MakeTrace) -> None:
    trace = make_trace()
    part = replace(trace, operators=trace.operators.replace({"attrs": np.full(len(trace), -1)}))
    store.publish(part)
    assert len(store.load(part.trace_id).attributes) == 0


# References


def test_references(store: Store, make_trace: MakeTrace) -> None:
    first, second = make_trace("first"), make_trace("second")
    store.publish(first, workload="w", commit="aaaa1111", labels={"gpu": "h100", "at": "x@y"})
    store.publish(second, workload="w", commit="aaaa2222", labels={"gpu": "h100"})
    store.tag(first.trace_id, "baseline")

    def meant(reference: str) -> str:
        return store.find(reference).id

    assert meant(first.trace_id) == meant(first.trace_id[:6]) == meant(first.trace_id[:8].upper()) == first.trace_id
    assert meant("w") == second.trace_id
    assert meant("w@baseline") == meant("w@aaaa1") == meant("w@at=x@y") == first.trace_id
    assert meant("w@gpu=h100") == second.trace_id
    for reference, error, words in (
        ("w@aaaa", UsageError, "2 commits"), ("w@aaa", NotFound, "baseline"), ("w@gpu=a100", NotFound, "label"),
        ("x@baseline", NotFound, "no trace"), (first.trace_id[:5], NotFound, "6 characters"), ("", NotFound, ""),
        ("w@", NotFound, ""), ("@", NotFound, ""),
    ):  # fmt: skip
        with pytest.raises(error) as raised:
            store.find(reference)
        assert words in f"{raised.value} {raised.value.hint}"


def test_what_comes_near_is_named(store: Store, make_trace: MakeTrace) -> None:
    trace = make_trace()
    store.publish(trace, workload="transformer")
    with pytest.raises(NotFound) as raised:
        store.load("transfromer")
    assert trace.trace_id[:12] in str(raised.value)
    assert "transformer, 20" in str(raised.value)


def test_a_prefix_of_several_ids_is_refused(store: Store, make_trace: MakeTrace) -> None:
    for last in "01":
        store.publish(replace(make_trace(), trace_id="ab" * 31 + "0" + last))
    with pytest.raises(UsageError, match="2 trace ids"):
        store.load("ab" * 10)


def test_exact_names_come_before_prefixes(store: Store, make_trace: MakeTrace) -> None:
    one, other = make_trace("one"), make_trace("other")
    store.publish(one)
    store.publish(other, workload=one.trace_id[:8], commit="baseline-1")
    assert store.find(one.trace_id[:8]).id == other.trace_id
    third = make_trace("third")
    store.publish(third, workload=one.trace_id[:8])
    store.tag(third.trace_id, "baseline")
    assert store.find(f"{one.trace_id[:8]}@baseline").id == third.trace_id


@given(st.text(max_size=12) | st.from_regex(r"[w0-9a-f]{0,8}@?[a-z=#@]{0,6}", fullmatch=True))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_reference_breaks_a_store(store: Store, make_trace: MakeTrace, reference: str) -> None:
    store.publish(make_trace(), workload="w", commit="abcdef")
    try:
        assert store.find(reference).id == make_trace().trace_id
    except EtgraphError:
        pass


# Tags and labels


def test_a_tag_moves_and_goes(store: Store, make_trace: MakeTrace) -> None:
    first, second = make_trace("first"), make_trace("second")
    for trace in (first, second):
        store.publish(trace, workload="w")
    store.tag(first.trace_id, "good")
    store.tag("w", "good")
    store.tag("w@good", "also")
    assert store.find("w@good").id == second.trace_id
    assert store.find(first.trace_id).tags == ()
    assert store.find("w").tags == ("also", "good")
    assert store.workloads()[0].tags == ("also", "good")
    store.untag("w", "good")
    with pytest.raises(NotFound, match="also"):
        store.untag("w", "good")
    store.remove("w@also")
    assert store.workloads()[0].tags == ()
    assert store.find("w").id == first.trace_id


def test_one_tag_name_in_two_workloads(store: Store, make_trace: MakeTrace) -> None:
    trace = make_trace()
    store.publish(trace, workload="a")
    store.publish(trace, workload="b")
    with pytest.raises(UsageError, match="workloads b, a"):
        store.tag(trace.trace_id, "t")
    store.tag("a", "t")
    assert store.find("a").tags == ("t",)
    assert store.find("b").tags == ()
    for wrong in ("", "a@b", "a#b", "a=b", " "):
        with pytest.raises(UsageError):
            store.tag("a", wrong)


def test_labels_are_of_the_entry(store: Store, make_trace: MakeTrace) -> None:
    trace = make_trace()
    store.publish(trace, workload="a", labels={"k": "0"})
    store.publish(trace, workload="b")
    store.label("a", "k", "1")
    assert store.find("a").labels == {"k": "1"}
    assert store.find("b").labels == {}
    store.label(trace.trace_id, "l", "2")
    assert store.find("a").labels == {"k": "1", "l": "2"}
    assert store.find("b").labels == {"l": "2"}


# Artefacts


def test_artefacts(store: Store, make_trace: MakeTrace) -> None:
    trace = make_trace()
    with pytest.raises(NotFound):
        store.put_artefact(trace.trace_id, "path", "x", pa.table({"a": [1]}))
    store.publish(trace, workload="w")
    identity = trace.trace_id
    assert store.get_artefact(identity, "path", "x") is None
    store.put_artefact(identity, "path", "x", pa.table({"a": [1, 2], "b": ["p", None]}))
    store.put_artefact(identity, "path", "y/../z", pa.table({"a": [3]}))
    kept = store.get_artefact(identity, "path", "x")
    store.put_artefact(identity, "path", "x", pa.table({"a": [4]}))
    assert kept is not None
    assert kept.to_pydict() == {"a": [1, 2], "b": ["p", None]}
    replaced = store.get_artefact(identity, "path", "x")
    assert replaced is not None
    assert replaced.to_pydict() == {"a": [4]}
    assert [(a.kind, a.key) for a in store.artefacts(identity)] == [("path", "x"), ("path", "y/../z")]
    assert store.verify() == []
    with pytest.raises(StoreError, match="revision 1"):
        store.put_artefact(identity, "path", "x", pa.table({"a": [5]}), revision=0)
    store.remove("w")
    with pytest.raises(NotFound):
        store.get_artefact(identity, "path", "x")
    assert kept.to_pydict()["a"] == [1, 2]


# Several at once


def test_threads_share_a_store(store: Store, make_trace: MakeTrace) -> None:
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for turn in range(4):
                store.publish(make_trace(str(turn)), workload=f"w{number}")
                store.load(f"w{number}")
                store.label(f"w{number}", "turn", str(turn))
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(store.traces()) == 16
    assert store.verify() == []


def test_readers_during_replacement(new_store: Callable[[], Store], make_trace: MakeTrace, same: Same) -> None:
    revisions = [make_trace(revision=number) for number in range(1, 16)]
    done = threading.Event()
    failures: list[BaseException] = []
    seen: list[int] = []

    def read() -> None:
        try:
            with new_store() as reader:
                while not done.is_set():
                    trace = reader.load("w")
                    same(trace, revisions[trace.revision - 1])
                    seen.append(trace.revision)
        except BaseException as error:
            failures.append(error)

    with new_store() as writer:
        writer.publish(revisions[0], workload="w")
        threads = [threading.Thread(target=read) for _ in range(2)]
        for thread in threads:
            thread.start()
        for trace in revisions[1:]:
            writer.publish(trace)
        done.set()
        for thread in threads:
            thread.join()
    assert failures == []
    assert set(seen) <= set(range(1, 16))
