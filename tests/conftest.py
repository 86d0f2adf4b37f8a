"""Where the traces of the tests come from, and what keeps a test run away from the user's own store."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from etgraph.store import Store, connect
from support import browser as browser_environment
from support import neo4j, node, torch_environment
from support.browser import Browser
from support.neo4j import Neo4jUnderTest
from support.node import NodePackages
from support.recorded import record_two_ranks
from support.torch_environment import TorchPython

collect_ignore = ["support/browser_visit.py"]
"""Needs a package that is not there where the browser is switched off, and is run, not imported."""
BUNDLED = Path(__file__).resolve().parents[1] / "ingest" / "etgraph" / "ingest" / "samples"

# Shared machines stall for longer than any deadline that would still catch something.
hypothesis.settings.register_profile("etgraph", deadline=None)
hypothesis.settings.load_profile("etgraph")


def folder_named_by(variable: str) -> Path | None:
    """The folder that an environment variable names; None where it is not set, an error where it is not a folder."""
    value = os.environ.get(variable)
    if not value:
        return None
    path = Path(value)
    if not path.is_dir():
        raise pytest.UsageError(f"{variable}={value} is not a folder; correct it, or unset it for the bundled samples")
    return path.resolve()


def pytest_configure(config: pytest.Config) -> None:
    """Refuse to run on a mistyped setting: the tests would silently be fewer."""
    folder_named_by("ETGRAPH_TRACES")
    folder_named_by("ETGRAPH_REFERENCE")
    neo4j.is_off()
    node.is_off()
    torch_environment.check_setting()
    browser_environment.is_off()
    config.addinivalue_line("markers", neo4j.MARKER)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> object:
    """Spread the tests over processes by file and by server; another way where `--dist` names one."""
    from support.spreading import ByFile

    return ByFile(config, log) if config.getvalue("dist") == "loadgroup" else None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the tests that need what is switched off: `ETGRAPH_NEO4J=off`, `ETGRAPH_TORCH=off` and so on."""
    for module, needed in (
        (neo4j, neo4j.needs_server),
        (torch_environment, torch_environment.needs_torch),
        (browser_environment, browser_environment.needs_browser),
        (node, node.needs_node),
    ):
        if module.is_off():
            config.hook.pytest_deselected(items=[item for item in items if needed(item)])
            items[:] = [item for item in items if not needed(item)]
    # A child that is forked has the locks that other threads hold at that moment, and nobody to release them. So tests
    # that fork go first, before others leave threads behind.
    items.sort(key=lambda item: not hasattr(getattr(item, "module", None), "Fork"))
    if getattr(config.option, "loadgroup", False):  # in one of several processes
        for item in items:
            if group := neo4j.group(item):
                item.add_marker(pytest.mark.xdist_group(group))


def pytest_make_parametrize_id(val: object) -> str | None:
    """Bytes do not name a test: those of a gzip file hold the time, and names must be the same in every process."""
    return "bytes" if isinstance(val, bytes) else None


def pytest_report_header() -> list[str]:
    """Say which traces, reference figures, Neo4j server, PyTorch, browser and Node.js this run sees."""
    traces, reference = folder_named_by("ETGRAPH_TRACES"), folder_named_by("ETGRAPH_REFERENCE")
    return [
        f"traces: the full collection, {traces}"
        if traces
        else "traces: only the bundled samples (ETGRAPH_TRACES unset)",
        f"reference figures: {reference}" if reference else "reference figures: none (ETGRAPH_REFERENCE unset)",
        *neo4j.header(),
        *torch_environment.header(),
        *browser_environment.header(),
        *node.header(),
    ]


@pytest.fixture(scope="session")
def traces_dir() -> Path:
    """The full trace collection where `ETGRAPH_TRACES` names one, otherwise the bundled samples."""
    return folder_named_by("ETGRAPH_TRACES") or BUNDLED


@pytest.fixture(scope="session")
def collection_dir() -> Path:
    """The full trace collection; a test that needs it is skipped, by name, where there is none."""
    path = folder_named_by("ETGRAPH_TRACES")
    if path is None:
        pytest.skip("needs the full trace collection (ETGRAPH_TRACES)")
    return path


@pytest.fixture(scope="session")
def reference_dir() -> Path:
    """The figures of other tools for the collection; a test that needs them is skipped where there are none."""
    path = folder_named_by("ETGRAPH_REFERENCE")
    if path is None:
        pytest.skip("needs the reference figures (ETGRAPH_REFERENCE)")
    return path


@pytest.fixture(scope="session", autouse=True)
def _own_data_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep every test, and the processes it starts, away from the user's store."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("ETGRAPH_STORE", raising=False)
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data")))
        yield


@pytest.fixture(scope="session")
def neo4j_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Neo4jUnderTest]:
    """A Neo4j server for the whole run; its database is the tests' own, to fill and to empty."""
    found = neo4j.obtain(tmp_path_factory.mktemp("neo4j"))
    yield found
    found.end()


@pytest.fixture(scope="session")
def _neo4j_2026(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Neo4jUnderTest]:
    if problem := neo4j.problem_with("2026"):
        pytest.skip(f"Neo4j 2026: {problem}")
    found = neo4j.obtain(tmp_path_factory.mktemp("neo4j"), "2026")
    yield found
    found.end()


@pytest.fixture
def new_neo4j_store(neo4j_server: Neo4jUnderTest, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Store]:
    """A function that opens the server's database, which is empty when the test begins, each time anew."""
    neo4j_server.empty()
    monkeypatch.setenv("ETGRAPH_NEO4J_USER", neo4j_server.user)
    monkeypatch.setenv("ETGRAPH_NEO4J_PASSWORD", neo4j_server.password)
    return lambda: connect(neo4j_server.uri)


@pytest.fixture(params=["local", pytest.param("neo4j", marks=pytest.mark.neo4j)])
def new_store(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Store]:
    """A function that opens the backend's one empty store for this test, each time anew."""
    if request.param == "local":
        return lambda: connect(tmp_path / "store")
    opened: Callable[[], Store] = request.getfixturevalue("new_neo4j_store")
    return opened


@pytest.fixture(scope="session", params=["5.26", "2026"])
def neo4j_releases(request: pytest.FixtureRequest) -> Neo4jUnderTest:
    """A server of each release that this machine can run; the header of the run names one that it cannot."""
    found: Neo4jUnderTest = request.getfixturevalue("neo4j_server" if request.param == "5.26" else "_neo4j_2026")
    return found


@pytest.fixture
def neo4j_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a server of our own is made of is here: Java and the jars. One that the test starts is up sooner."""
    neo4j.parts()
    monkeypatch.setenv(*neo4j.JAVA_OPTIONS)


@pytest.fixture(scope="session")
def torch_python() -> TorchPython:
    """An interpreter that has PyTorch and, of etgraph, only what recording needs."""
    return torch_environment.obtain()


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Browser:
    """A browser that opens pages and tells what they did."""
    return browser_environment.obtain(tmp_path_factory.mktemp("browser"))


@pytest.fixture(scope="session")
def node_packages() -> NodePackages:
    """Programs from npm that the API is tried with."""
    return node.obtain()


@pytest.fixture(scope="session")
def recorded_run(torch_python: TorchPython, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that two ranks have just recorded with `etgraph.ingest.record`: `support/train.py` says what they do."""
    return record_two_ranks(torch_python, tmp_path_factory.mktemp("recorded") / "run")
