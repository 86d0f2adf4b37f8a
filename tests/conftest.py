"""Where the traces of the tests come from, and what keeps a test run away from the user's own store."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

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


def pytest_configure() -> None:
    """Refuse to run on a mistyped folder: the tests would silently shrink to the bundled samples."""
    folder_named_by("ETGRAPH_TRACES")
    folder_named_by("ETGRAPH_REFERENCE")


def pytest_report_header() -> list[str]:
    """Say which traces and which reference figures this run sees."""
    traces, reference = folder_named_by("ETGRAPH_TRACES"), folder_named_by("ETGRAPH_REFERENCE")
    return [
        f"traces: the full collection, {traces}"
        if traces
        else "traces: only the bundled samples (ETGRAPH_TRACES unset)",
        f"reference figures: {reference}" if reference else "reference figures: none (ETGRAPH_REFERENCE unset)",
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
