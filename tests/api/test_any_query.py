"""Random valid queries: whatever is asked, there is an answer, or an error that was meant for who asked."""

from __future__ import annotations

import json

from graphql import GraphQLError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from etgraph.api.fetch.tokens import node_id
from etgraph.api.schema import SCHEMA
from etgraph.model.errors import EtgraphError
from etgraph.store import Store
from support.asking import asking
from support.selections import documents

INTEGERS = st.sampled_from([0, 1, 2, 5, -1, 1000, 1001, 2**31 - 1, -(2**31)]).map(str)
WHOLE = st.sampled_from([0, 1, -1, 10**6, 2**53, -(2**53)]).map(str)
TEXTS = st.sampled_from(["", "*", "aten::*", "dlrm", "gpt@base", "é", "\x00", "a" * 300]) | st.text(max_size=6)
NODES = [node_id("Workload", "gpt"), node_id("Operator", "0" * 64, 1, 0), "e" * 64, "nonsense", ""]
CURSORS = st.sampled_from(["", "W10", "nonsense", "eyJhIjoxfQ"])

VALUES = {
    "reference": st.sampled_from(["dlrm", "gpt", "gpt@base", "nope", "", "gpt@", "#", "gpt#0"]).map(json.dumps),
    "workload": st.sampled_from(["dlrm", "gpt", "nope"]).map(json.dumps),
    "id": st.sampled_from(NODES).map(json.dumps),
    "after": CURSORS.map(json.dumps) | st.just("null"),
    "first": st.sampled_from([0, 1, 3, 20]).map(str) | INTEGERS,
    "profile": st.sampled_from(["a100-40gb", "epyc-9654-gloo-8", "nope", "/etc/passwd"]).map(json.dumps),
    "simulation": st.sampled_from(["nope", "000000", ""]).map(json.dumps),
    "rank": st.sampled_from([0, 1, 7, -1]).map(str),
    "iteration": st.sampled_from(["0", "[0]", "[1, 3]", "[]", "9", "[-1]"]),
    "Query.namedQuery.name": st.sampled_from(["longest_operators", "nope", "../x", ""]).map(json.dumps),
    "Boolean": st.sampled_from(["true", "false"]),
    "Int": INTEGERS,
    "Float": st.sampled_from(["0", "1.5", "-2", "1e300"]),
    "String": TEXTS.map(json.dumps),
    "ID": TEXTS.map(json.dumps),
    "Nanoseconds": WHOLE,
    "Bytes": WHOLE,
    "Count": WHOLE,
    "Attributes": st.sampled_from(["{}", '{a: 1, b: [true, null, "x"]}', '{trace: "dlrm"}']),
}


@given(document=documents(SCHEMA.graphql_schema, VALUES))
@settings(
    max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow,
                                             HealthCheck.data_too_large],
)  # fmt: skip
def test_no_query_meets_an_unexpected_error(samples_store: Store, document: str) -> None:
    found = asking(samples_store)(document)
    for error in found.errors or ():
        meant = isinstance(error.original_error, EtgraphError)
        # What graphql-core itself says of a value in the document.
        of_document = error.original_error is None or (
            isinstance(error.original_error, GraphQLError) and not error.path
        )
        assert meant or of_document, (document, error.original_error)
    json.dumps(found.data, allow_nan=False)
