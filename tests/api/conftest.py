"""A store with bundled samples and questions to it by GraphQL; and one with a small trace, which tests may change."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from etgraph.store import Store, connect
from support.api_schema import GATES
from support.asking import Ask, asking
from support.build import build
from support.read_samples import sample


@pytest.fixture(scope="session")
def samples_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A local store that tests only read: `gpt` with two traces and a tag, `dlrm` with one and a simulation."""
    from etgraph.queries import save_simulation
    from etgraph.sim.simulators import simulate

    with connect(tmp_path_factory.mktemp("api") / "store") as store:
        store.publish(sample("gpt_tp2_pp2"), workload="gpt", labels={"parallel": "tp2_pp2"}, team="nlp")
        store.publish(sample("gpt_ddp_5steps"), workload="gpt", team="nlp")
        store.publish(sample("dlrm_alltoall"), workload="dlrm", team="ads")
        store.tag("gpt@parallel=tp2_pp2", "base")
        trace = store.load("dlrm")
        save_simulation(store, "dlrm", simulate(trace, "replay"), trace=trace)
        yield store


@pytest.fixture
def ask(samples_store: Store) -> Ask:
    """Executes a query on the store of samples."""
    return asking(samples_store)


@pytest.fixture
def get(ask: Ask) -> Callable[..., Any]:
    """The data of a query that has no errors."""

    def get(query: str, **variables: Any) -> Any:
        found = ask(query, **variables)
        assert not found.errors, found.errors
        return found.data

    return get


@pytest.fixture
def gpt(tmp_path: Path) -> Iterator[Store]:
    """A store that holds the workload `gpt`."""
    with connect(tmp_path / "store") as store:
        store.publish(build("rank 0 | thread 1 | aten::mm  0..10"), workload="gpt")
        yield store


@pytest.fixture(params=["local", pytest.param("neo4j", marks=pytest.mark.neo4j)])
def empty_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """An empty store of each kind."""
    new: Callable[[], Store] = (
        request.getfixturevalue("new_neo4j_store") if request.param == "neo4j" else lambda: connect(tmp_path / "store")
    )
    with new() as store:
        yield store


@pytest.fixture(autouse=True)
def _new_gates() -> None:
    GATES.renew()
