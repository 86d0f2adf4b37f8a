"""The same queries to a folder and to Neo4j have the same answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from etgraph.store import Store
from support.asking import Ask, asking
from support.read_samples import sample

pytestmark = pytest.mark.neo4j

QUERIES = {
    "catalogue": "{ traces { totalCount nodes { id workload ranks dependencies report { files { name } } } } }",
    "operators": """{ trace(reference: "dlrm") { operators(first: 50, orderBy: {field: durationNs, descending: true},
        filter: {laneKind: [THREAD], name: "aten::*"}) { totalCount pageInfo { endCursor hasNextPage } nodes {
        id rank index nodeId name kind category startNs durationNs scope source shapes flops bytes waves link attributes
        lane { id kind recordedId } iteration { index name } parent { id rank index name }
        predecessors(first: 5) { nodes { kind inferred method operator { id } } }
        successors(kinds: [THREAD, LAUNCH]) { edges { cursor node { kind operator { name } } } } } } } }""",
    "collectives": """{ trace(reference: "dlrm") { processGroups { nodes { name ranks } } lanes { nodes { kind name } }
        collectives(orderBy: {field: bytes}) { totalCount nodes { id index type bytes size group { name ranks }
        operators { totalCount nodes { rank index commType commBytes } } } } } }""",
    "breakdown": '{ trace(reference: "dlrm") { breakdown { windows { rank idleNs computationNs } } } }',
}  # fmt: skip


@pytest.fixture
def in_neo4j(new_neo4j_store: Callable[[], Store]) -> Iterator[Ask]:
    """Executes a query on a store in Neo4j that holds a sample."""
    with new_neo4j_store() as store:
        store.publish(sample("dlrm_alltoall"), workload="dlrm")
        yield asking(store)


def test_answers_are_equal(in_neo4j: Ask, samples_store: Store) -> None:
    for name, query in QUERIES.items():
        found, expected = in_neo4j(query), asking(samples_store)(query)
        assert not found.errors, (name, found.errors)
        if name != "catalogue":
            assert found.data == expected.data, name
    (trace,) = in_neo4j(QUERIES["catalogue"]).data["traces"]["nodes"]
    assert trace in asking(samples_store)(QUERIES["catalogue"]).data["traces"]["nodes"]
    cypher = in_neo4j(
        '{ cypher(query: "MATCH (o:Operator) RETURN count(o) AS n", limit: 5) { columns rows truncated } }'
    )
    assert cypher.data["cypher"] == {"columns": ["n"], "rows": [[len(sample("dlrm_alltoall"))]], "truncated": False}
    library = in_neo4j(
        """{ namedQuery(name: "longest_operators", parameters: {trace: "dlrm", limit: 3}) { columns rows } }"""
    )
    assert not library.errors, library.errors
    assert len(library.data["namedQuery"]["rows"]) == 3
    (error,) = in_neo4j('{ cypher(query: "CREATE (n) RETURN n") { rows } }').errors
    assert error.original_error.code == "BAD_USER_INPUT"
    (error,) = in_neo4j("query ($r: String!) { trace(reference: $r) { id } }", r="\ud800").errors
    assert error.original_error.code == "BAD_USER_INPUT"
