"""The adapter for py2neo: a store's graph, and the models of its labels, on servers of each release."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from py2neo.ogm import GraphObject

from etgraph.model import Trace as ModelTrace
from etgraph.model.errors import UsageError
from etgraph.store import Store, connect
from etgraph.store.neo4j.graph.schema import node_of
from etgraph.store.py2neo import Operator, Rank, Trace, Workload, graph
from support.build import build
from support.neo4j import Neo4jUnderTest

WITHOUT = """
import sys
sys.modules["py2neo"] = None
from etgraph.model.errors import UsageError
try:
    import etgraph.store.py2neo
except UsageError as error:
    print(error, "|", error.hint)
"""


@pytest.fixture(params=["bolt", "neo4j"])
def store(
    request: pytest.FixtureRequest, neo4j_releases: Neo4jUnderTest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Store]:
    """An empty database, opened with and without routing."""
    neo4j_releases.empty()
    monkeypatch.setenv("ETGRAPH_NEO4J_USER", neo4j_releases.user)
    monkeypatch.setenv("ETGRAPH_NEO4J_PASSWORD", neo4j_releases.password)
    _, place = neo4j_releases.uri.split("://")
    with connect(f"{request.param}://{place}/neo4j") as opened:
        yield opened


@pytest.fixture
def opened() -> Iterator[Callable[[Store], Any]]:
    """`graph`, with its connections closed after the test."""
    graphs: list[Any] = []

    def open(store: Store) -> Any:
        graphs.append(graph(store))
        return graphs[-1]

    yield open
    for one in graphs:
        one.service.connector.close()


@pytest.fixture(scope="module")
def trace() -> ModelTrace:
    return build("""
        rank 0 | thread 1 | aten::mm              0..20
        rank 0 | thread 1 | l0: cudaLaunchKernel  5..10   -> g0
        rank 0 | stream 7 | g0: gemm             15..60
        rank 0 | stream 7 | relu                 60..65
        rank 1 | thread 1 | aten::add             3..8
    """)


@pytest.mark.neo4j
def test_the_graph_is_the_stores(store: Store, opened: Callable[[Store], Any], trace: ModelTrace) -> None:
    store.publish(trace, workload="gpt")
    found = opened(store).run("MATCH (o:Operator) RETURN o.rank AS rank, count(*) AS n ORDER BY rank").to_data_frame()
    assert dict(zip(found["rank"], found["n"])) == {0: 4, 1: 1}


@pytest.mark.neo4j
def test_models_walk_from_a_workload_to_operators(
    store: Store, opened: Callable[[Store], Any], trace: ModelTrace
) -> None:
    store.publish(trace, workload="gpt", team="ml")
    g = opened(store)
    (workload,) = Workload.match(g)
    (found,) = workload.traces
    assert (workload.name, found.id, found.state) == ("gpt", trace.trace_id, "ready")
    assert workload.traces.get(found, "team") == "ml"
    assert (found.span_ns, found.rank_numbers) == (trace.span_ns, [0, 1])
    assert sorted(rank.rank for rank in found.ranks) == list(trace.ranks)
    first = min(found.ranks, key=lambda rank: rank.rank)
    assert next(iter(first.trace)) == found
    operators = sorted(first.operators, key=lambda operator: operator.index)
    assert [(o.name, o.start_ns, o.duration_ns) for o in operators] == [
        ("aten::mm", 0, 20), ("cudaLaunchKernel", 5, 5), ("gemm", 15, 45), ("relu", 60, 5)
    ]  # fmt: skip


@pytest.mark.neo4j
def test_dependencies_go_both_ways(store: Store, opened: Callable[[Store], Any], trace: ModelTrace) -> None:
    store.publish(trace)
    kernel = Operator.match(opened(store)).where(name="gemm").first()
    (call,) = kernel.launches_of
    assert call.name == "cudaLaunchKernel"
    assert kernel in call.launches
    assert call.launches.get(kernel, "method") == "drawn"
    assert [operator.name for operator in kernel.next_on_stream] == ["relu"]
    (rank,) = kernel.ran_by
    assert (type(rank), rank.rank) == (Rank, kernel.rank)


@pytest.mark.neo4j
def test_a_change_is_pushed(store: Store, opened: Callable[[Store], Any], trace: ModelTrace) -> None:
    store.publish(trace, workload="gpt")
    g = opened(store)
    operator = Operator.match(g).where(rank=0, index=2).first()
    operator.duration_ns = 40
    g.push(operator)
    assert store.load("gpt").operators["duration_ns"].tolist() == [20, 5, 40, 5, 5]


def test_models_have_the_properties_of_their_labels() -> None:
    for model in (Workload, Trace, Rank, Operator):
        keys = {attribute.key for attribute in vars(model).values() if hasattr(attribute, "key")}
        assert keys == {p.name for p in node_of(model.__name__).properties}
        declared = [name for name in vars(model) if not name.startswith("_")]
        assert not [name for name in declared if hasattr(GraphObject, name)], "hides a method of py2neo's"
    assert Operator.__dict__["duration_ns"].key == "durationNs"


def test_a_local_store_has_no_such_graph(tmp_path: Path) -> None:
    with connect(tmp_path / "store") as local, pytest.raises(UsageError, match="found a local store") as caught:
        graph(local)
    assert "bolt://" in str(caught.value.hint)


def test_without_py2neo_the_error_says_how_to_get_it() -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True, check=True)
    assert done.stdout == "py2neo is not installed | pip install 'etgraph[py2neo]'\n"
