"""Tests that share what is slow to make go to one process."""

from __future__ import annotations

import pytest

from support import neo4j
from support.spreading import ByFile


@pytest.mark.parametrize(
    ("nodeid", "unit"),
    [
        ("tests/api/test_http.py::test_a[local]", "tests/api/test_http.py"),
        ("tests/api/test_http.py::test_mail[a@b]", "tests/api/test_http.py"),
        ("tests/api/test_teams.py::test_a[neo4j]@neo4j", "neo4j"),
        ("tests/store/test_cypher.py::test_b[2026]@neo4j-2026", "neo4j-2026"),
        ("model/etgraph/model/waits.py::etgraph.model.waits.after", "model/etgraph/model/waits.py"),
    ],
)
def test_a_file_is_a_unit_and_so_is_all_that_needs_a_server(nodeid: str, unit: str) -> None:
    assert ByFile.__new__(ByFile)._split_scope(nodeid) == unit


@pytest.fixture(params=["5.26", "2026"])
def neo4j_releases(request: pytest.FixtureRequest) -> str:
    """Stands in for the servers: these tests only ask to which group they belong."""
    found: str = request.param
    return found


def test_each_release_has_a_group(neo4j_releases: str, request: pytest.FixtureRequest) -> None:
    assert neo4j.group(request.node) == {"5.26": "neo4j", "2026": "neo4j-2026"}[neo4j_releases]


@pytest.mark.neo4j
def test_what_is_marked_belongs_to_the_usual_release(request: pytest.FixtureRequest) -> None:
    assert neo4j.group(request.node) == "neo4j"


def test_what_needs_no_server_has_no_group(request: pytest.FixtureRequest) -> None:
    assert neo4j.group(request.node) is None
