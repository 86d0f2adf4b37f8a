"""The community's audit of GraphQL over HTTP, and two clients of other people, at a real port."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from gql import Client, gql
from gql.transport.exceptions import TransportQueryError
from gql.transport.requests import RequestsHTTPTransport

from etgraph.store import Store
from support.api import application, serving
from support.node import NodePackages

SCRIPTS = Path(__file__).with_name("node")


def test_the_audit_of_graphql_over_http_passes(gpt: Store, node_packages: NodePackages) -> None:
    with serving(application(gpt)) as url:
        results = json.loads(node_packages.run(SCRIPTS / "audit.mjs", f"{url}/graphql"))
    assert len(results) == 61
    assert [each for each in results if each["status"] != "ok"] == []


def test_a_client_from_npm(gpt: Store, node_packages: NodePackages) -> None:
    with serving(application(gpt)) as url:
        told = json.loads(node_packages.run(SCRIPTS / "request.mjs", f"{url}/graphql"))
    assert told == {"hello": "hello Ada", "count": 2, "code": "BAD_USER_INPUT"}


def test_a_client_in_python(gpt: Store) -> None:
    with serving(application(gpt)) as url:
        transport = RequestsHTTPTransport(f"{url}/graphql", timeout=10)
        with Client(transport=transport, fetch_schema_from_transport=True) as session:
            asked = gql('query Greet($name: String) { hello(name: $name) trace(reference: "gpt") { workload } }')
            asked.variable_values = {"name": "Ada"}
            assert session.execute(asked) == {"hello": "hello Ada", "trace": {"workload": "gpt"}}
            with pytest.raises(TransportQueryError) as told:
                session.execute(gql("{ missing }"))
    assert told.value.errors is not None
    assert told.value.errors[0]["extensions"]["code"] == "BAD_USER_INPUT"
