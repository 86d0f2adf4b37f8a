"""Commands on a store in Neo4j: the same words and the same answers as on a folder."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from etgraph.ingest import samples
from etgraph.queries.tables import from_table
from etgraph.sim.sweeps import Sweep
from etgraph.store import Store

Run = Callable[..., Result]

pytestmark = pytest.mark.neo4j


@pytest.fixture
def url(new_neo4j_store: Callable[[], Store]) -> str:
    """The address of the tests' empty database."""
    with new_neo4j_store() as store:
        return store.url


def answer(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_the_demo_leaves_a_graph_to_look_at(etgraph: Run, url: str) -> None:
    told = etgraph("demo", "--store", url)
    assert told.exit_code == 0, told.output
    assert "etgraph query longest_operators --param trace=gpt-demo" in told.stderr
    (text,) = [line for line in told.stderr.splitlines() if line.strip().startswith("MATCH p")]
    shown = answer(etgraph("cypher", f"{text} RETURN count(p) AS count", "--store", url, "--json"))
    assert shown["rows"][0][0] > 100
    asked = etgraph("query", "longest_operators", "--param", "trace=gpt-demo", "--store", url)
    assert asked.exit_code == 0, asked.output


def test_commands_answer_as_on_a_folder(etgraph: Run, url: str, tmp_path: Path) -> None:
    file = samples.path("dlrm_alltoall") / "kineto_rank0.json.gz"

    def answers(store: str) -> list[Any]:
        common = ("--store", store, "--json")
        found = [
            answer(etgraph("ingest", file, "--workload", "dlrm", "--team", "ads", "--commit", "c0ffee1", *common)),
            answer(etgraph("tag", "dlrm", "baseline", *common)),
            answer(etgraph("label", "dlrm", "gpu=none", *common)),
            answer(etgraph("ls", *common)),
            answer(etgraph("show", "dlrm@baseline", *common)),
            answer(etgraph("critical-path", "dlrm@c0ffee", "--segments", "--save", *common)),
            answer(etgraph("critical-path", "dlrm", "--model", "--segments", "--save", *common)),
            answer(etgraph("rm", "dlrm@gpu=none", "--yes", *common)),
            answer(etgraph("ls", *common)),
        ]
        return [_without_places(each) for each in found]

    assert answers(url) == answers(str(tmp_path / "store"))


def test_a_path_is_not_saved_without_a_stored_trace(etgraph: Run, url: str) -> None:
    file = samples.path("dlrm_alltoall") / "kineto_rank0.json.gz"
    result = etgraph("critical-path", file, "--save", "--store", url)
    assert result.exit_code != 0
    assert "takes traces of the store" in result.output + result.stderr


def test_doctor_reads_the_graph(etgraph: Run, url: str) -> None:
    etgraph("ingest", samples.path("dlrm_alltoall") / "kineto_rank0.json.gz", "--workload", "dlrm", "--store", url)
    assert etgraph("doctor", "--verify", "--store", url).exit_code == 0
    etgraph("cypher", "MATCH (o:Operator) WITH o LIMIT 1 DETACH DELETE o", "--write", "--store", url)
    damaged = etgraph("doctor", "--verify", "--store", url)
    assert damaged.exit_code == 3
    assert "operators, expected" in damaged.stdout


def _without_places(document: Any) -> Any:
    """A document without moments of publication and sizes in the store."""
    if isinstance(document, dict):
        return {key: _without_places(value) for key, value in document.items() if key not in ("created", "bytes")}
    return [_without_places(value) for value in document] if isinstance(document, list) else document


def test_a_sweep_is_kept_in_the_graph(
    etgraph: Run, url: str, tmp_path: Path, new_neo4j_store: Callable[[], Store]
) -> None:
    grid = tmp_path / "grid.toml"
    grid.write_text('profiles = ["dgx-h100"]\n[grid]\ntiers.nvlink.bandwidth = ["x0.01", "x1"]\n')
    etgraph("ingest", samples.path("dlrm_alltoall"), "--workload", "dlrm", "--store", url)
    call = ("sweep", "dlrm", "--grid", grid, "--workers", "1", "-o", tmp_path, "--save", "--store", url, "--json")
    found = answer(etgraph(*call))
    with new_neo4j_store() as store:
        trace_id = store.find("dlrm").id
        table = store.get_artefact(trace_id, "sweep", found["id"])
    assert table is not None
    again = from_table(table, Sweep, "points")
    assert [point.step_ns for point in again.points] == [point["stepNs"] for point in found["points"]]
